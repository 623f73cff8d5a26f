"""Reading everything that is stored: the database's pages, the bytes, the ledger."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainspring.kernel.errors import MainspringError
from mainspring.store.blob_check import VerifyReport
from mainspring.store.ledger import ChainReport
from mainspring.store.store import Store

__all__ = ["StoreReport", "verify_store"]


class StoreReport(msgspec.Struct, frozen=True):
    """What a reading of the whole store found."""

    database: list[str]
    """What is wrong with the database; empty when every page is as it was written."""
    blobs: VerifyReport | None
    """None when the database is too damaged to say which blobs there are."""
    ledger: ChainReport | None

    @property
    def intact(self) -> bool:
        """Whether nothing is damaged, missing or edited."""
        return (
            not self.database
            and self.blobs is not None
            and not self.blobs.findings
            and self.ledger is not None
            and self.ledger.intact
        )


def verify_store(store: Store, *, progress: Callable[[int, int], None] | None = None) -> StoreReport:
    """Read every page, every blob and every audit event; names what is damaged. Takes as long as reading the disk.

    SQLite checks its pages against their checksums and its indexes against its tables. On PostgreSQL every row is
    read, which fails on what its own checksums catch.
    """
    problems: list[str] = []
    try:
        with store.read() as tx:
            if tx.dialect == "sqlite":
                problems = [str(line) for (line,) in tx.rows("PRAGMA integrity_check") if line != "ok"]
            else:
                for (table,) in tx.rows("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"):
                    tx.rows(f'SELECT count(*) FROM "{table}" AS every WHERE every IS NOT NULL')  # noqa: S608 -- a name from the catalogue
    except MainspringError as error:
        problems = [error.message]
    try:
        return StoreReport(problems, store.blobs.verify(progress=progress), store.ledger.verify())
    except MainspringError as error:
        return StoreReport([*problems, error.message], None, None)
