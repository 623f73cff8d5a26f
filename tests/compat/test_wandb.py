from __future__ import annotations

import math

import numpy as np
import pytest

from mainspring.client import default
from mainspring.compat import wandb

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(autouse=True)
def _default(client, monkeypatch):
    monkeypatch.setattr("mainspring.compat.wandb.session.default_client", lambda: client)
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    yield
    wandb.teardown()
    assert default is not None


def only(client, project="flights"):
    (run,) = client.tracking.search(experiments=[project]).runs
    return run


def test_an_ordinary_script(client):
    run = wandb.init(
        project="flights",
        name="first",
        config={"lr": 0.1, "model": {"depth": 3}},
        tags=["a"],
        notes="n",
        group="g",
        job_type="train",
    )
    assert (wandb.run, wandb.config.lr, wandb.config["model"]["depth"]) == (run, 0.1, 3)
    wandb.config.update({"epochs": 4})
    wandb.config.batch = 32
    for step in range(5):
        wandb.log({"loss": 1 / (step + 1), "nested": {"acc": step}, "bad": math.nan})
    assert wandb.run.summary["loss"] == 0.2
    wandb.summary["best"] = 0.9
    wandb.finish()
    assert wandb.run is None
    found = only(client)
    assert (found.title, found.status, found.note, found.group) == ("first", "finished", "n", "g")
    assert found.params == {"lr": 0.1, "model.depth": 3, "epochs": 4, "batch": 32}
    assert (found.tags["a"], found.tags["job_type"]) == ("true", "train")
    assert client.tracking.history(found.id, "loss")["step"].to_list() == [0, 1, 2, 3, 4]
    assert math.isnan(found.metrics["bad"].value)
    assert (found.metrics["nested.acc"].value, found.metrics["best"].value) == (4, 0.9)


def test_rows_are_held_open_by_commit_and_by_step(client):
    wandb.init(project="flights")
    wandb.log({"a": 1}, commit=False)
    wandb.log({"b": 2})
    wandb.log({"a": 3}, step=7)
    wandb.log({"b": 4}, step=7)
    wandb.log({"a": 5}, step=8)
    wandb.finish()
    run = only(client)
    rows = {key: client.tracking.history(run.id, key) for key in ("a", "b")}
    assert list(zip(rows["a"]["step"], rows["a"]["value"], strict=True)) == [(0, 1), (7, 3), (8, 5)]
    assert list(zip(rows["b"]["step"], rows["b"]["value"], strict=True)) == [(0, 2), (7, 4)]


def test_media(client):
    wandb.init(project="flights")
    table = wandb.Table(columns=["a", "b"], data=[[1, "x"]])
    table.add_data(2, "y")
    table.add_column("c", [0.5, 0.6])
    assert list(table.get_column("a")) == [1, 2]
    wandb.log(
        {
            "image": wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8), caption="black"),
            "many": [wandb.Image(np.zeros((2, 2), dtype=np.uint8)) for _ in range(3)],
            "hist": wandb.Histogram(np.arange(100)),
            "counts": wandb.Histogram(np_histogram=np.histogram(np.arange(10))),
            "sound": wandb.Audio(np.zeros(800), sample_rate=8000),
            "page": wandb.Html("<b>hi</b>"),
            "table": table,
            "word": "hello",
        }
    )
    wandb.finish()
    run = only(client)
    by_key = {}
    for file in client.tracking.files(run.id):
        by_key.setdefault(file.key, []).append(file)
    assert {"image", "many", "hist", "counts", "sound", "page", "table", "word"} <= set(by_key)
    assert len(by_key["many"]) == 3
    assert all(file.step == 0 for key, files in by_key.items() for file in files if key)
    assert by_key["table"][0].about["rows"] == 2


def test_artifacts_have_versions_and_lineage(client, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1,2")
    run = wandb.init(project="flights")
    first = wandb.Artifact("raw", type="table", metadata={"rows": 1})
    first.add_dir(tmp_path / "data")
    with first.new_file("more/y.txt", mode="w") as file:
        file.write("y")
    assert run.log_artifact(first, aliases=["latest", "good"]).wait().name == "raw:v0"
    second = wandb.Artifact("raw", type="table")
    second.add_file(tmp_path / "data" / "x.csv", name="z.csv")
    wandb.log_artifact(second)
    assert second.version == "v1"
    with pytest.raises(ValueError, match="cannot change"):
        second.add_file(tmp_path / "data" / "x.csv")
    wandb.finish()
    wandb.init(project="flights", name="reader")
    found = wandb.use_artifact("raw:good", type="table")
    folder = found.download(tmp_path / "out")
    assert sorted(found.files()) == ["more/y.txt", "x.csv"]
    assert (tmp_path / "out" / "more" / "y.txt").read_text() == "y"
    assert folder == str(tmp_path / "out")
    assert wandb.use_artifact("team/flights/raw:latest").version == "v1"
    reader = wandb.run
    wandb.finish()
    active = client.tracking.search("title = 'reader'").runs[0]
    assert {each.ref for each in client.lineage.why(f"run/{active.id}").of_kind("table")} == {
        "table/raw@1",
        "table/raw@2",
    }
    assert reader.project == "flights"
    with pytest.raises(wandb.CommError):
        wandb.Artifact.find(client, "nothing:latest")


def test_a_run_is_resumed_by_the_id_that_its_user_gave(client):
    wandb.init(project="flights", id="mine", resume="allow")
    wandb.log({"loss": 1.0})
    wandb.finish()
    run = wandb.init(project="flights", id="mine", resume="allow")
    assert (run.resumed, run.step) == (True, 1)
    wandb.log({"loss": 0.5})
    wandb.finish()
    assert client.tracking.history(only(client).id, "loss")["value"].to_list() == [1.0, 0.5]
    with pytest.raises(wandb.UsageError, match="never"):
        wandb.init(project="flights", id="mine", resume="never")
    with pytest.raises(wandb.UsageError, match="resume"):
        wandb.init(project="flights", id="other", resume="must")


def test_summary_rules(client):
    wandb.init(project="flights")
    wandb.define_metric("loss", summary="min")
    for value in (3.0, 1.0, 2.0):
        wandb.log({"loss": value})
    wandb.finish()
    (run,) = client.tracking.search("min(metrics.loss) < 1.5", experiments=["flights"]).runs
    assert client.tracking.summary(run.id)["loss"] == 1.0


def test_disabled_keeps_nothing_and_failed_says_so(client, tmp_path):
    with wandb.init(project="nothing", mode="disabled") as run:
        run.log({"loss": 1})
        wandb.watch(object())
        assert run.disabled
    wandb.finish()
    assert client.tracking.experiments().experiments == []
    with pytest.raises(ZeroDivisionError), wandb.init(project="flights") as run:
        run.log({"loss": 1})
        raise ZeroDivisionError
    wandb.finish()
    assert only(client).status == "failed"


def test_wrong_use_is_told():
    with pytest.raises(wandb.UsageError, match=r"wandb\.init"):
        wandb.log({"loss": 1})
    with pytest.raises(wandb.UsageError, match=r"wandb\.init"):
        wandb.config  # noqa: B018 -- reading it is the test
    with pytest.raises(AttributeError, match="sweep"):
        wandb.sweep({})
    with pytest.raises(TypeError, match="proyect"):
        wandb.init(proyect="flights")
    wandb.init(project="flights")
    with pytest.raises(TypeError, match="mapping"):
        wandb.log(3)


def test_files_and_alerts(client, tmp_path):
    (tmp_path / "model.h5").write_bytes(b"weights")
    run = wandb.init(project="flights")
    wandb.save(str(tmp_path / "*.h5"))
    wandb.alert("slow", "too slow", level=wandb.AlertLevel.WARN)
    wandb.finish()
    paths = [file.path for file in client.tracking.files(only(client).id)]
    assert "model.h5" in paths
    assert any(path.startswith("alerts/") for path in paths)
    assert run.path == f"flights/{run.id}"
