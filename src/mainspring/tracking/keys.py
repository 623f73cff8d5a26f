"""Names of metrics, parameters and tags as numbers: interned once for each experiment."""

from __future__ import annotations

from collections.abc import Iterable

from mainspring.store.transaction import Transaction

__all__ = ["intern", "known_keys"]

_IN = 500


def known_keys(tx: Transaction, experiment_id: int, space: str, names: Iterable[str]) -> dict[str, int]:
    """The numbers of those names that the experiment knows."""
    wanted = list(dict.fromkeys(names))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _IN):
        batch = wanted[start : start + _IN]
        found |= dict(
            tx.rows(
                "SELECT name, id FROM run_key WHERE experiment_id = ? AND space = ?"  # noqa: S608 -- only marks are put in
                f" AND name IN ({', '.join('?' * len(batch))})",
                (experiment_id, space, *batch),
            )
        )
    return found


def intern(tx: Transaction, experiment_id: int, space: str, names: Iterable[str]) -> dict[str, int]:
    """The number of each name; new ones get the next."""
    wanted = list(dict.fromkeys(names))
    found = known_keys(tx, experiment_id, space, wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        first = (tx.value("SELECT max(id) FROM run_key") or 0) + 1  # writers are serial, so nobody takes it meanwhile
        new = dict(zip(missing, range(first, first + len(missing)), strict=True))
        tx.many(
            "INSERT INTO run_key (id, experiment_id, space, name) VALUES (?, ?, ?, ?)",
            [(number, experiment_id, space, name) for name, number in new.items()],
        )
        found |= new
    return found
