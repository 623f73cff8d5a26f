"""Errors as MLflow words them: codes, HTTP statuses, and how ours are translated."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.client.statuses import status_of
from mainspring.kernel import errors
from mainspring.kernel.errors import MainspringError

__all__ = [
    "STATUSES",
    "MlflowError",
    "already_exists",
    "internal",
    "invalid",
    "invalid_value",
    "missing",
    "missing_value",
    "not_implemented",
    "translate",
]

STATUSES: dict[str, int] = {
    "INTERNAL_ERROR": 500,
    "INVALID_STATE": 500,
    "DATA_LOSS": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "CANCELLED": 499,
    "RESOURCE_EXHAUSTED": 429,
    "ABORTED": 409,
    "RESOURCE_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "NOT_FOUND": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "PERMISSION_DENIED": 403,
    "CUSTOMER_UNAUTHORIZED": 401,
    "UNAUTHENTICATED": 401,
    "BAD_REQUEST": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_PARAMETER_VALUE": 400,
}
"""The HTTP status of each error code of the protocol."""

_CLASSES = {
    "INTERNAL_ERROR": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "INVALID_STATE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "TEMPORARILY_UNAVAILABLE": ("XXM00", "CLIENT_INTERNAL_ERROR"),
    "NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "ENDPOINT_NOT_FOUND": ("KAM00", "RESOURCE_NOT_FOUND"),
    "RESOURCE_DOES_NOT_EXIST": ("KAM00", "RESOURCE_NOT_FOUND"),
    "PERMISSION_DENIED": ("KAM00", "PERMISSION_DENIED"),
    "CUSTOMER_UNAUTHORIZED": ("KAM00", "PERMISSION_DENIED"),
    "BAD_REQUEST": ("KAM00", "INVALID_PARAMETER_VALUE"),
    "RESOURCE_ALREADY_EXISTS": ("KAM00", "RESOURCE_ALREADY_EXISTS"),
    "INVALID_PARAMETER_VALUE": ("KAM00", "INVALID_PARAMETER_VALUE"),
}

_OURS: tuple[tuple[type[MainspringError], str], ...] = (
    (errors.InvalidInput, "INVALID_PARAMETER_VALUE"),
    (errors.NotFound, "RESOURCE_DOES_NOT_EXIST"),
    (errors.AlreadyExists, "RESOURCE_ALREADY_EXISTS"),
    (errors.Conflict, "INVALID_PARAMETER_VALUE"),
    (errors.Forbidden, "PERMISSION_DENIED"),
    (errors.Unauthenticated, "UNAUTHENTICATED"),
    (errors.StoreBusy, "TEMPORARILY_UNAVAILABLE"),
    (errors.ReadOnlyStore, "TEMPORARILY_UNAVAILABLE"),
    (errors.DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (errors.Unavailable, "TEMPORARILY_UNAVAILABLE"),
    (errors.Damaged, "DATA_LOSS"),
    (errors.MissingDependency, "NOT_IMPLEMENTED"),
    (errors.CheckFailed, "INVALID_PARAMETER_VALUE"),
)


class MlflowError(Exception):
    """A refusal with a code of the protocol; `message` is what MLflow's clients and their tests compare."""

    def __init__(self, message: str, code: str = "INVALID_PARAMETER_VALUE") -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUSES.get(self.code, 500)

    def body(self) -> bytes:
        """The error as the client reads it."""
        payload: dict[str, Any] = {"error_code": self.code, "message": self.message}
        if self.code in _CLASSES:
            payload["sqlstate"], payload["error_class"] = _CLASSES[self.code]
        return msgspec.json.encode(payload)


def invalid(message: str) -> MlflowError:
    """INVALID_PARAMETER_VALUE, status 400."""
    return MlflowError(message, "INVALID_PARAMETER_VALUE")


def missing(message: str) -> MlflowError:
    """RESOURCE_DOES_NOT_EXIST, status 404."""
    return MlflowError(message, "RESOURCE_DOES_NOT_EXIST")


def already_exists(message: str) -> MlflowError:
    """RESOURCE_ALREADY_EXISTS, status 400."""
    return MlflowError(message, "RESOURCE_ALREADY_EXISTS")


def internal(message: str) -> MlflowError:
    """INTERNAL_ERROR, status 500: MLflow answers some wrong requests so, and its clients expect it."""
    return MlflowError(message, "INTERNAL_ERROR")


def not_implemented(message: str) -> MlflowError:
    """NOT_IMPLEMENTED, status 501: the client falls back to another way."""
    return MlflowError(message, "NOT_IMPLEMENTED")


def invalid_value(path: str, value: Any, reason: str = "") -> str:
    """The sentence about a wrong value, with the value as JSON.

    Example:
        >>> print(invalid_value("key", 7))
        Invalid value 7 for parameter 'key' supplied.
    """
    import json  # msgspec sorts no keys and writes other texts than Python for non-ASCII and floats

    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"Invalid value {text} for parameter '{path}' supplied" + (f": {reason}" if reason else ".")


def missing_value(path: str) -> str:
    """The sentence about a required value that is not there."""
    return f"Missing value for required parameter '{path}'."


def translate(error: MainspringError) -> MlflowError:
    """Our error in the protocol's words, for what the handlers did not word themselves."""
    code = next((name for kind, name in _OURS if isinstance(error, kind)), "INTERNAL_ERROR")
    if code == "INTERNAL_ERROR" and status_of(error) == 503:
        code = "TEMPORARILY_UNAVAILABLE"
    hint = f"; {error.hint}" if error.hint else ""
    known = f"; known: {', '.join(error.known)}" if error.known else ""
    return MlflowError(f"{error.message}{known}{hint}", code)
