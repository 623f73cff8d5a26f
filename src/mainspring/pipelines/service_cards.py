"""Cards of steps, and their logs while they run."""

from __future__ import annotations

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.operations import operation
from mainspring.pipelines.records import check_own, fence_steps, save_log
from mainspring.pipelines.tables_cards import PARTS
from mainspring.pipelines.types_cards import Part, Shown
from mainspring.store.service import RoomService

__all__ = ["MOST_CONTENT", "MOST_PARTS", "CardOperations"]

MOST_PARTS = 100
MOST_CONTENT = 256 << 10
"""Bytes of a part beside its blob."""
_LONGEST_ID, _LONGEST_TITLE, _LONGEST_TEXT = 100, 500, 1 << 20


class CardOperations(RoomService):
    """What steps show of themselves."""

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def show_parts(self, run_id: str, *, attempt: int, step_id: str, parts: list[Shown], fresh: bool = False) -> None:
        """Put parts on the card of a step that runs; with `fresh`, instead of all that a try before it had shown.

        Raises:
            LostLease: Another attempt of the run took over.
        """
        if len(step_id) > _LONGEST_ID or not step_id:
            raise InvalidInput(f"{step_id[:40]!r} is not the id of a step")
        if any(not 0 <= part.number < MOST_PARTS for part in parts) or len(parts) > MOST_PARTS:
            raise InvalidInput(f"a card has at most {MOST_PARTS} parts", hint="log_file and artifacts hold the rest")
        for part in parts:
            if len(part.title) > _LONGEST_TITLE or len(msgspec.json.encode(part.content)) > MOST_CONTENT:
                raise InvalidInput(f"part {part.number} of a card has more than {MOST_CONTENT >> 10} KiB")
        with self.store.bookkeeping(durable=False) as tx:
            run = fence_steps(tx, run_id, attempt)
            check_own(tx, run, [step_id])
            if fresh:  # a call that is made again has another id: what it showed before is nobody's
                tx.execute(
                    "DELETE FROM flow_card WHERE run_id = ? AND (step_id = ? OR step_id NOT IN"
                    " (SELECT id FROM flow_step WHERE run_id = ?))",
                    (run.id, step_id, run.id),
                )
            for part in parts:
                row = Part(
                    f"{step_id}/{part.number}",
                    step_id,
                    run.id,
                    part.number,
                    part.kind,
                    part.title,
                    part.content,
                    tx.now,
                )
                tx.execute(
                    f"{PARTS.insert_sql} ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, title = excluded.title,"
                    " content = excluded.content, at = excluded.at WHERE flow_card.run_id = excluded.run_id",
                    PARTS.to_row(row),
                )

    @operation(permission="pipelines:read", resource="step_id")
    def card(self, step_id: str) -> list[Part]:
        """What a step has shown of itself, in order; while it runs, what it has shown so far."""
        wanted = step_id.removeprefix("run/").removeprefix("step/")
        with self.store.read() as tx:
            known = tx.value(
                "SELECT 1 FROM flow_step JOIN flow_run ON flow_run.id = flow_step.run_id"
                " WHERE flow_step.id = ? AND flow_run.workspace = ?",
                (wanted, caller().workspace),
            )
            if not known:
                raise NotFound(f"there is no step {step_id!r}", hint="mainspring flow show RUN")
            return tx.fetch(PARTS, "WHERE step_id = ? ORDER BY number", (wanted,))

    @operation(permission="pipelines:write", writes=True, resource="run_id")
    def append_step_log(self, run_id: str, *, attempt: int, step_id: str, text: str) -> None:
        """Add to what a step has printed that runs; of what is too much the end is kept.

        Raises:
            LostLease: Another attempt of the run took over.
        """
        if len(text) > _LONGEST_TEXT or not 0 < len(step_id) <= _LONGEST_ID:
            raise InvalidInput(f"a piece of a log has at most {_LONGEST_TEXT} characters, and is of a step")
        with self.store.bookkeeping(durable=False) as tx:
            check_own(tx, fence_steps(tx, run_id, attempt), [step_id])
            save_log(tx, step_id, str(tx.value("SELECT text FROM flow_log WHERE id = ?", (step_id,)) or "") + text)
