"""`why` and `impact` on a graph of a million edges, where the answer has a thousand nodes."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime

from row import Row, median_seconds

from mainspring.kernel.ids import new_id
from mainspring.lineage.queries import impact, why
from mainspring.lineage.tables import ARTIFACTS, EDGES, RUNS
from mainspring.lineage.types import Artifact, Edge, Run
from mainspring.store.store import Store

STORIES = 511
RUNS_EACH = 500
USES = 3
IDS_ALONE = """
WITH RECURSIVE reached (id) AS (
  SELECT CAST(? AS TEXT) UNION SELECT edge.{far} FROM edge JOIN reached ON edge.{near} = reached.id
) SELECT count(*) FROM reached
"""


def rows() -> Iterator[Row]:
    """Both directions, each beside the bare recursive query that finds the ids and nothing else."""
    with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder, Store.open(folder) as store:
        first, last = _build(store)
        for name, ask, node, near, far in (
            ("why", why, last, "target", "source"),
            ("impact", impact, first, "source", "target"),
        ):
            with store.read() as tx:
                edges = tx.value("SELECT count(*) FROM edge")
                nodes = len(ask(tx, node).nodes)
                ours = median_seconds(lambda: ask(tx, node), times=15) * 1000  # noqa: B023 -- called at once
                query = IDS_ALONE.format(near=near, far=far)
                bare = median_seconds(lambda: tx.value(query, (node,)), times=15) * 1000  # noqa: B023
            yield Row(
                f"{name}, {edges:,} edges, {nodes:,} nodes",
                ours,
                bare,
                "the ids alone, in SQL",
                bare / ours,
                "ours < 50",
                "ms",
            )


def _build(store: Store) -> tuple[str, str]:
    """Many stories of runs that each use three earlier artifacts and make one; the first and last node of one story."""
    draw = random.Random(7)
    ends = ("", "")
    for story in range(STORIES):
        records = _story(story, draw)
        with store.bookkeeping() as tx:
            for table, some in zip((RUNS, ARTIFACTS, EDGES), records, strict=True):
                tx.insert_many(table, some)
        if story == STORIES // 2:
            ends = (records[0][0].id, records[1][-1].id)
    return ends


def _story(story: int, draw: random.Random) -> tuple[list[Run], list[Artifact], list[Edge]]:
    at = datetime.now(UTC)
    runs: list[Run] = []
    artifacts: list[Artifact] = []
    edges: list[Edge] = []
    for number in range(RUNS_EACH):
        run = Run(new_id(), "default", "step", f"step-{story}", "finished", "", at, at, None, {}, "owner")
        artifact = Artifact(
            new_id(),
            "default",
            "dataset",
            f"table-{story}",
            number + 1,
            f"{story:032x}{number:032x}",
            1,
            {},
            run.id,
            at,
            "owner",
        )
        # The newest is always among what is used, so that the last node has everything behind it.
        used = (
            {number - 1, *(draw.randrange(max(0, number - 50), number) for _ in range(USES - 1))} if number else set()
        )
        edges += [Edge(artifacts[each].id, run.id, "input") for each in sorted(used)]
        edges.append(Edge(run.id, artifact.id, "output"))
        runs.append(run)
        artifacts.append(artifact)
    return runs, artifacts, edges
