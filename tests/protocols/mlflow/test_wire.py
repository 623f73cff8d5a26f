"""Reading requests: leniently as protobuf's JSON does, and the grammar of filters."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.protocols.mlflow.failures import MlflowError
from mainspring.protocols.mlflow.grammar import RUNS, read_filter, read_order
from mainspring.protocols.mlflow.messages import Enum, Message, flag, number, parse, real, text, texts
from mainspring.protocols.mlflow.rules import safe_path
from mainspring.protocols.mlflow.wire import Endpoint, array, encode, intlike, read_request, required, string
from mainspring.tracking.query_language import parse_query

_MESSAGE = Message(
    name=text, some_number=number, value=real, yes=flag, names=texts, inner=Message(key=text), all=[Message(key=text)]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*_MESSAGE.by_name, "x"]), inner),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*_MESSAGE.by_name, "unknown"]), _VALUES, max_size=4))
def test_no_json_breaks_the_reader(source: dict[str, Any]) -> None:
    into: dict[str, Any] = {}
    parse(source, _MESSAGE, into)
    assert set(into) <= set(_MESSAGE)


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ({"some_number": "12", "value": "1.5"}, {"some_number": 12, "value": 1.5}),
        ({"someNumber": 3.0}, {"some_number": 3}),
        ({"value": "-Infinity"}, {"value": -math.inf}),
        ({"name": None, "names": []}, {"names": []}),
        ({"inner": {}, "all": [{"key": "a", "x": 1}]}, {"inner": {}, "all": [{"key": "a"}]}),
    ],
)
def test_values_are_read_as_protobuf_reads_them(source: Any, read: Any) -> None:
    into: dict[str, Any] = {}
    assert parse(source, _MESSAGE, into)
    assert into == read


@pytest.mark.parametrize(
    "source",
    [
        {"name": 1}, {"some_number": 1.5}, {"some_number": True}, {"some_number": " 1"}, {"some_number": 1 << 63},
        {"value": "nan"}, {"value": "x"}, {"yes": "true"}, {"names": "a"}, {"names": [None]}, {"inner": 1}, {"all": {}},
    ],
)  # fmt: skip
def test_what_came_before_the_first_wrong_field_counts(source: Any) -> None:
    into: dict[str, Any] = {}
    assert not parse({"yes": True, **source, "name": source.get("name", "after")}, _MESSAGE, into)
    assert into.get("yes", True) is True
    assert into.get("name") is None


def test_an_unknown_name_of_an_enumeration_is_passed_over() -> None:
    into: dict[str, Any] = {}
    assert parse({"a": "NEVER", "b": 2}, Message(a=Enum(X=1), b=Enum(X=1, Y=2)), into)
    assert into == {"b": "Y"}


def _read(body: Any, **options: Any) -> dict[str, Any]:
    endpoint = Endpoint(
        "POST", "x", lambda _: {}, Message(run_id=text, run_uuid=text, max_results=number, tags=texts, **options),
        {"run_id": (required, string), "max_results": (intlike,), "tags": (array,)},
    )  # fmt: skip
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(endpoint, method="POST", query="", body=raw, content_type="application/json; charset=utf-8")


def test_checks_speak_in_mlflows_sentences() -> None:
    more = " See the API docs for more information about request parameters."
    for body, sentence in (
        ({}, "Missing value for required parameter 'run_id'." + more),
        (b"", "Missing value for required parameter 'run_id'." + more),
        (b"not json", "Missing value for required parameter 'run_id'." + more),
        (
            {"run_id": "a", "max_results": "x"},
            "Invalid value \"x\" for parameter 'max_results' supplied:  Hint: Value was of type 'str'." + more,
        ),
        (
            {"run_id": "a", "tags": {"b": 1}},
            "Invalid value {\"b\":1} for parameter 'tags' supplied:  Hint: Value was of type 'dict'." + more,
        ),
        ({"run_id": "a", "runId": "b"}, "Request specifies both 'run_id' and 'runId'; provide only one of them."),
    ):
        with pytest.raises(MlflowError) as refused:
            _read(body)
        assert (refused.value.message, refused.value.code) == (sentence, "INVALID_PARAMETER_VALUE")


def test_a_body_may_be_json_within_json_and_old_names_count() -> None:
    assert _read(json.dumps(json.dumps({"run_id": "a"})).encode()) == {"run_id": "a"}
    assert _read({"run_uuid": "a"}) == {"run_uuid": "a"}


def test_a_type_of_content_is_asked_for() -> None:
    endpoint = Endpoint("POST", "x", lambda _: {})
    for kind, sentence in (("", "header is missing"), ("text/plain", r"must be one of \['application/json'\]")):
        with pytest.raises(MlflowError, match=sentence):
            read_request(endpoint, method="POST", query="", body=b"{}", content_type=kind)


def test_answers_carry_what_json_cannot() -> None:
    assert json.loads(encode({"a": 1 << 60, "b": [1.5]})) == {"a": 1 << 60, "b": [1.5]}


_LETTERS = st.characters(codec="utf-8", categories=["L", "N"], include_characters=" .-/:_")
_KEYS = st.text(_LETTERS, min_size=1, max_size=20)


@given(_KEYS, st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20))
def test_every_filter_that_is_read_is_one_of_ours(key: str, value: float, words: str) -> None:
    words = words.replace("\\", "").replace("'", "")
    try:
        found = read_filter(
            f"metrics.`{key}` >= {value} AND tags.\"{key}\" = '{words}' AND params.`{key}` IS NOT NULL", RUNS
        )
    except MlflowError as error:
        assert error.code == "INVALID_PARAMETER_VALUE"
        return
    parse_query(found)


@given(st.text(max_size=60))
def test_no_text_breaks_the_grammar(words: str) -> None:
    for read in (lambda: read_filter(words, RUNS), lambda: read_order([words], RUNS)):
        try:
            read()
        except MlflowError as error:
            assert error.code in ("INVALID_PARAMETER_VALUE", "INTERNAL_ERROR")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("metric.a > 1 AND params.b='x'", "metrics.a > 1 AND params.b = 'x'"),
        ("attributes.status != 'RUNNING'", "status IN ('finished', 'failed', 'crashed', 'cancelled')"),
        ("run.run_name LIKE '%a%'", "title LIKE '%a%'"),
        ("run_id NOT IN ('a', 'b')", "run_id NOT IN ('a', 'b')"),
        ("tags.`a.b` IS NULL", "tags.a.b IS NULL"),
        ("", ""),
    ],
)
def test_filters_are_said_in_our_words(theirs: str, ours: str) -> None:
    assert read_filter(theirs, RUNS) == ours


def test_an_order_is_given_once() -> None:
    assert read_order(["metrics.`a b` DESC", "start_time"], RUNS) == ["metrics.`a b` DESC", "started_at ASC"]
    with pytest.raises(MlflowError, match="duplicate") as refused:
        read_order(["metrics.a", "metrics.a DESC"], RUNS)
    assert refused.value.code == "INTERNAL_ERROR"


@pytest.mark.parametrize("path", ["../a", "/a", "a/../b", "%2e%2e/a", "%252e%252e/a", "a#b", "a\\b", "C:/a", "a%23b"])
def test_no_path_leaves_its_folder(path: str) -> None:
    with pytest.raises(MlflowError, match="Invalid path"):
        safe_path(path)
