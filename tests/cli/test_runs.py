"""`mainspring run` and `mainspring experiment` on a store of their own: what they find, change and take along."""

from __future__ import annotations

import json

import pytest

from mainspring.client.client import connect


@pytest.fixture
def ids(folder, tmp_path, monkeypatch):
    """Three runs of the experiment `demo`."""
    monkeypatch.setenv("MAINSPRING_SPOOL", str(tmp_path / "spools"))
    found = []
    with connect(folder) as client:
        for number in (1, 2, 3):
            with client.tracking.run("demo", params={"depth": number}, title=f"r{number}", source=False) as run:
                run.log(loss=1 / number, acc=number)
                run.log_text("hello", "a.txt")
            found.append(run.id)
    return found


def test_runs_are_listed_filtered_ordered_and_counted(say, ids):
    assert [row[2] for row in say("run", "list").rows] == ["r3", "r2", "r1"]
    assert say(
        "run", "list", "params.depth > 1", "--columns", "title,metrics.loss", "--order", "metrics.loss"
    ).rows == [["r3", "0.333333"], ["r2", "0.5"]]
    assert say("run", "list", "metrics.loss < 0.6 OR title = 'r1'", "--count").out.strip() == "3"
    assert [each["title"] for each in say("run", "list", "--limit", "2", "--json").json] == ["r3", "r2"]
    lines = say("run", "list", "--jsonl").out.splitlines()
    assert [json.loads(line)["title"] for line in lines] == ["r3", "r2", "r1"]
    assert say("run", "list", "--experiment", "demo", "--status", "failed").err.strip() == "no such runs"
    assert "metrics.lsos" in say("run", "list", "metrics.lsos > 1").err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "list", "statsu = 'x'"), 2, "^^^^^^"),
        (("run", "list", "--order", "nothing"), 2, "MS-1001"),
        (("run", "list", "--columns", "x"), 2, "known: run"),
        (("run", "list", "--experiment", "dmeo"), 3, "known: demo"),
        (("run", "list", "title = 'x'", "--kind", "step"), 2, "without a filter"),
        (("run", "compare", "nothing"), 3, "MS-2001"),
        (("run", "diff", "nothing"), 2, "MS-1001"),
        (("run", "sql", "DELETE FROM runs"), 2, "MS-1001"),
        (("run", "importance", "loss"), 2, "fewer than"),
        (("run", "tag", "x", "no-value"), 2, "key=value"),
        (("run", "export", "none", "x.zip"), 3, "MS-2001"),
        (("experiment", "show", "dmeo"), 3, "demo"),
        (("experiment", "create", "demo"), 4, "MS-3002"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_said(say, ids, words, code, said):
    answer = say(*words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


def test_runs_are_compared(say, ids):
    rows = dict((row[0], row[1:]) for row in say("run", "compare", *ids[:2]).rows)  # noqa: C402
    assert rows["params.depth"] == ["1", "2"]
    assert rows["metrics.acc"] == ["1", "2"]
    rows = {row[0]: row[1:] for row in say("run", "diff", *ids[:2]).rows}
    assert rows["metrics.loss"] == ["1", "0.5 (-0.5)"]
    assert "status" not in rows
    assert say("run", "diff", *ids[:2], "--json").json["params"][0]["values"] == [1, 2]


def test_runs_are_changed_deleted_and_restored(say, ids):
    assert say("run", "rename", ids[0], "better").code == 0
    assert say("run", "tag", ids[0], "team=web", "x=").code == 0
    assert say("run", "note", ids[0], "a note").code == 0
    shown = say("run", "show", ids[0]).out
    assert all(each in shown for each in ("better", "team=web", "a note", "a.txt"))
    assert say("run", "delete", *ids[:2]).err.strip() == "2 deleted"
    assert say("run", "list", "--columns", "run").rows == [[ids[2]]]
    assert len(say("run", "list", "--deleted").rows) == 2
    say("run", "restore", ids[0])
    assert say("run", "list", "--count").out.strip() == "2"


def test_sql_is_asked(say, ids):
    assert say("run", "sql", "SELECT title FROM runs ORDER BY title").rows == [["r1"], ["r2"], ["r3"]]
    limited = say("run", "sql", "SELECT title FROM runs", "--limit", "1")
    assert (len(limited.rows), "more than 1" in limited.err) == (1, True)
    assert say("run", "sql", "SELECT 1 AS one", "--json").json == {
        "columns": ["one"],
        "rows": [[1]],
        "truncated": False,
    }


def test_an_experiment_is_taken_along(say, ids, tmp_path):
    file = tmp_path / "demo.zip"
    assert say("run", "export", "demo", file).code == 0
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []
    other = tmp_path / "other"
    assert say("run", "import", file, "--store", other).out.strip() == "demo: 3 runs"
    assert say("run", "import", file, "--store", other, "--name", "again", "--json").json["runs"] == 3
    assert [row[0] for row in say("experiment", "list", "--store", other, "--order", "name").rows] == ["again", "demo"]
    assert say("run", "sync").err.strip() == "0 records sent"


def test_experiments_are_made_renamed_deleted_and_restored(say, ids):
    assert say("experiment", "create", "new", "--tag", "team=web", "--note", "why").code == 0
    assert say("experiment", "list", "tags.team = 'web'").rows[0][0] == "new"
    assert say("experiment", "rename", "new", "newer").code == 0
    shown = say("experiment", "show", "demo").out
    assert "metrics.loss\t3" in shown
    say("experiment", "delete", "newer")
    assert [row[0] for row in say("experiment", "list").rows] == ["demo"]
    assert [row[0] for row in say("experiment", "list", "--deleted").rows] == ["newer"]
    say("experiment", "restore", "newer")
    assert len(say("experiment", "list").rows) == 2


def test_what_is_listed_and_shown_without_being_asked_is_what_tells_most(say, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_SPOOL", str(tmp_path / "spools"))
    with connect(folder) as client:
        with client.tracking.run("other", source=False) as run:
            run.log(a=1, b=2, c=3, d=4)
        with client.tracking.run("ours", source=False) as outer:
            outer.log({"loss": 0.5, "system/cpu": 99.0})
            with client.tracking.run("ours", title="inner", group="g", source=False) as inner:
                inner.log(loss=0.25)
    rows = say("run", "list", "--experiment", "ours").rows
    assert [row[1:4] for row in rows] == [["inner", "finished", "0.25"], ["", "finished", "0.5"]]
    assert say("run", "list", "experiment = 'ours'").rows[0][4] == "0.25"
    about = say("run", "show", inner.id).out.split("\n\n")[0].splitlines()
    named = dict(line.split(None, 1) for line in about)
    assert (named["experiment"], named["title"], named["group"], named["parent"]) == ("ours", "inner", "g", outer.id)
    assert len({len(line) - len(line.split(None, 1)[1]) for line in about}) == 1


def test_an_id_is_in_one_piece_on_a_narrow_terminal(monkeypatch, capsys):
    from mainspring.cli.output import show_table

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    name = "01a1fed2-07a1-7fae-aa18-68662851a30f"
    show_table(("run", "title", "note"), [(name, "x" * 40, "many words " * 9)], empty="")
    assert name in capsys.readouterr().out
