"""What the feature store speaks of: entities, features, aggregations, and the views that define them.

A definition is data, not code: it has a canonical JSON form, so it has a digest, so it is a version of an
artifact (kind `feature-view`). What would be code, a derived column, is an SQL expression over the source's
columns; it can name columns and functions but no file, no table and no sub-query.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.names import check_name

__all__ = [
    "Aggregation",
    "DType",
    "Entity",
    "Feature",
    "FeatureState",
    "FeatureVectors",
    "FeatureView",
    "FeatureViewVersion",
    "Function",
    "TrainingSet",
]

DType = Literal["float64", "int64", "bool", "string", "timestamp"]
"""The types that a feature may have; the same offline, online and on the wire."""

Function = Literal["count", "sum", "mean", "std", "min", "max"]
"""What an aggregation may compute. `mean` of a condition is a share; `std` is the sample's (n - 1)."""


class Entity(msgspec.Struct, frozen=True):
    """A thing that features are about, and the columns that name one of them.

    Example:
        >>> Entity("route", ("origin", "dest")).join_keys
        ('origin', 'dest')
    """

    name: str
    join_keys: tuple[str, ...] = ()
    """The columns that identify it, in the source and in what is asked; the entity's own name when left out."""
    description: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The join keys, with the default filled in."""
        return self.join_keys or (self.name,)


class Feature(msgspec.Struct, frozen=True):
    """One column of a view: the latest value that was known at a moment."""

    name: str
    dtype: DType = "float64"
    expression: str = ""
    """SQL over the source's columns; the column of the same name when left out."""


class Aggregation(msgspec.Struct, frozen=True):
    """One number over the rows of an entity in the last `window`: those with `T - window < timestamp <= T`.

    Of these only the rows whose outcome was known at T count (`FeatureView.known_at`). Values that are null,
    NaN or infinite are left out; a count or a sum of nothing is 0, every other function of nothing is null.
    """

    name: str
    function: Function
    window: timedelta
    expression: str = ""
    """SQL over the source's columns; may be left out for `count`, which then counts rows."""


class FeatureView(msgspec.Struct, frozen=True, kw_only=True):
    """How features are computed from a dataset.

    `timestamp` says when a row happened; `known_at` when its values became known (the same moment when left
    out). Nothing is used before it was known, neither in a training set nor online. Both, like `where`,
    are a column or an SQL expression over the source's columns. Times without a zone are UTC.

    Example:
        >>> view = FeatureView(
        ...     name="carrier-history",
        ...     entities=(Entity("carrier"),),
        ...     source="flights",
        ...     timestamp="scheduled_departure",
        ...     known_at="scheduled_departure + INTERVAL '1 minute' * (air_time + dep_delay)",
        ...     aggregations=(Aggregation("late_share", "mean", timedelta(days=28), "arr_delay > 15"),),
        ... )
        >>> view.columns
        ('late_share',)
    """

    name: str
    entities: tuple[Entity, ...]
    source: str
    """The dataset's name or reference: `flights`, `flights@v3`."""
    timestamp: str
    known_at: str = ""
    ttl: timedelta | None = None
    """How old the latest value may be at the moment that is asked for, both ends included; no limit when left out."""
    features: tuple[Feature, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    hop: timedelta = timedelta(0)
    """The grain of the windows: 0 is exact. A longer one keeps less; values show up to one hop late, never early."""
    where: str = ""
    """Rows for which this is false or null are left out."""
    description: str = ""
    owner: str = ""
    tags: dict[str, str] = {}

    @property
    def join_keys(self) -> tuple[str, ...]:
        """The join keys of all entities, in order, each once."""
        return tuple(dict.fromkeys(key for entity in self.entities for key in entity.keys))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what the view gives, features first."""
        return (*(each.name for each in self.features), *(each.name for each in self.aggregations))

    @property
    def digest(self) -> str:
        """The identity of the definition: equal definitions have equal digests, anywhere."""
        return digest_value("feature-view", self)

    def check(self) -> FeatureView:
        """Return the view when it can be; raise `InvalidInput` naming the first thing that is wrong."""
        check_name(self.name, what="feature view name")
        where = f'feature view "{self.name}"'
        _require(bool(self.entities), f"{where} has no entity", "entities=(Entity('carrier'),)")
        _require(bool(self.columns), f"{where} has neither features nor aggregations", "")
        _require(bool(self.source and self.timestamp), f"{where} needs a source and a timestamp", "")
        _require(self.ttl is None or self.ttl > timedelta(0), f"{where}: ttl must be positive", "None is no limit")
        _require(self.hop >= timedelta(0), f"{where}: hop must not be negative", "0 means exact windows")
        names = [*self.join_keys, *self.columns]
        for name in names:
            _require(name.isidentifier(), f"{where}: {name!r} cannot name a column", "letters, digits and _ only")
            _require(names.count(name) == 1, f"{where} has two columns named {name!r}", "rename one")
        for each in self.aggregations:
            label = f'{where}, aggregation "{each.name}"'
            _require(each.window > timedelta(0), f"{label}: window must be positive", "timedelta(days=28)")
            _require(self.hop < each.window, f"{label}: hop must be shorter than the window", "")
            _require(bool(each.expression) or each.function == "count", f"{label} needs an expression", "")
        return self


class FeatureState(msgspec.Struct, frozen=True):
    """What the online store holds of one view version."""

    view_id: str
    workspace: str
    name: str
    version: int
    generation: int
    """Goes up with every change; a process reads again what it holds in memory when this has moved."""
    artifact_id: str
    """The materialized state (kind `feature-state`), for lineage."""
    digest: str
    """Its bytes: a Parquet file of facts."""
    rows: int
    upto: datetime
    """Only what was known at this moment is in it."""
    materialized_at: datetime


class FeatureViewVersion(msgspec.Struct, frozen=True):
    """A stored version of a view's definition."""

    id: str
    name: str
    version: int
    digest: str
    definition: FeatureView
    created_at: datetime
    created_by: str = ""
    state: FeatureState | None = None
    """What is materialized of it, if anything."""

    @property
    def ref(self) -> str:
        """`feature-view/name@version`."""
        return f"feature-view/{self.name}@{self.version}"


class FeatureVectors(msgspec.Struct, frozen=True):
    """What a lookup answers, column by column, in the order of the rows that were asked for."""

    columns: dict[str, list[Any]]
    views: dict[str, str]
    """Each view's name with the id of the version that was used."""
    upto: dict[str, datetime]
    """How far each view was materialized: what became known later is not in the answer."""
    event_times: dict[str, list[datetime | None]] = {}
    """When the latest value happened, per view with features; only when details were asked for."""
    statuses: dict[str, list[str]] = {}
    """`PRESENT`, `NOT_FOUND` or `OUTSIDE_MAX_AGE` per view and row; only when details were asked for."""


class TrainingSet(msgspec.Struct, frozen=True):
    """A stored result of a point-in-time join."""

    id: str
    name: str
    version: int
    digest: str
    run_id: str
    rows: int
    columns: list[str]
    label: str = ""
    """The column to be learned, where one was named."""

    @property
    def ref(self) -> str:
        """`training-set/name@version`."""
        return f"training-set/{self.name}@{self.version}"


def _require(holds: bool, message: str, hint: str) -> None:  # noqa: FBT001 -- an assertion with a typed error
    if not holds:
        raise InvalidInput(message, hint=hint)
