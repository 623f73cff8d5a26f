from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml

from mainspring.pipelines import entry
from mainspring.pipelines.exports.exporting import export
from mainspring.pipelines.exports.portable import unpack

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "examples")]

import nightly  # noqa: E402
import shop  # noqa: E402
from argo_runner import Argo  # noqa: E402


def inside(words):
    assert words[:3] == ["python", "-m", "mainspring.pipelines.entry"]
    code = entry.main(words[3:])
    assert code == 0, f"{code}: {words}"


def outside(words):
    subprocess.run(
        [sys.executable, *words[1:]], check=True, cwd=Path(nightly.__file__).parent, capture_output=True, timeout=60
    )


def run(flow, folder, to="argo", how=inside, **parameters):
    made = export(flow, to=to, image="shop:1")
    argo = Argo(yaml.safe_load(made.text), folder, how, parameters)
    return argo, argo.execute()


def test_the_exported_workflow_computes_what_the_flow_computes(tmp_path):
    argo, result = run(shop.everything, tmp_path)
    assert unpack(result.read_bytes()) == shop.everything()
    assert len([pod for pod in argo.pods if pod.startswith("total-")]) == 3


def test_containers_of_their_own_compute_it_too(tmp_path):
    _, result = run(nightly.nightly, tmp_path, how=outside, day="2026-11-20", rows="48")
    assert unpack(result.read_bytes()) == nightly.nightly(date(2026, 11, 20), 48)


def test_parameters_that_are_mapped_over_are_listed_by_a_step(tmp_path):
    _, result = run(shop.parts_of, tmp_path)
    assert unpack(result.read_bytes()) == "A! B!"
    _, result = run(shop.parts_of, tmp_path / "more", words='{"{{x}}": 1}')
    assert unpack(result.read_bytes()) == "{{X}}!"


def test_lists_of_results_are_mapped_over(tmp_path):
    _, result = run(shop.gathered, tmp_path)
    assert unpack(result.read_bytes()) == shop.gathered() == "A! B?! 2!"


def test_tuples_are_taken_apart(tmp_path):
    _, result = run(shop.unpacked, tmp_path)
    assert unpack(result.read_bytes()) == shop.unpacked() == {"sum": 6.0, "named": 2.0, "more": 4.0, "extra": 4.0}


def test_steps_called_for_their_effect_keep_their_place(tmp_path):
    argo, _ = run(shop.ordered, tmp_path)
    assert argo.order[0] == "effect"
    assert argo.order[3:] == ["effect-2", "weigh"]


def test_flows_in_flows_are_part_of_the_graph(tmp_path):
    argo, result = run(shop.nested, tmp_path, value="2.5")
    assert unpack(result.read_bytes()) == 80.0
    assert sorted(argo.order) == ["double", "double-2", "double-3", "double-4", "weigh"]


def test_maps_of_unequal_length_are_refused_when_they_run(tmp_path):
    def refused(words):
        if entry.main(words[3:]):
            raise RuntimeError(words)

    with pytest.raises(RuntimeError, match="weigh"):
        run(shop.everything, tmp_path, how=refused, weights="[1.0]")
