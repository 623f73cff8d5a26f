"""TensorFlow Data Validation's schema (`tensorflow_metadata`) as a suite, and a suite as such a schema.

Every expectation that a schema says carries in `meta["tfdv"]` the anomaly that its failure is and the feature that it
is about, and the suite keeps the whole schema, so that what has no expectation (annotations, tensor representations,
domains of images) is written back. The other tables that comparators speak of are `previous` (drift) and `serving`
(skew).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mainspring.kernel.errors import InvalidInput, MissingDependency
from mainspring.quality.types import Expectation, Suite

__all__ = ["MOST", "parse_schema", "read_tfdv", "schema_text", "write_tfdv"]

_IDLE = {"PLANNED", "ALPHA", "DEPRECATED", "DEBUG_ONLY", "DISABLED"}
"""Stages in which a feature is not validated."""
_TYPES = {"INT": ["integer", "bool", "list"], "FLOAT": ["float", "decimal", "list"],
          "BYTES": ["text", "binary", "date", "datetime", "time", "list"], "STRUCT": ["struct", "list"]}  # fmt: skip
_WRONG_TYPE = {"INT": "INT_TYPE_INT_EXPECTED", "FLOAT": "FLOAT_TYPE_NOT_FLOAT"}
MOST = 1.7976931348623157e308
"""The greatest finite number."""


def read_tfdv(schema: str | bytes, *, name: str = "unnamed", environment: str = "") -> Suite:
    """A suite from a schema, as text (`.pbtxt`) or binary.

    Args:
        schema: The schema.
        name: What to call the suite.
        environment: Where the data is from (`TRAINING`, `SERVING`); features that are not expected there are not asked.

    Raises:
        InvalidInput: It is no schema; with line and column where it is text.
        MissingDependency: `tensorflow-metadata` is not installed.
    """
    found = parse_schema(schema)
    domains = {each.name: each for each in (*found.string_domain, *found.int_domain, *found.float_domain)}
    lines: list[Expectation] = []
    expected = [each for each in found.feature if _is_validated(each) and _is_in(each, found, environment)]
    for feature in expected:
        lines += _feature(feature, domains)
    if found.feature:
        names = [each.name for each in found.feature]
        lines.append(_line("SCHEMA_NEW_COLUMN", "table_columns_to_be_among", "", column_set=names))
    lines += _dataset(found.dataset_constraints)
    return Suite(name=name, expectations=tuple(lines), meta={"tfdv": {"schema": schema_text(found)}})


def write_tfdv(suite: Suite) -> str:
    """The suite as the text of a schema; the kept schema, changed where expectations say otherwise.

    Raises:
        InvalidInput: An expectation cannot be said in a schema.
    """
    from mainspring.quality.formats.tfdv_writing import schema_of

    return schema_text(schema_of(suite))


def parse_schema(schema: str | bytes) -> Any:
    """The schema behind its text or bytes."""
    try:
        from google.protobuf import message, text_format  # type: ignore[import-untyped]  # it has no types
        from tensorflow_metadata.proto.v0 import schema_pb2
    except ImportError:
        raise MissingDependency("tensorflow-metadata", extra="tfdv") from None
    found = schema_pb2.Schema()
    try:
        if isinstance(schema, bytes):
            found.ParseFromString(schema)
        else:
            text_format.Parse(schema, found)
    except (text_format.ParseError, message.DecodeError) as error:
        raise InvalidInput(f"this is no schema of TFDV: {error}") from None
    return found


def schema_text(schema: Any) -> str:
    """A schema as text."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(schema, as_utf8=True))


def _is_validated(feature: Any) -> bool:
    from tensorflow_metadata.proto.v0 import schema_pb2

    return not feature.deprecated and schema_pb2.LifecycleStage.Name(feature.lifecycle_stage) not in _IDLE


def _is_in(feature: Any, schema: Any, environment: str) -> bool:
    if not environment or environment in feature.in_environment:
        return True
    return environment in schema.default_environment and environment not in feature.not_in_environment


def _line(anomaly: str, kind: str, column: str, *, mostly: float = 1.0, **arguments: Any) -> Expectation:
    meta = {"tfdv": {"anomaly": anomaly, "feature": column}}
    return Expectation(kind=kind, column=column, arguments=arguments, mostly=mostly, meta=meta)


def _feature(feature: Any, domains: dict[str, Any]) -> Iterator[Expectation]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    name, kind = feature.name, schema_pb2.FeatureType.Name(feature.type)
    presence = feature.presence
    if presence.min_count or presence.min_fraction or feature.HasField("shape"):
        yield _line("SCHEMA_MISSING_COLUMN", "column_to_exist", name)
    if presence.min_fraction:
        share = float(presence.min_fraction)
        whole = "column_proportion_of_non_null_values_to_be_between"
        anomaly = "FEATURE_TYPE_LOW_FRACTION_PRESENT"
        yield _line(anomaly, whole, name, min_value=share)
    if presence.min_count:
        count = int(presence.min_count)
        yield _line("FEATURE_TYPE_LOW_NUMBER_PRESENT", "column_value_count_to_be_between", name, min_value=count)
    if kind in _TYPES:
        bools = ["bool"] if kind == "BYTES" and _domain(feature, "bool_domain") else []
        types = [*_TYPES[kind], *bools]
        anomaly = _WRONG_TYPE.get(kind, "UNEXPECTED_DATA_TYPE")
        yield _line(anomaly, "column_values_to_be_in_type_list", name, type_list=types)
    yield from _lengths(feature)
    yield from _domains(feature, domains)
    unique = feature.unique_constraints
    for end, anomaly in (("min", "FEATURE_TYPE_LOW_UNIQUE"), ("max", "FEATURE_TYPE_HIGH_UNIQUE")):
        if getattr(unique, end):
            ends = {f"{end}_value": int(getattr(unique, end))}
            yield _line(anomaly, "column_unique_value_count_to_be_between", name, **ends)
    yield from _comparator(name, feature.drift_comparator, "previous")
    yield from _comparator(name, feature.skew_comparator, "serving")


def _lengths(feature: Any) -> Iterator[Expectation]:
    name, kind = feature.name, "column_list_lengths_to_be_between"
    if feature.HasField("value_count"):
        for end, anomaly in (("min", "FEATURE_TYPE_LOW_NUMBER_VALUES"), ("max", "FEATURE_TYPE_HIGH_NUMBER_VALUES")):
            # One value is what any column has that is not of lists.
            if getattr(feature.value_count, end) not in {0, 1}:
                yield _line(anomaly, kind, name, **{f"{end}_value": int(getattr(feature.value_count, end))})
    if feature.HasField("shape") and len(feature.shape.dim) == 1 and feature.shape.dim[0].size > 1:
        size = int(feature.shape.dim[0].size)
        yield _line("INVALID_FEATURE_SHAPE", kind, name, min_value=size, max_value=size)


def _domain(feature: Any, field: str) -> bool:
    return bool(feature.WhichOneof("domain_info") == field)


def _domains(feature: Any, domains: dict[str, Any]) -> Iterator[Expectation]:
    name = feature.name
    named = domains.get(feature.domain) if _domain(feature, "domain") else None
    if _domain(feature, "domain") and named is None:
        raise InvalidInput(
            f"feature {name!r} is of domain {feature.domain!r}, which is not there", known=sorted(domains)
        )
    own = feature.WhichOneof("domain_info")
    what: Any = named if named is not None else getattr(feature, own) if own else None
    sort = type(what).__name__ if what is not None else ""
    mass = feature.distribution_constraints
    mostly = float(mass.min_domain_mass) if feature.HasField("distribution_constraints") else 1.0
    if sort == "StringDomain" and what.value:
        values = list(what.value)
        anomaly = "ENUM_TYPE_UNEXPECTED_STRING_VALUES"
        yield _line(anomaly, "column_values_to_be_in_set", name, mostly=mostly, value_set=values)
    elif sort == "BoolDomain" and (what.true_value or what.false_value):
        values = [each for each in (what.true_value, what.false_value) if each]
        yield _line("BOOL_TYPE_UNEXPECTED_STRING", "column_values_to_be_in_set", name, mostly=mostly, value_set=values)
    elif sort == "BoolDomain":
        yield _line("BOOL_TYPE_BIG_INT", "column_values_to_be_in_set", name, value_set=[0, 1])
    elif sort in {"IntDomain", "FloatDomain"}:
        yield from _numbers(name, what, "INT" if sort == "IntDomain" else "FLOAT", mostly)
    elif sort == "TimeDomain" and what.string_format:
        kind = "column_values_to_match_strftime_format"
        yield _line("UNEXPECTED_DATA_TYPE", kind, name, strftime_format=what.string_format)


def _numbers(name: str, domain: Any, sort: str, mostly: float) -> Iterator[Expectation]:
    kind = "column_values_to_be_between"
    for end, size in (("min", "SMALL"), ("max", "BIG")):
        if domain.HasField(end):
            anomaly = f"{sort}_TYPE_{size}_{sort}"
            yield _line(anomaly, kind, name, mostly=mostly, **{f"{end}_value": getattr(domain, end)})
    if sort == "FLOAT" and domain.disallow_nan:
        yield _line("FLOAT_TYPE_HAS_NAN", "column_nan_count_to_be_between", name, max_value=0)
    if sort == "FLOAT" and domain.disallow_inf:
        yield _line("FLOAT_TYPE_HAS_INF", kind, name, min_value=-MOST, max_value=MOST)


def _comparator(name: str, comparator: Any, table: str) -> Iterator[Expectation]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    kind = "column_distribution_to_be_near_other"
    if comparator.HasField("infinity_norm"):
        limit = float(comparator.infinity_norm.threshold)
        yield _line("COMPARATOR_L_INFTY_HIGH", kind, name, threshold=limit, distance="infinity_norm", table=table)
    if comparator.HasField("jensen_shannon_divergence"):
        divergence = comparator.jensen_shannon_divergence
        sources = schema_pb2.HistogramSelection.Type
        binning = "quantiles" if divergence.source.type == sources.Value("QUANTILES") else "standard"
        anomaly = "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH"
        limit = float(divergence.threshold)
        yield _line(anomaly, kind, name, threshold=limit, distance="jensen_shannon", binning=binning, table=table)


def _dataset(constraints: Any) -> Iterator[Expectation]:
    kind = "table_row_count_to_be_between"
    if constraints.min_examples_count:
        yield _line("DATASET_LOW_NUM_EXAMPLES", kind, "", min_value=int(constraints.min_examples_count))
    if constraints.max_examples_count:
        yield _line("DATASET_HIGH_NUM_EXAMPLES", kind, "", max_value=int(constraints.max_examples_count))
    fields = (("num_examples_drift_comparator", "previous"), ("num_examples_version_comparator", "previous_version"))
    for field, table in fields:
        comparator = getattr(constraints, field)
        for end, anomaly in (("min", "COMPARATOR_LOW_NUM_EXAMPLES"), ("max", "COMPARATOR_HIGH_NUM_EXAMPLES")):
            limit = getattr(comparator, f"{end}_fraction_threshold")
            if limit:
                ends = {f"{end}_ratio": float(limit)}
                yield _line(anomaly, "table_row_count_to_be_near_other", "", table=table, **ends)
