"""The operations that compare runs, and that say which parameters matter."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.operations import operation
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction
from mainspring.tracking.comparing import RunDiff, compare_runs
from mainspring.tracking.frames_out import batches, params_of
from mainspring.tracking.importance import ParamImportance, rate_params
from mainspring.tracking.query_language import parse_order, parse_query
from mainspring.tracking.query_sql import Keys, Scope
from mainspring.tracking.query_steps import reader_at_step
from mainspring.tracking.query_tree import Field
from mainspring.tracking.search import search_runs

__all__ = ["CompareOperations"]

_RUNS = 20_000
_COLUMNS = {"last": "last", "min": "minimum", "max": "maximum", "count": "count", "step": "step"}


class CompareOperations(RoomService):
    """Comparing runs."""

    @operation(permission="tracking:read")
    def diff(self, run_ids: list[str], *, baseline: str = "") -> RunDiff:
        """What differs between runs: parameters, metrics, tags, code, data and environment.

        Args:
            run_ids: Two to a hundred runs.
            baseline: The one that the others are measured against; the first when empty.
        """
        with self.store.read() as tx:
            return compare_runs(tx, run_ids, baseline=baseline, read=self.store.blobs.get)

    @operation(permission="tracking:read")
    def importance(
        self, metric: str, *, experiments: list[str] | None = None, query: str = "", limit: int = 2000
    ) -> list[ParamImportance]:
        """How much each parameter matters for a metric, over the runs that a filter finds; the most important first.

        Args:
            metric: A metric's name, or a field of the language: `min(metrics.loss)`, `metrics.loss@100`.
            experiments: Names of experiments; all of the workspace when empty.
            query: A filter in the language of the guide `searching-runs`.
            limit: How many runs at most, the latest first; up to 20,000.

        Raises:
            InvalidInput: fewer than twelve runs have the metric, or it is the same in all of them.
        """
        from mainspring.tracking.service_search import experiment_ids

        if not 1 <= limit <= _RUNS:
            raise InvalidInput(f"limit = {limit} is not from 1 to {_RUNS}")
        field = _metric(metric)
        tree = parse_query(query)
        with self.store.read() as tx:
            ids = experiment_ids(tx, experiments or [])
            numbers = search_runs(tx, tree, experiments=ids, limit=limit).numbers
            targets = _targets(tx, Keys(Scope(tx, ids)), field, numbers)
            chosen = [number for number in numbers if number in targets]
            params = params_of(tx, chosen)
        return rate_params([targets[number] for number in chosen], params)


def _metric(text: str) -> Field:
    """The metric that a text means: a field of the language, or a name by itself."""
    if text.lstrip().startswith(("metric.", "metrics.", "min(", "max(", "count(", "step(", "last(")):
        field = parse_order(text).field
        if field.space != "metric":
            raise InvalidInput(f"{text!r} is not a metric")
        return field
    if not text.strip():
        raise InvalidInput("a metric has a name")
    return Field("metric", text)


def _targets(tx: Transaction, keys: Keys, field: Field, numbers: Sequence[int]) -> dict[int, float]:
    """The finite values of a metric, by the number of the run."""
    if not keys.find("metric", field.name):
        within, params = keys.scope.part("experiment_id")
        rows = tx.rows(f"SELECT DISTINCT name FROM run_key WHERE {within} AND space = 'metric' LIMIT 20000", params)  # noqa: S608 -- of constants
        known = nearest(field.name, [name for (name,) in rows])
        raise NotFound(f"none of these runs has a metric {field.name!r}", known=known)
    if field.at is not None:
        wanted = set(numbers)
        values = reader_at_step(tx, keys)(field)
        return {run: value for run, value in values.items() if run in wanted and value - value == 0}
    key, params = keys.part("metric", field.name)
    column = _COLUMNS[field.part]
    found: dict[int, float] = {}
    for batch in batches(numbers):
        found |= dict(
            tx.rows(
                f"SELECT v.run, v.{column} FROM metric v WHERE v.run IN ({batch}) AND {key} AND v.{column} IS NOT NULL",  # noqa: S608 -- integers
                params,
            )
        )
    return found
