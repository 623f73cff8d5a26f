"""A SELECT of anybody's over what their workspace tracked, and over nothing else.

On a SQLite store the statement runs on a connection of its own, whose authorizer refuses everything but reading the
views below and calling functions that are named here. The views are found under a name that nobody can know: SQLite
tells an authorizer through which view a table is read, and a common table expression may bear any name.

On PostgreSQL nothing comparable holds without a role that an administrator makes. There the tables that the statement
names are read by us, into an SQLite database in memory, and the statement runs there: the same words, the same walls.
"""

from __future__ import annotations

import contextlib
import math
import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import caller
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput, TooLarge

if TYPE_CHECKING:
    import apsw

    from mainspring.store.store import Store

__all__ = ["SQL_VIEWS", "SqlResult", "run_sql"]

_SECONDS = 10.0
_ROWS = 10_000
_BYTES = 16 << 20
_COPIED = 2_000_000
_STEPS = 5_000
_LONGEST = 50_000

_FUNCTIONS = frozenset(
    [
        "abs", "avg", "ceil", "ceiling", "coalesce", "concat", "concat_ws", "count", "cume_dist", "date",
        "datetime", "dense_rank", "exp", "first_value", "floor", "format", "glob", "group_concat", "ifnull",
        "iif", "instr", "json", "json_array_length", "json_extract", "json_group_array", "json_group_object",
        "json_type", "julianday", "lag", "last_value", "lead", "length", "like", "ln", "log", "log10", "log2",
        "lower", "ltrim", "max", "min", "mod", "nth_value", "ntile", "nullif", "percent_rank", "pow", "power",
        "rank", "regexp", "replace", "round", "row_number", "rtrim", "sign", "sqrt", "strftime", "string_agg",
        "substr", "substring", "sum", "time", "total", "trim", "trunc", "typeof", "unixepoch", "upper", "->",
        "->>",
    ]
)  # fmt: skip
_TABLE_FUNCTIONS = frozenset(["json_each", "json_tree"])
_BASES = frozenset(["experiment", "metric", "metric_chunk", "run_file", "run_key", "run_value", "tracked_run"])

_RUN = "JOIN tracked_run r ON r.number = v.run JOIN run_key k ON k.id = v.key WHERE {mine} AND r.deleted_at IS NULL"
_EXPERIMENT = "JOIN experiment e ON e.id = r.experiment_id AND e.workspace = r.workspace"
_VALUES = ("r.run_id", "k.name AS key", "v.text AS value", "v.number")
_VIEWS: dict[str, tuple[tuple[str, ...], str]] = {
    "runs": (
        ("r.run_id", "e.name AS experiment", "r.title", "r.user_name", "r.group_name", "r.status",
         "{r.started_at} AS started_at", "{r.finished_at} AS finished_at",
         "CAST(r.finished_at - r.started_at AS DOUBLE PRECISION) / 1000000 AS seconds", "r.parent_id", "r.note"),
        ("FROM tracked_run r JOIN experiment e ON e.id = r.experiment_id AND e.workspace = r.workspace WHERE {mine} AND"
         " r.deleted_at IS NULL"),
    ),
    "metrics": (
        ("r.run_id", "k.name AS key", "v.last", "v.special", "v.step", "v.minimum", "v.maximum", "v.count"),
        f"FROM metric v {_RUN} AND k.space = 'metric'",
    ),
    "params": (_VALUES, f"FROM run_value v {_RUN} AND k.space = 'param'"),
    "tags": (_VALUES, f"FROM run_value v {_RUN} AND k.space = 'tag'"),
    "chunks": (
        ("r.run_id", "k.name AS key", "v.number AS chunk", "v.count", "v.first_step", "v.last_step", "v.minimum",
         "v.maximum"),
        f"FROM metric_chunk v {_RUN} AND k.space = 'metric'",
    ),
    "files": (
        ("r.run_id", "v.path", "v.size", "v.media_type", "v.key", "v.step"),
        "FROM run_file v JOIN tracked_run r ON r.number = v.run WHERE {mine} AND r.deleted_at IS NULL",
    ),
    "experiments": (
        ("r.id", "r.name", "r.status", "r.note", "r.created_by", "{r.created_at} AS created_at"),
        "FROM experiment r WHERE {mine}",
    ),
}  # fmt: skip
SQL_VIEWS: dict[str, tuple[str, ...]] = {
    name: tuple(column.rpartition(" AS ")[2].rpartition(".")[2] for column in columns)
    for name, (columns, _) in _VIEWS.items()
}
"""The views that a statement may name, and their columns. Times are UTC texts, `2026-11-21 09:30:00.000`."""


class SqlResult(msgspec.Struct, frozen=True):
    """What a statement gave."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool = False
    """Whether there were more rows than the limit."""


def run_sql(store: Store, query: str, *, limit: int = _ROWS) -> SqlResult:
    """Run one SELECT of the caller's, within their workspace.

    Raises:
        InvalidInput: it is no single SELECT, or names something else than the views, or cannot be read.
        DeadlineExceeded: it took longer than ten seconds.
        TooLarge: the answer, or what had to be read for it, is too large.
    """
    if not 1 <= limit <= _ROWS:
        raise InvalidInput(f"limit = {limit} is not from 1 to {_ROWS}")
    if len(query) > _LONGEST or "\x00" in query:
        raise InvalidInput(f"a statement has at most {_LONGEST} characters, and none of them is U+0000")
    import apsw

    until = monotonic() + _SECONDS
    with _errors():
        if store.database.dialect == "sqlite":
            db = apsw.Connection(str(store.folder / "mainspring.db"))
            db.set_busy_timeout(10_000)
            _give_regexp(db)
            db.execute("PRAGMA temp_store = file; PRAGMA cache_size = -16000; PRAGMA trusted_schema = off")
            private = "v" + secrets.token_hex(16)
            try:
                for name in _VIEWS:
                    db.execute(
                        f"CREATE TEMP VIEW {private}_{name} AS {_select(name, 'sqlite', _quoted(caller().workspace))}"
                    )
                    db.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM temp.{private}_{name}")  # noqa: S608 -- names of our own
                return _run(db, query, limit=limit, until=until, private=private)
            finally:
                db.close()
        return _run_copied(store, query, limit=limit, until=until)


class _Wall:
    """The authorizer: what is not allowed here is refused. Remembers which views were read.

    Of a table that no column is read of, as in `SELECT count(*) FROM t`, SQLite tells neither schema nor view. Each
    base table gives a column to the views (its `INTEGER PRIMARY KEY` does not count), so that such a name is the
    caller's own: of a view, of a common table expression, or, and then it is refused, of a table.
    """

    def __init__(self, private: str, tables: Iterable[str] = ()) -> None:
        import apsw

        self._ok, self._deny = apsw.SQLITE_OK, apsw.SQLITE_DENY
        self._select, self._read, self._call = apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION
        self._private = private
        self._tables = {name.lower() for name in tables}
        self.read: set[str] = set()

    def __call__(
        self, action: int, first: str | None, second: str | None, schema: str | None, through: str | None
    ) -> int:
        if action == self._select:
            return self._ok
        if action == self._call:
            return self._ok if (second or "").lower() in _FUNCTIONS else self._deny
        if action != self._read or first is None:
            return self._deny
        if first.lower() in _TABLE_FUNCTIONS:
            return self._ok
        if not second and schema is None and first not in _VIEWS:
            own = first.lower() not in self._tables and not first.lower().startswith(("sqlite_", "pragma_"))
            return self._ok if own else self._deny
        if self._private and schema == "main":
            inside = first in _BASES and (through or "").startswith(self._private)
            return self._ok if inside else self._deny
        known = first in _VIEWS or (bool(self._private) and first.startswith(self._private))
        if known:
            self.read.add(first)
        own = schema in (("temp", None) if self._private else ("main", None))
        return self._ok if known and own else self._deny


def _run(db: apsw.Connection, query: str, *, limit: int, until: float, private: str) -> SqlResult:
    import apsw

    db.execute("PRAGMA query_only = on")
    for which, most in (
        (apsw.SQLITE_LIMIT_LENGTH, 4 << 20),
        (apsw.SQLITE_LIMIT_ATTACHED, 0),
        (apsw.SQLITE_LIMIT_EXPR_DEPTH, 100),
        (apsw.SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
        (apsw.SQLITE_LIMIT_VARIABLE_NUMBER, 0),
    ):
        db.limit(which, most)
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    db.set_progress_handler(lambda: monotonic() > until, _STEPS)
    tables = [
        name for (name,) in db.execute("SELECT name FROM main.sqlite_master UNION SELECT name FROM pragma_module_list")
    ]
    db.authorizer = _Wall(private, set(tables) - _TABLE_FUNCTIONS)
    cursor = db.cursor()
    columns: list[str] = []
    cursor.exec_trace = _one_statement(query, columns)
    rows: list[list[Any]] = []
    size = 0
    for row in cursor.execute(query):
        if len(rows) == limit:
            return SqlResult(columns, rows, truncated=True)
        rows.append([_plain(each) for each in row])
        size += sum(len(each) if isinstance(each, str) else 8 for each in row)
        if size > _BYTES:
            raise TooLarge(f"the answer has more than {_BYTES} bytes", hint="select fewer columns or rows")
    if not columns:
        raise InvalidInput("there is no statement", hint="SELECT ... FROM runs", known=SQL_VIEWS)
    return SqlResult(columns, rows)


def _give_regexp(db: apsw.Connection) -> None:
    """SQLite's own `REGEXP`, which never takes exponential time; where apsw came without it, there is none."""
    from apsw import sqlite_extra

    if sqlite_extra.has("regexp"):
        sqlite_extra.load(db, "regexp")


def _one_statement(query: str, columns: list[str]) -> Any:
    """Refuses a second statement before the first runs, and what is no query; fills in the names of the columns."""

    def trace(cursor: Any, sql: str, _: Any) -> bool:
        columns[:] = [str(each[0]) for each in cursor.get_description()]
        if cursor.is_explain or not columns:
            raise InvalidInput("only a SELECT is run here", known=SQL_VIEWS)
        rest = query[query.find(sql) + len(sql) :] if sql in query else query
        while (rest := rest.strip().lstrip(";").lstrip()).startswith(("--", "/*")):
            rest = rest.partition("\n" if rest.startswith("--") else "*/")[2]
        if rest:
            raise InvalidInput("one statement at a time", hint="a single SELECT")
        return True

    return trace


def _run_copied(store: Store, query: str, *, limit: int, until: float) -> SqlResult:
    """Run on a copy in memory of what the statement reads; first on empty tables, to see what that is."""
    wall = _Wall("")
    asked = _memory()
    asked.authorizer = wall
    asked.set_progress_handler(lambda: monotonic() > until, _STEPS)
    cursor = asked.cursor()
    cursor.exec_trace = _one_statement(query, [])
    for _ in cursor.execute(query):
        pass
    db = _memory()
    copied = 0
    for name in sorted(wall.read):
        wanted = SQL_VIEWS[name]  # all of them: SQLite does not tell which columns a `USING` reads
        with store.read() as tx:
            tx.rows(f"SET LOCAL statement_timeout = {int(_SECONDS * 1000)}")
            inner = _select(name, "postgres", "?")
            rows = tx.rows(
                f"SELECT {', '.join(wanted)} FROM ({inner}) AS v LIMIT {_COPIED - copied + 1}",  # noqa: S608 -- names of our own
                (tx.workspace,),
            )
        copied += len(rows)
        if copied > _COPIED:
            raise TooLarge(f"the statement reads more than {_COPIED} rows", hint="use search, frame or fewer views")
        marks = ", ".join("?" * len(wanted))
        with db:
            db.executemany(f"INSERT INTO {name} ({', '.join(wanted)}) VALUES ({marks})", rows)  # noqa: S608 -- names of our own
    try:
        return _run(db, query, limit=limit, until=until, private="")
    finally:
        db.close()


def _memory() -> apsw.Connection:
    import apsw

    db = apsw.Connection(":memory:")
    _give_regexp(db)
    for name, columns in SQL_VIEWS.items():
        db.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
    return db


def _select(name: str, dialect: str, workspace: str) -> str:
    columns, rest = _VIEWS[name]
    text = f"SELECT {', '.join(columns)} {rest}"
    for column in ("r.started_at", "r.finished_at", "r.created_at"):
        written = (
            f"strftime('%Y-%m-%d %H:%M:%f', {column} / 1000000.0, 'unixepoch')"
            if dialect == "sqlite"
            else f"to_char(to_timestamp({column} / 1000000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')"
        )
        text = text.replace("{" + column + "}", written)
    return text.replace("{mine}", f"r.workspace = {workspace}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(value: Any) -> Any:
    """A value that JSON can carry."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    import apsw

    try:
        yield
    except apsw.AuthError as error:
        raise InvalidInput(
            f"the statement does something that it may not: {error}", known=SQL_VIEWS, hint="SELECT ... FROM runs"
        ) from None
    except apsw.InterruptError:
        raise DeadlineExceeded(f"the statement took more than {_SECONDS:.0f} seconds", hint="read fewer rows") from None
    except apsw.TooBigError as error:
        raise TooLarge(f"the statement makes something too large: {error}") from None
    except (apsw.SQLError, apsw.BindingsError, apsw.RangeError, UnicodeEncodeError) as error:
        raise InvalidInput(f"the statement cannot be read: {error}", known=SQL_VIEWS) from None
