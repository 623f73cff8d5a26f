from __future__ import annotations

import math

import pytest

from mainspring.importers import import_trackio
from mainspring.kernel.errors import NotFound, UnsupportedFormat

pytestmark = pytest.mark.databases("sqlite")
pytest.importorskip("trackio")

SCRIPT = """
import trackio

for name in ("one", "two"):
    trackio.init(project="flights", name=name, config={"lr": 0.1, "model": {"depth": 3}}, group="g")
    for step in range(10):
        trackio.log({"loss": 1 / (step + 1), "x": float("inf") if step == 2 else step, "word": "abc"})
    trackio.log({"table": trackio.Table(columns=["a"], data=[[1], [2]])})
    trackio.alert("slow", text="too slow", level=trackio.AlertLevel.WARN)
    trackio.finish()
"""

MORE = """
import trackio

trackio.init(project="flights", name="one", resume="must")
trackio.log({"loss": 9.0})
trackio.finish()
"""


@pytest.fixture
def folder(run_script):
    return run_script(SCRIPT, TRACKIO_DIR="trackio") / "trackio"


def test_a_project_of_the_real_client_is_the_same_here(client, folder):
    report = import_trackio(client, folder)
    assert (report.problems, report.runs, report.experiments) == ([], 2, ["flights"])
    found = {run.title: run for run in client.tracking.search(experiments=["flights"]).runs}
    run = found["one"]
    assert (run.status, run.group, run.params) == ("finished", "g", {"lr": 0.1, "model.depth": 3})
    values = client.tracking.history(run.id, "x")["value"].to_list()
    assert values == [0, 1, math.inf, *range(3, 10)]
    paths = {file.path for file in client.tracking.files(run.id)}
    assert {"media/word/9.txt", "media/table/10.json", "alerts.json"} <= paths


def test_again_changes_nothing_and_a_longer_run_is_continued(client, folder, run_script):
    import_trackio(client, folder / "flights.db")
    again = import_trackio(client, folder / "flights.db")
    assert (again.runs, again.unchanged) == (0, 2)
    run_script(MORE, TRACKIO_DIR="trackio")
    third = import_trackio(client, folder)
    assert (third.problems, third.runs, third.unchanged, third.points) == ([], 1, 1, 1)


def test_a_file_that_is_none_of_its_is_refused(client, tmp_path):
    with pytest.raises(NotFound):
        import_trackio(client, tmp_path)
    (tmp_path / "x.db").write_text("nothing")
    with pytest.raises(UnsupportedFormat, match=r"x\.db"):
        import_trackio(client, tmp_path)
