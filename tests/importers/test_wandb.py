from __future__ import annotations

import json
import math

import pytest

from mainspring.importers import import_wandb
from mainspring.kernel.errors import Damaged, NotFound, UnsupportedFormat

pytestmark = pytest.mark.databases("sqlite")
pytest.importorskip("wandb")

SCRIPT = """
import numpy as np
import wandb

run = wandb.init(project="flights", name="first", notes="a *note*", tags=["a"], group="g1", job_type="train",
                 config={"lr": 0.1, "model": {"depth": 3}, "names": ["x", "y"]})
for step in range(20):
    wandb.log({"loss": 1 / (step + 1), "acc": float("nan") if step == 3 else float("inf") if step == 4 else step,
               "nested": {"deep": step}})
print("hello from the run")
wandb.log({"hist": wandb.Histogram(np.arange(10)), "img": wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8)),
           "text": "abc", "table": wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])})
run.summary["best"] = 3.5
artifact = wandb.Artifact("weights", type="model", metadata={"k": 1})
with artifact.new_file("w.bin", mode="wb") as file:
    file.write(b"12345")
run.log_artifact(artifact, aliases=["best"])
wandb.finish(exit_code={code})
"""


@pytest.fixture
def offline(run_script):
    def made(code=0):
        folder = run_script(
            SCRIPT.replace("{code}", str(code)), WANDB_MODE="offline", WANDB_SILENT="true", WANDB_X_DISABLE_STATS="true"
        )
        return folder / "wandb"

    return made


def test_a_run_of_the_real_client_is_the_same_here(client, offline):
    report = import_wandb(client, offline())
    assert (report.problems, report.runs, report.experiments) == ([], 1, ["flights"])
    (run,) = client.tracking.search(experiments=["flights"]).runs
    assert (run.title, run.group, run.note, run.status) == ("first", "g1", "a *note*", "finished")
    assert run.params == {"lr": 0.1, "model.depth": 3, "names": ["x", "y"]}
    assert (run.tags["a"], run.tags["job_type"], run.tags["summary.best"]) == ("true", "train", "3.5")
    acc = client.tracking.history(run.id, "acc")["value"].to_list()
    assert math.isnan(acc[3])
    assert (acc[4], acc[19]) == (math.inf, 19.0)
    assert client.tracking.history(run.id, "loss")["value"].to_list() == [1 / (step + 1) for step in range(20)]
    assert run.metrics["nested.deep"].value == 19


def test_media_files_and_artifacts_come_along(client, offline):
    import_wandb(client, offline())
    (run,) = client.tracking.search(experiments=["flights"]).runs
    files = {each.path: each for each in client.tracking.files(run.id)}
    log = b"".join(client.tracking.read_file(run.id, path="output.log"))
    assert b"hello from the run" in log
    (image,) = [each for each in files.values() if each.key == "img"]
    assert (image.step, b"".join(client.tracking.read_file(run.id, path=image.path))[:4]) == (20, b"\x89PNG")
    assert b"".join(client.tracking.read_file(run.id, path="media/text/20.txt")) == b"abc"
    histogram = json.loads(b"".join(client.tracking.read_file(run.id, path="media/hist/20.json")))
    assert sum(histogram["values"]) == 10
    made = client.lineage.artifact("model/weights@best")
    assert (made.artifact.run_id, [file.path for file in made.files], made.artifact.metadata["k"]) == (
        run.id,
        ["w.bin"],
        1,
    )


def test_again_changes_nothing(client, offline):
    folder = offline()
    first = import_wandb(client, folder)
    again = import_wandb(client, folder)
    assert (first.runs, again.runs, again.unchanged, again.points) == (1, 0, 1, 0)
    assert client.tracking.count(experiments=["flights"]) == 1


def test_a_run_that_failed_says_so(client, offline):
    import_wandb(client, offline(code=3))
    (run,) = client.tracking.search(experiments=["flights"]).runs
    assert run.status == "failed"


def test_a_run_that_was_cut_off_has_crashed_and_ends_when_the_rest_is_there(client, offline):
    folder = offline()
    (log,) = folder.glob("offline-run-*/run-*.wandb")
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) * 2 // 3])
    import_wandb(client, folder)
    (run,) = client.tracking.search(experiments=["flights"]).runs
    assert run.status == "crashed"
    log.write_bytes(whole)
    assert import_wandb(client, folder).problems == []
    (run,) = client.tracking.search(experiments=["flights"]).runs
    assert (run.status, run.metrics["loss"].count) == ("finished", 20)


def test_a_flipped_byte_is_named_and_a_foreign_file_refused(client, offline, tmp_path):
    folder = offline()
    (log,) = folder.glob("offline-run-*/run-*.wandb")
    whole = bytearray(log.read_bytes())
    whole[len(whole) // 2] ^= 1
    log.write_bytes(whole)
    with pytest.raises(Damaged, match=log.name):
        import_wandb(client, folder)
    (tmp_path / "run-x.wandb").write_bytes(b"something else")
    with pytest.raises(UnsupportedFormat):
        import_wandb(client, tmp_path / "run-x.wandb")
    with pytest.raises(NotFound, match="no W&B run"):
        import_wandb(client, tmp_path / "nowhere")
