"""What a report says in TFDV's words: anomalies, each with the change of the schema that accepts it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.tfdv import parse_schema, schema_text
from mainspring.quality.formats.tfdv_writing import feature_of, type_of
from mainspring.quality.types import ExpectationResult, Suite, ValidationReport

__all__ = ["Anomaly", "accept", "anomalies"]


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as the schema says."""

    feature: str
    """Empty for the dataset as a whole."""
    type: str
    """TFDV's name, for example `ENUM_TYPE_UNEXPECTED_STRING_VALUES`."""
    severity: str
    description: str
    diff: str
    """What would change in the schema if this were accepted, as a unified diff of its text; empty if nothing can be."""


def anomalies(report: ValidationReport, suite: Suite) -> list[Anomaly]:
    """The anomalies behind a report of a suite that `read_tfdv` gave.

    A table without a column gives one anomaly for it, `SCHEMA_MISSING_COLUMN`, and none for what else was asked of it.
    """
    schema = _schema(suite)
    before = schema_text(schema)
    missing = {each.expectation.column for each in report.results if _type(each) == "SCHEMA_MISSING_COLUMN"
               and each.verdict != "passed"}  # fmt: skip
    found = []
    for result in report.results:
        kind = _type(result)
        if result.verdict == "passed" or not kind:
            continue
        if result.expectation.column in missing and kind != "SCHEMA_MISSING_COLUMN":
            continue
        if result.verdict == "error" and "no column" in result.message:
            # A feature whose presence is not asked for may be absent.
            continue
        changed = parse_schema(before)
        _accept(changed, result)
        found.append(
            Anomaly(
                feature=result.expectation.column,
                type=_precise(kind, result),
                severity="ERROR" if result.expectation.severity == "critical" else "WARNING",
                description=result.message,
                diff=_diff(before, schema_text(changed)),
            )
        )
    return found


def accept(report: ValidationReport, suite: Suite, *, features: list[str] | None = None) -> str:
    """The text of the schema that accepts what was found; of some features only, when they are named."""
    schema = _schema(suite)
    for result in report.results:
        if result.verdict != "passed" and (features is None or result.expectation.column in features):
            _accept(schema, result)
    return schema_text(schema)


def _schema(suite: Suite) -> Any:
    kept = suite.meta.get("tfdv")
    if not isinstance(kept, dict) or "schema" not in kept:
        raise InvalidInput(f"suite {suite.name!r} was not read from a schema of TFDV", hint="read it with read_tfdv")
    return parse_schema(str(kept["schema"]))


def _type(result: ExpectationResult) -> str:
    kept = result.expectation.meta.get("tfdv")
    return str(kept.get("anomaly", "")) if isinstance(kept, dict) else ""


def _precise(kind: str, result: ExpectationResult) -> str:
    """TFDV has names for some wrong types."""
    seen = str(result.observed).lower()
    text = any(word in seen for word in ("str", "utf8", "varchar", "object"))
    if kind == "FLOAT_TYPE_NOT_FLOAT" and text:
        return "FLOAT_TYPE_STRING_NOT_FLOAT"
    if kind == "BOOL_TYPE_BIG_INT" and result.values and all(_below(value) for value, _ in result.values):
        return "BOOL_TYPE_SMALL_INT"
    return kind


def _below(value: Any) -> bool:
    return isinstance(value, int | float) and value < 0


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "schema", "proposed", lineterm="", n=2)
    return "\n".join(lines)


def _accept(schema: Any, result: ExpectationResult) -> None:
    change = _CHANGES.get(_type(result))
    if change is not None and result.verdict == "failed":
        change(schema, result)


def _missing(schema: Any, result: ExpectationResult) -> None:
    from tensorflow_metadata.proto.v0 import schema_pb2

    feature = feature_of(schema, result.expectation.column)
    feature.lifecycle_stage = schema_pb2.LifecycleStage.Value("DEPRECATED")


def _new(schema: Any, result: ExpectationResult) -> None:
    for name in result.observed or []:
        feature_of(schema, name).type = type_of(result.details.get("kinds", {}).get(name, "text"))


def _values(schema: Any, result: ExpectationResult) -> None:
    feature = feature_of(schema, result.expectation.column)
    named = next((each for each in schema.string_domain if feature.domain and each.name == feature.domain), None)
    domain = named if named is not None else feature.string_domain
    domain.value.extend(str(value) for value, _ in result.values if str(value) not in domain.value)


def _fraction(schema: Any, result: ExpectationResult) -> None:
    feature_of(schema, result.expectation.column).presence.min_fraction = result.observed


def _count(schema: Any, result: ExpectationResult) -> None:
    feature_of(schema, result.expectation.column).presence.min_count = result.observed


def _range(field: str, end: str) -> Callable[[Any, ExpectationResult], None]:
    def change(schema: Any, result: ExpectationResult) -> None:
        # Infinities are told as text.
        numbers = [float(v) for v, _ in result.values if isinstance(v, int | float) or v in {"inf", "-inf"}]
        if not numbers:
            return
        feature = feature_of(schema, result.expectation.column)
        named = (each for each in (*schema.int_domain, *schema.float_domain) if each.name == feature.domain)
        domain = (next(named, None) if feature.domain else None) or getattr(feature, field)
        seen = min(numbers) if end == "min" else max(numbers)
        if math.isinf(seen):
            domain.ClearField(end)
        else:
            setattr(domain, end, int(seen) if field == "int_domain" else seen)

    return change


def _flag(name: str) -> Callable[[Any, ExpectationResult], None]:
    def change(schema: Any, result: ExpectationResult) -> None:
        feature_of(schema, result.expectation.column).float_domain.ClearField(name)

    return change


def _unique(end: str) -> Callable[[Any, ExpectationResult], None]:
    def change(schema: Any, result: ExpectationResult) -> None:
        setattr(feature_of(schema, result.expectation.column).unique_constraints, end, result.observed)

    return change


def _distance(name: str) -> Callable[[Any, ExpectationResult], None]:
    def change(schema: Any, result: ExpectationResult) -> None:
        if result.observed is None:
            return
        feature = feature_of(schema, result.expectation.column)
        skew = result.expectation.arguments.get("table") == "serving"
        comparator = feature.skew_comparator if skew else feature.drift_comparator
        getattr(comparator, name).threshold = result.observed

    return change


def _examples(end: str) -> Callable[[Any, ExpectationResult], None]:
    def change(schema: Any, result: ExpectationResult) -> None:
        setattr(schema.dataset_constraints, f"{end}_examples_count", result.observed)

    return change


_CHANGES: dict[str, Callable[[Any, ExpectationResult], None]] = {
    "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH": _distance("jensen_shannon_divergence"),
    "COMPARATOR_L_INFTY_HIGH": _distance("infinity_norm"),
    "DATASET_HIGH_NUM_EXAMPLES": _examples("max"),
    "DATASET_LOW_NUM_EXAMPLES": _examples("min"),
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": _values,
    "FEATURE_TYPE_HIGH_UNIQUE": _unique("max"),
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": _fraction,
    "FEATURE_TYPE_LOW_NUMBER_PRESENT": _count,
    "FEATURE_TYPE_LOW_UNIQUE": _unique("min"),
    "FLOAT_TYPE_BIG_FLOAT": _range("float_domain", "max"),
    "FLOAT_TYPE_HAS_INF": _flag("disallow_inf"),
    "FLOAT_TYPE_HAS_NAN": _flag("disallow_nan"),
    "FLOAT_TYPE_SMALL_FLOAT": _range("float_domain", "min"),
    "INT_TYPE_BIG_INT": _range("int_domain", "max"),
    "INT_TYPE_SMALL_INT": _range("int_domain", "min"),
    "SCHEMA_MISSING_COLUMN": _missing,
    "SCHEMA_NEW_COLUMN": _new,
}
"""How the schema is loosened, where what was seen says how."""
