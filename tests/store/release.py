"""Writes the schema of this version, and a store in it, as released: `python tests/store/release.py`, once for each
release.

What it writes, `released/<version>.sql`, is never changed afterwards: `test_migrations.py` brings a database made from
every one of them up to today's schema.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from mainspring.client.client import connect
from mainspring.kernel.hooks import ROOMS, load
from mainspring.lineage import graph
from mainspring.lineage.types import File

FOLDER = Path(__file__).with_name("released")


def schema() -> str:
    """Every room's migrations in their order, and what they leave in `schema_version`."""
    lines = ["CREATE TABLE schema_version (room TEXT PRIMARY KEY, version BIGINT NOT NULL, at BIGINT NOT NULL);"]
    for room in ROOMS:
        lines.append(f"-- {room.name}")
        lines += [script.strip() for script in load(room.tables)] if room.migrations else []
        if room.migrations:
            lines.append(
                f"INSERT INTO schema_version (room, version, at) VALUES ('{room.name}', {room.migrations}, 0);"
            )
    return "\n".join(lines) + "\n"


def contents() -> str:
    """The rows of a small store, as statements that both databases read."""
    with tempfile.TemporaryDirectory() as folder, connect(folder) as client:
        store = client.backend.store
        digest = store.blobs.put(b"delayed")
        client.trust.create_token("ann", role="admin", workspace="*")
        with store.write("release.fill") as tx:
            files = [File("part.parquet", 7, digest)]
            data = graph.add_artifact(
                tx,
                "dataset",
                "flights",
                digest=digest,
                size=7,
                files=files,
                metadata={"rows": 1.5, "note": "it's late"},
            )
            run = graph.start_run(tx, "training", "fit", metadata={"depth": 3, "of": None})
            graph.use(tx, run.id, data.id, role="training-data")
            graph.add_artifact(tx, "model", "delay", digest="m1", run_id=run.id)
            graph.finish_run(tx, run.id)
            graph.set_alias(tx, "model", "delay", "champion", 1)
            store.queue.enqueue(tx, "flow", {"name": "train"}, key="nightly")
        with store.read() as tx:
            tables = [name for (name,) in tx.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
            return "".join(_insert(tx, table) for table in tables if table != "schema_version")


def _insert(tx, table: str) -> str:
    columns = [name for (name,) in tx.rows(f"SELECT name FROM pragma_table_info('{table}')")]
    rows = tx.rows(f'SELECT {", ".join(columns)} FROM "{table}"')
    return "".join(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(map(_literal, row))});\n" for row in rows
    )


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def version() -> str:
    """The version of this source tree."""
    pyproject = Path(__file__).parents[2].joinpath("pyproject.toml").read_text()
    return re.search(r'^version = "(.+)"', pyproject, re.MULTILINE)[1]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{version()}.sql").write_text(schema() + "-- contents\n" + contents())
