"""The loop end to end: from drift to a promotion, or not; nothing twice, wherever it is interrupted."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import CheckFailed, Conflict, Forbidden, InvalidInput, NotFound
from mainspring.kernel.hooks import TICKERS, load
from mainspring.loop.types import RolloutPlan
from mainspring.monitoring.types import Limits
from mainspring.pipelines.types import Location
from mainspring.serving.sequential import Rule
from mainspring.store.local import LocalBackend
from mainspring.trust.guard import RoleGuard

BOTH = pytest.mark.databases("sqlite", "postgres")
LITE = pytest.mark.databases("sqlite")
QUICK = RolloutPlan(steps=(0.5,), rule=Rule(planned_n=400, min_n=100))


class Loop:
    """A town under a policy, ticked by hand."""

    def __init__(self, town, successors) -> None:
        self.town, self.client, self.successors = town, town.client, successors
        successors.TOWN.append(town)

    def set(self, **options) -> None:
        kind = options.pop("kind", "good")
        self.client.loop.set_policy(
            "late",
            flow="successor",
            location=Location("loop_successors:successor"),
            params={"kind": kind},
            **{"rollout": QUICK, "cooldown_seconds": 0.0, **options},
        )

    def tick(self, client=None) -> None:
        for name in ("monitors", "loops"):
            load(TICKERS[name])(client or self.client)

    def drift(self) -> None:
        """A window of drifted traffic, whose alert begins an episode."""
        self.town.send(300, shift=2.0)
        self.tick()

    def train(self) -> None:
        """Do what a worker would: run what is queued."""
        for run in self.client.pipelines.runs(state="queued"):
            try:
                self.successors.successor.resume(self.client, run.id)
            except ValueError:
                continue

    def live(self, *, until: str = "", days: int = 12, **options) -> None:
        """Days of traffic with their labels, and a tick after each."""
        for _ in range(days):
            if self.episode.finished_at or (until and self.episode.story[-1].text.find(until) >= 0):
                return
            self.town.send(600, **options)
            self.town.tell()
            self.tick()

    @property
    def episode(self):
        return self.client.loop.episodes(endpoint="late", limit=1)[0]

    @property
    def states(self) -> list[str]:
        return [each.state for each in reversed(self.client.loop.episodes())]

    def count(self, table: str) -> int:
        with self.client.backend.store.read() as tx:
            return tx.value(f"SELECT count(*) FROM {table}")


@pytest.fixture
def loop(town, successors):
    town.deploy(town.learn(worse=True))
    town.client.models.alias("late", "champion", 1)
    town.client.monitoring.configure("late", limits=Limits(window_rows=300))
    yield Loop(town, successors)
    successors.TOWN.clear()


@BOTH
def test_from_drift_to_a_better_champion(loop, client):
    loop.set()
    loop.town.send(300)
    loop.tick()
    assert loop.client.loop.episodes() == []
    loop.drift()
    (alert,) = client.monitoring.alerts(state="firing")
    assert (loop.episode.alert_id, loop.episode.state) == (alert.id, "training")
    assert loop.episode.event_at == alert.event_at
    loop.tick()
    (run,) = client.pipelines.runs()
    assert run.params == {"kind": "good", "endpoint": "late", "until": alert.event_at.isoformat()}
    loop.tick()  # the flow is still queued
    loop.train()
    loop.tick()
    assert (loop.episode.state, loop.episode.challenger) == ("rollout", "model/late@2")
    loop.live(until="canary", shift=0.5)
    assert client.serving.endpoint("late").plan.mode == "canary"
    loop.live(shift=0.5)
    episode = loop.episode
    assert episode.state == "promoted"
    assert client.serving.endpoint("late").plan.champion.reference == "model/late@2"
    assert client.models.get("late@champion").version == 2
    told = [chapter.text.partition(":")[0] for chapter in episode.story]
    assert told == [
        "inputs of late drifted",
        "the flow successor makes a challenger",
        "model/late@2 passed the gate and begins as a shadow",
        "model/late@2 was convincing as a shadow and answers 50% as a canary",
        "model/late@2 is champion",
    ]
    assert alert.report in {node.ref for node in client.lineage.why("model/late@2").nodes}
    assert {"model/late@2", f"run/{run.id}"} <= {node.ref for node in client.lineage.impact(alert.report).nodes}
    assert client.lineage.run(episode.id).status == "finished"
    (approval,) = client.models.card("late@2").approvals
    assert approval.by == "owner (policy late)"
    loop.tick()
    assert [each.resolution for each in client.monitoring.alerts()][-1].endswith("was replaced by model/late@2")
    assert loop.states == ["promoted"]


@LITE
def test_a_refused_challenger_and_the_next_try_after_the_cool_down(loop, client, traffic):
    loop.set(kind="refused", cooldown_seconds=5 * 86_400.0)
    loop.drift()
    loop.tick()
    loop.train()
    loop.tick()
    assert (loop.episode.state, loop.episode.challenger) == ("rejected", "model/late@2")
    assert loop.episode.reason == "the gate refused model/late@2: auc fell"
    assert not client.models.get("late@2").approved
    assert client.serving.rollouts() == []
    for _ in range(4):  # days of the traffic
        loop.drift()
        assert loop.states == ["rejected"]
    with pytest.raises(Conflict, match="cool-down"):
        client.loop.begin("late", why="now", event_at=loop.episode.event_at)
    loop.set(cooldown_seconds=5 * 86_400.0)
    loop.drift()
    assert loop.states == ["rejected", "training"]
    loop.tick()
    loop.train()
    loop.tick()
    assert loop.episode.state == "rollout"


@LITE
def test_a_harmed_challenger_is_rolled_back(loop, client):
    loop.set(kind="harmed")
    loop.drift()
    loop.tick()
    loop.train()
    loop.tick()
    loop.live(shift=2.0)
    assert (loop.episode.state, client.serving.rollouts()[0].status) == ("rolled back", "rolled back")
    assert client.serving.endpoint("late").plan.champion.reference == "model/late@1"
    assert client.models.get("late@champion").version == 1


@LITE
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("raises", "the flow successor failed: "),
        ("nothing", "returned no mapping with `model`, `passed` (true or false)"),
        ("unsure", "returned no mapping with `model`, `passed` (true or false)"),
        ("unknown", "returned the model 'late@99'"),
        ("itself", "model/late@1 is champion already"),
    ],
)
def test_a_flow_that_goes_wrong_ends_the_episode_and_nothing_else(loop, client, kind, said):
    loop.set(kind=kind)
    loop.drift()
    loop.tick()
    loop.train()
    loop.tick()
    assert loop.episode.state == ("promoted" if kind == "itself" else "failed")
    assert said in loop.episode.reason
    assert client.serving.rollouts() == []
    assert client.serving.endpoint("late").plan.champion.reference == "model/late@1"


@LITE
def test_a_person_approves_where_the_policy_wants_it(loop, client):
    loop.set(needs_approval=True)
    loop.drift()
    loop.tick()
    loop.train()
    loop.tick()
    loop.tick()
    assert loop.episode.state == "waiting for approval"
    assert client.serving.rollouts() == []
    client.models.approve("late@2", comment="seen")
    loop.tick()
    assert loop.episode.state == "rollout"
    assert [each.by for each in client.models.card("late@2").approvals] == ["owner"]


@LITE
def test_a_person_rejects_a_challenger_and_the_policy_goes_on(loop, client):
    loop.set(needs_approval=True)
    loop.drift()
    loop.tick()
    loop.train()
    loop.tick()
    assert client.loop.reject("late", reason="not now").state == "rejected"
    with pytest.raises(Conflict, match="no episode"):
        client.loop.reject("late")
    loop.drift()
    assert loop.states == ["rejected", "training"]


@LITE
@pytest.mark.parametrize("moves", range(5))
def test_stopping_ends_everything_at_once_in_any_state(loop, client, moves):
    loop.set(needs_approval=moves == 3)
    loop.drift()
    if moves >= 1:
        loop.tick()
    if moves >= 2:
        loop.train()
        loop.tick()
    if moves == 4:
        loop.live(until="canary", shift=0.5)
    before = loop.episode.state
    assert before == ["training", "training", "rollout", "waiting for approval", "rollout"][moves]
    assert not client.loop.stop("late", reason="enough").enabled
    assert (loop.episode.state, loop.episode.reason) == ("stopped", "enough")
    loop.train()
    loop.drift()
    assert loop.states == ["stopped"]
    assert client.serving.endpoint("late").plan.mode == "single"
    assert [each.status for each in client.serving.rollouts()] == ["rolled back"] * (before == "rollout")
    assert client.pipelines.runs(state="queued") == []
    assert client.lineage.run(loop.episode.id).status == "cancelled"
    assert client.serving.endpoint("late").plan.champion.reference == "model/late@1"


@LITE
def test_what_a_person_does_meanwhile_is_respected(loop, client):
    loop.set()
    loop.drift()
    loop.tick()
    loop.train()
    other = loop.town.learn()
    client.serving.start_rollout("late", challenger=other)
    loop.tick()
    loop.tick()
    assert loop.episode.state == "training"  # it waits for the other rollout
    client.serving.promote("late")
    assert client.models.get("late@champion").ref == other
    loop.tick()
    assert loop.episode.state == "rollout"
    client.serving.rollback("late", reason="no")
    loop.tick()
    assert (loop.episode.state, loop.episode.reason) == (
        "rolled back",
        f"{loop.episode.challenger} was rolled back: no",
    )


@LITE
def test_the_alias_follows_only_where_it_named_the_replaced(loop, client):
    town = loop.town
    second, third = town.learn(), town.learn()
    client.models.alias("late", "champion", 3)
    client.serving.start_rollout("late", challenger=second)
    client.serving.promote("late")
    assert client.models.get("late@champion").ref == third


@LITE
def test_an_alert_of_a_model_that_is_gone_begins_nothing(loop, client):
    loop.drift()
    loop.town.deploy(loop.town.learn(shift=2.0))
    loop.set()
    load(TICKERS["loops"])(client)  # before the monitor has resolved the alert
    assert client.loop.episodes() == []


@LITE
def test_only_the_kinds_of_alert_that_were_asked_for(loop, client):
    loop.set(triggers=["performance"])
    loop.drift()
    loop.tick()
    assert client.loop.episodes() == []


class Crash(BaseException):
    """The process dies."""


class Mortal:
    """A backend whose process dies at every call of the loop once, before or after it took effect."""

    def __init__(self, backend, *, before: bool) -> None:
        self.store, self._backend, self._before = backend.store, backend, before
        self.died: set[tuple[str, int]] = set()

    def invoke(self, service, operation, arguments):
        with self.store.read() as tx:
            chapters = tx.value("SELECT coalesce(max(length(story)), 0) FROM loop_episode")
        key = operation.name, chapters
        dies = key not in self.died
        self.died.add(key)
        if dies and self._before:
            raise Crash
        answer = self._backend.invoke(service, operation, arguments)
        if dies:
            raise Crash
        return answer


@LITE
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_crash_at_any_call_repeats_nothing(loop, client, before):
    loop.set()
    backend = Mortal(client.backend, before=before)
    mortal = type(client)(backend, address=client.address)

    def tick(_=None) -> None:
        for _ in range(60):
            try:
                Loop.tick(loop, mortal)
            except Crash:
                continue
            return
        raise AssertionError("it never comes through")

    loop.tick = tick
    loop.drift()
    tick()
    loop.train()
    tick()
    loop.live(shift=0.5)
    assert loop.states == ["promoted"]
    assert len(loop.episode.story) == 5
    assert len(backend.died) > 20
    assert [loop.count(name) for name in ("flow_run", "rollout", "loop_episode")] == [1, 1, 1]
    assert len(client.models.card("late@2").approvals) == 1
    assert client.models.get("late@champion").version == 2
    numbers = [window.number for window in client.monitoring.windows("late")]
    assert numbers == list(range(len(numbers), 0, -1))


@BOTH
def test_two_schedulers_turn_one_loop(loop, client):
    loop.set()
    loop.town.send(300, shift=2.0)

    def both() -> None:
        together = threading.Barrier(2)

        def turn() -> None:
            together.wait()
            Loop.tick(loop)
            Loop.tick(loop)

        threads = [threading.Thread(target=turn) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    both()
    both()
    loop.train()
    both()
    assert loop.states in (["training"], ["rollout"])
    both()
    assert loop.states == ["rollout"]
    assert [loop.count(name) for name in ("flow_run", "rollout", "loop_episode", "monitor_window")] == [1, 1, 1, 1]
    assert len(client.models.card("late@2").approvals) == 1
    assert len(loop.episode.story) == 3


@LITE
def test_every_workspace_turns(towns, successors, client):
    north = Caller(workspace="north")
    with acting_as(north):
        town = towns(workspace="north")
        town.deploy(town.learn())
        client.monitoring.configure("late", limits=Limits(window_rows=300))
        loop = Loop(town, successors)
        loop.set()
        town.send(300, shift=2.0)
    loop.tick()
    assert client.loop.episodes() == []
    with acting_as(north):
        assert loop.states == ["training"]
    successors.TOWN.clear()


@LITE
def test_a_rollout_is_judged_when_there_is_news_of_it(loop, client, monkeypatch):
    client.serving.start_rollout("late", challenger=loop.town.learn())
    loop.town.send(100)
    calls = []
    honest = client.backend.invoke

    def counted(service, operation, arguments):
        calls.append(operation.name)
        return honest(service, operation, arguments)

    monkeypatch.setattr(client.backend, "invoke", counted)
    for _ in range(3):
        loop.tick()
    assert calls.count("serving.evaluate_rollout") == 1
    loop.town.tell()
    for _ in range(3):
        loop.tick()
    assert calls.count("serving.evaluate_rollout") == 2


@LITE
def test_a_policy_that_approves_is_set_by_one_who_may(loop, client):
    guarded = type(client)(LocalBackend(client.backend.store, RoleGuard()), address="")
    options = {"flow": "successor", "location": Location("m:successor")}
    ann = Caller("ann", roles=("contributor",), method="token")
    with acting_as(ann):
        with pytest.raises(Forbidden, match="may not approve"):
            guarded.loop.set_policy("late", **options)
        assert guarded.loop.set_policy("late", needs_approval=True, **options).author == "ann"
        with pytest.raises(Forbidden):
            guarded.loop.let_in("x", chapters=1, challenger="late@1")
    with acting_as(Caller("bob", roles=("approver",), method="token")):
        assert guarded.loop.set_policy("late", **options).author == "bob"


@LITE
def test_nobody_approves_their_own_model_by_way_of_a_policy(loop, client):
    bob = Caller("bob", roles=("approver",), method="token")
    with acting_as(bob):
        loop.set()
    loop.drift()
    loop.tick()
    with acting_as(bob):
        loop.train()  # bob runs it himself, so that the model is his
    loop.tick()
    assert loop.episode.state == "waiting for approval"
    assert "somebody else than bob" in loop.episode.story[-1].text
    client.models.approve("late@2")
    loop.tick()
    assert loop.episode.state == "rollout"


@LITE
def test_policies_that_could_not_act_are_refused(loop, client):
    place = Location("m:successor")
    for wrong in (
        {"location": Location()},
        {"location": place, "cooldown_seconds": -1.0},
        {"location": place, "rollout": RolloutPlan(steps=(0.5, 0.2))},
        {"location": place, "rollout": RolloutPlan(mode="canary", steps=())},
        {"location": place, "rollout": RolloutPlan(metric="accuracy")},
        {"location": place, "rollout": RolloutPlan(rule=Rule(alpha=2.0))},
    ):
        with pytest.raises(InvalidInput):
            client.loop.set_policy("late", flow="successor", **wrong)
    with pytest.raises(NotFound, match="has no policy"):
        client.loop.policy("late")
    with pytest.raises(NotFound, match="no endpoint"):
        client.loop.set_policy("nobody", flow="successor", location=place)
    with pytest.raises(InvalidInput, match="unexpected keyword argument 'sort'"):
        client.loop.watch("late", run=loop.successors.successor, params={"sort": "good"})


@LITE
def test_a_person_begins_an_episode(loop, client, traffic):
    loop.set(cooldown_seconds=86_400.0)
    begun = client.loop.begin("late", why="a new source of data", event_at=traffic.START)
    with pytest.raises(Conflict, match="under way"):
        client.loop.begin("late", why="again", event_at=traffic.START)
    with pytest.raises(Conflict, match="went on meanwhile"):
        client.loop.advance(begun.id, chapters=7, state="failed", text="?")
    loop.tick()
    loop.train()
    loop.tick()
    assert loop.episode.state == "rollout"
    client.loop.stop("late")
    loop.set(cooldown_seconds=86_400.0)
    with pytest.raises(Conflict, match="cool-down"):
        client.loop.begin("late", why="again", event_at=traffic.START + timedelta(hours=23))
    client.loop.begin("late", why="a replay of last year", event_at=traffic.START - timedelta(days=365))


@LITE
def test_an_unapproved_challenger_stays_unseen(loop, client):
    ref = loop.town.learn(approve=False)
    with pytest.raises(CheckFailed):
        client.serving.start_rollout("late", challenger=ref, mode="canary")
