"""Fills a store through public services, with one of everything that the console shows."""

from __future__ import annotations

from mainspring.lineage import graph


def fill(client) -> dict[str, str]:
    """Returns the names and ids that pages are asked for with."""
    names: dict[str, str] = {}
    _lineage(client, names)
    return names


def _lineage(client, names) -> None:
    store = client.backend.store
    with store.write("test.fill") as tx:
        flights = graph.add_artifact(tx, "dataset", "flights", digest="a" * 64, size=123_456, metadata={"rows": 1000})
        weather = graph.add_artifact(tx, "dataset", "weather", digest="b" * 64, size=2_345, metadata={"rows": 120})
        flow = graph.start_run(tx, "flow", "flight-delay")
        train = graph.start_run(tx, "training", "flight-delay/lightgbm", parent_id=flow.id, metadata={"trees": 200})
        graph.use(tx, train.id, flights.id, role="training-data")
        graph.use(tx, train.id, weather.id, role="training-data")
        model = graph.add_artifact(tx, "model", "flight-delay", digest="c" * 64, size=9_000, run_id=train.id)
        graph.finish_run(tx, train.id, status="finished")
        judge = graph.start_run(tx, "evaluation", "april", parent_id=flow.id)
        graph.use(tx, judge.id, model.id, role="model")
        graph.add_artifact(tx, "report", "april", digest="d" * 64, size=800, metadata={"auc": 0.71}, run_id=judge.id)
        graph.finish_run(tx, judge.id, status="failed", metadata={"error": "no labels"})
        graph.set_alias(tx, "model", "flight-delay", "champion", 1)
    names.update(train=train.id, flow=flow.id, judge=judge.id)
