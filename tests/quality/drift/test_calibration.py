"""A small run of the script that makes the table of false alarms, so that neither it nor the rates rot."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("numpy")
pytest.importorskip("scipy")
SCRIPT = Path(__file__).parents[3] / "benchmarks" / "drift_calibration.py"


@pytest.fixture(scope="module")
def calibration():
    spec = importlib.util.spec_from_file_location("drift_calibration", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["drift_calibration"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["drift_calibration"]


@pytest.mark.parametrize("law", ["heavy tail", "15 integers", "5 categories", "yes or no, 10 %"])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (500, 100), (1_000_000, 1_000_000)])
def test_when_nothing_changed_five_per_cent_are_significant(calibration, law, n, m):
    draws = 150
    found = calibration.rate(law, n, m, draws, beside=False)
    # Of 150 draws 7.5 are expected, standard deviation 2.7.
    assert found.significant * draws <= 17
    assert found.drift <= found.warn <= found.significant
    assert found.drift <= 0.07


def test_a_shift_is_found_and_a_tiny_one_is_left_alone(calibration):
    assert calibration.rate("normal", 200, 200, 30, shift=1.0, beside=False).drift >= 0.95
    assert calibration.rate("normal", 100_000, 100_000, 20, shift=0.01, beside=False).warn == 0.0
    assert calibration.rate("5 categories", 500, 500, 20, shift=0.6, beside=False).warn == 1.0


def test_evidentlys_rules_are_asked_beside(calibration):
    found = calibration.rate("30 categories, Zipf", 100, 100, 10)
    assert found.evidently == 1.0
    assert (10_000, 50) in list(calibration.sizes())
