"""A model as a folder: the object, its compiled graph, an input example and a manifest that says what each is.

    manifest.json       format, signature, files with digests, library versions, classes, parity
    model.skops         the object in its format (or model.ubj, model.cbm, model.onnx, model.pt2, ...)
    code/...            the user's own code, of a model that is Python
    model.onnx          the compiled graph, where there is one
    example.json        a few rows that the model was shown

The folder is what the registry stores, file by file, and what a server opens. Each file is checked against its digest
before anything reads it. A folder that MLflow wrote has an `MLmodel` instead of a manifest, and is opened as well.
Models whose format is *isolated* (see `formats.py`) answer from a child process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.models_sandbox import SandboxPredictor
from mainspring.engines.models_tensors import arguments
from mainspring.engines.signature import Signature
from mainspring.kernel.errors import Damaged, InvalidInput, NotFound
from mainspring.kernel.hashing import hasher
from mainspring.lineage.types import File
from mainspring.models.compile import compile_model
from mainspring.models.format_onnx import check_graph
from mainspring.models.formats import SaveOptions, format_named, isolated, library_versions, load_object, save_object
from mainspring.models.mlflow_model import MLMODEL, data_flavor, manifest_of
from mainspring.models.native import library_of, native_predictor
from mainspring.models.policy import LoadPolicy
from mainspring.models.types import Manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.models import Predictor

__all__ = [
    "EXAMPLE",
    "GRAPH",
    "MANIFEST",
    "digest_file",
    "files_of",
    "open_in_child",
    "open_package",
    "open_trusting",
    "read_manifest",
    "write_package",
]

MANIFEST = "manifest.json"
GRAPH = "model.onnx"
EXAMPLE = "example.json"
_EXAMPLE_ROWS = 5
_EXAMPLE_VALUES = 50_000
_CHILD = "mainspring.models.package:open_in_child"


class _Facts(msgspec.Struct, frozen=True):
    """What a child process is told about the model that it opens."""

    manifest: Manifest
    policy: LoadPolicy


def write_package(
    model: Any,
    folder: Path,
    *,
    signature: Signature,
    example: Mapping[str, NDArray[Any]] | None,
    format: str = "",  # noqa: A002 -- the word of the field, and only ever given by name
    classes: Sequence[Any] = (),
    policy: LoadPolicy | None = None,
    compiled: bool = True,
    options: SaveOptions | None = None,
) -> Manifest:
    """Save a model into an empty folder, compiled where that is exact, with a manifest.

    Args:
        model: A fitted estimator, pipeline, booster or network, the bytes of an ONNX graph, or whatever a format takes.
        folder: Where to; made when it is not there.
        signature: What the model takes and gives.
        example: Rows as `Signature.convert` gives them; parity is measured on them, a few are kept. None: neither.
        format: One of `formats.format_names()`; chosen by the model's kind when left out.
        classes: The classes of a booster that classifies.
        policy: What may be loaded.
        compiled: Whether to compile to ONNX.
        options: What the format needs beside the object.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = _traced(model, options, signature, example)
    name, saved = save_object(model, folder, name=format, policy=policy, options=options)
    names = list(saved.files)
    parity = None
    found = list(classes) or list(saved.classes) or _classes(model)
    if compiled and example is not None and name not in _NEVER_COMPILED:
        graph, parity = compile_model(model, signature, example, classes=classes)
        if parity.exact:
            (folder / GRAPH).write_bytes(graph)
            names.append(GRAPH)
    if example is not None:
        (folder / EXAMPLE).write_bytes(msgspec.json.encode(_few(example)))
        names.append(EXAMPLE)
    told = manifest_of(files_of(folder), lambda path: (folder / path).read_bytes()) if name == "mlflow" else None
    manifest = Manifest(
        format=name,
        signature=signature,
        files=tuple(digest_file(folder, each) for each in names),
        libraries=told.libraries if told else dict(library_versions(saved.libraries)),
        details=told.details if told else {},
        classes=[each.item() if hasattr(each, "item") else each for each in found],
        parity=parity,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return manifest


_NEVER_COMPILED = ("onnx", "mlflow", "keras", "torchscript", "torch-export", "safetensors", "python")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder, after every file it names was checked against its digest.

    Of a folder with an `MLmodel` and no manifest, what the `MLmodel` says.

    Raises:
        NotFound: There is no manifest.
        Damaged: The manifest or a file is not what was written.
    """
    if (folder / MLMODEL).is_file() and not (folder / MANIFEST).is_file():
        return manifest_of(files_of(folder), lambda path: (folder / path).read_bytes())
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise NotFound(f"{folder.name} is not the folder of a model: it has no {MANIFEST}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidInput) as error:
        raise Damaged(f"{MANIFEST} cannot be read: {error}") from error
    for file in manifest.files:
        if not (folder / file.path).resolve().is_relative_to(folder.resolve()):
            raise Damaged(f"{MANIFEST} names {file.path!r}, which is not a file of its folder")
        if not (folder / file.path).is_file():
            raise Damaged(f"{file.path} is missing from the folder of the model")
        if digest_file(folder, file.path) != file:
            raise Damaged(f"{file.path} is not what was saved: its digest differs", hint="mainspring verify")
    return manifest


def open_package(folder: Path, *, policy: LoadPolicy | None = None, native: bool = False) -> Predictor:
    """Load a model from its folder: the compiled graph where its parity is exact, the original otherwise.

    Args:
        folder: What `write_package` wrote.
        policy: What may be loaded.
        native: Take the original even so.
    """
    manifest = read_manifest(folder)
    policy = policy or LoadPolicy()
    exact = manifest.parity is not None and manifest.parity.exact
    if exact and not native:
        graph = (folder / GRAPH).read_bytes()
        check_graph(graph)
        return OnnxPredictor(graph, manifest.signature)
    if _isolated(manifest, folder):
        format_named(manifest.format).check(folder, policy)
        return SandboxPredictor(
            _CHILD, folder, facts=msgspec.json.encode(_Facts(manifest, policy)), signature=manifest.signature
        )
    return _native(manifest, folder, policy)


def open_trusting(folder: Path) -> Predictor:
    """Load a model into this process whatever it is: for whoever has decided to run what is in the folder."""
    manifest = read_manifest(folder)
    factory = folder / "factory.json"
    named = (msgspec.json.decode(factory.read_bytes())["factory"],) if factory.is_file() else ()
    return _native(manifest, folder, LoadPolicy(pickle=True, trusted=named))


def open_in_child(folder: str, facts: bytes) -> Predictor:
    """What a child process opens its model with."""
    told = msgspec.json.decode(facts, type=_Facts)
    return _native(told.manifest, Path(folder), told.policy)


def _native(manifest: Manifest, folder: Path, policy: LoadPolicy) -> Predictor:
    model = load_object(manifest.format, folder, policy=policy)
    if isinstance(model, bytes):
        return OnnxPredictor(model, manifest.signature)
    return native_predictor(model, manifest.signature, classes=manifest.classes)


def _isolated(manifest: Manifest, folder: Path) -> bool:
    return data_flavor(folder) == "" if manifest.format == "mlflow" else isolated(manifest.format)


def files_of(folder: Path) -> list[File]:
    """Every file in a folder and the folders in it, by path."""
    return [
        digest_file(folder, each.relative_to(folder).as_posix()) for each in sorted(folder.rglob("*")) if each.is_file()
    ]


def digest_file(folder: Path, name: str) -> File:
    """A file of a folder with its size and digest, read in pieces."""
    hashing, size = hasher(), 0
    with (folder / name).open("rb") as source:
        while piece := source.read(1 << 20):
            hashing.update(piece)
            size += len(piece)
    return File(path=name, size=size, digest=hashing.hexdigest())


def _classes(model: Any) -> list[Any]:
    found = getattr(model, "classes_", None)
    return [] if found is None else list(found)


def _traced(
    model: Any, options: SaveOptions | None, signature: Signature, example: Mapping[str, NDArray[Any]] | None
) -> SaveOptions:
    """The options, with inputs for a network that has to be called once to be saved."""
    options = options or SaveOptions()
    if example is None or options.inputs or library_of(model) != "torch":
        return options
    few = {name: column[:_EXAMPLE_ROWS] for name, column in example.items()}
    return options._replace(inputs=tuple(arguments(signature, few)))


def _few(example: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """The first rows as JSON: msgspec writes NaN as null, as it does None. Rows of many values are fewer."""
    values = sum(max(1, column[:1].size) for column in example.values())
    rows = max(1, min(_EXAMPLE_ROWS, _EXAMPLE_VALUES // max(values, 1)))
    return {name: column[:rows].tolist() for name, column in example.items()}
