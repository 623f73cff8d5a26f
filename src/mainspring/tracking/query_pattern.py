r"""Regular expressions in filters: what both databases read alike, and in linear time.

SQLite's own `regexp` extension (shipped with apsw) and PostgreSQL's engine run them without backtracking, so that no
pattern can stop a server. The common part of their dialects is checked here: groups, `|`, `* + ? {m,n}`, `[...]`, `.`,
`^`, `$`, and `\d \w \s \b`.
"""

from __future__ import annotations

import re

from mainspring.kernel.errors import InvalidInput

__all__ = ["LONGEST_PATTERN", "check_pattern", "for_postgres"]

LONGEST_PATTERN = 500
"""Characters of the longest pattern."""

_MOST_REPEATS = 100
_MOST_TOGETHER = 1000
_PIECE = re.compile(
    r"""
    (?P<class>\[\^?(?:\\[dwsDWS\\\]\[\^\-./]|[^\[\]\\])+\])
  | (?P<escape>\\[dwsbDWS\\.^$*+?(){}|\[\]/\-])
  | (?P<count>\{\d{1,3}(?:,\d{0,3})?\})
  | (?P<repeat>[*+?])
  | (?P<open>\()
  | (?P<close>\))
  | (?P<bar>\|)
  | (?P<anchor>[\^$])
  | (?P<plain>[^\\\[\]{}()*+?|^$])
    """,
    re.VERBOSE | re.DOTALL,
)


def check_pattern(pattern: str) -> None:
    """Refuse what the two databases would not read alike, with `InvalidInput` that says what.

    Example:
        >>> check_pattern("^resnet-(18|50)$")
    """
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise InvalidInput(f"a regular expression has 1 to {LONGEST_PATTERN} characters")
    depth, place, repeatable, product = 0, 0, False, 1
    while place < len(pattern):
        found = _PIECE.match(pattern, place)
        if found is None:
            raise _wrong(pattern, place, "this has no meaning in these regular expressions")
        kind, text = str(found.lastgroup), found.group()
        if kind in ("repeat", "count"):
            if not repeatable:
                raise _wrong(pattern, place, "there is nothing to repeat; lazy and possessive repeats are not read")
            if kind == "count":
                product *= _check_count(pattern, place, text)
                if product > _MOST_TOGETHER:
                    raise _wrong(pattern, place, f"all repeats together are at most {_MOST_TOGETHER}")
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth < 0 or (kind == "close" and pattern[place - 1] in "(|") or (kind == "bar" and _empty(pattern, place)):
            raise _wrong(pattern, place, "an alternative is empty, or a parenthesis was not opened")
        repeatable = kind in ("class", "plain", "close") or (kind == "escape" and text != "\\b")
        place = found.end()
    if depth or pattern.endswith("|"):
        raise _wrong(pattern, len(pattern) - 1, "a parenthesis is not closed, or an alternative is empty")


def for_postgres(pattern: str) -> str:
    r"""The pattern in PostgreSQL's words, where `\b` is `\y`; a leading `***` cannot occur."""
    return re.sub(r"\\(.)", lambda found: "\\y" if found.group(1) == "b" else found.group(), pattern)


def _check_count(pattern: str, place: int, text: str) -> int:
    low, comma, high = text[1:-1].partition(",")
    least, most = int(low), int(high) if high else int(low)
    if least > most or most > _MOST_REPEATS or (comma and not high and least > _MOST_REPEATS) or most == 0:
        raise _wrong(pattern, place, f"a repeat is from few to many, at most {_MOST_REPEATS}")
    return max(least, most)


def _empty(pattern: str, place: int) -> bool:
    return place == 0 or pattern[place - 1] in "(|"


def _wrong(pattern: str, place: int, problem: str) -> InvalidInput:
    return InvalidInput(f"{pattern[max(0, place - 20) : place + 20]!r}: {problem}")
