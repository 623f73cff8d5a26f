"""Data that stays where it is, as versions: buckets, Delta and Iceberg tables, queries. Read at the user's machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.data.bundle import bundle
from mainspring.data.committing import Proposal, submit
from mainspring.data.external.types import (
    EXTERNAL_PATH,
    DeltaTable,
    External,
    IcebergTable,
    Objects,
    QueryResult,
    decode_external,
    encode_external,
    is_elsewhere,
)
from mainspring.data.service_files import FileWork
from mainspring.data.tabular import format_of, scan_files, schema_of, table_files
from mainspring.data.trees import build
from mainspring.data.types import Commit, DatasetVersion
from mainspring.engines.tables_sources import SqlTable
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.names import check_name
from mainspring.lineage.types import File

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ExternalWork"]

_FETCHED = 64 << 20
"""Bytes of far objects up to which they are read once when they are linked, for rows, columns and a profile."""


class ExternalWork(FileWork):
    """Versions of what is not copied."""

    def link(
        self,
        name: str,
        source: str | SqlTable,
        *,
        kind: str = "",
        version: int | None = None,
        message: str = "",
        uses: Sequence[str] = (),
        metadata: dict[str, Any] | None = None,
    ) -> DatasetVersion:
        """Make a version of data that stays where it is; nothing of it is copied.

        Args:
            name: The dataset.
            source: `s3://bucket/prefix` (also `gs://`, `az://`, a folder): each object with its ETag; a Delta table;
                the metadata file of an Iceberg table; or a query, `data.sql(...)`, with the digest of its result.
            kind: `objects`, `delta` or `iceberg`, where the URL does not say it: a folder with `_delta_log` is a Delta
                table, a `.metadata.json` an Iceberg table, anything else objects.
            version: Of a Delta table, or the snapshot of an Iceberg table; the newest by default.
            message: Why, for whoever reads the log.
            uses: References of what it was derived from.
            metadata: JSON to keep with it.

        Returns:
            The version. Reading it later reads the source and refuses with `Conflict` when it is not what it was.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> folder = tempfile.mkdtemp()
            >>> pl.DataFrame({"n": [1, 2]}).write_parquet(f"{folder}/n.parquet")
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     version = client.data.link("numbers", folder)
            ...     client.data.load("numbers").height
            2
        """
        with ExitStack() as stack:
            scratch = stack.enter_context(self.cache().scratch())
            external, frame = self._pin(source, kind or _kind_of(source), version, scratch)
            commit = Commit(
                message=message,
                origin=_origin(external),
                rows=None if frame is None else _height(frame),
                schema={} if frame is None else schema_of(frame),
                uses=list(uses),
                metadata=metadata or {},
            )
            text = encode_external(external)
            file = File(EXTERNAL_PATH, len(text), digest_bytes(text))
            tree = build([file])

            def store() -> None:
                self.upload(bundle([text, *tree.nodes.values()]))

            store()
            return submit(self, Proposal(check_name(name), commit, tree, [], frame), store)

    @staticmethod
    def sql(url: str, query: str = "", *, table: str = "") -> SqlTable:
        """A query or a table of a database, to be committed (its rows are copied) or linked (they are not).

        Args:
            url: `postgresql://user@host/database`, `sqlite:///file`, `duckdb:///file`.
            query: A SELECT.
            table: The name of a table, instead of a query.

        Example:
            >>> ExternalWork.sql("sqlite:///sales.db", "SELECT * FROM orders").query
            'SELECT * FROM orders'
        """
        return SqlTable(url, table=table, query=query)

    def external(self, ref: str | DatasetVersion) -> External | None:
        """What a version says of data that stays elsewhere; None for a version whose bytes are in the store."""
        version = self.describe(ref) if isinstance(ref, str) else ref
        files = self.files(version.id) if version.files == 1 else []
        if not is_elsewhere(files):
            return None
        return decode_external(b"".join(self.storage.get_blob(files[0].digest)))

    def scan_external(self, external: External, *, path: str = "") -> pl.LazyFrame:
        """What stays elsewhere as a lazy table, once it is seen to be what it was."""
        from mainspring.data.external import lakes, objects, queries

        match external:
            case Objects():
                files = table_files(objects.as_files(external), path=path)
                wanted = {file.path for file in files}
                chosen = [each for each in external.objects if each.path in wanted]
                return scan_files(files, objects.fetch_objects(external, chosen, self.cache().folder))
            case DeltaTable():
                return lakes.scan_delta(external)
            case IcebergTable():
                return lakes.scan_iceberg(external)
            case QueryResult():
                with self.cache().scratch() as scratch:
                    return queries.rerun_query(external, scratch).collect().lazy()

    def _pin(
        self, source: str | SqlTable, kind: str, version: int | None, scratch: Path
    ) -> tuple[External, pl.LazyFrame | None]:
        """What is there now, and the table that it is, if it is one."""
        from mainspring.data.external import lakes, objects, queries

        if isinstance(source, SqlTable):
            return queries.pin_query(source, scratch)
        if kind == "objects":
            found = objects.list_objects(source)
            return found, self._table_of(found)
        external: External
        if kind == "delta":
            external = lakes.pin_delta(source, version)
        elif kind == "iceberg":
            external = lakes.pin_iceberg(source, version)
        else:
            raise InvalidInput(f"there is no kind {kind!r} of external data", known=["objects", "delta", "iceberg"])
        return external, self.scan_external(external)

    def _table_of(self, found: Objects) -> pl.LazyFrame | None:
        """The table that objects are; of what is far and large only its list is looked at."""
        small = sum(each.size for each in found.objects) <= _FETCHED
        kinds = {format_of(each.path or found.url) for each in found.objects}
        if len(kinds) != 1 or kinds == {""} or not (small or found.url.startswith("file://")):
            return None
        return self.scan_external(found)


def _height(frame: pl.LazyFrame) -> int:
    import polars as pl

    return int(frame.select(pl.len()).collect().item())


def _kind_of(source: str | SqlTable) -> str:
    if isinstance(source, SqlTable):
        return "query"
    if source.endswith(".metadata.json"):
        return "iceberg"
    return "delta" if (Path(source) / "_delta_log").is_dir() else "objects"


def _origin(external: External) -> str:
    match external:
        case Objects(url) | DeltaTable(url) | QueryResult(url):
            return url
        case IcebergTable(metadata):
            return metadata
