"""Identity: equal content has one digest, other content another."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import canonical_json, digest_bytes, digest_tree, digest_value, hasher

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


def _shuffled(value, chance):
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: _shuffled(value[key], chance) for key in keys}
    return [_shuffled(each, chance) for each in value] if isinstance(value, list) else value


@given(JSON, st.integers(0, 99))
def test_the_order_of_keys_is_nothing(value, seed):
    assert canonical_json(_shuffled(value, random.Random(seed))) == canonical_json(value)


@given(JSON)
def test_it_is_json_and_stands_still(value):
    text = canonical_json(value)
    again = json.loads(text)
    assert again == value
    assert canonical_json(again) == text


@given(JSON, JSON)
def test_equal_digests_are_equal_values(one, other):
    same = canonical_json(one) == canonical_json(other)
    assert (digest_value("t", one) == digest_value("t", other)) == same


@given(JSON)
def test_the_tag_tells_kinds_apart(value):
    assert digest_value("params", value) != digest_value("event", value)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, [{"a": -math.inf}], object(), {1, object()}, "\ud800"])
def test_what_has_no_canonical_form_is_refused(wrong):
    with pytest.raises(InvalidInput):
        canonical_json(wrong)


def test_deep_values_are_refused_and_not_fatal():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInput):
        canonical_json(deep)


@given(
    st.lists(st.tuples(TEXT, st.integers(0, 2**40), TEXT), max_size=6, unique_by=lambda each: each[0]),
    st.integers(0, 99),
)
def test_a_tree_has_no_order(entries, seed):
    turned = entries[:]
    random.Random(seed).shuffle(turned)
    assert digest_tree(turned) == digest_tree(entries)
    if entries:
        assert digest_tree(entries[1:]) != digest_tree(entries)


@given(st.lists(st.binary(max_size=64), max_size=6))
def test_pieces_hash_as_the_whole(pieces):
    running = hasher()
    for each in pieces:
        running.update(each)
    assert running.hexdigest() == digest_bytes(b"".join(pieces))
    assert len(running.hexdigest()) == 64
