"""What each type of DQDL's rules means as an expectation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from mainspring.quality.formats.dqdl_grammar import Condition, Operand, Rule, refused
from mainspring.quality.types import Expectation

__all__ = ["DYNAMIC", "RULES", "expectation_of"]

DYNAMIC = "dqdl:"
"""What the names of parameters begin with that history gives their values."""

_NUMBERS = {
    "DistinctValuesCount": ("column_unique_value_count_to_be_between", {}),
    "Completeness": ("column_proportion_of_non_null_values_to_be_between", {}),
    "Entropy": ("column_entropy_to_be_between", {}),
    "InterquartileRange": ("column_interquartile_range_to_be_between", {}),
    "Kurtosis": ("column_kurtosis_to_be_between", {}),
    "Mean": ("column_mean_to_be_between", {}),
    "Range": ("column_range_to_be_between", {}),
    "Skewness": ("column_skewness_to_be_between", {}),
    "StandardDeviation": ("column_stdev_to_be_between", {"population": True}),
    "Sum": ("column_sum_to_be_between", {}),
    "UniqueValueRatio": ("column_unique_value_ratio_to_be_between", {}),
    "Uniqueness": ("column_uniqueness_to_be_between", {}),
    "Variance": ("column_variance_to_be_between", {"population": True}),
    "ZerosCount": ("column_zeros_count_to_be_between", {}),
}  # fmt: skip
"""Rules about one number of a column."""

_NORMAL = {"Completeness": "missing", "DistinctValuesCount": "distinct", "Mean": "mean", "StandardDeviation": "std",
           "Sum": "sum"}  # fmt: skip
_FORMS = {"boolean": "boolean", "date": "datetime", "timestamp": "datetime", "integer": "integer", "long": "integer",
          "int": "integer", "short": "integer", "double": "number", "float": "number", "decimal": "number",
          "string": "text"}  # fmt: skip


def expectation_of(rule: Rule) -> Expectation:
    """The expectation behind a rule, without its filter and thresholds."""
    return RULES[rule.name](rule)


# -- conditions


def _number(rule: Rule, operand: Operand) -> Any:
    if operand.kind == "dynamic":
        return {"$PARAMETER": f"{DYNAMIC}{' '.join((rule.name, *rule.parameters))}: {operand.value}"}
    if operand.kind != "number":
        raise refused(rule.at, f"{rule.name} is compared with numbers, not with {operand.value!r}")
    return operand.value


def _ranges(rule: Rule, condition: Condition, value: Callable[[Operand], Any]) -> tuple[str, list[dict[str, Any]]]:
    """How a condition is said with ranges: of which one, any or none must hold."""
    ends = [value(each) for each in condition.operands]
    match condition.operator:
        case "=" | "in":
            ranges = [{"min_value": end, "max_value": end} for end in ends]
            return ("none_of" if condition.negated else "any_of"), ranges
        case "between" if condition.negated:
            return "any_of", [{"max_value": ends[0]}, {"min_value": ends[1]}]
        case "between":
            return "any_of", [{"min_value": ends[0], "max_value": ends[1], "strict_min": True, "strict_max": True}]
        case ">" | ">=":
            return "any_of", [{"min_value": ends[0]} | ({"strict_min": True} if condition.operator == ">" else {})]
        case "<" | "<=":
            return "any_of", [{"max_value": ends[0]} | ({"strict_max": True} if condition.operator == "<" else {})]
    raise refused(rule.at, f"{rule.name} is compared with numbers, and matches is for texts")


def _combined(kind: str, parts: Sequence[Expectation], **arguments: Any) -> Expectation:
    if kind != "none_of" and len(parts) == 1:
        return parts[0]
    return Expectation(kind=kind, arguments={"expectations": [each.to_dict() for each in parts], **arguments})


def _in_range(rule: Rule, kind: str, *, default: Condition | None = None, **about: Any) -> Expectation:
    condition = rule.condition or default
    if condition is None:
        raise refused(rule.at, f"{rule.name} needs a condition", hint=f"for example {rule.name} ... > 0")
    more = about.pop("arguments", {})
    combine, ranges = _ranges(rule, condition, lambda operand: _number(rule, operand))
    return _combined(combine, [Expectation(kind=kind, arguments=more | each, **about) for each in ranges])


def _columns(rule: Rule, least: int = 1, most: int = 1) -> tuple[str, ...]:
    if not least <= len(rule.parameters) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise refused(rule.at, f"{rule.name} takes {wanted} parameters, and has {len(rule.parameters)}")
    return rule.parameters


# -- rules


def _of_table(kind: str) -> Callable[[Rule], Expectation]:
    def made(rule: Rule) -> Expectation:
        _columns(rule, 0, 0)
        return _in_range(rule, kind)

    return made


def _of_column(rule: Rule) -> Expectation:
    kind, arguments = _NUMBERS[rule.name]
    return _in_range(rule, kind, column=_columns(rule)[0], arguments=arguments)


def _plainly(kind: str) -> Callable[[Rule], Expectation]:
    def made(rule: Rule) -> Expectation:
        return Expectation(kind=kind, column=_columns(rule)[0])

    return made


def _correlation(rule: Rule) -> Expectation:
    return _in_range(rule, "column_pair_correlation_to_be_between", columns=_columns(rule, 2, 2))


def _primary_key(rule: Rule) -> Expectation:
    names = _columns(rule, 1, 100)
    unique = "column_values_to_be_unique" if len(names) == 1 else "compound_columns_to_be_unique"
    about: dict[str, Any] = {"column": names[0]} if len(names) == 1 else {"columns": names}
    there = [Expectation(kind="column_values_to_not_be_null", column=name) for name in names]
    return _combined("all_of", [Expectation(kind=unique, **about), *there], per_row=True)


def _duplicates(rule: Rule) -> Expectation:
    names = _columns(rule, 0, 100)
    return _in_range(rule, "table_duplicate_row_count_to_be_between", columns=names)


def _length(rule: Rule) -> Expectation:
    (column,) = _columns(rule)
    condition = _needed(rule)
    combine, ranges = _ranges(rule, condition, lambda operand: _number(rule, operand))
    kind = "column_value_lengths_to_be_between"
    parts = [Expectation(kind=kind, column=column, arguments=each) for each in ranges]
    return _combined(combine, parts, per_row=True)


def _needed(rule: Rule) -> Condition:
    if rule.condition is None:
        raise refused(rule.at, f"{rule.name} needs a condition")
    return rule.condition


def _data_type(rule: Rule) -> Expectation:
    (column,) = _columns(rule)
    condition = _needed(rule)
    if condition.operator not in {"=", "in"}:
        raise refused(rule.at, "ColumnDataType is compared with = or in")
    parts = []
    for operand in condition.operands:
        form = _FORMS.get(str(operand.value).lower())
        if operand.kind != "text" or form is None:
            raise refused(rule.at, f"{operand.value!r} is no type of DQDL", known=sorted(_FORMS))
        parts.append(Expectation(kind="column_values_to_read_as", column=column, arguments={"form": form}))
    return _combined("none_of" if condition.negated else "any_of", parts, per_row=True)


def _values(rule: Rule) -> Expectation:
    (column,) = _columns(rule)
    condition = _needed(rule)
    kinds = {operand.kind for operand in condition.operands} - {"keyword"}
    if condition.operator == "matches":
        negated = "not_" if condition.negated else ""
        regex = f"^(?:{condition.operands[0].value})$"
        arguments = {"regex": regex, "missing": "unexpected"}
        return Expectation(kind=f"column_values_to_{negated}match_regex", column=column, arguments=arguments)
    if condition.operator in {"=", "in"} and "now" not in kinds:
        return _members(rule, column, condition)
    if kinds <= {"number", "date", "text"}:
        return _value_range(rule, column, condition)
    if kinds == {"now"}:
        return _ages(column, condition)
    raise refused(rule.at, "values are compared with numbers, texts, dates or times from now, of one sort at a time")


def _members(rule: Rule, column: str, condition: Condition) -> Expectation:
    words = {operand.value for operand in condition.operands if operand.kind == "keyword"}
    values = [operand.value for operand in condition.operands if operand.kind != "keyword"]
    if any(operand.kind == "dynamic" for operand in condition.operands):
        raise refused(rule.at, "values are not compared with what history gives")
    values += [""] if "EMPTY" in words else []
    parts = []
    # A missing value is in no set, so that it passes where the set is what must not be.
    missing = "expected" if condition.negated != ("NULL" in words) else "unexpected"
    if values:
        kind = "column_values_to_not_be_in_set" if condition.negated else "column_values_to_be_in_set"
        parts.append(Expectation(kind=kind, column=column, arguments={"value_set": values, "missing": missing}))
    if "WHITESPACES_ONLY" in words:
        kind = "column_values_to_not_match_regex" if condition.negated else "column_values_to_match_regex"
        parts.append(Expectation(kind=kind, column=column, arguments={"regex": r"^\s+$", "missing": missing}))
    if not parts:
        kind = "column_values_to_not_be_null" if condition.negated else "column_values_to_be_null"
        return Expectation(kind=kind, column=column)
    return _combined("all_of" if condition.negated else "any_of", parts, per_row=True)


def _value_range(rule: Rule, column: str, condition: Condition) -> Expectation:
    if any(operand.kind == "keyword" for operand in condition.operands):
        raise refused(rule.at, "NULL, EMPTY and WHITESPACES_ONLY are compared with =, !=, in and not in")
    ends = [operand.value for operand in condition.operands]
    if condition.operator == "between" and condition.negated:
        arguments = {"min_value": ends[0], "max_value": ends[1], "missing": "unexpected"}
        return Expectation(kind="column_values_to_not_be_between", column=column, arguments=arguments)
    _, ranges = _ranges(rule, condition, lambda operand: operand.value)
    arguments = ranges[0] | {"missing": "unexpected"}
    return Expectation(kind="column_values_to_be_between", column=column, arguments=arguments)


def _ages(column: str, condition: Condition) -> Expectation:
    """A value after `now() - 3 days` is less than three days old."""
    ages = [-operand.value for operand in condition.operands]
    flipped = {">": "<", ">=": "<=", "<": ">", "<=": ">="}.get(condition.operator, condition.operator)
    operands = tuple(Operand("duration", age) for age in sorted(ages))
    return _aged(column, Condition(flipped, condition.negated, operands))  # type: ignore[arg-type]  # an operator again


def _aged(column: str, condition: Condition) -> Expectation:
    at = Rule("", (), None, "", {}, None, "")  # type: ignore[arg-type]  # ranges of durations are not refused
    combine, ranges = _ranges(at, condition, lambda operand: operand.value)
    renamed = [{name.replace("_value", "_age"): end for name, end in each.items()} for each in ranges]
    kind = "column_value_ages_to_be_between"
    parts = [Expectation(kind=kind, column=column, arguments={**each, "missing": "unexpected"}) for each in renamed]
    return _combined(combine, parts, per_row=True)


def _freshness(rule: Rule) -> Expectation:
    condition = _needed(rule)
    if any(operand.kind != "duration" for operand in condition.operands):
        raise refused(rule.at, "DataFreshness is compared with durations", hint="for example <= 24 hours")
    return _aged(_columns(rule)[0], condition)


def _custom_sql(rule: Rule) -> Expectation:
    (text,) = _columns(rule)
    query = re.sub(r"\bprimary\b", "{batch}", text)
    if rule.condition is None:
        # Without a condition the query gives the rows that pass.
        arguments: dict[str, Any] = {"query": query, "min_value": 1.0}
        threshold = rule.tags.get("threshold")
        if threshold is not None:
            _, ranges = _ranges(rule, threshold, lambda operand: _number(rule, operand))
            arguments = {"query": query, **ranges[0]}
        return Expectation(kind="query_rows_share_to_be_between", arguments=arguments)
    return _in_range(rule, "query_value_to_be_between", arguments={"query": query})


def _references(rule: Rule) -> Expectation:
    mine, theirs = _columns(rule, 2, 2)
    found = re.fullmatch(r"([^.{]+)\.(?:\{(.*)\}|(.+))", theirs.strip())
    if found is None:
        raise refused(rule.at, f"{theirs!r} names no columns of another dataset", hint='write "alias.{a,b}"')
    keys = [name.strip() for name in (found.group(2) or found.group(3)).split(",")]
    names = [name.strip() for name in mine.split(",")]
    about: dict[str, Any] = {"column": names[0]} if len(names) == 1 else {"columns": names}
    inner = Expectation(kind="values_to_be_in_table", arguments={"table": found.group(1), "keys": keys}, **about)
    return _share(rule, inner)


def _share(rule: Rule, inner: Expectation) -> Expectation:
    if rule.condition is None:
        return inner
    plain = inner.to_dict()
    return _in_range(rule, "share_of_rows_to_be_between", arguments={"expectation": plain})


def _dataset_match(rule: Rule) -> Expectation:
    alias, *mappings = _columns(rule, 2, 3)
    pairs = [entry.strip() for text in mappings for entry in text.split(",") if entry.strip()]
    split = [[side.strip() for side in pair.split("->")] for pair in pairs]
    names, keys = [pair[0] for pair in split], [pair[-1] for pair in split]
    arguments = {"table": alias, "keys": keys, "missing": "unexpected"}
    about: dict[str, Any] = {"column": names[0]} if len(names) == 1 else {"columns": names}
    return _share(rule, Expectation(kind="values_to_be_in_table", arguments=arguments, **about))


def _schema_match(rule: Rule) -> Expectation:
    (alias,) = _columns(rule)
    return _in_range(rule, "table_schema_to_match_other", arguments={"table": alias}, default=_ALL)


_ALL = Condition("=", negated=False, operands=(Operand("number", 1.0),))


def _row_count_match(rule: Rule) -> Expectation:
    (alias,) = _columns(rule)
    query = f'SELECT (SELECT count(*) FROM {{batch}}) * 1.0 / (SELECT count(*) FROM "{alias}") AS ratio'  # noqa: S608
    return _in_range(rule, "query_value_to_be_between", arguments={"query": query}, default=_ALL)


def _aggregate_match(rule: Rule) -> Expectation:
    sides = []
    for text in _columns(rule, 2, 2):
        found = re.fullmatch(r"\s*(\w+)\s*\(\s*(?:([^.()]+)\.)?([^.()]+)\s*\)\s*", text)
        if found is None:
            raise refused(rule.at, f"{text!r} is no aggregate", hint='write "avg(column)" or "avg(alias.column)"')
        function, alias, column = found.groups()
        source = f'"{alias}"' if alias and alias != "primary" else "{batch}"
        inside = column if column == "*" else f'"{column}"'
        sides.append(f"(SELECT {function}({inside}) FROM {source})")  # noqa: S608 -- of the words of the rule
    query = f"SELECT {sides[0]} * 1.0 / {sides[1]} AS ratio"
    return _in_range(rule, "query_value_to_be_between", arguments={"query": query}, default=_ALL)


def _anomalies(rule: Rule) -> Expectation:
    metric, *rest = _columns(rule, 1, 2)
    if metric == "RowCount" and not rest:
        return Expectation(kind="table_row_count_to_be_normal")
    if metric not in _NORMAL or len(rest) != 1:
        raise refused(rule.at, f"{metric} has no history that is watched", known=["RowCount", *_NORMAL])
    return Expectation(kind="column_metric_to_be_normal", column=rest[0], arguments={"metric": _NORMAL[metric]})


def _names_match(rule: Rule) -> Expectation:
    return Expectation(kind="table_column_names_to_match_regex", arguments={"regex": _columns(rule)[0]})


RULES: dict[str, Callable[[Rule], Expectation]] = {
    **dict.fromkeys(_NUMBERS, _of_column),
    "AggregateMatch": _aggregate_match,
    "ColumnCorrelation": _correlation,
    "ColumnCount": _of_table("table_column_count_to_be_between"),
    "ColumnDataType": _data_type,
    "ColumnExists": _plainly("column_to_exist"),
    "ColumnLength": _length,
    "ColumnNamesMatchPattern": _names_match,
    "ColumnValues": _values,
    "CustomSql": _custom_sql,
    "DataFreshness": _freshness,
    "DatasetMatch": _dataset_match,
    "DetectAnomalies": _anomalies,
    "DuplicateRowCount": _duplicates,
    "IsComplete": _plainly("column_values_to_not_be_null"),
    "IsPrimaryKey": _primary_key,
    "IsUnique": _plainly("column_values_to_be_unique"),
    "ReferentialIntegrity": _references,
    "RowCount": _of_table("table_row_count_to_be_between"),
    "RowCountMatch": _row_count_match,
    "SchemaMatch": _schema_match,
}
"""The types of rules."""
