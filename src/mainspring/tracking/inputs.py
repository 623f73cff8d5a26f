"""Data that a run used and that lies elsewhere: known by name, digest and where it came from, not by its bytes."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.lineage.listing import used_by
from mainspring.store.service import RoomService
from mainspring.tracking.runs import active_run, bare_id

__all__ = ["EXTERNAL", "InputOperations", "RunInput"]

EXTERNAL = "external-dataset"
"""The kind of artifact that stands for such data."""

_UNNAMEABLE = re.compile(r"[^\w .\-+:=/]")
_MOST = 1000
_LONGEST = 200


class RunInput(msgspec.Struct, frozen=True):
    """A dataset that a run used."""

    name: str
    digest: str
    """As its owner computes it; any text."""
    role: str = ""
    """What for: `training`, `validation`, ..."""
    about: dict[str, Any] = {}
    """Where it came from, its columns, its profile: JSON types."""


class InputOperations(RoomService):
    """The operations on data that lies elsewhere."""

    @operation(permission="tracking:write", writes=True, resource="run_id")
    def use_external(self, run_id: str, *, inputs: list[RunInput]) -> None:
        """Record that a run used data that is not stored here.

        Each becomes an artifact of the kind `external-dataset`; the same name and digest is the same version.

        Args:
            run_id: The run.
            inputs: At most 1000.
        """
        if len(inputs) > _MOST:
            raise InvalidInput(f"{len(inputs)} datasets are too many at once", hint=f"at most {_MOST}")
        with self.store.write() as tx:
            row = active_run(tx, run_id)
            for each in inputs:
                if not each.name:
                    raise InvalidInput("a dataset has a name")
                about = {**each.about, "name": each.name, "digest": each.digest}
                made = graph.add_artifact(
                    tx,
                    EXTERNAL,
                    artifact_name(each.name),
                    digest=digest_value(EXTERNAL, [each.name, each.digest]),
                    metadata=about,
                    reuse=True,
                )
                graph.use(tx, row.run_id, made.id, role=each.role or "used")
            tx.note(f"run/{row.run_id}", used=[each.name for each in inputs[:50]])

    @operation(permission="tracking:read")
    def external(self, run_id: str) -> list[RunInput]:
        """The data that lies elsewhere and that a run used, by name; without the roles, which `lineage.why` shows."""
        with self.store.read() as tx:
            found = used_by(tx, bare_id(run_id), EXTERNAL)
        return [
            RunInput(
                each.metadata["name"],
                each.metadata["digest"],
                about={key: value for key, value in each.metadata.items() if key not in ("name", "digest")},
            )
            for each in found
        ]


def artifact_name(name: str) -> str:
    """A dataset's name as an artifact may have it.

    Example:
        >>> artifact_name("s3://bucket/a?b")
        's3:/bucket/a_b'
    """
    cleaned = _UNNAMEABLE.sub("_", unicodedata.normalize("NFC", name[:_LONGEST]))
    parts = [re.sub(r"^[^\w]+", "", part).rstrip(" ") for part in cleaned.split("/")]
    joined = "/".join(part for part in parts if part.strip(".") != "")
    return joined.encode()[:_LONGEST].decode(errors="ignore").rstrip("/ ") or "dataset"
