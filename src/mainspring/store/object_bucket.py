"""The object stores of the clouds as a bucket, over `obstore`: S3 and its kin, Google Cloud Storage, Azure.

An object store's own `PUT` is atomic and durable when it answers, so there is nothing here but names and errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from mainspring.kernel.errors import NotFound, ReadOnlyStore, StorageError, Unavailable
from mainspring.kernel.hashing import Buffer
from mainspring.store.buckets import Stored, check_object_name
from mainspring.store.object_stores import RETRIES, open_object_store, split_options

__all__ = ["ObjectBucket"]

_PART = 16 << 20


class ObjectBucket:
    """A bucket of an object store, by URL.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container/prefix`. Options may stand in its
            query, `s3://models/prod?endpoint=http://minio:9000&region=eu-west-1`; credentials may not: URLs reach logs.
        options: Settings as `obstore` names them, credentials included. What is not given is read from the
            environment (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`, ...) or from the machine's own role.
        retries: How often a request is repeated that the store refused with 5xx, or that got no answer.

    An `http://` endpoint is allowed when it is written out; the path style is used with every custom endpoint.
    """

    def __init__(self, url: str, *, options: dict[str, str] | None = None, retries: int = RETRIES) -> None:
        self._store = open_object_store(url, options=options, retries=retries)
        import obstore

        self.url = split_options(url)[0]
        self._api = obstore

    def __repr__(self) -> str:
        return f"ObjectBucket({self.url!r})"

    def put(self, name: str, data: Buffer | Path) -> None:
        """See `Bucket.put`."""
        check_object_name(name)
        try:
            # One request leaves no parts behind when it fails; a file may be too large for one.
            one = not isinstance(data, Path)
            self._api.put(self._store, name, data, use_multipart=False if one else None, chunk_size=_PART)
        except Exception as error:  # noqa: BLE001 -- the driver has no common base with OSError; all are translated
            self._raise(error, f"writing {name}", writing=True)

    def get(self, name: str) -> bytes:
        """See `Bucket.get`."""
        check_object_name(name)
        try:
            return bytes(self._api.get(self._store, name).bytes())
        except Exception as error:  # noqa: BLE001
            self._raise(error, f"reading {name}")

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """See `Bucket.get_range`."""
        check_object_name(name)
        if length <= 0:
            return b""
        try:
            return bytes(self._api.get_range(self._store, name, start=start, length=length))
        except Exception as error:  # noqa: BLE001
            if (found := self.head(name)) and start >= found.size:
                return b""  # a store answers 416 where a file gives no bytes
            self._raise(error, f"reading {name}")

    def head(self, name: str) -> Stored | None:
        """See `Bucket.head`."""
        check_object_name(name)
        try:
            return Stored(name, self._api.head(self._store, name)["size"])
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001
            self._raise(error, f"looking for {name}")

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """See `Bucket.list`."""
        if prefix:
            check_object_name(prefix)
        try:
            for page in self._api.list(self._store, prefix or None):
                for found in page:
                    yield Stored(found["path"], found["size"])
        except Exception as error:  # noqa: BLE001
            self._raise(error, f"listing {prefix or 'everything'}")

    def delete(self, name: str) -> None:
        """See `Bucket.delete`."""
        check_object_name(name)
        try:
            self._api.delete(self._store, name)
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001
            self._raise(error, f"deleting {name}", writing=True)

    def swap(self, name: str, data: Buffer, *, expected: bytes | None) -> bool:
        """See `SharedBucket.swap`: a conditional request, so the store decides between two that come at once.

        A store that knows no conditional requests is asked first and written then; between the two another may come.
        """
        check_object_name(name)
        known = self._api.exceptions
        try:
            mode: Any = "create"
            if expected is not None:
                found = self._api.get(self._store, name)
                if bytes(found.bytes()) != expected:
                    return False
                mode = {key: value for key in ("e_tag", "version") if (value := found.meta[key]) is not None}
            self._api.put(self._store, name, data, mode=mode, use_multipart=False)
        except (known.AlreadyExistsError, known.PreconditionError):
            return False
        except Exception as error:  # noqa: BLE001
            gone = isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error)
            if "ConditionalRequestConflict" in str(error) or gone:
                return False
            if isinstance(error, known.NotSupportedError | NotImplementedError):
                return self._swap_unconditionally(name, data, expected)
            self._raise(error, f"writing {name}", writing=True)
        return True

    def _swap_unconditionally(self, name: str, data: Buffer, expected: bytes | None) -> bool:
        try:
            now: bytes | None = self.get(name)
        except NotFound:
            now = None
        if now != expected:
            return False
        self.put(name, data)
        return True

    def _raise(self, error: Exception, doing: str, *, writing: bool = False) -> NoReturn:
        """The driver's error as ours."""
        known = self._api.exceptions
        where = f"{doing} in {self.url}"
        if "NoSuchBucket" in str(error) or (writing and isinstance(error, FileNotFoundError)):
            raise StorageError(f"the bucket does not exist: {where}", hint="create it, or correct its URL") from error
        if isinstance(error, FileNotFoundError):
            raise NotFound(f"there is no such object: {where}") from error
        if isinstance(error, PermissionError | known.PermissionDeniedError | known.UnauthenticatedError):
            kind = ReadOnlyStore if writing else StorageError
            hint = "check the credentials and the bucket's policy"
            raise kind(f"not allowed: {where}: {_first_line(error)}", hint=hint) from error
        if isinstance(error, known.BaseError | OSError):
            raise Unavailable(f"the object store failed while {where}: {_first_line(error)}") from error
        raise error


def _first_line(error: Any) -> str:
    return str(error).partition("\n")[0][:300]
