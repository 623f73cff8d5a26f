"""Bringing a suite up to date with newer data, line by line, in the open.

Nothing is loosened in silence: the update is a list of proposals, each with the line before, the line after and
the reason, and somebody says which to take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mainspring.engines.tables import Aggregate, Sql, Table, open_table
from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.kinds import described
from mainspring.quality.inference.infer import infer_column, rounded, share_kept
from mainspring.quality.inference.proposals import Proposal
from mainspring.quality.inference.tighten import tightened
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.types import Expectation, ExpectationResult, Suite
from mainspring.quality.validation import validate_table

__all__ = ["Proposal", "SuiteUpdate", "update_suite"]


class SuiteUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite would have to give up, and could gain, to fit newer data."""

    suite: Suite
    proposals: tuple[Proposal, ...]

    def apply(self, accepted: Iterable[int] | None = None) -> Suite:
        """The suite with the accepted proposals, by their places in the list.

        By default with all that the data asks for; what it would only allow, to tighten, is taken when it is named.

        Raises:
            InvalidInput: There is no proposal at a place.
        """
        if accepted is None:
            taken = [each for each in self.proposals if each.action != "tighten"]
        else:
            places = list(accepted)
            if wrong := [place for place in places if not 0 <= place < len(self.proposals)]:
                raise InvalidInput(f"there is no proposal {wrong[0]}; there are {len(self.proposals)}, from 0")
            taken = [self.proposals[place] for place in places]
        swapped = {each.before.key: each.after for each in taken if each.before is not None}
        kept = [swapped.get(each.key, each) for each in self.suite.expectations]
        added = [each.after for each in taken if each.before is None]
        lines = tuple(each for each in [*kept, *added] if each is not None)
        return msgspec.structs.replace(self.suite, expectations=lines)

    def diff(self) -> str:
        """Every proposal as lines that go and lines that come, with its number and the reason."""
        lines = []
        for place, each in enumerate(self.proposals):
            lines.append(f"@@ {place}: {each.action} ({each.reason})")
            lines += [f"- {described(each.before)}"] if each.before else []
            lines += [f"+ {described(each.after)}"] if each.after else []
        return "\n".join(lines)


def update_suite(suite: Suite, source: Any, *, margin: float = 0.1, tighten: bool = True) -> SuiteUpdate:
    """Propose the changes with which a suite would pass on a table, and those that the table would allow.

    Args:
        suite: What is expected now.
        source: Newer data.
        margin: Ranges get this share of their width to spare.
        tighten: Whether to propose narrower lines, too, where the data stays well within.

    Example:
        >>> import polars as pl
        >>> from mainspring.quality.suite import expect
        >>> suite = expect("t").column("x").between(0, 10).suite
        >>> update_suite(suite, pl.DataFrame({"x": [1, 15]})).apply().expectations[0].arguments
        {'min_value': 0, 'max_value': 17}
    """
    report = validate_table(source, suite, sample=20)
    table = open_table(source)
    proposals: list[Proposal] = [_proposal(result, table, margin) for result in report.failures]
    spoken = {name for each in suite.expectations for name in (each.column, *each.columns)}
    fresh = [name for name in table.schema() if name not in spoken]
    if suite.meta.get("inferred") and fresh:
        for column in profile_frame(source, columns=fresh).columns:
            proposals += [
                Proposal(action="add", after=each, reason="the column is new")
                for each in infer_column(column, table, margin=margin)
            ]
    if tighten:
        proposals += tightened(report.results, source, margin=margin)
    return SuiteUpdate(suite=suite, proposals=tuple(proposals))


def _proposal(result: ExpectationResult, table: Table, margin: float) -> Proposal:
    before = result.expectation
    if result.verdict == "error" or before.kind == "column_to_exist":
        return Proposal(action="remove", before=before, reason=result.message)
    loosen = _LOOSEN.get(before.kind, _by_mostly if result.unexpected is not None else _by_observed)
    after = loosen(result, table, margin)
    if after is None:
        return Proposal(action="remove", before=before, reason=result.message)
    return Proposal(action="loosen", before=before, after=after, reason=result.message)


def _by_mostly(result: ExpectationResult, _table: Table, _margin: float) -> Expectation | None:
    mostly = share_kept(result.unexpected or 0, result.evaluated or 0)
    return msgspec.structs.replace(result.expectation, mostly=mostly) if mostly > 0 else None


def _by_observed(result: ExpectationResult, _table: Table, margin: float) -> Expectation | None:
    """Widen the range of a number that sums up the table until what was seen lies inside."""
    before = result.expectation
    seen = result.observed
    if isinstance(seen, bool) or not isinstance(seen, int | float):
        return None
    room = abs(seen) * margin
    arguments = {name: value for name, value in before.arguments.items() if not name.startswith("strict_")}
    low, high = arguments.get("min_value"), arguments.get("max_value")
    whole = isinstance(seen, int)
    if low is not None and seen <= low:
        arguments["min_value"] = int(seen - room) if whole else seen - room
    if high is not None and seen >= high:
        arguments["max_value"] = int(seen + room + 1) if whole else seen + room
    return msgspec.structs.replace(before, arguments=arguments)


def _by_range(result: ExpectationResult, table: Table, margin: float) -> Expectation | None:
    before = result.expectation
    where = Sql(before.where) if before.where else None
    ends = [Aggregate(where=where, column=before.column, function=function) for function in ("min", "max")]
    least, most = (table.compute(ends)[end] for end in ends)
    arguments = {name: value for name, value in before.arguments.items() if not name.startswith("strict_")}
    room = (most - least) * margin if isinstance(least, int | float) and isinstance(most, int | float) else None
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is not None and least < low:
        arguments["min_value"] = least if room is None else _outwards(least, -room)
    if high is not None and most > high:
        arguments["max_value"] = most if room is None else _outwards(most, room)
    if arguments == before.arguments:
        return _by_mostly(result, table, margin)
    return msgspec.structs.replace(before, arguments=arguments)


def _outwards(end: float, room: float) -> float | int:
    """An end with room to spare: whole for whole numbers, otherwise as few digits as a person would write."""
    if isinstance(end, int):
        return math.ceil(end + room) if room > 0 else math.floor(end + room)
    return rounded(end + room, up=room > 0)


def _by_members(result: ExpectationResult, table: Table, margin: float) -> Expectation | None:
    before = result.expectation
    fresh = [value for value, _ in result.values]
    if len(fresh) >= 20 or not fresh:
        return _by_mostly(result, table, margin)
    return msgspec.structs.replace(before, arguments={"value_set": [*before.arguments["value_set"], *fresh]})


def _by_types(result: ExpectationResult, table: Table, _margin: float) -> Expectation | None:
    before = result.expectation
    types = [*before.arguments["type_list"], table.schema()[before.column].kind]
    return msgspec.structs.replace(before, arguments={"type_list": types})


_LOOSEN: dict[str, Callable[[ExpectationResult, Table, float], Expectation | None]] = {
    "column_values_to_be_between": _by_range,
    "column_values_to_be_in_set": _by_members,
    "column_values_to_be_in_type_list": _by_types,
}
