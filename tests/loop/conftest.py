"""A town with traffic."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def _traffic():
    spec = importlib.util.spec_from_file_location("monitoring_traffic", Path(__file__).parents[1] / "monitoring" / "traffic.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def traffic():
    """The module that makes traffic."""
    return _traffic()


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
