"""Objects: the batch answer, and the bytes with ranges."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.protocols.lfs.wire import LfsError

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["Batch", "Pointer", "batch", "download", "verify"]

_MOST = 10_000
_RANGE = re.compile(r"bytes=(\d{1,19})-(\d{0,19})")
_OID = re.compile(r"[0-9a-f]{64}")


class Pointer(msgspec.Struct, frozen=True):
    """An object as the client names it."""

    oid: str
    size: int


class Ref(msgspec.Struct, frozen=True):
    """The branch that a request is about."""

    name: str = ""


class Batch(msgspec.Struct, frozen=True):
    """A request for objects to be downloaded or uploaded."""

    operation: str
    objects: list[Pointer]
    transfers: list[str] | None = None
    ref: Ref | None = None
    hash_algo: str = "sha256"


def batch(client: Client, repository: str, base: str, asked: Batch) -> dict[str, Any]:
    """What the client has to do for each object.

    Args:
        client: Where the objects are.
        repository: Whose they are.
        base: The URL of the repository, without a slash at its end.
        asked: The request.
    """
    if asked.hash_algo != "sha256":
        raise LfsError(409, f"objects are named by SHA-256 here, not by {asked.hash_algo[:40]!r}")
    if asked.operation not in ("download", "upload"):
        raise LfsError(422, f"there is no operation {asked.operation[:40]!r}: download or upload")
    if asked.transfers and "basic" not in asked.transfers:
        raise LfsError(422, "only the transfer adapter `basic` is served")
    if len(asked.objects) > _MOST:
        raise LfsError(413, f"{len(asked.objects)} objects at once; ask for {_MOST} at most")
    proper = [each.oid for each in asked.objects if _OID.fullmatch(each.oid)]
    held = {each.oid: each for each in client.data.lfs_objects(repository, oids=proper)}
    told: list[dict[str, Any]] = []
    for each in asked.objects:
        said: dict[str, Any] = {"oid": each.oid, "size": each.size}
        found = held.get(each.oid)
        here = f"{base}/objects/{each.oid}"
        if not _OID.fullmatch(each.oid) or each.size < 0:
            said |= _error(422, "the id is not a SHA-256 in hex, or the size is below zero")
        elif found and found.size != each.size:
            said |= _error(422, f"this object has {found.size} bytes, not {each.size}")
        elif asked.operation == "upload":
            if not found or not found.sound:
                said["actions"] = {"upload": {"href": here}, "verify": {"href": f"{base}/objects/verify"}}
        elif not found:
            said |= _error(404, f"{repository} does not have this object")
        elif not found.sound:
            said |= _error(410, "this object is damaged in the store; push it again from a clone that has it")
        else:
            said["actions"] = {"download": {"href": here}}
        told.append(said)
    return {"transfer": "basic", "objects": told, "hash_algo": "sha256"}


def verify(client: Client, repository: str, asked: Pointer) -> dict[str, Any]:
    """Whether an object that was uploaded is here, whole."""
    held = client.data.lfs_objects(repository, oids=[asked.oid])
    if not held or not held[0].sound:
        raise NotFound(f"{repository} does not have object {asked.oid}")
    if held[0].size != asked.size:
        raise InvalidInput(f"object {asked.oid} has {held[0].size} bytes, not {asked.size}")
    return {}


def download(client: Client, repository: str, oid: str, wanted: str) -> tuple[int, dict[str, str], Iterator[bytes]]:
    """The status, the headers and the bytes of an object; `wanted` is the header Range."""
    held = client.data.lfs_objects(repository, oids=[oid])
    if not held:
        raise NotFound(f"{repository} does not have object {oid}")
    size = held[0].size
    headers = {"accept-ranges": "bytes", "etag": f'"{oid}"', "x-content-type-options": "nosniff"}
    match = _RANGE.fullmatch(wanted.strip())
    start, stop = (int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)) if match else (0, size)
    if match and start >= stop:
        return 416, headers | {"content-range": f"bytes */{size}"}, iter(())
    headers["content-length"] = str(stop - start)
    if match:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    pieces = client.data.lfs_get(repository, oid=oid, start=start, stop=stop)
    first = next(pieces, b"")  # so that damage at its start is an answer, and not a broken stream
    return 206 if match else 200, headers, itertools.chain([first], pieces)


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
