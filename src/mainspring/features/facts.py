"""From a source frame to facts: the rows of a view with their keys, their two times and their inputs.

This is the only place where expressions of a definition are evaluated. Facts are what is materialized, so
that the offline join and the online lookup start from the same rows.
"""

from __future__ import annotations

import polars as pl
from polars.exceptions import PolarsError

from mainspring.features.types import FeatureView
from mainspring.kernel.errors import InvalidInput, nearest

__all__ = ["AT", "KNOWN", "POLARS_TYPES", "VISIBLE", "facts_of", "facts_schema", "inputs_of", "utc_micros"]

AT = "__at"
"""When it happened, in microseconds since 1970 UTC."""
KNOWN = "__known"
"""When its values became known, in microseconds since 1970 UTC."""
VISIBLE = pl.max_horizontal(AT, KNOWN)
"""From when on it may be used: when it is known, and never before it happened."""

POLARS_TYPES: dict[str, pl.DataType] = {
    "float64": pl.Float64(),
    "int64": pl.Int64(),
    "bool": pl.Boolean(),
    "string": pl.String(),
    "timestamp": pl.Datetime("us", "UTC"),
}


def facts_of(view: FeatureView, source: pl.DataFrame | pl.LazyFrame, *, upto: int | None = None) -> pl.DataFrame:
    """The facts of `view` in `source`, in the source's order.

    Args:
        view: A checked definition.
        source: Its source dataset; of a lazy one only the columns that the view uses are read.
        upto: Only facts that were known at this moment (microseconds); all of them when left out.

    Returns:
        One row per usable row of the source: the join keys, `AT`, `KNOWN`, one column per feature, one
        Float64 column per aggregated expression. Rows without a key, a time or an outcome's time are left out:
        they were never known about anything.

    Raises:
        InvalidInput: a column is missing, or an expression cannot be evaluated over the source.
    """
    rows = source.lazy()
    columns = rows.collect_schema().names()
    times = [utc_micros(_expression(view, columns, view.timestamp, "timestamp")).alias(AT)]
    known = _expression(view, columns, view.known_at or view.timestamp, "known_at")
    times.append(utc_micros(known).alias(KNOWN))
    keys = [_expression(view, columns, key, "join key", column=True) for key in view.join_keys]
    features = [
        _expression(view, columns, each.expression or each.name, f'feature "{each.name}"', column=not each.expression)
        .cast(POLARS_TYPES[each.dtype])
        .alias(each.name)
        for each in view.features
    ]
    inputs = [
        _expression(view, columns, text, f"aggregation of {text!r}").cast(pl.Float64).alias(name)
        for text, name in inputs_of(view).items()
    ]
    if view.where:
        rows = rows.filter(_expression(view, columns, view.where, "where"))
    rows = rows.select(*keys, *times, *features, *inputs).drop_nulls([*view.join_keys, AT, KNOWN])
    finite = (pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in inputs_of(view).values())
    rows = rows.with_columns(finite)
    if upto is not None:
        rows = rows.filter(upto >= VISIBLE)
    try:
        return rows.collect()
    except PolarsError as error:
        raise InvalidInput(
            f'feature view "{view.name}" cannot be computed from its source "{view.source}": {_first_line(error)}',
            hint="compare the expressions with the source's columns and types",
        ) from error


def facts_schema(view: FeatureView) -> dict[str, pl.DataType]:
    """The columns of a view's facts that the definition fixes; the join keys have the types of the source."""
    times: dict[str, pl.DataType] = {AT: pl.Int64(), KNOWN: pl.Int64()}
    features = {each.name: POLARS_TYPES[each.dtype] for each in view.features}
    return {**times, **features, **dict.fromkeys(inputs_of(view).values(), pl.Float64())}


def inputs_of(view: FeatureView) -> dict[str, str]:
    """Each distinct expression that is aggregated, with the name of its column among the facts."""
    texts = dict.fromkeys(each.expression for each in view.aggregations if each.expression)
    return {text: f"__input_{number}" for number, text in enumerate(texts)}


def utc_micros(moment: pl.Expr) -> pl.Expr:
    """A time of any resolution as microseconds since 1970; without a zone it is taken as UTC."""
    return moment.cast(pl.Datetime("us")).cast(pl.Int64)


def _expression(view: FeatureView, columns: list[str], text: str, what: str, *, column: bool = False) -> pl.Expr:
    """An SQL expression over `columns`, checked to name only columns that exist."""
    label = f'feature view "{view.name}", {what}'
    if column or text in columns:
        expression = pl.col(text)
    else:
        try:
            expression = pl.sql_expr(text)
        except PolarsError as error:
            raise InvalidInput(f"{label}: {text!r} is not an expression: {_first_line(error)}") from error
    for name in expression.meta.root_names():
        if name not in columns:
            known = nearest(name, columns)
            raise InvalidInput(f'{label}: the source "{view.source}" has no column {name!r}', known=known)
    return expression


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
