"""A filter's text as tokens, and errors that point at the place in it.

Written by hand, as the parser is: the language is small, and what a general parser generator says of a wrong text is
of no help to who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["LONGEST", "Token", "error_at", "tokens"]

LONGEST = 20_000
"""Characters of the longest filter."""

_MOST = 5_000

TokenKind = Literal["number", "span", "text", "quoted", "name", "path", "word", "mark", "end"]

_QUOTED = r'`(?:[^`]|``)*`|"(?:[^"]|"")*"'
_TOKEN = re.compile(
    rf"""
    (?P<path>[^\W\d]\w*\.(?:{_QUOTED}|[\w/.:\-]*[\w/:]))
  | (?P<span>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:ms|sec|min|s|m|h|d|w)\b)
  | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<name>`(?:[^`]|``)*`)
  | (?P<word>[^\W\d]\w*)
  | (?P<mark><=|>=|!=|<>|==|=~|!~|[=<>(),@+\-])
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")


class Token(msgspec.Struct, frozen=True):
    """A piece of the text."""

    kind: TokenKind
    text: str
    start: int

    @property
    def upper(self) -> str:
        """The word as keywords are compared."""
        return self.text.upper() if self.kind == "word" else self.text if self.kind == "mark" else ""

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)


def tokens(text: str) -> list[Token]:
    """The tokens of a filter, with one of the kind `end` as the last.

    Raises:
        InvalidInput: it is too long, or has a piece that belongs to no language.
    """
    if len(text) > LONGEST:
        raise InvalidInput(f"a filter may have {LONGEST} characters, not {len(text)}")
    found: list[Token] = []
    place = _after_space(text, 0)
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            unclosed = text[place] in "'\"`"
            problem = "this quote is not closed" if unclosed else f"{text[place]!r} has no meaning here"
            raise error_at(text, place, place + 1, problem)
        found.append(Token(match.lastgroup, match.group(), place))  # type: ignore[arg-type]  # the names of the groups
        if len(found) > _MOST:
            raise InvalidInput(f"a filter may have {_MOST} words")
        place = _after_space(text, match.end())
    return [*found, Token("end", "", len(text.rstrip()))]


def error_at(
    text: str, start: int, end: int, problem: str, *, known: Iterable[str] = (), hint: str = ""
) -> InvalidInput:
    """An error that shows the line and, under it, the place."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    line = text[first : last if last >= 0 else len(text)]
    offset = max(0, start - first - 60)
    shown = line[offset : offset + 120]
    width = max(1, min(end - start, len(line) - (start - first), 120))
    pointer = " " * (start - first - offset) + "^" * width
    return InvalidInput(
        f"{problem}\n  {shown}\n  {pointer}",
        known=known,
        hint=hint,
        details={"start": start, "end": max(end, start + 1)},
    )


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
