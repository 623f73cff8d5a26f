"""Data that stays where it is: linked, read again as it was, and refused when it is not."""

from __future__ import annotations

import datetime as dt

import apsw
import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable

FRAME = pl.DataFrame({"id": [1, 2, 3], "city": ["Ulm", 'Bad "Bonn"', None]})

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def data(any_client):
    return any_client.data


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "lake"
    made.mkdir()
    FRAME.write_parquet(made / "a.parquet")
    FRAME.write_parquet(made / "b.parquet")
    return made


def test_a_folder_is_linked_without_a_copy_and_read_as_it_was(data, folder):
    version = data.link("lake", str(folder), message="as delivered")
    assert (version.rows, list(version.schema), version.message) == (6, ["id", "city"], "as delivered")
    assert version.size < 2000
    assert_frame_equal(data.load("lake"), pl.concat([FRAME, FRAME]))
    assert_frame_equal(data.load("lake", path="b.parquet", columns=["id"]), FRAME.select("id"))
    assert data.link("lake", str(folder)).version == 1
    FRAME.reverse().write_parquet(folder / "b.parquet")
    with pytest.raises(Conflict, match="is not what it was"):
        data.load("lake@1")
    assert_frame_equal(data.load("lake@1", path="a.parquet"), FRAME)
    assert data.link("lake", str(folder)).version == 2
    assert data.load("lake").height == 6


def test_nothing_is_linked_where_nothing_is(data, tmp_path):
    with pytest.raises(NotFound):
        data.link("lake", str(tmp_path / "nothing"))
    with pytest.raises(InvalidInput):
        data.link("lake", str(tmp_path), kind="lakehouse")
    assert data.datasets() == []


def test_objects_of_a_bucket_are_linked_by_their_etags(data, s3_url):
    from mainspring.store.object_bucket import ObjectBucket

    bucket = ObjectBucket(s3_url)
    for name in ("t/a.parquet", "t/b.parquet"):
        bucket.put(name, parquet_bytes(FRAME))
    base, _, options = s3_url.partition("?")
    version = data.link("far", f"{base}/t?{options}")
    assert version.rows == 6
    assert [each.path for each in data.external("far").objects] == ["a.parquet", "b.parquet"]
    assert_frame_equal(data.load("far"), pl.concat([FRAME, FRAME]))
    bucket.put("t/b.parquet", parquet_bytes(FRAME.reverse()))
    version = data.link("far", f"{base}/t?{options}")
    assert version.version == 2
    assert_frame_equal(data.load("far@2", path="b.parquet"), FRAME.reverse())


def test_an_object_that_was_written_over_is_refused(client, s3_url):
    from mainspring.store.object_bucket import ObjectBucket

    bucket = ObjectBucket(s3_url)
    bucket.put("x/large.csv", b"n\n1\n")
    base, _, options = s3_url.partition("?")
    client.data.link("far", f"{base}/x?{options}")
    bucket.put("x/large.csv", b"n\n2\n")
    for copy in client.data.cache().folder.rglob("*.csv"):
        copy.unlink()
    with pytest.raises(Conflict, match=r"large\.csv"):
        client.data.load("far")


def test_a_delta_table_stays_at_its_version(data, tmp_path):
    import deltalake

    place = str(tmp_path / "delta")
    deltalake.write_deltalake(place, FRAME.to_arrow())
    first = data.link("delta", place)
    deltalake.write_deltalake(place, FRAME.to_arrow(), mode="append")
    assert data.link("delta", place).version == 2
    assert (first.rows, data.load("delta@1").height, data.load("delta@2").height) == (3, 3, 6)
    assert data.link("delta", place, version=0).version == 1
    with pytest.raises(NotFound):
        data.link("delta", place, version=7)
    diff = data.diff("delta@1", "delta@2")
    assert (diff.rows.added, diff.rows.removed) == (3, 0)


def test_an_iceberg_table_stays_at_its_snapshot(data, tmp_path):
    from pyiceberg.catalog.memory import InMemoryCatalog

    catalog = InMemoryCatalog("local", warehouse=(tmp_path / "warehouse").as_uri())
    catalog.create_namespace("sky")
    table = catalog.create_table("sky.cities", schema=FRAME.to_arrow().schema)
    table.append(FRAME.to_arrow())
    first = data.link("ice", table.metadata_location)
    table.append(FRAME.to_arrow())
    assert (first.rows, data.load("ice@1").height) == (3, 3)
    assert data.link("ice", table.metadata_location).rows == 6
    with pytest.raises(NotFound):
        data.link("ice", table.metadata_location, version=7)


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "sales.db"
    with apsw.Connection(str(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, city TEXT)")
        connection.execute("INSERT INTO orders VALUES (1, 'Ulm'), (2, NULL)")
    return path


def test_the_result_of_a_query_is_committed_or_linked(data, database):
    orders = data.sql(f"sqlite:///{database}", "SELECT * FROM orders ORDER BY id")
    assert data.commit("copy", orders).rows == 2
    assert data.link("orders", orders).rows == 2
    assert data.load("orders").to_dicts() == [{"id": 1, "city": "Ulm"}, {"id": 2, "city": None}]
    with apsw.Connection(str(database)) as connection:
        connection.execute("UPDATE orders SET city = 'Bonn' WHERE id = 2")
    with pytest.raises(Conflict, match="answers otherwise"):
        data.load("orders")
    assert data.load("copy").height == 2
    assert data.link("orders", orders).version == 2


def test_the_order_of_rows_is_no_part_of_a_result(data, database):
    for direction in ("ASC", "DESC"):
        data.link(direction, data.sql(f"sqlite:///{database}", f"SELECT * FROM orders ORDER BY id {direction}"))
    assert data.external("ASC").digest == data.external("DESC").digest


def test_a_query_cannot_write(data, database):
    with pytest.raises(InvalidInput):
        data.commit("x", data.sql(f"sqlite:///{database}", "DELETE FROM orders RETURNING id"))
    with pytest.raises(Unavailable):
        data.commit("x", data.sql(f"sqlite:///{database}.gone", "SELECT 1 AS n"))
    assert data.commit("all", data.sql(f"sqlite:///{database}", table="orders")).rows == 2


def test_duckdb_answers_too(data, tmp_path):
    with duckdb.connect(str(tmp_path / "duck.db")) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS n, DATE '2020-01-01' AS d FROM range(5)")
    url = f"duckdb:///{tmp_path / 'duck.db'}"
    data.link("duck", data.sql(url, "SELECT * FROM t"))
    assert data.load("duck").schema == {"n": pl.Int64, "d": pl.Date}
    (tmp_path / "beside.csv").write_text("secret\n1\n")
    beside, leak = tmp_path / "beside.csv", tmp_path / "leak.csv"
    for wrong in (
        "SELECT * FROM gone",
        f"SELECT * FROM read_csv('{beside}')",
        f"COPY t TO '{leak}'",
        f"SET enable_external_access = true; COPY t TO '{leak}'",
        "INSTALL httpfs",
    ):
        with pytest.raises(InvalidInput):
            data.link("no", data.sql(url, wrong))
    assert not leak.exists()


def test_postgresql_answers_with_its_types(client, postgres_url):
    query = """
        SELECT 1::int8 AS whole, 'x\\N,"y"'::text AS words, NULL::text AS nothing, ''::text AS empty, true AS flag,
            1.5::float8 AS real, 2.25::numeric AS number, DATE '1960-02-29' AS day, TIMESTAMP '2020-01-01 12:00' AS at,
            TIMESTAMPTZ '2020-01-01 12:00+02' AS moment, '\\xff00'::bytea AS raw, TIME '01:02:03.5' AS clock
        WHERE true"""
    (row,) = client.data.load(client.data.commit("pg", client.data.sql(postgres_url, query)).ref).to_dicts()
    assert row == {
        "whole": 1, "words": 'x\\N,"y"', "nothing": None, "empty": "", "flag": True, "real": 1.5, "number": 2.25,
        "day": dt.date(1960, 2, 29), "at": dt.datetime(2020, 1, 1, 12), "raw": b"\xff\x00",  # noqa: DTZ001
        "moment": dt.datetime(2020, 1, 1, 10, tzinfo=dt.UTC), "clock": dt.time(1, 2, 3, 500_000),
    }  # fmt: skip
    client.data.link("linked", client.data.sql(postgres_url, query.replace("WHERE true", "WHERE false")))
    assert client.data.load("linked").height == 0
    for wrong in ("SELECT 1 AS a, 2 AS a", "DROP TABLE artifact", "SELECT 1; DROP TABLE artifact", "SELECT nope"):
        with pytest.raises(InvalidInput):
            client.data.commit("no", client.data.sql(postgres_url, wrong))
    with pytest.raises(Unavailable):
        client.data.commit("no", client.data.sql("postgresql://nobody@127.0.0.1:1/x", "SELECT 1 AS n"))


def test_no_password_is_kept(client, postgres_url):
    url = postgres_url.replace("://", "://somebody:hunter2@", 1) if "@" not in postgres_url else postgres_url
    from mainspring.data.external.queries import without_password

    assert "hunter2" not in without_password(url)
    assert without_password("postgresql://me:pw@db:5432/x?sslmode=require") == "postgresql://me@db:5432/x?sslmode=require"
    assert without_password("postgresql://db/x?user=me&password=pw&a=b") == "postgresql://db/x?user=me&a=b"
    assert without_password("postgresql://me@db/x?sslpassword=pw") == "postgresql://me@db/x"


def parquet_bytes(frame):
    import io

    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
