"""The rules of transport: how a request is read and checked, how an answer is written, what an endpoint is.

An endpoint is one line of a table:

    Endpoint("POST", "mlflow/experiments/create", create, CREATE, name=(required, string), tags=(array,))

The checks are MLflow's, with its sentences; see `messages` for the lenient reading before them. A handler takes the
`Call` and returns the answer as a dict of the fields that are set, or an `Answer` of its own making.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from mainspring.client.client import Client
from mainspring.kernel.context import Caller
from mainspring.protocols.mlflow.failures import invalid, invalid_value, missing_value
from mainspring.protocols.mlflow.messages import Message, flag, parse

__all__ = [
    "Answer",
    "Call",
    "Check",
    "Endpoint",
    "array",
    "at_most",
    "between",
    "boolean",
    "encode",
    "floatlike",
    "intlike",
    "of_texts",
    "read_request",
    "required",
    "spelled",
    "string",
]

_DOCS = " See the API docs for more information about request parameters."

Check = Callable[[Any], Any]
"""A rule for one field; raises `AssertionError`, with the sentence or without for the usual one."""


class Answer(msgspec.Struct):
    """An answer that is not a message: bytes, a stream, another status."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = {}


class Call(msgspec.Struct):
    """A request that passed the checks, and on whose behalf."""

    client: Client
    """Everything that handlers may do, under the caller's rights."""
    request: dict[str, Any]
    """The fields that were set, by their names in the protocol."""
    path: dict[str, str] = {}
    """What stood in the braces of the endpoint's path."""
    query: dict[str, list[str]] = {}
    headers: Mapping[str, str] = {}
    method: str = "POST"
    body: bytes = b""
    """The raw body; empty for an endpoint that streams."""
    stream: Iterator[bytes] | None = None
    """The body piece by piece, for an endpoint that streams."""
    who: Caller = Caller()
    base_url: str = ""

    def get(self, name: str, default: Any = "") -> Any:
        """A field of the request, or its default: protobuf reads what is unset as the empty value."""
        return self.request.get(name, default)


Handler = Callable[[Call], "dict[str, Any] | Answer"]


class Endpoint(msgspec.Struct):
    """One line of an area's table."""

    method: str
    path: str
    """After `/api/2.0/`, with `{name}` for a part and `{name:path}` for the rest."""
    handler: Handler
    message: Message = Message()
    checks: Mapping[str, tuple[Check, ...]] = {}
    version: int = 2
    """2 for `/api/2.0`, 3 for `/api/3.0`, 0 for a path of its own, without a prefix."""
    streams: bool = False
    """Whether the handler reads the body itself, piece by piece."""
    raw: bool = False
    """Whether the body is no message: the handler reads it from the call."""
    fast: Callable[[bytes], dict[str, Any] | None] | None = None
    """A reader for bodies as the stock client writes them; None from it means to read leniently."""
    ajax: bool = True
    """Whether it answers under `/ajax-api/` too."""


def read_request(endpoint: Endpoint, *, method: str, query: str, body: bytes, content_type: str) -> dict[str, Any]:
    """The message in a request; raises `MlflowError` with MLflow's own sentence when a check says no."""
    if endpoint.fast is not None and body and content_type.startswith("application/json"):
        found = endpoint.fast(body)
        if found is not None:
            return found
    source: Any
    if method == "GET" and query:
        source = _from_query(query, endpoint.message)
    else:
        source = _from_body(body, content_type, method)
    _refuse_two_spellings(source, endpoint.message)
    request: dict[str, Any] = {}
    understood = parse(source, endpoint.message, request)
    for name, rules in endpoint.checks.items():
        if not isinstance(source, dict):
            if required in rules:
                raise invalid(missing_value(name) + _DOCS)
            continue
        if name in source or required in rules:
            value = source.get(name)
            if name == "run_id" and value is None and "run_uuid" in source:
                value = source.get("run_uuid")
            _check(name, value, rules, understood=understood)
    return request


def encode(fields: dict[str, Any]) -> bytes:
    """An answer as JSON; what JSON cannot hold was `spelled` before."""
    return msgspec.json.encode(fields)


def spelled(value: float) -> float | str:
    """A number as the protocol carries it: what JSON cannot hold is a text."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


# The rules. Names of types are skipped when the message was understood, for then the types are right.


def required(value: Any) -> None:
    """It is there, and no empty text."""
    _hold(value is not None and value != "")


def string(value: Any) -> None:
    """A text."""
    _hold(isinstance(value, str))


def intlike(value: Any) -> None:
    """A whole number, or a text that is one."""
    try:
        int(value)
    except (TypeError, ValueError, OverflowError):
        raise AssertionError from None


def floatlike(value: Any) -> None:
    """A number, or a text that is one."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        raise AssertionError from None


def boolean(value: Any) -> None:
    """True or false."""
    _hold(isinstance(value, bool))


def array(value: Any) -> None:
    """A list."""
    _hold(isinstance(value, list))


def of_texts(value: Any) -> None:
    """A list of texts."""
    _hold(all(isinstance(item, str) for item in value))


def at_most(limit: int) -> Check:
    """A number not above the limit."""

    def check(value: Any) -> None:
        _hold(int(value) <= limit)

    return check


def between(least: int, most: int, message: str) -> Check:
    """A number within both bounds."""

    def check(value: Any) -> None:
        if not least <= int(value) <= most:
            raise AssertionError(message)

    return check


_TYPES = {string, intlike, floatlike, boolean, array, of_texts}


def _hold(truth: object) -> None:
    if not truth:
        raise AssertionError


def _check(name: str, value: Any, rules: tuple[Check, ...], *, understood: bool) -> None:
    for rule in rules:
        if understood and rule in _TYPES:
            continue
        try:
            rule(value)
        except (AssertionError, TypeError, ValueError, OverflowError, AttributeError) as error:
            if isinstance(error, AssertionError) and error.args:
                sentence = str(error.args[0])
            elif rule is required:
                sentence = missing_value(name)
            else:
                sentence = invalid_value(name, value, f" Hint: Value was of type '{type(value).__name__}'.")
            raise invalid(sentence + _DOCS) from None


def _from_query(query: str, message: Message) -> dict[str, Any]:
    given = parse_qs(query, keep_blank_values=True)
    source: dict[str, Any] = {}
    for name, field in message.items():
        if name not in given:
            continue
        if isinstance(field, list):
            source[name] = given[name]
        elif field is flag:
            value = given[name][0]
            if value.lower() not in ("true", "false"):
                raise invalid(f"Invalid boolean value: {value}, must be 'true' or 'false'.")
            source[name] = value.lower() == "true"
        else:
            source[name] = given[name][0]
    return source


def _from_body(body: bytes, content_type: str, method: str) -> Any:
    if method in ("POST", "PUT"):
        if not content_type:
            raise invalid("Bad Request. Content-Type header is missing.")
        if content_type.partition(";")[0] != "application/json":
            raise invalid("Bad Request. Content-Type must be one of ['application/json'].")
    source = _json(body)
    if isinstance(source, str):
        source = _json(source.encode("utf-8", "surrogatepass"))
    return {} if source is None else source


def _json(body: bytes) -> Any:
    """The JSON in a body; what is none reads as nothing, as MLflow has it. Python's reader knows NaN and surrogates."""
    import json

    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _refuse_two_spellings(source: Any, message: Message) -> None:
    if not isinstance(source, dict):
        return
    for spelling, name in message.by_name.items():
        if spelling != name and spelling in source and name in source:
            raise invalid(f"Request specifies both '{name}' and '{spelling}'; provide only one of them.")
    for name, field in message.items():
        nested = field[0] if isinstance(field, list) else field
        if isinstance(nested, Message):
            value = source.get(name)
            for item in value if isinstance(value, list) else [value]:
                _refuse_two_spellings(item, nested)
