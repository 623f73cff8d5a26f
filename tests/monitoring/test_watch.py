"""The watch over a real endpoint: windows cut once, judged fairly, alerts that come and go."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import msgspec
import numpy as np
import polars as pl
import pytest

from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from mainspring.monitoring import watch as watching
from mainspring.monitoring.types import Limits
from mainspring.monitoring.watch import tick, watch

BOTH = pytest.mark.databases("sqlite", "postgres")
LITE = pytest.mark.databases("sqlite")


def rows_in(windows) -> list[int]:
    return [window.rows for window in windows]


def limit(town, **limits) -> None:
    town.client.monitoring.configure("late", limits=Limits(**{"window_rows": 400, **limits}))


@BOTH
def test_drift_fires_an_alert_that_lasts_and_ends(town, client):
    town.deploy(town.learn())
    limit(town)
    town.send(400)
    (first,) = watch(client.backend, "late")
    assert (first.number, first.rows, first.answered, first.drifted) == (1, 400, 400, [])
    assert first.reference == "dataset/trips@1"
    assert [column.column for column in first.columns if column.importance > 0.9] == ["x"]
    assert client.monitoring.alerts() == []
    town.send(400, shift=2.0)
    town.send(400, shift=2.0)
    drifted = watch(client.backend, "late")
    assert [window.drifted for window in drifted] == [["x"], ["x"]]
    assert drifted[0].drift_share > 0.9
    (alert,) = client.monitoring.alerts(state="firing")
    assert (alert.kind, alert.windows, alert.window_id) == ("drift", 2, drifted[0].id)
    assert alert.event_at == drifted[0].until
    assert {"model", "dataset"} <= {node.kind for node in client.lineage.why(alert.report).nodes}
    client.monitoring.acknowledge(alert.id)
    town.send(400)
    watch(client.backend, "late")
    (quiet,) = client.monitoring.alerts(state="firing")
    assert (quiet.quiet, quiet.acknowledged_by) == (1, "owner")
    town.send(400)
    watch(client.backend, "late")
    assert client.monitoring.alert(alert.id).resolution == "not seen in 2 windows"
    town.send(400, shift=2.0)
    watch(client.backend, "late")
    again = client.monitoring.alerts(state="firing")
    assert [each.id for each in again] != [alert.id]
    assert len(client.monitoring.alerts(state="resolved")) == 1
    assert client.monitoring.resolve(again[0].id).resolution == "resolved by hand"
    assert client.monitoring.resolve(again[0].id, reason="twice").resolution == "resolved by hand"


@LITE
def test_an_unimportant_column_fires_nothing(town, client):
    town.deploy(town.learn())
    limit(town, drift_share=0.99)
    town.send(400, shift=2.0)
    (window,) = watch(client.backend, "late")
    assert window.drifted == ["x"]
    assert client.monitoring.alerts() == []


@BOTH
def test_performance_falls_when_labels_say_so_however_late(town, client):
    town.deploy(town.learn())
    limit(town)
    town.send(400)
    watch(client.backend, "late")
    town.tell(share=0.5)
    watch(client.backend, "late")
    assert client.monitoring.windows("late")[0].judged_at is None  # too few of the labels
    town.send(400)
    town.send(400, flipped=True)
    watch(client.backend, "late")
    town.tell()
    watch(client.backend, "late")
    worse, good, half = client.monitoring.windows("late")
    assert half.judged_at is None
    assert (good.labelled, worse.labelled) == (400, 400)
    assert not any(figure.fell for name, figure in good.figures.items() if name in {"auc", "calibration"})
    assert worse.figures["auc"].value < 0.5 < worse.figures["auc"].reference_low
    (alert,) = client.monitoring.alerts(state="firing")
    assert (alert.kind, alert.severity) == ("performance", "critical")
    assert "auc" in alert.title
    with pytest.raises(Conflict, match="judged already"):
        client.monitoring.record_performance(worse)


@LITE
def test_labels_are_waited_for_so_long_and_no_longer(town, client):
    town.deploy(town.learn())
    limit(town, label_days=30.0)
    town.send(400)
    watch(client.backend, "late")
    town.tell(share=0.5)
    town.send(400)
    watch(client.backend, "late")
    assert [window.judged_at for window in client.monitoring.windows("late")] == [None, None]
    limit(town, label_days=0.0)
    town.send(400)
    watch(client.backend, "late")
    newest, never, half = client.monitoring.windows("late")
    assert (half.labelled, set(half.figures)) == (200, {"auc", "log_loss", "brier", "calibration"})
    assert (never.labelled, never.figures) == (0, {})
    assert never.judged_at is not None
    assert newest.judged_at is not None
    assert client.monitoring.alerts() == []


@LITE
def test_every_prediction_is_in_one_window_whatever_it_is_about(town, client, traffic):
    town.deploy(town.learn())
    limit(town, window_rows=100)
    sent = town.send(90)
    sent += town.send(1000, at=traffic.START - 400 * traffic.DAY)  # late events, more than a window, all of one moment
    sent += town.send(90, requests=9, at=traffic.START)
    made = watch(client.backend, "late")
    while more := watch(client.backend, "late"):
        made += more
    assert rows_in(made) == [1090]
    town.send(20)
    made += watch(client.backend, "late")
    assert rows_in(made) == [1090, 110]
    assert [window.number for window in made] == [1, 2]
    assert made[0].after_id == ""
    assert made[1].after_id == made[0].through_id == sent[1]
    assert made[0].since == traffic.START - 400 * traffic.DAY
    assert client.monitoring.monitor("late").watermark == max(window.until for window in made)
    assert watch(client.backend, "late") == []


@LITE
def test_the_log_is_worked_off_in_pieces_sealed_or_not(town, client):
    town.deploy(town.learn())
    limit(town, window_rows=50)
    for _ in range(6):
        town.send(100, requests=10)
        town.process.log.flush()
    town.send(100, requests=10)
    sizes = []
    while made := watch(client.backend, "late"):
        assert len(made) <= 4
        sizes += rows_in(made)
    assert sizes == [50] * 14
    numbers = [window.number for window in reversed(client.monitoring.windows("late"))]
    assert numbers == list(range(1, 15))
    page = client.monitoring.windows("late", limit=3, before=client.monitoring.windows("late")[4].id)
    assert [window.number for window in page] == [9, 8, 7]


@LITE
def test_a_window_may_have_to_cover_whole_weeks(town, client, traffic):
    town.deploy(town.learn())
    limit(town, window_rows=100, window_days=7.0)
    for _ in range(17):
        town.send(100)  # a day later each time
    made = watch(client.backend, "late")
    assert rows_in(made) == [800, 800]
    assert all(window.until - window.since == 7 * traffic.DAY for window in made)


@LITE
def test_requests_may_have_to_settle(town, client):
    town.deploy(town.learn())
    limit(town, settle_seconds=3600.0)
    town.send(400)
    assert watch(client.backend, "late") == []
    limit(town, settle_seconds=0.0)
    assert rows_in(watch(client.backend, "late")) == [400]


@LITE
def test_a_window_ends_where_another_model_becomes_champion(town, client):
    first = town.learn()
    town.deploy(first)
    limit(town)
    town.send(400, flipped=True)
    town.send(400, shift=2.0)
    town.send(100)
    watch(client.backend, "late")
    assert [alert.kind for alert in client.monitoring.alerts(state="firing")] == ["drift"]
    second = town.learn(shift=2.0)
    town.deploy(second)
    watch(client.backend, "late")
    (ended,) = client.monitoring.alerts()
    assert ended.resolution == f"{first} was replaced by {second}"
    town.send(400, shift=2.0)
    short, whole = watch(client.backend, "late")
    assert [(short.model, short.rows), (whole.model, whole.rows)] == [(first, 100), (second, 400)]
    assert whole.reference == "dataset/trips@2"
    assert (short.drifted, whole.drifted) == ([], [])
    town.tell()
    watch(client.backend, "late")
    assert client.monitoring.windows("late")[3].figures["auc"].fell  # the old model was bad, and is gone
    assert client.monitoring.alerts(state="firing") == []


@LITE
def test_during_a_rollout_inputs_of_all_and_performance_of_the_champion_are_judged(town, client):
    champion = town.learn()
    town.deploy(champion)
    limit(town)
    client.serving.start_rollout("late", challenger=town.learn(harmed=True), mode="canary", steps=[0.5])
    town.send(400)
    town.tell()
    (window,) = watch(client.backend, "late")
    (window,) = client.monitoring.windows("late")
    assert window.rows == 400
    assert 150 < window.answered == window.labelled < 250
    assert not window.figures["auc"].fell
    client.serving.rollback("late")
    client.serving.start_rollout("late", challenger="late@2", mode="shadow")
    town.send(400)
    (shadowed,) = watch(client.backend, "late")
    assert (shadowed.rows, shadowed.answered, shadowed.model) == (400, 400, champion)
    assert client.monitoring.alerts() == []


@LITE
def test_a_canary_of_everything_leaves_nothing_to_judge_the_champion_by(town, client):
    champion = town.learn()
    town.deploy(champion)
    limit(town)
    client.serving.start_rollout("late", challenger=town.learn(), mode="canary", steps=[1.0])
    town.send(400)
    town.tell()
    watch(client.backend, "late")
    (window,) = client.monitoring.windows("late")
    assert (window.model, window.rows, window.answered, window.figures) == (champion, 400, 0, {})
    assert window.judged_at is not None


@LITE
def test_a_regression_is_judged_by_its_errors(town, client):
    town.deploy(town.learn_numbers())
    limit(town)

    def noisy(frame, *, by=0.0, scale=1.0):
        return 3 * frame["x"].to_numpy() + by + scale * frame["z"].to_numpy()

    town.send(400, label=noisy)
    town.send(400, label=lambda frame: noisy(frame, scale=2.0))
    town.send(400, label=lambda frame: noisy(frame, by=1.0))
    watch(client.backend, "late")
    town.tell()
    watch(client.backend, "late")
    biased, spread, good = client.monitoring.windows("late")
    assert set(good.figures) == {"mae", "rmse", "bias"}
    assert not any(figure.fell for figure in good.figures.values())
    assert spread.figures["mae"].fell
    assert not spread.figures["bias"].fell
    assert biased.figures["bias"].fell
    (alert,) = client.monitoring.alerts(state="firing")
    assert "too low" in alert.title or "mae" in alert.title


@LITE
def test_three_classes_are_judged_by_accuracy_and_calibration(town, client):
    town.deploy(town.learn_three())
    limit(town)
    town.send(400, label=town.three)
    town.send(400, label=lambda frame: town.three(frame.select(-pl.all())))
    watch(client.backend, "late")
    town.tell()
    watch(client.backend, "late")
    bad, good = client.monitoring.windows("late")
    assert good.reference == ""  # its lineage names no data
    assert good.columns == []
    assert set(good.figures) == {"accuracy", "log_loss", "brier", "calibration"}
    assert not good.figures["accuracy"].fell
    assert bad.figures["accuracy"].fell
    assert bad.figures["calibration"].value > 1.5
    assert [alert.kind for alert in client.monitoring.alerts(state="firing")] == ["performance"]


@LITE
@pytest.mark.parametrize("scores", [True, False], ids=["probabilities", "labels alone"])
def test_two_texts_are_judged_with_probabilities_and_without(town, client, traffic, scores):
    town.deploy(town.learn_words(scores=scores))
    limit(town)

    def came(frame, *, flipped=False):
        likely = 1 / (1 + np.exp(-2 * frame["x"].to_numpy()))
        drawn = (np.random.default_rng(5).random(frame.height) < likely).astype(int)
        return town.words(1 - drawn if flipped else drawn)

    town.send(400, label=came)
    town.send(400, label=lambda frame: came(frame, flipped=True))
    watch(client.backend, "late")
    town.tell()
    watch(client.backend, "late")
    bad, good = client.monitoring.windows("late")
    name = "auc" if scores else "accuracy"
    assert (name in good.figures, "log_loss" in good.figures) == (True, scores)
    assert not good.figures[name].fell
    assert bad.figures[name].fell
    assert [alert.kind for alert in client.monitoring.alerts(state="firing")] == ["performance"]


@LITE
def test_importances_count_from_when_their_report_is_attached(town, client):
    ref = town.learn(report=False)
    town.deploy(ref)
    limit(town)
    town.send(400, shift=2.0)
    (before,) = watch(client.backend, "late")
    assert before.drift_share == 0.5
    report = client.quality.reports(kind="evaluation")[0]
    client.models.attach_report(ref, report.ref)
    town.send(400, shift=2.0)
    (after,) = watch(client.backend, "late")
    assert after.drift_share > 0.9


@BOTH
def test_two_schedulers_make_one_window(town, client, monkeypatch):
    town.deploy(town.learn())
    limit(town)
    town.send(1200, requests=12, shift=2.0)
    town.tell()
    together = threading.Barrier(2)
    ended = []

    def look():
        together.wait()
        for _ in range(4):
            try:
                watching.watch(client.backend, "late")
            except Conflict:
                continue
        ended.append(True)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 2
    tick(client)
    windows = client.monitoring.windows("late")
    assert [window.number for window in windows] == [3, 2, 1]
    assert sum(window.rows for window in windows) == 1200
    assert all(window.labelled == 400 for window in windows)
    assert len(client.monitoring.alerts()) == len({alert.kind for alert in client.monitoring.alerts()})


@LITE
def test_a_window_is_only_recorded_by_who_saw_the_monitor_as_it_is(town, client):
    town.deploy(town.learn())
    limit(town)
    town.send(400)
    (window,) = watch(client.backend, "late")
    next_one = msgspec.structs.replace(window, id=window.id[:-1] + "0", number=2)
    with pytest.raises(Conflict, match="changed meanwhile"):
        client.monitoring.record_window(next_one, expected=1)
    assert len(client.monitoring.windows("late")) == 1
    with acting_as(Caller("ann", roles=("contributor",))):
        from mainspring.store.local import LocalBackend
        from mainspring.trust.guard import RoleGuard

        guarded = type(client.monitoring)(LocalBackend(client.backend.store, RoleGuard()))
        with pytest.raises(Forbidden):
            guarded.record_window(next_one, expected=2)


@LITE
def test_every_workspace_is_watched_and_none_sees_the_other(towns, client):
    with acting_as(Caller(workspace="north")):
        north = towns(workspace="north")
        north.deploy(north.learn())
        limit(north)
        north.send(400)
    south = towns()
    south.deploy(south.learn())
    limit(south)
    south.send(800, requests=2)
    tick(client)
    assert len(client.monitoring.windows("late")) == 2
    with acting_as(Caller(workspace="north")):
        assert len(client.monitoring.windows("late")) == 1


@LITE
def test_one_broken_endpoint_does_not_hide_the_others(town, client, monkeypatch, caplog):
    ref = town.learn()
    town.deploy(ref)
    client.serving.deploy("another", model=ref)
    limit(town)
    town.send(400)
    honest = watching.watch

    def broken(backend, endpoint):
        if endpoint == "another":
            raise RuntimeError("a defect")
        return honest(backend, endpoint)

    monkeypatch.setattr(watching, "watch", broken)
    tick(client)
    assert len(client.monitoring.windows("late")) == 1
    assert "watching endpoint another failed" in caplog.text


@LITE
def test_a_paused_monitor_goes_on_where_it_stopped(town, client):
    town.deploy(town.learn())
    limit(town)
    client.monitoring.configure("late", paused=True)
    town.send(400)
    assert watch(client.backend, "late") == []
    client.monitoring.configure("late", paused=False)
    assert rows_in(watch(client.backend, "late")) == [400]


@LITE
def test_limits_that_cannot_be_change_nothing(town, client):
    town.deploy(town.learn())
    for wrong in (
        Limits(window_rows=0),
        Limits(labelled=0.0),
        Limits(drift_share=1.5),
        Limits(window_days=-1.0),
        Limits(label_days=float("inf")),
        Limits(quiet_windows=0),
    ):
        with pytest.raises(InvalidInput):
            client.monitoring.configure("late", limits=wrong)
    assert client.monitoring.monitor("late").limits == Limits()
    with pytest.raises(NotFound, match="no endpoint 'lat'"):
        client.monitoring.monitor("lat")
    with pytest.raises(NotFound, match="no alert"):
        client.monitoring.alert("nobody")


@LITE
def test_while_nothing_is_new_nothing_is_read(town, client, monkeypatch):
    town.deploy(town.learn())
    limit(town)
    town.send(500, requests=5)
    town.tell(share=0.3)
    watch(client.backend, "late")
    watch(client.backend, "late")
    calls = []
    honest = client.backend.invoke

    def counted(service, operation, arguments):
        calls.append(operation.name)
        return honest(service, operation, arguments)

    monkeypatch.setattr(client.backend, "invoke", counted)
    for _ in range(3):
        assert watch(client.backend, "late") == []
    town.send(200, requests=2)
    watch(client.backend, "late")
    assert {name for name in calls if name.startswith("serving.")} == {"serving.activity"}
    assert not {"monitoring.pending", "monitoring.windows"} & set(calls)
    town.send(100)
    assert rows_in(watch(client.backend, "late")) == [400]


@LITE
def test_an_idle_tick_loads_no_table_engine(town, client, store_folder):
    town.deploy(town.learn())
    town.send(100)
    program = """
        import sys
        from mainspring.client import connect
        from mainspring.loop.turn import tick as turn
        from mainspring.monitoring.watch import tick as watch
        with connect(sys.argv[1]) as client:
            for _ in range(2):
                watch(client)
                turn(client)
            assert not {"polars", "numpy", "sklearn", "onnxruntime"} & set(sys.modules), sorted(sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(store_folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
