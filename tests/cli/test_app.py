"""What holds for every command: errors, exit codes, help, and that looking makes nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys

import click
import pytest

from mainspring.cli.app import GROUPS, cli, main
from mainspring.cli.output import exit_code_of
from mainspring.client.client import connect
from mainspring.kernel import errors


def _commands(command=cli, path=()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _commands(command.get_command(context, name), (*path, name))
    else:
        yield path, command


EVERY = list(_commands())


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(path) for path, _ in EVERY])
def test_a_command_explains_itself(path, command, say):
    said = say(*path, "--help")
    assert said.code == 0
    if not command.hidden:  # what Git calls is not for people
        assert f"mainspring {path[0]}" in said.out
    documented = command.callback.__doc__
    assert documented.partition("\n")[0].endswith((".", ":", "?")), "one sentence first"
    if "\b" in documented:
        assert f"mainspring {' '.join(path)}" in documented, "the example is of this command"


def test_what_reads_has_json():
    lists = [
        (path, command) for path, command in EVERY if path[-1] in ("list", "show", "log", "versions", "why", "impact")
    ]
    assert len(lists) > 20
    assert [path for path, command in lists if not any("--json" in each.opts for each in command.params)] == []


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_groups_are_where_they_are_said_to_be(name):
    module, _, attribute = GROUPS[name].partition(":")
    assert getattr(importlib.import_module(module), attribute).name == name


def test_help_loads_no_data_library():
    program = "import sys\nfrom mainspring.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass\n"
    program += "print([m for m in ('numpy', 'polars', 'apsw', 'starlette', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_names_the_nearest(say):
    said = say("dta")
    assert said.code == 2
    assert "data" in said.err


@pytest.mark.parametrize(
    ("words", "code", "stable"),
    [
        (("data", "show", "nothing"), 3, "MS-2001"),
        (("data", "show", "a@b@c"), 2, "MS-1003"),
        (("data", "commit", "no/../way", "."), 2, "MS-1002"),
        (("run", "show", "nothing"), 3, "MS-2001"),
        (("model", "show", "nothing"), 3, "MS-2001"),
        (("flow", "show", "nothing"), 3, "MS-2001"),
        (("endpoint", "show", "nothing"), 3, "MS-2001"),
        (("alert", "ack", "nothing"), 3, "MS-2001"),
        (("loop", "stop", "nothing"), 3, "MS-2001"),
        (("suite", "show", "nothing"), 3, "MS-2001"),
        (("why", "prediction/nothing"), 2, "MS-1001"),
        (("why", "step/nothing"), 3, "MS-2001"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_an_error_is_a_message_a_code_and_nothing_else(say, folder, words, code, stable):
    connect(folder).close()
    said = say(*words)
    assert (said.code, said.out) == (code, "")
    assert f"error[{stable}]" in said.err
    assert "Traceback" not in said.err


def test_a_server_that_is_away_is_exit_code_5(say):
    said = say("data", "list", "--url", "http://127.0.0.1:9")
    assert said.code == 5
    assert "MS-6001" in said.err


def test_every_error_has_an_exit_code():
    codes = {
        exit_code_of(each.__new__(each))
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.MainspringError)
    }
    assert codes == {1, 2, 3, 4, 5}


def test_reading_makes_no_store(say, folder):
    for words in (("data", "list"), ("run", "list"), ("audit", "list"), ("verify",), ("why", "dataset/x")):
        assert say(*words).code == 3
        assert not (folder / "mainspring.db").exists()


def test_a_defect_is_told_without_a_traceback(say, folder, monkeypatch):
    connect(folder).close()

    def broken(*_, **__):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("mainspring.data.service.Data.datasets", broken)
    said = say("data", "list")
    assert (said.code, "MS-9001" in said.err, "Traceback" in said.err) == (1, True, False)
    monkeypatch.setenv("MAINSPRING_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["data", "list"])


def test_an_interrupt_is_130(say, folder, monkeypatch):
    connect(folder).close()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mainspring.data.service.Data.datasets", interrupted)
    assert say("data", "list").code == 130


def test_settings_are_shown_with_their_origin_and_without_secrets(say, folder, monkeypatch):
    folder.mkdir()
    (folder / "config.toml").write_text("workers = 3\n")
    monkeypatch.setenv("MAINSPRING_TOKEN", "ms_secret")
    found = {each["name"]: each for each in say("config", "--json").json}
    assert (found["workers"]["value"], found["workers"]["origin"]) == (3, str(folder / "config.toml"))
    assert (found["token"]["value"], found["token"]["origin"]) == ("***", "MAINSPRING_TOKEN")
    assert "ms_secret" not in say("config").out


def test_tokens_are_made_listed_and_revoked(say):
    made = say("token", "create", "ann", "--role", "approver")
    assert made.out.startswith("ms_")
    (token,) = say("token", "list", "--json").json
    assert (token["principal"], token["roles"], token["revoked_at"]) == ("ann", ["approver"], None)
    assert "hash" not in token
    assert made.out.strip() not in say("token", "list").out
    assert say("token", "revoke", token["id"]).code == 0
    assert say("token", "revoke", token["id"]).code == 3
    assert say("token", "create", "ann", "--role", "king").code == 2


def test_an_edited_audit_log_is_exit_code_1(say, folder):
    say("token", "create", "ann")
    assert say("audit", "verify").code == 0
    assert say("verify", "--json").json["intact"] is True
    with connect(folder) as client, client.backend.store.bookkeeping() as tx:
        tx.execute("UPDATE ledger SET changes = replace(changes, 'ann', 'bob')")
    said = say("audit", "verify")
    assert (said.code, "NOT intact" in said.out) == (1, True)
    assert say("verify").code == 1


def test_doctor_and_completion(say, folder):
    connect(folder).close()
    found = {each["what"]: each["state"] for each in say("doctor", "--json").json}
    assert (found["mainspring"], found["store"]) == ("ok", "ok")
    for shell in ("bash", "zsh", "fish"):
        assert "mainspring" in say("completion", shell).out
