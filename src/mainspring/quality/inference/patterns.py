"""A regular expression from examples: runs of digits, capitals, small letters, and everything else as it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["pattern_of", "shape_of"]

_RUNS = re.compile(r"[0-9]+|[A-Z]+|[a-z]+|.", re.DOTALL)
_CLASSES = {"9": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}
_LONGEST = 24  # runs of a shape; longer texts are prose


def shape_of(text: str) -> tuple[tuple[str, int], ...]:
    """A text as runs of one class, with their lengths.

    Example:
        >>> shape_of("N14-x")
        (('A', 1), ('9', 2), ('-', 1), ('a', 1))
    """
    return tuple((_class(run), len(run)) for run in _RUNS.findall(text))


def pattern_of(counts: Mapping[str, int], *, shapes: int = 5, coverage: float = 0.99) -> tuple[str, int] | None:
    """A regular expression that at least `coverage` of the counted texts match, and how many do not.

    None when the texts have more than `shapes` common shapes: then no pattern was meant.

    Example:
        >>> pattern_of({"N1": 5, "N23": 4, "N777": 1})
        ('^[A-Z][0-9]{1,3}$', 0)
    """
    total = sum(counts.values())
    known: dict[tuple[str, ...], tuple[int, list[list[int]]]] = {}
    for text, count in counts.items():
        shape = shape_of(text)
        if len(shape) > _LONGEST:
            continue
        seen, spans = known.get(tuple(kind for kind, _ in shape), (0, [[length, length] for _, length in shape]))
        for span, (_, length) in zip(spans, shape, strict=True):
            span[0], span[1] = min(span[0], length), max(span[1], length)
        known[tuple(kind for kind, _ in shape)] = (seen + count, spans)
    best = sorted(known.items(), key=lambda item: -item[1][0])[:shapes]
    covered = 0
    parts: list[str] = []
    for kinds, (seen, spans) in best:
        if covered >= total * 0.9999:
            break
        covered += seen
        parts.append("".join(_piece(kind, *span) for kind, span in zip(kinds, spans, strict=True)))
    if not parts or covered < total * coverage or parts == [""]:
        return None
    return (f"^{parts[0]}$" if len(parts) == 1 else f"^(?:{'|'.join(parts)})$"), total - covered


def _class(run: str) -> str:
    first = run[0]
    if first.isascii() and first.isdigit():
        return "9"
    if first.isascii() and first.isupper():
        return "A"
    return "a" if first.isascii() and first.islower() else run


def _piece(kind: str, low: int, high: int) -> str:
    text = _CLASSES.get(kind, kind if kind in "-_:/@, " else re.escape(kind))
    if low == high:
        return text if low == 1 else f"{text}{{{low}}}"
    return f"{text}{{{low},{high}}}"
