"""What a version says of data that stays elsewhere: enough to read the same again, or to find that it is not there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from mainspring.lineage.types import File

__all__ = [
    "EXTERNAL_PATH",
    "DeltaTable",
    "External",
    "IcebergTable",
    "ObjectState",
    "Objects",
    "QueryResult",
    "decode_external",
    "encode_external",
    "is_elsewhere",
]

EXTERNAL_PATH = ".mainspring/external.json"
"""The one file of such a version. No folder that is committed has it: what is called so is left out."""


class ObjectState(msgspec.Struct, frozen=True):
    """One object of a bucket, or one file of a folder."""

    path: str
    """Below the prefix; empty where the URL names one object."""
    size: int
    etag: str
    """What the store says of its content; of a file, its BLAKE3."""
    version: str = ""
    """Where the bucket keeps versions, the one that was there."""
    modified: datetime | None = None


class Objects(msgspec.Struct, frozen=True, tag_field="kind", tag="objects"):
    """The objects under a URL: `s3://bucket/prefix`, `gs://`, `az://`, `file:///folder`."""

    url: str
    objects: list[ObjectState]


class DeltaTable(msgspec.Struct, frozen=True, tag_field="kind", tag="delta"):
    """A version of a Delta table."""

    url: str
    version: int
    table: str
    """The id in its metadata: another table at the same place is another table."""
    digest: str
    """Of the list of files that the version consists of."""


class IcebergTable(msgspec.Struct, frozen=True, tag_field="kind", tag="iceberg"):
    """A snapshot of an Iceberg table."""

    metadata: str
    """URL of the metadata file."""
    snapshot: int
    table: str
    """Its UUID."""


class QueryResult(msgspec.Struct, frozen=True, tag_field="kind", tag="query"):
    """What a query answered."""

    url: str
    """Of the database, without a password."""
    query: str
    digest: str
    """Of the rows, whatever their order."""
    rows: int


def is_elsewhere(files: Sequence[File]) -> bool:
    """Whether the files of a version are not the data, but say where it is."""
    return [file.path for file in files] == [EXTERNAL_PATH]


External = Objects | DeltaTable | IcebergTable | QueryResult
"""The closed set of data that stays elsewhere."""

_decoder = msgspec.json.Decoder(External)


def encode_external(external: External) -> bytes:
    """As the bytes of the version's file; equal states give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(external, order="sorted"), indent=1)


def decode_external(data: bytes) -> External:
    """Read what `encode_external` wrote."""
    found: External = _decoder.decode(data)
    return found
