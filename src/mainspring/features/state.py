"""The state of a view: all its timelines, and how its features are read from them at given moments."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
from polars.exceptions import PolarsError

from mainspring.features.facts import AT, utc_micros
from mainspring.features.steps import UNKNOWN, Entities, Steps
from mainspring.features.timelines import KEY, NOTHING, latest_timeline, window_timeline
from mainspring.features.types import FeatureView
from mainspring.kernel.errors import InvalidInput, nearest

__all__ = ["ViewState", "moments_of"]

_NOT_THERE = -(1 << 62)  # the time of a value that there is not
_NEVER = -(1 << 61)  # a moment before everything, in place of one that is null


class ViewState:
    """What was known of every entity of a view, at every moment. Never changes; safe for many threads.

    Example:
        >>> from mainspring.features.types import Entity, Feature
        >>> view = FeatureView(
        ...     name="weather", entities=(Entity("origin"),), source="w", timestamp="at", features=(Feature("temp"),)
        ... )
        >>> facts = pl.DataFrame({"origin": ["JFK"], "__at": [5], "__known": [5], "temp": [39.0]})
        >>> asked = pl.DataFrame({"origin": ["JFK", "JFK", "LGA"]})
        >>> ViewState(view, facts).read(asked, pl.Series([4, 6, 6]))["temp"].to_list()
        [None, 39.0, None]
    """

    def __init__(self, view: FeatureView, facts: pl.DataFrame) -> None:
        """Build the timelines from the facts of `view` (see `facts_of`)."""
        self.view = view
        self.entities = Entities(facts, view.join_keys)
        keyed = facts.with_columns(self.entities.number(facts).alias(KEY))
        self._latest = Steps(latest_timeline(view, keyed), before={AT: _NOT_THERE}) if view.features else None
        nothing = {each.name: NOTHING[each.function] for each in view.aggregations}
        self._windows = []
        for window in dict.fromkeys(each.window for each in view.aggregations):
            timeline = window_timeline(view, window, keyed)
            before = {name: value for name, value in nothing.items() if name in timeline.columns}
            self._windows.append(Steps(timeline, before=before))

    def read(self, rows: pl.DataFrame, moments: pl.Series) -> pl.DataFrame:
        """The features of each row's entity as they were known at its moment.

        Args:
            rows: Has the join keys; other columns are ignored.
            moments: Microseconds since 1970 UTC, one for each row.

        Returns:
            Exactly one row for each of `rows`, in their order, with the columns of the view. Where the moment
            or a key is null nothing was asked, so everything is null, a count too.
        """
        keys = self._keys(rows)
        numbers = self.entities.number(keys)
        filled = moments.fill_null(_NEVER) if moments.has_nulls() else moments
        found = {each.name: each for steps in self._windows for each in steps.read(numbers, filled)}
        if self._latest is not None:
            at, values = self._read_latest(self._latest, numbers, filled)
            fresh = self._fresh(at, filled)
            for each in values:
                found[each.name] = each.zip_with(fresh, pl.Series(each.name, [None], dtype=each.dtype))
        answer = pl.DataFrame([found[name] for name in self.view.columns])
        if moments.has_nulls() or any(each.has_nulls() for each in keys):
            asked = moments.is_not_null()
            for each in keys:
                asked = asked & each.is_not_null()
            answer = answer.select(pl.when(asked).then(pl.all()))
        return answer

    def details(self, rows: pl.DataFrame, moments: pl.Series) -> tuple[pl.Series, pl.Series]:
        """When the latest value happened (microseconds), and `PRESENT`, `NOT_FOUND` or `OUTSIDE_MAX_AGE`.

        A view that has only aggregations is present for every entity that it knows.
        """
        numbers = self.entities.number(self._keys(rows))
        if self._latest is None:
            fresh = there = numbers != UNKNOWN
            at = pl.Series([None] * rows.height, dtype=pl.Int64)
        else:
            filled = moments.fill_null(_NEVER)
            at, _ = self._read_latest(self._latest, numbers, filled)
            there = at != _NOT_THERE
            fresh = self._fresh(at, filled)
            at = at.zip_with(there, pl.Series([None], dtype=pl.Int64))
        status = pl.when(~there).then(pl.lit("NOT_FOUND")).when(fresh).then(pl.lit("PRESENT"))
        return at, pl.select(status.otherwise(pl.lit("OUTSIDE_MAX_AGE"))).to_series()

    @staticmethod
    def _read_latest(steps: Steps, numbers: pl.Series, moments: pl.Series) -> tuple[pl.Series, list[pl.Series]]:
        at, *values = steps.read(numbers, moments)
        return at, values

    def _fresh(self, at: pl.Series, moments: pl.Series) -> pl.Series:
        """Whether values that happened `at` these times are there and no older than the ttl."""
        if self.view.ttl is None:
            return at != _NOT_THERE
        return at >= moments - self.view.ttl // timedelta(microseconds=1)

    def _keys(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The join keys among `rows`, in the types of the facts."""
        for key in self.view.join_keys:
            if key not in rows.columns:
                known = nearest(key, rows.columns)
                raise InvalidInput(f'feature view "{self.view.name}" needs the join key {key!r}', known=known)
        try:
            return pl.DataFrame([rows[key].cast(kind) for key, kind in self.entities.schema.items()])
        except PolarsError as error:
            kinds = ", ".join(f"{key} is {kind}" for key, kind in self.entities.schema.items())
            message = f'the join keys that were asked for do not fit feature view "{self.view.name}", where {kinds}'
            raise InvalidInput(message) from error


def moments_of(frame: pl.DataFrame, timestamp: str) -> pl.Series:
    """The column `timestamp` in microseconds since 1970 UTC; raise `InvalidInput` when it is not a time."""
    if timestamp not in frame.columns:
        raise InvalidInput(f"the frame has no column {timestamp!r}", known=nearest(timestamp, frame.columns))
    kind = frame.schema[timestamp]
    if not (kind == pl.Date or kind.base_type() == pl.Datetime):
        hint = f"frame.with_columns(pl.col({timestamp!r}).str.to_datetime(time_zone='UTC'))"
        raise InvalidInput(f"the column {timestamp!r} is {kind}, not a time", hint=hint)
    return frame.select(utc_micros(pl.col(timestamp))).to_series()
