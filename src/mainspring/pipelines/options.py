"""How a step is run: what `@step(...)` and `step.using(...)` say. When and how a flow is: what `@flow(...)` says."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.pipelines.types_schedules import Overlap

if TYPE_CHECKING:
    from mainspring.pipelines.types import FlowRun

__all__ = ["FlowOptions", "Options", "Overlap", "Where", "changed", "flow_options", "is_tried_again"]

Where = Literal["auto", "inline", "thread", "process", "ray", "kubernetes"]


class Options(msgspec.Struct, frozen=True):
    """How a step is run."""

    retries: int = 0
    """How often it is tried again after an error."""
    delay: float = 1.0
    """Seconds before the first of these, doubled each time, with full jitter, at most five minutes."""
    retry_on: tuple[type[BaseException], ...] | Callable[[BaseException], bool] = (Exception,)
    """The errors after which it is tried again, or what says so of an error."""
    fallback: Any = msgspec.UNSET
    """What it gives when every try failed: a value, or a function of the error."""
    cache: bool = False
    """Whether another run may reuse the result: same code, same inputs, same environment."""
    cache_ttl: float = 0.0
    """Seconds after which a result is not reused any more; 0 for never."""
    timeout: float = 0.0
    """Seconds until it is killed, which needs a process of its own; 0 for no limit."""
    memory: int = 0
    """Bytes that its process may hold; 0 for no limit."""
    cpu: float = 0.0
    """Cores that it needs: no more of its kind run beside each other than fit; 0 for one."""
    gpu: float = 0.0
    """Graphics processors that it needs."""
    priority: int = 0
    """Of steps that wait for a place the higher goes first."""
    limits: tuple[str, ...] = ()
    """Names of the concurrency and rate limits that it counts against, in all runs of the workspace."""
    where: Where = "auto"
    """`inline` in the flow's own thread, `thread`, `process`, `ray`, `kubernetes`; `auto`: calls inline, `map` and
    `submit` outside.

    `ray` is the Ray cluster at `RAY_ADDRESS`, or else one that is started on this machine for as long as the run.
    """
    env: str = ""
    """A lock file, of exact versions (`requirements.txt`, `uv.lock`): it runs in an environment built from it, once."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that it may read."""
    image: str = ""
    """The container image that it runs in, on Kubernetes."""
    version: str = ""
    """A part of the cache's key, to be changed when the step's meaning changes and its code does not."""
    allow_pickle: bool = False
    """Whether results of types that nothing knows may be pickled, for this run's own eyes."""


class FlowOptions(msgspec.Struct, frozen=True):
    """When a flow starts by itself, and how its runs are executed. `flow deploy` makes schedules and triggers of it."""

    schedule: str | tuple[str, ...] = ()
    """Cron expressions, or intervals like `every 15m`, at which a deployment of the flow starts it."""
    tz: str = "UTC"
    """The zone of the schedule and of `fire_date()`, in the IANA database."""
    trigger: Any = None
    """What a deployment of the flow listens to: a trigger of `pipelines.triggers`, or several."""
    pool: str = ""
    """Which workers may execute it; those without a pool when empty."""
    priority: int = 0
    """Of queued runs the higher goes first."""
    overlap: Overlap | None = None
    """What becomes of a start by a schedule or a trigger while a run is not over; unless said, schedules `skip` it and
    triggers, whose events do not come again, `allow_all`."""
    timeout: float = 0.0
    """Seconds from when a run first began after which it is ended as failed, waits included; 0 for no limit."""
    on_failure: Callable[[FlowRun], Any] | None = None
    """Called with the run once it has failed or crashed: here when it was run here, by a worker otherwise."""
    on_success: Callable[[FlowRun], Any] | None = None
    """Called with the run once it has finished."""
    retries: int = 0
    """How often a worker tries it again after an error."""
    max_attempts: int = 5
    """How often it may lose its process."""
    limits: tuple[str, ...] = ()
    """Names of limits that each run of it counts against while its body is executed, and waits for before."""


def flow_options(**given: Any) -> FlowOptions:
    """The options of a flow, checked; `InvalidInput` names the first that makes no sense."""
    if unknown := sorted(set(given) - set(FlowOptions.__struct_fields__)):
        known = nearest(unknown[0], FlowOptions.__struct_fields__)
        raise InvalidInput(f"flow: there is no option {unknown[0]!r}", known=known)
    if isinstance(given.get("limits"), str):
        given = {**given, "limits": (given["limits"],)}
    made = FlowOptions(**given)
    try:
        zoneinfo.ZoneInfo(made.tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(f"flow: there is no time zone {made.tz!r}", hint="write tz='Europe/Paris'") from None
    if made.overlap is not None and made.overlap not in get_args(Overlap):
        raise InvalidInput(f"flow: overlap={made.overlap!r}", known=get_args(Overlap))
    if made.timeout < 0 or made.retries < 0 or made.max_attempts < 1:
        raise InvalidInput("flow: timeout and retries cannot be negative, and max_attempts is at least 1")
    for name in ("on_failure", "on_success"):
        if (hook := getattr(made, name)) is not None and not callable(hook):
            raise InvalidInput(f"flow: {name}={hook!r} cannot be called", hint="give a function of the run")
    return made


def is_tried_again(options: Options, attempt: int, error: BaseException) -> bool:
    """Whether a call that failed for the `attempt`-th time is tried once more."""
    if attempt > options.retries:
        return False
    wanted = options.retry_on
    return isinstance(error, wanted) if isinstance(wanted, tuple) else bool(wanted(error))


def changed(options: Options, changes: dict[str, Any]) -> Options:
    """The options with some of them replaced; `InvalidInput` for one that does not exist or makes no sense."""
    for name in ("limits", "secrets"):
        if isinstance(changes.get(name), str):
            changes = {**changes, name: (changes[name],)}
        elif name in changes:
            changes = {**changes, name: tuple(changes[name])}
    try:
        made = msgspec.structs.replace(options, **changes)
    except TypeError as error:
        raise InvalidInput(f"step: {error}", hint=f"the options are {', '.join(Options.__struct_fields__)}") from None
    numbers = ("retries", "delay", "timeout", "memory", "cpu", "gpu", "cache_ttl")
    if negative := [name for name in numbers if getattr(made, name) < 0]:
        raise InvalidInput(f"step: {', '.join(negative)} cannot be negative")
    wanted = made.retry_on
    if isinstance(wanted, type):
        made = msgspec.structs.replace(made, retry_on=(wanted,))
    elif not callable(wanted) and not all(isinstance(each, type) for each in wanted):
        raise InvalidInput("step: retry_on is a class of errors, several, or a function of the error")
    if made.where not in get_args(Where):
        raise InvalidInput(f"step: where={made.where!r}", known=get_args(Where))
    return made
