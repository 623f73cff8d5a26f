"""Error codes as HTTP statuses: the one table, for the server, the console and every protocol."""

from __future__ import annotations

from mainspring.kernel import errors
from mainspring.kernel.errors import MainspringError

__all__ = ["STATUSES", "status_of"]

STATUSES: dict[type[MainspringError], int] = {
    errors.TooLarge: 413,
    errors.InvalidInput: 400,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Forbidden: 403,
    errors.Unauthenticated: 401,
    errors.StorageFull: 507,
    errors.ReadOnlyStore: 503,
    errors.StoreBusy: 503,
    errors.StorageError: 500,
    errors.DeadlineExceeded: 504,
    errors.Unavailable: 503,
    errors.CheckFailed: 422,
    errors.MissingDependency: 501,
    errors.InternalError: 500,
}
"""The first entry that an error is an instance of, from the most special up, gives its status."""


def status_of(error: MainspringError) -> int:
    """The HTTP status of an error."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
