"""Formats: how a model object becomes files and files a model object, safest first.

ONNX, safetensors, and the files of LightGBM, XGBoost and CatBoost are data. A skops file names the types that it
needs, and is read when the workspace's policy trusts all of them. TorchScript, `torch.export` and Keras files are
read by large libraries whose loaders have had holes: a model of theirs answers from a child process. A pickle is a
program: it is refused unless the policy says otherwise, and then answers from a child process too.

A format is an object with the four methods of `Format`; `kernel.hooks.MODEL_FORMATS` is where one is added, and
`mainspring.testing.format_suite` what it must pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mainspring.kernel.errors import NotFound, UnsupportedFormat, nearest
from mainspring.kernel.hooks import MODEL_FORMATS, load
from mainspring.models.policy import LoadPolicy

__all__ = [
    "Format",
    "SaveOptions",
    "Saved",
    "cannot_hold",
    "format_named",
    "format_names",
    "isolated",
    "library_versions",
    "load_object",
    "save_object",
]


class Saved(NamedTuple):
    """What saving wrote."""

    files: tuple[str, ...]
    """Paths in the folder; the first is the model."""
    libraries: tuple[str, ...]
    """Distributions that reading it needs."""
    classes: tuple[Any, ...] = ()
    """Classes that the file itself does not hold."""


class SaveOptions(NamedTuple):
    """What a format may need beside the object."""

    factory: str = ""
    """`module:callable` that makes the object whose weights are saved."""
    code: tuple[Path, ...] = ()
    """Files and folders of the user's own code, kept with the model."""
    inputs: tuple[Any, ...] = ()
    """Arrays as the model is called with, for formats that trace it."""


class Format(Protocol):
    """How one kind of file is written and read.

    An optional attribute `isolated` (true where it is absent) says that models of the format answer from a child
    process: false only for formats whose files are data and whose readers run nothing of them.
    """

    def accepts(self, model: Any) -> bool:
        """Whether this format is made for the object; asked in the order of the table."""
        ...

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write the object into the folder; raise `UnsupportedFormat` for what the format cannot hold."""
        ...

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Return when the policy lets what is in the folder be loaded; raise `UnsupportedFormat` otherwise."""
        ...

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """Read it back, after the check; raise `Damaged` for what is not a file of the format."""
        ...


def format_names() -> list[str]:
    """The names of all formats, in the order in which they are asked whether they accept a model."""
    others = sorted({point.name for point in entry_points(group="mainspring.model_formats")} - set(MODEL_FORMATS))
    return [*MODEL_FORMATS, *others]


def format_named(name: str) -> Format:
    """The format of this name: a built-in, or one that an installed package registered."""
    address = MODEL_FORMATS.get(name) or next(
        (point.value for point in entry_points(group="mainspring.model_formats") if point.name == name), ""
    )
    if not address:
        raise NotFound(f"there is no model format {name!r}", known=nearest(name, format_names()))
    found: Format = load(address)
    return found


def isolated(name: str) -> bool:
    """Whether models of this format answer from a child process."""
    return bool(getattr(format_named(name), "isolated", True))


def save_object(
    model: Any,
    folder: Path,
    *,
    name: str = "",
    policy: LoadPolicy | None = None,
    options: SaveOptions | None = None,
) -> tuple[str, Saved]:
    """Write a model into a folder; the format's name and what was written.

    Args:
        model: The fitted object, or the bytes of an ONNX graph.
        folder: An existing folder.
        name: The format; chosen by the model's kind when left out.
        policy: What could be loaded again; what could not be is not saved either.
        options: What the format may need beside the object.
    """
    policy = policy or LoadPolicy()
    chosen = name or next((each for each in format_names() if format_named(each).accepts(model)), "")
    if not chosen:
        raise UnsupportedFormat(
            f"no safe format saves a {type(model).__module__}.{type(model).__name__}",
            hint="export it to ONNX, or let an administrator allow pickle and pass format='pickle'",
        )
    found = format_named(chosen)
    saved = found.save(model, folder, options or SaveOptions())
    found.check(folder, policy)
    return chosen, saved


def load_object(name: str, folder: Path, *, policy: LoadPolicy | None = None) -> Any:
    """Read a model back from a folder that `save_object` wrote, into this process."""
    return format_named(name).load(folder, policy or LoadPolicy())


def cannot_hold(name: str, model: Any) -> UnsupportedFormat:
    """The refusal of an object that is none of a format's."""
    return UnsupportedFormat(f"the format {name} does not hold a {type(model).__module__}.{type(model).__name__}")


def library_versions(names: Sequence[str]) -> Mapping[str, str]:
    """The installed versions of distributions; what is not installed is left out."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
