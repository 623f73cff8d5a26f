"""Questions about groups of equal values in SQL: one `GROUP BY` for each set of columns."""

# ruff: noqa: S608 -- SQL is what this module writes: identifiers and literals are quoted by the dialect
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.engines import metrics as ir
from mainspring.engines import predicates as rows
from mainspring.engines.metrics import Metric
from mainspring.engines.predicates import Predicate
from mainspring.engines.tables_sql_metrics import read_value
from mainspring.engines.tables_sql_rows import Compiler
from mainspring.engines.tables_types import ColumnType

__all__ = ["group_query", "read_group"]

N = "group_rows"


def group_query(compiler: Compiler, relation: str, columns: Sequence[str], metrics: Sequence[Metric]) -> str:
    """One row with what all metrics ask of the groups of `columns`: `read_group` reads it."""
    names = [compiler.column(name) for name in columns]
    listed = ", ".join(names)
    tables = [f"g AS (SELECT {listed}, COUNT(*) AS {N} FROM ({relation}) AS t GROUP BY {listed})"]
    chosen: list[str] = []
    for place, metric in enumerate(metrics):
        chosen += _asked(compiler, metric, place, tables)
    return f"WITH {', '.join(tables)} SELECT {', '.join(chosen)}"


def _asked(compiler: Compiler, metric: Metric, place: int, tables: list[str]) -> list[str]:
    column, dialect = compiler.column, compiler.dialect
    match metric:
        case ir.Count():
            holds = _of_group(compiler, metric.predicate)
            return [f"(SELECT SUM({N}) FROM g WHERE {holds})"]
        case ir.Distinct():
            complete = " AND ".join(f"{column(name)} IS NOT NULL" for name in metric.columns)
            return [f"(SELECT COUNT(*) FROM g WHERE {complete})"]
        case ir.Frequent():
            value, kind = column(metric.column), compiler.schema[metric.column]
            order = f"{N} DESC, {value}" if kind.is_ordered else f"{N} DESC"
            top = f"top{place}"
            said = dialect.output(value, kind)
            found = f"SELECT * FROM g WHERE {value} IS NOT NULL ORDER BY {order} LIMIT {int(metric.limit)}"
            tables.append(f"{top} AS ({found})")
            values, counts = dialect.lists(said, N, order)
            return [f"(SELECT {values} FROM {top})", f"(SELECT {counts} FROM {top})"]
        case ir.Grouping():
            some = " OR ".join(f"{column(name)} IS NOT NULL" for name in metric.columns)
            weighted = f"SUM({dialect.number(N)} * LN({dialect.number(N)}))"
            asked = (f"SUM({N})", "COUNT(*)", f"COUNT(*) FILTER (WHERE {N} = 1)", weighted)
            return [f"(SELECT {each} FROM g WHERE {some})" for each in asked]
        case ir.MutualInformation():
            x, y = column(metric.x), column(metric.y)
            both = f"b{place}"
            tables.append(f"{both} AS (SELECT * FROM g WHERE {x} IS NOT NULL AND {y} IS NOT NULL)")
            number = dialect.number("n")
            weighted = f"SUM({number} * LN({number}))"
            return [
                f"(SELECT SUM({N}) FROM {both})",
                f"(SELECT {weighted} FROM (SELECT {N} AS n FROM {both}) AS j)",
                f"(SELECT {weighted} FROM (SELECT SUM({N}) AS n FROM {both} GROUP BY {x}) AS j)",
                f"(SELECT {weighted} FROM (SELECT SUM({N}) AS n FROM {both} GROUP BY {y}) AS j)",
            ]
    raise TypeError(metric)


def _of_group(compiler: Compiler, predicate: Predicate | None) -> str:
    match predicate:
        case None:
            return "1 = 1"
        case rows.Duplicated():
            return f"({N} > 1)"
        case rows.Not(inner):
            return f"({_of_group(compiler, inner)} IS NOT TRUE)"
        case rows.All(parts):
            return f"({' AND '.join(_of_group(compiler, part) for part in parts)})"
        case rows.AnyOf(parts):
            return f"({' OR '.join(_of_group(compiler, part) for part in parts)})"
    return compiler.holds(predicate)


def read_group(metrics: Sequence[Metric], row: Sequence[Any], schema: Mapping[str, ColumnType]) -> dict[Metric, Any]:
    """What each metric makes of the row of `group_query`."""
    values = iter(row)
    return {metric: _read(metric, values, schema) for metric in metrics}


def _read(metric: Metric, values: Any, schema: Mapping[str, ColumnType]) -> Any:
    match metric:
        case ir.Count() | ir.Distinct():
            return int(next(values) or 0)
        case ir.Frequent():
            found, counts = next(values) or [], next(values) or []
            kind = schema[metric.column]
            pairs = sorted(zip(found, map(int, counts), strict=True), key=lambda pair: _order(pair, kind))
            return [[_json(read_value(value, kind)), count] for value, count in pairs]
        case ir.Grouping():
            count, groups, singletons, weighted = (next(values) or 0 for _ in range(4))
            entropy = math.log(count) - float(weighted) / int(count) if count else 0.0
            whole = {"rows": int(count), "groups": int(groups), "singletons": int(singletons)}
            return {**whole, "entropy": max(entropy, 0.0)}
        case ir.MutualInformation():
            count, joint, x, y = (float(next(values) or 0) for _ in range(4))
            return max(math.log(count) + (joint - x - y) / count, 0.0) if count else 0.0
    raise TypeError(metric)


def _order(pair: tuple[Any, int], kind: ColumnType) -> tuple[Any, ...]:
    return (-pair[1], pair[0]) if kind.is_ordered else (-pair[1], str(pair[0]))


def _json(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
