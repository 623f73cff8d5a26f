"""What several tools write alike: nested values with media in them, numbers as texts, files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mainspring.importers.types import ForeignFile

__all__ = ["file_of", "flat", "number_of", "pieces", "read_json", "small_file"]

_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_PIECE = 1 << 20


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values under dotted names; a medium, which says its `_type`, stays whole.

    Example:
        >>> list(flat({"a": {"b": 1}, "c": {"_type": "image"}}))
        [('a.b', 1), ('c', {'_type': 'image'})]
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and "_type" not in value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def number_of(value: Any) -> float | None:
    """A number, also where JSON had to write it as a text; None for anything else.

    Example:
        >>> number_of(True), number_of("-Infinity"), number_of("6")
        (1.0, -inf, None)
    """
    if isinstance(value, bool | int | float):
        return float(value)
    return _NUMBERS.get(value) if isinstance(value, str) else None


def read_json(data: str | bytes) -> Any:
    """The value of a JSON text; the text itself where it is none."""
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data.decode(errors="replace") if isinstance(data, bytes) else data


def pieces(file: Path) -> Iterator[bytes]:
    """The bytes of a file, a mebibyte at a time."""
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece


def file_of(file: Path, path: str, *, media_type: str = "", key: str = "", step: int | None = None) -> ForeignFile:
    """A file on this machine as a file of a run."""
    return ForeignFile(path, file.stat().st_size, partial(pieces, file), media_type, key, step)


def small_file(body: str, path: str, *, media_type: str, key: str = "", step: int | None = None) -> ForeignFile:
    """A text as a file of a run."""
    data = body.encode()
    return ForeignFile(path, len(data), partial(iter, [data]), media_type, key, step)
