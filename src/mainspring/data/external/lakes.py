"""Delta and Iceberg tables in place, at a version or a snapshot: the table's own log keeps the files of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.data.external.types import DeltaTable, IcebergTable
from mainspring.kernel.errors import Conflict, InvalidInput, MissingDependency, NotFound
from mainspring.kernel.hashing import digest_value

if TYPE_CHECKING:
    import polars as pl

__all__ = ["pin_delta", "pin_iceberg", "scan_delta", "scan_iceberg"]


def pin_delta(url: str, version: int | None) -> DeltaTable:
    """A Delta table as it is now, or as it was at a version."""
    table = _delta(url, version)
    made = str(table.metadata().id)
    return DeltaTable(url=table.table_uri, version=table.version(), table=made, digest=_files(table))


def scan_delta(pinned: DeltaTable) -> pl.LazyFrame:
    """The table at the version; raises `Conflict` when it is not the table it was, or its files were vacuumed."""
    import polars as pl

    table = _delta(pinned.url, pinned.version)
    if str(table.metadata().id) != pinned.table or _files(table) != pinned.digest:
        raise Conflict(f"{pinned.url} is another table than it was when the version was made")
    return pl.scan_delta(table)


def pin_iceberg(metadata: str, snapshot: int | None) -> IcebergTable:
    """An Iceberg table by the URL of its metadata file, at its current snapshot or at another."""
    table = _iceberg(metadata)
    found = table.snapshot_by_id(snapshot) if snapshot is not None else table.current_snapshot()
    if found is None:
        known = [str(each.snapshot_id) for each in table.metadata.snapshots[-5:]]
        raise NotFound(f"{metadata} has no snapshot {snapshot if snapshot is not None else 'yet'}", known=known)
    return IcebergTable(metadata=metadata, snapshot=found.snapshot_id, table=str(table.metadata.table_uuid))


def scan_iceberg(pinned: IcebergTable) -> pl.LazyFrame:
    """The table at the snapshot."""
    import polars as pl

    table = _iceberg(pinned.metadata)
    if str(table.metadata.table_uuid) != pinned.table or table.snapshot_by_id(pinned.snapshot) is None:
        raise Conflict(f"{pinned.metadata} has no snapshot {pinned.snapshot} of the table any more")
    # Polars' own reader of Iceberg wants a package of its own; PyIceberg's is here, and reads every form of deletion.
    return pl.scan_iceberg(table, snapshot_id=pinned.snapshot, reader_override="pyiceberg")


def _delta(url: str, version: int | None) -> Any:
    try:
        import deltalake
        from deltalake.exceptions import DeltaError
    except ModuleNotFoundError:
        raise MissingDependency("deltalake", extra="lakes") from None
    try:
        return deltalake.DeltaTable(url, version=version)
    except (DeltaError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        at = "" if version is None else f" at version {version}"
        raise NotFound(f"there is no Delta table {url}{at}: {reason}") from error


def _files(table: Any) -> str:
    return digest_value("delta-files", sorted(str(each) for each in table.file_uris()))


def _iceberg(metadata: str) -> Any:
    try:
        from pyiceberg.table import StaticTable
    except ModuleNotFoundError:
        raise MissingDependency("pyiceberg", extra="lakes") from None
    if not metadata.endswith(".json"):
        raise InvalidInput(
            f"{metadata} is not a metadata file of Iceberg", hint="give .../metadata/00001-....metadata.json"
        )
    try:
        return StaticTable.from_metadata(metadata)
    except (OSError, ValueError) as error:
        raise NotFound(f"{metadata} cannot be read: {str(error).partition(chr(10))[0]}") from error
