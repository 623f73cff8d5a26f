"""Endpoints in memory: fakes for the dataplane's ports, so that its rules show without a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from mainspring.engines.signature import Field, Signature
from mainspring.serving.dataplane import Dataplane
from mainspring.serving.fleet import Fleet
from mainspring.serving.spool import Entry, SpoolHead
from mainspring.serving.traffic import Target, TrafficPlan
from mainspring.serving.types import Endpoint

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class Adder:
    """A model that adds a constant to `x`, and says which carriers it saw."""

    runtime = "native"

    def __init__(self, constant: float, *, fails: bool = False) -> None:
        self.constant = constant
        self.fails = fails
        self.signature = Signature(
            inputs=(Field("x", "FP64"), Field("carrier", "BYTES")), outputs=(Field("value", "FP64"),)
        )

    def predict(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        if self.fails and len(columns["x"]) != 1:  # the warm-up row passes
            raise RuntimeError("broken model")
        return {"value": columns["x"] + self.constant}

    def close(self) -> None:
        pass


@dataclass
class World:
    """A catalog, a model store and a log, all in memory."""

    models: dict[str, Adder] = field(default_factory=lambda: {"m1": Adder(1), "m2": Adder(2)})
    entries: list[tuple[SpoolHead, Entry]] = field(default_factory=list)
    all: dict[str, Endpoint] = field(default_factory=dict)
    changes: int = 0
    loads: list[str] = field(default_factory=list)

    def version(self) -> int:
        return self.changes

    def endpoints(self) -> list[Endpoint]:
        return list(self.all.values())

    def load(self, model_id: str) -> Adder:
        self.loads.append(model_id)
        return self.models[model_id]

    def record(self, head: SpoolHead, entry: Entry) -> None:
        self.entries.append((head, entry))

    @staticmethod
    def target(version: int) -> Target:
        return Target(model=f"m{version}", name="adder", version=version, deployment=f"d{version}")

    @staticmethod
    def columns(rows: int) -> dict[str, Any]:
        carriers = np.empty(rows, object)
        carriers[:] = [("UA", "AA", "B6")[each % 3] for each in range(rows)]
        return {"x": np.arange(rows, dtype=float), "carrier": carriers}

    def break_model(self, model_id: str) -> None:
        self.models[model_id].fails = True

    def put(
        self,
        name: str = "fraud",
        *,
        features: tuple[str, ...] = (),
        sticky: tuple[str, ...] = (),
        timestamp: str = "",
        **plan: Any,
    ) -> None:
        self.changes += 1
        made = TrafficPlan(champion=plan.pop("champion", self.target(1)), **plan)
        self.all[name] = Endpoint(
            "e", "default", name, made, features, sticky, timestamp, self.changes, MOMENT, MOMENT, "owner"
        )

    def plane(self, **options: Any) -> Dataplane:
        plane = Dataplane(Fleet(self, self.load), self, **options)
        plane.fleet.refresh()
        return plane


@pytest.fixture
def world() -> World:
    return World()
