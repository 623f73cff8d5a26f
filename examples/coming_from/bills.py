"""Bills of a month, in Mainspring."""

from __future__ import annotations

import mainspring as ms


@ms.step(retries=2)
def read_meters(month: str) -> list[dict]:
    """Kilowatt hours of three households."""
    return [{"household": number, "hours": 120 * number + int(month[-2:])} for number in (1, 2, 3)]


@ms.step
def price(meter: dict, tariff: float) -> float:
    """What a household pays."""
    return round(meter["hours"] * tariff, 2)


@ms.step
def add_up(amounts: list[float]) -> float:
    """What all of them pay."""
    return round(sum(amounts), 2)


@ms.step
def ask_for_review(total: float) -> str:
    """Somebody should look at it."""
    return f"review {total}"


@ms.step
def send(total: float) -> str:
    """Nobody has to."""
    return f"sent {total}"


@ms.flow(schedule="0 6 1 * *", tz="Europe/Riga")
def bills(month: str = "2026-11", tariff: float = 0.25) -> str:
    """Read, price in parallel, add up, and decide."""
    meters = read_meters(month)
    amounts = price.map(meters, tariff=tariff)
    total = add_up(amounts)
    if total > 200:
        return ask_for_review(total)
    return send(total)
