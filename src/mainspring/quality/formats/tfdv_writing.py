"""Expectations as fields of TFDV's schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.tfdv import parse_schema
from mainspring.quality.types import Expectation, Suite

__all__ = ["feature_of", "schema_of", "type_of"]

_TYPES = {"integer": "INT", "bool": "INT", "float": "FLOAT", "decimal": "FLOAT", "text": "BYTES", "binary": "BYTES",
          "date": "BYTES", "datetime": "BYTES", "time": "BYTES", "struct": "STRUCT"}  # fmt: skip


def schema_of(suite: Suite) -> Any:
    """The schema: the one that was read, if one was, with the fields that the expectations say."""
    kept = suite.meta.get("tfdv")
    schema = parse_schema(str(kept.get("schema", "")) if isinstance(kept, dict) else "")
    for expectation in suite.expectations:
        write = _WRITERS.get(expectation.kind)
        if write is None or expectation.where:
            what = f"{expectation.kind} with a condition" if write is not None else expectation.kind
            raise InvalidInput(f"a schema of TFDV cannot say {what}", hint="write it as YAML, which says everything")
        write(schema, expectation)
    return schema


def feature_of(schema: Any, name: str) -> Any:
    """A feature by name, added when it is not there."""
    for feature in schema.feature:
        if feature.name == name:
            return feature
    added = schema.feature.add()
    added.name = name
    return added


def type_of(kind: str) -> int:
    """TFDV's type of a kind of column."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    return int(schema_pb2.FeatureType.Value(_TYPES.get(kind, "BYTES")))


def _exists(schema: Any, about: Expectation) -> None:
    presence = feature_of(schema, about.column).presence
    if not presence.min_count and not presence.min_fraction:
        presence.min_count = 1


def _complete(schema: Any, about: Expectation) -> None:
    share = about.arguments.get("min_value", about.mostly)
    feature_of(schema, about.column).presence.min_fraction = share


def _count(schema: Any, about: Expectation) -> None:
    feature_of(schema, about.column).presence.min_count = about.arguments["min_value"]


def _types(schema: Any, about: Expectation) -> None:
    types = about.arguments.get("type_list") or [about.arguments["type_"]]
    feature = feature_of(schema, about.column)
    if not feature.type:
        feature.type = type_of(next((each for each in types if each in _TYPES), "text"))


def _set(schema: Any, about: Expectation) -> None:
    feature = feature_of(schema, about.column)
    values = about.arguments["value_set"]
    if feature.WhichOneof("domain_info") == "bool_domain":
        return
    if not all(isinstance(value, str) for value in values):
        raise InvalidInput(f"a domain of TFDV is of texts, and the set of {about.column} is not")
    domain = next((each for each in schema.string_domain if each.name == feature.domain), None) or feature.string_domain
    del domain.value[:]
    domain.value.extend(values)
    if about.mostly < 1:
        feature.distribution_constraints.min_domain_mass = about.mostly


def _between(schema: Any, about: Expectation) -> None:
    from mainspring.quality.formats.tfdv import MOST

    feature = feature_of(schema, about.column)
    low, high = about.arguments.get("min_value"), about.arguments.get("max_value")
    if (low, high) == (-MOST, MOST):
        feature.float_domain.disallow_inf = True
        return
    if (
        isinstance(low, str)
        or isinstance(high, str)
        or about.arguments.get("strict_min")
        or about.arguments.get("strict_max")
    ):
        raise InvalidInput(f"a domain of TFDV is of numbers with ends included, and the range of {about.column} is not")
    named = [*schema.int_domain, *schema.float_domain]
    whole = feature.WhichOneof("domain_info") == "int_domain" or (
        feature.WhichOneof("domain_info") != "float_domain" and not any(isinstance(each, float) for each in (low, high))
    )
    own = feature.int_domain if whole else feature.float_domain
    domain = next((each for each in named if feature.domain and each.name == feature.domain), None) or own
    if low is not None:
        domain.min = low
    if high is not None:
        domain.max = high


def _nan(schema: Any, about: Expectation) -> None:
    feature_of(schema, about.column).float_domain.disallow_nan = True


def _unique(schema: Any, about: Expectation) -> None:
    constraints = feature_of(schema, about.column).unique_constraints
    if "min_value" in about.arguments:
        constraints.min = about.arguments["min_value"]
    if "max_value" in about.arguments:
        constraints.max = about.arguments["max_value"]


def _lengths(schema: Any, about: Expectation) -> None:
    feature = feature_of(schema, about.column)
    low, high = about.arguments.get("min_value"), about.arguments.get("max_value")
    if feature.WhichOneof("shape_type") == "shape" and low == high:
        return
    if low is not None:
        feature.value_count.min = low
    if high is not None:
        feature.value_count.max = high


def _distance(schema: Any, about: Expectation) -> None:
    from tensorflow_metadata.proto.v0 import schema_pb2

    feature = feature_of(schema, about.column)
    skew = about.arguments.get("table", "previous") == "serving"
    comparator = feature.skew_comparator if skew else feature.drift_comparator
    if about.arguments.get("distance", "infinity_norm") == "infinity_norm":
        comparator.infinity_norm.threshold = about.arguments["threshold"]
        return
    comparator.jensen_shannon_divergence.threshold = about.arguments["threshold"]
    if about.arguments.get("binning") == "quantiles":
        kind = schema_pb2.HistogramSelection.Type.Value("QUANTILES")
        comparator.jensen_shannon_divergence.source.type = kind


def _rows(schema: Any, about: Expectation) -> None:
    for end in ("min", "max"):
        if f"{end}_value" in about.arguments:
            setattr(schema.dataset_constraints, f"{end}_examples_count", about.arguments[f"{end}_value"])


def _rows_before(schema: Any, about: Expectation) -> None:
    version = about.arguments.get("table") == "previous_version"
    field = "num_examples_version_comparator" if version else "num_examples_drift_comparator"
    for end in ("min", "max"):
        if f"{end}_ratio" in about.arguments:
            comparator = getattr(schema.dataset_constraints, field)
            setattr(comparator, f"{end}_fraction_threshold", about.arguments[f"{end}_ratio"])


def _columns(schema: Any, about: Expectation) -> None:
    for name in about.arguments["column_set"]:
        feature_of(schema, name)


def _format(schema: Any, about: Expectation) -> None:
    feature_of(schema, about.column).time_domain.string_format = about.arguments["strftime_format"]


_WRITERS: dict[str, Callable[[Any, Expectation], None]] = {
    "column_distribution_to_be_near_other": _distance,
    "column_list_lengths_to_be_between": _lengths,
    "column_nan_count_to_be_between": _nan,
    "column_proportion_of_non_null_values_to_be_between": _complete,
    "column_to_exist": _exists,
    "column_type_to_be": _types,
    "column_unique_value_count_to_be_between": _unique,
    "column_value_count_to_be_between": _count,
    "column_values_to_be_between": _between,
    "column_values_to_be_in_set": _set,
    "column_values_to_be_in_type_list": _types,
    "column_values_to_be_of_type": _types,
    "column_values_to_match_strftime_format": _format,
    "column_values_to_not_be_null": _complete,
    "table_columns_to_be_among": _columns,
    "table_columns_to_match_set": _columns,
    "table_row_count_to_be_between": _rows,
    "table_row_count_to_be_near_other": _rows_before,
}
