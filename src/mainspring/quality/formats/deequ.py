"""Deequ's checks: code as PyDeequ and Deequ have it, read as a suite.

`read_deequ` reads a chain of the methods of `Check`, as constraint suggestion gives it (`code_for_constraint`), in
Python or in Scala. It is parsed, never run; an assertion is a comparison of its argument with numbers. As in Deequ a
missing value passes `isContainedIn`, `isNonNegative` and `isPositive`, and fails conditions, patterns and comparisons.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.kinds import compile_expectation
from mainspring.quality.expectations.patterns import PATTERNS
from mainspring.quality.formats.gx_conditions import condition_to_sql
from mainspring.quality.types import Expectation, Severity, Suite

__all__ = ["METHODS", "read_deequ"]

_TYPES = {"Boolean": "boolean", "Fractional": "number", "Integral": "integer", "Numeric": "number", "String": "text"}
_IS_ONE = {"min_value": 1.0, "max_value": 1.0}


class _Call(NamedTuple):
    name: str
    arguments: list[Any]
    line: int

    def refused(self, reason: str, **more: Any) -> InvalidInput:
        return InvalidInput(f"line {self.line}: {self.name} {reason}", **more)

    def at(self, place: int, kind: type | tuple[type, ...] = str) -> Any:
        if len(self.arguments) <= place or not isinstance(self.arguments[place], kind):
            raise self.refused(f"has no argument {place + 1} of the type that it takes")
        return self.arguments[place]

    def columns(self, place: int = 0) -> tuple[str, ...]:
        found = self.at(place, (str, list))
        return (found,) if isinstance(found, str) else tuple(found)

    def assertion(self, place: int, default: dict[str, Any] = _IS_ONE) -> dict[str, Any]:
        found = [each for each in self.arguments[place:] if isinstance(each, _Range)]
        return found[0].ends if found else default


class _Range(NamedTuple):
    ends: dict[str, Any]


def read_deequ(text: str, *, name: str = "unnamed") -> Suite:
    """A suite from a chain of Deequ's check methods.

    Raises:
        InvalidInput: The text is no such chain, or an assertion is more than a comparison; it says in which line.

    Example:
        >>> suite = read_deequ('.isComplete("id").hasMin("price", lambda x: x >= 0).where("id > 3")')
        >>> [(each.kind, each.where) for each in suite.expectations]
        [('column_values_to_not_be_null', ''), ('column_min_to_be_between', 'id > 3')]
    """
    found: list[Expectation] = []
    severity: Severity = "critical"
    for call in _calls(text):
        if call.name in {"Check", "VerificationSuite", "addCheck", "onData", "run"}:
            severity = "warning" if "Warning" in call.arguments else "critical"
            named = [each for each in call.arguments if isinstance(each, str) and each not in {"Warning", "Error"}]
            name = named[-1] if named and name == "unnamed" else name
            continue
        if call.name == "where":
            if not found:
                raise call.refused("follows the constraint that it is for")
            found[-1] = msgspec.structs.replace(found[-1], where=condition_to_sql(call.at(0), "spark"))
            continue
        if call.name not in METHODS:
            raise call.refused("is no method of a check that is known", known=sorted(METHODS))
        made = msgspec.structs.replace(METHODS[call.name](call), severity=severity)
        try:
            compile_expectation(made)
        except InvalidInput as error:
            raise call.refused(error.message, hint=error.hint) from None
        found.append(made)
    return Suite(name=re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed", expectations=tuple(found))


# -- the text


def _calls(text: str) -> list[_Call]:
    plain = "\n".join(line.strip() for line in text.strip().splitlines())
    # Scala's array and option literals are calls to Python, its underscore is a name.
    plain = re.sub(r"^\.", "Check.", plain)
    try:
        node: ast.expr = ast.parse(f"({plain})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise InvalidInput(f"line {line}: this is no chain of Deequ's methods: {error}") from None
    found: list[_Call] = []
    while True:
        match node:
            case ast.Call(ast.Attribute(inner, method), arguments, keywords):
                given = [*arguments, *(keyword.value for keyword in keywords)]
                found.append(_Call(method, [_argument(each) for each in given], node.lineno))
                node = inner
            case ast.Call(ast.Name(method), arguments, keywords):
                given = [*arguments, *(keyword.value for keyword in keywords)]
                found.append(_Call(method, [_argument(each) for each in given], node.lineno))
                break
            case ast.Name("Check") | ast.Name("check"):
                break
            case _:
                raise InvalidInput(f"line {node.lineno}: {ast.unparse(node)[:60]!r} is no call of Deequ's methods")
    return found[::-1]


def _argument(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
            return -value
        case ast.List(members) | ast.Tuple(members) | ast.Call(ast.Name("Seq" | "Array" | "List"), members):
            return [_argument(each) for each in members]
        case ast.Call(ast.Name("Some"), [inner]) | ast.Attribute(ast.Constant(str()) as inner, "r"):
            return _argument(inner)
        case ast.Attribute(_, name) | ast.Name(name):
            return name
        case ast.Lambda(args, body) if len(args.args) == 1:
            return _Range(_ends(body, args.args[0].arg))
        case ast.Compare() | ast.BoolOp():
            return _Range(_ends(node, "_"))
    raise InvalidInput(f"line {node.lineno}: {ast.unparse(node)[:60]!r} is no argument that can be read")


def _ends(node: ast.expr, name: str) -> dict[str, Any]:
    """The range that a comparison says."""
    parts = node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [node]
    found: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, ast.Compare):
            raise InvalidInput(f"line {node.lineno}: {ast.unparse(node)!r} is no comparison with numbers")
        sides = [part.left, *part.comparators]
        for left, sign, right in zip(sides[:-1], part.ops, sides[1:], strict=True):
            found |= _end(left, sign, right, name)
    return found


def _end(left: ast.expr, sign: ast.cmpop, right: ast.expr, name: str) -> dict[str, Any]:
    flipped: dict[type[ast.cmpop], type[ast.cmpop]] = {
        ast.Lt: ast.Gt,
        ast.LtE: ast.GtE,
        ast.Gt: ast.Lt,
        ast.GtE: ast.LtE,
    }
    kind, number = type(sign), right
    if not (isinstance(left, ast.Name) and left.id == name):
        kind, number = flipped.get(kind, kind), left
    value = _argument(number)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"line {left.lineno}: {ast.unparse(number)!r} is no number to compare with")
    ends: dict[type[ast.cmpop], dict[str, Any]] = {
        ast.Eq: {"min_value": value, "max_value": value},
        ast.Gt: {"min_value": value, "strict_min": True},
        ast.GtE: {"min_value": value},
        ast.Lt: {"max_value": value, "strict_max": True},
        ast.LtE: {"max_value": value},
    }
    if kind not in ends:
        raise InvalidInput(f"line {left.lineno}: a number is compared with ==, <, <=, > or >=")
    return ends[kind]


# -- the methods


def _of_table(kind: str) -> Callable[[_Call], Expectation]:
    return lambda call: Expectation(kind=kind, arguments=call.assertion(0))


def _of_column(kind: str, **fixed: Any) -> Callable[[_Call], Expectation]:
    return lambda call: Expectation(kind=kind, column=call.at(0), arguments=fixed | call.assertion(1))


def _of_columns(kind: str) -> Callable[[_Call], Expectation]:
    return lambda call: Expectation(kind=kind, columns=call.columns(), arguments=call.assertion(1))


def _of_pair(kind: str) -> Callable[[_Call], Expectation]:
    return lambda call: Expectation(kind=kind, columns=(call.at(0), call.at(1)), arguments=call.assertion(2))


def _share(call: _Call, place: int, **inner: Any) -> Expectation:
    """A check of rows whose share is asserted."""
    asked = call.assertion(place)
    if asked == _IS_ONE:
        return Expectation(**inner)
    if set(asked) == {"min_value"}:
        return Expectation(**inner, mostly=float(asked["min_value"]))
    plain = Expectation(**inner).to_dict()
    return Expectation(kind="share_of_rows_to_be_between", arguments={"expectation": plain, **asked})


def _rows(place: int, kind: str, **arguments: Any) -> Callable[[_Call], Expectation]:
    return lambda call: _share(call, place, kind=kind, column=call.at(0), arguments=arguments)


def _relation(relation: str) -> Callable[[_Call], Expectation]:
    arguments = {"relation": relation, "ignore_row_if": "never"}
    kind = "column_pair_values_to_stand_in_relation"
    return lambda call: _share(call, 2, kind=kind, columns=(call.at(0), call.at(1)), arguments=arguments)


def _contained(call: _Call) -> Expectation:
    column = call.at(0)
    if isinstance(call.arguments[1], list):
        inside = {"value_set": call.arguments[1], "missing": "expected"}
        return _share(call, 2, kind="column_values_to_be_in_set", column=column, arguments=inside)
    low, high = call.at(1, (int, float)), call.at(2, (int, float))
    flags = [each for each in call.arguments[3:] if isinstance(each, bool)]
    arguments = {"min_value": low, "max_value": high, "missing": "expected"}
    arguments |= {
        name: True for name, included in zip(("strict_min", "strict_max"), flags, strict=False) if not included
    }
    return _share(call, 3, kind="column_values_to_be_between", column=column, arguments=arguments)


def _pattern(name: str) -> Callable[[_Call], Expectation]:
    arguments = {"regex": PATTERNS[name], "missing": "unexpected"}
    return lambda call: _share(call, 1, kind="column_values_to_match_regex", column=call.at(0), arguments=arguments)


def _has_pattern(call: _Call) -> Expectation:
    arguments = {"regex": call.at(1), "missing": "unexpected"}
    return _share(call, 2, kind="column_values_to_match_regex", column=call.at(0), arguments=arguments)


def _quantile(call: _Call) -> Expectation:
    asked = call.assertion(2)
    if asked.get("strict_min") or asked.get("strict_max"):
        raise call.refused("is compared with >=, <= or ==")
    arguments = {
        "quantiles": [call.at(1, (int, float))],
        "value_ranges": [[asked.get("min_value"), asked.get("max_value")]],
    }
    return Expectation(kind="column_quantile_values_to_be_between", column=call.at(0), arguments=arguments)


def _data_type(call: _Call) -> Expectation:
    form = _TYPES.get(call.at(1))
    if call.at(1) == "Null":
        return _share(call, 2, kind="column_values_to_be_null", column=call.at(0))
    if form is None:
        raise call.refused(f"knows no type {call.at(1)}", known=sorted([*_TYPES, "Null"]))
    return _share(call, 2, kind="column_values_to_read_as", column=call.at(0), arguments={"form": form})


def _satisfies(call: _Call) -> Expectation:
    arguments = {"condition": condition_to_sql(call.at(0), "spark")}
    return _share(call, 2, kind="rows_to_satisfy", arguments=arguments)


def _complete(need: str, place: int) -> Callable[[_Call], Expectation]:
    kind = "columns_to_be_complete"
    return lambda call: _share(call, place, kind=kind, columns=call.columns(), arguments={"need": need})


def _unique_together(call: _Call) -> Expectation:
    names = (
        [each for each in call.arguments if isinstance(each, str)] if call.name == "isPrimaryKey" else call.columns()
    )
    if len(names) == 1:
        return Expectation(kind="column_values_to_be_unique", column=names[0])
    return Expectation(kind="compound_columns_to_be_unique", columns=tuple(names))


def _custom_sql(call: _Call) -> Expectation:
    query = re.sub(r"\b(?:primary|\{?dataset\}?)\b", "{batch}", call.at(0))
    return Expectation(kind="query_value_to_be_between", arguments={"query": query, **call.assertion(1)})


def _duplicates(call: _Call) -> Expectation:
    names: Sequence[str] = call.columns() if call.arguments and isinstance(call.arguments[0], list) else ()
    kind = "table_duplicate_row_count_to_be_between"
    return Expectation(kind=kind, columns=tuple(names), arguments=call.assertion(0))


def _matches(call: _Call) -> Expectation:
    raise call.refused("compares two frames in memory", hint="use values_to_be_in_table with others={name: frame}")


def _distribution(call: _Call) -> Expectation:
    raise call.refused(
        "asserts on a whole distribution",
        hint="use column_value_share_to_be_between, column_quantile_values_to_be_between or "
        "column_kl_divergence_to_be_less_than",
    )


METHODS: dict[str, Callable[[_Call], Expectation]] = {
    "areAnyComplete": _complete("any", 9),
    "areComplete": _complete("all", 9),
    "areUnique": _unique_together,
    "containsCreditCardNumber": _pattern("credit_card"),
    "containsEmail": _pattern("email"),
    "containsSocialSecurityNumber": _pattern("social_security_number"),
    "containsURL": _pattern("url"),
    "customSql": _custom_sql,
    "doesDatasetMatch": _matches,
    "hasApproxCountDistinct": _of_column("column_unique_value_count_to_be_between"),
    "hasApproxQuantile": _quantile,
    "hasColumn": lambda call: Expectation(kind="column_to_exist", column=call.at(0)),
    "hasColumnCount": _of_table("table_column_count_to_be_between"),
    "hasCompleteness": _of_column("column_proportion_of_non_null_values_to_be_between"),
    "hasCorrelation": _of_pair("column_pair_correlation_to_be_between"),
    "hasDataType": _data_type,
    "hasDistinctness": _of_columns("column_distinctness_to_be_between"),
    "hasDuplicateRowCount": _duplicates,
    "hasEntropy": _of_column("column_entropy_to_be_between"),
    "hasExactQuantile": _quantile,
    "hasHistogramBinnedValues": _distribution,
    "hasHistogramValues": _distribution,
    "hasInterquartileRange": _of_column("column_interquartile_range_to_be_between"),
    "hasKurtosis": _of_column("column_kurtosis_to_be_between"),
    "hasMax": _of_column("column_max_to_be_between"),
    "hasMaxLength": _of_column("column_max_length_to_be_between"),
    "hasMean": _of_column("column_mean_to_be_between"),
    "hasMin": _of_column("column_min_to_be_between"),
    "hasMinLength": _of_column("column_min_length_to_be_between"),
    "hasMutualInformation": _of_pair("column_pair_mutual_information_to_be_between"),
    "hasNumberOfDistinctValues": _of_column("column_unique_value_count_to_be_between"),
    "hasPattern": _has_pattern,
    "hasRange": _of_column("column_range_to_be_between"),
    "hasSize": _of_table("table_row_count_to_be_between"),
    "hasSkewness": _of_column("column_skewness_to_be_between"),
    "hasStandardDeviation": _of_column("column_stdev_to_be_between", population=True),
    "hasSum": _of_column("column_sum_to_be_between"),
    "hasUniqueValueRatio": _of_columns("column_unique_value_ratio_to_be_between"),
    "hasUniqueness": _of_columns("column_uniqueness_to_be_between"),
    "hasVariance": _of_column("column_variance_to_be_between", population=True),
    "hasZerosCount": _of_column("column_zeros_count_to_be_between"),
    "haveAnyCompleteness": _complete("any", 1),
    "haveCompleteness": _complete("all", 1),
    "isComplete": _rows(9, "column_values_to_not_be_null"),
    "isContainedIn": _contained,
    "isGreaterThan": _relation(">"),
    "isGreaterThanOrEqualTo": _relation(">="),
    "isLessThan": _relation("<"),
    "isLessThanOrEqualTo": _relation("<="),
    "isNonNegative": _rows(1, "column_values_to_be_between", min_value=0, missing="expected"),
    "isPositive": _rows(1, "column_values_to_be_between", min_value=0, strict_min=True, missing="expected"),
    "isPrimaryKey": _unique_together,
    "isUnique": _unique_together,
    "kllSketchSatisfies": _distribution,
    "satisfies": _satisfies,
}
"""The methods of a check, each with the expectation that means the same; four compare what cannot be written down."""
