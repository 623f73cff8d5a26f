"""Importing the registry of an MLflow server: names, versions with their files, aliases, tags, stages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.importers.mlflow_rest import MlflowServer
from mainspring.importers.types import ForeignFile, ImportReport
from mainspring.kernel.errors import AlreadyExists, MainspringError, NotFound
from mainspring.lineage.types import File

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["import_models"]

_ORIGIN = "import.origin"


def import_models(client: Client, server: MlflowServer, runs: dict[str, str], report: ImportReport) -> None:
    """Import every registered model; versions that are here already are left as they are.

    Args:
        client: Where to.
        server: The server.
        runs: The ids here of the imported runs, by origin: what made a version is known by it.
        report: What was brought is counted here, what could not be brought is told here.
    """
    for model in list(server.pages("GET", "registered-models/search", "registered_models", max_results=100)):
        try:
            _import_model(client, server, model, runs, report)
        except MainspringError as error:
            report.problems.append(f"model {model['name']}: {error.message}")


def _import_model(
    client: Client, server: MlflowServer, model: dict[str, Any], runs: dict[str, str], report: ImportReport
) -> None:
    name, tags = model["name"], _tags(model)
    try:
        client.models.create(name, description=model.get("description", ""), tags=tags)
        report.models += 1
    except AlreadyExists:
        pass
    numbers = _known(client, name)
    query = "name='" + name.replace("'", "''") + "'"
    versions = list(server.pages("GET", "model-versions/search", "model_versions", filter=query, max_results=200))
    for version in sorted(versions, key=lambda each: int(each["version"])):
        origin = f"mlflow:{name}/{version['version']}"
        if origin not in numbers:
            try:
                numbers[origin] = _import_version(client, server, version, origin, runs, report)
            except MainspringError as error:
                report.problems.append(f"model {name} version {version['version']}: {error.message}")
    for alias in model.get("aliases", []):
        number = numbers.get(f"mlflow:{name}/{alias['version']}")
        if number is not None:
            client.models.alias(name, alias["alias"], number)


def _known(client: Client, name: str) -> dict[str, int]:
    try:
        return {
            each.tags[_ORIGIN]: each.version
            for each in client.models.versions(name, limit=1000)
            if _ORIGIN in each.tags
        }
    except NotFound:
        return {}


def _import_version(
    client: Client,
    server: MlflowServer,
    version: dict[str, Any],
    origin: str,
    runs: dict[str, str],
    report: ImportReport,
) -> int:
    files = []
    for each in _files(server, version):
        blob = client.storage.put_blob(each.read())
        files.append(File(each.path, blob.size, blob.digest))
        report.files += 1
        report.bytes += blob.size
    if not files:
        raise NotFound(f"no file can be read at {version.get('source', '')!r} through the server")
    made = client.models.register(
        version["name"],
        files=files,
        run_id=runs.get(f"mlflow:{version.get('run_id', '')}", ""),
        description=version.get("description", ""),
        tags=_tags(version) | {_ORIGIN: origin, "mlflow.version": version["version"]},
    )
    stage = version.get("current_stage", "None")
    if stage not in ("None", ""):
        client.models.set_stage(f"{made.name}@{made.version}", stage)
    report.versions += 1
    return made.version


def _files(server: MlflowServer, version: dict[str, Any]) -> Iterator[ForeignFile]:
    """The files of a version: of the logged model or the run that it was registered from."""
    source = version.get("source", "")
    model_id = version.get("model_id") or _after(source, "models:/") or _between(source, "/models/", "/artifacts")
    if model_id.startswith("m-"):
        yield from _logged_model(server, model_id, "")
        return
    run_id = version.get("run_id", "")
    if not run_id:
        return
    root = server.get("artifacts/list", run_id=run_id).get("root_uri", "")
    path = _after(source, f"runs:/{run_id}/") or _after(source, root.rstrip("/") + "/")
    if path:
        yield from _run_files(server, run_id, path, path)


def _logged_model(server: MlflowServer, model_id: str, folder: str) -> Iterator[ForeignFile]:
    asked = {"artifact_directory_path": folder} if folder else {}
    address = f"logged-models/{model_id}/artifacts/directories"
    for each in list(server.pages("GET", address, "files", **asked)):
        path = each["path"]
        if each.get("is_dir"):
            yield from _logged_model(server, model_id, path)
        else:
            yield ForeignFile(path, None, partial(server.logged_model_file, model_id, path))


def _run_files(server: MlflowServer, run_id: str, folder: str, root: str) -> Iterator[ForeignFile]:
    for each in list(server.pages("GET", "artifacts/list", "files", run_id=run_id, path=folder)):
        path = each["path"]
        if each.get("is_dir"):
            yield from _run_files(server, run_id, path, root)
        else:
            yield ForeignFile(path.removeprefix(root).lstrip("/"), None, partial(server.run_file, run_id, path))


def _tags(entity: dict[str, Any]) -> dict[str, str]:
    tags: Iterable[dict[str, str]] = entity.get("tags", [])
    return {each["key"]: each.get("value", "") for each in tags}


def _after(text: str, start: str) -> str:
    return text[len(start) :] if start and text.startswith(start) else ""


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]
