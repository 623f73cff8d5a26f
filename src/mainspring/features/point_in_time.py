"""The offline point-in-time join: features as they would have been known at each row's own moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from mainspring.features.facts import facts_of
from mainspring.features.state import ViewState, moments_of
from mainspring.features.types import FeatureView
from mainspring.kernel.errors import InvalidInput, nearest

__all__ = ["check_columns", "join", "read_views"]


def join(
    rows: pl.DataFrame, views: Iterable[FeatureView], *, sources: Mapping[str, pl.DataFrame], timestamp: str
) -> pl.DataFrame:
    """Add the features of `views` to `rows`, each as of the row's `timestamp`.

    Exactly one row comes out for each that goes in, in the same order, duplicates kept. A value is used when
    it had happened and was known at that moment, and is no older than the view's ttl; where there is none
    the feature is null. Nothing from the future is ever used.

    Args:
        rows: Has the join keys of every view and the column `timestamp` (a time; without a zone it is UTC).
        views: Definitions.
        sources: The frame of each view's source, by the name in `FeatureView.source`.
        timestamp: The column that says as of when.

    Raises:
        InvalidInput: a column is missing or two would have the same name.

    Example:
        >>> from datetime import datetime
        >>> from mainspring.features.types import Entity, Feature
        >>> weather = pl.DataFrame({"origin": ["JFK"], "at": [datetime(2013, 1, 1, 5)], "temp": [39.0]})
        >>> departs = [datetime(2013, 1, 1, 4), datetime(2013, 1, 1, 6)]
        >>> flights = pl.DataFrame({"origin": ["JFK", "JFK"], "departs": departs})
        >>> view = FeatureView(
        ...     name="weather", entities=(Entity("origin"),), source="w", timestamp="at", features=(Feature("temp"),)
        ... )
        >>> join(flights, [view], sources={"w": weather}, timestamp="departs")["temp"].to_list()
        [None, 39.0]
    """
    states = []
    for view in views:
        if view.source not in sources:
            raise InvalidInput(f'the source "{view.source}" is missing', known=nearest(view.source, sources))
        states.append(ViewState(view, facts_of(view.check(), sources[view.source])))
    return pl.concat([rows, read_views(rows, states, moments_of(rows, timestamp))], how="horizontal")


def read_views(rows: pl.DataFrame, states: Iterable[ViewState], moments: pl.Series) -> pl.DataFrame:
    """The features of several views side by side; what the offline join and the online lookup have in common."""
    found = list(states)
    check_columns([state.view for state in found], taken=rows.columns)
    return pl.DataFrame([column for state in found for column in state.read(rows, moments)])


def check_columns(views: Iterable[FeatureView], *, taken: Iterable[str] = ()) -> None:
    """Refuse views whose columns would have the same name as each other's or as one that is taken."""
    owners = dict.fromkeys(taken, "the rows")
    for view in views:
        for name in view.columns:
            if name in owners:
                raise InvalidInput(
                    f'feature view "{view.name}" and {owners[name]} both have a column {name!r}',
                    hint="rename the feature, or drop the column from the rows",
                )
            owners[name] = f'feature view "{view.name}"'
