"""Polars and DuckDB against the conformance suite, and against each other on tables that nobody thought of."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import duckdb
import pytest

from mainspring.engines import tables as t
from mainspring.engines.tables_duckdb import DuckTable
from mainspring.kernel.errors import InvalidInput

_spec = importlib.util.spec_from_file_location("table_conformance", Path(__file__).with_name("table_conformance.py"))
conformance = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conformance)


class TestPolars(conformance.TableConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        return lambda frame, others: t.open_table(frame, others=others)


class TestPolarsOverFiles(conformance.TableConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, tmp_path_factory):
        def made(frame, others):
            folder = tmp_path_factory.mktemp("tables")
            for name, each in {"table": frame, **others}.items():
                each.write_parquet(folder / f"{name}.parquet")
            return t.open_table(folder / "table.parquet", others={name: folder / f"{name}.parquet" for name in others})

        return made


class TestDuckOverFiles(conformance.TableConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, tmp_path_factory):
        def made(frame, others):
            folder = tmp_path_factory.mktemp("tables")
            for name, each in {"table": frame, **others}.items():
                each.write_parquet(folder / f"{name}.parquet")
            tables = {name: DuckTable.of_files([folder / f"{name}.parquet"]) for name in others}
            return DuckTable.of_files([folder / "table.parquet"], tables)

        return made


class TestDuckRelations(conformance.TableConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls):
        def made(frame, others):
            connection = duckdb.connect()
            connection.execute("SET TimeZone = 'America/New_York'")
            connection.register("frame", frame)
            return t.open_table(connection.sql("SELECT * FROM frame"), others=others)

        return made

    def test_a_query_reads_the_table_and_the_others_and_nothing_else(self, table):
        with pytest.raises(InvalidInput, match="another engine holds"):
            table.compute([t.Query(sql="SELECT * FROM {batch}, other")])
        assert table.compute([asked := t.Query(sql="SELECT k FROM {batch} WHERE k > 3")])[asked]["rows"] == [{"k": 4}]
