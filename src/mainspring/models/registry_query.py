"""The filter language of the registry: MLflow's, with OR, NOT, parentheses, approvals, aliases and times added.

    name LIKE 'flight-%' AND tags.team = 'ops'
    alias = 'champion' OR (stage = 'Production' AND NOT approved)
    metrics.auc >= 0.8 AND created > '2026-11-01'

Keywords may be in any case. Texts stand in single or double quotes, keys with other characters in backticks. Written by
hand because the grammar is small and its errors should say where they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["All", "Any", "Comparison", "Condition", "Not", "parse_query"]

Value = str | float | int


class Comparison(msgspec.Struct, frozen=True):
    """One field against one value."""

    field: str
    """`name`, `run_id`, `tags`, ...; in lower case."""
    key: str
    """What stands behind the dot of the field; may be empty."""
    op: str
    """`=`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE`, `ILIKE`, `IN`, `NOT IN`, `IS NULL`, `IS NOT NULL`, `TRUE`."""
    values: tuple[Value, ...] = ()
    at: int = 0
    """Where in the text it begins."""


class All(msgspec.Struct, frozen=True):
    """AND."""

    parts: tuple[Condition, ...]


class Any(msgspec.Struct, frozen=True):
    """OR."""

    parts: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True):
    """NOT."""

    part: Condition


Condition = Comparison | All | Any | Not

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<op><=|>=|!=|<>|==|=|<|>)
    |(?P<mark>[(),])
    |(?P<word>[A-Za-z_]\w*(?:\.(?:`[^`]+`|"[^"]+"|'[^']+'|[\w\-./:]+))?)
    )""",
    re.VERBOSE,
)
_KEYWORDS = ("AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE")
_LIMIT = 10_000
_DEPTH = 50


class _Token(msgspec.Struct, frozen=True):
    kind: Literal["text", "number", "op", "mark", "word", "key", "end"]
    text: str
    at: int


def parse_query(text: str) -> Condition | None:
    """Read a filter; None for an empty one.

    Raises:
        InvalidInput: It cannot be read; the message says at which character.

    Example:
        >>> parse_query("name = 'a' AND NOT approved").parts[1].part.field
        'approved'
    """
    if len(text) > _LIMIT:
        raise InvalidInput(f"a filter has at most {_LIMIT} characters")
    tokens = list(_tokens(text))
    if len(tokens) == 1:
        return None
    parser = _Parser(tokens)
    found = parser.either(0)
    parser.expect_end()
    return found


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise _wrong(f"{text[start : start + 20]!r} is not understood", start)
        kind = str(match.lastgroup)
        token = match.group(kind)
        start = match.start(kind)
        if kind == "text":
            quote = token[0]
            token = token[1:-1].replace(quote * 2, quote)
        if kind == "word" and token.upper() in _KEYWORDS:
            kind, token = "key", token.upper()
        yield _Token(kind, token, start)  # type: ignore[arg-type]  # the groups are named after the kinds
        position = match.end()
    yield _Token("end", "", len(text))


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._take("key", "OR"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def expect_end(self) -> None:
        if self._here.kind != "end":
            raise _wrong(f"{self._here.text!r} was not expected; join conditions with AND or OR", self._here.at)

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, kind: str, text: str = "") -> _Token | None:
        here = self._here
        if here.kind != kind or (text and here.text != text):
            return None
        self._next += 1
        return here

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._take("key", "AND"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth > _DEPTH:
            raise _wrong(f"parentheses go deeper than {_DEPTH}", self._here.at)
        if self._take("key", "NOT"):
            return Not(self._one(depth + 1))
        if self._take("mark", "("):
            inner = self.either(depth + 1)
            if not self._take("mark", ")"):
                raise _wrong("a closing parenthesis is missing", self._here.at)
            return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        word = self._take("word")
        if word is None:
            raise _wrong(f"a field was expected, not {self._here.text or 'the end'!r}", self._here.at)
        field, _, key = word.text.partition(".")
        key = key[1:-1] if key[:1] in ("`", '"', "'") and len(key) > 1 else key
        op, values = self._condition()
        return Comparison(field.lower(), key, op, values, word.at)

    def _condition(self) -> tuple[str, tuple[Value, ...]]:
        if op := self._take("op"):
            return {"==": "=", "<>": "!="}.get(op.text, op.text), (self._value(),)
        if self._take("key", "IS"):
            negated = self._take("key", "NOT")
            if not self._take("key", "NULL"):
                raise _wrong("NULL was expected behind IS", self._here.at)
            return ("IS NOT NULL" if negated else "IS NULL"), ()
        negated = self._take("key", "NOT")
        for word in ("LIKE", "ILIKE"):
            if self._take("key", word):
                return (f"NOT {word}" if negated else word), (self._value(),)
        if self._take("key", "IN"):
            return ("NOT IN" if negated else "IN"), tuple(self._list())
        if negated:
            raise _wrong("IN, LIKE or ILIKE was expected behind NOT", self._here.at)
        return "TRUE", ()

    def _list(self) -> Iterator[Value]:
        if not self._take("mark", "("):
            raise _wrong("a list in parentheses was expected behind IN", self._here.at)
        yield self._value()
        while self._take("mark", ","):
            yield self._value()
        if not self._take("mark", ")"):
            raise _wrong("a closing parenthesis is missing", self._here.at)

    def _value(self) -> Value:
        if text := self._take("text"):
            return text.text
        if number := self._take("number"):
            return float(number.text) if re.search(r"[.eE]", number.text) else int(number.text)
        if (word := self._take("word")) and word.text.lower() in ("true", "false"):
            return int(word.text.lower() == "true")
        raise _wrong(f"a quoted text or a number was expected, not {self._here.text or 'the end'!r}", self._here.at)


def _wrong(what: str, at: int) -> InvalidInput:
    return InvalidInput(
        f"the filter cannot be read at character {at + 1}: {what}", hint="name LIKE 'flight-%' AND tags.team = 'ops'"
    )
