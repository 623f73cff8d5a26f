"""Objects in buckets and files in folders, in place: listed with what tells their content, and read only if it is that.

An object is fetched for reading into the cache of this machine, by the name of its ETag, and refused when the store
answers with another; where the bucket keeps versions, the version that was there is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mainspring.data.external.types import Objects, ObjectState
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from mainspring.kernel.hashing import digest_value
from mainspring.lineage.types import File
from mainspring.store.object_stores import open_object_store

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["as_files", "fetch_objects", "list_objects"]

_AT_ONCE = 8


def list_objects(url: str) -> Objects:
    """What lies under a URL now; raises `NotFound` where nothing does."""
    if urlsplit(url).scheme in ("", "file"):
        found = sorted(_list_folder(_folder(url)), key=lambda each: each.path)
    else:
        import obstore

        store = open_object_store(url)
        found = []
        try:
            for page in obstore.list(store, chunk_size=1000):
                found += [_state(meta) for meta in page if meta["size"] or not str(meta["path"]).endswith("/")]
        except Exception as error:
            raise Unavailable(f"{url} cannot be listed: {error}") from error
        found.sort(key=lambda each: each.path)
    if not found:
        raise NotFound(f"there is nothing under {url}")
    return Objects(url=_absolute(url), objects=found)


def fetch_objects(external: Objects, chosen: list[ObjectState], cache: Path) -> list[Path]:
    """Local copies of objects as they were, in their order.

    Raises:
        Conflict: One is another now, and the bucket kept no version of it.
    """
    if urlsplit(external.url).scheme == "file":
        folder = _folder(external.url)
        return [_checked_file(folder, each) for each in chosen]
    store = open_object_store(external.url)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda each: _fetch(store, external.url, each, cache), chosen))


def as_files(external: Objects) -> list[File]:
    """The objects as files of a dataset; their digests are not known."""
    name = external.url.rpartition("/")[2]  # of a URL that names one object
    return [File(each.path or name, each.size, each.etag) for each in external.objects]


def _fetch(store: ObjectStore, url: str, state: ObjectState, cache: Path) -> Path:
    import obstore

    suffix = "".join(Path(state.path).suffixes[-1:])
    target = cache / "external" / (digest_value("external-object", [url, state.path, state.etag]) + suffix)
    if target.exists() and target.stat().st_size == state.size:
        return target
    options: Any = {"version": state.version} if state.version else {}
    try:
        found = obstore.get(store, state.path, options=options)
    except FileNotFoundError:
        raise Conflict(f"{url}/{state.path} is not there any more") from None
    except Exception as error:
        raise Unavailable(f"{url}/{state.path} cannot be read: {error}") from error
    if (found.meta["e_tag"] or "") != state.etag or found.meta["size"] != state.size:
        raise Conflict(
            f"{url}/{state.path} is not what it was when the version was made",
            hint="link it again to make a version of what is there now; buckets that keep versions keep this possible",
            details={"path": state.path, "etag": state.etag, "now": found.meta["e_tag"]},
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{os.urandom(8).hex()}.partial")
    try:
        with partial.open("xb") as file:
            for piece in found:
                file.write(piece)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def _state(meta: Any) -> ObjectState:
    etag = meta["e_tag"] or ""
    if not etag:
        raise InvalidInput(f"the store gives no ETag for {meta['path']}, so that nothing tells its content")
    return ObjectState(str(meta["path"]), meta["size"], etag, meta["version"] or "", meta["last_modified"])


def _list_folder(folder: Path) -> Iterator[ObjectState]:
    from mainspring.data.sources import hash_file

    if folder.is_file():
        digest, size = hash_file(folder)
        yield ObjectState("", size, digest)
        return
    if not folder.is_dir():
        raise NotFound(f"there is no file or folder {folder}")
    for path in folder.rglob("*"):
        if path.is_file():
            digest, size = hash_file(path)
            yield ObjectState(path.relative_to(folder).as_posix(), size, digest)


def _checked_file(folder: Path, state: ObjectState) -> Path:
    from mainspring.data.sources import hash_file

    path = folder / state.path if state.path else folder
    if not path.is_file() or hash_file(path)[0] != state.etag:
        raise Conflict(
            f"{path} is not what it was when the version was made",
            hint="link it again to make a version of what is there now",
            details={"path": state.path},
        )
    return path


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(url)


def _absolute(url: str) -> str:
    return url if "://" in url else Path(url).absolute().as_uri()
