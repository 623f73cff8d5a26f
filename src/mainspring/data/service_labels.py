"""Tags and notes: what people say of a version after it was made. They are no part of it, and may change."""

from __future__ import annotations

import msgspec

from mainspring.data.tables import LABELS, Label
from mainspring.data.types import KIND, DatasetVersion, dataset_version
from mainspring.data.versions import resolve_dataset
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import listing
from mainspring.lineage.types import Artifact
from mainspring.store.blob_tables import batched
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

__all__ = ["LabelOperations", "Labels"]

_TAGS = 100
_VALUE = 1_000
_NOTE = 20_000
_VERSIONS = 1_000
_IN = 500


class Labels(msgspec.Struct, frozen=True):
    """What is said of one version."""

    tags: dict[str, str] = {}
    note: str = ""
    noted_by: str = ""


class LabelOperations(RoomService):
    """Tags and notes of versions."""

    @operation(permission="data:write", writes=True, resource="ref")
    def tag(self, ref: str, *, tags: dict[str, str]) -> Labels:
        """Set tags of a version; what is said of it then.

        Args:
            ref: `flights@3`, `flights@clean`, `flights` (the newest) or an id.
            tags: Each key is a name, each value at most 1,000 characters.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     _ = client.data.commit("numbers", pl.DataFrame({"n": [1]}))
            ...     client.data.tag("numbers@1", tags={"source": "sensor 7"}).tags
            {'source': 'sensor 7'}
        """
        for key, value in tags.items():
            check_name(key, what="tag")
            if len(value) > _VALUE or "\x00" in value:
                raise InvalidInput(
                    f"the value of tag {key!r} is too long, or holds a null character", hint="use a note"
                )
        with self.store.write() as tx:
            version = resolve_dataset(tx, ref)
            known = _labels_of(tx, [version.id]).get(version.id, Labels())
            if len(known.tags | tags) > _TAGS:
                raise InvalidInput(f"a version has at most {_TAGS} tags")
            for key in sorted(tags):
                _set(tx, version.id, key, tags[key])
            tx.note(version.ref, tags=tags)
            return _labels_of(tx, [version.id]).get(version.id, Labels())

    @operation(permission="data:write", writes=True, resource="ref")
    def untag(self, ref: str, *, keys: list[str]) -> Labels:
        """Take tags away; what is said of the version then. Keys that it does not have are passed over."""
        with self.store.write() as tx:
            version = resolve_dataset(tx, ref)
            for batch in batched((key for key in keys if key), _IN):
                marks = ", ".join("?" * len(batch))
                tx.execute(
                    f"DELETE FROM dataset_label WHERE artifact_id = ? AND name IN ({marks})",  # noqa: S608 -- marks only
                    [version.id, *batch],
                )
            tx.note(version.ref, untagged=keys[:_TAGS])
            return _labels_of(tx, [version.id]).get(version.id, Labels())

    @operation(permission="data:write", writes=True, resource="ref")
    def note(self, ref: str, *, text: str) -> Labels:
        """Write a note to a version, in place of the one that it has; an empty one takes it away."""
        if len(text) > _NOTE or "\x00" in text:
            raise InvalidInput(f"a note has at most {_NOTE:,} characters, and no null characters")
        with self.store.write() as tx:
            version = resolve_dataset(tx, ref)
            if text:
                _set(tx, version.id, "", text)
            else:
                tx.execute("DELETE FROM dataset_label WHERE artifact_id = ? AND name = ''", [version.id])
            tx.note(version.ref, note=text[:200])
            return _labels_of(tx, [version.id]).get(version.id, Labels())

    @operation(permission="data:read")
    def labels(self, refs: list[str]) -> list[Labels]:
        """What is said of versions, in the order of their references."""
        if len(refs) > _VERSIONS:
            raise InvalidInput(f"ask for at most {_VERSIONS:,} versions at a time")
        with self.store.read() as tx:
            ids = [resolve_dataset(tx, ref).id for ref in refs]
            found = _labels_of(tx, ids)
        return [found.get(each, Labels()) for each in ids]

    @operation(permission="data:read")
    def tagged(self, tags: dict[str, str], *, name: str = "", limit: int = 100) -> list[DatasetVersion]:
        """The versions that have all of these tags, newest first.

        Args:
            tags: Keys and values.
            name: Only of this dataset.
            limit: At most 1,000.
        """
        if not tags or len(tags) > _TAGS:
            raise InvalidInput(f"name one to {_TAGS} tags")
        most = max(1, min(limit, _VERSIONS))
        having = "artifact_id IN (SELECT artifact_id FROM dataset_label WHERE workspace = ? AND name = ? AND value = ?)"
        where = " AND ".join([having] * len(tags))
        values = [each for key, value in sorted(tags.items()) for each in (caller().workspace, key, value)]
        query = f"SELECT DISTINCT artifact_id FROM dataset_label WHERE {where} ORDER BY artifact_id DESC"  # noqa: S608 -- marks only
        chosen: list[Artifact] = []
        with self.store.read() as tx:
            for batch in batched((str(each) for (each,) in tx.rows(query, values)), _IN):
                found = sorted(listing.with_ids(tx, batch), key=lambda each: each.id, reverse=True)
                chosen += [each for each in found if each.kind == KIND and (not name or each.name == name)]
                if len(chosen) >= most:
                    break
        return [dataset_version(each) for each in chosen[:most]]


def _set(tx: Transaction, artifact_id: str, key: str, value: str) -> None:
    who = caller()
    tx.execute(
        f"{LABELS.insert_sql} ON CONFLICT (artifact_id, name) DO UPDATE SET value = excluded.value,"
        " set_at = excluded.set_at, set_by = excluded.set_by",
        LABELS.to_row(Label(artifact_id, who.workspace, key, value, tx.now, who.principal)),
    )


def _labels_of(tx: Transaction, ids: list[str]) -> dict[str, Labels]:
    found: dict[str, Labels] = {}
    for batch in batched(dict.fromkeys(ids), _IN):
        marks = ", ".join("?" * len(batch))
        for label in tx.fetch(LABELS, f"WHERE artifact_id IN ({marks}) ORDER BY artifact_id, name", batch):
            known = found.get(label.artifact_id, Labels())
            found[label.artifact_id] = (
                Labels({**known.tags, label.name: label.value}, known.note, known.noted_by)
                if label.name
                else Labels(known.tags, label.value, label.set_by)
            )
    return found
