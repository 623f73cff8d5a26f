"""Suites as YAML, our own form: everything that a suite says, in the order in which it says it, with comments.

    suite: flights
    expectations:
      - column: dep_delay
        expect: column_values_to_be_between
        min_value: -120
        max_value: 1440
        mostly: 0.999
      - columns: [carrier, flight]
        expect: compound_columns_to_be_unique
        severity: warning

What is said of every expectation (`column`, `columns`, `mostly`, `severity`, `where`, `meta`, `confidence`, `reason`)
stands beside the parameters of the kind; a parameter of such a name would stand under `arguments`. A short form of a
line is the kind alone, or the kind with its parameters: `- table_row_count_to_be_between: {min_value: 1}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml

from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.quality.expectations.kinds import compile_expectation, is_parametrised, kind_of
from mainspring.quality.types import Expectation, Suite

__all__ = ["read_yaml", "write_yaml"]

_COMMON = {"column", "columns", "mostly", "severity", "where", "confidence", "reason", "meta"}
_TOP = {"suite", "expectations", "meta"}
_DEEP = 40


def read_yaml(text: str) -> Suite:
    """A suite from YAML.

    Raises:
        InvalidInput: It is not YAML, or not a suite, or a line expects what cannot be; the message says in which line.

    Example:
        >>> suite = read_yaml('''
        ... suite: flights
        ... expectations:
        ...   - table_row_count_to_be_between: {min_value: 1}   # never empty
        ...   - {column: id, expect: column_values_to_be_unique}
        ... ''')
        >>> suite.name, [each.subject for each in suite.expectations]
        ('flights', ['table', 'id'])
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _check_depth(root)
        plain = yaml.load(text, Loader=_Loader)  # noqa: S506 -- a safe loader that reads dates as text
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise InvalidInput(f"{where}this is not YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("expectations"), list):
        raise InvalidInput(
            "line 1: a suite has a name and expectations", hint="begin with suite: NAME and expectations:"
        )
    for key, line in _keys(root):
        if key not in _TOP:
            raise InvalidInput(f"line {line}: {key!r} is no part of a suite", known=sorted(_TOP))
    lines = [node.start_mark.line + 1 for node in _entries(root)]
    found = tuple(_read(each, line) for each, line in zip(plain["expectations"], lines, strict=True))
    meta = plain.get("meta") or {}
    if not isinstance(meta, dict):
        raise InvalidInput("meta is a mapping")
    return Suite(name=str(plain.get("suite") or "unnamed"), expectations=found, meta=meta)


def write_yaml(suite: Suite) -> str:
    """The suite as YAML that `read_yaml` reads back to the same."""
    plain: dict[str, Any] = {"suite": suite.name}
    if suite.meta:
        plain["meta"] = suite.meta
    plain["expectations"] = [_written(each) for each in suite.expectations]
    text: str = yaml.dump(
        plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )
    return text


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Dates stay the texts that they are in JSON, too."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Blocks for mappings of the upper levels, brackets for lists of plain values."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _check_depth(node: Any, depth: int = 0) -> None:
    """Refuse what is nested beyond what a suite can be, and anchors, which can make a short text a long one."""
    if depth > _DEEP:
        raise InvalidInput(f"line {node.start_mark.line + 1}: this is nested too deeply")
    children: list[Any] = []
    if isinstance(node, yaml.MappingNode):
        children = [each for pair in node.value for each in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = list(node.value)
    seen = {id(each) for each in children}
    if len(seen) < len(children) or any(getattr(each, "anchor", None) for each in children):
        raise InvalidInput(f"line {node.start_mark.line + 1}: a suite has no anchors and aliases")
    for each in children:
        _check_depth(each, depth + 1)


def _keys(root: Any) -> Iterator[tuple[str, int]]:
    if isinstance(root, yaml.MappingNode):
        for key, _ in root.value:
            yield str(key.value), key.start_mark.line + 1


def _entries(root: Any) -> list[Any]:
    for key, value in root.value:
        if key.value == "expectations" and isinstance(value, yaml.SequenceNode):
            return list(value.value)
    return []


def _read(entry: Any, line: int) -> Expectation:
    try:
        found = msgspec.convert(_plain(entry), Expectation, strict=True)
        if is_parametrised(found.arguments):
            kind_of(found.kind)
        else:
            compile_expectation(found)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"line {line}: {error}") from None
    except (InvalidInput, NotFound) as error:
        raise InvalidInput(f"line {line}: {error.message}", hint=error.hint, known=error.known) from None
    return found


def _plain(entry: Any) -> dict[str, Any]:
    if isinstance(entry, str):
        return {"kind": entry}
    if not isinstance(entry, Mapping):
        raise InvalidInput("an expectation is a mapping, or the name of a kind")
    if "expect" not in entry:
        if len(entry) != 1:
            raise InvalidInput("an expectation says what it expects", hint="expect: KIND")
        ((kind, arguments),) = entry.items()
        return {"kind": kind, **_sorted(arguments or {})}
    rest = {key: value for key, value in entry.items() if key != "expect"}
    return {"kind": entry["expect"], **_sorted(rest)}


def _sorted(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise InvalidInput("the parameters of a kind are a mapping")
    common = {key: value for key, value in entry.items() if key in _COMMON}
    own = {str(key): value for key, value in entry.items() if key not in _COMMON and key != "arguments"}
    nested = entry.get("arguments") or {}
    if not isinstance(nested, Mapping):
        raise InvalidInput("arguments is a mapping")
    arguments = {**own, **nested}
    if "expectations" in arguments and isinstance(arguments["expectations"], list):
        arguments["expectations"] = [_inner(each) for each in arguments["expectations"]]
    if isinstance(arguments.get("expectation"), Mapping):
        arguments["expectation"] = _inner(arguments["expectation"])
    return {**common, "arguments": arguments}


def _inner(entry: Any) -> Any:
    """An expectation inside another, as JSON types without what is left out."""
    return msgspec.convert(_plain(entry), Expectation, strict=True).to_dict()


def _written(expectation: Expectation) -> dict[str, Any]:
    plain = expectation.to_dict()
    arguments = dict(plain.pop("arguments", {}))
    found: dict[str, Any] = {key: plain.pop(key) for key in ("column", "columns") if plain.get(key)}
    found["expect"] = plain.pop("kind")
    for name, value in list(arguments.items()):
        if name == "expectations" and isinstance(value, list | tuple):
            arguments[name] = [_written(msgspec.convert(each, Expectation)) for each in value]
        if name == "expectation" and isinstance(value, Mapping):
            arguments[name] = _written(msgspec.convert(value, Expectation))
    clashing = {key: arguments.pop(key) for key in list(arguments) if key in {*_COMMON, "expect", "arguments"}}
    found |= arguments
    if clashing:
        found["arguments"] = clashing
    return found | {key: value for key, value in plain.items() if value not in ("", {}, None)}
