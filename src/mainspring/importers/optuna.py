"""Importing Optuna's studies from any of its storages: each trial becomes a run of the kind `trial`.

params -> params        intermediate values -> metric `intermediate` by step        value(s) -> metric(s)
user attributes -> tags           PRUNED is finished with a tag, FAIL is failed, RUNNING and WAITING are left out
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mainspring.importers.types import ForeignRun, ImportReport
from mainspring.importers.writing import Progress, text_of, write_runs
from mainspring.kernel.clock import now, to_micros
from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound
from mainspring.kernel.hashing import digest_value
from mainspring.lineage.types import RunStatus
from mainspring.tracking.chunks import Points

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["import_optuna"]

_STATUS: dict[str, RunStatus] = {"COMPLETE": "finished", "PRUNED": "finished", "FAIL": "failed"}


def import_optuna(client: Client, storage: str, *, study: str = "", progress: Progress | None = None) -> ImportReport:
    """Import the trials of one study or of all; what was imported before is left as it is.

    Args:
        client: Where to.
        storage: A URL that Optuna knows (`sqlite:///study.db`), or the path of a journal file.
        study: Only this one.
        progress: Told how many trials are done, and of how many.

    Raises:
        NotFound: There is no such study.
        InvalidInput: Optuna cannot open the storage.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingDependency("optuna", extra="tune") from error
    report = ImportReport("optuna")
    try:
        opened = _open(storage)
        names = [each.study_name for each in optuna.get_all_study_summaries(opened, include_best_trial=False)]
        wanted = [name for name in names if study in ("", name)]
        studies = [optuna.load_study(study_name=name, storage=opened) for name in wanted]
    except Exception as error:  # what Optuna raises depends on the storage behind it
        raise InvalidInput(f"Optuna cannot open {storage!r}: {error}", hint="give its URL or journal file") from error
    if not studies:
        raise NotFound(f"there is no study {study!r} in {storage}" if study else f"{storage} has no study", known=names)
    ended = [
        (each, [trial for trial in each.get_trials(deepcopy=False) if trial.state.name in _STATUS]) for each in studies
    ]
    total = sum(len(trials) for _, trials in ended)
    runs = (_run(storage, each, trial) for each, trials in ended for trial in trials)
    write_runs(client, runs, report, total=total, progress=progress)
    for each, _ in ended:
        tags = {f"optuna.{key}": text_of(value) for key, value in each.user_attrs.items()}
        tags["optuna.directions"] = ",".join(direction.name.lower() for direction in each.directions)
        if each.study_name in report.experiments:
            client.tracking.change_experiment(each.study_name, tags=tags)
    return report


def _open(storage: str) -> Any:
    if "://" in storage:
        return storage
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(storage))


def _run(storage: str, study: Any, trial: Any) -> ForeignRun:
    state = trial.state.name
    tags = {key: text_of(value) for key, value in trial.user_attrs.items()}
    started = trial.datetime_start or trial.datetime_complete or now()
    return ForeignRun(
        origin=f"optuna:{storage}/{study.study_name}/{trial.number}",
        experiment=study.study_name,
        title=f"trial {trial.number}",
        status=_STATUS[state],
        started_at=started.astimezone() if started.tzinfo is None else started,
        finished_at=trial.datetime_complete.astimezone() if trial.datetime_complete else None,
        fingerprint=digest_value("optuna", [study.study_name, trial.number, state]),
        kind="trial",
        params=dict(trial.params),
        tags=tags | {"optuna.state": state.lower(), "optuna.number": str(trial.number)},
        series=lambda: _series(study, trial),
    )


def _series(study: Any, trial: Any) -> Iterator[tuple[str, Points]]:
    at = to_micros((trial.datetime_complete or trial.datetime_start or now()).astimezone())
    if trial.intermediate_values:
        steps = sorted(trial.intermediate_values)
        yield "intermediate", Points(steps, [at] * len(steps), [trial.intermediate_values[each] for each in steps])
    if trial.values:
        many = len(study.directions) > 1
        names = study.metric_names or ([f"value_{place}" for place in range(len(trial.values))] if many else ["value"])
        for name, value in zip(names, trial.values, strict=True):
            yield name, Points([trial.number], [at], [value])
