r"""Regular expressions of one syntax on engines of four.

The language of checks is RE2's: no look-around, linear time, `\d`, `\w`, `\s` and `\b` of ASCII. Polars
runs Rust's engine (whose classes are Unicode's), DuckDB RE2, PostgreSQL its own, Spark Java's (which
backtracks). A pattern is read once and written for an engine, or, where it says something that the
engine would read otherwise, not at all: then the adapter asks it of the distinct values instead.
Written by hand because no library translates between these dialects.
"""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Engine", "portable"]

Engine = Literal["rust", "re2", "postgres", "java"]

_TOKEN = re.compile(
    r"""(?P<flags>\(\?[is]+\))                            # flags for all that follows
      | (?P<open>\((?:\?:|\?P?<[A-Za-z_]\w*>)?)           # a group
      | (?P<class>\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\\[])*\])
      | (?P<unicode>\\[pP](?:[A-Z]|\{\^?\w+\}))
      | (?P<escape>\\[dDwWsSbB])
      | (?P<control>\\[ntrfv])
      | (?P<plain>\\[^\w\s])
      | (?P<repeat>[*+?]\??|\{\d+(?:,\d*)?\}\??)
      | (?P<mark>[().|^$])
      | (?P<char>[^\\\[\](){}*+?.|^$])
    """,
    re.VERBOSE | re.DOTALL,
)
_INSIDE = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}
_CLASS_OPERATORS = ("&&", "--", "~~", "[")


def portable(pattern: str, engine: Engine) -> str | None:  # noqa: C901, PLR0912 -- one branch for each kind of token
    r"""The pattern as `engine` must be given it, None when it cannot be said there without changing its meaning.

    Example:
        >>> portable(r"^\d+.$", "postgres"), portable(r"\p{L}", "java")
        ('^[0-9]+[^\\n]$', None)
    """
    narrow = engine in {"postgres", "java"}
    parts: list[str] = []
    place, repeated = 0, False
    while place < len(pattern):
        found = _TOKEN.match(pattern, place)
        if found is None:
            return None
        place, kind, text = found.end(), found.lastgroup, found.group()
        if kind == "repeat":
            if repeated or (narrow and ((text.endswith("?") and len(text) > 1) or _deep(parts, text, engine))):
                return None
            repeated = True
            parts.append(text)
            continue
        repeated = False
        said: str | None = text
        if kind == "flags":
            if narrow or parts:
                return None
        elif kind == "open":
            said = "(?:" if narrow and text != "(" else text.replace("?P<", "?<") if engine == "rust" else text
        elif kind == "class":
            said = _class(text, engine)
        elif kind == "unicode":
            said = None if narrow else text
        elif kind == "escape":
            said = _escape(text[1], engine)
        elif kind == "control" and text == r"\v":
            said = r"\x0b"
        elif text == "." and narrow:
            said = r"[^\n]"
        elif text == "$" and engine == "java":
            said = r"\z"
        elif kind == "char" and narrow and not text.isprintable():
            said = None
        if said is None:
            return None
        parts.append(said)
    return "".join(parts)


def _deep(parts: list[str], text: str, engine: Engine) -> bool:
    """Whether a repetition is one that the engine bounds lower, or may take exponential time over."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if engine == "postgres":
        return any(number > 255 for number in numbers)
    if not parts or parts[-1] != ")" or text == "?":
        return False
    depth = 0
    for part in reversed(parts):
        depth += (part == ")") - part.startswith("(")
        if depth == 0:
            return False
        if part[0] in "*+{" or part in {"|", "?"}:
            return True
    return False


def _class(text: str, engine: Engine) -> str | None:
    inner = text[1:-1]
    negated = inner.startswith("^")
    inner = inner[1:] if negated else inner
    bare = re.sub(r"\\.", "", inner)
    if any(operator in bare for operator in _CLASS_OPERATORS) or inner.startswith("]") or "^" in bare[:1]:
        return None
    parts = []
    for found in re.finditer(r"\\(.)|([^\\])", inner, re.DOTALL):
        escaped, plain = found.groups()
        if escaped in {"d", "w", "s"}:
            parts.append(_INSIDE[escaped])
        elif escaped in {"n", "t", "r", "f"} or (escaped and not escaped.isalnum()):
            parts.append(found.group())
        elif escaped or (engine in {"postgres", "java"} and not plain.isprintable()):
            return None
        else:
            parts.append(plain)
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _escape(letter: str, engine: Engine) -> str | None:
    if letter in "dws":
        return f"[{_INSIDE[letter]}]"
    if letter in "DWS":
        return f"[^{_INSIDE[letter.lower()]}]"
    if engine == "rust":
        return r"(?-u:\b)" if letter == "b" else r"(?-u:\B)"
    return f"\\{letter}" if engine == "re2" else None
