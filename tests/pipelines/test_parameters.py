"""Parameters of flows: schemas for forms, values from text, and days that are known when the run is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl
import pytest

from mainspring.client.client import Client
from mainspring.kernel.clock import now, turned
from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines import fire_date, fire_time, flow, step
from mainspring.pipelines.types import Cause

pytestmark = pytest.mark.databases("sqlite")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Grid:
    depth: list[int]
    rate: float = 0.1


@flow(tz="Pacific/Auckland")
def everything(  # a parameter of every kind
    day: date,
    colour: Colour,
    grid: Grid,
    *,
    depth: int = 3,
    kind: Literal["linear", "trees"] = "linear",
    rate: float | None = None,
    names: tuple[str, ...] = (),
    rows: pl.DataFrame | None = None,
    at: datetime = fire_time(),  # noqa: B008 -- it stands for what is known later
) -> None:
    """Train what there is.

    More about it.

    Args:
        day: The day to train for,
            in the zone of the flow.
        depth (int): Of the trees.
        nothing: Not a parameter.

    Returns:
        Nothing.
    """


def test_a_schema_says_what_a_form_needs() -> None:
    schema = everything.parameters_schema()
    assert (schema["title"], schema["description"]) == ("everything", "Train what there is.")
    assert schema["required"] == ["day", "colour", "grid"]
    fields = schema["properties"]
    assert fields["day"] == {
        "title": "day",
        "type": "string",
        "format": "date",
        "description": "The day to train for, in the zone of the flow.",
    }
    assert fields["depth"] == {"title": "depth", "type": "integer", "default": 3, "description": "Of the trees."}
    assert fields["kind"]["enum"] == ["linear", "trees"]
    assert fields["rows"] == {"title": "rows", "default": None}  # anything: JSON has no form for it
    assert fields["at"]["x-default"] == "fire_time"
    assert fields["colour"]["$ref"] == "#/$defs/Colour"
    assert schema["$defs"]["Colour"]["enum"] == ["blue", "red"]
    assert schema["additionalProperties"] is False
    msgspec.json.encode(schema)


def test_texts_become_values_of_the_types() -> None:
    typed = {
        "day": "2026-11-20",
        "colour": "red",
        "grid": '{"depth": [2, 4]}',
        "depth": "7",
        "kind": "trees",
        "rate": "0.5",
        "names": '["a", "b"]',
    }
    assert everything.parameters_from_text(typed) == {
        "day": date(2026, 11, 20),
        "colour": Colour.RED,
        "grid": Grid([2, 4]),
        "depth": 7,
        "kind": "trees",
        "rate": 0.5,
        "names": ("a", "b"),
    }
    assert everything.parameters_from_text({"rate": "null"}) == {"rate": None}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("day", "tomorrow", r"everything: day='tomorrow' is no date.*day=2026-11-20"),
        ("depth", "deep", "is no int"),
        ("kind", "forest", "invalid enum value 'forest'"),
        ("grid", '{"depth": 2}', r"expected `array`, got `int` - at `\$.depth`"),
        ("colour", "green", "invalid enum value 'green'"),
        ("dept", "1", "no parameter 'dept'.*known: depth"),
    ],
)
def test_a_text_that_is_no_value_is_refused_by_name(name: str, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"(?is){said}"):
        everything.parameters_from_text({name: text})


def test_untyped_parameters_take_json_or_text() -> None:
    @flow
    def loose(a, b, **more):  # type: ignore[no-untyped-def]
        return a, b, more

    assert loose.parameters_from_text({"a": "[1]", "b": "plain", "c": "2"}) == {"a": [1], "b": "plain", "c": 2}
    assert loose.parameters_schema()["additionalProperties"] is True


@step
def look(day: date) -> str:
    return day.isoformat()


@flow(tz="Pacific/Auckland")
def daily(  # the defaults stand for what is known later
    day: date = fire_date(),  # noqa: B008
    *,
    moment: datetime = fire_time(),  # noqa: B008
    broken: bool = False,
) -> str:
    if broken:
        raise RuntimeError(look(day))
    return look(day)


def test_the_day_is_that_of_the_flows_zone() -> None:
    shift = datetime(2026, 11, 21, 23, 30, tzinfo=UTC) - now()
    with turned(shift):
        assert daily() == "2026-11-22"  # it is tomorrow there
        assert daily(date(2020, 1, 1)) == daily(day=date(2020, 1, 1)) == "2020-01-01"
        assert daily.bind({})["moment"].utcoffset() == timedelta(hours=13)
        assert daily.bind({}, late=True) == {"broken": False}
        fired = datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert daily.bind({}, fire_at=fired)["day"] == date(2026, 3, 2)


def test_a_run_keeps_its_day_however_late_it_is_executed(client: Client) -> None:
    assert daily.run(client, date(2026, 5, 4)) == "2026-05-04"
    client.pipelines.enqueue("daily", location=daily.location(), params={"broken": True})
    run = client.pipelines.runs()[0]
    local = (run.created_at + timedelta(hours=13)).date()
    for later in (timedelta(0), timedelta(days=3)):
        with turned(later), pytest.raises(RuntimeError, match=local.isoformat()):
            daily.resume(client, run.id)
    fired = msgspec.structs.replace(run, cause=Cause("schedule", "nightly", datetime(2026, 3, 1, 12, tzinfo=UTC)))
    assert daily.bind_run(fired, {})["day"] == date(2026, 3, 2)


def test_values_that_came_as_json_have_the_types_of_the_signature(client: Client) -> None:
    run = client.pipelines.enqueue("daily", location=daily.location(), params={"day": "2026-11-20"})
    assert daily.resume(client, run.id) == "2026-11-20"
    assert everything.parameters.convert({"grid": {"depth": [1]}, "depth": "not converted", "rows": 3}) == {
        "grid": Grid([1]),
        "depth": "not converted",
        "rows": 3,
    }


def test_options_that_make_no_sense_are_refused() -> None:
    wrongs: list[dict[str, Any]] = [
        {"tz": "Europe/Pariss"},
        {"tz": str(Path("/etc/passwd"))},
        {"overlap": "never"},
        {"timeout": -1.0},
        {"retries": -1},
        {"max_attempts": 0},
        {"on_failure": "mail me"},
        {"shedule": "@daily"},
    ]
    for wrong in wrongs:
        with pytest.raises(InvalidInput):
            flow(**wrong)
    with pytest.raises(InvalidInput, match="day"):
        daily.bind({"dai": 1})
