"""Every error that Mainspring raises, with a stable code.

    MainspringError                     MS-0000
    ├── InvalidInput                    MS-1001   the caller sent something that cannot be
    │   ├── InvalidName                 MS-1002   a name with characters that names may not have
    │   ├── InvalidReference            MS-1003   not of the form kind/name@version
    │   ├── TooLarge                    MS-1004   over a stated limit
    │   └── UnsupportedFormat           MS-1005   bytes of a kind that cannot be read safely
    ├── NotFound                        MS-2001   no such thing; carries the nearest names
    ├── Conflict                        MS-3001   the state of the thing forbids it
    │   ├── AlreadyExists               MS-3002
    │   ├── LostLease                   MS-3003   another worker took the task over; discard the result
    │   └── Diverged                    MS-3004   a resumed flow made another call than before (`pipelines`)
    ├── Forbidden                       MS-4001   known caller, missing right
    ├── Unauthenticated                 MS-4002   unknown caller
    ├── StorageError                    MS-5000   the disk, the bucket or the database failed
    │   ├── Damaged                     MS-5001   stored bytes do not match their digest
    │   ├── StorageFull                 MS-5002
    │   ├── ReadOnlyStore               MS-5003
    │   ├── StoreBusy                   MS-5004   somebody holds the store longer than the wait limit
    │   ├── UnsafeDriver                MS-5005   this SQLite library may corrupt a shared store
    │   └── StoreTooNew                 MS-5006   written by a newer Mainspring
    ├── Unavailable                     MS-6001   the server or a service it needs is away
    │   ├── DeadlineExceeded            MS-6002
    │   └── ProcessDied                 MS-6003   the process that ran a task died (`engines`)
    ├── CheckFailed                     MS-7001   a gate, an expectation or a contract said no
    ├── MissingDependency               MS-8001   an optional package is not installed (also ImportError)
    └── InternalError                   MS-9001   a defect of Mainspring itself

The core knows no HTTP and no exit codes: `server/` and `cli/` map codes in one table each.
An error survives pickle and JSON, so that what a worker or a server raised is what the caller sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

__all__ = [
    "AlreadyExists",
    "CheckFailed",
    "Conflict",
    "Damaged",
    "DeadlineExceeded",
    "Forbidden",
    "InternalError",
    "InvalidInput",
    "InvalidName",
    "InvalidReference",
    "LostLease",
    "MainspringError",
    "MissingDependency",
    "NotFound",
    "ReadOnlyStore",
    "StorageError",
    "StorageFull",
    "StoreBusy",
    "StoreTooNew",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "UnsafeDriver",
    "UnsupportedFormat",
    "from_payload",
    "nearest",
]

_BY_CODE: dict[str, type[MainspringError]] = {}

_COMPARED_LETTERS = 64
"""How much of a name is compared: the time grows with the square, and the names may be anybody's."""


class MainspringError(Exception):
    """Something went wrong that the user can understand and usually mend.

    Args:
        message: What was wrong and where, in one sentence without a full stop at the end.
        hint: The next thing to do, usually a command or a line of Python.
        known: The nearest valid names, where the error is about a name.
        details: Values a program may want: JSON types only.

    Example:
        >>> raise NotFound('model "fraud" has no alias "prod"', known=["champion"])
        Traceback (most recent call last):
        mainspring.kernel.errors.NotFound: [MS-2001] model "fraud" has no alias "prod"; known: champion
    """

    code: ClassVar[str] = "MS-0000"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _BY_CODE.setdefault(cls.code, cls)

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        known: Iterable[str] = (),
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.known = tuple(known)
        self.details = dict(details or {})

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message}"
        if self.known:
            text += f"; known: {', '.join(self.known)}"
        if self.hint:
            text += f"; try: {self.hint}"
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.payload())

    def payload(self) -> dict[str, Any]:
        """The error as JSON types, the same on every surface."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "known": list(self.known),
            "details": self.details,
        }


class InvalidInput(MainspringError):
    """The caller sent something that cannot be; nothing was changed."""

    code = "MS-1001"


class InvalidName(InvalidInput):
    """A name with characters, a length or a form that names may not have."""

    code = "MS-1002"


class InvalidReference(InvalidInput):
    """Not of the form `kind/name@version`, `kind/name@alias` or `kind/id`."""

    code = "MS-1003"


class TooLarge(InvalidInput):
    """Over a stated limit of size or count."""

    code = "MS-1004"


class UnsupportedFormat(InvalidInput):
    """Bytes of a kind that cannot be read, or not safely."""

    code = "MS-1005"


class NotFound(MainspringError):
    """No such thing here; `known` carries the nearest names."""

    code = "MS-2001"


class Conflict(MainspringError):
    """The present state of the thing forbids what was asked."""

    code = "MS-3001"


class AlreadyExists(Conflict):
    """The name is taken."""

    code = "MS-3002"


class LostLease(Conflict):
    """Another worker took this task over; what was computed must be discarded."""

    code = "MS-3003"


class Forbidden(MainspringError):
    """The caller is known and does not have the right."""

    code = "MS-4001"


class Unauthenticated(MainspringError):
    """The caller is not known."""

    code = "MS-4002"


class StorageError(MainspringError):
    """The disk, the bucket or the database failed; what was acknowledged before is safe."""

    code = "MS-5000"


class Damaged(StorageError):
    """Stored bytes do not match their digest; they were not returned."""

    code = "MS-5001"


class StorageFull(StorageError):
    """No space left; nothing of this change was kept."""

    code = "MS-5002"


class ReadOnlyStore(StorageError):
    """The store's folder or database cannot be written."""

    code = "MS-5003"


class StoreBusy(StorageError):
    """Somebody else holds the store longer than the wait limit."""

    code = "MS-5004"


class UnsafeDriver(StorageError):
    """This SQLite library may corrupt a store that several connections share."""

    code = "MS-5005"


class StoreTooNew(StorageError):
    """The store was written by a newer Mainspring than this one."""

    code = "MS-5006"


class Unavailable(MainspringError):
    """The server, or a service that it needs, cannot be reached now."""

    code = "MS-6001"


class DeadlineExceeded(Unavailable):
    """It took longer than the caller allowed."""

    code = "MS-6002"


class CheckFailed(MainspringError):
    """A gate, an expectation or a contract said no."""

    code = "MS-7001"


class MissingDependency(MainspringError, ImportError):
    """An optional package is not installed.

    Example:
        >>> MissingDependency("onnxruntime", extra="serve").hint
        "pip install 'mainspring[serve]'"
    """

    code = "MS-8001"

    def __init__(self, package: str, *, extra: str = "") -> None:
        super().__init__(
            f'this needs the package "{package}"',
            hint=f"pip install 'mainspring[{extra}]'" if extra else f"pip install {package}",
            details={"package": package, "extra": extra},
        )


class InternalError(MainspringError):
    """A defect of Mainspring itself; the details are in its log, under the request id."""

    code = "MS-9001"


def from_payload(payload: Mapping[str, Any]) -> MainspringError:
    """Rebuild the error that another process raised from its JSON form."""
    return _rebuild(_BY_CODE.get(str(payload.get("code")), MainspringError), payload)


def nearest(name: str, names: Iterable[str], *, limit: int = 5) -> list[str]:
    """The names most like `name`, best first; all of them, sorted, when none is like it and they are few.

    Example:
        >>> nearest("flihgts", ["flights", "weather"])
        ['flights']
    """
    candidates = sorted(set(names), key=lambda each: (each != name, each))
    import difflib

    by_start: dict[str, list[str]] = {}
    for each in candidates:
        by_start.setdefault(each[:_COMPARED_LETTERS], []).append(each)
    close = difflib.get_close_matches(name[:_COMPARED_LETTERS], by_start, n=limit, cutoff=0.6)
    return [each for start in close for each in by_start[start]][:limit] or candidates[:limit]


def _rebuild(cls: type[MainspringError], payload: Mapping[str, Any]) -> MainspringError:
    error = cls.__new__(cls)
    MainspringError.__init__(
        error,
        str(payload.get("message", "")),
        hint=str(payload.get("hint", "")),
        known=payload.get("known", ()),
        details=payload.get("details", {}),
    )
    return error
