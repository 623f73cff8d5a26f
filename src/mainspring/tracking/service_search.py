"""The operations that find runs and experiments."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, MissingDependency, NotFound, nearest
from mainspring.kernel.operations import Download, operation
from mainspring.store.transaction import Transaction
from mainspring.tracking.experiments import load_experiments
from mainspring.tracking.frames_out import as_stream, runs_table
from mainspring.tracking.loading import load_runs
from mainspring.tracking.pages import decode_page, encode_page
from mainspring.tracking.query_language import parse_order, parse_query
from mainspring.tracking.query_order import after, build_ordering
from mainspring.tracking.query_sql import Keys, Scope, compile_query
from mainspring.tracking.query_tree import names_in, text_of
from mainspring.tracking.query_words import EXPERIMENT_WORDS
from mainspring.tracking.search import View, count_runs, search_runs
from mainspring.tracking.search_groups import Groups, group_runs
from mainspring.tracking.service_archive import ArchiveOperations
from mainspring.tracking.service_compare import CompareOperations
from mainspring.tracking.sql_view import SqlResult, run_sql
from mainspring.tracking.types import ExperimentPage, RunPage

if TYPE_CHECKING:
    import polars as pl

__all__ = ["KeyInfo", "SearchOperations", "experiment_ids"]

_EXPERIMENTS = 10_000
_STATUS = {"active": " AND r.status = 'active'", "deleted": " AND r.status = 'deleted'", "all": ""}


class KeyInfo(msgspec.Struct, frozen=True):
    """A name under which runs logged something."""

    space: Literal["metric", "param", "tag"]
    name: str
    runs: int | None = None
    """How many have it, where that was asked for."""
    numeric: bool = False
    """Whether some of its values read as numbers."""


class SearchOperations(CompareOperations, ArchiveOperations):
    """Finding runs and experiments."""

    @operation(permission="tracking:read")
    def search(
        self,
        query: str = "",
        *,
        experiments: list[str] | None = None,
        view: View = "active",
        order_by: list[str] | None = None,
        fields: list[str] | None = None,
        limit: int = 100,
        page: str = "",
        offset: int = 0,
    ) -> RunPage:
        """A page of runs that pass a filter, in an order: `search("metrics.auc > 0.9", order_by=["-metrics.auc"])`.

        Args:
            query: A filter in the language of the guide `searching-runs`; empty for all.
            experiments: Names of experiments; all of the workspace when empty.
            view: `active`, `deleted` or `all` runs.
            order_by: Keys such as `metrics.loss`, `params.depth DESC`, `-started_at`; then the latest start first. Runs
                without the value come last.
            fields: What to load of each run: `["metrics.loss", "params.*"]`; all of it when left out, nothing when
                empty.
            limit: At most 50,000.
            page: `next_page` of the page before.
            offset: How many runs to pass over after that, up to 1,000,000: for a jump. Pages that follow each other
                are quicker, and miss nothing that comes between them.
        """
        tree, orders = parse_query(query), [parse_order(each) for each in order_by or []]
        with self.store.read() as tx:
            ids = experiment_ids(tx, experiments or [])
            found = search_runs(
                tx, tree, experiments=ids, view=view, orders=orders, limit=limit, page=page, offset=offset
            )
            return RunPage(load_runs(tx, found.numbers, fields=fields), found.next_page, found.unknown)

    @operation(permission="tracking:read")
    def count(self, query: str = "", *, experiments: list[str] | None = None, view: View = "active") -> int:
        """How many runs pass a filter; none is loaded."""
        tree = parse_query(query)
        with self.store.read() as tx:
            return count_runs(tx, tree, experiments=experiment_ids(tx, experiments or []), view=view)

    @operation(permission="tracking:read")
    def group(
        self,
        query: str = "",
        *,
        by: list[str],
        fields: list[str] | None = None,
        experiments: list[str] | None = None,
        view: View = "active",
        limit: int = 500,
    ) -> Groups:
        """The runs that pass a filter, taken together by what they share: `group(by=["params.family"])`.

        Args:
            query: As for `search`.
            by: Parameters, tags, or `group`, `status`, `title`, `user`, `experiment`, `parent`.
            fields: Of what each group has the mean, the deviation and the extremes: `["metrics.loss",
                "min(metrics.loss)", "params.depth", "duration"]`.
            experiments: As for `search`.
            view: As for `search`.
            limit: How many groups at most, the largest first, up to 10,000.
        """
        tree = parse_query(query)
        keys, columns = ([parse_order(each).field for each in names] for names in (by, fields or []))
        with self.store.read() as tx:
            ids = experiment_ids(tx, experiments or [])
            return group_runs(tx, tree, experiments=ids, view=view, by=keys, fields=columns, limit=limit)

    @operation(permission="tracking:read")
    def experiments(
        self,
        query: str = "",
        *,
        view: View = "active",
        order_by: list[str] | None = None,
        limit: int = 1000,
        page: str = "",
    ) -> ExperimentPage:
        """A page of experiments that pass a filter, the newest first: `experiments("name ILIKE 'flight%'")`.

        Args:
            query: A filter over `name`, `experiment_id`, `status`, `note`, `location`, `created_at`, `updated_at`,
                `created_by` and `tags`.
            view: `active`, `deleted` or `all` experiments.
            order_by: Keys such as `name`, `-updated_at`, `tags.team`.
            limit: At most 50,000.
            page: `next_page` of the page before.
        """
        with self.store.read() as tx:
            return _experiments(tx, query, view=view, order_by=order_by or [], limit=limit, page=page)

    @operation(permission="tracking:read")
    def keys(
        self,
        *,
        experiments: list[str] | None = None,
        space: Literal["", "metric", "param", "tag"] = "",
        prefix: str = "",
        limit: int = 1000,
        counts: bool = False,
    ) -> list[KeyInfo]:
        """The names under which runs logged something, by space and name; of thousands, those that begin with `prefix`.

        Args:
            experiments: Names of experiments; all of the workspace when empty.
            space: Only metrics, parameters or tags.
            prefix: Only names that begin so.
            limit: At most 100,000.
            counts: Whether to count the runs of each, which reads an index entry for each value.
        """
        if not 1 <= limit <= 100_000:
            raise InvalidInput(f"limit = {limit} is not from 1 to 100,000")
        with self.store.read() as tx:
            scope = Scope(tx, experiment_ids(tx, experiments or []))
            return _keys(tx, scope, space=space, prefix=prefix, limit=limit, counts=counts)

    @operation(permission="tracking:read")
    def table(
        self,
        query: str = "",
        *,
        experiments: list[str] | None = None,
        view: View = "active",
        order_by: list[str] | None = None,
        fields: list[str] | None = None,
        limit: int = 50_000,
    ) -> Download:
        """`search` as an Arrow IPC stream: a row for each run, a typed column for each name; see `frame`."""
        tree, orders = parse_query(query), [parse_order(each) for each in order_by or []]
        with self.store.read() as tx:
            ids = experiment_ids(tx, experiments or [])
            found = search_runs(tx, tree, experiments=ids, view=view, orders=orders, limit=limit)
            return as_stream(runs_table(tx, found.numbers, fields=fields))

    @operation(permission="tracking:read")
    def sql(self, query: str, *, limit: int = 10_000) -> SqlResult:
        """One SELECT over the views `runs`, `metrics`, `params`, `tags`, `files` and `experiments` of this workspace.

        It can read nothing else and change nothing; its words are those of SQLite on every store.

        Args:
            query: The statement.
            limit: How many rows at most, up to 10,000.
        """
        return run_sql(self.store, query, limit=limit)

    # Below: what runs where the caller is, on both backends, composed of operations.

    def frame(
        self,
        query: str = "",
        *,
        experiments: Sequence[str] = (),
        view: View = "active",
        order_by: Sequence[str] = (),
        fields: Sequence[str] | None = None,
        limit: int = 50_000,
        kind: Literal["polars", "arrow", "pandas"] = "polars",
    ) -> Any:
        """`search` as a table: a row for each run; parameters typed, metrics as floats, what is missing as null.

        Args:
            query: As for `search`.
            experiments: As for `search`.
            view: As for `search`.
            order_by: As for `search`.
            fields: As for `search`.
            limit: How many runs at most, up to 50,000.
            kind: `polars` for a `polars.DataFrame`, `arrow` for a `pyarrow.Table`, `pandas` for a `pandas.DataFrame`.

        Raises:
            MissingDependency: Arrow or pandas was asked for and is not installed.
        """
        import polars as pl

        data = b"".join(
            self.table(
                query,
                experiments=list(experiments),
                view=view,
                order_by=list(order_by),
                fields=None if fields is None else list(fields),
                limit=limit,
            )
        )
        return _as_kind(pl.read_ipc_stream(io.BytesIO(data)), kind)


def experiment_ids(tx: Transaction, names: Sequence[str]) -> list[int] | None:
    """The ids of experiments by their names; None, for all, when none is named. Raises `NotFound` with the nearest."""
    if not names:
        return None
    found: dict[str, int] = {}
    for name in dict.fromkeys(names):
        number = tx.value("SELECT id FROM experiment WHERE workspace = ? AND name = ?", (tx.workspace, name))
        if number is None:
            rows = tx.rows("SELECT name FROM experiment WHERE workspace = ? LIMIT ?", (tx.workspace, _EXPERIMENTS))
            raise NotFound(f"there is no experiment {name!r}", known=nearest(name, [each for (each,) in rows]))
        found[name] = int(number)
    return list(found.values())


def _experiments(
    tx: Transaction, query: str, *, view: View, order_by: Sequence[str], limit: int, page: str
) -> ExperimentPage:
    if not 1 <= limit <= 50_000:
        raise InvalidInput(f"limit = {limit} is not from 1 to 50,000")
    tree = parse_query(query, EXPERIMENT_WORDS)
    orders = [parse_order(each, EXPERIMENT_WORDS) for each in order_by]
    if any(field.space == "tag" and field.at is not None for field in names_in(tree)):
        raise InvalidInput("a tag has no steps")
    keys = Keys(Scope(tx, None))
    sql, params = compile_query(tree, keys, tx, at_step=_no_steps, words=EXPERIMENT_WORDS)
    ordering = build_ordering(orders, keys, tx, at_step=_no_steps, words=EXPERIMENT_WORDS)
    question = ["experiments", text_of(tree) if tree else "", view, list(order_by)]
    last = decode_page(page, question, ordering.kinds) if page else []
    onwards = after(ordering.terms, last) if last else ("1 = 1", ())
    columns = "r.id, r.name, r.status, r.note, r.location, r.created_at, r.updated_at, r.created_by"
    values = ", ".join(term.sql for term in ordering.terms)
    rows = tx.rows(
        f"SELECT {columns}, {values} FROM experiment r {' '.join(join for join, _ in ordering.joins)}"  # noqa: S608 -- of constants
        f" WHERE r.workspace = ?{_STATUS[view]} AND {sql} AND {onwards[0]} ORDER BY {ordering.order_by} LIMIT ?",
        (*(each for _, some in ordering.joins for each in some), tx.workspace, *params, *onwards[1], limit + 1),
    )
    width = columns.count(",") + 1
    more = encode_page(question, rows[limit - 1][width:]) if len(rows) > limit else ""
    return ExperimentPage(load_experiments(tx, [row[:width] for row in rows[:limit]]), more)


def _no_steps(_: Any) -> dict[int, float]:
    return {}


def _keys(
    tx: Transaction,
    scope: Scope,
    *,
    space: Literal["", "metric", "param", "tag"],
    prefix: str,
    limit: int,
    counts: bool,
) -> list[KeyInfo]:
    within, params = scope.part("k.experiment_id")
    spaces: list[Literal["metric", "param", "tag"]] = [space] if space else ["metric", "param", "tag"]
    collation = ' COLLATE "C"' if tx.dialect == "postgres" else ""
    found: list[KeyInfo] = []
    for each in spaces:
        table = "metric" if each == "metric" else "run_value"
        runs = f"sum((SELECT count(*) FROM {table} v WHERE v.key = k.id))" if counts else "NULL"  # noqa: S608 -- of two names
        number = "EXISTS (SELECT 1 FROM run_value v WHERE v.key = k.id AND v.number IS NOT NULL)"
        numeric = "1" if each == "metric" else f"max(CASE WHEN {number} THEN 1 ELSE 0 END)"
        rows = tx.rows(
            f"SELECT k.name, {runs}, {numeric} FROM run_key k"  # noqa: S608 -- of constants
            f" WHERE {within} AND k.space = ? AND substr(k.name, 1, ?) = ?"
            f" GROUP BY k.name ORDER BY k.name{collation} LIMIT ?",
            (*params, each, len(prefix), prefix, limit - len(found)),
        )
        found += [
            KeyInfo(each, name, None if count is None else int(count), bool(number)) for name, count, number in rows
        ]
        if len(found) >= limit:
            break
    return found


def _as_kind(frame: pl.DataFrame, kind: str) -> Any:
    if kind == "polars":
        return frame
    try:
        return frame.to_arrow() if kind == "arrow" else frame.to_pandas()  # polars needs pyarrow for both
    except ImportError as error:
        raise MissingDependency(error.name or "pyarrow", extra="frames") from error
