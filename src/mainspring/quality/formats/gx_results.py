"""Reports in the shape in which Great Expectations 1.24 gives its results.

Its lists of unexpected values are complete only where the validation kept all rows: validate with `sample=None` and
`explain_passed=True` for `COMPLETE`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.gx import config_of
from mainspring.quality.types import ExpectationResult, ValidationReport

__all__ = ["LEVELS", "report_to_gx", "result_to_gx"]

LEVELS = ("BOOLEAN_ONLY", "BASIC", "SUMMARY", "COMPLETE")
"""How much is told, from the least."""

_NO_MISSING = {"column_values_to_be_null", "column_values_to_not_be_null"}
_SETS = {f"column_distinct_values_to_{verb}_set" for verb in ("be_in", "contain", "equal")}


def report_to_gx(report: ValidationReport, result_format: str | Mapping[str, Any] = "SUMMARY") -> dict[str, Any]:
    """The report with its results and statistics."""
    results = [result_to_gx(each, result_format) for each in report.results]
    passed = sum(each["success"] for each in results)
    return {
        "success": passed == len(results),
        "results": results,
        "suite_name": report.suite,
        "suite_parameters": {},
        "statistics": {
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100.0 * passed / len(results) if results else None,
        },
        "meta": {"run_id": {"run_name": report.ref or None, "run_time": report.started_at.isoformat()}},
        "id": None,
    }


def result_to_gx(result: ExpectationResult, result_format: str | Mapping[str, Any] = "SUMMARY") -> dict[str, Any]:
    """One result.

    Args:
        result: What was found.
        result_format: A level, or a mapping with `result_format` (the level), `partial_unexpected_count`,
            `unexpected_index_column_names`, `include_unexpected_rows`, `exclude_unexpected_values` and
            `return_unexpected_index_query`.
    """
    options: dict[str, Any] = (
        {"result_format": result_format} if isinstance(result_format, str) else dict(result_format)
    )
    level = options.setdefault("result_format", "SUMMARY")
    if level not in LEVELS:
        raise InvalidInput(f"{level!r} is no result format", known=list(LEVELS))
    kind = result.expectation.kind.removeprefix("expect_")
    if level == "BOOLEAN_ONLY" or result.verdict == "error":
        found: dict[str, Any] = {}
    elif kind == "query_results_to_match_comparison":
        found = _rows_apart(result, level)
    elif result.unexpected is not None:
        found = _of_rows(result, kind, options)
    else:
        found = _of_number(result, kind, level)
    return {
        "success": result.verdict == "passed",
        "expectation_config": config_of(result.expectation) | {"id": None},
        "result": found,
        "meta": {},
        "exception_info": {
            "raised_exception": result.verdict == "error",
            "exception_message": result.message if result.verdict == "error" else None,
            "exception_traceback": None,
        },
    }


def _of_rows(result: ExpectationResult, kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    level, kept = options["result_format"], options.get("partial_unexpected_count", 20)
    evaluated, missing, bad = result.evaluated or 0, result.missing or 0, result.unexpected or 0
    elements = evaluated + missing
    total = 100 * (bad / elements) if elements else None
    share = total if kind in _NO_MISSING else 100 * (bad / evaluated) if evaluated and elements else None
    found: dict[str, Any] = {"element_count": elements, "unexpected_count": bad, "unexpected_percent": share}
    values = [_value(result, row) for row in result.sample]
    shown = not options.get("exclude_unexpected_values", False)
    names = options.get("unexpected_index_column_names")
    if shown:
        found["partial_unexpected_list"] = values[:kept]
    if names is not None:
        found["unexpected_index_column_names"] = list(names)
    if kind not in _NO_MISSING:
        found["missing_count"] = missing
        found["missing_percent"] = 100 * (missing / elements) if elements else None
        found["unexpected_percent_total"] = total
        found["unexpected_percent_nonmissing"] = share
    if options.get("include_unexpected_rows"):
        found["unexpected_rows"] = [{k: v for k, v in row.items() if k != "__row__"} for row in result.sample[:kept]]
    if level == "BASIC":
        return found
    places = [_place(result, row, names) for row in result.sample]
    if shown and kept:
        found["partial_unexpected_counts"] = _counts(result, values, kept)
    if kept:
        found["partial_unexpected_index_list"] = places[:kept]
    if level == "COMPLETE":
        if shown:
            found["unexpected_list"] = values
        found["unexpected_index_list"] = places
        if options.get("return_unexpected_index_query", True):
            rows = [row["__row__"] for row in result.sample]
            found["unexpected_index_query"] = f"df.filter(items={rows}, axis=0)"
    return found


def _value(result: ExpectationResult, row: Mapping[str, Any]) -> Any:
    about = result.expectation
    if about.column:
        return row.get(about.column)
    if about.kind.removeprefix("expect_").startswith("column_pair_"):
        return [row.get(name) for name in about.columns]
    return {name: row.get(name) for name in about.columns or [key for key in row if key != "__row__"]}


def _place(result: ExpectationResult, row: Mapping[str, Any], names: Sequence[str] | None) -> Any:
    if names is None:
        return row["__row__"]
    about = result.expectation
    return {name: row.get(name) for name in dict.fromkeys([*filter(None, [about.column]), *about.columns, *names])}


def _counts(result: ExpectationResult, values: Sequence[Any], limit: int) -> list[dict[str, Any]]:
    if len(values) < (result.unexpected or 0) and result.expectation.column:
        # Not all rows were kept, but the most frequent values were counted over all of them.
        return [{"value": value, "count": count} for value, count in result.values[:limit]]
    plain = [list(each.values()) if isinstance(each, dict) else each for each in values]
    keys = Counter(repr(each) for each in plain)
    by_key = {repr(each): each for each in plain}
    most = sorted(keys.most_common(limit), key=lambda item: (-item[1], _sortable(by_key[item[0]])))
    return [{"value": by_key[key], "count": count} for key, count in most]


def _sortable(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    return [(each is not None, isinstance(each, str), each if each is not None else 0) for each in parts]


def _rows_apart(result: ExpectationResult, level: str) -> dict[str, Any]:
    bad, rows = result.unexpected or 0, result.evaluated or 0
    found: dict[str, Any] = {"unexpected_count": bad, "unexpected_percent": 100.0 * bad / rows if rows else 0.0}
    return found | ({"details": result.details} if level == "COMPLETE" else {})


def _of_number(result: ExpectationResult, kind: str, level: str) -> dict[str, Any]:
    details = dict(result.details)
    if kind == "column_to_exist":
        return {}
    if kind in _SETS:
        return {"observed_value": None, **details}
    if kind == "column_quantile_values_to_be_between":
        quantiles = {"quantiles": details.pop("quantiles"), "values": result.observed}
        return {"observed_value": quantiles, "details": details}
    if kind == "unexpected_rows_expectation":
        shown = {"details": {"unexpected_rows": details.get("unexpected_rows", [])}} if level == "COMPLETE" else {}
        return {"observed_value": result.observed, **shown}
    observed = sorted(result.observed) if kind == "table_columns_to_match_set" else result.observed
    return {"observed_value": observed} | ({"details": details} if details else {})
