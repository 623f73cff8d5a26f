"""Secrets: sealed in the store, found in three places, audited, and in nothing that is recorded."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

import mainspring as ms
from mainspring.cli.app import cli
from mainspring.client.client import connect
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Forbidden, InvalidInput, MainspringError, NotFound, Unavailable
from mainspring.pipelines import flow, step
from mainspring.trust import redaction
from mainspring.trust.secrets import find_key, from_vault, key_file, seal, unseal

VALUE = 'p4ss "wörd"/of+ü the warehouse'
_KEY = bytes(range(32))


@pytest.fixture(autouse=True)
def nothing_was_read(monkeypatch):
    for name, empty in (("_forms", {}), ("_pattern", None), ("_bytes", None)):
        monkeypatch.setattr(redaction, name, empty)


@step(secrets=("WAREHOUSE",))
def _logs_in(leak: str) -> int:
    value = ms.secret("WAREHOUSE")
    basic = base64.b64encode(f"user:{value}".encode()).decode()
    if leak == "log":
        import sys

        sys.stdout.write(f"{value} {basic} {urllib.parse.quote(value)} {json.dumps(value)} {value.encode().hex()}\n")
        ms.card.markdown(f"with {value}")
        ms.card.html(f"<p>{value}</p>")
    if leak == "error":
        raise ValueError(f"cannot log in with {value}")
    return {"result": f"token {basic}", "large": "x" * 100_000 + value}.get(leak, len(value))  # type: ignore[return-value]


@flow
def _reads(leak: str = "") -> int:
    return _logs_in(leak)


@step
def _undeclared() -> str:
    return ms.secret("WAREHOUSE")


@flow
def _reads_undeclared() -> str:
    return _undeclared()


def _everything(folder) -> bytes:
    """All bytes of a store, with what SQLite has not moved into its file yet, and the plain bytes of blobs."""
    with connect(folder) as client:
        steps = [each for run in client.pipelines.runs() for each in client.pipelines.steps(run.id)]
        told = [repr(steps), repr(client.pipelines.runs()), repr(client.trust.secrets())]
        for each in steps:
            told += [client.pipelines.logs(each.id), repr(client.pipelines.card(each.id))]
            told += [
                b"".join(client.storage.get_blob(part.content["digest"])).decode()
                for part in client.pipelines.card(each.id)
                if "digest" in part.content
            ]
        told.append(repr(client.backend.store.ledger.events(limit=1000)))
    with sqlite3.connect(folder / "mainspring.db") as database:
        told += list(database.iterdump())
    return "\n".join(told).encode()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("where", ["inline", "process"])
def test_a_value_reaches_the_step_and_nothing_that_is_kept(client, store_folder, where, monkeypatch):
    client.trust.set_secret("WAREHOUSE", VALUE)
    reads = _reads if where == "inline" else _away(monkeypatch, store_folder)
    assert reads.run(client) == len(VALUE)
    reads.run(client, leak="log")
    for leak, words in (("error", r"cannot log in with"), ("result", "holds the value"), ("large", "holds the value")):
        with pytest.raises(Exception, match=words):
            reads.run(client, leak=leak)
    steps = [client.pipelines.steps(run.id)[0] for run in client.pipelines.runs()]
    assert [each.state for each in steps] == ["failed", "failed", "failed", "finished", "finished"]
    assert client.pipelines.logs(steps[3].id).startswith("*** ")
    assert client.pipelines.card(steps[3].id)[0].content == {"text": "with ***"}
    assert steps[2].error["message"] == "ValueError: cannot log in with ***"
    kept = _everything(store_folder)
    data = VALUE.encode()
    for form in (
        VALUE,
        data.hex(),
        urllib.parse.quote(VALUE),
        json.dumps(VALUE)[1:-1],
        base64.b64encode(data).decode()[:20],
    ):
        assert form.encode() not in kept
    assert kept.count(b"***") > 3
    assert b"WAREHOUSE" in kept


def _away(monkeypatch, folder):
    import importlib

    (folder.parent / "secret_flows.py").write_text(
        "import base64, json, sys, urllib.parse\nimport mainspring as ms\nfrom mainspring.pipelines import flow, step\n"
        + _source(_logs_in).replace("@step(", '@step(where="process", ')
        + "\n\n@flow\ndef reads(leak: str = '') -> int:\n    return _logs_in(leak)\n"
    )
    monkeypatch.syspath_prepend(folder.parent)
    import secret_flows

    return importlib.reload(secret_flows).reads


def _source(found) -> str:
    import inspect

    return inspect.getsource(found.function)


@pytest.mark.databases("sqlite")
def test_readings_are_audited_and_names_are_all_that_is_told(client, monkeypatch):
    client.trust.set_secret("WAREHOUSE", VALUE)
    _reads.run(client)
    monkeypatch.setenv("MAINSPRING_SECRET_WAREHOUSE", "from outside")
    _reads.run(client)
    with pytest.raises(Forbidden, match="does not declare"):
        _reads_undeclared.run(client)
    noted = [
        change
        for event in client.storage.events(limit=100)
        for change in event.changes
        if change.resource == "secret/WAREHOUSE"
    ]
    assert sorted(change.detail.get("read", "set") for change in noted) == ["environment", "set", "store"]
    assert [each.name for each in client.trust.secrets()] == ["WAREHOUSE"]
    assert VALUE not in repr(client.trust.use_secret("WAREHOUSE"))
    client.trust.delete_secret("WAREHOUSE")
    with pytest.raises(NotFound):
        client.trust.delete_secret("WAREHOUSE")
    monkeypatch.delenv("MAINSPRING_SECRET_WAREHOUSE")
    with pytest.raises(NotFound, match="no secret WAREHOUSE"):
        _reads.run(client)


def test_what_is_sealed_opens_with_its_key_and_under_its_name():
    sealed = seal(VALUE, key=_KEY, workspace="team", name="A")
    assert unseal(sealed, key=_KEY, workspace="team", name="A") == VALUE
    assert seal(VALUE, key=_KEY, workspace="team", name="A").data != sealed.data
    for wrong in ({"key": bytes(32)}, {"name": "B"}, {"workspace": "other"}):
        with pytest.raises(Forbidden):
            unseal(sealed, **{"key": _KEY, "workspace": "team", "name": "A", **wrong})


def test_the_key_is_in_the_environment_or_in_a_file_of_its_owner(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    with pytest.raises(NotFound, match="no key"):
        find_key(environ=environ)
    key = find_key(create=True, environ=environ)
    assert find_key(create=True, environ=environ) == key
    assert key_file(environ).stat().st_mode & 0o777 == 0o600
    key_file(environ).chmod(0o640)
    with pytest.raises(InvalidInput, match="others may read"):
        find_key(environ=environ)
    assert find_key(environ={"MAINSPRING_KEY": base64.b64encode(_KEY).decode()}) == _KEY
    with pytest.raises(InvalidInput, match="not a key"):
        find_key(environ={"MAINSPRING_KEY": "short"})


@pytest.mark.databases("sqlite")
def test_who_may_set_and_what_is_refused(client, store):
    from mainspring.store.local import LocalBackend
    from mainspring.trust.guard import RoleGuard
    from mainspring.trust.service import Trust

    guarded = Trust(LocalBackend(store, RoleGuard()))
    with acting_as(Caller("ann", roles=("contributor",))), pytest.raises(Forbidden):
        guarded.set_secret("A", "12345678")
    for name, value in (("a b", "x"), ("A", ""), ("A", "x" * 70_000), ("1A", "x")):
        with pytest.raises(MainspringError):
            client.trust.set_secret(name, value)


@pytest.mark.databases("sqlite")
def test_the_command_line_takes_no_value_as_an_argument(store_folder):
    run = CliRunner()
    at = ["--store", str(store_folder)]
    assert run.invoke(cli, ["secret", "set", "TOKEN", *at], input=VALUE + "\n").exit_code == 0
    listed = run.invoke(cli, ["secret", "list", *at])
    assert "TOKEN" in listed.output
    assert VALUE not in listed.output
    assert run.invoke(cli, ["secret", "set", "TOKEN", "value", *at]).exit_code != 0
    assert run.invoke(cli, ["secret", "delete", "TOKEN", *at]).exit_code == 0


class _Vault(BaseHTTPRequestHandler):
    """What HashiCorp documents of `GET /v1/:mount/data/:path`: not Vault, which is not installed where tests run."""

    def do_GET(self):
        status, body = 404, {"errors": []}
        if self.headers["X-Vault-Token"] != "s.token":
            status, body = 403, {"errors": ["permission denied"]}
        elif self.path == "/v1/secret/data/team/ml":
            metadata = {"created_time": "2026-11-01T00:00:00Z", "destroyed": False, "version": 3}
            status, body = 200, {"data": {"data": {"WAREHOUSE": VALUE}, "metadata": metadata}}
        elif self.path == "/v1/secret/data/sealed":
            status, body = 503, {"errors": ["Vault is sealed"]}
        elif self.path == "/v1/kv1/data/old":
            status, body = 200, {"data": {"WAREHOUSE": "version 1"}}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.mark.databases("sqlite")
def test_vault_is_asked_where_the_store_has_nothing(client, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Vault)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environ = {"VAULT_ADDR": f"http://127.0.0.1:{server.server_port}", "VAULT_TOKEN": "s.token"}
    try:
        assert from_vault("WAREHOUSE", "secret/team/ml", environ) == VALUE
        assert from_vault("OTHER", "secret/team/ml", environ) is None
        assert from_vault("WAREHOUSE", "secret/nothing", environ) is None
        for place, error in (("secret/sealed", Unavailable), ("kv1/old", Unavailable), ("secret", InvalidInput)):
            with pytest.raises(error):
                from_vault("WAREHOUSE", place, environ)
        with pytest.raises(Forbidden):
            from_vault("WAREHOUSE", "secret/team/ml", environ | {"VAULT_TOKEN": "wrong"})
        for name, value in {
            **environ,
            "MAINSPRING_VAULT": "secret/team/ml",
            "MAINSPRING_STORE": client.address,
        }.items():
            monkeypatch.setenv(name, value)
        with connect(client.address) as configured:
            assert _reads.run(configured) == len(VALUE)
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(Unavailable, match="does not answer"):
        from_vault("WAREHOUSE", "secret/team/ml", environ)
