"""The words that a filter may use without a prefix: what every run, and every experiment, has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from mainspring.tracking.query_tree import Field, Operator, Span, Special, Value
from mainspring.tracking.query_tree import Now as _Now

__all__ = ["EXPERIMENT_WORDS", "RUN_WORDS", "Attribute", "Kind", "Words", "kind_of", "mismatch", "spaces"]

Kind = Literal["number", "mixed", "text", "id", "status", "time", "span", "file"]

_TEXT_ONLY = ("LIKE", "ILIKE", "CONTAINS", "=~")
_ORDERED = ("<", "<=", ">", ">=")


class Attribute(msgspec.Struct, frozen=True):
    """A word, what it is in SQL (`r` is the run, or the experiment), and how it compares."""

    sql: str
    kind: Kind = "text"
    also: tuple[str, ...] = ()
    """Other names of it; MLflow's, most of them."""


class Words(msgspec.Struct, frozen=True):
    """The vocabulary of one language."""

    what: str
    attributes: Mapping[str, Attribute]
    spaces: tuple[str, ...]

    def find(self, word: str) -> str:
        """The attribute that a word means, or an empty text."""
        plain = word.lower().replace(" ", "_")
        if plain in self.attributes:
            return plain
        return next((name for name, each in self.attributes.items() if plain in each.also), "")


RUN_WORDS = Words(
    "runs",
    {
        "run_id": Attribute("r.run_id", "id", ("id", "run_uuid")),
        "title": Attribute("r.title", "text", ("name", "run_name")),
        "experiment": Attribute("(SELECT e.name FROM experiment e WHERE e.id = r.experiment_id)", "text"),
        "experiment_id": Attribute("r.experiment_id", "number"),
        "user": Attribute("r.user_name", "text", ("user_id", "user_name")),
        "status": Attribute("r.status", "status"),
        "started_at": Attribute("r.started_at", "time", ("start_time", "created", "created_at")),
        "finished_at": Attribute("r.finished_at", "time", ("end_time",)),
        "updated_at": Attribute("r.updated_at", "time"),
        "duration": Attribute(
            "CAST(coalesce(r.finished_at, {now}) - r.started_at AS DOUBLE PRECISION) / 1000000", "span"
        ),
        "group": Attribute("r.group_name", "text", ("group_name",)),
        "parent": Attribute("r.parent_id", "id", ("parent_id",)),
        "note": Attribute("r.note", "text"),
        "file": Attribute("", "file", ("files",)),
    },
    ("metric", "param", "tag"),
)

EXPERIMENT_WORDS = Words(
    "experiments",
    {
        "name": Attribute("r.name", "text"),
        "experiment_id": Attribute("r.id", "number", ("id",)),
        "status": Attribute("r.status", "text"),
        "note": Attribute("r.note", "text"),
        "location": Attribute("r.location", "text", ("artifact_location",)),
        "created_at": Attribute("r.created_at", "time", ("creation_time",)),
        "updated_at": Attribute("r.updated_at", "time", ("last_update_time",)),
        "created_by": Attribute("r.created_by", "text"),
    },
    ("tag",),
)

_SPACES = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
}


def spaces() -> Mapping[str, str]:
    """What may stand before a dot, and the space that it means."""
    return _SPACES


def kind_of(field: Field, words: Words) -> Kind:
    """How a field compares."""
    if field.space == "attribute":
        return words.attributes[field.name].kind
    return "number" if field.space == "metric" else "mixed"


def mismatch(  # noqa: PLR0911 -- one answer for each kind
    kind: Kind, operator: Operator | Literal["IN", "BETWEEN"], value: Value
) -> str:
    """Why something of this kind cannot be compared so, or an empty text."""
    numeric = isinstance(value, Special) or (isinstance(value, int | float) and not isinstance(value, bool))
    texts = operator in _TEXT_ONLY
    if texts and not isinstance(value, str):
        return f"{operator} compares with a text in quotes"
    if texts and kind in ("number", "time", "span"):
        return f"a number or a time cannot be compared by {operator}"
    if kind == "number" and not numeric:
        return "this is compared with a number, without quotes"
    if kind == "time" and not (numeric and not isinstance(value, Special)) and not isinstance(value, str | _Now):
        return "this is compared with a time: '2026-11-01', '2026-11-01 09:30', now - 2d, or milliseconds since 1970"
    if kind == "span" and not (isinstance(value, Span) or (numeric and not isinstance(value, Special))):
        return "this is compared with a length of time: 90s, 5min, 2h, or a number of seconds"
    if kind == "mixed":
        return (
            "" if numeric or isinstance(value, str | bool) else "this is compared with a text, a number, true or false"
        )
    if kind in ("text", "id", "status", "file"):
        if not isinstance(value, str):
            return "this is compared with a text in quotes"
        if kind in ("id", "status") and (operator in _ORDERED or operator == "BETWEEN"):
            return f"{operator} needs an order, and there is none here"
        if kind == "file" and operator not in ("=", "IN", *_TEXT_ONLY):
            return "a file is looked for with =, IN, LIKE, ILIKE, CONTAINS or =~; NOT before it says that there is none"
    return ""
