"""What the room knows of versions that must be forgotten in part: their profiles, reports and remembered answers go.

Named under `FORGETTERS` on the hooks page. A profile is taken anew when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.lineage import listing
from mainspring.store.blob_tables import batched
from mainspring.store.transaction import Transaction

__all__ = ["forget_versions"]

_IN = 500


def forget_versions(tx: Transaction, versions: Sequence[str], contents: Sequence[str]) -> list[str]:
    """Take away what was kept of versions; the ids of the artifacts whose bytes are to go.

    Args:
        tx: The transaction in which the versions are written again.
        versions: Ids of dataset versions.
        contents: Digests of the files and trees that they held.
    """
    gone: dict[str, None] = {}
    for batch in batched(versions, _IN):
        among = f"WHERE artifact_id IN ({', '.join('?' * len(batch))})"
        rows = tx.rows(f"SELECT profile_id FROM quality_profile {among}", batch)  # noqa: S608 -- marks only
        gone.update((str(profile_id), None) for (profile_id,) in rows)
        tx.execute(f"DELETE FROM quality_profile {among}", batch)  # noqa: S608
    for version in versions:
        for run in listing.users_of(tx, version):
            gone.update((each.id, None) for each in listing.made_by(tx, run.id, "report", "profile"))
    for batch in batched(contents, _IN):
        marks = ", ".join("?" * len(batch))
        tx.execute(f"DELETE FROM quality_state WHERE content IN ({marks})", batch)  # noqa: S608
        tx.execute(f"DELETE FROM quality_admission WHERE tree IN ({marks})", batch)  # noqa: S608
    return list(gone)
