"""The errors of W&B that scripts catch by name."""

from __future__ import annotations

__all__ = ["CommError", "Error", "UsageError"]


class Error(Exception):
    """The root of W&B's errors."""


class UsageError(Error):
    """A call that makes no sense, such as `log` before `init`."""


class CommError(Error):
    """The store could not be reached, or has not got what was asked for."""
