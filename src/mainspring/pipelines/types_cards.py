"""What a step shows of itself while it runs, and afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["Part", "PartKind", "Shown"]

PartKind = Literal["markdown", "table", "plot", "image", "html", "metric", "progress"]


class Shown(msgspec.Struct, frozen=True):
    """A part of a card as a step sends it."""

    number: int
    """Its place on the card; sent again, it takes the place of what was there."""
    kind: PartKind
    title: str = ""
    content: dict[str, Any] = {}
    """`markdown`: text; `table`: columns, rows, total; `metric`: value, unit, before; `progress`: done, total, seconds;
    `plot`, `image`, `html`: media_type, size, and the digest of the blob. What comes from outside is not to be trusted:
    Markdown is rendered without HTML in it, and HTML is shown in a frame of an origin of its own."""


class Part(msgspec.Struct, frozen=True):
    """A part of a card as it is kept."""

    id: str
    """`STEP/NUMBER`."""
    step_id: str
    run_id: str
    number: int
    kind: PartKind
    title: str
    content: dict[str, Any]
    at: datetime
    """When it was shown last."""
