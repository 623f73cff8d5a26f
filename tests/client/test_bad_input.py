"""What cannot be is refused, everywhere alike, by a typed error with a stable code, and changes nothing."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, get_args, get_origin

import httpx
import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.cli.app import main
from mainspring.client.client import Client, connect
from mainspring.data.types import Commit
from mainspring.kernel.errors import InvalidInput, MainspringError, TooLarge
from mainspring.kernel.hooks import ROOMS, load
from mainspring.kernel.operations import Operation, operations_of
from mainspring.lineage.types import File
from mainspring.store.store import Store

EVERY = [(load(room.service), each) for room in ROOMS if room.service for each in operations_of(load(room.service))]
INSIDE = ("MS-9001", "MS-0000", "MS-5")
"""Codes that say that the fault is ours."""

TEXTS = [
    "", " ", ".", "..", "../../etc/passwd", "/etc/passwd", "a/../../b", "C:\\windows", "a\0b", "\0", "a\nb",
    "\ud800", "a\udfff",
    "'; DROP TABLE run; --", "%", "_", "*", "@", "a@", "model/x@1", "dataset/nothing@99999999999999999999", "a@-1",
    "\u202e", "e\u0301",
    "\U0001f600", "x" * 300, "y" * 1_000_000, "{}", "null", "NaN", "1e999", "run/", "prediction/", "-", "0" * 64, "-1",
    "019a0000-0000-7000-8000-000000000000",
    "019a0000-0000-7000-8000-000000000000--1", "019a0000-0000-7000-8000-000000000000-1",
]  # fmt: skip
NUMBERS = [0, -1, 1, 2, 10**6, 2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30]
FLOATS = [0.0, -0.0, -1.0, 1.0, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf]
MOMENTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
]

POOLS: dict[Any, list[Any]] = {
    str: TEXTS,
    int: NUMBERS,
    float: FLOATS,
    bool: [True, False],
    datetime: MOMENTS,
    bytes: [b"", b"\xff"],
}


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


PLAIN = [
    None, True, "", "\ud800", "a\0", math.nan, 10**30, -(2**63), [], {}, [1, "a", None], {"a": {}},
    _deep(30), _deep(2000),
]  # fmt: skip


def _plain(chance: random.Random) -> Any:
    return chance.choice(PLAIN)


def _hostile(hint: Any, chance: random.Random, depth: int = 0) -> Any:
    """A value of a type (now and then of another), as nasty as the type allows."""
    if chance.random() < 0.04:
        return _plain(chance)
    if hint is Any:
        return _plain(chance)
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return chance.choice([*inner, *inner, "other"])
    if origin is list or origin is tuple or hint is list:
        item = inner[0] if inner else Any
        return [_hostile(item, chance, depth + 1) for _ in range(chance.choice([0, 1, 2, 5]) if depth < 4 else 0)]
    if origin is dict or hint is dict:
        key, item = inner or (str, Any)
        keys = [_hostile(key, chance, depth + 1) for _ in range(chance.choice([0, 1, 3]) if depth < 4 else 0)]
        return {each: _hostile(item, chance, depth + 1) for each in keys if isinstance(each, str)}
    if inner and (origin is not None):  # a union
        return _hostile(chance.choice(inner), chance, depth)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        fields = msgspec.structs.fields(hint)
        given_ = [each for each in fields if each.required or chance.random() < 0.5]
        made = {each.encode_name: _hostile(each.type, chance, depth + 1) for each in given_}
        tag = hint.__struct_config__.tag
        return {**made, "type": tag} if tag is not None else made
    return chance.choice(POOLS.get(hint, [None]))


def _arguments(declared: Operation, chance: random.Random) -> dict[str, Any]:
    fields = msgspec.structs.fields(declared.request)
    made = {each.name: _hostile(each.type, chance) for each in fields if each.required or chance.random() < 0.4}
    if declared.upload:
        made[declared.upload] = [chance.choice([b"", b"x", b"\0" * 5000, b"PAR1" + b"\xff" * 64, b"\xff" * 9, b"{}"])]
    return made


def _state(store: Store) -> dict[str, int]:
    """How many rows every table has."""
    with store.read() as tx:
        names = [name for (name,) in tx.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        counts = ", ".join(f'(SELECT count(*) FROM "{name}")' for name in names)
        return dict(zip(names, tx.row(f"SELECT {counts}"), strict=True))


def _outcome(call: Any) -> str:
    """`answered`, or the code of what was raised; anything else than a typed error fails the test."""
    try:
        found = call()
        if hasattr(found, "__next__"):
            for _ in found:
                pass
    except MainspringError as error:
        assert error.message
        json.dumps(error.payload())
        return error.code
    return "answered"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("seed", range(3))
def test_hostile_arguments_are_answered_or_refused_whole(client, store, seed):
    """Every operation, over and over, with the nastiest values that its types allow."""
    chance, before = random.Random(seed), _state(store)
    for service, declared in EVERY:
        bound = getattr(service(client.backend), declared.verb)
        for _ in range(6):
            arguments = _arguments(declared, chance)
            code = _outcome(lambda b=bound, a=arguments: b(**a))
            assert not code.startswith(INSIDE), (declared.name, code, seed)
            after = _state(store)
            assert code == "answered" or after == before, (declared.name, code, seed)
            before = after


RAW = [
    b"", b"{", b"[]", b"null", b"3", b'"x"', b"\xff\xfe", b"\0", b"{}{}", b'{"a":NaN}', b'{"a":1e999}',
    b'{"a":' + b"9" * 5000 + b"}",
    b"[" * 50_000, b'{"a":' * 50_000, b'{"\\ud800":1}', b'{"name":"\\ud800"}', b'{"ref":"\\u0000"}', b'{"a":1,"a":2}',
    b"<xml/>", b"a=1&b=2", b'{"' + b"x" * 1_000_000 + b'":1}',
]  # fmt: skip
STRIDE = 4


@pytest.mark.databases("sqlite")
def test_any_body_gets_a_typed_answer(server_url, store_folder):
    with httpx.Client(base_url=server_url, timeout=30) as http, Store.open(store_folder) as store:
        before = _state(store)
        asked = [  # of the others, an empty body is all that they need
            each
            for _, each in EVERY
            if not each.upload and any(field.required for field in msgspec.structs.fields(each.request))
        ]
        assert len(asked) > 20 * STRIDE
        for number, declared in enumerate(asked):
            for body in RAW[number % STRIDE :: STRIDE]:  # one reader reads for all: each body meets many operations
                answer = http.post(f"/api/v1/{declared.room}/{declared.verb}", content=body)
                assert answer.status_code in (400, 404), (declared.name, body[:60], answer.text[:300])
                assert answer.json()["error"]["code"].startswith("MS-"), (declared.name, body[:60])
        assert _state(store) == before


@pytest.mark.databases("sqlite")
def test_hostile_arguments_mean_the_same_over_http(client, server_url):
    """What Python refuses is refused over the wire with the same code, and the other way round."""
    chance = random.Random(7)
    with httpx.Client(base_url=server_url, timeout=30) as http:
        for service, declared in EVERY:
            if declared.upload or declared.downloads:
                continue
            for _ in range(4):
                arguments = _arguments(declared, chance)
                try:
                    body = msgspec.json.encode(arguments)
                except (UnicodeEncodeError, RecursionError, OverflowError):
                    continue  # no JSON says this
                if b"null" in body:
                    continue  # NaN and infinities become null on the way
                here = _outcome(lambda s=service, d=declared, a=arguments: getattr(s(client.backend), d.verb)(**a))
                answer = http.post(f"/api/v1/{declared.room}/{declared.verb}", content=body)
                there = "answered" if answer.status_code == 200 else answer.json()["error"]["code"]
                assert there == here or (here, there) in TWICE, (declared.name, body[:300], answer.text[:300])


TWICE = {("answered", "MS-3002"), ("answered", "MS-2001")}
"""What a call made is there, and what it deleted is gone, when the same call comes a second time."""


# -- what is most often tried

NAMES = [
    "",
    "..",
    "../x",
    "/x",
    "a/../x",
    "a\\b",
    "a\0b",
    "a\nb",
    "\ud800",
    "a@1",
    "e\u0301",
    "x" * 300,
    "x" * 10_000_000,
    " a",
    ".a",
]


def _refusals(client: Client, name: str) -> Iterator[Any]:
    """Every way to make something of a name."""
    frame = pl.DataFrame({"n": [1]})
    signature = {"inputs": [{"name": "x", "dtype": "FP64"}]}
    yield lambda: client.data.commit(name, frame)
    yield lambda: client.data.record(name, files=[])
    yield lambda: client.models.register(name, files=[File("a", 0, "0" * 64)], manifest=_manifest(client, signature))
    yield lambda: client.serving.deploy(name, model="m")
    yield lambda: client.tuning.create(name, space={"x": _float()})
    yield lambda: client.quality.save_suite(msgspec.convert({"name": name}, _type(client.quality.save_suite, "suite")))
    yield lambda: client.trust.create_token(name)
    yield lambda: client.pipelines.enqueue(
        name, location=msgspec.convert({"address": "a:b"}, _type(client.pipelines.enqueue, "location"))
    )


def _type(method: Any, parameter: str) -> Any:
    return next(each.type for each in msgspec.structs.fields(method.operation.request) if each.name == parameter)


def _manifest(client: Client, signature: dict[str, Any]) -> Any:
    hint = next(each for each in get_args(_type(client.models.register, "manifest")) if each is not type(None))
    return msgspec.convert({"format": "onnx", "signature": signature, "files": []}, hint)


def _float() -> Any:
    from mainspring.tuning.types import Float

    return Float(0, 1)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", NAMES, ids=[repr(each[:12]) for each in NAMES])
def test_a_name_that_is_none_makes_nothing(client, store, name):
    before = _state(store)
    for refusal in _refusals(client, name):
        with pytest.raises(MainspringError) as refused:
            refusal()
        assert refused.value.code in ("MS-1001", "MS-1002", "MS-1003", "MS-2001"), refused.value
        assert len(refused.value.message) < 1000, "what was wrong is quoted in brief"
    assert _state(store) == before


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\ud800", "x" * 501, "x" * 10_000_000, " a"])
def test_an_experiment_may_be_called_anything_that_can_be_printed(client, store, name):
    before = _state(store)
    start = {"run_id": "01a1feb8-183b-7639-85f8-e23589b62379", "experiment": name}
    for refusal in (
        lambda: client.tracking.run(name, source=False),
        lambda: client.tracking.start(msgspec.convert(start, _type(client.tracking.start, "run"))),
        lambda: client.tracking.create_experiment(name),
    ):
        with pytest.raises(InvalidInput) as refused:
            refusal()
        assert len(refused.value.message) < 1000
    assert _state(store) == before
    assert client.tracking.create_experiment("/Users/ann@example.org/a b: é").name


PATHS = [
    "../x",
    "/x",
    "a/../../x",
    "a//b",
    "a\0b",
    "",
    ".",
    "..",
    "a/..",
    "./a",
    "a\\..\\x",
    "\ud800",
    "a\nb",
    "x" * 5000,
]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("path", PATHS, ids=[repr(each[:12]) for each in PATHS])
def test_a_path_cannot_leave_its_folder(client, store, tmp_path, path):
    digest = store.blobs.put(b"harm")
    with client.tracking.run("e", source=False) as run:
        before = _state(store)
        for refusal in (
            lambda: client.data.record("tricks", files=[File(path, 4, digest)]),
            lambda: client.tracking.put_file(run.id, path=path, body=b"x"),
        ):
            with pytest.raises(InvalidInput):
                refusal()
        assert _state(store) == before
    assert client.data.datasets() == []


@pytest.mark.databases("sqlite")
def test_a_checkout_follows_no_link_out_of_its_folder(client, tmp_path):
    source = tmp_path / "source" / "sub"
    source.mkdir(parents=True)
    (source / "a.txt").write_text("new")
    client.data.commit("files", source.parent)
    outside, into = tmp_path / "outside", tmp_path / "into"
    outside.mkdir()
    into.mkdir()
    (into / "sub").symlink_to(outside)
    with pytest.raises(MainspringError):
        client.data.checkout("files", into=into)
    assert list(outside.iterdir()) == []


@pytest.mark.databases("sqlite")
def test_what_is_committed_may_not_lead_elsewhere(client, store, tmp_path):
    before = _state(store)
    for wrong in ("nothing", tmp_path / "nothing", 3, None, [], [tmp_path / "nothing"], {"a": 1}, object(), b"bytes"):
        with pytest.raises(MainspringError) as refused:
            client.data.commit("x", wrong)
        assert not refused.value.code.startswith(INSIDE)
    assert _state(store) == before


@pytest.mark.databases("sqlite")
def test_a_million_entries_are_refused_or_taken_whole(client, store, server_url):
    many = ["0" * 64] * 1_100_000
    assert len(set(client.storage.missing(many))) == 1
    before = _state(store)
    with pytest.raises(MainspringError):
        client.data.record("many", files=[File("a", 1, "0" * 64)] * 1_000_000)
    with pytest.raises(MainspringError):
        client.serving.label("nothing", ids=["x"] * 1_000_000, values=[1] * 1_000_000)
    assert _state(store) == before
    with connect(server_url) as remote, pytest.raises(TooLarge):
        remote.storage.missing(many)


@pytest.mark.databases("sqlite")
def test_numbers_that_are_none_are_refused_where_none_may_be(client, store):
    before = _state(store)
    for wrong in (math.nan, math.inf, -math.inf, -1.0):
        with pytest.raises(InvalidInput):
            client.pipelines.schedule("s", flow="f", location=_location(), every=wrong)
    for wrong in (math.nan, math.inf):
        with pytest.raises(InvalidInput):
            client.data.record("n", files=[], commit=Commit(metadata={"x": wrong}))
        with pytest.raises(InvalidInput):
            client.tuning.create("s", space={"x": msgspec.structs.replace(_float(), high=wrong)})
    assert _state(store) == before


def _location() -> Any:
    from mainspring.pipelines.types import Location

    return Location(address="a:b")


@pytest.mark.databases("sqlite")
@given(text=st.text(st.characters(), max_size=30))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_where_a_reference_is_meant(client, store, text):
    before = _state(store)
    for ask in (
        client.data.describe, client.models.get, client.lineage.why, client.lineage.run, client.tracking.get,
        client.pipelines.get,
        client.serving.prediction, client.serving.endpoint, client.monitoring.alert, client.quality.suite,
        client.loop.policy,
        client.storage.get_blob, client.tuning.get, client.features.get,
    ):  # fmt: skip
        with pytest.raises(MainspringError) as refused:
            ask(text)
        assert refused.value.code in ("MS-1001", "MS-1002", "MS-1003", "MS-2001")
    assert _state(store) == before


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "name", [each for each in NAMES if "\0" not in each and len(each) < 1000 and "\ud800" not in each]
)
def test_the_command_line_refuses_the_same(client, store, store_folder, tmp_path, capsys, name):
    file = tmp_path / "a.txt"
    file.write_text("x")
    before = _state(store)
    for words in (["data", "commit", name, str(file)], ["data", "show", name], ["model", "show", name], ["why", name]):
        with pytest.raises(SystemExit) as left:
            main(
                [*words[:2], "--store", str(store_folder), "--", *words[2:]]
                if words[0] != "why"
                else ["why", "--store", str(store_folder), "--", name]
            )
        said = capsys.readouterr().err
        assert left.value.code in (2, 3), (words, said)
        assert "error[MS-" in said
        assert "Traceback" not in said
    assert _state(store) == before


# -- the description of the API, taken at its word


@pytest.mark.databases("sqlite")
def test_requests_made_from_the_description_find_no_defect(server_url):
    """Schemathesis makes requests that fit the OpenAPI document and some that do not; none is answered with a 5xx."""
    import requests
    import schemathesis
    from hypothesis import Phase

    schema = schemathesis.openapi.from_url(f"{server_url}/openapi.json")
    session = requests.Session()
    left_out = ("storage.verify", "pipelines.tick")
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.label.removeprefix("POST /api/v1/").replace("/", ".") in left_out:
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=3,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case):
            answer = case.call(session=session)
            assert answer.status_code < 500, (case.path, case.body, answer.text)

        ask()
