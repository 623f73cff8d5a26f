"""What people say about runs afterwards: notes and tags, of one run or of many at once."""

from __future__ import annotations

from mainspring.kernel.errors import InvalidInput, TooLarge
from mainspring.kernel.operations import operation
from mainspring.store.service import RoomService
from mainspring.tracking.apply import apply_batch
from mainspring.tracking.params import check_key
from mainspring.tracking.types import NoteRecord, Record, TagsRecord

__all__ = ["AnnotationOperations"]

_RUNS, _NOTE = 10_000, 1 << 20


class AnnotationOperations(RoomService):
    """The operations that annotate runs."""

    @operation(permission="tracking:write", writes=True)
    def annotate(self, run_ids: list[str], *, note: str | None = None, tags: dict[str, str] = {}) -> int:  # noqa: B006
        """Replace the note of runs, set tags of theirs, or both; all of them or none. Returns how many runs.

        Args:
            run_ids: At most 10,000.
            note: In Markdown; None leaves it as it is.
            tags: An empty text takes a tag away.
        """
        if len(run_ids) > _RUNS or (note is not None and len(note) > _NOTE):
            raise TooLarge(f"{_RUNS} runs and a note of {_NOTE} characters are the most")
        records: list[Record] = [] if note is None else [NoteRecord(note)]
        if tags:
            records.append(TagsRecord({check_key(key): value for key, value in tags.items()}))
        if not records:
            raise InvalidInput("there is nothing to say", hint='annotate(ids, tags={"team": "ops"})')
        ids = list(dict.fromkeys(run_ids))
        with self.store.write() as tx:
            for run_id in ids:
                apply_batch(tx, run_id, writer="", sequence=0, records=records, patches={})
        return len(ids)
