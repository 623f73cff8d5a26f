"""Records are rows: every type goes in and comes out as it was, on both databases."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.kernel.errors import AlreadyExists, Conflict, InvalidInput
from mainspring.store.records import Table
from mainspring.store.store import Store


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, frozen=True):
    name: str
    sizes: tuple[int, ...] = ()


class Everything(msgspec.Struct, frozen=True):
    key: str
    number: int
    share: float
    active: bool
    raw: bytes
    at: datetime
    mode: Literal["fast", "slow"]
    colour: Colour
    part: Part
    parts: list[Part]
    pair: tuple[int, str]
    free: dict[str, Any]
    maybe: str | None = None
    maybe_at: datetime | None = None
    maybe_on: bool | None = None
    maybe_share: float | None = None
    maybe_part: Part | None = None
    maybe_free: dict[str, Any] | None = None
    either: int | str = 0


EVERYTHING = Table("everything", Everything)
CREATE = """CREATE TABLE everything (key TEXT PRIMARY KEY, number BIGINT NOT NULL, share DOUBLE PRECISION NOT NULL,
 active BIGINT NOT NULL, raw BLOB NOT NULL, at BIGINT NOT NULL, mode TEXT NOT NULL, colour TEXT NOT NULL,
 part TEXT NOT NULL, parts TEXT NOT NULL, pair TEXT NOT NULL, free TEXT NOT NULL, maybe TEXT, maybe_at BIGINT,
 maybe_on BIGINT, maybe_share DOUBLE PRECISION, maybe_part TEXT, maybe_free TEXT, either TEXT NOT NULL)"""

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
PARTS = st.builds(Part, TEXTS, st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3).map(tuple))
FREE = st.dictionaries(
    TEXTS, st.none() | st.booleans() | TEXTS | st.floats(allow_nan=False, allow_infinity=False), max_size=3
)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds are naive
RECORDS = st.builds(
    Everything,
    key=TEXTS,
    number=st.integers(-(2**63), 2**63 - 1),
    share=st.floats(allow_nan=False),
    active=st.booleans(),
    raw=st.binary(max_size=20),
    at=MOMENTS,
    mode=st.sampled_from(["fast", "slow"]),
    colour=st.sampled_from(Colour),
    part=PARTS,
    parts=st.lists(PARTS, max_size=2),
    pair=st.tuples(st.integers(0, 9), TEXTS),
    free=FREE,
    maybe=st.none() | TEXTS,
    maybe_at=st.none() | MOMENTS,
    maybe_on=st.none() | st.booleans(),
    maybe_share=st.none() | st.floats(allow_nan=False),
    maybe_part=st.none() | PARTS,
    maybe_free=st.none() | FREE,
    either=st.integers(0, 9) | TEXTS,
)


@pytest.fixture
def table(store: Store) -> Store:
    with store.bookkeeping() as tx:
        tx.execute(CREATE)
    return store


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(record=RECORDS)
def test_a_record_comes_back_as_it_was(table: Store, record: Everything) -> None:
    with table.bookkeeping() as tx:
        tx.execute("DELETE FROM everything")
        tx.insert(EVERYTHING, record)
        assert tx.fetch_one(EVERYTHING, "WHERE key = ?", (record.key,)) == record
        assert tx.fetch(EVERYTHING) == [record]


def make(**changes: Any) -> Everything:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    first = Everything("a", 1, 0.5, True, b"\0", at, "fast", Colour.RED, Part("p"), [], (1, "x"), {})
    return msgspec.structs.replace(first, **changes)


def test_a_moment_of_any_zone_is_the_same_moment(table: Store) -> None:
    zone = timezone(timedelta(hours=-5))
    with table.bookkeeping() as tx:
        tx.insert(EVERYTHING, make(at=datetime(2026, 1, 1, 3, tzinfo=zone)))
        assert tx.fetch(EVERYTHING)[0].at == datetime(2026, 1, 1, 8, tzinfo=UTC)


def test_many_records_and_a_key_that_is_taken(table: Store) -> None:
    with table.bookkeeping() as tx:
        tx.insert_many(EVERYTHING, (make(key=str(number)) for number in range(50)))
        assert tx.value("SELECT count(*) FROM everything") == 50
    with pytest.raises(AlreadyExists), table.bookkeeping() as tx:
        tx.insert_many(EVERYTHING, [make(key="new"), make(key="7")])
    with table.read() as tx:
        assert tx.value("SELECT count(*) FROM everything") == 50


@pytest.mark.parametrize(
    "wrong",
    [{"number": 2**63}, {"number": 2**200}, {"share": float("nan")}, {"maybe": "\ud800"}, {"key": object()}],
    ids=["big", "huge", "nan", "surrogate", "object"],
)
def test_a_value_that_no_database_keeps_is_invalid_input(table: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput), table.bookkeeping() as tx:
        tx.insert(EVERYTHING, make(**wrong))
    with table.read() as tx:
        assert tx.fetch(EVERYTHING) == []


def test_a_null_where_none_may_be_is_a_conflict(table: Store) -> None:
    with pytest.raises(Conflict), table.bookkeeping() as tx:
        tx.insert(EVERYTHING, make(mode=None))


def test_a_number_that_is_none_is_null_where_it_may_be(table: Store) -> None:
    with table.bookkeeping() as tx:
        tx.insert(EVERYTHING, make(maybe_share=float("nan")))
        assert tx.fetch(EVERYTHING)[0].maybe_share is None
