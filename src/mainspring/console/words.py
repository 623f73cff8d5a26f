"""How values read: times, sizes, numbers, durations. The one place where the console decides on wording."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from mainspring.console.charts.scale import span_label

__all__ = [
    "absolute",
    "ago",
    "bytes_label",
    "compact",
    "counted",
    "elapsed",
    "figure_label",
    "is_bookkeeping",
    "is_id",
    "iso",
    "json_text",
    "per_cent",
    "short_id",
]

_BOOKKEEPING = re.compile(r"(mlflow\.(datasets|models|log-model\.history)|mainspring\.define\.|import\.)")

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_SHORT = 8
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def absolute(moment: datetime | None) -> str:
    """A moment in UTC, to the second.

    Example:
        >>> absolute(datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC))
        '2026-02-03 04:05:06 UTC'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def iso(moment: datetime) -> str:
    """A moment as HTML's `datetime` attribute wants it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(moment: datetime | None, now: datetime) -> str:
    """How long before `now` a moment was, in its largest unit.

    Example:
        >>> at = datetime(2026, 2, 3, tzinfo=UTC)
        >>> ago(at, at + timedelta(minutes=90)), ago(at, at - timedelta(days=2)), ago(None, at)
        ('1 h ago', 'in 2 d', '')
    """
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    size = abs(seconds)
    if size < 5:
        return "just now"
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (math.inf, 86400, "d")):
        if size < limit:
            shown = f"{int(size // unit)} {name}"
            return f"{shown} ago" if seconds > 0 else f"in {shown}"
    return ""  # pragma: no cover -- the last limit is infinite


def elapsed(start: datetime | None, end: datetime | None, now: datetime) -> str:
    """How long something took, or has taken so far."""
    if start is None:
        return ""
    return span_label(max(((end or now) - start) / timedelta(seconds=1), 0.0))


def bytes_label(size: float) -> str:
    """A size in decimal units, as disks and networks count.

    Example:
        >>> bytes_label(0), bytes_label(1_536_000)
        ('0 B', '1.54 MB')
    """
    value, unit = float(size), 0
    while abs(value) >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {_UNITS[unit]}"


def figure_label(value: object, digits: int = 4) -> str:
    """A number as a table shows it: at most `digits` significant ones, thousands apart, whole numbers whole.

    Example:
        >>> figure_label(336776), figure_label(0.81234567), figure_label(None), figure_label(1e-9)
        ('336,776', '0.8123', '–', '1e-09')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "\u2013"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def compact(value: Any, limit: int = 120) -> str:
    """A JSON value on one line, cut where it is long."""
    shown = (
        str(value).lower()
        if isinstance(value, bool)
        else figure_label(value, 6)
        if isinstance(value, int | float)
        else value
        if isinstance(value, str)
        else json_text(value)
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "\u2026"


def counted(number: int, name: str, plural: str = "") -> str:
    """A number with the name of what was counted.

    Example:
        >>> counted(1, "event"), counted(1200, "event"), counted(2, "entry", "entries")
        ('1 event', '1,200 events', '2 entries')
    """
    return f"{number:,} {name if number == 1 else plural or name + 's'}"


def is_bookkeeping(tag: str) -> bool:
    """Whether a tag is one that programs keep for themselves, and people look at when they look for it.

    Example:
        >>> is_bookkeeping("mainspring.define.loss"), is_bookkeeping("mlflow.user"), is_bookkeeping("important")
        (True, False, False)
    """
    return _BOOKKEEPING.match(tag) is not None


def json_text(value: Any, *, indent: int = 0) -> str:
    """A value as JSON text."""
    encoded = msgspec.json.encode(msgspec.to_builtins(value, str_keys=True))
    return (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()


def per_cent(value: float | None, digits: int = 1) -> str:
    """A fraction as per cent."""
    if value is None or math.isnan(value):
        return "\u2013"
    return f"{value * 100:.{digits}f}%"


def is_id(text: str) -> bool:
    """Whether a text has the form of an id of ours, a UUID version 7."""
    return _ID.fullmatch(text) is not None


def short_id(identifier: str) -> str:
    """The end of a UUIDv7, where its random bits are: ids made together differ there and not at their start."""
    return identifier[-_SHORT:] if len(identifier) > 2 * _SHORT else identifier
