"""Runs as a table: a row for each run, a typed column for each parameter, metric and tag; missing is null.

Built by columns from the narrow tables of latest values, without a run object in between, and sent as an Arrow stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput
from mainspring.store.transaction import Transaction
from mainspring.tracking.params import read_param

if TYPE_CHECKING:
    import polars as pl

__all__ = ["as_stream", "batches", "params_of", "runs_table"]

_IN = 500
_PLAIN = (
    "r.number, r.run_id, e.name, r.title, r.user_name, r.group_name, r.status, r.started_at, r.finished_at,"
    " r.parent_id, r.note"
)
_SPACES = {"metrics": "metric", "params": "param", "tags": "tag"}


def runs_table(tx: Transaction, numbers: Sequence[int], *, fields: Sequence[str] | None = None) -> pl.DataFrame:
    """The table of the runs with these numbers, in this order.

    Args:
        tx: The caller's transaction.
        numbers: The runs.
        fields: Which columns of what was logged: `metrics.loss`, `params.*`; all of them when None.
    """
    import polars as pl

    places = {number: place for place, number in enumerate(numbers)}
    plain: list[tuple[Any, ...]] = [()] * len(numbers)
    experiments = set()
    for batch in batches(numbers):
        for row in tx.rows(
            f"SELECT {_PLAIN}, r.experiment_id FROM tracked_run r JOIN experiment e ON e.id = r.experiment_id"  # noqa: S608 -- integers
            f" WHERE r.number IN ({batch})"
        ):
            plain[places[row[0]]] = row[1:11]
            experiments.add(row[11])
    columns = _plain_columns(plain)
    names = _names(tx, sorted(experiments), fields)
    chosen = {key: f"{space}s.{name}" for key, (space, name) in names.items()}
    among = "" if fields is None else f" AND v.key IN ({', '.join(map(str, names)) or 'NULL'})"
    metrics: dict[str, list[Any]] = {}
    values: dict[str, list[Any]] = {}
    for batch in batches(numbers):
        where = f"WHERE v.run IN ({batch}){among}"
        for run, key, last, special in tx.rows(f"SELECT v.run, v.key, v.last, v.special FROM metric v {where}"):  # noqa: S608 -- integers
            column = metrics.setdefault(chosen[key], [None] * len(numbers))
            column[places[run]] = float(special) if special else last
        for run, key, text, kind in tx.rows(f"SELECT v.run, v.key, v.text, v.type FROM run_value v {where}"):  # noqa: S608 -- integers
            column = values.setdefault(chosen[key], [None] * len(numbers))
            column[places[run]] = read_param(text, kind) if names[key][0] == "param" else text
    columns += [pl.Series(name, metrics[name], dtype=pl.Float64) for name in sorted(metrics)]
    columns += [typed_series(name, values[name]) for name in sorted(values)]
    return pl.DataFrame(columns)


def params_of(tx: Transaction, numbers: Sequence[int]) -> dict[str, list[Any]]:
    """The parameters of runs by name, a list of values each, None where a run has none."""
    places = {number: place for place, number in enumerate(numbers)}
    found: dict[str, list[Any]] = {}
    for batch in batches(numbers):
        for run, name, text, kind in tx.rows(
            "SELECT v.run, k.name, v.text, v.type FROM run_value v JOIN run_key k ON k.id = v.key"  # noqa: S608 -- integers
            f" WHERE v.run IN ({batch}) AND k.space = 'param'"
        ):
            found.setdefault(name, [None] * len(numbers))[places[run]] = read_param(text, kind)
    return found


def as_stream(frame: pl.DataFrame) -> Iterator[bytes]:
    """A table as an Arrow IPC stream."""
    import io

    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer, compression="zstd")
    data = buffer.getvalue()
    return iter([data[start : start + (1 << 20)] for start in range(0, len(data), 1 << 20)])


def typed_series(name: str, values: list[Any]) -> pl.Series:
    """A column of parameters: of integers, numbers, booleans, or of texts where they differ."""
    import polars as pl

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or abs(value) < 1 << 63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds and kinds <= {int, float} and all(value is None or abs(value) < 1 << 1023 for value in values):
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    return pl.Series(name, [None if value is None else _text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain_columns(rows: list[tuple[Any, ...]]) -> list[pl.Series]:
    import polars as pl

    turned = list(zip(*rows, strict=True)) if rows else [()] * 10
    found = []
    for name, column in zip(
        ("run_id", "experiment", "title", "user", "group", "status", "started_at", "finished_at", "parent", "note"),
        turned,
        strict=True,
    ):
        if name.endswith("_at"):
            found.append(pl.Series(name, column, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")))
        else:
            found.append(pl.Series(name, [value or None for value in column], dtype=pl.String))
    return found


def _names(tx: Transaction, experiments: Sequence[int], fields: Sequence[str] | None) -> dict[int, tuple[str, str]]:
    wanted = [("*", "*")] if fields is None else [_field(each) for each in fields]
    if not experiments or not wanted:
        return {}
    rows = tx.rows(f"SELECT id, space, name FROM run_key WHERE experiment_id IN ({', '.join(map(str, experiments))})")  # noqa: S608 -- integers
    return {
        key: (space, name)
        for key, space, name in rows
        if any(
            of in ("*", space) and (pattern == name or ("*" in pattern and fnmatchcase(name, pattern)))
            for of, pattern in wanted
        )
    }


def _field(text: str) -> tuple[str, str]:
    prefix, _, name = text.partition(".")
    if prefix not in _SPACES or not name:
        raise InvalidInput(f"{text!r} is not a field of runs", known=["metrics.<name>", "params.<name>", "tags.*"])
    return _SPACES[prefix], name


def batches(numbers: Sequence[int]) -> Iterable[str]:
    """Numbers of runs, in lists that a statement can carry."""
    return [", ".join(map(str, numbers[start : start + _IN])) for start in range(0, len(numbers), _IN)]
