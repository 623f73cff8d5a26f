"""What the pipelines speak of: flow runs and their steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = [
    "Attempt",
    "Cause",
    "Environment",
    "FlowRun",
    "FlowState",
    "Known",
    "Location",
    "Opened",
    "StepRecord",
    "StepState",
    "StepWhy",
    "Why",
]

FlowState = Literal["queued", "running", "waiting", "paused", "finished", "failed", "cancelled", "crashed"]
"""`waiting` is for a moment, an answer or an event, and `paused` by a person: neither holds a process. `failed` raised
an error; `crashed` lost its process more often than it may."""

StepState = Literal["running", "waiting", "finished", "failed", "cached"]
"""`waiting` is the state of a call that waits for a moment, an answer or an event."""


class Cause(msgspec.Struct, frozen=True):
    """What started a flow run."""

    kind: Literal["person", "schedule", "trigger", "backfill", "loop"] = "person"
    name: str = ""
    """Of the schedule, the trigger or the backfill."""
    fire_at: datetime | None = None
    """The moment that the run is for: when the schedule fired, or the point of a backfill."""
    events: tuple[int, ...] = ()
    """Numbers of the events that a trigger put together."""


class Location(msgspec.Struct, frozen=True):
    """Where a flow's code is found: what a worker sets before it imports the flow."""

    address: str = ""
    """`module:function`; empty for a function that no other process can import."""
    sys_path: tuple[str, ...] = ()
    cwd: str = ""
    main: str = ""
    """The script that is `__main__`, when the flow is defined in it."""


class FlowRun(msgspec.Struct, frozen=True):
    """One run of a flow. It is a run of the lineage with the same id."""

    id: str
    workspace: str
    flow: str
    """The name of the flow."""
    key: str
    """Unique within the flow when not empty: starting the same key again finds this run."""
    state: FlowState
    attempt: int
    """How often it began: the fencing token of whoever executes it now."""
    params: dict[str, Any]
    """The arguments, in the form of `values.encode`."""
    code: str
    """Digest of the flow's code as it was last started; empty when it could not be read."""
    location: Location
    task_id: str
    """The queued task that executes it; empty when it runs in the process that started it."""
    worker: str
    """The process that executes it, while it runs where it was started."""
    created_at: datetime
    created_by: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Any = None
    """What it returned, in the form of `values.encode`."""
    error: dict[str, Any] | None = None
    cause: Cause = Cause()
    deployment: str = ""
    """The version of the flow that it runs, and keeps; empty when it runs what its location has."""
    pool: str = ""
    """Which workers may execute it; those without a pool when empty."""
    priority: int = 0
    labels: dict[str, str] = {}
    position: int = 0
    """The number of the newest event when it first began: it waits for events behind it."""


class StepRecord(msgspec.Struct, frozen=True):
    """One call of a step in a flow run, or one item of a map. It is a run of the lineage with the same id."""

    id: str
    run_id: str
    path: str
    """The place of the call: `3` is the fourth call of the flow's body, `3.0` the first inside a flow called there."""
    item: int
    """Which item of a map; -1 for a call that is not mapped."""
    name: str
    state: StepState
    attempt: int
    """How many times it was tried in this run of it."""
    started_at: datetime
    finished_at: datetime | None = None
    arguments: dict[str, str] = {}
    """A short text of each argument, for people."""
    inputs: dict[str, str] = {}
    """The digest of each argument, of its content or its origin; empty where there is none. A replay compares them."""
    contents: dict[str, str] = {}
    """The digest of the content of each argument, of a step that asked for a cache."""
    code: str = ""
    """Digest of the code that the step reaches: that of an artifact of the kind `code`, which names its parts."""
    environment: str = ""
    """Digest of what is installed: that of an artifact of the kind `environment`."""
    key: str = ""
    """Under which other runs may reuse the result; empty when they may not."""
    uncached: str = ""
    """Why there is no key, although the step asked for a cache."""
    cached_from: str = ""
    """The step whose result this one is, when it was found in the cache."""
    output: Any = None
    """What it returned, in the form of `values.encode`."""
    error: dict[str, Any] | None = None
    uses: tuple[str, ...] = ()
    """Digests and references of the artifacts that its arguments hold."""
    marked_by: str = ""
    """Who set its result by hand."""
    card: str = ""
    """The digest of what it showed of itself: a list of `cards.Part` in JSON."""


class Attempt(msgspec.Struct, frozen=True):
    """A try of a step that failed and was followed by another."""

    step_id: str
    attempt: int
    started_at: datetime
    finished_at: datetime
    error: dict[str, Any]


class Environment(msgspec.Struct, frozen=True):
    """What was installed: the Python version, the platform and every distribution with its version."""

    digest: str
    packages: dict[str, str]


class Known(msgspec.Struct, frozen=True):
    """A finished step, as much of it as a replay reads. Its JSON is read when it is asked for."""

    id: str
    path: str
    item: int
    name: str
    code: str
    written: str
    """The digests of its arguments: `StepRecord.inputs` as JSON."""
    result: str
    """What it returned: `StepRecord.output` as JSON."""

    @property
    def inputs(self) -> dict[str, str]:
        """The digest of each argument."""
        return msgspec.json.decode(self.written, type=dict[str, str])

    @property
    def output(self) -> Any:
        """What it returned, in the form of `values.encode`."""
        return msgspec.json.decode(self.result)


class Opened(msgspec.Struct, frozen=True):
    """A flow run that may be executed now, and what is already known of it."""

    run: FlowRun
    steps: list[Known]
    """The steps that are finished, with their results."""
    changed: bool = False
    """Whether the flow's code is another than when it was last executed."""


class Why(msgspec.Struct, frozen=True):
    """One component of a step's key that is not what it was before."""

    component: str
    """`code: module:function`, `input: name`, `environment: package`, `first run` or `cache`."""
    before: str
    now: str


class StepWhy(msgspec.Struct, frozen=True):
    """Why a step ran, or did not have to."""

    step: StepRecord
    previous: str
    """The id of the step it is compared with: the same place of the run before; empty when there is none."""
    reasons: list[Why]
    """Empty when nothing differs."""
