"""How the run of a process begins: new, gone on with, joined, or as a child of the one around it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Literal

import msgspec

from mainspring.kernel.errors import AlreadyExists, InvalidInput, MainspringError, NotFound, Unavailable
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.tracking.experiments import check_experiment_name
from mainspring.tracking.runs import bare_id
from mainspring.tracking.types import RunStart, TrackedRun

if TYPE_CHECKING:
    from mainspring.tracking.service import Tracking

__all__ = ["RUN_VARIABLE", "Beginning", "begin"]

RUN_VARIABLE = "MAINSPRING_RUN"
"""The environment variable that says which run a process joins."""

_RESUME = ("", "allow", "must", "never")
_log = logging.getLogger("mainspring.tracking")


class Beginning(msgspec.Struct, frozen=True):
    """What an active run is made of."""

    start: RunStart
    main: bool
    """Whether the run ends with this process."""
    step: int
    """The greatest step that was logged before."""


def begin(
    tracking: Tracking,
    wanted: RunStart,
    *,
    resume: Literal["", "allow", "must", "never"],
    offline: bool,
    inherits: str,
) -> Beginning:
    """Begin a run at the store, or find the one that goes on.

    Args:
        tracking: The service.
        wanted: What is asked for; its id may be empty.
        resume: What holds for the id.
        offline: Whether to ask the store nothing.
        inherits: The run that is the parent when none is named.
    """
    joined = bare_id(os.environ.get(RUN_VARIABLE, "")) if not wanted.run_id and not wanted.forked_from else ""
    if (not wanted.forked_from) != (wanted.fork_step is None):
        raise InvalidInput("a fork has a run and a step", hint="fork_from=run_id, fork_step=1000")
    _check_resume(resume, wanted.run_id)
    if joined:
        return _join(tracking, wanted, joined, offline=offline)
    found = None
    if wanted.run_id and not offline:
        found = _find(tracking, wanted.run_id)
        if found is not None and resume == "never":
            raise AlreadyExists(f"there is a run {found.id} already", hint='resume="allow" goes on with it')
        if found is None and resume == "must":
            raise NotFound(f"there is no run {wanted.run_id!r} to go on with", hint="mainspring run list")
    if found is not None:
        if found.status != "running":
            tracking.change_run(found.id, status="running")
        start = msgspec.structs.replace(_start_of(found), title=wanted.title or found.title)
        if wanted.title and wanted.title != found.title:
            tracking.change_run(found.id, title=wanted.title)
        return Beginning(start, main=True, step=_greatest_step(found))
    check_experiment_name(wanted.experiment)
    check_name(wanted.kind, what="kind")
    start = msgspec.structs.replace(
        wanted, run_id=wanted.run_id or new_id(), parent_id=bare_id(wanted.parent_id) or inherits
    )
    if not offline:
        try:
            tracking.start(start)
        except Unavailable as error:
            _log.warning("run %s begins without the store and is sent later: %s", start.run_id, error)
    step = wanted.fork_step if wanted.fork_step is not None else -1
    return Beginning(start, main=True, step=step)


def _check_resume(resume: str, run_id: str) -> None:
    if resume not in _RESUME:
        raise InvalidInput(f"resume = {resume!r} is none", known=_RESUME[1:])
    if resume and not run_id:
        raise InvalidInput(f"resume = {resume!r} needs the id of a run", hint='ms.run(..., id="...")')


def _join(tracking: Tracking, wanted: RunStart, run_id: str, *, offline: bool) -> Beginning:
    """Go on with a run that another process has begun and will end."""
    start = msgspec.structs.replace(wanted, run_id=run_id, experiment=wanted.experiment or "joined")
    try:
        found = None if offline else _find(tracking, run_id)
    except MainspringError as error:
        _log.warning("run %s is joined without the store: %s", run_id, error)
        found = None
    return Beginning(_start_of(found) if found else start, main=False, step=-1)


def _find(tracking: Tracking, run_id: str) -> TrackedRun | None:
    try:
        return tracking.get(run_id)
    except NotFound:
        return None


def _start_of(run: TrackedRun) -> RunStart:
    return RunStart(run.id, run.experiment, run.run.kind, run.title, run.run.parent_id or "", run.group)


def _greatest_step(run: TrackedRun) -> int:
    own = [metric.step for key, metric in run.metrics.items() if not key.startswith("system/")]
    return max(own, default=-1)
