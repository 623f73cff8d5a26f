"""Finding runs among 3,000 and 30,000 with 300 keys each: a filtered, ordered first page of ten columns, and a count.

The peer is MLflow's own SQLite store, in process, with as many runs as it can be filled with in reasonable time; it
always loads every metric, parameter and tag of a page, so both ways of asking us are shown.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peers import find_peer, run_peer
from row import Row, median_seconds

from mainspring.client.client import Client, connect
from mainspring.kernel.ids import new_id
from mainspring.lineage.tables import RUNS
from mainspring.lineage.types import Run
from mainspring.store.store import Store

METRICS, PARAMS, TAGS = 260, 30, 10
PEER_RUNS, PEER_METRICS = 1000, 100
QUERY = "metrics.m7 < 0.5 AND params.p3 >= 20"
FIELDS = [*(f"metrics.m{number}" for number in range(7, 12)), *(f"params.p{number}" for number in range(3, 8))]

PROGRAM = f"""
import json, random, time
from mlflow.entities import Metric, Param
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
store = SqlAlchemyStore("sqlite:///mlflow.db", "file:./artifacts")
experiment = store.create_experiment("bench")
draw = random.Random(7)
for number in range({PEER_RUNS}):
    run = store.create_run(experiment, "me", number, [], str(number)).info.run_id
    metrics = [Metric(f"m{{key}}", draw.random(), 0, 0) for key in range({PEER_METRICS})]
    store.log_batch(run, metrics, [Param(f"p{{key}}", str(draw.randrange(100))) for key in range({PARAMS})], [])
def ask():
    return store.search_runs([experiment], "metrics.m7 < 0.5 AND params.p3 != '20'", 1, 100, ["metrics.m8 DESC"])
ask()
taken = []
for _ in range(3):
    start = time.perf_counter()
    ask()
    taken.append(time.perf_counter() - start)
print(json.dumps({{"page": sorted(taken)[1] * 1000}}))
"""


def rows() -> Iterator[Row]:
    """The page and the count at two sizes, then beside the peer at a size that it bears."""
    for count in (3_000, 30_000):
        with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
            fill(Path(folder), count, METRICS)
            with connect(folder) as client:
                yield from _ours(client, count)
    yield _beside_mlflow()


def _ours(client: Client, count: int) -> Iterator[Row]:
    final = count == 30_000
    width = METRICS + PARAMS + TAGS
    what = f"{count:,} runs × {width} keys"
    page = median_seconds(lambda: _page(client, FIELDS)) * 1000
    yield Row(f"first page of 100, 10 columns, {what}", page, limit="ours <= 50" if final else "", unit="ms")
    latest = median_seconds(lambda: client.tracking.search(experiments=["bench"], fields=FIELDS, limit=100)) * 1000
    yield Row(f"latest 100, 10 columns, {what}", latest, unit="ms")
    counted = median_seconds(lambda: client.tracking.count(QUERY, experiments=["bench"])) * 1000
    yield Row(f"count with a filter on two keys, {what}", counted, unit="ms")
    rare = median_seconds(lambda: client.tracking.count("metrics.m7 < 0.01 AND params.p3 >= 20")) * 1000
    yield Row(f"count with a filter of which one part is rare, {what}", rare, unit="ms")
    fields = ["metrics.m7", "metrics.m8"]
    groups = median_seconds(lambda: client.tracking.group(by=["params.p3"], fields=fields)) * 1000
    yield Row(f"100 groups with the spread of two metrics, {what}", groups, unit="ms")
    jump = median_seconds(lambda: client.tracking.search(offset=count // 2, fields=FIELDS, limit=200)) * 1000
    yield Row(f"200 from the middle, 10 columns, {what}", jump, unit="ms")
    single = median_seconds(lambda: client.tracking.count("metrics.m7 < 0.5", experiments=["bench"])) * 1000
    yield Row(f"count with a filter on a metric, {what}", single, limit="ours <= 5" if final else "", unit="ms")
    plain = median_seconds(lambda: client.tracking.count(experiments=["bench"])) * 1000
    yield Row(f"count of all, {what}", plain, unit="ms")
    keys = median_seconds(lambda: client.tracking.keys(experiments=["bench"], prefix="m1")) * 1000
    yield Row(f"names with a prefix, {what}", keys, unit="ms")


def _page(client: Client, fields: list[str] | None) -> None:
    found = client.tracking.search(QUERY, experiments=["bench"], order_by=["-metrics.m8"], fields=fields, limit=100)
    if len(found.runs) != 100:
        raise AssertionError(f"{len(found.runs)} runs were found")


def _beside_mlflow() -> Row:
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        fill(Path(folder), PEER_RUNS, PEER_METRICS)
        with connect(folder) as client:
            ours = median_seconds(lambda: _page(client, FIELDS)) * 1000
            whole = median_seconds(lambda: _page(client, None)) * 1000
    name = f"first page of 100, {PEER_RUNS:,} runs × {PEER_METRICS + PARAMS} keys"
    found = find_peer("mlflow", "mlflow==3.17.2")
    if found is None:
        return Row(name, ours, unit="ms", limit="ratio >= 50")
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        peer = run_peer(found[0], PROGRAM, cwd=Path(folder))["page"]
    note = f"MLflow has no projection; all columns of the page take us {whole:.0f} ms"
    return Row(name, ours, peer, found[1], peer / ours, "ratio >= 50", "ms", note)


def fill(folder: Path, count: int, metrics: int) -> None:
    """A store with one experiment of `count` runs, by bulk inserts."""
    draw = random.Random(7)
    with Store.open(folder) as store:
        names = [("metric", f"m{key}") for key in range(metrics)]
        names += [("param", f"p{key}") for key in range(PARAMS)] + [("tag", f"t{key}") for key in range(TAGS)]
        with store.bookkeeping() as tx:
            tx.execute("INSERT INTO experiment VALUES (1, 'default', 'bench', 'active', '', '', 1, 1, 'me')")
            keys = [(number, 1, *name) for number, name in enumerate(names, 1)]
            tx.many("INSERT INTO run_key (id, experiment_id, space, name) VALUES (?, ?, ?, ?)", keys)
        for start in range(0, count, 1000):
            with store.bookkeeping() as tx:
                _fill(tx, range(start + 1, min(start + 1000, count) + 1), metrics, draw)


def _fill(tx, numbers: range, metrics: int, draw: random.Random) -> None:  # noqa: ANN001 -- a transaction
    ids = {number: new_id() for number in numbers}
    at = tx.now
    about = ("default", "training", "bench", "finished", "", at, at, None, {}, "me")
    tx.insert_many(RUNS, [Run(ids[each], *about) for each in numbers])
    tx.many(
        "INSERT INTO tracked_run VALUES"
        " (?, ?, 'default', 1, ?, 'me', 'finished', ?, ?, NULL, '', '', '', '{}', NULL, NULL, 1)",
        [(each, ids[each], f"run {each}", each * 1_000_000, each * 1_000_000 + 5) for each in numbers],
    )
    for each in numbers:
        tx.many(
            "INSERT INTO metric (run, key, last, special, step, at, count, minimum, maximum, first_step, chunks)"
            " VALUES (?, ?, ?, '', 99, 1, 100, 0.0, 1.0, 0, 1)",
            [(each, key, draw.random()) for key in range(1, metrics + 1)],
        )
        texts = [str(draw.randrange(100)) for _ in range(PARAMS + TAGS)]
        tx.many(
            "INSERT INTO run_value (run, key, number, text, type) VALUES (?, ?, ?, ?, 's')",
            [(each, metrics + 1 + key, float(text), text) for key, text in enumerate(texts)],
        )
