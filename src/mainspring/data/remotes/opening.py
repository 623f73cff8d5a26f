"""Which depot is at an address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainspring.data.remotes.bucket_depot import BucketDepot
from mainspring.data.remotes.depot import Depot
from mainspring.data.remotes.service_depot import ServiceDepot
from mainspring.kernel.errors import InvalidInput, NotFound, StoreTooNew
from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.hooks import PEER, load
from mainspring.store.buckets import SharedBucket, open_bucket

__all__ = ["MARK", "open_depot"]

MARK = "mainspring-remote.json"
"""The object that says that a bucket is a remote, so that nothing is mixed into another's folder."""
_CONTENT = b'{"form":1,"holds":"dataset versions"}\n'
_CHECKED = {"s3": {"checksum_algorithm": "sha256"}, "s3a": {"checksum_algorithm": "sha256"}}
"""Uploads carry a checksum that the store compares, where the protocol has one."""


@contextmanager
def open_depot(
    url: str, *, name: str = "", token: str = "", cache: Path | None = None, make: bool = False
) -> Iterator[Depot]:
    """The place at a URL or in a folder.

    Args:
        url: See `Remote.url`.
        name: The name of the remote; its token is read from `MAINSPRING_REMOTE_<NAME>_TOKEN`.
        token: Shown to another Mainspring; otherwise it is read from the environment.
        cache: A folder for what is known of buckets.
        make: Whether an empty folder or bucket becomes a remote.

    Raises:
        NotFound: There is no remote, and `make` is not set.
        InvalidInput: The folder or bucket holds something else.
    """
    if url.startswith(("http://", "https://")):
        with load(PEER)(url, token=token or _token(name)) as client:
            yield ServiceDepot(client.data, client.storage, address=url)
        return
    scheme = url.partition("://")[0] if "://" in url else ""
    if not scheme and not make and not Path(url).is_dir():
        raise NotFound(f"there is no folder {url}", hint="push something to it first")
    bucket = open_bucket(Path(url).expanduser() if not scheme else url, options=_CHECKED.get(scheme))
    _check_mark(bucket, url, make=make)
    folder = None if cache is None else cache / digest_bytes(url.encode())[:16]
    yield BucketDepot(bucket, address=url.partition("?")[0], cache=folder)


def _check_mark(bucket: SharedBucket, url: str, *, make: bool) -> None:
    found = _mark(bucket)
    if found is None:
        filled = any(True for _ in bucket.list())
        found = _mark(bucket)  # another may have begun just now
        if found is None and filled:
            hint = "choose an empty folder, or a prefix of its own"
            raise InvalidInput(f"{url} holds something that is no remote of dataset versions", hint=hint)
        if found is None and not make:
            raise NotFound(f"there is no remote in {url}", hint="push something to it first")
        if found is None:
            bucket.swap(MARK, _CONTENT, expected=None)
            return
    if b'"form":1' not in found:
        hint = "pip install --upgrade mainspring, or mend the file from a copy"
        raise StoreTooNew(f"{MARK} in {url} has a form that this version cannot read", hint=hint)


def _mark(bucket: SharedBucket) -> bytes | None:
    try:
        return bucket.get(MARK)
    except NotFound:
        return None


def _token(name: str) -> str:
    own = f"MAINSPRING_REMOTE_{re.sub('[^A-Z0-9]', '_', name.upper())}_TOKEN" if name else ""
    return os.environ.get(own, "") or os.environ.get("MAINSPRING_REMOTE_TOKEN", "")
