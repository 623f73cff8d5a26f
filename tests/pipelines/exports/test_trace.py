from __future__ import annotations

import sys

import dynamic
import nightly
import pytest
import shop

import mainspring as ms
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.exports.exporting import export
from mainspring.pipelines.exports.graph import Parameter
from mainspring.pipelines.exports.trace import trace


def test_a_graph_has_the_steps_in_order_with_what_they_are_given():
    graph = trace(nightly.nightly)
    assert [(node.name, node.after) for node in graph.nodes] == [
        ("load", ()),
        ("fit", ("load",)),
        ("pick", ("fit",)),
        ("report", ("pick",)),
    ]
    assert graph.node("fit").items == ([1, 2, 3],)
    assert graph.node("fit").arguments == {"frame": {"$": "result", "node": "load"}, "degree": {"$": "item", "of": 0}}
    assert graph.result == "pick"
    assert (graph.crons, graph.tz) == (("15 2 * * *",), "Europe/Paris")
    assert graph.parameters == (
        Parameter("day", "date", fires=True),
        Parameter("rows", "integer", 96),
        Parameter("tolerance", "number", 0.5),
    )


@pytest.mark.parametrize("name", dynamic.REASONS)
def test_a_body_that_must_know_is_dynamic_and_says_where(name):
    profile = sys.getprofile()
    graph = trace(getattr(dynamic, name))
    assert dynamic.REASONS[name] in graph.dynamic
    assert not graph.nodes
    assert sys.getprofile() is profile


def test_a_reason_names_the_line():
    assert trace(dynamic.branches).dynamic.startswith("dynamic.py:")
    assert "`if score(n):`" in trace(dynamic.branches).dynamic


def test_every_dynamic_flow_of_the_page_has_its_reason():
    flows = {name for name, found in vars(dynamic).items() if type(found).__name__ == "Flow"}
    assert flows == set(dynamic.REASONS)


def test_steps_are_ordinary_functions_again_after_a_trace():
    trace(dynamic.branches)
    assert shop.nested(1.0) == 32.0


@ms.step
def here(value):
    return value


def test_what_no_container_can_import_is_refused_with_what_to_do():
    @ms.flow
    def local():
        return here(1)

    with pytest.raises(InvalidInput, match="flow local cannot be exported") as caught:
        trace(local)
    assert "top of a module" in caught.value.hint
    with pytest.raises(InvalidInput, match="step lambda cannot be exported"):
        trace(calls_a_lambda)
    with pytest.raises(InvalidInput, match="runs on Ray"):
        trace(calls_ray)
    with pytest.raises(InvalidInput, match="too large for the exported file") as caught:
        trace(gives_much)
    assert "let a step" in caught.value.hint


@ms.flow
def calls_a_lambda():
    return ms.step(name="lambda")(lambda: 1)()


@ms.flow
def calls_ray():
    return shop.double.using(where="ray")(1.0)


@ms.flow
def gives_much():
    return here(b"x" * 100_000)


@ms.flow
def is_broken():
    return here({"known": 1}["unknown"])


@ms.flow
def takes_anything(*values: int):
    return here(1)


@ms.flow
def must_be_given(day: str):
    return here(day)


@ms.flow(schedule="every 7m")
def odd_interval():
    return here(1)


@ms.flow
def templated(text: str = "{{ x }}"):
    return here(text)


@ms.flow
def half_a_processor():
    return shop.double.using(gpu=0.5)(1.0)


@pytest.mark.parametrize(
    ("flow", "target", "message"),
    [
        (takes_anything, "argo", "the parameter values has no name"),
        (must_be_given, "argo-cron", "has no schedule"),
        (must_be_given, "cronjob", "has no schedule"),
        (odd_interval, "argo-cron", "every 7m, which no cron expression means"),
        (templated, "argo", "marks of templates"),
        (half_a_processor, "argo", "gives graphics processors whole"),
        (is_broken, "argo", "the body of the flow is_broken raised KeyError: 'unknown'"),
        (shop.nested, "nomad", "there is no export to 'nomad'"),
    ],
)
def test_what_a_target_cannot_do_is_refused(flow, target, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        export(flow, to=target, image="image:1")
    assert caught.value.hint or caught.value.known


@pytest.mark.parametrize("target", ["argo-cron", "cronjob", "airflow"])
def test_a_schedule_needs_defaults(target):
    with pytest.raises(InvalidInput, match="cannot start by itself: day has no default"):
        export(must_be_given, to=target, image="image:1", cron="@daily")


@ms.flow
def long_chain(value: float = 1.0) -> float:
    for _ in range(1_400):
        value = shop.double(value)
    return value


def test_what_a_cluster_would_not_take_is_refused():
    assert len(trace(long_chain).nodes) == 1_400
    assert trace(long_chain).nodes[-1].after == ("double-1399",)
    with pytest.raises(InvalidInput, match="Kubernetes takes 1000000") as caught:
        export(long_chain, to="argo", image="image:1")
    assert ".map over a list" in caught.value.hint


def test_an_image_is_needed():
    with pytest.raises(InvalidInput, match="needs the image"):
        export(shop.nested, to="argo", image=" ")
