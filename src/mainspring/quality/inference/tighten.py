"""What newer data would allow to be said more narrowly: ranges, sets and shares that it stays well within."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mainspring.engines.tables import open_table
from mainspring.quality.inference.infer import infer_column
from mainspring.quality.inference.proposals import Proposal
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.types import Expectation, ExpectationResult

__all__ = ["tightened"]

_ROWS = 200  # fewer rows are no reason to narrow anything
_NARROWER = 0.8  # of the width before, or less
_STRICTER = 0.01  # by which a share grows


def tightened(results: Iterable[ExpectationResult], source: Any, *, margin: float) -> list[Proposal]:
    """Narrower lines for those that passed, where what would be inferred from the data now is within what they say."""
    passed = [each for each in results if each.verdict == "passed" and each.expectation.kind in _NARROW]
    names = list(dict.fromkeys(each.expectation.column for each in passed if not each.expectation.where))
    if not names or passed[0].rows < _ROWS:
        return []
    table = open_table(source)
    profile = profile_frame(source, columns=names)
    fresh = {line.key: line for column in profile.columns for line in infer_column(column, table, margin=margin)}
    found = []
    for before in (each.expectation for each in passed if each.expectation.key in fresh):
        after = _NARROW[before.kind](before, fresh[before.key])
        if after is not None:
            found.append(Proposal(action="tighten", before=before, after=after, reason=fresh[before.key].reason))
    return found


def _range(before: Expectation, fresh: Expectation) -> Expectation | None:
    old, new = _ends(before), _ends(fresh)
    if old is None or new is None:
        return None
    least, most = max(old[0], new[0]), min(old[1], new[1])
    if not least < most or (most - least) > _NARROWER * (old[1] - old[0]):
        return None
    return msgspec.structs.replace(before, arguments={**before.arguments, "min_value": least, "max_value": most})


def _ends(line: Expectation) -> tuple[float, float] | None:
    low, high = line.arguments.get("min_value"), line.arguments.get("max_value")
    return (low, high) if isinstance(low, int | float) and isinstance(high, int | float) else None


def _members(before: Expectation, fresh: Expectation) -> Expectation | None:
    old, new = before.arguments["value_set"], fresh.arguments["value_set"]
    kept = [value for value in old if value in new]
    if len(kept) == len(old) or len(kept) != len(new):
        return None
    return msgspec.structs.replace(before, arguments={**before.arguments, "value_set": kept})


def _share(before: Expectation, fresh: Expectation) -> Expectation | None:
    if fresh.mostly - before.mostly < _STRICTER:
        return None
    return msgspec.structs.replace(before, mostly=fresh.mostly)


_NARROW: dict[str, Callable[[Expectation, Expectation], Expectation | None]] = {
    "column_values_to_be_between": _range,
    "column_value_lengths_to_be_between": _range,
    "column_values_to_be_in_set": _members,
    "column_values_to_not_be_null": _share,
}
