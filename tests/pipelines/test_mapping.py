"""Maps: what is spread and what is shared, what is tried again, and what is kept when calls fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.client.client import Client
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines import each, flow, step, whole

pytestmark = pytest.mark.databases("sqlite")


@step
def told(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def _spread(map_: Callable[..., list[Any]]) -> list[Any]:
    frame = pl.DataFrame({"a": [1, 2]})
    return [
        map_([1, 2]),
        map_((1, 2), "xy"),
        map_("xy", depth=range(2)),
        map_((number * 2 for number in (1, 2)), {"a": 1}),
        map_(iter("ab"), whole([1, 2]), rate=whole((3,))),
        map_(each({"a": 1, "b": 2}), each("xy")),
        [[value.shape if isinstance(value, pl.DataFrame) else value for value in args] for args, _ in map_(frame, [5])],
        map_([]),
    ]


_SPREAD = [
    [((1,), {}), ((2,), {})],
    [((1, "xy"), {}), ((2, "xy"), {})],
    [(("xy",), {"depth": 0}), (("xy",), {"depth": 1})],
    [((2, {"a": 1}), {}), ((4, {"a": 1}), {})],
    [(("a", [1, 2]), {"rate": (3,)}), (("b", [1, 2]), {"rate": (3,)})],
    [(("a", "x"), {}), (("b", "y"), {})],
    [[(2, 1), 5]],
    [],
]


def test_lists_are_spread_and_everything_else_is_shared(client: Client) -> None:
    @flow
    def spreading() -> list[Any]:
        return _spread(told.using(where="inline").map)

    assert _spread(told.map) == _SPREAD
    assert spreading.run(client) == _SPREAD


def test_processes_are_given_the_same(client: Client) -> None:
    @flow
    def spreading() -> list[Any]:
        return _spread(told.map)

    assert spreading.run(client) == _SPREAD


def test_what_cannot_be_spread_is_refused() -> None:
    for wrong in ((1, 2), ("text",), ({"a": 1},), ([1, 2], [1]), (each(3),), ()):
        with pytest.raises(InvalidInput):
            told.map(*wrong)


@step
def at(table: Any, place: int) -> float:
    return float(table[place])


def test_a_large_shared_value_is_written_once(client: Client) -> None:
    table = np.arange(50_000, dtype="float64")
    written: list[int] = []
    put = client.backend.store.blobs.put  # type: ignore[attr-defined]

    def counted(data: bytes) -> str:
        written.append(len(data))
        return str(put(data))

    client.backend.store.blobs.put = counted  # type: ignore[attr-defined]

    @flow
    def looking() -> list[float]:
        return at.map(table, place=range(40))

    assert looking.run(client) == list(map(float, range(40)))
    assert len([size for size in written if size > 100_000]) == 1


def _tries(oracle: Path, word: str) -> int:
    return sum(line.startswith(word) for line in oracle.read_text().splitlines())


def test_failed_tries_of_a_map_are_kept_and_tried_again(flows: ModuleType, client: Client, oracle: Path) -> None:
    @flow
    def flaky() -> Any:
        return flows.flaky.map([0, 1, 2])

    assert flaky.run(client) == [0, 1, 2]
    steps = {each.item: each for each in client.pipelines.steps(client.pipelines.runs()[0].id)}
    tries = {item: client.pipelines.attempts(found.id) for item, found in steps.items()}
    assert {item: [each.attempt for each in found] for item, found in tries.items()} == {0: [], 1: [1], 2: [1, 2]}
    assert "not yet 2" in tries[2][0].error["message"]
    assert steps[2].attempt == 3
    assert _tries(oracle, "flaky") == 1 + 2 + 3


def test_a_map_falls_back_item_by_item(flows: ModuleType, client: Client) -> None:
    @flow
    def falling() -> Any:
        return flows.flaky.using(retries=0, fallback=str).map([0, 1])

    assert falling.run(client) == [0, "not yet 1"]
    done, fell = client.pipelines.steps(client.pipelines.runs()[0].id)
    assert (done.error, fell.state, fell.output) == (None, "finished", "not yet 1")
    assert fell.error is not None


def test_a_wide_map_is_recorded_whole(flows: ModuleType, client: Client) -> None:
    @flow
    def wide() -> int:
        return sum(flows.total.map(pl.DataFrame({"a": [1]}), part=range(400)))

    assert wide.run(client) == 400 + sum(range(400))
    steps = client.pipelines.steps(client.pipelines.runs()[0].id)
    assert [each.item for each in sorted(steps, key=lambda each: each.item)] == list(range(400))
    assert len(client.lineage.runs(kind="step", limit=1000)) == 400
