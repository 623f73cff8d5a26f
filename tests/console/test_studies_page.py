"""The pages of studies: empty, with one trial, with thousands, with failed ones, with two objectives."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

import mainspring as ms
from mainspring.kernel.clock import now
from mainspring.kernel.ids import new_id
from mainspring.tuning import Choice, Float, Int, NewTrial, Trial, TrialChange

pytestmark = pytest.mark.databases("sqlite")

SPACE = {"rate": Float(1e-4, 1, log=True), "depth": Int(1, 9), "kind": Choice(("a", "b"))}


def fill(client: ms.Client, name: str, count: int, **study: Any) -> list[Trial]:
    """A study whose trials are written as they are: every seventh failed, every eleventh pruned."""
    made = client.tuning.create(name, space=SPACE, **study)
    objectives = len(made.directions)
    trials = []
    for place in range(count):
        state = "failed" if place % 7 == 3 else "pruned" if place % 11 == 5 else "finished"
        began = now() - timedelta(seconds=count - place)
        params = {"rate": 10 ** -(place % 4), "depth": 1 + place % 9, "kind": "ab"[place % 2]}
        values = [float((params["depth"] - 4) ** 2) + params["rate"], float(params["depth"])][:objectives]
        trials.append(
            Trial(
                new_id(),
                made.id,
                place,
                state,
                params,
                began,
                values=values if state == "finished" else [],
                finished_at=began + timedelta(seconds=2),
                reports={0: 3.0, 1: 2.0 + place % 3},
                error="ValueError: <no> & so on" if state == "failed" else "",
            )
        )
    client.tuning.record(made.id, trials=trials)
    return trials


def charts(page: Any) -> set[str]:
    return {each.attributes["class"].split()[-1] for each in page.all("svg", class_="chart")}


def test_the_list_says_how_studies_are_and_teaches_when_there_is_none(empty: Any) -> None:
    assert "No study yet" in empty.page("/studies").text
    fill(empty.client, "forest", 30)
    empty.client.tuning.study("nothing")
    page = empty.page("/studies")
    rows = [row.text for row in page.all("tbody")[0].all("tr")]
    assert rows[0].startswith("nothing running 0")
    assert "forest" in rows[1]
    assert "4 failed" in rows[1]
    assert "No study has this name" in empty.page("/studies?q=none").text


def test_a_study_page_shows_its_trials_and_which_parameters_matter(empty: Any) -> None:
    trials = fill(empty.client, "forest", 60)
    page = empty.page("/studies/forest")
    assert charts(page) == {
        "chart-scatter",
        "chart-bar",
        "chart-contour",
        "chart-parallel",
        "chart-line",
        "chart-lanes",
    }
    best = min((t for t in trials if t.state == "finished"), key=lambda t: t.values[0])
    assert page.all("a", href=f"/runs/{best.id}")
    (bars,) = page.all("svg", class_="chart-bar")
    assert bars.text.index("depth") < bars.text.index("kind")
    assert empty.client.tuning.importances("forest").parameters.keys() == {"depth", "rate", "kind"}
    failed = empty.page("/studies/forest?state=failed")
    rows = failed.all("tbody")[-1].all("tr")
    assert len(rows) == sum(trial.state == "failed" for trial in trials)
    assert "ValueError: <no> & so on" in rows[0].text
    answer = empty.get("/studies/forest.json")
    assert answer.json()["counts"]["finished"] == sum(trial.state == "finished" for trial in trials)
    swapped = empty.page("/studies/forest?x=kind&y=rate")
    assert "Surface over kind and rate" in swapped.text


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_study_that_has_hardly_begun_has_a_page(empty: Any, count: int) -> None:
    fill(empty.client, "young", count)
    text = empty.page("/studies/young").text
    assert ("No trial yet" in text) == (count == 0)
    if count:
        assert "Too few" in text


def test_a_study_whose_trials_all_failed_has_a_page(empty: Any) -> None:
    with pytest.raises(ms.MainspringError):
        ms.tune(lambda rate, **rest: 1 / 0, SPACE, trials=3, name="broken", client=empty.client)
    text = empty.page("/studies/broken").text
    assert "ZeroDivisionError" in text
    assert "No trial has a value yet" in text


def test_two_objectives_have_a_front(empty: Any) -> None:
    fill(
        empty.client,
        "both",
        40,
        directions=["minimize", "maximize"],
        system_attrs={"study:metric_names": ["loss", "speed"]},
    )
    page = empty.page("/studies/both")
    assert "minimize loss and maximize speed" in page.text
    front = next(each for each in page.all("svg", class_="chart") if each.attributes["aria-label"].startswith("Pareto"))
    ringed = [each for each in front.all("circle") if each.attributes.get("stroke-width") == "1.5"]
    assert len(ringed) == len(page.all("tbody")[0].all("tr")) > 1
    assert "History of speed" in empty.page("/studies/both?objective=1").text


def test_ten_thousand_trials_are_thinned_and_the_best_is_among_them(empty: Any) -> None:
    trials = fill(empty.client, "large", 10_000)
    answer = empty.get("/studies/large")
    assert answer.status_code == 200
    assert len(answer.content) < 300_000
    assert answer.text.count('class="dots"') > 1
    assert len(empty.operations) <= 5
    best = empty.client.tuning.best("large")
    assert f"/runs/{best.id}" in answer.text
    assert len(trials) == 10_000


def test_a_study_that_lies_on_its_front_as_a_whole_has_a_page_of_the_same_size(empty: Any) -> None:
    made = empty.client.tuning.create("front", space={"x": Int(0, 4999)}, directions=["minimize", "maximize"])
    began = now()
    trials = [
        Trial(new_id(), made.id, x, "finished", {"x": x}, began, values=[float(x), float(x)], finished_at=began)
        for x in range(5000)
    ]
    empty.client.tuning.record(made.id, trials=trials)
    answer = empty.get("/studies/front")
    assert answer.status_code == 200
    assert len(answer.content) < 330_000
    assert answer.text.count("5,000") >= 1


def test_a_constraint_that_is_no_number_is_broken(empty: Any) -> None:
    made = empty.client.tuning.create("odd", space={"x": Int(0, 9)})
    for x, attrs in enumerate(({"constraints": ["low"]}, {"constraints": 3}, {"constraints:a": -1})):
        trial = empty.client.tuning.begin(made.id, trial=NewTrial(params={"x": x}, system_attrs=attrs))
        change = TrialChange(trial.number, state="finished", values=[float(x)])
        empty.client.tuning.change(made.id, changes=[change])
    assert empty.client.tuning.best("odd").number == 1
    assert empty.get("/studies/odd").status_code == 200


def test_an_idle_server_does_not_load_optuna() -> None:
    program = (
        "import sys, mainspring.console.routes, mainspring.tuning.service, mainspring.console.pages.studies;"
        "print([name for name in ('optuna', 'numpy', 'ray') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
