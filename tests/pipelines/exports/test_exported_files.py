"""The files as they are: against those that were read by people, and against the models of who reads them."""

from __future__ import annotations

import ast
from datetime import date

import golden
import nightly
import pytest
import shop
import yaml
from hera.workflows.models import CronWorkflow, Workflow

import mainspring as ms
from mainspring.pipelines.exports.exporting import export


@pytest.mark.parametrize("name", golden.FILES)
def test_exports_are_as_they_were_read(name):
    kept = (golden.HERE / "golden" / name).read_text(encoding="utf-8")
    assert golden.made(name) == kept, "read the difference, then run python tests/pipelines/exports/golden.py"


def unknown(manifest, known, path=""):
    """Keys that a model did not take: hera's models drop them without a word."""
    if isinstance(manifest, dict):
        for key, value in manifest.items():
            if key not in known:
                yield f"{path}.{key}"
            else:
                yield from unknown(value, known[key], f"{path}.{key}")
    elif isinstance(manifest, list):
        for number, value in enumerate(manifest):
            yield from unknown(value, known[number], f"{path}[{number}]")


@pytest.mark.parametrize("flow", [nightly.nightly, nightly.until_good, shop.everything, shop.options, shop.ordered])
@pytest.mark.parametrize(("target", "model"), [("argo", Workflow), ("argo-cron", CronWorkflow)])
def test_hera_knows_every_key(flow, target, model):
    manifest = yaml.safe_load(export(flow, to=target, image="image:1", cron="@daily").text)
    read = model.model_validate(manifest).model_dump(by_alias=True, exclude_none=True, mode="json")
    assert list(unknown(manifest, read)) == []


def test_the_walk_finds_what_hera_drops():
    manifest = yaml.safe_load(export(nightly.nightly, to="argo", image="image:1").text)
    manifest["spec"]["templates"][1]["retryStrategy"]["tries"] = 3
    read = Workflow.model_validate(manifest).model_dump(by_alias=True, exclude_none=True, mode="json")
    assert list(unknown(manifest, read)) == [".spec.templates[1].retryStrategy.tries"]


def template(manifest, name):
    spec = manifest["spec"].get("workflowSpec", manifest["spec"])
    return next(each for each in spec["templates"] if each["name"] == name)


def test_options_reach_argo():
    made = export(shop.options, to="argo-cron", image="image:1")
    manifest = yaml.safe_load(made.text)
    assert manifest["spec"] | {"workflowSpec": None} == {
        "schedules": ["15 2 * * *", "0 */6 * * *"],
        "timezone": "Europe/Paris",
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 86_400,
        "workflowSpec": None,
    }
    assert manifest["spec"]["workflowSpec"]["activeDeadlineSeconds"] == 3600
    demanding = template(manifest, "demanding")
    assert demanding["retryStrategy"]["limit"] == 2
    assert "!= 42" in demanding["retryStrategy"]["expression"]
    assert demanding["activeDeadlineSeconds"] == 90
    assert demanding["container"]["resources"] == {
        "requests": {"cpu": "0.5", "memory": "1000000000", "nvidia.com/gpu": "1"},
        "limits": {"memory": "1000000000", "nvidia.com/gpu": "1"},
    }
    secret = {"name": "DB_URL", "valueFrom": {"secretKeyRef": {"name": "db-url", "key": "value"}}}
    assert demanding["container"]["env"] == [secret]
    costly = template(manifest, "costly")
    assert costly["container"]["image"] == "special:1"
    assert "memoize" not in costly, "a day that the schedule fills in is no text that Argo could find it by"
    assert "--retries=1" in template(manifest, "unlucky")["container"]["args"]
    assert "retryStrategy" not in template(manifest, "unlucky")
    assert "costly: the limits warehouse are not known outside of Mainspring" in made.notes
    assert "Priorities of steps are not carried over." in made.notes


def test_options_reach_kubeflow_and_airflow():
    pipeline, platform = yaml.safe_load_all(export(shop.options, to="kubeflow", image="image:1").text)
    task = pipeline["root"]["dag"]["tasks"]["demanding"]
    assert task["retryPolicy"]["maxRetryCount"] == 2
    assert pipeline["root"]["dag"]["tasks"]["costly"]["cachingOptions"] == {"enableCache": True}
    container = pipeline["deploymentSpec"]["executors"]["exec-demanding"]["container"]
    assert container["resources"]["accelerator"]["resourceCount"] == "1"
    assert "--timeout=90" in container["args"]
    secrets = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-demanding"]["secretAsEnv"]
    assert secrets == [{"secretName": "db-url", "keyToEnv": [{"secretKey": "value", "envVar": "DB_URL"}]}]

    text = export(shop.options, to="airflow", image="image:1").text
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    given = {keyword.arg: ast.unparse(keyword.value) for call in calls for keyword in call.keywords}
    assert given["schedule"] == "MultipleCronTriggerTimetable('15 2 * * *', '0 */6 * * *', timezone='Europe/Paris')"
    assert given["dagrun_timeout"] == "timedelta(seconds=3600)"
    assert given["execution_timeout"] == "timedelta(seconds=90)"
    assert given["priority_weight"] == "3"


def test_memoized_steps_are_found_by_code_and_all_that_they_are_given():
    def memo(flow, name="costly"):
        return template(yaml.safe_load(export(flow, to="argo", image="image:1").text), name)["memoize"]

    found = memo(costs)
    assert found["maxAge"] == "3600s"
    assert found["key"].startswith("costly-")
    assert found["key"].endswith("-{{=sprig.sha256sum(sprig.sha256sum(workflow.parameters['day']))}}")
    assert memo(costs) == found
    keys = {memo(flow, "between")["key"] for flow in (first_to_last, last_to_first, to_ten, to_eleven)}
    assert len(keys) == 4, "a result is not found by what another call was given"


@ms.step(cache=True)
def between(start: int, end: int) -> int:
    return end - start


@ms.flow
def first_to_last(first: int = 1, last: int = 2) -> int:
    return between(first, last)


@ms.flow
def last_to_first(first: int = 1, last: int = 2) -> int:
    return between(last, first)


@ms.flow
def to_ten(first: int = 1) -> int:
    return between(first, 10)


@ms.flow
def to_eleven(first: int = 1) -> int:
    return between(first, 11)


@ms.flow
def costs(day: date = date(2026, 11, 21)) -> float:
    return shop.costly(day)
