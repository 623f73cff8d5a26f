"""Expectations as DQDL's rules, where DQDL has one that means the same."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from mainspring.quality.expectations.kinds import is_parametrised
from mainspring.quality.formats.dqdl_rules import _NUMBERS
from mainspring.quality.types import Expectation

__all__ = ["dictionary_text", "rule_of"]

_BY_KIND = {kind: (name, fixed) for name, (kind, fixed) in _NUMBERS.items()}
_TABLE = {
    "table_column_count_to_be_between": "ColumnCount",
    "table_duplicate_row_count_to_be_between": "DuplicateRowCount",
    "table_row_count_to_be_between": "RowCount",
}
_COUNTS = {"table_column_count_to_equal": "ColumnCount", "table_row_count_to_equal": "RowCount"}
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"([^"]+)\"""")
_RANGE = {"min_value", "max_value", "strict_min", "strict_max"}


def rule_of(expectation: Expectation) -> str | None:
    """The rule, or None when DQDL cannot say it."""
    if is_parametrised(expectation.arguments):
        return None
    if expectation.kind in {"all_of", "any_of"} and not expectation.arguments.get("per_row"):
        return _joined(expectation)
    found = _number(expectation) or _plain(expectation) or _values(expectation)
    if found is None:
        return None
    rule, of_rows = found
    if of_rows and expectation.mostly < 1 and not rule.startswith("Completeness "):
        rule += f" with threshold >= {expectation.mostly!r}"
    return rule if of_rows or expectation.mostly == 1.0 else None


def dictionary_text(plain: dict[str, Any]) -> str:
    """A dictionary of texts and lists of texts."""
    return json.dumps(plain, ensure_ascii=False, indent=4)


def _joined(expectation: Expectation) -> str | None:
    parts = [rule_of(msgspec.convert(each, Expectation)) for each in expectation.arguments["expectations"]]
    if expectation.where or any(part is None for part in parts):
        return None
    return f" {'and' if expectation.kind == 'all_of' else 'or'} ".join(f"({part})" for part in parts)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _literal(value: Any) -> str:
    return _text(value) if isinstance(value, str) else f"{value!r}"


def _where(condition: str) -> str:
    # Spark, which reads it there, quotes names with backticks.
    if not condition:
        return ""
    ticked = _QUOTED.sub(lambda found: found.group() if found.group(1) is None else f"`{found.group(1)}`", condition)
    return f" where {_text(ticked)}"


def _conditions(arguments: dict[str, Any]) -> list[str] | None:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    strict_low, strict_high = arguments.get("strict_min", False), arguments.get("strict_max", False)
    if low is not None and low == high and not (strict_low or strict_high):
        return [f"= {_literal(low)}"]
    if low is not None and high is not None and strict_low and strict_high:
        return [f"between {_literal(low)} and {_literal(high)}"]
    found = [] if low is None else [f"{'>' if strict_low else '>='} {_literal(low)}"]
    found += [] if high is None else [f"{'<' if strict_high else '<='} {_literal(high)}"]
    return found or None


def _number(expectation: Expectation) -> tuple[str, bool] | None:
    arguments = dict(expectation.arguments)
    if expectation.kind in _COUNTS:
        return f"{_COUNTS[expectation.kind]} = {arguments['value']}{_where(expectation.where)}", False
    if expectation.kind in _BY_KIND:
        name, fixed = _BY_KIND[expectation.kind]
        head = f"{name} {_text(expectation.column)}"
    elif expectation.kind in _TABLE:
        fixed = {}
        head = " ".join([_TABLE[expectation.kind], *map(_text, expectation.columns)])
    elif expectation.kind == "column_pair_correlation_to_be_between":
        fixed = {}
        head = " ".join(["ColumnCorrelation", *map(_text, expectation.columns)])
    else:
        return None
    if {key: value for key, value in arguments.items() if key not in _RANGE} != fixed:
        return None
    conditions = _conditions(arguments)
    if conditions is None:
        return None
    rules = [f"{head} {condition}{_where(expectation.where)}" for condition in conditions]
    return (rules[0] if len(rules) == 1 else " and ".join(f"({rule})" for rule in rules)), False


def _plain(expectation: Expectation) -> tuple[str, bool] | None:
    where, arguments = _where(expectation.where), expectation.arguments
    match expectation.kind:
        case "column_values_to_not_be_null" if expectation.mostly < 1:
            return f"Completeness {_text(expectation.column)} >= {expectation.mostly!r}{where}", True
        case "column_values_to_not_be_null":
            return f"IsComplete {_text(expectation.column)}{where}", True
        case "column_values_to_be_unique":
            return f"IsUnique {_text(expectation.column)}{where}", True
        case "column_to_exist" if not arguments:
            return f"ColumnExists {_text(expectation.column)}", False
        case "table_column_names_to_match_regex":
            return f"ColumnNamesMatchPattern {_text(arguments['regex'])}", False
        case "rows_to_satisfy" if not expectation.where and expectation.mostly == 1.0:
            query = f"SELECT count(*) FROM primary WHERE NOT coalesce({arguments['condition']}, FALSE)"  # noqa: S608
            return f"CustomSql {_text(query)} = 0", False
        case "query_value_to_be_between":
            conditions = _conditions(arguments)
            query = _text(arguments["query"].replace("{batch}", "primary"))
            if conditions is not None and len(conditions) == 1:
                return f"CustomSql {query} {conditions[0]}", False
    return None


def _values(expectation: Expectation) -> tuple[str, bool] | None:
    arguments, column = dict(expectation.arguments), _text(expectation.column)
    missing = arguments.pop("missing", "ignored")
    head, conditions, fails = "ColumnValues", None, missing == "unexpected"
    match expectation.kind:
        case "column_values_to_be_between":
            conditions = _conditions(arguments)
        case "column_values_to_be_in_set":
            conditions, fails = [f"in {_set(arguments, null=missing == 'expected')}"], True
        case "column_values_to_not_be_in_set":
            conditions, fails = [f"not in {_set(arguments, null=missing == 'unexpected')}"], True
        case "column_value_lengths_to_equal":
            head, conditions = "ColumnLength", [f"= {arguments['value']}"]
        case "column_value_lengths_to_be_between":
            head, conditions = "ColumnLength", _conditions(arguments)
        case "column_values_to_match_regex":
            whole = re.fullmatch(r"\^(?:\(\?:(.*)\)|(.*))\$", arguments["regex"], re.DOTALL)
            if whole is not None:
                conditions = [f"matches {_text(whole.group(1) or whole.group(2) or '')}"]
    asks_missing = missing != "ignored" and (head == "ColumnLength" or not fails)
    if conditions is None or (len(conditions) > 1 and expectation.mostly < 1) or asks_missing:
        return None
    condition = expectation.where
    if missing == "ignored" and head == "ColumnValues":
        there = f'"{expectation.column}" IS NOT NULL'
        condition = f"({condition}) AND {there}" if condition else there
    rules = [f"{head} {column} {each}{_where(condition)}" for each in conditions]
    return (rules[0] if len(rules) == 1 else " and ".join(f"({rule})" for rule in rules)), True


def _set(arguments: dict[str, Any], *, null: bool) -> str:
    return f"[{', '.join([*map(_literal, arguments['value_set']), *(['NULL'] if null else [])])}]"
