"""The kinds of media that a run keeps, and what each kind of foreign object is taken for."""

from __future__ import annotations

from typing import Any

from mainspring.tracking.media_arrays import Audio, Histogram, Image
from mainspring.tracking.media_tables import Table
from mainspring.tracking.media_values import Encoded, Figure, Html, Json, Media, Text, Video

__all__ = [
    "Audio",
    "Encoded",
    "Figure",
    "Histogram",
    "Html",
    "Image",
    "Json",
    "Media",
    "Table",
    "Text",
    "Video",
    "as_media",
]

_FRAMES = {"polars", "pandas", "pyarrow"}


def as_media(value: Any) -> list[Media] | None:
    """What a value that is no number is logged as; None when it is not media. A list of media is a series of files.

    Figures of Matplotlib and Plotly, images of Pillow and frames need no wrapping.

    Example:
        >>> as_media(Text("hello"))[0].kind
        'text'
        >>> as_media(0.5) is None
        True
    """
    if isinstance(value, Media):
        return [value]
    if isinstance(value, list | tuple) and value and all(isinstance(each, Media) for each in value):
        return list(value)
    if hasattr(value, "savefig") or hasattr(value, "to_plotly_json"):
        return [Figure(value)]
    if hasattr(value, "getbands") and hasattr(value, "save"):
        return [Image(value)]
    if type(value).__module__.partition(".")[0] in _FRAMES and hasattr(value, "columns"):
        return [Table(value)]
    return None
