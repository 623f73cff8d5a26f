"""SQL over the views: what it answers, and that nothing else is to be had through it, on both databases."""

from __future__ import annotations

import pytest

from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput, TooLarge
from mainspring.tracking import sql_view
from mainspring.tracking.sql_view import SQL_VIEWS


@pytest.fixture
def asked(any_client):
    """Asks the client of a store with two runs."""
    for number in (1, 2):
        with any_client.tracking.run(
            "demo", params={"depth": number}, tags={"t": "x"}, title=f"r{number}", source=False
        ) as run:
            run.log(loss=1.0 / number, acc=0.5)
            run.log_text("hello", "a.txt")
    return any_client.tracking.sql


ANSWERS = [
    (
        "SELECT title, experiment, status FROM runs ORDER BY title",
        [["r1", "demo", "finished"], ["r2", "demo", "finished"]],
    ),
    ("SELECT key, count(*), max(last) FROM metrics GROUP BY key ORDER BY 1", [["acc", 2, 0.5], ["loss", 2, 1.0]]),
    ("SELECT r.title FROM runs r JOIN params p USING (run_id) WHERE p.key = 'depth' AND p.number > 1", [["r2"]]),
    ("SELECT count(*) FROM tags", [[2]]),
    ("SELECT path, size FROM files LIMIT 1", [["a.txt", 5]]),
    ("SELECT sum(count) FROM chunks", [[4]]),
    ("SELECT name, status FROM experiments", [["demo", "active"]]),
    ("WITH best AS (SELECT min(last) m FROM metrics WHERE key = 'loss') SELECT m FROM best", [[0.5]]),
    ("SELECT title, rank() OVER (ORDER BY title DESC) FROM runs ORDER BY 1", [["r1", 2], ["r2", 1]]),
    ("SELECT count(*) FROM runs WHERE started_at > datetime('now', '-1 day') AND seconds < 60", [[2]]),
    ("SELECT value FROM json_each('[1]')", [[1]]),
    ("SELECT title FROM runs WHERE title REGEXP '^r[2-9]$'", [["r2"]]),
    ("SELECT 9e999, x'ff' -- a remark\n ; ", [["inf", "ff"]]),
    ("SELECT 1 WHERE 0", []),
]


def test_it_answers(asked):
    for query, rows in ANSWERS:
        found = asked(query)
        assert found.rows == rows, query
        assert len(found.columns) >= 1


ATTACKS = [
    # other tables, by name, through a shadow of a view's name, by counting, by schema
    "SELECT * FROM run",
    "SELECT * FROM tracked_run",
    "SELECT count(*) FROM token",
    "SELECT 1 FROM main.token",
    "SELECT count(*) FROM tracked_run",
    "WITH runs AS (SELECT * FROM token) SELECT * FROM runs",
    "WITH metrics AS (SELECT * FROM run_value) SELECT count(*) FROM metrics",
    "SELECT * FROM (SELECT * FROM experiment) AS runs",
    "SELECT (SELECT count(*) FROM artifact)",
    "SELECT title FROM runs WHERE EXISTS (SELECT 1 FROM token)",
    "SELECT * FROM runs UNION SELECT id, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 FROM run",
    "SELECT * FROM sqlite_master",
    "SELECT count(*) FROM sqlite_schema",
    "SELECT * FROM temp.sqlite_temp_master",
    "SELECT sql FROM sqlite_temp_schema",
    "SELECT * FROM pragma_table_info('run')",
    "SELECT count(*) FROM pragma_database_list",
    "SELECT count(*) FROM dbstat",
    "SELECT * FROM pg_catalog.pg_authid",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(100)",
    "SELECT pg_advisory_lock(1835100526)",
    "SELECT set_config('x', 'y', false)",
    # writing, and everything that is no SELECT
    "DELETE FROM runs",
    "UPDATE runs SET title = 'x'",
    "INSERT INTO experiments VALUES (1, 2, 3, 4, 5, 6)",
    "DELETE FROM tracked_run",
    "DROP VIEW runs",
    "CREATE TEMP TABLE t (a)",
    "CREATE TEMP VIEW x AS SELECT * FROM main.token",
    "ATTACH '/tmp/x.db' AS x",
    "DETACH main",
    "PRAGMA query_only = off",
    "PRAGMA table_info(run)",
    "VACUUM INTO '/tmp/x.db'",
    "BEGIN",
    "COMMIT",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN SELECT 1",
    "EXPLAIN QUERY PLAN SELECT * FROM runs",
    "COPY runs TO '/tmp/x'",
    "SET ROLE postgres",
    # several
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE run",
    "SELECT 1 /* ; */; SELECT 2",
    "SELECT 1; -- \n SELECT 2",
    # functions
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/x', 'y')",
    "SELECT hex(randomblob(1000000000))",
    "SELECT zeroblob(1000000000)",
    "SELECT printf('%1000000000d', 1)",
    "SELECT fts3_tokenizer('simple')",
    "SELECT sqlite_source_id()",
    # bombs
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r",
    "SELECT 1" + " + 1" * 5000,
    # nothing, or nonsense
    "",
    "   -- nothing",
    "selec 1",
    "SELECT ?",
    "SELECT :name",
    "SELECT '\x00'",
    "SELECT 1" + " " * 60_000,
]


def test_it_reads_nothing_else_and_changes_nothing(asked, any_client):
    passed = []
    for query in ATTACKS:
        try:
            passed.append((query, asked(query)))
        except InvalidInput:
            continue
    assert passed == []
    assert any_client.tracking.count() == 2


def test_a_bomb_is_stopped_in_time(client, monkeypatch):
    monkeypatch.setattr(sql_view, "_SECONDS", 0.5)
    with client.tracking.run("demo", source=False) as run:
        run.log({f"m{number}": 1.0 for number in range(60)})
    began = monotonic()
    with pytest.raises(DeadlineExceeded):
        client.tracking.sql(
            "SELECT count(*) FROM metrics a, metrics b, metrics c, metrics d, metrics e WHERE a.last + b.last > e.last"
        )
    assert monotonic() - began < 10
    with pytest.raises((DeadlineExceeded, TooLarge)):
        client.tracking.sql(
            "SELECT group_concat(a.run_id || b.run_id || c.run_id) FROM metrics a, metrics b, metrics c, metrics d"
        )


def test_an_answer_has_limits(asked):
    assert asked("SELECT * FROM runs", limit=1).truncated
    assert not asked("SELECT * FROM runs", limit=2).truncated
    for wrong in (0, 10_001):
        with pytest.raises(InvalidInput):
            asked("SELECT 1", limit=wrong)


def test_an_answer_has_a_size(client, monkeypatch):
    monkeypatch.setattr(sql_view, "_BYTES", 100)
    assert client.tracking.sql("SELECT 'short'").rows == [["short"]]
    with pytest.raises(TooLarge):
        client.tracking.sql(f"SELECT '{'x' * 101}'")


def test_other_workspaces_and_deleted_runs_are_not_there(client):
    with client.tracking.run("demo", source=False) as run:
        run.log(loss=1.0)
    for name in ("other", "it's", "default' OR '1'='1"):
        with acting_as(Caller("bob", workspace=name)):
            for view in SQL_VIEWS:
                assert client.tracking.sql(f"SELECT count(*) FROM {view}").rows == [[0]], (name, view)
    client.tracking.delete_runs([run.id])
    assert client.tracking.sql("SELECT count(*) FROM runs").rows == [[0]]
    assert client.tracking.sql("SELECT count(*) FROM metrics").rows == [[0]]


def test_every_view_has_the_columns_it_says(client):
    for view, columns in SQL_VIEWS.items():
        assert tuple(client.tracking.sql(f"SELECT * FROM {view}").columns) == columns
