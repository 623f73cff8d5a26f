"""The result of a SQL query as a table, and the digest that says whether a query answers the same again.

Rows leave PostgreSQL by COPY, which is an order of magnitude faster than fetching them as Python objects, and SQLite
and DuckDB in their own ways, to a file first, so that what PostgreSQL and DuckDB answer may be larger than memory. A
query may be another's, for a linked version names it: what is run cannot write, and reaches nothing but its database.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from mainspring.data.external.types import QueryResult
from mainspring.engines.tables_sources import SqlTable
from mainspring.kernel.errors import Conflict, InvalidInput, MissingDependency, Unavailable
from mainspring.kernel.hashing import hasher

if TYPE_CHECKING:
    import polars as pl

__all__ = ["pin_query", "read_query", "rerun_query", "without_password"]

_NULL = "\\N-mainspring"
_ROWS = 50_000


def read_query(source: SqlTable, scratch: Path) -> pl.LazyFrame:
    """The rows of a table or a query, over a file in `scratch`.

    Raises:
        Unavailable: The database cannot be reached.
        InvalidInput: It refuses the query, or there is no way to a database of that kind.
    """
    readers: dict[str, Callable[[str, str, Path], pl.LazyFrame]] = {
        "postgresql": _read_postgres,
        "postgres": _read_postgres,
        "sqlite": _read_sqlite,
        "duckdb": _read_duckdb,
    }
    kind = urlsplit(source.url).scheme
    if kind not in readers:
        raise InvalidInput(f"{without_password(source.url)} is no database that is known", known=sorted(readers))
    return readers[kind](source.url, _select(source), scratch)


def pin_query(source: SqlTable, scratch: Path) -> tuple[QueryResult, pl.LazyFrame]:
    """What a query answers now, and its rows."""
    frame = read_query(source, scratch)
    digest, rows = _digest(frame)
    return QueryResult(url=without_password(source.url), query=_select(source), digest=digest, rows=rows), frame


def rerun_query(pinned: QueryResult, scratch: Path, *, url: str = "") -> pl.LazyFrame:
    """The rows again; raises `Conflict` when they are others than they were.

    Args:
        pinned: What the query answered.
        scratch: A folder for the rows.
        url: The database with what it takes to enter; as it was by default.
    """
    frame = read_query(SqlTable(url or pinned.url, query=pinned.query), scratch)
    digest, rows = _digest(frame)
    if digest != pinned.digest:
        raise Conflict(
            f"the query answers otherwise than when the version was made: {rows} rows now, {pinned.rows} then",
            hint="link it again to make a version of what it answers now; commit it to keep a copy",
        )
    return frame


def without_password(url: str) -> str:
    """A URL as it may be kept and shown."""
    parts = urlsplit(url)
    if parts.password is not None:
        user = f"{parts.username}@" if parts.username else ""
        parts = parts._replace(netloc=f"{user}{parts.netloc.rpartition('@')[2]}")
        url = urlunsplit(parts)
    kept = [each for each in parts.query.split("&") if "password" not in each.partition("=")[0].lower()]
    if len(kept) < len(parts.query.split("&")):
        url = urlunsplit(parts._replace(query="&".join(kept)))
    return url


def _select(source: SqlTable) -> str:
    if source.query:
        return source.query.strip().rstrip(";")
    parts = [part.replace('"', '""') for part in source.table.split(".")]
    return "SELECT * FROM " + ".".join(f'"{part}"' for part in parts)  # noqa: S608 -- quoted


def _read_postgres(url: str, query: str, scratch: Path) -> pl.LazyFrame:
    try:
        import psycopg
    except ModuleNotFoundError:
        raise MissingDependency("psycopg", extra="postgres") from None
    path = scratch / "query.csv"
    try:
        with psycopg.connect(url) as connection, connection.cursor() as cursor, path.open("wb") as file:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute("SET LOCAL timezone TO 'UTC'")
            cursor.execute(f"SELECT * FROM ({query}) AS answer LIMIT 0")  # noqa: S608 -- the user's own, read only
            columns = [(each.name, each.type_code) for each in cursor.description or ()]
            copy = f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER false, NULL '{_NULL}')"
            with cursor.copy(copy) as pieces:
                for piece in pieces:
                    file.write(piece)
    except psycopg.OperationalError as error:
        raise Unavailable(f"{without_password(url)} cannot be reached: {error}") from error
    except psycopg.Error as error:
        raise InvalidInput(f"the database refuses the query: {str(error).partition(chr(10))[0]}") from error
    return _typed(path, columns)


def _typed(path: Path, columns: list[tuple[str, int]]) -> pl.LazyFrame:
    """PostgreSQL's texts as values, by the numbers of its types; types that Polars has not stay text."""
    import polars as pl

    schema: dict[str, Any] = {name: pl.String for name, _ in columns}
    if len(schema) < len(columns):
        raise InvalidInput("two columns of the answer have one name", hint="name them with AS")
    whole: dict[int, Any] = {20: pl.Int64, 21: pl.Int16, 23: pl.Int32, 26: pl.UInt32}
    whole |= {700: pl.Float32, 701: pl.Float64, 1700: pl.Float64}
    made: list[pl.Expr] = []
    for name, code in columns:
        text = pl.col(name)
        if code in whole:
            made.append(text.cast(whole[code]))
        elif code == 16:
            made.append(text == "t")
        elif code == 1082:
            made.append(text.str.to_date("%Y-%m-%d"))
        elif code == 1083:
            made.append(text.str.to_time("%H:%M:%S%.f"))
        elif code == 1114:
            made.append(text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us"))
        elif code == 1184:
            made.append(text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_unit="us", time_zone="UTC"))
        elif code == 17:
            made.append(text.str.strip_prefix("\\x").str.decode("hex"))
        else:
            made.append(text)
    if path.stat().st_size == 0:
        return pl.LazyFrame(schema=schema).with_columns(made)
    rows = pl.scan_csv(path, has_header=False, schema=schema, null_values=_NULL, empty_string_is_null=False)
    return rows.with_columns(made)


def _read_sqlite(url: str, query: str, scratch: Path) -> pl.LazyFrame:
    import apsw
    import polars as pl

    path = scratch / "query.parquet"
    try:
        file = urlsplit(url).path.removeprefix("/")
        connection = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise Unavailable(f"{url} cannot be opened: {error}") from error
    try:
        cursor = connection.execute(query)
        names = [name for name, _ in cursor.get_description()]
        rows = cursor.fetchall()
        frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    except apsw.ExecutionCompleteError:
        columns = [each[0] for each in connection.execute(f"SELECT * FROM ({query}) LIMIT 0").description or ()]  # noqa: S608
        frame = pl.DataFrame(schema=columns)
    except apsw.Error as error:
        raise InvalidInput(f"the database refuses the query: {error}") from error
    finally:
        connection.close()
    frame.write_parquet(path)
    return pl.scan_parquet(path)


def _read_duckdb(url: str, query: str, scratch: Path) -> pl.LazyFrame:
    try:
        import duckdb
    except ModuleNotFoundError:
        raise MissingDependency("duckdb", extra="data") from None
    import polars as pl

    path = scratch / "query.parquet"
    try:
        with duckdb.connect(urlsplit(url).path.removeprefix("/"), read_only=True) as connection:
            inside = str(scratch).replace("'", "''")
            connection.execute(f"SET allowed_directories = ['{inside}/']")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.sql(query).write_parquet(str(path))
    except duckdb.IOException as error:
        raise Unavailable(f"{url} cannot be opened: {error}") from error
    except duckdb.Error as error:
        raise InvalidInput(f"the database refuses the query: {str(error).partition(chr(10))[0]}") from error
    return pl.scan_parquet(path)


def _digest(frame: pl.LazyFrame) -> tuple[str, int]:
    """BLAKE3 over names, types and the sorted rows as CSV text, which no version of a library writes otherwise."""
    import polars as pl

    schema = frame.collect_schema()
    plain = frame.with_columns(
        pl.col(name).cast(pl.List(pl.String)).list.join(",") for name, dtype in schema.items() if dtype.is_nested()
    )
    plain = plain.with_columns(pl.col(name).bin.encode("hex") for name, dtype in schema.items() if dtype == pl.Binary)
    found, rows = hasher(), 0
    found.update("\n".join(f"{name} {dtype}" for name, dtype in schema.items()).encode())
    ordered = plain.sort(schema.names(), nulls_last=False)
    for batch in ordered.collect_batches(chunk_size=_ROWS, maintain_order=True, engine="streaming"):
        rows += batch.height
        text = batch.write_csv(include_header=False, null_value=_NULL, quote_style="non_numeric")
        found.update(text.encode())
    return found.hexdigest(), rows
