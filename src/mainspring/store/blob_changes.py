"""How storing and removing the same bytes at the same time goes well.

Who stores writes an object, and then the row that names it. Who removes deletes the row, and then the object. Between
the two of each, the other may come. So removing writes down first which objects are doomed, and counts the *epoch* up
whenever it dooms or deletes something; and storing, in the transaction of its row, looks whether the epoch is the one
it saw before it wrote its object, and whether that object is doomed. If so, it strikes the doom out and writes again.
Transactions that write are serial, so one of the two sees the other, whenever either of them is killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mainspring.kernel.errors import StorageError
from mainspring.store.blob_tables import batched, find_rows
from mainspring.store.transaction import Transaction

__all__ = ["claim", "current_epoch", "doom", "keep", "next_epoch"]

_BATCH = 500


def current_epoch(tx: Transaction) -> int:
    """How often something was removed; a writer remembers it before it writes an object."""
    return int(tx.value("SELECT epoch FROM blob_epoch WHERE id = 1") or 0)


def next_epoch(tx: Transaction) -> None:
    """Say that something is being removed."""
    tx.execute(
        "INSERT INTO blob_epoch (id, epoch) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET epoch = blob_epoch.epoch + 1"
    )


def claim(tx: Transaction, objects: Sequence[str], *, epoch: int) -> bool:
    """Whether objects that were written since that epoch are there for good; where not, they must be written again."""
    marks = ", ".join("?" * len(objects))
    struck = tx.execute(f"DELETE FROM blob_doomed WHERE object IN ({marks})", objects)  # noqa: S608 -- marks only
    return struck == 0 and current_epoch(tx) == epoch


def doom(tx: Transaction, objects: Iterable[str], *, due: int) -> None:
    """Write down that objects which no row names go at that moment (microseconds), if still no row names them then."""
    tx.many(
        "INSERT INTO blob_doomed (object, due) VALUES (?, ?) ON CONFLICT (object) DO NOTHING",
        [(name, due) for name in objects],
    )
    next_epoch(tx)


def keep(tx: Transaction, digests: Iterable[str]) -> None:
    """See to it that blobs which are about to be referred to are here, and stay.

    Raises:
        StorageError: One of them was removed meanwhile.
    """
    for batch in batched(dict.fromkeys(digests), _BATCH):
        rows = find_rows(tx, batch)
        if lost := next((digest for digest in batch if digest not in rows), None):
            raise StorageError(
                f"blob {lost} was removed while it was being referred to", hint="store the whole content again"
            )
        condemned = [digest for digest, row in rows.items() if row.condemned_at]
        if condemned:
            marks = ", ".join("?" * len(condemned))
            tx.execute(f"UPDATE blob_entry SET condemned_at = 0 WHERE digest IN ({marks})", condemned)  # noqa: S608
