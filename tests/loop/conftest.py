"""A town with traffic, and a flow that makes successors of its model."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


def _load(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def traffic():
    """The module that makes traffic."""
    return _load("monitoring_traffic", Path(__file__).parents[1] / "monitoring" / "traffic.py")


@pytest.fixture(scope="session")
def successors():
    """The module with the flow."""
    return _load("loop_successors", Path(__file__).with_name("successors.py"))


@pytest.fixture
def towns(traffic, client):
    """Makes towns in workspaces."""
    made = []

    def make(**options):
        made.append(traffic.Town(client, **options))
        return made[-1]

    yield make
    for town in made:
        town.close()


@pytest.fixture
def town(towns):
    """One town in the default workspace."""
    return towns()
