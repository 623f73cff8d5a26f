"""Limits: how many steps may run at a time, or begin per second, over all runs of a workspace."""

from __future__ import annotations

import math
from typing import Literal

from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, LostLease, NotFound, nearest
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.pipelines.limits_admission import (
    NEVER,
    admit,
    find_claim,
    hurdle,
    moment_of,
    put_claim,
    release,
    set_right,
    strays,
    tokens_of,
)
from mainspring.pipelines.records import fence
from mainspring.pipelines.tables_limits import CLAIMS, LIMITS
from mainspring.pipelines.types_limits import Claim, Entry, Limit, LimitUse
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["LimitOperations"]

_MOST_SLOTS, _FASTEST, _MOST_NAMES = 1_000_000, 1e6, 20
_LONGEST_LOOK = 30.0
_SWEEP_SECONDS = 1.0


class LimitOperations(RoomService):
    """Limits, and the tries of steps under them."""

    @operation(permission="pipelines:write", writes=True, resource="name")
    def set_limit(self, name: str, *, slots: int = 0, per_second: float = 0.0, burst: float = 0.0) -> Limit:
        """Make a limit, or change it; steps name it with `@step(limits=(name,))`. It holds for all runs at once.

        Who runs already goes on when it becomes smaller.

        Args:
            name: What it stands for: `gpu`, `warehouse`, `api`.
            slots: How many tries of steps may run at a time; 0 for any number.
            per_second: How many may begin per second in the long run; 0 for any number.
            burst: How many may begin at once after a quiet time; `per_second`, and at least 1, by default.
        """
        check_name(name, what="limit")
        if not 0 <= slots <= _MOST_SLOTS:
            raise InvalidInput(f"slots = {slots} is not from 0 to {_MOST_SLOTS}")
        if not 0 <= per_second <= _FASTEST or not 0 <= burst <= _FASTEST or math.isnan(per_second + burst):
            raise InvalidInput(f"per_second and burst are from 0 to {_FASTEST:g}")
        if not slots and not per_second:
            raise InvalidInput(f"limit {name} would allow everything", hint="slots=2, or per_second=5")
        if burst and (burst < 1 or not per_second):
            raise InvalidInput("burst is at least 1, and goes with per_second")
        with self.store.write() as tx:
            most = (burst or max(1.0, per_second)) if per_second else 0.0
            limit = Limit(tx.workspace, name, slots, per_second, most, tx.now, caller().principal)
            tx.execute("DELETE FROM flow_limit WHERE workspace = ? AND name = ?", (tx.workspace, name))
            tx.insert(LIMITS, limit)
            tx.note(f"limit/{name}", slots=slots, per_second=per_second, burst=most)
            admit(tx, tx.workspace, [name])
        return limit

    @operation(permission="pipelines:write", writes=True, resource="name")
    def delete_limit(self, name: str) -> None:
        """Take a limit away: who waited for it enters; steps that name it are refused from now on."""
        with self.store.write() as tx:
            if not tx.execute("DELETE FROM flow_limit WHERE workspace = ? AND name = ?", (tx.workspace, name)):
                raise _unknown(tx, name)
            tx.execute("DELETE FROM flow_bucket WHERE workspace = ? AND name = ?", (tx.workspace, name))
            tx.note(f"limit/{name}", deleted=True)
            admit(tx, tx.workspace, [name])

    @operation(permission="pipelines:read")
    def limits(self) -> list[LimitUse]:
        """Every limit as it is used now."""
        with self.store.read() as tx:
            counted = tx.rows(
                "SELECT name, state, count(*) FROM flow_claim WHERE workspace = ? GROUP BY name, state", (tx.workspace,)
            )
            use = {(name, state): int(count) for name, state, count in counted}
            moment = moment_of(tx)
            return [
                LimitUse(
                    each,
                    use.get((each.name, "held"), 0),
                    use.get((each.name, "waiting"), 0),
                    tokens_of(tx, each, moment) if each.per_second else 0.0,
                )
                for each in tx.fetch(LIMITS, "WHERE workspace = ? ORDER BY name", (tx.workspace,))
            ]

    @operation(permission="pipelines:read", resource="name")
    def claims(self, name: str, *, state: Literal["", "held", "waiting"] = "", limit: int = 100) -> list[Claim]:
        """Who runs under a limit, and who waits for it, in the order in which they enter."""
        with self.store.read() as tx:
            return tx.fetch(
                CLAIMS,
                "WHERE workspace = ? AND name = ? AND (? = '' OR state = ?) ORDER BY state, priority DESC, id LIMIT ?",
                (tx.workspace, name, state, state, max(1, min(limit, 1000))),
            )

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def enter_limits(
        self,
        run_id: str,
        *,
        attempt: int,
        names: list[str],
        step_id: str = "",
        step: str = "",
        priority: int = 0,
        worker: str = "",
        claim: str = "",
        patience: float = 0.0,
    ) -> Entry:
        """Enter limits with a try of a step, or stand in line. Blocks until it may run, for up to `patience` seconds.

        Args:
            run_id: Of which flow run.
            attempt: Which attempt asks.
            names: The limits, entered together.
            step_id: Of which step.
            step: The step's name, for people.
            priority: Of those that wait the higher enters first.
            worker: The process that will hold the places, as the queue knows it: they come back when it is gone.
            claim: What it was given when it asked before, and had to wait.
            patience: At most 30.

        Raises:
            NotFound: There is no such limit.
            LostLease: Another attempt took over, the run is over, or the others gave the worker up.
        """
        if not 0 <= patience <= _LONGEST_LOOK:
            raise InvalidInput(f"patience = {patience} is not from 0 to {_LONGEST_LOOK:g} seconds")
        wanted = list(dict.fromkeys(names))
        if not 0 < len(wanted) <= _MOST_NAMES or abs(priority) >= 1 << 31:
            raise InvalidInput(f"a step names 1 to {_MOST_NAMES} limits, with a priority of 32 bits")
        deadline = monotonic() + patience
        with self.store.bookkeeping(durable=False) as tx:
            fence(tx, run_id, attempt)
            found = self._stand(tx, run_id, wanted, (step_id, step, priority, worker), claim)
        if found.state == "waiting":
            found = self._wait(found, attempt, deadline)
        return Entry(found.id, found.state)

    @operation(permission="pipelines:write", writes=True)
    def keep_claims(self, claims: list[str]) -> int:
        """Say that the process that holds these lives: of those that work through a server. How many it still has."""
        if len(claims) > 10_000:
            raise InvalidInput("at most 10000 claims are kept at once")
        with self.store.bookkeeping(durable=False) as tx:
            moment = moment_of(tx)
            beat = "UPDATE flow_claim SET seen_at = ? WHERE id = ? AND workspace = ?"
            return sum(bool(tx.execute(beat, (moment, each, tx.workspace))) for each in claims)

    @operation(permission="pipelines:write", writes=True, resource="claim")
    def leave_limits(self, claim: str) -> None:
        """Give back the places of a try that has ended, to who is next. Nothing happens when they were taken away."""
        with self.store.bookkeeping(durable=False) as tx:
            if find_claim(tx, claim) is not None:
                release(tx, [claim])

    def _stand(
        self, tx: Transaction, run_id: str, names: list[str], asks: tuple[str, str, int, str], claim: str
    ) -> Claim:
        """The claim, as it was made before or new, after everybody who fits was let in."""
        step_id, step, priority, worker = asks
        if worker and not tx.value("SELECT 1 FROM queue_workers WHERE id = ?", (worker,)):
            raise LostLease(f"worker {worker} was silent for longer than its lease and was given up")
        found = find_claim(tx, claim) if claim else None
        if found is None:
            for name in names:
                if not tx.value("SELECT 1 FROM flow_limit WHERE workspace = ? AND name = ?", (tx.workspace, name)):
                    raise _unknown(tx, name)
            new = Claim(
                id=new_id(),
                workspace=tx.workspace,
                name=names[0],
                names=names,
                state="waiting",
                priority=priority,
                run_id=run_id.removeprefix("run/"),
                step_id=step_id,
                step=step,
                worker=worker,
                seen_at=tx.now,
                asked_at=tx.now,
            )
            put_claim(tx, new)
            claim = new.id
        admit(tx, tx.workspace, names)
        standing = find_claim(tx, claim)
        if standing is None:
            raise LostLease(f"claim {claim} was taken away")
        return standing

    def _wait(self, claim: Claim, attempt: int, deadline: float) -> Claim:
        """Sleep until a commit, or the moment at which a bucket has filled; the claim as it is then."""
        commits = self.store.database.commits
        swept = monotonic()
        while True:
            seen = commits.number
            with self.store.read() as tx:
                fence(tx, claim.run_id, attempt)
                found = find_claim(tx, claim.id)
                due = NEVER if found is None or found.state == "held" else _due(tx, found)
            if found is None:
                raise LostLease(f"claim {claim.id} was taken away: its process was not heard of")
            if found.state == "held":
                return found
            if due <= 0:
                with self.store.bookkeeping(durable=False) as tx:
                    admit(tx, tx.workspace, found.names)
                continue
            left = deadline - monotonic()
            if left <= 0:
                return found
            if monotonic() - swept >= _SWEEP_SECONDS:
                swept = monotonic()
                self._sweep()
                continue
            commits.wait(seen, min(left, due, _SWEEP_SECONDS))

    def _sweep(self) -> None:
        """Give back what processes hold that are gone; and mend buckets whose clock was set back."""
        self.store.queue.reap()
        with self.store.read() as tx:
            moment = moment_of(tx)
            idle = not strays(tx) and not tx.value("SELECT 1 FROM flow_bucket WHERE filled_at > ?", (moment,))
        if idle:
            return
        with self.store.bookkeeping(durable=False) as tx:
            release(tx, strays(tx))
            set_right(tx)


def _due(tx: Transaction, claim: Claim) -> float:
    """Seconds until a claim may enter by itself: a place in a slot is given to it by whoever leaves one."""
    marks = ", ".join("?" * len(claim.names))
    timed = f"SELECT 1 FROM flow_limit WHERE workspace = ? AND name IN ({marks}) AND per_second > 0"  # noqa: S608 -- marks only
    return hurdle(tx, claim, moment_of(tx)) if tx.value(timed, (claim.workspace, *claim.names)) else NEVER


def _unknown(tx: Transaction, name: str) -> NotFound:
    names = [str(row[0]) for row in tx.rows("SELECT name FROM flow_limit WHERE workspace = ?", (tx.workspace,))]
    return NotFound(
        f"there is no limit {name!r}", known=nearest(name, names), hint=f"mainspring limit set {name} --slots 1"
    )
