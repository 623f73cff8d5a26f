"""Forms from the JSON schema of an answer: a field for each property, JSON for what has no form of its own."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.console.page import Ask
from mainspring.console.words import compact
from mainspring.kernel.context import caller

if TYPE_CHECKING:
    from mainspring.pipelines.types_waits import Wait

__all__ = ["Asked", "Choice", "Field", "asked", "fields_of"]

_FORMATS = {"date": "date", "date-time": "moment", "time": "time"}
_DEPTH = 20
_CHOICES = 200


class Choice(msgspec.Struct, frozen=True):
    """One of the values that a field may have."""

    value: str
    """As JSON."""
    label: str


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a form; the page's script writes its value as JSON."""

    name: str
    """Of the property; empty when the answer is this field alone."""
    label: str
    kind: str
    """`bool`, `choice`, `integer`, `number`, `text`, `date`, `moment`, `time`, `lines` or `json`."""
    required: bool = True
    choices: list[Choice] = []
    value: str = ""
    """What it is filled with: a text, or JSON for `bool`, `choice` and `json`."""
    least: str = ""
    most: str = ""
    help: str = ""
    item: str = ""
    """What each of the `lines` is."""


class Asked(msgspec.Struct, frozen=True):
    """A question of a run, and the form of its answer."""

    id: str
    flow: str
    run_id: str
    run_href: str
    question: str
    assignees: list[str]
    opened_at: datetime
    due_at: datetime | None
    default: str
    """What is answered when the deadline comes; empty when that is an error."""
    may: bool
    """Whether whoever looks was asked."""
    fields: list[Field]


def asked(wait: Wait, ask: Ask) -> Asked:
    """The question of an open wait, for whoever looks at it."""
    wanted, who = wait.wanted, caller()
    default = wanted.default
    return Asked(
        id=wait.id,
        flow=wait.flow,
        run_id=wait.run_id,
        run_href=ask.link(f"/flows/{wait.run_id}"),
        question=wanted.question,
        assignees=list(wanted.assignees),
        opened_at=wait.opened_at,
        due_at=wait.due_at,
        default=compact(default["value"]) if "value" in default else "",
        may=not wanted.assignees or who.principal in wanted.assignees or "admin" in who.roles,
        fields=fields_of(wanted.schema),
    )


def fields_of(schema: dict[str, Any]) -> list[Field]:
    """The fields of a schema: one for each property of an object, one alone for anything else.

    Example:
        >>> [(each.name, each.kind) for each in fields_of({"type": "boolean"})]
        [('', 'bool')]
    """
    found = _resolved(schema, schema)
    properties = found.get("properties")
    if found.get("type") == "object" and isinstance(properties, dict) and properties:
        required = found.get("required", ())
        return [
            _field(name, _resolved(part, schema), schema, required=name in required)
            for name, part in properties.items()
        ]
    return [_field("", found, schema, required=True)]


def _resolved(part: Any, root: dict[str, Any]) -> dict[str, Any]:
    """A part of a schema with its reference followed, and of `T | None` the T."""
    for _ in range(_DEPTH):
        if not isinstance(part, dict):
            return {}
        if reference := part.get("$ref"):
            part = (root.get("$defs") or {}).get(str(reference).rpartition("/")[2], {})
            continue
        choices = [
            each for each in part.get("anyOf", ()) if not (isinstance(each, dict) and each.get("type") == "null")
        ]
        if len(choices) == 1:
            part = {**choices[0], **({"default": part["default"]} if "default" in part else {}), "nullable": True}
            continue
        return part
    return {}


def _field(name: str, part: dict[str, Any], root: dict[str, Any], *, required: bool) -> Field:
    kind, choices, item = _kind(part, root)
    given = "default" in part
    default = part.get("default")
    plain = kind not in ("bool", "choice", "json", "lines")
    value = "" if not given or default is None else str(default) if plain else msgspec.json.encode(default).decode()
    if kind == "lines":
        value = "\n".join(str(each) for each in default) if isinstance(default, list) else ""
    low, high = part.get("minimum", part.get("exclusiveMinimum")), part.get("maximum", part.get("exclusiveMaximum"))
    return Field(
        name=name,
        label=str(part.get("title") if name and part.get("title") and not part.get("enum") else name or "Answer"),
        kind=kind,
        required=required and not part.get("nullable", False),
        choices=choices,
        value=value,
        least="" if low is None else str(low),
        most="" if high is None else str(high),
        help=str(part.get("description", "")),
        item=item,
    )


def _kind(part: dict[str, Any], root: dict[str, Any]) -> tuple[str, list[Choice], str]:
    values = part.get("enum") or ([part["const"]] if "const" in part else [])
    if values and len(values) <= _CHOICES:
        return "choice", [Choice(msgspec.json.encode(each).decode(), str(each)) for each in values], ""
    found = part.get("type")
    if found == "boolean":
        return "bool", [Choice("true", "Yes"), Choice("false", "No")], ""
    if found in ("integer", "number"):
        return str(found), [], ""
    if found == "string":
        return _FORMATS.get(str(part.get("format", "")), "text"), [], ""
    if found == "array" and "prefixItems" not in part:
        item = _resolved(part.get("items", {}), root).get("type")
        if item in ("string", "integer", "number"):
            return "lines", [], str(item)
    return "json", [], ""
