"""Bills of a month, in Airflow's TaskFlow."""

from __future__ import annotations

import pendulum
from airflow.sdk import Param, dag, task


@task(retries=2)
def read_meters(month: str) -> list[dict]:
    """Kilowatt hours of three households."""
    return [{"household": number, "hours": 120 * number + int(month[-2:])} for number in (1, 2, 3)]


@task
def price(meter: dict, tariff: float) -> float:
    """What a household pays."""
    return round(meter["hours"] * tariff, 2)


@task
def add_up(amounts: list[float]) -> float:
    """What all of them pay."""
    return round(sum(amounts), 2)


@task.branch
def decide(total: float) -> str:
    """The name of the task that comes next."""
    return "ask_for_review" if total > 200 else "send"


@task
def ask_for_review(total: float) -> str:
    """Somebody should look at it."""
    return f"review {total}"


@task
def send(total: float) -> str:
    """Nobody has to."""
    return f"sent {total}"


@dag(
    schedule="0 6 1 * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Riga"),
    catchup=False,
    params={"month": Param("2026-11", type="string"), "tariff": Param(0.25, type="number")},
)
def bills():
    """Read, price in parallel, add up, and decide."""
    meters = read_meters("{{ params.month }}")
    amounts = price.partial(tariff=0.25).expand(meter=meters)
    total = add_up(amounts)
    decide(total) >> [ask_for_review(total), send(total)]


bills()
