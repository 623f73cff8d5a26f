"""The Open Inference Protocol, judged by NVIDIA's own client over a real socket, by raw HTTP, and by garbage."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.engines.signature import DTYPES, Field, Signature
from mainspring.kernel.context import OWNER, Caller
from mainspring.protocols.oip import OpenInference
from mainspring.serving.dataplane import Dataplane
from mainspring.serving.fleet import Fleet
from mainspring.serving.spool import Entry, SpoolHead, unpack
from mainspring.serving.traffic import Target, TrafficPlan
from mainspring.serving.types import Endpoint

triton = pytest.importorskip("tritonclient.http")

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Echo:
    """Answers each input as the output of the same name."""

    runtime = "native"

    def __init__(self, *fields: Field) -> None:
        self.signature = Signature(inputs=fields, outputs=fields)

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        return dict(columns)

    def close(self) -> None:
        pass


class World:
    """A catalog with one endpoint per datatype, one with two columns, and one in a canary."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.models = {f"echo-{dtype}": Echo(Field("x", dtype)) for dtype in DTYPES}
        self.models["pair"] = Echo(Field("a", "FP32"), Field("b", "FP64"))
        self.models["wide"] = Echo(Field("x", "FP32", (-1, 3)))
        self.models["team/slashed"] = self.models["pair"]

    def version(self) -> int:
        return 1

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(name, "default", name, self._plan(name), (), (), "", 1, MOMENT, MOMENT, "owner")
            for name in self.models
        ]

    def load(self, model_id: str) -> Echo:
        return self.models[model_id]

    def record(self, head: SpoolHead, entry: Entry) -> None:
        self.entries.append(entry)

    @staticmethod
    def _plan(name: str) -> TrafficPlan:
        champion = Target(model=name, name=name, version=3, deployment="d3")
        if name != "pair":
            return TrafficPlan(champion=champion)
        challenger = Target(model=name, name=name, version=4, deployment="d4")
        return TrafficPlan(champion=champion, challenger=challenger, mode="canary", weight=0.0)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def app(world: World) -> Iterator[OpenInference]:
    plane = Dataplane(Fleet(world, world.load), world)
    plane.fleet.refresh()
    served = OpenInference(plane, max_body=4 * 1024 * 1024)
    yield served
    served.close()
    plane.close()


@pytest.fixture(scope="module")
def address(app: OpenInference) -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who asks before the server runs waits in the backlog
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as client:
        yield client


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{address}") as client:
        yield client


def tensor(name: str, array: np.ndarray, datatype: str, *, binary: bool = True) -> Any:
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


# ---- NVIDIA's client --------------------------------------------------------------------------------------------


def test_the_client_finds_the_server_well(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("pair")
    assert client.is_model_ready("pair", "4")
    assert not client.is_model_ready("nobody")
    assert not client.is_model_ready("pair", "9")
    about = client.get_server_metadata()
    assert about["name"] == "mainspring"
    assert "binary_tensor_data" in about["extensions"]


def test_the_client_reads_metadata_and_configuration(client):
    assert client.get_model_metadata("pair") == {
        "name": "pair",
        "versions": ["3", "4"],
        "platform": "native_native",
        "inputs": [{"name": "a", "datatype": "FP32", "shape": [-1]}, {"name": "b", "datatype": "FP64", "shape": [-1]}],
        "outputs": [{"name": "a", "datatype": "FP32", "shape": [-1]}, {"name": "b", "datatype": "FP64", "shape": [-1]}],
    }
    assert client.get_model_config("pair")["input"][0] == {"name": "a", "data_type": "TYPE_FP32", "dims": [-1]}
    assert client.get_model_metadata("team/slashed")["name"] == "team/slashed"


VALUES = {
    "BOOL": [True, False, True],
    "BYTES": ["a", "", "żółć ☃"],
    "FP16": [0.5, -2.0, 65504.0],
    "FP32": [0.1, -1e38, 3.0],
    "FP64": [0.1, -1e300, 5e-324],
}


ROUND_TRIPS = [(datatype, sent) for datatype in sorted(DTYPES) for sent in (True, False)]
ROUND_TRIPS.remove(("FP16", False))  # the client itself refuses FP16 in JSON


@pytest.mark.parametrize(("datatype", "sent"), ROUND_TRIPS)
@pytest.mark.parametrize("asked", [True, False], ids=["binary-out", "json-out"])
def test_every_datatype_survives_the_round_trip(client, datatype, sent, asked):
    dtype = np.dtype(DTYPES[datatype])
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    values = np.array([limits.min, 7, limits.max] if limits else VALUES[datatype], dtype)
    sent_values = np.array([each.encode() for each in values], object) if datatype == "BYTES" else values
    answer = client.infer(
        f"echo-{datatype}",
        [tensor("x", sent_values, datatype, binary=sent)],
        outputs=[triton.InferRequestedOutput("x", binary_data=asked)],
        request_id="abc",
    )
    found = answer.as_numpy("x")
    expected = sent_values if asked else values
    assert found.tolist() == expected.tolist()
    assert answer.get_response()["id"] == "abc"


def test_the_client_asks_for_everything_binary_when_it_names_no_output(client):
    a, b = np.arange(4, dtype=np.float32), np.arange(4, dtype=float)
    answer = client.infer("pair", [tensor("a", a, "FP32"), tensor("b", b, "FP64")])
    assert answer.as_numpy("a").tolist() == a.tolist()
    assert answer.as_numpy("b").tolist() == b.tolist()
    assert answer.get_response()["model_version"] == "3"


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_the_client_may_compress(client, algorithm):
    a = np.arange(500, dtype=np.float32)
    answer = client.infer(
        "pair",
        [tensor("a", a, "FP32"), tensor("b", a.astype(float), "FP64", binary=False)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert answer.as_numpy("a").tolist() == a.tolist()


def test_the_client_asks_in_the_background(client):
    x = np.arange(3, dtype=np.int64)
    pending = [client.async_infer("echo-INT64", [tensor("x", x, "INT64")]) for _ in range(4)]
    assert all(each.get_result().as_numpy("x").tolist() == [0, 1, 2] for each in pending)


def test_the_client_gets_classes(client):
    x = np.array([[0.1, 0.7, 0.2]], np.float32)
    wanted = triton.InferRequestedOutput("x", class_count=2)
    answer = client.infer("wide", [tensor("x", x, "FP32")], outputs=[wanted])
    assert answer.as_numpy("x").tolist() == [[b"0.700000:1", b"0.200000:2"]]


def test_the_client_manages_the_repository(client):
    index = {each["name"]: each for each in client.get_model_repository_index()}
    assert index["wide"] == {"name": "wide", "version": "3", "state": "READY", "reason": ""}
    client.unload_model("wide")
    assert not client.is_model_ready("wide")
    index = {each["name"]: each for each in client.get_model_repository_index()}
    assert index["wide"]["state"] == "UNAVAILABLE"
    client.load_model("wide")
    assert client.is_model_ready("wide")
    with pytest.raises(triton.InferenceServerException, match="no endpoint 'nobody'"):
        client.load_model("nobody")


def test_the_client_counts(client):
    def count() -> dict[str, Any]:
        return client.get_inference_statistics("echo-UINT8")["model_stats"][0]

    before = count()
    client.infer("echo-UINT8", [tensor("x", np.zeros(9, np.uint8), "UINT8")])
    after = count()
    assert after["inference_count"] - before["inference_count"] == 9
    assert after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"] == 1
    assert after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"]
    assert len(client.get_inference_statistics()["model_stats"]) > 5


def test_the_client_reads_our_errors(client):
    x = tensor("x", np.zeros(2, np.float32), "FP32")
    with pytest.raises(triton.InferenceServerException, match="no endpoint 'nobody'") as caught:
        client.infer("nobody", [x])
    assert caught.value.status() == "404"
    with pytest.raises(triton.InferenceServerException, match="'a' is missing"):
        client.infer("pair", [x])
    with pytest.raises(triton.InferenceServerException, match="no output 'y'"):
        client.infer("echo-FP32", [x], outputs=[triton.InferRequestedOutput("y")])


def test_the_asynchronous_client_works_too(address):
    aio = pytest.importorskip("tritonclient.http.aio")

    async def ask() -> list[float]:
        async with aio.InferenceServerClient(address) as client:
            answer = await client.infer("echo-FP64", [tensor("x", np.ones(2), "FP64")])
            return answer.as_numpy("x").tolist()

    assert asyncio.run(ask()) == [1.0, 1.0]


# ---- raw HTTP ---------------------------------------------------------------------------------------------------


def infer(http: httpx.Client, name: str, *inputs: dict[str, Any], **rest: Any) -> httpx.Response:
    return http.post(f"/v2/models/{name}/infer", json={"inputs": list(inputs), **rest})


def test_plain_json_nested_or_flat(http):
    nested = {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [[1, 2, 3], [4, 5, 6]]}
    flat = {**nested, "data": [1, 2, 3, 4, 5, 6]}
    for sent in (nested, flat):
        answer = infer(http, "wide", sent, id="7")
        assert answer.status_code == 200
        assert answer.json()["outputs"] == [
            {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}
        ]
        assert answer.json()["id"] == "7"


def test_every_answer_names_its_prediction(http, world):
    answer = infer(http, "echo-INT8", {"name": "x", "shape": [2], "datatype": "INT8", "data": [1, 2]})
    prediction = answer.headers["x-mainspring-prediction"]
    assert answer.json()["parameters"]["prediction_id"] == prediction == world.entries[-1].request


def test_time_caller_and_pin_travel(http, world):
    body = {"inputs": [{"name": each, "shape": [1], "datatype": "FP64", "data": [1]} for each in "ab"]}
    body["parameters"] = {"at": "2013-04-01T00:00:00Z"}
    headers = {"x-mainspring-pin": "challenger", "x-mainspring-caller": "tests"}
    answer = http.post("/v2/models/pair/infer", json=body, headers=headers)
    assert answer.json()["model_version"] == "4"
    entry = world.entries[-1]
    assert (entry.arm, entry.caller) == ("challenger", "tests")
    assert unpack(entry.columns[0]).tolist() == [1364774400 * 1_000_000]
    assert http.post("/v2/models/pair/versions/4/infer", json=body).json()["model_version"] == "4"
    body["parameters"] = {"at": "yesterday"}
    assert http.post("/v2/models/pair/infer", json=body).status_code == 400


def test_a_matrix_without_names_is_taken_apart_in_order(http):
    answer = infer(http, "pair", {"name": "input-0", "shape": [3, 2], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]})
    assert [each["data"] for each in answer.json()["outputs"]] == [[1, 3, 5], [2, 4, 6]]


def test_a_column_may_come_as_a_matrix_of_one(http):
    answer = infer(http, "echo-FP64", {"name": "x", "shape": [2, 1], "datatype": "INT32", "data": [[1], [2]]})
    assert answer.json()["outputs"][0]["data"] == [1.0, 2.0]


def test_a_raw_body_is_the_only_input(http):
    body = struct.pack("<3f", 1, 2, 3)
    answer = http.post("/v2/models/echo-FP32/infer", content=body, headers={"Inference-Header-Content-Length": "0"})
    length = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 12}
    assert answer.content[length:] == body


def test_readiness_says_no_while_draining(http, app):
    assert http.get("/v2/health/ready").json() == {"live": True, "ready": True}
    app.draining = True
    assert http.get("/v2/health/ready").status_code == 503
    assert http.get("/v2/health/live").status_code == 200
    assert infer(http, "echo-INT8", {"name": "x", "shape": [1], "datatype": "INT8", "data": [1]}).status_code == 200
    app.draining = False


def test_a_bomb_is_not_unpacked(http):
    bomb = gzip.compress(b"0" * 8_000_000)
    answer = http.post("/v2/models/pair/infer", content=bomb, headers={"content-encoding": "gzip"})
    assert (answer.status_code, list(answer.json())) == (413, ["error"])
    cut = zlib.compress(b"{}")[:-2]
    assert http.post("/v2/models/pair/infer", content=cut, headers={"content-encoding": "deflate"}).status_code == 400
    assert http.post("/v2/models/pair/infer", content=b"", headers={"content-encoding": "br"}).status_code == 400


def test_a_body_over_the_limit_is_refused_before_it_is_read(address):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /v2/models/pair/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 413")


def test_other_routes_and_methods_are_refused_in_the_protocol_s_words(http):
    for method, path in (("GET", "/"), ("GET", "/v3"), ("DELETE", "/v2/models/pair"), ("GET", "/v2/models/pair/infer"),
                         ("GET", "/v2/models"), ("POST", "/v2/repository/models/pair/steal")):  # fmt: skip
        answer = http.request(method, path)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert http.head("/v2/health/live").status_code == 200


X = {"name": "x", "shape": [2], "datatype": "INT8", "data": [1, 2]}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "too few": ({**X, "data": [1]}, "takes 2 values; got 1"),
    "a huge shape": ({**X, "shape": [2**62, 2**62]}, "takes"),
    "a negative shape": ({**X, "shape": [-1]}, "negative dimension"),
    "too many dimensions": ({**X, "shape": [1] * 40}, "the limit is 16"),
    "ragged": ({**X, "shape": [2, 2], "data": [[1, 2], [3]]}, "does not have the shape"),
    "too deep": ({**X, "data": [[[1, 2]]]}, "3 lists deep"),
    "an unknown type": ({**X, "datatype": "INT7"}, "unknown datatype 'INT7'"),
    "out of range": ({**X, "data": [1, 300]}, "no INT8"),
    "a text": ({**X, "data": [1, "2"]}, "Expected `int`"),
    "no list": ({**X, "data": 7}, "must be a list"),
    "no data": ({"name": "x", "shape": [2], "datatype": "INT8"}, "neither data nor"),
    "binary without bytes": ({**X, "parameters": {"binary_data_size": 2}}, "0 bytes are left"),
    "binary size of true": ({**X, "parameters": {"binary_data_size": True}}, "binary_data_size is True"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_is_said(http, case):
    sent, said = WRONG[case]
    answer = infer(http, "echo-INT8", sent)
    assert answer.status_code in (400, 413)
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]


def test_missing_numbers_are_null_in_json(http):
    signature = {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, None, 3, 4, 5, 6]}
    assert "no value in row 0" in infer(http, "wide", signature).json()["error"]


# ---- garbage ----------------------------------------------------------------------------------------------------

BASE = {"inputs": [{"name": "a", "shape": [2], "datatype": "FP32", "data": [1.5, 2]},
                   {"name": "b", "shape": [2], "datatype": "FP64", "data": [1, 2]}]}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def ask(
    app: OpenInference, body: bytes, *, path: str = "/v2/models/pair/infer", who: Caller = OWNER, **headers: str
) -> tuple[int, bytes]:
    """One request straight into the application, without a socket."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "mainspring.caller": who,
        "headers": [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()],
    }
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_who_calls_decides_what_is_allowed(app, world):
    viewer = Caller("ann", roles=("viewer",), method="token")
    status, _ = ask(app, json.dumps(BASE).encode(), who=viewer, x_mainspring_caller="somebody else")
    assert status == 200
    assert world.entries[-1].caller == "ann"
    assert ask(app, b"", path="/v2/repository/models/pair/unload", who=viewer)[0] == 403
    assert ask(app, b"{}", path="/v2/repository/index", who=Caller("bob", roles=()))[0] == 403
    assert ask(app, b"{}", path="/v2/repository/index", who=Caller("eve", workspace="other"))[0] == 403


def proper(status: int, body: bytes) -> bool:
    return status == 200 or (400 <= status < 500 and list(json.loads(body)) == ["error"])


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200), length=st.text("0123456789-x", max_size=5))
def test_random_bytes_are_never_our_fault(app, body, length):
    assert proper(*ask(app, body, inference_header_content_length=length))


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_mutated_request_is_never_our_fault(app, data):
    request = json.loads(json.dumps(BASE))
    one = data.draw(st.sampled_from([request, *request["inputs"]]))
    key = data.draw(st.sampled_from([*sorted(one), "parameters", "outputs", "id"]))
    one[key] = data.draw(JSON)
    assert proper(*ask(app, json.dumps(request).encode()))


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 40),
    shape=st.lists(st.integers(-2, 9), max_size=3),
    datatype=st.sampled_from([*DTYPES, "BF16"]),
    payload=st.binary(max_size=40),
)
def test_binary_tensors_that_do_not_fit_are_never_our_fault(app, size, shape, datatype, payload):
    one = {"name": "a", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [one, BASE["inputs"][1]]}).encode()
    assert proper(*ask(app, head + payload, inference_header_content_length=str(len(head))))


def test_deep_nesting_is_never_our_fault(app):
    deep = b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert proper(*ask(app, deep))
    parameters = b'{"inputs":[],"x":' + b'{"y":' * 50_000 + b"1" + b"}" * 50_000 + b"}"
    assert proper(*ask(app, parameters))


def test_brain_floats_are_widened(app):
    values = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    one = {"name": "a", "shape": [2], "datatype": "BF16", "parameters": {"binary_data_size": 4}}
    head = json.dumps({"inputs": [one, BASE["inputs"][1]]}).encode()
    status, body = ask(app, head + values, inference_header_content_length=str(len(head)))
    assert status == 200
    assert json.loads(body)["outputs"][0]["data"] == [1.5, -2.0]
