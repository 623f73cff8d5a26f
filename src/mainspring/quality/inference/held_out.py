"""The held-out half: what is inferred from every other row is asked of the rows between them.

A line that one half does not keep for the other was read from too little, whatever its bound says: it loses confidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mainspring.quality.types import Expectation, ExpectationResult
from mainspring.quality.validation import validate_table

__all__ = ["doubted", "halves"]

_ROWS = 200  # fewer rows make halves that say nothing of each other
_DOUBT = 0.45  # what is left of the confidence of a line that the other half breaks


def halves(source: Any) -> tuple[Any, Any] | None:
    """Every other row of a frame or of files, and the rows between; None for what has no rows to divide so."""
    import polars as pl

    from mainspring.engines.tables_polars_rows import to_lazy

    frame = to_lazy(source)
    if frame is None or int(frame.select(pl.len()).collect().item()) < _ROWS:
        return None
    numbered = frame.with_row_index("__half__")
    even, odd = ((pl.col("__half__") % 2 == rest) for rest in (0, 1))
    return numbered.filter(even).drop("__half__"), numbered.filter(odd).drop("__half__")


def doubted(
    found: Sequence[Expectation], source: Any, infer: Callable[[Any], Sequence[Expectation]]
) -> list[Expectation]:
    """The lines, those less sure that one half of the rows would not have kept for the other."""
    parts = halves(source)
    if parts is None:
        return list(found)
    learnt, held = parts
    report = validate_table(held, infer(learnt), sample=0)
    broken = {each.expectation.key: each for each in report.results if each.verdict != "passed"}
    return [_less_sure(each, broken[each.key]) if each.key in broken else each for each in found]


def _less_sure(line: Expectation, result: ExpectationResult) -> Expectation:
    told = f"of one half of the rows it was read so that the other half broke it: {result.message}"
    reason = f"{line.reason}; {told}" if line.reason else told
    return msgspec.structs.replace(
        line, confidence=round((line.confidence or 0.0) * _DOUBT, 4), reason=reason, severity="warning"
    )
