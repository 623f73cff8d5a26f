"""Which acidity tells good wines from bad, in Mainspring."""

from __future__ import annotations

import mainspring as ms

LIMITS = [40, 45, 50, 55]


@ms.step(retries=2)
def taste(bottles: int) -> list[dict]:
    """Acidity and grade of each bottle."""
    return [{"acidity": 30 + 7 * number % 40, "good": 30 + 7 * number % 40 < 48} for number in range(bottles)]


@ms.step
def judge(wines: list[dict], limit: int) -> float:
    """How often "below the limit" is right."""
    return sum((wine["acidity"] < limit) == wine["good"] for wine in wines) / len(wines)


@ms.step
def choose(scores: list[float], limits: list[int]) -> int:
    """The limit with the best score."""
    return max(zip(scores, limits, strict=True))[1]


@ms.flow
def wines(bottles: int = 40) -> int:
    """Taste, judge by several limits in parallel, choose."""
    tasted = taste(bottles)
    scores = judge.map(ms.whole(tasted), limit=LIMITS)
    return choose(scores, LIMITS)
