"""Where the bytes of a DVC repository are: its cache in both layouts, and its remotes in order.

    files/md5/ab/cdef...     DVC 3
    ab/cdef...               DVC 2 and before

An object is believed when its bytes have the MD5 that it is called by, wherever it lies. Before 3, DVC made the line
ends of text Unix while it hashed; what it took for text is a fact of its code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from mainspring.importers.dvc_files import Content
from mainspring.kernel.errors import Damaged, InvalidInput, MainspringError, NotFound
from mainspring.store.buckets import translate_os_error

__all__ = ["Objects", "Place", "checked_md5", "places_of"]

_PIECE = 1 << 20
"""DVC hashes this many bytes at a time, and looks for text in each; so must we."""
_BLOCK = 512
_TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
_NOT_TEXT = 0.3


class Place(Protocol):
    """A folder, a bucket or a server with objects."""

    def open(self, name: str) -> Iterator[bytes] | None:
        """The bytes of an object in pieces; None when it is not there."""
        ...


class FolderPlace:
    """Objects below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> Iterator[bytes] | None:
        """See `Place.open`."""
        path = self._folder / name
        return self._pieces(path) if path.is_file() else None

    def _pieces(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb", buffering=0) as file:
                while piece := file.read(_PIECE):
                    yield piece
        except OSError as error:
            raise translate_os_error(error, f"reading {path}") from error


class BucketPlace:
    """Objects in S3, Google Cloud Storage or Azure."""

    def __init__(self, url: str, options: dict[str, str]) -> None:
        from mainspring.store.object_bucket import ObjectBucket

        self._bucket = ObjectBucket(url, options=options)

    def open(self, name: str) -> Iterator[bytes] | None:
        """See `Place.open`."""
        found = self._bucket.head(name)
        return None if found is None else self._pieces(name, found.size)

    def _pieces(self, name: str, size: int) -> Iterator[bytes]:
        for start in range(0, size, 16 * _PIECE):
            yield self._bucket.get_range(name, start, min(16 * _PIECE, size - start))


class WebPlace:
    """Objects of a web server."""

    def __init__(self, url: str, auth: tuple[str, str] | None) -> None:
        import httpx

        self._base = url.rstrip("/")
        self._client = httpx.Client(auth=auth, follow_redirects=True, timeout=60)

    def open(self, name: str) -> Iterator[bytes] | None:
        """See `Place.open`."""
        import httpx

        address = f"{self._base}/{name}"
        try:
            answer = self._client.send(self._client.build_request("GET", address), stream=True)
        except httpx.HTTPError as error:
            raise InvalidInput(f"{address} cannot be reached: {error}") from error
        if answer.status_code in (404, 410):
            answer.close()
            return None
        if answer.status_code != 200:
            answer.close()
            raise InvalidInput(f"{address} answers {answer.status_code}")
        return self._pieces(answer)

    def _pieces(self, answer: object) -> Iterator[bytes]:
        import httpx

        assert isinstance(answer, httpx.Response)  # noqa: S101 -- the type is imported late
        try:
            yield from answer.iter_bytes(_PIECE)
        except httpx.HTTPError as error:
            raise InvalidInput(f"{answer.url} broke off: {error}") from error
        finally:
            answer.close()


class Objects:
    """The objects of a repository, looked for in one place after the other.

    Args:
        caches: What is on this machine.
        remotes: By name, the default one first.
    """

    def __init__(self, caches: Iterable[Place], remotes: Mapping[str, Place]) -> None:
        self._caches = list(caches)
        self._remotes = dict(remotes)

    def copies(self, content: Content, *, remote: str = "") -> Iterator[Iterator[bytes]]:
        """Every copy of an object that there is, the nearest first; each is checked as its last piece is taken.

        Args:
            content: The object.
            remote: The remote that its output names.
        """
        order = [*self._caches]
        if remote in self._remotes:
            order.append(self._remotes[remote])
        order += [place for name, place in self._remotes.items() if name != remote]
        for name in _names(content):
            for place in order:
                if (pieces := place.open(name)) is not None:
                    yield checked_md5(pieces, content)

    def read(self, content: Content, *, remote: str = "", limit: int) -> bytes | None:
        """The whole of a sound copy of a small object; None when it has `limit` bytes or more.

        Raises:
            NotFound: It is nowhere.
            Damaged: Each copy of it that there is has other bytes.
        """
        there = False
        for pieces in self.copies(content, remote=remote):
            there, data = True, bytearray()
            try:
                for piece in pieces:
                    data += piece
                    if len(data) >= limit:
                        return None
            except Damaged:
                continue
            return bytes(data)
        raise self.lost(content, there=there)

    def lost(self, content: Content, *, there: bool) -> MainspringError:
        """The error for an object of which there is no sound copy."""
        if there:
            return Damaged(f"object {content.md5} has other bytes than its MD5 says")
        return NotFound(f"object {content.md5} is in no cache and no remote")


def checked_md5(pieces: Iterable[bytes], content: Content) -> Iterator[bytes]:
    r"""Pieces as they pass; raises `Damaged` at their end when they do not have the MD5.

    Example:
        >>> b"".join(checked_md5([b"a\r\nb"], Content(hashlib.md5(b"a\nb").hexdigest(), legacy=True)))
        b'a\r\nb'
    """
    plain, unix = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    for piece in _even(pieces) if content.legacy else pieces:
        plain.update(piece)
        if content.legacy:
            unix.update(piece.replace(b"\r\n", b"\n") if _is_text(piece[:_BLOCK]) else piece)
        yield piece
    wanted = content.md5.removesuffix(".dir")
    if wanted != plain.hexdigest() and not (content.legacy and wanted == unix.hexdigest()):
        raise Damaged(f"object {content.md5} has the MD5 {plain.hexdigest()}")


def places_of(
    config: Mapping[str, Mapping[str, str]], dvc: Path, *, here: bool
) -> tuple[list[Place], dict[str, Place], list[str]]:
    """The caches and the remotes that a configuration names, and what cannot be used of them.

    Args:
        config: The sections.
        dvc: The folder `.dvc`, which relative paths start at.
        here: Whether that folder is on this machine.
    """
    caches: list[Place] = []
    if here:
        caches.append(FolderPlace(dvc / config.get("cache", {}).get("dir", "cache")))
    remotes: dict[str, Place] = {}
    problems: list[str] = []
    names = [section.partition('"')[2].rstrip('"') for section in config if section.startswith('remote "')]
    default = config.get("core", {}).get("remote", "")
    for name in sorted(names, key=lambda each: each != default):
        try:
            place = _remote(config, name, dvc)
        except MainspringError as error:
            problems.append(f"remote {name}: {error.message}{f' ({error.hint})' if error.hint else ''}")
            continue
        remotes[name] = place
    return caches, remotes, problems


def _remote(config: Mapping[str, Mapping[str, str]], name: str, dvc: Path) -> Place:
    said = dict(config[f'remote "{name}"'])
    url = said.get("url", "")
    if url.startswith("remote://"):
        other, _, rest = url.removeprefix("remote://").partition("/")
        base = config.get(f'remote "{other}"', {})
        said = {**base, **said}
        url = f"{base.get('url', '').rstrip('/')}/{rest}"
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme in ("s3", "gs", "gcs", "azure", "az"):
        return BucketPlace(url.replace("azure://", "az://", 1).replace("gcs://", "gs://", 1), _options(said))
    if scheme in ("http", "https"):
        user = said.get("user", "")
        return WebPlace(url, (user, said.get("password", "")) if user else None)
    if scheme not in ("", "file"):
        raise InvalidInput(
            f"a remote of the kind {scheme}:// cannot be read here", hint="dvc fetch --all-commits first"
        )
    return FolderPlace(Path(os.path.normpath(dvc / url.removeprefix("file://"))))


def _options(said: Mapping[str, str]) -> dict[str, str]:
    """A remote's settings as `obstore` names them."""
    names = {
        "endpointurl": "endpoint", "access_key_id": "access_key_id", "secret_access_key": "secret_access_key",
        "session_token": "session_token", "region": "region", "account_name": "account_name",
        "account_key": "account_key", "credentialpath": "service_account_path",
    }  # fmt: skip
    return {ours: said[theirs] for theirs, ours in names.items() if said.get(theirs)}


def _names(content: Content) -> list[str]:
    """Where an object may lie, the layout of its own time first: DVC 3 finds the older ones too."""
    short = f"{content.md5[:2]}/{content.md5[2:]}"
    both = [f"files/md5/{short}", short]
    return both[::-1] if content.legacy else both


def _is_text(block: bytes) -> bool:
    if not block or b"\0" in block:
        return not block
    return len(block.translate(None, _TEXT)) / len(block) <= _NOT_TEXT


def _even(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of the length that DVC hashes."""
    kept = b""
    for piece in pieces:
        kept += piece
        while len(kept) >= _PIECE:
            yield kept[:_PIECE]
            kept = kept[_PIECE:]
    if kept:
        yield kept
