"""A model as a folder: the object, its compiled graph, an input example and a manifest that says what each is.

    manifest.json       format, signature, files with digests, library versions, classes, parity
    model.skops         the object in its format (or model.lightgbm.txt, model.onnx, model.pkl)
    model.onnx          the compiled graph, where there is one
    example.json        a few rows that the model was shown

The folder is what the registry stores, file by file, and what a server opens. Each file is checked against its digest
before anything reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.models_onnx import OnnxPredictor
from mainspring.engines.signature import Signature
from mainspring.kernel.errors import Damaged, InvalidInput, NotFound
from mainspring.kernel.hashing import hasher
from mainspring.lineage.types import File
from mainspring.models.compile import compile_model, native_predictor
from mainspring.models.format_onnx import check_graph
from mainspring.models.formats import library_versions, load_object, save_object
from mainspring.models.policy import LoadPolicy
from mainspring.models.types import Manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.models import Predictor

__all__ = ["EXAMPLE", "GRAPH", "MANIFEST", "digest_file", "open_package", "read_manifest", "write_package"]

MANIFEST = "manifest.json"
GRAPH = "model.onnx"
EXAMPLE = "example.json"
_EXAMPLE_ROWS = 5


def write_package(
    model: Any,
    folder: Path,
    *,
    signature: Signature,
    example: Mapping[str, NDArray[Any]],
    format: str = "",  # noqa: A002 -- the word of the field, and only ever given by name
    classes: Sequence[Any] = (),
    policy: LoadPolicy | None = None,
    compiled: bool = True,
) -> Manifest:
    """Save a model into an empty folder, compiled where that is exact, with a manifest.

    Args:
        model: A fitted estimator, pipeline or booster, or the bytes of an ONNX graph.
        folder: Where to; made when it is not there.
        signature: What the model takes and gives.
        example: Rows as `Signature.convert` gives them; parity is measured on them, a few are kept.
        format: One of `formats.FORMATS`; chosen by the model's kind when left out.
        classes: The classes of a booster that classifies.
        policy: What may be loaded.
        compiled: Whether to compile to ONNX.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name, saved = save_object(model, folder, name=format, policy=policy)
    names = list(saved.files)
    parity = None
    found = list(classes) or list(saved.classes) or _classes(model)
    if compiled and name != "onnx":
        graph, parity = compile_model(model, signature, example, classes=classes)
        if parity.exact:
            (folder / GRAPH).write_bytes(graph)
            names.append(GRAPH)
    (folder / EXAMPLE).write_bytes(msgspec.json.encode(_few(example)))
    names.append(EXAMPLE)
    manifest = Manifest(
        format=name,
        signature=signature,
        files=tuple(digest_file(folder, each) for each in names),
        libraries=library_versions(saved.libraries),
        classes=[each.item() if hasattr(each, "item") else each for each in found],
        parity=parity,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder, after every file it names was checked against its digest.

    Raises:
        NotFound: There is no manifest.
        Damaged: The manifest or a file is not what was written.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise NotFound(f"{folder.name} is not the folder of a model: it has no {MANIFEST}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidInput) as error:
        raise Damaged(f"{MANIFEST} cannot be read: {error}") from error
    for file in manifest.files:
        if Path(file.path).name != file.path:
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
    exact = manifest.parity is not None and manifest.parity.exact
    if exact and not native:
        graph = (folder / GRAPH).read_bytes()
        check_graph(graph)
        return OnnxPredictor(graph, manifest.signature)
    model = load_object(manifest.format, folder, policy=policy)
    if manifest.format == "onnx":
        return OnnxPredictor(model, manifest.signature)
    return native_predictor(model, manifest.signature, classes=manifest.classes)


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


def _few(example: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """The first rows as JSON: msgspec writes NaN as null, as it does None."""
    return {name: column[:_EXAMPLE_ROWS].tolist() for name, column in example.items()}
