"""Formats: how a model object becomes a file and a file a model object, safest first.

ONNX and LightGBM's text are data. A skops file names the types that it needs, and is read when the workspace's policy
trusts all of them. A pickle is a program; it is refused unless the policy says otherwise.

A format is a module with `accepts`, `save`, `check` and `load`; the table below is where one is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mainspring.kernel.errors import NotFound, UnsupportedFormat, nearest
from mainspring.kernel.hooks import load
from mainspring.models.policy import LoadPolicy

__all__ = ["FORMATS", "Format", "Saved", "format_named", "load_object", "save_object"]


class Saved(NamedTuple):
    """What saving wrote."""

    files: tuple[str, ...]
    """Names in the folder; the first is the model."""
    libraries: tuple[str, ...]
    """Distributions that reading it needs."""
    classes: tuple[Any, ...] = ()
    """Classes that the file itself does not hold."""


class Format(Protocol):
    """How one kind of file is written and read."""

    def accepts(self, model: Any) -> bool:
        """Whether this format is made for the object; asked in the order of `FORMATS`."""
        ...

    def save(self, model: Any, folder: Path) -> Saved:
        """Write the object into the folder."""
        ...

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Return when the policy lets what is in the folder be loaded; raise `UnsupportedFormat` otherwise."""
        ...

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """Read it back, after the check."""
        ...


FORMATS: dict[str, str] = {
    "onnx": "mainspring.models.format_onnx:ONNX",
    "lightgbm": "mainspring.models.format_lightgbm:LIGHTGBM",
    "skops": "mainspring.models.format_skops:SKOPS",
    "pickle": "mainspring.models.format_pickle:PICKLE",
}
"""Name -> address; the first that accepts a model is used, and pickle accepts nothing unasked."""


def format_named(name: str) -> Format:
    """The format of this name."""
    if name not in FORMATS:
        raise NotFound(f"there is no model format {name!r}", known=nearest(name, FORMATS))
    found: Format = load(FORMATS[name])
    return found


def save_object(model: Any, folder: Path, *, name: str = "", policy: LoadPolicy | None = None) -> tuple[str, Saved]:
    """Write a model into a folder; the format's name and what was written.

    Args:
        model: The fitted object, or the bytes of an ONNX graph.
        folder: An existing folder.
        name: The format; chosen by the model's kind when left out.
        policy: What could be loaded again; what could not be is not saved either.
    """
    policy = policy or LoadPolicy()
    chosen = name or next((each for each in FORMATS if format_named(each).accepts(model)), "")
    if not chosen:
        raise UnsupportedFormat(
            f"no safe format saves a {type(model).__module__}.{type(model).__name__}",
            hint="export it to ONNX, or let an administrator allow pickle and pass format='pickle'",
        )
    found = format_named(chosen)
    saved = found.save(model, folder)
    found.check(folder, policy)
    return chosen, saved


def load_object(name: str, folder: Path, *, policy: LoadPolicy | None = None) -> Any:
    """Read a model back from a folder that `save_object` wrote."""
    return format_named(name).load(folder, policy or LoadPolicy())


def library_versions(names: Sequence[str]) -> dict[str, str]:
    """The installed versions of distributions."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
