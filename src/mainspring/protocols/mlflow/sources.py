"""Where a version is registered from: what may be named, and which of our files that means.

A source is a text that a client chose, so it is read as hostile: no steps up, however they are encoded, no files of the
server's machine, and nothing of a run or a model other than the one that is named beside it.
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote, unquote_plus, urlparse

import msgspec

from mainspring.client.client import Client
from mainspring.kernel.errors import MainspringError, NotFound
from mainspring.lineage.types import File
from mainspring.models.types import ModelVersion
from mainspring.protocols.mlflow.failures import MlflowError, internal, invalid
from mainspring.protocols.mlflow.logged_models import ModelShelf, location_of, no_model
from mainspring.protocols.mlflow.registry import find_model, find_version, is_prompt, origin_of
from mainspring.protocols.mlflow.shelves import Kept, RunShelf, Shelf, find_shelf

__all__ = ["PROMPT_SOURCES", "Source", "read_source"]

PROMPT_SOURCES = ("dummy-source", "prompt-template")
"""What the client gives as the source of a prompt, which has no files."""

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_PROXY = re.compile(r".*?/api/2\.0/mlflow-artifacts/artifacts/(.+)")


class Source(msgspec.Struct, frozen=True):
    """A source that passed the checks."""

    text: str
    run_id: str
    model_id: str
    files: tuple[File, ...] = ()
    location: str = ""
    """Where clients read the files from, where that is not the text."""


def read_source(client: Client, source: str, *, run_id: str | None, model_id: str | None) -> Source:
    """What a source means; raises what MLflow raises for what it refuses.

    Args:
        client: To look up what it names.
        source: `runs:/ID/path`, `models:/m-ID`, `models:/name/3`, `models:/name@alias`, a path of the artifact proxy,
            or a URI of a place of its own.
        run_id: As the client gave it; None when it did not.
        model_id: As the client gave it; None when it did not.
    """
    _check_scheme(source)
    parts = urlparse(source)
    if parts.scheme == "models" and not _names_logged(source):
        return _of_version(client, source, run_id, model_id)
    which = "model_id" if model_id else "run_id"
    if parts.scheme in ("", "file"):
        whose = "model_id" if model_id else "run_id"
        raise invalid(
            f"Invalid model version source: '{source}'. To use a local path as a model version "
            f"source, the {whose} request parameter has to be specified and the local path has to be "
            f"contained within the artifact directory of the run specified by the {whose}."
        )
    _check_relative(source)
    if parts.scheme in ("runs", "models") and parts.netloc:
        raise _not_its_own(source, which)
    if parts.scheme == "runs":
        return _of_run(client, source, run_id or "", model_id or "")
    if parts.scheme == "models":
        return _of_logged(client, source, run_id or "", model_id or "")
    path = _proxied(source)
    if path is None:
        return Source(source, run_id or _run_of(client, model_id or ""), model_id or "")
    return _of_proxy(client, source, path, run_id or "", model_id or "")


def _run_of(client: Client, model_id: str) -> str:
    """The run that logged a model, in the client's form; empty without a model."""
    if not model_id:
        return ""
    try:
        return client.models.logged(model_id).model.run_id.replace("-", "")
    except NotFound:
        raise no_model(model_id) from None


def _check_scheme(source: str) -> None:
    parts = urlparse(source)
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise invalid(f"Invalid source: '{source}'.")


def _check_relative(source: str) -> None:
    plain = source
    for _ in range(20):
        decoded = unquote_plus(plain)
        if decoded == plain:
            break
        plain = decoded
    path = re.sub(r"/+", "/", urlparse(plain).path.rstrip("/"))
    steps = "\x00" in path or ".." in plain.split("/")
    if steps or not path.startswith("/") or posixpath.normpath(path) != path:
        raise invalid(
            f"Invalid model version source: '{source}'. If supplying a source as an http, https, "
            "local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be "
            "provided without relative path references present. "
            "Please provide an absolute path."
        )


def _not_its_own(source: str, which: str) -> MlflowError:
    return invalid(
        f"Invalid model version source: '{source}'. The {which} request parameter must "
        "identify the resource that contains the source."
    )


def _names_logged(source: str) -> bool:
    return _MODEL_ID.fullmatch(urlparse(source).path.strip("/").partition("/")[0]) is not None


def _of_run(client: Client, source: str, run_id: str, model_id: str) -> Source:
    named, _, folder = urlparse(source).path.lstrip("/").partition("/")
    if model_id or not run_id or named != run_id:
        raise _not_its_own(source, "model_id" if model_id else "run_id")
    try:
        client.tracking.get(run_id)
    except NotFound:
        raise _not_its_own(source, "run_id") from None
    files = _files(RunShelf(client, run_id), folder)
    if not files:
        dashed = f"{run_id[:8]}-{run_id[8:12]}-{run_id[12:16]}-{run_id[16:20]}-{run_id[20:]}"
        quoted = folder.replace("'", "''")
        query = f"run_id = '{dashed}' AND name = '{quoted}'"
        found = client.models.search_logged(query, limit=1).models if folder else []
        if found:
            shelf = ModelShelf(client, found[0].id)
            return Source(source, run_id, "", _files(shelf, ""), location_of(client, found[0]))
    return Source(source, run_id, "", files)


def _of_logged(client: Client, source: str, run_id: str, model_id: str) -> Source:
    named, _, folder = urlparse(source).path.lstrip("/").partition("/")
    if model_id != named:
        raise _not_its_own(source, "model_id")
    try:
        held = client.models.logged(named)
    except NotFound:
        raise _not_its_own(source, "model_id") from None
    location = location_of(client, held) + (f"/{folder}" if folder else "")
    origin = run_id or held.model.run_id.replace("-", "")
    return Source(source, origin, named, _files(ModelShelf(client, named), folder), location)


def _of_version(client: Client, source: str, run_id: str | None, model_id: str | None) -> Source:
    """A version that is taken over from another model: a promotion."""
    parts = urlparse(source)
    if parts.netloc:
        raise invalid(
            f"Invalid model version source: '{source}'. Registered model sources must use the active model registry."
        )
    held = _version(client, source)
    origin = origin_of(held)
    if (run_id is not None and run_id != origin.run_id) or (model_id is not None and model_id != origin.model_id):
        raise invalid(
            f"Invalid model version source: '{source}'. The run_id and model_id request "
            "parameters must match the referenced model version."
        )
    files = tuple(client.models.files(f"model/{held.name}@{held.version}"))
    location = origin.location or held.source or f"mlflow-artifacts:/registry/{held.name}/{held.version}"
    return Source(f"models:/{held.name}/{held.version}", origin.run_id, origin.model_id, files, location)


def _version(client: Client, source: str) -> ModelVersion:
    path = unquote(urlparse(source).path.strip("/"))
    name, slash, suffix = path.partition("/")
    name, at, alias = name.partition("@") if not slash else (name, "", "")
    if not name or (not slash and not at) or "/" in suffix:
        raise _not_its_own(source, "model_id")
    model = find_model(client, name)
    if is_prompt(model):
        raise invalid(
            f"Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources."
        )
    if at:
        pointing = client.lineage.aliases("model", model.name)
        if alias not in pointing:
            raise invalid(f"Registered model alias {alias} not found.")
        return find_version(client, name, str(pointing[alias]))
    if suffix.isdigit():
        return find_version(client, name, suffix)
    quoted = name.replace("'", "''")
    staged = ""
    if suffix.lower() != "latest":
        staged = f" AND stage = '{suffix}'" if suffix.isalpha() else " AND version = 0"
    found = client.models.search_versions(f"name = '{quoted}'{staged}", order_by=["version DESC"], limit=1).versions
    if not found:
        raise internal(f"No versions of model with name '{name}' and stage '{suffix}' found")
    return found[0]


def _proxied(source: str) -> str | None:
    """The path of the artifact proxy that a source names, or None when it is a place of its own."""
    parts = urlparse(source)
    if parts.scheme == "mlflow-artifacts":
        return unquote(parts.path).strip("/")
    match = _PROXY.fullmatch(unquote(parts.path)) if parts.scheme in ("http", "https") else None
    return match[1].strip("/") if match else None


def _of_proxy(client: Client, source: str, path: str, run_id: str, model_id: str) -> Source:
    """Files behind the proxy: those of the run or the model that is named beside them, and of nobody else."""
    which = "model_id" if model_id else "run_id"
    whose = rf"(?:.*/)?models/{re.escape(model_id)}" if model_id else rf"(?:.*/)?{re.escape(run_id)}"
    if not (model_id or run_id) or not re.fullmatch(rf"{whose}/artifacts(/.*)?", path):
        raise _not_its_own(source, which)
    try:
        shelf, folder = find_shelf(client, path)
        return Source(source, run_id, model_id, _files(shelf, folder))
    except (MlflowError, MainspringError):
        raise _not_its_own(source, which) from None


def _files(shelf: Shelf, folder: str) -> tuple[File, ...]:
    """What is in a folder, by paths relative to it; a path that is a file is that file."""
    folder = folder.strip("/")
    prefix = f"{folder}/" if folder else ""
    held: list[Kept] = shelf.files(prefix)
    if not held and folder:
        held = [each for each in shelf.files(folder) if each.path == folder]
        prefix = f"{posixpath.dirname(folder)}/" if "/" in folder else ""
    return tuple(File(each.path[len(prefix) :], each.size, each.digest) for each in held)


