"""The value of a metric at one step, for every run that has it: read from the chunks, since no column holds it."""

from __future__ import annotations

from mainspring.kernel.errors import TooLarge
from mainspring.store.transaction import Transaction
from mainspring.tracking.chunks import Points, decode_points
from mainspring.tracking.query_sql import AtStep, Keys
from mainspring.tracking.query_tree import Field

__all__ = ["reader_at_step"]

_BATCH = 500
_MOST = 50_000


def reader_at_step(tx: Transaction, keys: Keys) -> AtStep:
    """The reader that `compile_query` asks; it reads a field once for a question."""
    known: dict[Field, dict[int, float]] = {}

    def read(field: Field) -> dict[int, float]:
        if field not in known:
            known[field] = _read(tx, keys, field)
        return known[field]

    return read


def _read(tx: Transaction, keys: Keys, field: Field) -> dict[int, float]:
    if not keys.find("metric", field.name) or field.at is None:
        return {}
    key, params = keys.part("metric", field.name)
    runs = [run for (run,) in tx.rows(f"SELECT v.run FROM metric v WHERE {key}", params)]  # noqa: S608 -- of constants
    if len(runs) > _MOST:
        message = f"metrics.{field.name}@{field.at} would read the histories of {len(runs)} runs, more than {_MOST}"
        raise TooLarge(message, hint="name fewer experiments")
    found: dict[int, tuple[int, float]] = {}
    for start in range(0, len(runs), _BATCH):
        among = ", ".join(map(str, runs[start : start + _BATCH]))
        rows = tx.rows(
            f"SELECT v.run, v.points FROM metric_chunk v WHERE v.run IN ({among}) AND {key}"  # noqa: S608 -- integers
            " AND v.first_step <= ? AND v.last_step >= ? ORDER BY v.run, v.number",
            (*params, field.at, field.at),
        )
        for run, data in rows:
            hit = _at(decode_points(bytes(data)), field.at)
            if hit is not None and (run not in found or hit[0] >= found[run][0]):
                found[run] = hit
    return {run: value for run, (_, value) in found.items()}


def _at(points: Points, step: int) -> tuple[int, float] | None:
    """When the last value at the step was logged, and the value."""
    best: tuple[int, float] | None = None
    place = -1
    for _ in range(points.steps.count(step)):
        place = points.steps.index(step, place + 1)
        if best is None or points.times[place] >= best[0]:
            best = points.times[place], points.values[place]
    return best
