"""Flows that have no static graph, each with what the export must say of it."""

from __future__ import annotations

import contextlib
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import mainspring as ms


@ms.step
def score(value):
    return value


def is_missing(value):
    return value is None


def first_is_missing(values):
    return values[0] is None


@ms.flow
def branches(n: int = 1):
    if score(n):
        return score(1)
    return None


@ms.flow
def asks_is(n: int | None = None):
    if n is None:
        n = 3
    return score(n)


@ms.flow
def asks_in_a_helper(n: int = 1):
    return score([is_missing(n)])


@ms.flow
def asks_deep_in_a_helper(n: int = 1):
    return score([first_is_missing([n])])


@ms.flow
def asks_the_type(n: int = 1):
    return score(1) if isinstance(n, int) else score(2)


@ms.flow
def repeats(n: int = 1):
    return [score(each) for each in score(n)]


@ms.step
def couple(value) -> tuple[int, ...]:
    return value, value


@ms.flow
def unpacks_what_may_be_longer(n: int = 1):
    first, second = couple(n)
    return score([first, second])


@ms.flow
def computes(n: int = 1):
    return score(n + 1)


@ms.flow
def writes(n: int = 1):
    return score(f"{n}")


@ms.flow
def looks_into(n: int = 1):
    return score(score(n).value)


@ms.flow
def asks_the_clock(n: int = 1):
    return score([n, datetime.now(UTC)])


@ms.flow
def rolls_dice(n: int = 1):
    return score([n, random.random()])


@ms.flow
def asks_the_environment(n: int = 1):
    return score([n, os.environ["HOME"]])


@ms.flow
def reads_a_file(n: int = 1):
    return score([n, Path(__file__).read_text()])


@ms.flow
def handles_errors(n: int = 1):
    try:
        return score(n)
    except ValueError:
        return score(2)


@ms.flow
def hides_a_look(n: int = 1):
    with contextlib.suppress(BaseException):
        if n > 1:
            return score(2)
    return score(1)


@ms.flow
def never_ends():
    while True:
        score(1)


@ms.flow
def maps_what_may_be_a_list(n: int = 1):
    return score.map(score(n))


@ms.flow
def asks_the_store(n: int = 1):
    return score([n, ms.connect("/nowhere")])


@ms.flow
def sleeps(n: int = 1):
    ms.sleep(5)
    return score(n)


@ms.flow
def asks_a_person(n: int = 1):
    ms.ask("may it?")
    return score(n)


@ms.flow
async def is_async(n: int = 1):
    return score(n)


REASONS = {
    "branches": "branches on the result of score",
    "asks_is": "asks with `is`",
    "asks_in_a_helper": "asks with `is`, and is given the parameter n",
    "asks_deep_in_a_helper": "asks with `is`, and is given the parameter n",
    "asks_the_type": "looks at the type of the parameter n",
    "repeats": "repeats something for each part of the result of score",
    "unpacks_what_may_be_longer": "repeats something for each part of the result of couple",
    "computes": "computes with the parameter n",
    "writes": "writes out the parameter n",
    "looks_into": "looks into the result of score",
    "asks_the_clock": "calls datetime.now",
    "rolls_dice": "calls Random.random",
    "asks_the_environment": "calls _Environ.__getitem__",
    "reads_a_file": "calls ",
    "handles_errors": "handles errors",
    "hides_a_look": "handles errors, or uses `with`",
    "never_ends": "more than 5000 times",
    "maps_what_may_be_a_list": "score.map is given the result of score, which may be a list or not",
    "sleeps": "which only a run of ours knows",
    "asks_a_person": "which only a run of ours knows",
    "is_async": "it is an async function",
    "asks_the_store": "whose answer may be another in each run",
}
