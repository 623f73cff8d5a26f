"""Steps and flows that are coroutines."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from mainspring.client.client import Client
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput
from mainspring.pipelines import current_step, flow, step

pytestmark = pytest.mark.databases("sqlite")

calls: list[Any] = []
together: list[int] = []


@step
async def fetch(number: int) -> int:
    calls.append(number)
    together.append(number)
    for _ in range(500):
        if len(together) >= 3:
            break
        await asyncio.sleep(0.01)
    return number * 10


@step
async def alone(number: int) -> int:
    calls.append(number)
    context = current_step()
    assert context is not None
    assert context.item in (-1, number)
    return number


@step(retries=2, delay=0.0)
async def stubborn(number: int) -> int:
    context = current_step()
    assert context is not None
    if context.attempt < 3:
        raise ValueError("not yet")
    return number


@step(timeout=0.05)
async def endless() -> None:
    await asyncio.sleep(600)


@step
def plain(number: int) -> int:
    calls.append(number)
    return number + 1


@flow
async def inner(number: int) -> int:
    return await alone(number) + plain(number)


@flow
async def crawl(*, broken: bool = True) -> list[Any]:
    found = await asyncio.gather(fetch(1), fetch(2), fetch(3))
    nested = await asyncio.gather(inner(4), inner(5))
    handle = plain.submit(6)
    await handle
    if broken:
        raise RuntimeError("the power went out")
    return [*found, *nested, await handle, plain(handle.later), await stubborn(8)]


def test_awaited_steps_are_done_together_once_and_in_their_places(client: Client) -> None:
    calls.clear()
    together.clear()
    with pytest.raises(RuntimeError, match="power"):
        crawl.run(client)
    run = client.pipelines.runs()[0]
    done = client.pipelines.steps(run.id, state="finished")
    assert {(each.path, each.name, each.output) for each in done} == {
        ("0", "fetch", 10),
        ("1", "fetch", 20),
        ("2", "fetch", 30),
        ("3.0", "alone", 4),
        ("3.1", "plain", 5),
        ("4.0", "alone", 5),
        ("4.1", "plain", 6),
        ("5", "plain", 7),
    }
    before = list(calls)
    with pytest.raises(RuntimeError, match="power"):
        crawl.resume(client, run.id)
    assert calls == before


def test_a_coroutine_gives_its_result(client: Client) -> None:
    together.clear()
    expected = [10, 20, 30, 9, 11, 7, 8, 8]
    assert crawl.run(client, broken=False) == expected
    (run,) = client.pipelines.runs()
    assert (run.state, run.result) == ("finished", expected)
    stubborn_one = client.pipelines.steps(run.id)[-1]
    assert [each.attempt for each in client.pipelines.attempts(stubborn_one.id)] == [1, 2]


def test_a_map_of_coroutines_runs_together(client: Client) -> None:
    @flow
    def spread() -> list[int]:
        return fetch.map([1, 2, 3])

    for run in (lambda: fetch.map([1, 2, 3]), lambda: spread.run(client)):
        together.clear()
        assert run() == [10, 20, 30]
    assert alone.submit(-1).result is not None


def test_a_coroutine_that_takes_too_long_is_ended(client: Client) -> None:
    @flow
    async def waiting() -> None:
        await endless()

    with pytest.raises(DeadlineExceeded, match=r"longer than 0.05 s"):
        waiting.run(client)
    assert client.pipelines.steps(client.pipelines.runs()[0].id)[0].state == "failed"


def test_where_a_loop_runs_already_a_flow_has_one_of_its_own(client: Client) -> None:
    async def notebook() -> list[Any]:
        together.clear()
        return crawl.run(client, broken=False)

    assert asyncio.run(notebook())[0] == 10
    assert threading.current_thread() is threading.main_thread()


def test_a_map_that_is_awaited_lets_others_go_on(client: Client) -> None:
    may_end = threading.Event()

    @step(where="thread")
    def slow(number: int) -> int:
        assert may_end.wait(30)
        return number * 2

    @flow
    async def abreast() -> list[Any]:
        found = slow.submit_map([1, 2, 3])

        async def other() -> int:
            value = plain(10)  # takes the place after the map, while that is under way
            may_end.set()
            return value

        return list(await asyncio.gather(found, other()))

    assert abreast.run(client) == [[2, 4, 6], 11]
    steps = client.pipelines.steps(client.pipelines.runs()[0].id)
    assert {(each.path, each.item, each.name) for each in steps} == {
        ("0", 0, "slow"),
        ("0", 1, "slow"),
        ("0", 2, "slow"),
        ("1", -1, "plain"),
    }
    assert slow.submit_map([4]).result() == [8]
    with pytest.raises(InvalidInput):
        slow.submit_map([1], [1, 2]).result()
