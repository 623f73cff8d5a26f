"""What the pages of flows share: the parts of the section, errors, spans, and values as people read them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.page import Ask, Page
from mainspring.console.words import compact
from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import MainspringError

if TYPE_CHECKING:
    from datetime import datetime

    from mainspring.client.client import Client
    from mainspring.pipelines.types import Cause

__all__ = ["STATES", "FlowsPart", "Part", "Shown", "cause_words", "message_of", "parts", "seconds", "shown", "trace_of"]

STATES = ("queued", "running", "waiting", "paused", "finished", "failed", "cancelled", "crashed")
_ROWS = 20
_COLUMNS = 12
_LARGEST = 4 << 20
"""Bytes of a table or an array that is read to show its beginning."""
_TEXT = 4000


class Part(msgspec.Struct, frozen=True):
    """One part of the section."""

    label: str
    href: str
    current: bool


class FlowsPart(Page, frozen=True, kw_only=True):
    """The base of the pages that stand beside each other under Flows."""

    parts: list[Part]


def parts(ask: Ask, current: str) -> list[Part]:
    """The parts of the section, one of them current."""
    found = (
        ("Flows", "/flows"),
        ("Runs", "/flows/runs"),
        ("Approvals", "/flows/approvals"),
        ("Schedules", "/flows/schedules"),
        ("Calendar", "/flows/calendar"),
        ("Triggers", "/flows/triggers"),
        ("Backfills", "/flows/backfills"),
        ("Deployments", "/flows/deployments"),
        ("Queue", "/flows/queue"),
    )
    return [Part(label, ask.link(path), label == current) for label, path in found]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An encoded value as a page draws it: a text, a table, or what is known of bytes."""

    kind: str
    """`nothing`, `text`, `json`, `facts`, `table` or `bytes`."""
    text: str = ""
    columns: list[str] = []
    rows: list[list[str]] = []
    total: int = 0
    """Rows of the whole table."""
    note: str = ""


def shown(client: Client, tree: Any) -> Shown:  # noqa: PLR0911 -- one line for each form of a value
    """A value in the form of `values.encode`, for people: nothing of it is ever run, and large parts are not read."""
    if tree is None:
        return Shown(kind="nothing")
    if isinstance(tree, bool | int | float | str):
        return Shown(kind="text", text=_plain(tree))
    if isinstance(tree, list):
        return _of_list(tree)
    if "$" not in tree:
        flat = all(not isinstance(each, dict | list) for each in tree.values())
        return _facts(tree) if flat and tree else _json(tree)
    tag = tree["$"]
    if tag == "bytes":
        return _of_bytes(client, tree)
    if tag == "struct":
        fields = {name: _inner(each) for name, each in tree["fields"].items()}
        return msgspec.structs.replace(_facts(fields), note=str(tree["type"]).rpartition(":")[2])
    if tag in ("tuple", "set", "frozenset"):
        return msgspec.structs.replace(_of_list(tree["items"]), note=tag)
    if tag == "json":
        return Shown(kind="bytes", text=f"JSON, {tree['size']:,} bytes")
    return Shown(kind="text", text=_plain(_inner(tree)), note=str(tag))


def _of_list(items: list[Any]) -> Shown:
    columns = list(items[0]) if items and isinstance(items[0], dict) and "$" not in items[0] else []
    if columns and all(isinstance(each, dict) and list(each) == columns for each in items):
        rows = [[_plain(_inner(each[name])) for name in columns[:_COLUMNS]] for each in items[:_ROWS]]
        return Shown(kind="table", columns=[str(name) for name in columns[:_COLUMNS]], rows=rows, total=len(items))
    if len(items) > 1 and all(isinstance(each, int | float) for each in items):
        rows = [[str(number), _plain(each)] for number, each in enumerate(items[:_ROWS])]
        return Shown(kind="table", columns=["", "value"], rows=rows, total=len(items))
    return _json([_inner(each) for each in items])


def _of_bytes(client: Client, tree: dict[str, Any]) -> Shown:
    codec, size = str(tree["codec"]), int(tree["size"])
    told = Shown(kind="bytes", text=f"{codec}, {size:,} bytes")
    if codec not in ("frame", "array") or size > _LARGEST:
        return told
    from mainspring.pipelines.codecs import codec_named

    try:
        data = base64.b64decode(tree["data"]) if "data" in tree else b"".join(client.storage.get_blob(tree["digest"]))
        value = codec_named(codec).decode(data, {} if codec == "frame" else tree.get("extra", {}))
    except (MainspringError, ImportError, ValueError, KeyError):
        return told  # a part that is gone, or of a library that is not here; its size is what is known
    if codec == "array":
        begin = ", ".join(_plain(each.item()) for each in value.ravel()[:_ROWS])
        return Shown(
            kind="text", text=begin + (", \u2026" if value.size > _ROWS else ""), note=f"{value.dtype} {value.shape}"
        )
    columns = value.columns[:_COLUMNS]
    rows = [[_plain(cell) for cell in row] for row in value.select(columns).head(_ROWS).iter_rows()]
    note = f"{value.width} columns" if value.width > _COLUMNS else ""
    return Shown(kind="table", columns=list(columns), rows=rows, total=value.height, note=note)


def _inner(tree: Any) -> Any:
    """A part of a value, short: dates as their text, bytes as their size."""
    if not isinstance(tree, dict) or "$" not in tree:
        return tree
    if tree["$"] == "bytes":
        return f"{tree['codec']}, {tree['size']:,} bytes"
    if tree["$"] == "enum":
        return tree["name"]
    if tree["$"] == "struct":
        return {name: _inner(each) for name, each in tree["fields"].items()}
    return tree.get("value", tree.get("items", tree))


def _facts(values: dict[str, Any]) -> Shown:
    rows = [[str(name), _plain(_inner(each))] for name, each in list(values.items())[:100]]
    return Shown(kind="facts", rows=rows, total=len(values))


def _json(tree: Any) -> Shown:
    text = msgspec.json.format(msgspec.json.encode(tree), indent=2).decode()
    return Shown(kind="json", text=text if len(text) <= _TEXT else text[:_TEXT] + "\n\u2026")


def _plain(value: Any) -> str:
    return "null" if value is None else compact(value, _TEXT) if isinstance(value, str) else compact(_told(value), 400)


def _told(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | dict | list) else str(value)


def message_of(error: dict[str, Any] | None) -> str:
    """What an error says, in a line."""
    return str(error.get("message") or error.get("type") or error) if error else ""


def trace_of(error: dict[str, Any] | None) -> str:
    """The whole of an error."""
    if not error:
        return ""
    details = error.get("details")
    inner = details.get("traceback") if isinstance(details, dict) else ""
    return str(error.get("traceback") or inner or message_of(error))


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """From one moment to another."""
    return (to_micros(end) - to_micros(start)) / 1e6 if start and end else None


def cause_words(cause: Cause, by: str) -> str:
    """Who or what started a run, in words.

    Example:
        >>> from mainspring.pipelines.types import Cause
        >>> cause_words(Cause(), "ada"), cause_words(Cause("schedule", "nightly"), "ada")
        ('ada', 'schedule nightly')
    """
    return by if cause.kind == "person" else f"{cause.kind} {cause.name}".strip()
