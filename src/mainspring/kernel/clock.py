"""The one clock. Time is UTC, in whole microseconds since 1970-01-01.

Everything that asks for the time asks here, so that a test can turn it. Durations that must
survive a clock that is set (leases, time-outs) use `monotonic`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

__all__ = ["from_micros", "monotonic", "now", "now_micros", "to_micros", "turned"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_source: Callable[[], int] = time.time_ns


def now_micros() -> int:
    """Microseconds since 1970-01-01 UTC."""
    return _source() // 1000


def now() -> datetime:
    """The present moment, aware, UTC."""
    return from_micros(now_micros())


def monotonic() -> float:
    """Seconds from an arbitrary start, never going back."""
    return time.monotonic()


def from_micros(micros: int) -> datetime:
    """Microseconds since 1970 as an aware datetime in UTC, exact."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970, exact; a naive one is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


@contextmanager
def turned(by: timedelta) -> Iterator[None]:
    """Turn the clock of this process by `by`, back or forth, inside the block. For tests.

    Example:
        >>> before = now()
        >>> with turned(timedelta(hours=-1)):
        ...     now() < before
        True
    """
    global _source  # noqa: PLW0603 -- the clock is the one thing of which there is one
    inner = _source
    shift = by // timedelta(microseconds=1) * 1000
    _source = lambda: inner() + shift  # noqa: E731 -- a clock is an expression
    try:
        yield
    finally:
        _source = inner
