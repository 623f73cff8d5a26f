"""The run that goes on in this process, and W&B's functions on it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.client.default import default_client
from mainspring.compat.wandb.artifact import Artifact
from mainspring.compat.wandb.errors import UsageError
from mainspring.compat.wandb.runs import Run
from mainspring.kernel.errors import NotFound

__all__ = [
    "alert",
    "before_init",
    "current",
    "define_metric",
    "finish",
    "init",
    "log",
    "log_artifact",
    "login",
    "save",
    "setup",
    "teardown",
    "unwatch",
    "use_artifact",
    "watch",
]

_ID = "wandb.id"
_IGNORED = frozenset({
    "allow_val_change", "anonymous", "config_exclude_keys", "config_include_keys", "dir", "entity", "force",
    "fork_from", "job_type", "magic", "monitor_gym", "resume_from", "save_code", "settings", "sync_tensorboard",
    "tensorboard",
})  # fmt: skip
_runs: list[Run] = []


def current() -> Run | None:
    """The run that goes on, or None."""
    return _runs[-1] if _runs else None


def before_init(name: str) -> Any:
    """What there is before `init`: nothing that could be asked."""
    raise UsageError(f"You must call wandb.init() before wandb.{name}")


def init(
    project: str | None = None,
    *,
    name: str | None = None,
    config: Any = None,
    id: str | None = None,  # noqa: A002 -- as W&B declares it
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    group: str | None = None,
    mode: str | None = None,
    resume: Any = None,
    reinit: Any = None,
    **more: Any,
) -> Run:
    """Begin a run, in the experiment `project`.

    Args:
        project: The experiment; `WANDB_PROJECT`, or `uncategorized`.
        name: What the run is called; `WANDB_NAME`.
        config: Parameters: a mapping, a namespace of argparse.
        id: The id by which it is found again when it is resumed; `WANDB_RUN_ID`.
        notes: Its note; `WANDB_NOTES`.
        tags: Its tags; `WANDB_TAGS`, divided by commas.
        group: Its group; `WANDB_RUN_GROUP`.
        mode: `online` (the default), `offline` (sent later), `disabled` (nothing is kept); `WANDB_MODE`.
        resume: `allow`, `must`, `never`, `auto` or a boolean, for an `id` that there may be already; `WANDB_RESUME`.
        reinit: Whether a run that goes on is ended first (`True`, `finish_previous`), kept beside
            (`create_new`), or given back (the default).
        **more: What else W&B takes: `dir`, `entity`, `job_type` are kept, the rest has no meaning here.
    """
    if unknown := sorted(set(more) - _IGNORED):
        raise TypeError(f"init() got an unexpected keyword argument {unknown[0]!r}")
    before = current()
    if before is not None and reinit in (None, False, "return_previous", "default"):
        return before
    if before is not None and reinit != "create_new":
        before.finish()
        _runs.remove(before)
    about = {
        "project": project or os.environ.get("WANDB_PROJECT") or "uncategorized",
        "name": name or os.environ.get("WANDB_NAME") or "",
        "id": id or os.environ.get("WANDB_RUN_ID") or "",
        "notes": notes or os.environ.get("WANDB_NOTES") or "",
        "tags": tuple(tags or filter(None, os.environ.get("WANDB_TAGS", "").split(","))),
        "group": group or os.environ.get("WANDB_RUN_GROUP") or "",
        "job_type": more.get("job_type") or os.environ.get("WANDB_JOB_TYPE") or "",
        "entity": more.get("entity") or os.environ.get("WANDB_ENTITY") or "",
        "dir": more.get("dir") or tempfile.gettempdir(),
    }
    entries = config if isinstance(config, Mapping) else vars(config) if config is not None else {}
    mode = mode or os.environ.get("WANDB_MODE") or "online"
    if mode == "disabled" or os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true"):
        run = Run(None, None, about=about, config=entries)
    else:
        run = _begin(about, entries, offline=mode in ("offline", "dryrun"), resume=_resuming(resume))
    _runs.append(run)
    return run


def _begin(about: dict[str, Any], config: Mapping[str, Any], *, offline: bool, resume: str) -> Run:
    client = default_client()
    known = _known(client, about["project"], about["id"]) if about["id"] and not offline else ""
    if known and resume == "never":
        raise UsageError(f"there is a run {about['id']!r} already, and resume='never'")
    if not known and resume == "must":
        raise UsageError(f"there is no run {about['id']!r} to resume")
    about |= {"offline": offline, "resumed": bool(known and resume)}
    active = client.tracking.run(
        about["project"],
        title=about["name"],
        group=about["group"],
        tags=_tags(about),
        id=known if resume else "",
        resume="must" if known and resume else "",
        offline=offline,
    )
    if about["notes"]:
        active.note(about["notes"])
    if about["resumed"]:
        metrics = client.tracking.get(active.id).metrics.values()
        about["step"] = max((each.step for each in metrics), default=-1) + 1
    return Run(client, active, about=about, config=config)


def _known(client: Any, project: str, wanted: str) -> str:
    """The run with an id of W&B's, newest first; empty where there is none."""
    quoted = re.sub(r"'", "''", wanted)
    try:
        found = client.tracking.search(f"tags.`{_ID}` = '{quoted}'", experiments=[project], limit=1, fields=[])
    except NotFound:  # the first run of the project
        return ""
    return found.runs[0].id if found.runs else ""


def _tags(about: Mapping[str, Any]) -> dict[str, str]:
    tags = dict.fromkeys(about["tags"], "true")
    named = {"job_type": about["job_type"], "wandb.entity": about["entity"], _ID: about["id"]}
    return tags | {key: value for key, value in named.items() if value}


def _resuming(resume: Any) -> str:
    value = resume if resume is not None else os.environ.get("WANDB_RESUME", "")
    if value in (None, False, "", "none"):
        return ""
    return "allow" if value in (True, "auto", "allow") else str(value)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:  # noqa: FBT001 -- as W&B declares it
    """End the run that goes on."""
    del quiet
    if run := current():
        run.finish(exit_code)
        _runs.remove(run)


def _run(verb: str) -> Run:
    found = current()
    if found is None:
        raise UsageError(f"You must call wandb.init() before wandb.{verb}()")
    return found


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None) -> None:  # noqa: FBT001 -- as W&B declares it
    """Log into the run that goes on; see `Run.log`."""
    _run("log").log(data, step, commit, sync)


def define_metric(name: str, *args: Any, **kwargs: Any) -> Any:
    """See `Run.define_metric`."""
    return _run("define_metric").define_metric(name, *args, **kwargs)


def watch(models: Any, *args: Any, **kwargs: Any) -> None:
    """See `Run.watch`."""
    _run("watch").watch(models, *args, **kwargs)


def unwatch(models: Any = None) -> None:
    """Hooks end with their run."""
    del models


def alert(title: str, text: str, level: Any = None, wait_duration: Any = None) -> None:
    """See `Run.alert`."""
    _run("alert").alert(title, text, level, wait_duration)


def save(glob_str: str | os.PathLike[str], base_path: str | None = None, policy: str = "live") -> list[str]:
    """See `Run.save`."""
    return _run("save").save(glob_str, base_path, policy)


def log_artifact(artifact_or_path: Any, *args: Any, **kwargs: Any) -> Artifact:
    """See `Run.log_artifact`."""
    return _run("log_artifact").log_artifact(artifact_or_path, *args, **kwargs)


def use_artifact(artifact_or_name: Any, *args: Any, **kwargs: Any) -> Artifact:
    """See `Run.use_artifact`."""
    return _run("use_artifact").use_artifact(artifact_or_name, *args, **kwargs)


def login(*args: Any, **kwargs: Any) -> bool:
    """There is nothing to log in to: who may is decided by the store."""
    del args, kwargs
    return True


def setup(*args: Any, **kwargs: Any) -> None:
    """Nothing has to be set up."""
    del args, kwargs


def teardown(exit_code: int | None = None) -> None:
    """End every run that goes on."""
    while _runs:
        finish(exit_code)
