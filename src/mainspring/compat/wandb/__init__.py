"""The part of W&B's Python interface that training scripts use: `import mainspring.compat.wandb as wandb`.

Everything a script logs so is an ordinary run here: the same store, pages, search and lineage.

    init log config summary finish define_metric watch alert save
    Artifact use_artifact log_artifact    Table Image Histogram Html Audio Video

Sweeps, launch, reports and the public API are not covered; naming one says so. Settings are read from the variables
that W&B reads (`WANDB_PROJECT`, `WANDB_MODE`, ...), and accounts, teams and keys are accepted and not needed.

Example:
    >>> import os, tempfile
    >>> os.environ["MAINSPRING_STORE"] = tempfile.mkdtemp()
    >>> from mainspring.compat import wandb
    >>> run = wandb.init(project="demo", config={"lr": 0.1})
    >>> wandb.log({"loss": 0.5})
    >>> wandb.config.lr, run.summary["loss"]
    (0.1, 0.5)
    >>> wandb.finish()
    >>> del os.environ["MAINSPRING_STORE"]
"""

from __future__ import annotations

from typing import Any

from mainspring.compat.wandb import session
from mainspring.compat.wandb.artifact import Artifact
from mainspring.compat.wandb.errors import CommError, Error, UsageError
from mainspring.compat.wandb.media import Audio, Histogram, Html, Image, Table, Video
from mainspring.compat.wandb.runs import AlertLevel, Run, Settings
from mainspring.compat.wandb.session import (
    alert,
    define_metric,
    finish,
    init,
    log,
    log_artifact,
    login,
    save,
    setup,
    teardown,
    unwatch,
    use_artifact,
    watch,
)

__all__ = [
    "AlertLevel",
    "Artifact",
    "Audio",
    "CommError",
    "Error",
    "Histogram",
    "Html",
    "Image",
    "Run",
    "Settings",
    "Table",
    "UsageError",
    "Video",
    "alert",
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


def __getattr__(name: str) -> Any:
    """`run`, `config` and `summary` follow the run that goes on."""
    if name == "run":
        return session.current()
    if name in ("config", "summary"):
        return getattr(session.current() or session.before_init(name), name)
    raise AttributeError(
        f"mainspring.compat.wandb has no {name!r}: it covers what scripts log with, see help(mainspring.compat.wandb)"
    )
