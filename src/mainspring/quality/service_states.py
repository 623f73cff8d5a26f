"""The operations on states: what is known of contents, so that it is not scanned for again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.operations import operation
from mainspring.quality.keeping import KeepingService
from mainspring.quality.tables import STATES, State

__all__ = ["StateOperations", "StoredMemory"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST = 20_000  # answers of one call
_LONGEST = 1_000_000  # characters of one
_AT_ONCE = 400


class StateOperations(KeepingService):
    """Answers to questions about contents."""

    @operation(permission="quality:read")
    def known_answers(self, contents: list[str], *, questions: list[str]) -> dict[str, dict[str, str]]:
        """What is known of contents: answers as JSON text, by the content's digest and the question's."""
        found: dict[str, dict[str, str]] = {}
        if not questions:
            return found
        with self.store.read() as tx:
            for batch in _batches(list(dict.fromkeys(contents))):
                for asked in _batches(list(dict.fromkeys(questions))):
                    marks = [", ".join("?" * len(each)) for each in (batch, asked)]
                    rows = tx.rows(
                        "SELECT content, question, answer FROM quality_state"  # noqa: S608 -- only marks
                        f" WHERE workspace = ? AND content IN ({marks[0]}) AND question IN ({marks[1]})",
                        (caller().workspace, *batch, *asked),
                    )
                    for content, question, answer in rows:
                        found.setdefault(content, {})[question] = answer
        return found

    @operation(permission="quality:write", writes=True)
    def keep_answers(self, answers: dict[str, dict[str, str]]) -> int:
        """Remember answers about contents; how many. An answer that is known is replaced."""
        texts = [(content, *pair) for content, known in answers.items() for pair in known.items()]
        if len(texts) > _MOST or any(len(text) > _LONGEST for _, _, text in texts):
            raise InvalidInput(f"at most {_MOST} answers of {_LONGEST} characters are kept at once")
        wrong = next((each for row in texts for each in row[:2] if not _DIGEST.fullmatch(each)), None)
        if wrong is not None:
            raise InvalidInput(f"{wrong[:80]!r} is not a digest")
        with self.store.bookkeeping() as tx:
            tx.many(
                f"{STATES.insert_sql} ON CONFLICT (workspace, content, question)"
                " DO UPDATE SET answer = excluded.answer, at = excluded.at",
                [STATES.to_row(State(caller().workspace, *row, tx.now)) for row in texts],
            )
        return len(texts)

    @operation(permission="quality:write", writes=True)
    def forget_answers(self, *, apply: bool = False) -> int:
        """How many answers are remembered in this workspace; with `apply` they are forgotten, and scanned for again."""
        with self.store.write() as tx:
            known = int(tx.value("SELECT COUNT(*) FROM quality_state WHERE workspace = ?", (caller().workspace,)) or 0)
            if apply and known:
                tx.execute("DELETE FROM quality_state WHERE workspace = ?", (caller().workspace,))
                tx.note("quality/states", forgotten=known)
        return known


class StoredMemory:
    """The memory of a `KnownTable` in the store: a few operations for many answers."""

    def __init__(self, states: StateOperations) -> None:
        self._states = states

    def recall(self, contents: Sequence[str], questions: Sequence[str]) -> dict[str, dict[str, str]]:
        """The known answers."""
        if not contents or not questions:
            return {}
        return self._states.known_answers(list(contents), questions=list(questions))

    def keep(self, answers: Mapping[str, Mapping[str, str]]) -> None:
        """Remember answers."""
        batch: dict[str, dict[str, str]] = {}
        held = 0
        for content, known in answers.items():
            for question, text in known.items():
                batch.setdefault(content, {})[question] = text
                held += 1
                if held >= _MOST:
                    self._states.keep_answers(batch)
                    batch, held = {}, 0
        if batch:
            self._states.keep_answers(batch)


def _batches(items: Sequence[str]) -> list[Sequence[str]]:
    return [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
