"""The dataplane's rules: who answers, what is looked up, what is logged, what a change of plan does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import pytest

from mainspring.kernel.errors import InternalError, InvalidInput, NotFound, Unavailable
from mainspring.serving.dataplane import Call
from mainspring.serving.spool import unpack


def call(world, rows: int = 5, **options: object) -> Call:
    return Call(columns=world.columns(rows), rows=rows, **options)


def logged(world, arm: str) -> dict[str, np.ndarray]:
    (entry,) = [entry for _, entry in world.entries if entry.arm == arm]
    return {column.name: unpack(column) for column in entry.columns}


def test_the_champion_answers_and_every_column_is_logged_before_the_answer(world):
    world.put()
    answer = world.plane().infer("fraud", call(world, caller="web", at=datetime(2013, 4, 1, tzinfo=UTC)))
    assert answer.outputs["value"].tolist() == [1, 2, 3, 4, 5]
    ((head, entry),) = world.entries
    assert (head.deployment_id, head.model, entry.request, entry.caller) == ("d1", "model/adder@1", answer.id, "web")
    found = logged(world, "champion")
    assert found["at"].tolist() == [1364774400 * 1_000_000] * 5
    assert found["input.carrier"].tolist() == ["UA", "AA", "B6", "UA", "AA"]
    assert found["output.value"].tolist() == [1, 2, 3, 4, 5]


def test_a_canary_splits_rows_and_puts_every_answer_in_its_place(world):
    world.put(challenger=world.target(2), mode="canary", weight=0.4, salt="r")
    answer = world.plane().infer("fraud", call(world, 1000))
    constants = answer.outputs["value"] - np.arange(1000)
    assert set(constants.tolist()) == {1.0, 2.0}
    assert (constants == 2).sum() == answer.challenger_rows
    assert 330 < answer.challenger_rows < 470
    champion, challenger = (entry for _, entry in world.entries)
    assert (champion.arm, challenger.arm) == ("champion", "challenger")
    rows = np.frombuffer(challenger.index, "<u4")
    assert (constants[rows] == 2).all()
    assert sorted([*rows, *np.frombuffer(champion.index, "<u4")]) == list(range(1000))
    assert logged(world, "challenger")["input.x"].tolist() == rows.tolist()


def test_the_same_request_id_and_the_same_entity_meet_the_same_arm(world):
    world.put(challenger=world.target(2), mode="canary", weight=0.5, salt="r")
    plane = world.plane()
    first, second = (plane.infer("fraud", call(world, 50, id="order-7")).outputs["value"] for _ in range(2))
    assert (first == second).all()
    world.put(challenger=world.target(2), mode="canary", weight=0.5, salt="r", sticky=("carrier",))
    plane.fleet.refresh()
    constants = plane.infer("fraud", call(world, 60)).outputs["value"] - np.arange(60)
    assert all(len(set(constants[start::3])) == 1 for start in range(3))


def test_a_pin_chooses_the_arm(world):
    world.put(challenger=world.target(2), mode="canary", weight=0.5)
    plane = world.plane()
    assert plane.infer("fraud", call(world, pin="challenger")).outputs["value"][0] == 2
    assert plane.infer("fraud", call(world, pin="1")).outputs["value"][0] == 1
    with pytest.raises(InvalidInput, match="no arm or version"):
        plane.infer("fraud", call(world, pin="7"))


def test_a_broken_canary_costs_nobody_an_answer(world):
    world.break_model("m2")
    world.put(challenger=world.target(2), mode="canary", weight=1.0)
    plane = world.plane()
    assert plane.infer("fraud", call(world)).outputs["value"].tolist() == [1, 2, 3, 4, 5]
    assert plane.statistics.of("fraud").challenger_failures == 1
    assert [(head.deployment_id, entry.arm, entry.rows) for head, entry in world.entries] == [
        ("d1", "champion", 5),
        ("d2", "failed", 5),
    ]


def test_a_shadow_sees_what_the_champion_saw_after_the_answer(world):
    world.put(challenger=world.target(2), mode="shadow")
    plane = world.plane()
    gate = threading.Event()
    plane.shadow.put(gate.wait)  # the shadow is busy; the answer comes all the same
    answer = plane.infer("fraud", call(world))
    assert answer.outputs["value"][0] == 1
    assert [entry.arm for _, entry in world.entries] == ["champion"]
    gate.set()
    plane.shadow.drain()
    head, entry = world.entries[1]
    assert (head.deployment_id, entry.arm, entry.request) == ("d2", "shadow", answer.id)
    assert logged(world, "shadow")["output.value"].tolist() == [2, 3, 4, 5, 6]
    plane.close()


def test_a_shadow_that_cannot_keep_up_is_shown_less(world):
    world.put(challenger=world.target(2), mode="shadow")
    plane = world.plane(shadow_limit=2)
    gate, busy = threading.Event(), threading.Event()
    plane.shadow.put(lambda: (busy.set(), gate.wait()))
    busy.wait(5)
    for _ in range(5):
        plane.infer("fraud", call(world))
    assert plane.shadow.dropped == 3
    gate.set()
    plane.close()
    assert sum(entry.arm == "shadow" for _, entry in world.entries) == 2


def test_missing_columns_are_looked_up_and_logged_as_features(world):
    asked = []

    def lookup(views, keys, moments):
        asked.append((views, sorted(keys), moments.tolist()))
        return {"x": np.array([10.0, 20.0]), "unasked": np.zeros(2)}

    world.put(features=("history",))
    plane = world.plane(lookup=lookup)
    keys = {"carrier": world.columns(2)["carrier"]}
    moment = datetime(2013, 4, 1, tzinfo=UTC)
    assert plane.infer("fraud", Call(columns=keys, rows=2, at=moment)).outputs["value"].tolist() == [11, 21]
    assert asked == [(("history",), ["carrier"], [1364774400 * 1_000_000] * 2)]
    assert sorted(logged(world, "champion")) == ["at", "feature.x", "input.carrier", "output.value"]
    plane.infer("fraud", call(world))
    assert len(asked) == 1  # nothing was missing: nothing is looked up


def test_each_row_may_say_when_it_happens(world):
    world.put(timestamp="when")
    plane = world.plane()
    when = np.array(["2013-04-01T00:00:00Z", "2013-04-01T01:00:00+01:00"], object)
    for given in (when, np.array([1364774400 * 1_000_000] * 2)):
        plane.infer("fraud", Call(columns={**world.columns(2), "when": given}, rows=2))
        assert unpack(world.entries[-1][1].columns[0]).tolist() == [1364774400 * 1_000_000] * 2
    with pytest.raises(InvalidInput, match="'when' says when"):
        plane.infer("fraud", Call(columns={**world.columns(2), "when": np.array(["soon", "later"], object)}, rows=2))


def test_a_request_without_a_needed_column_says_which(world):
    world.put()
    plane = world.plane()
    with pytest.raises(InvalidInput, match="'x' is missing"):
        plane.infer("fraud", Call(columns={"carrier": world.columns(2)["carrier"]}, rows=2))
    assert plane.statistics.of("fraud").fail.count == 1
    assert world.entries == []


def test_models_change_under_traffic_without_a_failed_request(world):
    world.put()
    plane = world.plane()
    failures, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                value = plane.infer("fraud", call(world)).outputs["value"][0]
                if value not in (1, 2):
                    failures.append(value)
            except Exception as error:  # noqa: BLE001 -- whatever fails is the finding
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in (2, 1, 2, 1, 2):
        world.put(champion=world.target(version))
        assert plane.fleet.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert plane.infer("fraud", call(world)).version == 2
    assert not plane.fleet.refresh()


def test_a_model_that_cannot_be_loaded_leaves_the_old_one_in_place(world):
    world.put()
    plane = world.plane()
    world.put(champion=world.target(9))
    plane.fleet.refresh()
    assert plane.infer("fraud", call(world)).version == 1
    world.put("other", champion=world.target(9))
    plane.fleet.refresh()
    assert not plane.fleet.ready("other")
    assert not plane.fleet.ready()
    with pytest.raises(Unavailable, match="not ready"):
        plane.infer("other", call(world))


def test_unknown_endpoints_and_broken_models_are_typed_errors(world):
    world.break_model("m1")
    world.put()
    plane = world.plane()
    with pytest.raises(NotFound, match="known: fraud"):
        plane.infer("frod", call(world))
    with pytest.raises(InternalError):
        plane.infer("fraud", call(world))


def test_a_plane_without_a_feature_store_says_so(world):
    world.put(features=("history",))
    with pytest.raises(Unavailable, match="no feature store"):
        world.plane().infer("fraud", Call(columns={"carrier": world.columns(2)["carrier"]}, rows=2))


def test_unloading_is_this_process_only_and_can_be_undone(world):
    world.put()
    plane = world.plane()
    plane.fleet.set_loaded("fraud", loaded=False)
    assert plane.fleet.names() == {"fraud": "unloaded"}
    plane.fleet.set_loaded("fraud", loaded=True)
    assert plane.infer("fraud", call(world)).version == 1
