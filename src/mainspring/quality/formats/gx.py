"""Great Expectations' suites as JSON: read, and written so that it reads them again.

A kind has the name that it has there, its parameters their names. What an expectation there says that ours has no place
for (`id`, `notes`, `description`, `windows`, how it is shown) is kept in `meta["gx"]` and written back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.expectations.base import Check
from mainspring.quality.expectations.kinds import CORE_KINDS, KINDS, compile_expectation, is_parametrised, kind_of
from mainspring.quality.formats.gx_conditions import condition_to_gx, condition_to_sql
from mainspring.quality.types import Expectation, Suite

__all__ = ["config_of", "expectation_of", "read_gx", "write_gx"]

_PLACES = {"column", "column_A", "column_B", "mostly", "row_condition", "condition_parser"}
_ASIDE = {"batch_id", "result_format", "catch_exceptions", "include_config", "auto", "profiler_config", "windows",
          "rendered_content", "table", "strict"}  # fmt: skip
"""Keywords that are about how an expectation is run or shown, not about the data."""
_PAIRS = {name for name in KINDS if name.startswith("column_pair_")}
_LISTS = {"compound_columns_to_be_unique", "multicolumn_sum_to_equal", "multicolumn_values_to_be_equal",
          "select_column_values_to_be_unique_within_record"}  # fmt: skip
_OLD = {"multicolumn_values_to_be_unique": "select_column_values_to_be_unique_within_record"}
_SEVERITIES = {"critical", "warning", "info"}


def read_gx(text: str | bytes | Mapping[str, Any]) -> Suite:
    """A suite from the JSON that Great Expectations keeps, of version 1 or 0.

    Raises:
        InvalidInput: It is no suite, or an expectation is none that is known; it says which.

    Example:
        >>> line = {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}}
        >>> suite = read_gx({"name": "s", "expectations": [line]})
        >>> suite.expectations[0].kind, suite.expectations[0].column
        ('column_values_to_be_unique', 'id')
    """
    if isinstance(text, Mapping):
        plain: Any = dict(text)
    else:
        try:
            plain = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"this is not JSON: {error}") from None
    if not isinstance(plain, dict) or not isinstance(plain.get("expectations"), list):
        raise InvalidInput("this is no suite of Great Expectations", hint='it has a list of "expectations"')
    name = plain.get("name") or plain.get("expectation_suite_name") or "unnamed"
    read = []
    for place, each in enumerate(plain["expectations"], 1):
        try:
            read.append(expectation_of(each))
        except InvalidInput as error:
            raise InvalidInput(f"expectation {place}: {error.message}", hint=error.hint, known=error.known) from None
    rest = {
        key: value
        for key, value in plain.items()
        if key not in {"name", "expectation_suite_name", "expectations", "meta"}
    }
    meta = dict(plain.get("meta") or {}) | ({"gx": rest} if rest else {})
    return Suite(name=str(name), expectations=tuple(read), meta=meta)


def write_gx(suite: Suite, *, leave_out: bool = False) -> str:
    """The suite as JSON of Great Expectations 1.

    Raises:
        InvalidInput: It expects what has no name there, unless that is to be left out. Conditions on rows are written
            as queries for unexpected rows.
    """
    strange = [each.kind for each in suite.expectations if _gx_name(each) is None]
    if strange and not leave_out:
        raise InvalidInput(
            f"Great Expectations has no name for {', '.join(sorted(set(strange)))}",
            hint="leave_out=True writes the others",
        )
    kept = dict(suite.meta.get("gx", {})) if isinstance(suite.meta.get("gx"), dict) else {}
    plain = {
        "name": suite.name,
        **kept,
        "expectations": [config_of(each) for each in suite.expectations if _gx_name(each) is not None],
        "meta": {key: value for key, value in suite.meta.items() if key != "gx"},
    }
    return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n"


def expectation_of(config: Any) -> Expectation:
    """The expectation behind one entry of a suite."""
    if not isinstance(config, dict) or not isinstance(config.get("kwargs", {}), dict):
        raise InvalidInput("an expectation is an object with a type and kwargs")
    name = config.get("type") or config.get("expectation_type")
    if not isinstance(name, str):
        raise InvalidInput("an expectation has a type")
    kind = _OLD.get(name.removeprefix("expect_"), name.removeprefix("expect_"))
    kwargs = {key: value for key, value in config.get("kwargs", {}).items() if value is not None}
    aside = {key: kwargs.pop(key) for key in sorted(_ASIDE & set(kwargs)) if key not in _fields(kind)}
    rest = {
        key: value
        for key, value in config.items()
        if key not in {"type", "expectation_type", "kwargs", "meta", "severity"}
    }
    keep: dict[str, Any] = {key: value for key, value in (("kwargs", aside), ("config", rest)) if value}
    condition = kwargs.get("row_condition")
    if condition:
        keep["row_condition"] = {key: kwargs[key] for key in ("row_condition", "condition_parser") if key in kwargs}
    columns: tuple[str, ...] = ()
    if kind in _PAIRS and "column_A" in kwargs:
        columns = (kwargs["column_A"], kwargs.get("column_B", ""))
    elif kind in _LISTS:
        columns = tuple(kwargs.pop("column_list", ()))
    severity: Any = config.get("severity") or "critical"
    if severity not in _SEVERITIES:
        raise InvalidInput(f"{severity!r} is no severity", known=sorted(_SEVERITIES))
    found = Expectation(
        kind=kind,
        column=kwargs.get("column", ""),
        columns=columns,
        arguments={key: value for key, value in kwargs.items() if key not in _PLACES},
        mostly=kwargs.get("mostly", 1.0),
        severity=severity,
        where=condition_to_sql(condition, kwargs.get("condition_parser", "")) if condition else "",
        meta=dict(config.get("meta") or {}) | ({"gx": keep} if keep else {}),
    )
    if is_parametrised(found.arguments):
        kind_of(kind)
    else:
        compile_expectation(found)
    return found


def config_of(expectation: Expectation) -> dict[str, Any]:
    """The entry of a suite for an expectation; one that has no name there keeps its own."""
    kept = expectation.meta.get("gx")
    kept = kept if isinstance(kept, dict) else {}
    arguments = dict(expectation.arguments)
    kind = _gx_name(expectation) or f"expect_{expectation.kind.removeprefix('expect_')}"
    as_query = expectation.kind == "rows_to_satisfy" and kind == "unexpected_rows_expectation"
    if as_query:
        inside = f"({expectation.where}) AND " if expectation.where else ""
        condition = arguments.pop("condition")
        bad = f"{inside}NOT COALESCE({condition}, FALSE)"
        arguments["unexpected_rows_query"] = "SELECT * FROM {batch} WHERE " + bad  # noqa: S608 -- the suite says so
    elif expectation.kind == "column_quantile_values_to_be_between" and "quantiles" in arguments:
        ranges = {name: arguments.pop(name) for name in ("quantiles", "value_ranges")}
        arguments = {"quantile_ranges": ranges, "allow_relative_error": "linear"} | arguments
    kwargs: dict[str, Any] = {}
    if expectation.column:
        kwargs["column"] = expectation.column
    if expectation.kind in _PAIRS:
        kwargs["column_A"], kwargs["column_B"] = expectation.columns
    elif expectation.columns:
        kwargs["column_list"] = list(expectation.columns)
    kwargs |= arguments
    if expectation.mostly != 1.0:
        kwargs["mostly"] = expectation.mostly
    if expectation.where and not as_query:
        kwargs |= kept.get("row_condition") or condition_to_gx(expectation.where)
    kwargs |= kept.get("kwargs", {})
    meta = {key: value for key, value in expectation.meta.items() if key != "gx"}
    config: dict[str, Any] = {"type": kind, "kwargs": kwargs, "meta": meta}
    config |= {"severity": expectation.severity, **kept.get("config", {})}
    return config


def _gx_name(expectation: Expectation) -> str | None:
    kind = expectation.kind.removeprefix("expect_")
    if kind in {"unexpected_rows_expectation", "rows_to_satisfy"}:
        return "unexpected_rows_expectation" if expectation.mostly == 1.0 else None
    return f"expect_{kind}" if kind in CORE_KINDS else None


def _fields(kind: str) -> set[str]:
    found: type[Check] | None = KINDS.get(kind)
    return set(found.__struct_fields__) if found is not None else set()
