"""Ids: UUIDv7, strictly increasing in one process, whatever the clock does."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from mainspring.kernel.clock import now_micros, turned
from mainspring.kernel.ids import new_id


def test_an_id_is_a_uuid_of_version_7_that_knows_its_millisecond():
    before = now_micros() // 1000
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80


def test_ids_are_text_in_the_order_of_their_making():
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert all(each == str(uuid.UUID(each)) for each in made[:100])


@given(st.lists(st.timedeltas(timedelta(days=-30), timedelta(0)), min_size=1, max_size=5))
def test_ids_increase_when_the_clock_is_set_back(shifts):
    made = [new_id()]
    for shift in shifts:
        with turned(shift):
            made += [new_id(), new_id()]
        made.append(new_id())
    assert made == sorted(set(made))


def test_threads_never_share_one():
    made: list[list[str]] = [[] for _ in range(8)]

    def make(place):
        made[place].extend(new_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(place,)) for place in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(each == sorted(each) for each in made)
    assert len({each for some in made for each in some}) == 16_000
