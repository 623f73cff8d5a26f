"""Flows that the tests export: one of everything that a graph can have."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

import mainspring as ms
from mainspring.pipelines.context import current_step
from mainspring.pipelines.spreading import each, whole

TEMPLATE = '{{ not.ours }} {% nor this %} $(NOR_THIS) "quoted" \'single\' {"a": {}}'


@dataclass
class Settings:
    depth: int
    note: str


@ms.step
def orders(day: date, shops: int) -> pl.DataFrame:
    return pl.DataFrame({"shop": range(shops), "amount": [day.day * (shop + 1) for shop in range(shops)]})


@ms.step
def split(frame: pl.DataFrame) -> list[pl.DataFrame]:
    return frame.partition_by("shop", maintain_order=True)


@ms.step
def total(frame: pl.DataFrame, factor: int, settings: Settings) -> float:
    assert settings.note == TEMPLATE, settings
    return float(frame["amount"].sum() * factor * settings.depth)


@ms.step
def double(value: float) -> float:
    return 2 * value


@ms.step
def weigh(value: float, weight: float, ceiling: float | None = None) -> float:
    return value * weight if ceiling is None else min(ceiling, value * weight)


@ms.step
def add(values: list[float], named: dict[str, Any], *more: float, **extra: float) -> dict[str, float]:
    return {"sum": sum(values), "named": named["one"], "more": sum(more), "extra": extra["beside"]}


@ms.step
def nth(values: list[float], place: int) -> float:
    return values[place]


@ms.step
def where() -> tuple[str, str]:
    step = current_step()
    return step.path, step.idempotency_key


@ms.step
def effect(name: str) -> None: ...


@ms.flow
def everything(day: date = date(2026, 11, 21), shops: int = 3, weights: list[float] = [1.0, 10.0, 100.0]) -> dict:  # noqa: B006
    """Maps of results, of constants, of parameters and of maps; results in lists, dicts, *args and **kwargs."""
    frame = orders(day, shops)
    parts = split(frame)
    totals = total.map(parts, factor=[1, 2, 3], settings=Settings(depth=2, note=TEMPLATE))
    doubled = double.map(totals)
    weighed = weigh.map(doubled, weight=weights)
    beside = double.submit(5.0)
    turned = nth.map(whole(weighed), [2, 0])
    return add(turned, {"one": beside}, double(1.0), double(2.0), beside=double(3.0))


@ms.flow
def parts_of(words: dict[str, int] = {"a": 1, "b": 2}) -> str:  # noqa: B006
    return join(shout.map(each(words), "!"))


@ms.step
def shout(word: str, mark: str) -> str:
    return word.upper() + mark


@ms.step
def join(words: list[str]) -> str:
    return " ".join(words)


@ms.flow
def ordered() -> None:
    effect("first")
    left = double(1.0)
    right = double(2.0)
    effect("second")
    weigh(left, right)


@ms.flow
def sub(value: float) -> float:
    return double(double(value))


@ms.step
def halve(value: float) -> tuple[float, list[float]]:
    return value / 2, [value / 4, value / 8]


@ms.flow
def unpacked(value: float = 8.0) -> dict:
    """A tuple that is taken apart, a part of it mapped over, and one that is mapped over as it is."""
    half, rest = halve(value)
    again = halve(half)
    return add(double.map(rest), {"one": again[0]}, half, beside=double(again[0]))


@ms.flow
def gathered(value: float = 1.0) -> str:
    """A map over a list whose items are made by steps, and over a parameter."""
    index = double.submit(value)
    return join(shout.map(["a", shout("b", "?"), name(index)], "!"))


@ms.step
def name(value: float) -> str:
    return f"{value:g}"


@ms.flow
def nested(value: float = 1.5) -> float:
    return weigh(sub(value), sub(2.0))


@ms.step(
    retries=2, delay=0.5, retry_on=(ValueError,), cpu=0.5, memory=1_000_000_000, gpu=1, timeout=90, secrets="DB_URL"
)
def demanding(moment: datetime) -> float:
    raise KeyError(moment)


@ms.step(retries=1, delay=0, fallback=-1.0)
def unlucky(value: float) -> float:
    raise ValueError(value)


@ms.step(cache=True, cache_ttl=3600, image="special:1", priority=3, limits="warehouse")
def costly(day: date) -> float:
    return float(day.day)


@ms.flow(schedule=("15 2 * * *", "every 6h"), tz="Europe/Paris", overlap="cancel_other", timeout=3600)
def options(day: date = ms.fire_date(), moment: datetime = ms.fire_time()) -> float:
    """Options of steps and flows."""
    demanding(moment)
    return unlucky(costly(day))


@ms.step
def count(marker: str) -> float:
    with Path(marker).open("a") as file:
        file.write("counted once" if not Path(marker).stat().st_size else ", and again")
    return 4.0


@ms.step
def breaks(marker: str) -> bool:
    if Path(f"{marker}.broken").exists():
        return False
    Path(f"{marker}.broken").touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return True


@ms.flow
def breaks_once(marker: str) -> float:
    found = count(marker)
    if breaks(marker):
        return 0.0
    return double(found)
