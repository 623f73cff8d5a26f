"""Who enters a limit: slots and token buckets, decided inside transactions, which are serial.

A claim enters all its limits together, or waits. In each limit the more urgent come first, and those that came first
among equals; nobody overtakes who stands before them in any limit that both want, so no claim starves and, the order
being the same everywhere, none waits in a ring.

Whoever gives a place back gives it, in the same transaction, to who is next; that one learns it from the commit.

Tokens are counted by the database's clock: that of the server of a PostgreSQL, that of the machine of a SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable

from mainspring.kernel.clock import from_micros
from mainspring.pipelines.tables_limits import CLAIMS, LIMITS
from mainspring.pipelines.types_limits import Claim, Limit
from mainspring.store.transaction import Transaction

__all__ = [
    "NEVER",
    "admit",
    "find_claim",
    "hurdle",
    "moment_of",
    "put_claim",
    "release",
    "set_right",
    "strays",
    "tokens_of",
]

NEVER = float("inf")
_SILENT_MICROS = 30_000_000
"""How long a process that works through a server may be silent before its places are given to others."""
_ENOUGH = 1 - 1e-9


def moment_of(tx: Transaction) -> int:
    """Now, in microseconds, by the database's clock."""
    if tx.dialect == "postgres":
        return int(tx.value("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"))
    return tx.now_micros


def admit(tx: Transaction, workspace: str, names: Iterable[str]) -> int:
    """Let in whoever is next in these limits and fits; how many entered. They are told when this commits."""
    moment, again, entered = moment_of(tx), list(dict.fromkeys(names)), 0
    while again:
        first = _first(tx, workspace, again.pop())
        if first is None or hurdle(tx, first, moment) > 0:
            continue
        for name in first.names:
            limit = _limit(tx, workspace, name)
            if limit is not None and limit.per_second:
                tokens = tokens_of(tx, limit, moment) - 1
                tx.execute(
                    "INSERT INTO flow_bucket (workspace, name, tokens, filled_at) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (workspace, name) DO UPDATE SET tokens = excluded.tokens,"
                    " filled_at = excluded.filled_at",
                    (workspace, name, tokens, moment),
                )
        tx.execute("UPDATE flow_claim SET state = 'held', held_at = ? WHERE id = ?", (moment, first.id))
        entered += 1
        again += first.names
    if entered:
        tx.announce()
    return entered


def hurdle(tx: Transaction, claim: Claim, moment: int) -> float:
    """Seconds until a waiting claim may enter: 0 for now, `NEVER` while somebody has to leave first."""
    seconds = 0.0
    for name in claim.names:
        limit = _limit(tx, claim.workspace, name)
        if limit is None:
            continue  # it was deleted: it holds nobody up
        first = _first(tx, claim.workspace, name)
        if first is not None and first.id != claim.id:
            return NEVER
        held = "SELECT count(*) FROM flow_claim WHERE workspace = ? AND name = ? AND state = 'held'"
        if limit.slots and tx.value(held, (claim.workspace, name)) >= limit.slots:
            return NEVER
        if limit.per_second and (tokens := tokens_of(tx, limit, moment)) < _ENOUGH:
            seconds = max(seconds, (1 - tokens) / limit.per_second)
    return seconds


def tokens_of(tx: Transaction, limit: Limit, moment: int) -> float:
    """How many could begin at once. A clock that was set back gives nothing and takes nothing."""
    row = tx.row(
        "SELECT tokens, filled_at FROM flow_bucket WHERE workspace = ? AND name = ?", (limit.workspace, limit.name)
    )
    if row is None:
        return limit.burst
    return float(min(limit.burst, row[0] + max(0, moment - row[1]) / 1e6 * limit.per_second))


def release(tx: Transaction, claims: Iterable[str]) -> int:
    """Take claims away, with the places that they hold, and give these to who is next; how many there were."""
    touched: dict[tuple[str, str], None] = {}
    gone = 0
    for claim in claims:
        rows = tx.rows("DELETE FROM flow_claim WHERE id = ? RETURNING workspace, name", (claim,))
        gone += bool(rows)
        touched |= dict.fromkeys((str(workspace), str(name)) for workspace, name in rows)
    for workspace in {workspace for workspace, _ in touched}:
        admit(tx, workspace, [name for owner, name in touched if owner == workspace])
    return gone


def strays(tx: Transaction) -> list[str]:
    """The claims of processes that are gone."""
    rows = tx.rows(
        "SELECT DISTINCT id FROM flow_claim WHERE (worker = '' AND seen_at < ?)"
        " OR (worker <> '' AND NOT EXISTS (SELECT 1 FROM queue_workers WHERE queue_workers.id = flow_claim.worker))",
        (moment_of(tx) - _SILENT_MICROS,),
    )
    return [str(row[0]) for row in rows]


def set_right(tx: Transaction) -> bool:
    """Let buckets that were filled later than now, before the clock was set back, be filled from now on."""
    moment = moment_of(tx)
    return bool(tx.execute("UPDATE flow_bucket SET filled_at = ? WHERE filled_at > ?", (moment, moment)))


def find_claim(tx: Transaction, claim: str) -> Claim | None:
    """A claim, by the row of one of its limits."""
    return tx.fetch_one(CLAIMS, "WHERE id = ? AND workspace = ? LIMIT 1", (claim, tx.workspace))


def put_claim(tx: Transaction, claim: Claim) -> None:
    """Stand in line."""
    moment = from_micros(moment_of(tx))
    for name in claim.names:
        row = Claim(
            id=claim.id,
            workspace=claim.workspace,
            name=name,
            names=claim.names,
            state="waiting",
            priority=claim.priority,
            run_id=claim.run_id,
            step_id=claim.step_id,
            step=claim.step,
            worker=claim.worker,
            seen_at=moment,
            asked_at=moment,
        )
        tx.insert(CLAIMS, row)


def _first(tx: Transaction, workspace: str, name: str) -> Claim | None:
    return tx.fetch_one(
        CLAIMS,
        "WHERE workspace = ? AND name = ? AND state = 'waiting' ORDER BY priority DESC, id LIMIT 1",
        (workspace, name),
    )


def _limit(tx: Transaction, workspace: str, name: str) -> Limit | None:
    return tx.fetch_one(LIMITS, "WHERE workspace = ? AND name = ?", (workspace, name))
