"""PostgreSQL against the conformance suite; it is only read."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import pytest

from mainspring.engines import tables as t
from mainspring.kernel.errors import InvalidInput, NotFound, Unavailable

_spec = importlib.util.spec_from_file_location("table_conformance", Path(__file__).with_name("table_conformance.py"))
conformance = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conformance)

TYPES = {
    pl.Int64: "BIGINT", pl.Int32: "INTEGER", pl.Float64: "DOUBLE PRECISION", pl.String: "TEXT", pl.Boolean: "BOOLEAN",
    pl.Date: "DATE", pl.Decimal: "NUMERIC(10, 2)",
}  # fmt: skip


def type_of(dtype):
    if dtype == pl.Datetime:
        return "TIMESTAMPTZ" if dtype.time_zone else "TIMESTAMP"
    if dtype == pl.List:
        return "BIGINT[]"
    return "pair" if dtype == pl.Struct else next(name for each, name in TYPES.items() if dtype == each)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def load(connection, name, frame):
    columns = ", ".join(f"{quoted(column)} {type_of(dtype)}" for column, dtype in frame.schema.items())
    connection.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
    connection.execute(f"CREATE TABLE {quoted(name)} ({columns})")
    marks = ", ".join(["%s"] * frame.width)
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {quoted(name)} VALUES ({marks})", frame.rows())


@pytest.fixture(scope="module")
def database(postgres_server):
    """A database whose collation would sort text otherwise than by code point, if it were asked."""
    import psycopg

    name = f"tables_{os.getpid()}"
    with psycopg.connect(f"host={postgres_server} user=mainspring dbname=postgres", autocommit=True) as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"
        )
        yield f"postgresql:///{name}?host={postgres_server}&user=mainspring"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


class TestPostgres(conformance.TableConformance):
    ordered = False

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, database):
        import psycopg

        made = []

        def make(frame, others):
            made.append(frame)
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("SET timezone = 'America/New_York'")
                for name, each in {"table": frame, **others}.items():
                    load(connection, f"{name}{len(made)}", each)
            tables = {name: t.SqlTable(database, table=f"public.{name}{len(made)}") for name in others}
            return t.open_table(t.SqlTable(database, table=f"table{len(made)}"), others=tables)

        return make

    def test_nested_values_are_grouped_and_shown(self, database):
        import psycopg

        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE TABLE nested (l BIGINT[], j JSONB, u UUID, e TEXT)")
            connection.execute(
                "INSERT INTO nested VALUES ('{1,2}', '{\"a\": 1}', gen_random_uuid(), 'x'), ('{1,2}', NULL, NULL, NULL)"
            )
        table = t.open_table(t.SqlTable(database, table="nested"))
        assert [kind.kind for kind in table.schema().values()] == ["list", "text", "text", "text"]
        asked = [t.Distinct(columns=("l",)), t.Count(predicate=t.FitsJsonSchema("j", '{"required":["a"]}')),
                 t.Count(predicate=t.Length("u", 36, 36)), t.Frequent(column="l")]  # fmt: skip
        assert list(table.compute(asked).values()) == [1, 1, 1, [[[1, 2], 2]]]


def test_a_query_is_a_table_and_nothing_else(database):
    table = t.open_table(t.SqlTable(database, query="SELECT g AS x FROM generate_series(1, 10) AS g WHERE g > 3"))
    assert list(table.compute([t.Count(), t.Aggregate(column="x", function="sum")]).values()) == [7, 49]
    with pytest.raises(InvalidInput, match="not a query"):
        t.open_table(t.SqlTable(database, query="DROP TABLE x"))
    with pytest.raises(InvalidInput):
        t.open_table(t.SqlTable(database, query="SELECT 1 AS x) AS s; COMMIT; CREATE TABLE evil (x INT); --")).schema()
    with pytest.raises(InvalidInput, match="cannot answer"):
        t.open_table(t.SqlTable(database, query="SELECT nextval('none') AS x")).compute([t.Count()])
    with pytest.raises(InvalidInput, match="does not exist"):
        t.open_table(t.SqlTable(database, table='x"; DROP TABLE y; --')).schema()


def test_the_server_aggregates_and_one_query_answers_all_that_shares_a_scan(database, monkeypatch):
    from mainspring.engines import tables_postgres

    asked = []
    execute = tables_postgres._PostgresSession.run
    monkeypatch.setattr(
        tables_postgres._PostgresSession, "run", lambda self, sql: asked.append(sql) or execute(self, sql)
    )
    table = t.open_table(t.SqlTable(database, query="SELECT g AS x, g % 7 AS y FROM generate_series(1, 1000) AS g"))
    metrics = [t.Count(), *(t.Quantile(column="x", q=q) for q in (0.1, 0.5, 0.9)), t.Distinct(columns=("y",)),
               t.Count(predicate=t.Between("x", 1, 5)), t.Aggregate(column="y", function="mean")]  # fmt: skip
    table.schema()
    asked.clear()
    answers = list(table.compute(metrics).values())
    assert answers == [1000, pytest.approx(100.9), 500.5, pytest.approx(900.1), 7, 5, pytest.approx(3.003)]
    assert len(asked) == 1
    assert asked[0].count("percentile_cont") == 1


def test_a_server_that_is_away_is_said_so():
    with pytest.raises(Unavailable, match="cannot be reached"):
        t.open_table(t.SqlTable("postgresql:///none?host=/nowhere", table="x")).compute([t.Count()])


def test_sqlite_files_are_read_and_never_written(tmp_path):
    import sqlite3

    file = tmp_path / "a b.db"
    with sqlite3.connect(file) as connection:
        connection.execute('CREATE TABLE "odd ""name" (x INT, s TEXT, m)')
        connection.executemany(
            'INSERT INTO "odd ""name" VALUES (?, ?, ?)', [(1, "é", 1), (2, None, "two"), (None, "c", 3.5)]
        )
    connection.close()
    table = t.open_table(t.SqlTable(f"sqlite:///{file}", table='odd "name'))
    assert list(
        table.compute(
            [t.Count(), t.Aggregate(column="x", function="sum"), t.Count(predicate=t.In("m", ("two", "3.5")))]
        ).values()
    ) == [3, 3, 2]
    narrow = t.SqlTable(f"sqlite:///{file}", query='SELECT x FROM "odd ""name" WHERE x > 1')
    assert t.open_table(narrow).compute([t.Count()])[t.Count()] == 1
    with pytest.raises(InvalidInput):
        t.open_table(t.SqlTable(f"sqlite:///{file}", query="DROP TABLE x"))
    with pytest.raises(NotFound):
        t.open_table(t.SqlTable(f"sqlite:///{tmp_path}/none.db", table="x"))
    with pytest.raises(InvalidInput, match="either a table or a query"):
        t.SqlTable("sqlite:///x")
    assert urlsplit(f"sqlite:///{file}").scheme == "sqlite"
