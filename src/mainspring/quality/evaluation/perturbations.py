"""What goes wrong with data on its way to a model, as functions of a column and a level."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PERTURBATIONS", "Perturbation", "applies"]

Perturbation = Callable[["pl.Series", float, Any], "pl.Series"]
"""A column, a level and a numpy generator in; the spoilt column out."""


def _numeric(column: pl.Series) -> pl.Series:
    import polars as pl

    return column.cast(pl.Float64)


def _spread(column: pl.Series) -> float:
    spread = _numeric(column).std()
    return spread if isinstance(spread, float) else 0.0


def _noise(column: pl.Series, level: float, random: Any) -> pl.Series:
    import polars as pl

    return _numeric(column) + pl.Series(random.normal(0, level * _spread(column), column.len()))


def _shift(column: pl.Series, level: float, _: Any) -> pl.Series:
    return _numeric(column) + level * _spread(column)


def _units(column: pl.Series, level: float, _: Any) -> pl.Series:
    return _numeric(column) * level


def _missing(column: pl.Series, level: float, random: Any) -> pl.Series:
    import polars as pl

    kept = pl.Series(random.random(column.len()) >= level)
    return pl.select(pl.when(kept).then(column).otherwise(None)).to_series()


def _swaps(column: pl.Series, level: float, random: Any) -> pl.Series:
    """Some values become another value that the column knows."""
    import polars as pl

    known = column.drop_nulls().unique().sort()
    if known.len() < 2:
        return column
    others = known.gather(random.integers(0, known.len(), column.len()))
    hit = pl.Series(random.random(column.len()) < level)
    return pl.select(pl.when(hit).then(others).otherwise(column)).to_series()


def _typos(column: pl.Series, level: float, random: Any) -> pl.Series:
    """Some texts get two letters exchanged, one dropped, or one doubled."""
    import polars as pl

    text = pl.col("text")
    size, at = text.str.len_chars(), pl.col("at")
    place = pl.when(size > 1).then(at % pl.max_horizontal(size.cast(pl.Int64) - 1, 1)).otherwise(0)
    head, one, two = text.str.slice(0, place), text.str.slice(place, 1), text.str.slice(place + 1, 1)
    tail = text.str.slice(place + 2)
    spoilt = (
        pl.when(pl.col("kind") == 0)
        .then(pl.concat_str(head, two, one, tail))
        .when(pl.col("kind") == 1)
        .then(pl.concat_str(head, two, tail))
        .otherwise(pl.concat_str(head, one, one, two, tail))
    )
    frame = pl.DataFrame(
        {
            "text": column.cast(pl.String),
            "at": random.integers(0, 1 << 30, column.len()),
            "kind": random.integers(0, 3, column.len()),
            "hit": random.random(column.len()) < level,
        }
    )
    return frame.select(pl.when("hit").then(spoilt).otherwise(text)).to_series().alias(column.name)


PERTURBATIONS: dict[str, tuple[Perturbation, tuple[float, ...]]] = {
    "noise": (_noise, (0.1, 0.25, 0.5, 1.0)),
    "shift": (_shift, (-1.0, -0.5, 0.5, 1.0)),
    "units": (_units, (0.001, 0.3048, 2.54, 1000.0)),
    "missing": (_missing, (0.05, 0.1, 0.25, 0.5)),
    "swaps": (_swaps, (0.05, 0.1, 0.25, 0.5)),
    "typos": (_typos, (0.05, 0.1, 0.25, 0.5)),
}
"""By name, with the levels tried: standard deviations (`noise`, `shift`), a factor (`units`), shares of cells."""

_VALUES = 50


def applies(name: str, column: pl.Series) -> bool:
    """Whether a column can go wrong in this way."""
    import polars as pl

    if name == "missing":
        return not column.dtype.is_nested()
    if name in {"noise", "shift", "units"}:
        return column.dtype.is_numeric() and column.drop_nulls().n_unique() > 2
    text = column.dtype in {pl.String, pl.Categorical, pl.Enum} or column.dtype == pl.Categorical
    if name == "typos":
        return column.dtype == pl.String
    return text or column.dtype == pl.Boolean or (column.dtype.is_integer() and column.n_unique() <= _VALUES)
