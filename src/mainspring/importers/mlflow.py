"""Importing everything of an MLflow server: experiments, runs with their histories and artifacts, registered models.

It is read over REST, so any version and any store behind it will do. A run that has not changed since it was imported
is not read again, so an import that was broken off goes on where it ended, and may be repeated until the day of moving.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from mainspring.importers.mlflow_models import import_models
from mainspring.importers.mlflow_rest import MlflowServer
from mainspring.importers.types import ForeignFile, ForeignRun, ImportReport
from mainspring.importers.values import number_of
from mainspring.importers.writing import Progress, write_runs
from mainspring.kernel.errors import NotFound
from mainspring.kernel.hashing import digest_value
from mainspring.lineage.types import RunStatus
from mainspring.tracking.chunks import Points

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["import_mlflow"]

_STATUS: dict[str, RunStatus] = {
    "RUNNING": "running",
    "SCHEDULED": "running",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "cancelled",
}
_NAMED = {
    "mlflow.user": "user",
    "mlflow.note.content": "note",
    "mlflow.runName": "title",
    "mlflow.parentRunId": "parent",
}
_PAGE = 200


def import_mlflow(
    client: Client,
    uri: str,
    *,
    experiments: list[str] | None = None,
    models: bool = True,
    progress: Progress | None = None,
) -> ImportReport:
    """Import an MLflow server; what was imported before, and has not changed, is left as it is.

    Args:
        client: Where to.
        uri: The address of the server: what `MLFLOW_TRACKING_URI` says.
        experiments: Only these, by name.
        models: Whether to import the registered models, too.
        progress: Told how many runs are done, and of how many.

    Raises:
        Unavailable: The server cannot be reached.
        NotFound: There is no experiment of that name.
    """
    report = ImportReport("mlflow")
    server = MlflowServer(uri)
    try:
        found = list(server.pages("POST", "experiments/search", "experiments", max_results=_PAGE, view_type="ALL"))
        missing = sorted(set(experiments or []) - {each["name"] for each in found})
        if missing:
            raise NotFound(f"{uri} has no experiment {missing[0]!r}", known=[each["name"] for each in found][:10])
        wanted = [each for each in found if experiments is None or each["name"] in experiments]
        runs = [(each, run) for each in wanted for run in _runs(server, each)]
        parents = {run["info"]["run_id"]: _parent(run) for _, run in runs}
        runs.sort(key=lambda pair: (_depth(pair[1], parents), int(pair[1]["info"].get("start_time", 0))))
        foreign = (_foreign(server, each["name"], run) for each, run in runs)
        here = write_runs(client, foreign, report, total=len(runs), progress=progress)
        for each in wanted:
            _describe(client, each, report)
        if models:
            import_models(client, server, here, report)
    finally:
        server.close()
    return report


def _runs(server: MlflowServer, experiment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return server.pages(
        "POST",
        "runs/search",
        "runs",
        experiment_ids=[experiment["experiment_id"]],
        run_view_type="ALL",
        max_results=_PAGE,
    )


def _foreign(server: MlflowServer, experiment: str, run: dict[str, Any]) -> ForeignRun:
    info, data = run["info"], run.get("data", {})
    run_id = info["run_id"]
    tags = {each["key"]: each.get("value", "") for each in data.get("tags", [])}
    named = {what: tags.get(tag, "") for tag, what in _NAMED.items()}
    metrics = sorted({each["key"] for each in data.get("metrics", [])})
    title = named["title"] or info.get("run_name", "")
    return ForeignRun(
        origin=f"mlflow:{run_id}",
        experiment=experiment,
        title=title,
        status=_STATUS.get(info.get("status", ""), "finished"),
        started_at=_moment(info.get("start_time", 0)),
        finished_at=_moment(info["end_time"]) if info.get("end_time") else None,
        fingerprint=digest_value("mlflow-run", [json.dumps(run, sort_keys=True)]),
        user=named["user"] or info.get("user_id", ""),
        note=named["note"],
        parent_origin=f"mlflow:{named['parent']}" if named["parent"] else "",
        params={each["key"]: each.get("value", "") for each in data.get("params", [])},
        tags={key: value for key, value in tags.items() if key not in _NAMED} | {"mlflow.runId": run_id},
        series=partial(_series, server, run_id, metrics),
        files=partial(_files, server, run_id, ""),
        deleted=info.get("lifecycle_stage") == "deleted",
    )


def _series(server: MlflowServer, run_id: str, metrics: list[str]) -> Iterator[tuple[str, Points]]:
    for key in metrics:
        points, seen = Points(), set[tuple[int, int, str]]()
        history = server.pages(
            "GET", "metrics/get-history", "metrics", run_id=run_id, metric_key=key, max_results=25_000
        )
        for each in history:
            step, at, value = int(each.get("step", 0)), int(each["timestamp"]), number_of(each.get("value", 0.0))
            if (step, at, repr(value)) not in seen:  # pages of one timestamp may overlap
                seen.add((step, at, repr(value)))
                points.add(step, at * 1000, float("nan") if value is None else value)
        yield key, points


def _files(server: MlflowServer, run_id: str, folder: str) -> Iterator[ForeignFile]:
    asked = {"run_id": run_id, **({"path": folder} if folder else {})}
    for each in list(server.pages("GET", "artifacts/list", "files", **asked)):
        path = each["path"]
        if each.get("is_dir"):
            yield from _files(server, run_id, path)
        else:
            yield ForeignFile(path, int(each.get("file_size", 0)), partial(server.run_file, run_id, path))


def _describe(client: Client, experiment: dict[str, Any], report: ImportReport) -> None:
    """The tags of an experiment; an empty one is made, so that nothing is missing."""
    name = experiment["name"]
    tags = {each["key"]: each.get("value", "") for each in experiment.get("tags", [])}
    tags["mlflow.experimentId"] = experiment["experiment_id"]
    note = tags.pop("mlflow.note.content", "")
    try:
        client.tracking.experiment(name)
    except NotFound:
        client.tracking.create_experiment(name)
    client.tracking.change_experiment(name, tags=tags, note=note or None)
    if name not in report.experiments:
        report.experiments.append(name)
    if experiment.get("lifecycle_stage") == "deleted":
        client.tracking.delete_experiment(name)


def _depth(run: dict[str, Any], parents: dict[str, str]) -> int:
    """How many parents a run has above it; they are written before it. A circle ends."""
    depth, at = 0, parents.get(run["info"]["run_id"], "")
    while at and depth < len(parents):
        depth, at = depth + 1, parents.get(at, "")
    return depth


def _parent(run: dict[str, Any]) -> str:
    tags = run.get("data", {}).get("tags", [])
    return next((str(each.get("value", "")) for each in tags if each["key"] == "mlflow.parentRunId"), "")


def _moment(milliseconds: Any) -> datetime:
    return datetime.fromtimestamp(int(milliseconds or 0) / 1000, UTC)
