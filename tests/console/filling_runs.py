"""Many small runs, quickly: what the table, the charts and the comparison are tried on."""

from __future__ import annotations

import json
import math
import random

from mainspring.kernel.ids import new_id
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.types import FinishRecord, ParamsRecord, PointsRecord, RunStart, TagsRecord

FAMILIES = ("adam", "lion", "sgd")
BEGAN = 1_767_225_600_000_000


def fill(client, count: int = 320) -> list[str]:
    """The ids of the runs of the experiment `sweep`, in the order in which they began; the last one goes on."""
    ids = [one_run(client, number, end=number < count - 1) for number in range(count)]
    client.tracking.annotate([ids[0]], note="# The first\n\nWith **care**.")
    return ids


def one_run(client, number: int, *, end: bool = True, points: int = 40, experiment: str = "sweep") -> str:
    """A run with a few parameters, two curves, and one value that stands alone; one of them is not finite."""
    chance = random.Random(number)
    run_id, family = new_id(), FAMILIES[number % 3]
    client.tracking.start(RunStart(run_id, experiment, title=f"{family}-{number:03}", group=f"fold-{number % 4}"))
    params = {"optimizer.name": family, "optimizer.lr": 10 ** chance.uniform(-4, -1), "depth": 2 + number % 7}
    records = [
        ParamsRecord({key: json.dumps(value) for key, value in params.items()}),
        TagsRecord({"team": ("ops", "vision")[number % 2]}),
    ]
    for step in range(points):
        loss = math.exp(-step / 20) + chance.random() * 0.05 + number / 1000
        values = {"train/loss": math.nan if number == 2 and step == 20 else loss, "val/accuracy": 1 - loss / 3}
        records.append(PointsRecord(step, BEGAN + step * 1_000_000, values))
    records.append(PointsRecord(0, BEGAN, {"score": number / 1000}))
    if end:
        records.append(FinishRecord("failed" if number % 11 == 5 else "finished"))
    client.tracking.append(run_id, writer="", sequence=0, body=[encode_frame(each) for each in records])
    return run_id


def more_points(client, run_id: str, start: int, count: int, value: float) -> None:
    """Goes on with a run."""
    records = [
        PointsRecord(step, BEGAN + step * 1_000_000, {"train/loss": value}) for step in range(start, start + count)
    ]
    client.tracking.append(run_id, writer="", sequence=0, body=[encode_frame(each) for each in records])
