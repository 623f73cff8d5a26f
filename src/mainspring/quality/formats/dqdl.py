"""DQDL, the rule language of AWS Glue Data Quality and Deequ: read as a suite, and written.

A rule becomes the expectation that means the same (`dqdl_rules`), and keeps its text in `meta["dqdl"]`, so that what
was read is written as it was. As in Deequ a missing value fails a rule about values, unless the rule negates or names
NULL.
"""

from __future__ import annotations

import ast
import math
import operator
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.kinds import compile_expectation, is_parametrised
from mainspring.quality.formats.dqdl_grammar import Condition, Join, Rule, parse, refused
from mainspring.quality.formats.dqdl_rules import DYNAMIC, RULES, expectation_of
from mainspring.quality.formats.gx_conditions import condition_to_sql
from mainspring.quality.types import Expectation, Suite

__all__ = ["dynamic_parameters", "read_dqdl", "write_dqdl"]

_OF_ROWS = {"ColumnValues", "ColumnDataType", "ColumnLength", "IsComplete", "IsUnique", "IsPrimaryKey"}
"""Rules that a threshold may be put to."""


def read_dqdl(text: str, *, name: str = "unnamed") -> Suite:
    """A suite from DQDL text; `primary` in its queries is the table, other datasets are those of `others`.

    Raises:
        InvalidInput: The text is not DQDL; the message says in which line and column, and what was expected.

    Example:
        >>> suite = read_dqdl('Rules = [ RowCount > 10, ColumnValues "age" between 0 and 120 with threshold >= 0.9 ]')
        >>> [(each.kind, each.mostly) for each in suite.expectations]
        [('table_row_count_to_be_between', 1.0), ('column_values_to_be_between', 0.9)]
    """
    document = parse(text, RULES.__contains__)
    meta: dict[str, Any] = dict(document.sections)
    if document.analyzers:
        meta["Analyzers"] = list(document.analyzers)
    expectations = tuple(_whole(each) for each in document.rules)
    return Suite(name=name, expectations=expectations, meta={"dqdl": meta} if meta else {})


def write_dqdl(suite: Suite, *, leave_out: bool = False) -> str:
    """The suite as DQDL text.

    Raises:
        InvalidInput: It expects what has no rule in DQDL, unless that is to be left out.
    """
    from mainspring.quality.formats.dqdl_writing import dictionary_text, rule_of

    lines, strange = [], []
    for each in suite.expectations:
        rule = _kept(each) or rule_of(each)
        if rule is None:
            strange.append(each.kind)
        else:
            lines.append(f"    {rule}")
    if strange and not leave_out:
        raise InvalidInput(
            f"DQDL has no rule for {', '.join(sorted(set(strange)))}", hint="leave_out=True writes the others"
        )
    meta = suite.meta.get("dqdl", {})
    parts = [f"{key} = {dictionary_text(meta[key])}" for key in ("Metadata", "DataSources") if key in meta]
    parts.append("Rules = [\n" + ",\n".join(lines) + "\n]" if lines else "Rules = []")
    if "Analyzers" in meta:
        parts.append("Analyzers = [\n    " + ",\n    ".join(meta["Analyzers"]) + "\n]")
    return "\n".join(parts) + "\n"


def dynamic_parameters(suite: Suite, history: Callable[[Expectation], Sequence[float]]) -> dict[str, Any]:
    """The values of what dynamic rules compare with, to be passed as `parameters=` of a validation.

    Args:
        suite: A suite with rules like `RowCount > avg(last(5))`.
        history: What the validations before observed of an expectation, the newest last. Without any history the rule
            holds.
    """
    found: dict[str, Any] = {}
    for expectation in suite.expectations:
        for inner, name in _dynamic(expectation):
            values = list(history(inner))
            found[name] = _evaluated(name.rpartition(": ")[2], values) if values else None
    return found


def _whole(part: Rule | Join) -> Expectation:
    if isinstance(part, Rule):
        return _one(part)
    inner = [_whole(each).to_dict() for each in part.parts]
    kind = "all_of" if part.operator == "and" else "any_of"
    return Expectation(kind=kind, arguments={"expectations": inner}, meta={"dqdl": part.text})


def _one(rule: Rule) -> Expectation:
    found = msgspec.structs.replace(expectation_of(rule), meta={"dqdl": rule.text})
    if rule.where:
        found = msgspec.structs.replace(found, where=condition_to_sql(rule.where, "spark"))
    unknown = set(rule.tags) - {"threshold"}
    if unknown:
        found = msgspec.structs.replace(found, meta=found.meta | {"tags": sorted(unknown)})
    threshold = rule.tags.get("threshold")
    if threshold is not None and rule.name != "CustomSql":
        found = _with_threshold(rule, found, threshold)
    try:
        if not is_parametrised(found.arguments):
            compile_expectation(found)
    except InvalidInput as error:
        raise refused(rule.at, error.message, hint=error.hint) from None
    return found


def _with_threshold(rule: Rule, found: Expectation, threshold: Condition) -> Expectation:
    if rule.name not in _OF_ROWS:
        raise refused(rule.at, f"{rule.name} takes no threshold")
    values = [operand.value for operand in threshold.operands]
    if not all(isinstance(value, int | float) and 0 <= value <= 1 for value in values):
        raise refused(rule.at, "a threshold is a share between 0 and 1")
    if threshold.operator == ">=":
        return msgspec.structs.replace(found, mostly=float(values[0]))
    ranges = {
        ">": {"min_value": values[0], "strict_min": True},
        "<": {"max_value": values[0], "strict_max": True},
        "<=": {"max_value": values[0]},
        "=": {"min_value": values[0], "max_value": values[0]},
        "between": {"min_value": values[0], "max_value": values[-1], "strict_min": True, "strict_max": True},
    }
    if threshold.operator not in ranges or threshold.negated:
        raise refused(rule.at, "a threshold is one range", known=sorted(ranges))
    inner = msgspec.structs.replace(found, where="", meta={}).to_dict()
    arguments = {"expectation": inner, **ranges[threshold.operator]}
    return Expectation(kind="share_of_rows_to_be_between", arguments=arguments, where=found.where, meta=found.meta)


def _kept(expectation: Expectation) -> str | None:
    """The text that an expectation was read from, when it still says the same."""
    text = expectation.meta.get("dqdl")
    if not isinstance(text, str):
        return None
    try:
        (again,) = read_dqdl(f"Rules = [ {text}\n ]").expectations
    except (InvalidInput, ValueError):
        return None
    same = msgspec.structs.replace(again, meta={}, severity=expectation.severity)
    return text if same == msgspec.structs.replace(expectation, meta={}) else None


def _dynamic(expectation: Expectation) -> Iterator[tuple[Expectation, str]]:
    for value in expectation.arguments.values():
        if isinstance(value, Mapping) and str(value.get("$PARAMETER", "")).startswith(DYNAMIC):
            yield expectation, value["$PARAMETER"]
    for inner in (
        *expectation.arguments.get("expectations", ()),
        *filter(None, [expectation.arguments.get("expectation")]),
    ):
        yield from _dynamic(msgspec.convert(inner, Expectation))


def _evaluated(text: str, history: Sequence[float]) -> float:
    try:
        found = _reckon(ast.parse(text.strip(), mode="eval").body, list(history))
    except (SyntaxError, ValueError, IndexError, ZeroDivisionError, statistics.StatisticsError, TypeError) as error:
        raise InvalidInput(f"{text!r} cannot be reckoned from {len(history)} values: {error}") from None
    if not isinstance(found, int | float):
        raise InvalidInput(f"{text!r} is a list of values, and one is expected", hint="for example avg(last(5))")
    return found


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs, "avg": statistics.fmean, "ceil": math.ceil, "exp": math.exp, "floor": math.floor, "log": math.log,
    "log10": math.log10, "max": lambda *values: max(_flat(values)), "mean": statistics.fmean,
    "median": statistics.median, "min": lambda *values: min(_flat(values)), "pow": math.pow, "round": round,
    "sqrt": math.sqrt, "std": statistics.pstdev, "sum": math.fsum,
}  # fmt: skip


def _flat(values: Sequence[Any]) -> list[float]:
    return [inner for value in values for inner in (value if isinstance(value, list) else [value])]


_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


def _reckon(node: ast.expr, history: list[float]) -> Any:
    match node:
        case ast.Constant(int() | float() as value):
            return value
        case ast.UnaryOp(ast.USub(), inner):
            return -_reckon(inner, history)
        case ast.BinOp(left, sign, right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_reckon(left, history), _reckon(right, history))
        case ast.Call(ast.Name(name), arguments):
            return _called(name, [_reckon(each, history) for each in arguments], history)
    raise ValueError("it is no expression of numbers")


def _called(name: str, given: list[Any], history: list[float]) -> Any:
    if name == "last":
        return history[-int(given[0]) :] if given else history[-1]
    if name == "index":
        return given[0][int(given[1])]
    if name == "percentile":
        ordered = sorted(given[0])
        return ordered[max(0, math.ceil(given[1] / 100 * len(ordered)) - 1)]
    return _FUNCTIONS[name](*given)
