"""The registry with 1,000 and 10,000 models of 10 versions each: a page of names, searches, one version, a deep page.

The peer is MLflow's own SQLite store, in process, with as many models as it bears to be filled with in reasonable time.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from peers import find_peer, run_peer
from row import Row, median_seconds

from mainspring.client.client import Client, connect
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.ids import new_id
from mainspring.lineage.tables import ARTIFACTS
from mainspring.lineage.types import Artifact
from mainspring.models.tables import MEASURED, MODELS, NOTES
from mainspring.models.types import Measured, Model, VersionNotes
from mainspring.store.store import Store

VERSIONS = 10
PEER_MODELS = 300
TEAMS = 20
FACTS = {
    "format": "skops",
    "signature": msgspec.to_builtins(Signature(inputs=tuple(Field(f"column_{n}", "FP64") for n in range(20)))),
    "metrics": {"auc": {"value": 0.8}},
    "parameters": {f"parameter_{n}": n for n in range(20)},
}

PROGRAM = f"""
import json, random, time
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
store = SqlAlchemyStore("sqlite:///mlflow.db")
draw = random.Random(7)
for number in range({PEER_MODELS}):
    name = f"model-{{number:05}}"
    store.create_registered_model(name, [RegisteredModelTag("team", f"team-{{number % {TEAMS}}}")])
    for version in range({VERSIONS}):
        tags = [ModelVersionTag("kind", f"k{{draw.randrange(10)}}")]
        store.create_model_version(name, "s3://bucket/" + name, "0" * 32, tags)
def taken(ask):
    ask()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return sorted(times)[1] * 1000
print(json.dumps({{
    "page": taken(lambda: store.search_registered_models(None, 100)),
    "tag": taken(lambda: store.search_model_versions("tags.kind = 'k3'", 100)),
    "get": taken(lambda: store.get_model_version("model-00007", "3")),
}}))
"""


def rows() -> Iterator[Row]:
    """Ours at two sizes, then beside the peer at a size that it bears."""
    for count in (1_000, 10_000):
        with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
            fill(Path(folder), count)
            with connect(folder) as client:
                for name, taken, limit in _asked(client, count):
                    where = f"{count:,} models × {VERSIONS} versions"
                    yield Row(f"{name}, {where}", taken, limit=limit if count == 10_000 else "", unit="ms")
    yield from _beside_mlflow()


def _asked(client: Client, count: int) -> Iterator[tuple[str, float, str]]:
    models = client.models
    middle = f"model-{count // 2:05}"

    def page(query: str = "", **more: object) -> None:
        if len(models.search(query, limit=100, **more).models) == 0:
            raise AssertionError(query)

    def versions(query: str, **more: object) -> None:
        if len(models.search_versions(query, limit=100, **more).versions) == 0:
            raise AssertionError(query)

    token = models.search(limit=100).next_page
    for _ in range(count // 250):
        token = models.search(limit=100, page=token).next_page or token
    yield "page of 100 models with their newest versions", _ms(page), "ours <= 30"
    yield "a page 40% into them", _ms(lambda: page(page=token)), "ours <= 30"
    yield "models by a tag", _ms(lambda: page("tags.team = 'team-3'")), "ours <= 30"
    yield "versions by a tag", _ms(lambda: versions("tags.kind = 'k3'")), "ours <= 30"
    yield "versions by alias", _ms(lambda: versions("alias = 'champion'")), "ours <= 30"
    yield "versions by metric, newest first", _ms(lambda: versions("metrics.auc > 0.99", order_by=["updated DESC"])), ""
    yield "one version by number", _ms(lambda: models.get(f"{middle}@3")), "ours <= 2"
    yield "one version by alias", _ms(lambda: models.get(f"{middle}@champion")), "ours <= 2"
    yield "the versions of a model", _ms(lambda: models.versions(middle)), "ours <= 10"


def _beside_mlflow() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
        fill(Path(folder), PEER_MODELS)
        with connect(folder) as client:
            ours = {
                "page": _ms(lambda: client.models.search(limit=100)),
                "tag": _ms(lambda: client.models.search_versions("tags.kind = 'k3'", limit=100)),
                "get": _ms(lambda: client.models.get("model-00007@3")),
            }
    found = find_peer("mlflow", "mlflow==3.17.2")
    peer: dict[str, float] = {}
    if found is not None:
        with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
            peer = run_peer(found[0], PROGRAM, cwd=Path(folder))
    names = {"page": "page of 100 models", "tag": "100 versions by a tag", "get": "one version"}
    for key, name in names.items():
        what = f"{name}, {PEER_MODELS} models × {VERSIONS} versions"
        if key in peer:
            yield Row(what, ours[key], peer[key], found[1] if found else "", peer[key] / ours[key], "ratio >= 1", "ms")
        else:
            yield Row(what, ours[key], unit="ms")


def _ms(ask: object) -> float:
    return median_seconds(ask) * 1000


def fill(folder: Path, count: int) -> None:
    """A store with so many models, by bulk inserts."""
    draw = random.Random(7)
    with Store.open(folder) as store:
        for start in range(0, count, 500):
            with store.bookkeeping() as tx:
                _fill(tx, range(start, min(start + 500, count)), draw)


def _fill(tx, numbers: range, draw: random.Random) -> None:  # noqa: ANN001 -- a transaction
    models, artifacts, notes, measured, labels = [], [], [], [], []
    for number in numbers:
        name, at = f"model-{number:05}", tx.now
        team = {"team": f"team-{number % TEAMS}"}
        models.append(Model("default", name, "", team, at, "me", at, None))
        labels.append(("default", name, 0, "tag", "team", team["team"]))
        for version in range(1, VERSIONS + 1):
            digest = f"{number:058}{version:06}"
            made = Artifact(new_id(), "default", "model", name, version, digest, 1, FACTS, "", at, "me")
            artifacts.append(made)
            kind, aliases = f"k{draw.randrange(10)}", ["champion"] if version == VERSIONS else []
            notes.append(
                VersionNotes(
                    "default", name, version, made.id, made.digest, "", "skops", "", {"kind": kind}, aliases, "None",
                    "ready", "", "pending", 0, at, "me", at,
                )
            )
            labels.append(("default", name, version, "tag", "kind", kind))
            labels += [("default", name, version, "alias", alias, "") for alias in aliases]
            measured.append(Measured("default", name, version, "", "auc", draw.random(), None, None, None, at, "me"))
        tx.execute("INSERT INTO alias VALUES ('default', 'model', ?, 'champion', ?)", (name, VERSIONS))
    tx.insert_many(MODELS, models)
    tx.insert_many(ARTIFACTS, artifacts)
    tx.insert_many(NOTES, notes)
    tx.insert_many(MEASURED, measured)
    tx.many(
        "INSERT INTO model_label (workspace, name, version, space, key, value, head) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*label, label[-1]) for label in labels],
    )
