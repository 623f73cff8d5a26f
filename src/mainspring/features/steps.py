"""An index over a timeline: for each asked (entity, moment), the step that held then.

The offline join and the online lookup both end here, which is why they cannot disagree. Reading is a binary
search over one sorted column of integers, so a thousand rows cost a fraction of a millisecond however long
the history is; an ordinary as-of join would hash the whole history at each call.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import polars as pl

from mainspring.features.timelines import KEY, TIME

__all__ = ["UNKNOWN", "Entities", "Steps"]

UNKNOWN = -1
"""The number of an entity that has no fact."""
_SHIFT = 1 << 32  # an address is the entity's number, then the number of the moment in 32 bits
_BEFORE_ALL = -(1 << 62)
_FEW = 64


class Entities:
    """The entities of a view, numbered from 0 in the order of their first fact."""

    def __init__(self, facts: pl.DataFrame, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.frame = facts.select(keys).unique(maintain_order=True).with_row_index(KEY).cast({KEY: pl.Int64})
        self.schema = {name: facts.schema[name] for name in keys}
        self._numbers: dict[Any, int] = {}

    def number(self, rows: pl.DataFrame) -> pl.Series:
        """The number of each row's entity; `UNKNOWN` where there is none or a key is null.

        Args:
            rows: Has the keys, in the types of `schema`.
        """
        if rows.height > _FEW and rows.height * 8 > self.frame.height:
            asked = rows.select(self.keys)
            return asked.join(self.frame, on=self.keys, how="left", maintain_order="left")[KEY].fill_null(UNKNOWN)
        if not self._numbers:  # a dictionary beats hashing all entities at each call
            numbers = range(self.frame.height)
            self._numbers = dict(zip(_values(self.frame, self.keys), numbers, strict=True))
        numbers_of = self._numbers.get
        return pl.Series(KEY, [numbers_of(key, UNKNOWN) for key in _values(rows, self.keys)], dtype=pl.Int64)


class Steps:
    """A timeline, ready to be read at any moment."""

    def __init__(self, timeline: pl.DataFrame, *, before: Mapping[str, Any] | None = None) -> None:
        """Index a `timeline` sorted by KEY and TIME; `before` is what holds before an entity's first step."""
        payload = timeline.drop(KEY, TIME)
        nothing = pl.DataFrame([{**dict.fromkeys(payload.columns), **(before or {})}], schema=payload.schema)
        self._moments = timeline[TIME].unique().sort()
        addresses = timeline[KEY] * _SHIFT + self._moments.search_sorted(timeline[TIME], "left").cast(pl.Int64)
        self._addresses = pl.concat([pl.Series(KEY, [_BEFORE_ALL], dtype=pl.Int64), addresses], rechunk=True)
        self._payload = pl.concat([nothing, payload], rechunk=True)
        self._lists: tuple[array[int], array[int]] | None = None

    def read(self, entities: pl.Series, moments: pl.Series) -> pl.DataFrame:
        """What held for each entity at each moment.

        Args:
            entities: Numbers from `Entities.number`.
            moments: Microseconds since 1970 UTC, as many, without nulls.
        """
        places = self._place_few(entities, moments) if entities.len() <= _FEW else self._place_many(entities, moments)
        return self._payload[places]

    def _place_many(self, entities: pl.Series, moments: pl.Series) -> pl.Series:
        ranks = self._moments.search_sorted(moments, "right").cast(pl.Int64) - 1
        # A moment before all others has rank -1, which is an address of the entity before: its owner differs.
        places = self._addresses.search_sorted(entities * _SHIFT + ranks, "right") - 1
        owners = self._addresses.gather(places) // _SHIFT
        return places.zip_with(owners == entities, pl.Series([0], dtype=places.dtype))

    def _place_few(self, entities: pl.Series, moments: pl.Series) -> pl.Series:
        """The same in plain Python, because a call into the engine costs more than a few searches."""
        if self._lists is None:
            self._lists = array("q", self._moments.to_list()), array("q", self._addresses.to_list())
        known, addresses = self._lists
        places = []
        for entity, moment in zip(entities.to_list(), moments.to_list(), strict=True):
            place = bisect_right(addresses, entity * _SHIFT + bisect_right(known, moment) - 1) - 1
            places.append(place if addresses[place] // _SHIFT == entity else 0)
        return pl.Series(places, dtype=pl.UInt32)


def _values(rows: pl.DataFrame, keys: tuple[str, ...]) -> list[Any]:
    if len(keys) == 1:
        return rows[keys[0]].to_list()
    return rows.select(keys).rows()
