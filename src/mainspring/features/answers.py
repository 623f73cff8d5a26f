"""Answering a lookup: entity columns in, feature columns out, each as of its row's moment."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl

from mainspring.features.online import online
from mainspring.features.point_in_time import check_columns
from mainspring.features.types import FeatureVectors
from mainspring.kernel.clock import from_micros, now, to_micros
from mainspring.kernel.errors import InvalidInput
from mainspring.store.store import Store

__all__ = ["look_up"]


def look_up(
    store: Store,
    views: list[str],
    *,
    entities: dict[str, list[Any]],
    as_of: datetime | list[datetime] | None,
    details: bool,
) -> FeatureVectors:
    """See `Features.lookup`."""
    rows = _frame(entities)
    moments = _moments(as_of, rows.height)
    found = online(store).views(views)
    check_columns([state.view for _, state in found])
    columns: dict[str, list[Any]] = {}
    for _, state in found:
        columns.update(state.read(rows, moments).to_dict(as_series=False))
    times: dict[str, list[datetime | None]] = {}
    statuses: dict[str, list[str]] = {}
    for current, state in found if details else ():
        at, status = state.details(rows, moments)
        times[current.name] = [None if each is None else from_micros(each) for each in at]
        statuses[current.name] = status.to_list()
    return FeatureVectors(
        columns=columns,
        views={current.name: current.view_id for current, _ in found},
        upto={current.name: current.upto for current, _ in found},
        event_times=times,
        statuses=statuses,
    )


_KEYS = (str, int, float, bool, datetime, date, type(None))
"""What the value of a join key may be. Anything nested would only keep the frame's type inference busy."""


def _frame(entities: dict[str, list[Any]]) -> pl.DataFrame:
    lengths = {name: len(values) for name, values in entities.items()}
    if not lengths or len(set(lengths.values())) > 1:
        raise InvalidInput(f"the entity columns must be of one length, not {lengths}")
    for name, values in entities.items():
        if wrong := next((kind for kind in {type(each) for each in values} if kind not in _KEYS), None):
            raise InvalidInput(f"the entity column {name!r} holds a {wrong.__name__}", hint="texts or numbers")
    try:
        return pl.DataFrame(entities)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(f"the entity columns cannot be read: {error}", hint="one type for each column") from error


def _moments(as_of: datetime | list[datetime] | None, rows: int) -> pl.Series:
    if isinstance(as_of, list):
        if len(as_of) != rows:
            raise InvalidInput(f"as_of has {len(as_of)} moments for {rows} rows")
        return pl.Series("as_of", [to_micros(each) for each in as_of], dtype=pl.Int64)
    return pl.Series("as_of", [to_micros(as_of or now())] * rows, dtype=pl.Int64)
