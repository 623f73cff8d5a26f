"""Files: a folder or a bucket is listed now and then, and what was not there before, in this form, is one event.

A file is known by its path, its size and the moment it was written (on S3 by its tag): written again, it is another.
Listing is cheap, and sees what a watching of the kernel misses: mounted folders, what came while nothing looked.
"""

from __future__ import annotations

import glob
import os
import threading
import time
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from mainspring.kernel.clock import from_micros
from mainspring.kernel.errors import InvalidInput, MissingDependency
from mainspring.pipelines.sources.accepting import Message, accept, note_error
from mainspring.pipelines.sources.checks import address_of
from mainspring.pipelines.types_triggers import StreamSource
from mainspring.store.store import Store

__all__ = ["listen", "look"]

_MOST_FILES = 100_000
_AT_ONCE = 500
_DAY_MICROS = 86_400 * 1_000_000
_MAGIC = "*?["


def listen(store: Store, source: StreamSource, ending: threading.Event) -> None:
    """Look again and again until told to end."""
    while not ending.is_set():
        look(store, source)
        if source.error:
            note_error(store, source, "")
        ending.wait(float(source.options["every"]))


def look(store: Store, source: StreamSource) -> int:
    """Look once; how many files were new."""
    found = _listed(source)
    tokens = {message.token for message in found}
    with store.read() as tx:
        rows = tx.rows("SELECT token, at FROM flow_source_seen WHERE source_id = ?", (source.id,))
    seen = {str(token): int(at) for token, at in rows}
    if not source.options["existing"] and _BEGUN not in seen:
        _begin(store, source, tokens)
        return 0
    fresh = [message for message in found if message.token not in seen]
    count = 0
    for first in range(0, len(fresh), _AT_ONCE):
        count += accept(store, source, fresh[first : first + _AT_ONCE], kind="file.appeared")
    _refresh(store, source, tokens, seen)
    return count


_BEGUN = "(begun)"


def _begin(store: Store, source: StreamSource, tokens: set[str]) -> None:
    """Remember what was there when the looking began: it has not appeared."""
    with store.bookkeeping() as tx:
        for token in (_BEGUN, *sorted(tokens)):
            tx.execute(
                "INSERT INTO flow_source_seen (source_id, token, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (source.id, token, tx.now_micros),
            )


def _refresh(store: Store, source: StreamSource, tokens: set[str], seen: dict[str, int]) -> None:
    """Forget files that are gone for a week; once a day."""
    kept = tokens | {_BEGUN}
    with store.read() as tx:
        day_ago, week_ago = tx.now_micros - _DAY_MICROS, tx.now_micros - 7 * _DAY_MICROS
    there = [token for token, at in seen.items() if token in kept and at < day_ago]
    gone = [token for token, at in seen.items() if token not in kept and at < week_ago]
    if not there and not gone:
        return
    with store.bookkeeping() as tx:
        tx.many(
            "UPDATE flow_source_seen SET at = ? WHERE source_id = ? AND token = ?",
            [(tx.now_micros, source.id, token) for token in there],
        )
        tx.many("DELETE FROM flow_source_seen WHERE source_id = ? AND token = ?", [(source.id, each) for each in gone])


def _listed(source: StreamSource) -> list[Message]:
    address = address_of(source.address)
    found = _bucket(address) if "://" in address else _folder(address, float(source.options["settle"]))
    if len(found) > _MOST_FILES:
        raise InvalidInput(f"{source.address} means more than {_MOST_FILES} files", hint="a narrower pattern")
    return found


def _folder(pattern: str, settle: float) -> list[Message]:
    found: list[Message] = []
    now = time.time()
    for path in glob.iglob(pattern, recursive=True):  # noqa: PTH207 -- the pattern is absolute
        try:
            status = os.stat(path)  # noqa: PTH116 -- in a loop over many
        except OSError:
            continue  # gone again
        if not os.path.isfile(path) or 0 <= now - status.st_mtime < settle:  # noqa: PTH113
            continue  # it may still be written
        token = f"{path}|{status.st_size}|{status.st_mtime_ns}"
        written = from_micros(status.st_mtime_ns // 1000).isoformat()
        found.append(Message(token, {"path": path, "size": status.st_size, "written_at": written}))
        if len(found) > _MOST_FILES:
            break
    return sorted(found, key=lambda each: (each.data["written_at"], each.token))


def _bucket(address: str) -> list[Message]:
    try:
        import obstore.store
    except ImportError:
        raise MissingDependency("obstore", extra="s3") from None
    parts = urlsplit(address)
    pattern = parts.path.lstrip("/")
    fixed = pattern[: min([len(pattern), *(at for mark in _MAGIC if (at := pattern.find(mark)) >= 0)])]
    prefix = fixed.rpartition("/")[0]
    place: Any = obstore.store.from_url(f"s3://{parts.netloc}", **_options())
    found: list[Message] = []
    for page in obstore.list(place, prefix=prefix or None):
        for each in page:
            if fnmatchcase(each["path"], pattern):
                path = f"s3://{parts.netloc}/{each['path']}"
                tag = each.get("e_tag") or each["last_modified"].isoformat()
                data = {"path": path, "size": each["size"], "written_at": each["last_modified"].isoformat()}
                found.append(Message(f"{path}|{each['size']}|{tag}", data))
        if len(found) > _MOST_FILES:
            break
    return sorted(found, key=lambda each: (each.data["written_at"], each.token))


def _options() -> dict[str, Any]:
    """What the usual variables say of S3, and whether plain HTTP is meant: for a server of one's own."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    options: dict[str, Any] = {}
    if endpoint:
        options["endpoint"] = endpoint
        options["client_options"] = {"allow_http": endpoint.startswith("http://")}
    return options
