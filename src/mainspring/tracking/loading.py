"""Runs from their rows: whole, or with just those parameters, metrics and tags that somebody looks at."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.listing import runs_with_ids
from mainspring.store.transaction import Transaction
from mainspring.tracking.params import read_param
from mainspring.tracking.runs import find_run
from mainspring.tracking.tables import METRICS, RUNS, MetricRow, RunRow
from mainspring.tracking.types import Metric, TrackedRun

__all__ = ["load_run", "load_runs"]

_IN = 500
_SPACES = ("metrics", "params", "tags")


def load_run(tx: Transaction, run_id: str) -> TrackedRun:
    """The whole of one run; `NotFound` when there is none."""
    return load_runs(tx, [find_run(tx, run_id).number])[0]


def load_runs(tx: Transaction, numbers: Sequence[int], *, fields: Sequence[str] | None = None) -> list[TrackedRun]:
    """The runs with these numbers, in this order, in a number of queries that does not grow with the page.

    Args:
        tx: The caller's transaction.
        numbers: The runs.
        fields: What to load: `metrics.loss`, `params.*`, `tags.team`; all of it when None, nothing when empty.
    """
    rows: dict[int, RunRow] = {}
    for batch in _batches(numbers):
        rows |= {row.number: row for row in tx.fetch(RUNS, f"WHERE number IN ({_marks(batch)})", batch)}
    known = runs_with_ids(tx, [row.run_id for row in rows.values()])
    names = dict(tx.rows("SELECT id, name FROM experiment WHERE workspace = ?", (tx.workspace,)))
    forks = [row.forked_from for row in rows.values() if row.forked_from is not None]
    origins: dict[int, str] = {}
    for batch in _batches(forks):
        origins |= dict(tx.rows(f"SELECT number, run_id FROM tracked_run WHERE number IN ({_marks(batch)})", batch))  # noqa: S608 -- only marks
    keys = _keys(tx, sorted({row.experiment_id for row in rows.values()}), fields)
    params, tags = _values(tx, numbers, keys)
    metrics = _metrics(tx, rows, keys)
    return [
        TrackedRun(
            run=known[row.run_id],
            experiment=names.get(row.experiment_id, ""),
            experiment_id=row.experiment_id,
            title=row.title,
            user=row.user_name,
            group=row.group_name,
            note=row.note,
            source=row.source,
            deleted_at=from_micros(row.deleted_at) if row.deleted_at is not None else None,
            forked_from=origins.get(row.forked_from, "") if row.forked_from is not None else "",
            fork_step=row.fork_step,
            params=params.get(number, {}),
            tags=tags.get(number, {}),
            metrics=metrics.get(number, {}),
        )
        for number in numbers
        for row in [rows[number]]
    ]


def _keys(
    tx: Transaction, experiments: Sequence[int], fields: Sequence[str] | None
) -> dict[str, dict[int, str]] | None:
    """The keys that are wanted, by space, with their names; None for all."""
    if fields is None:
        return None
    wanted: dict[str, list[str]] = {space: [] for space in _SPACES}
    for field in fields:
        space, _, name = field.partition(".")
        if space not in wanted or not name:
            raise InvalidInput(f"{field!r} is not a field of runs", known=["metrics.<name>", "params.<name>", "tags.*"])
        wanted[space].append(name)
    found: dict[str, dict[int, str]] = {space: {} for space in _SPACES}
    if not any(wanted.values()) or not experiments:
        return found
    for space, patterns in wanted.items():
        plain = [each for each in patterns if "*" not in each]
        whole = len(plain) < len(patterns)
        condition = "" if whole else f" AND name IN ({_marks(plain)})"
        if not patterns:
            continue
        rows = tx.rows(
            f"SELECT id, name FROM run_key WHERE experiment_id IN ({_marks(experiments)}) AND space = ?{condition}",  # noqa: S608 -- only marks
            (*experiments, space[:-1], *([] if whole else plain)),
        )
        found[space] = {key: name for key, name in rows if any(_matches(name, each) for each in patterns)}
    return found


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or ("*" in pattern and fnmatchcase(name, pattern))


def _values(
    tx: Transaction, numbers: Sequence[int], keys: dict[str, dict[int, str]] | None
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, str]]]:
    params: dict[int, dict[str, Any]] = {}
    tags: dict[int, dict[str, str]] = {}
    wanted = None if keys is None else [*keys["params"], *keys["tags"]]
    for batch, among, extra in _questions(numbers, wanted):
        rows = tx.rows(
            "SELECT v.run, k.space, k.name, v.text, v.type FROM run_value v JOIN run_key k ON k.id = v.key"  # noqa: S608 -- only marks
            f" WHERE v.run IN ({_marks(batch)}){among} ORDER BY k.name",
            (*batch, *extra),
        )
        for run, space, name, text, kind in rows:
            if space == "param":
                params.setdefault(run, {})[name] = read_param(text, kind)
            else:
                tags.setdefault(run, {})[name] = text
    return params, tags


def _metrics(
    tx: Transaction, rows: dict[int, RunRow], keys: dict[str, dict[int, str]] | None
) -> dict[int, dict[str, Metric]]:
    found: dict[int, list[MetricRow]] = {}
    wanted = None if keys is None else list(keys["metrics"])
    for batch, among, extra in _questions(list(rows), wanted):
        where = f"WHERE run IN ({_marks(batch)}){among.replace('v.key', 'key')}"
        for each in tx.fetch(METRICS, where, (*batch, *extra)):
            found.setdefault(each.run, []).append(each)
    if keys is None:
        experiments = sorted({row.experiment_id for row in rows.values()})
        names = (
            dict(
                tx.rows(
                    f"SELECT id, name FROM run_key WHERE experiment_id IN ({_marks(experiments)}) AND space = 'metric'",  # noqa: S608 -- only marks
                    experiments,
                )
            )
            if experiments
            else {}
        )
    else:
        names = keys["metrics"]
    return {
        run: dict(sorted((names[each.key], _metric(rows[run].run_id, names[each.key], each)) for each in metrics))
        for run, metrics in found.items()
    }


def _metric(run_id: str, key: str, row: MetricRow) -> Metric:
    return Metric(
        run_id=run_id,
        key=key,
        count=row.count,
        step=row.step,
        at=from_micros(row.at),
        last=row.last,
        special=row.special,  # type: ignore[arg-type]  # written by us, one of the four
        minimum=row.minimum,
        maximum=row.maximum,
        first_step=row.first_step,
        chunks=row.chunks,
        mean=row.total / row.finite if row.finite else None,
    )


def _questions(numbers: Sequence[int], wanted: list[int] | None) -> list[tuple[Sequence[int], str, list[int]]]:
    """Batches of runs, each with the condition on keys and its parameters."""
    if wanted is not None and not wanted:
        return []
    among = "" if wanted is None else f" AND v.key IN ({_marks(wanted)})"
    return [(batch, among, wanted or []) for batch in _batches(numbers)]


def _batches(values: Sequence[Any]) -> list[Sequence[Any]]:
    return [values[start : start + _IN] for start in range(0, len(values), _IN)]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
