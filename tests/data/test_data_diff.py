"""Differences against a model that is too simple to be wrong."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.data.differences import diff_files, diff_schema, without_common
from mainspring.data.row_diff import diff_rows
from mainspring.data.trees import Change
from mainspring.kernel.errors import InvalidInput
from mainspring.lineage.types import File

SCHEMA = {"k": pl.Int64, "x": pl.Float64, "s": pl.String}
VALUES = st.tuples(st.sampled_from([None, 0.0, 1.5, float("nan")]), st.sampled_from([None, "", "a", "b"]))
KEYED = st.dictionaries(st.one_of(st.none(), st.integers(0, 12)), VALUES, max_size=10)
ROWS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, 1.0, float("nan")]), st.sampled_from(["a", None])))


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy()


def by_key(table):
    return frame([(key, *values) for key, values in table.items()])


def same(value):
    return repr(value)


@settings(max_examples=60, deadline=None)
@given(KEYED, KEYED)
def test_rows_by_key_are_as_in_a_dictionary(before, after):
    diff = diff_rows(by_key(before), by_key(after), key=["k"], sample=100)
    both = before.keys() & after.keys()
    changed = {key for key in both if same(before[key]) != same(after[key])}
    assert diff.added == len(after.keys() - before.keys()) == len(diff.added_sample)
    assert diff.removed == len(before.keys() - after.keys()) == len(diff.removed_sample)
    assert diff.changed == len(changed)
    assert diff.unchanged == len(both) - len(changed)
    assert {row["key"]["k"] for row in diff.changed_sample} == changed
    for position, column in enumerate(("x", "s")):
        expected = sum(same(before[key][position]) != same(after[key][position]) for key in both)
        assert diff.changed_columns.get(column, 0) == expected


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
def test_rows_without_a_key_are_multisets(before, after):
    old, new = Counter(map(same, before)), Counter(map(same, after))
    diff = diff_rows(frame(before), frame(after), sample=100)
    assert (diff.added, diff.removed) == ((new - old).total(), (old - new).total())
    assert diff.unchanged == (old & new).total()
    assert len(diff.added_sample) == len(new - old)
    assert len(diff.removed_sample) == len(old - new)


def test_a_key_must_be_unique_and_known():
    twice = frame([(1, 1.0, "a"), (1, 2.0, "b")])
    with pytest.raises(InvalidInput, match="not unique in the version after: 2 rows"):
        diff_rows(frame([]), twice, key=["k"])
    with pytest.raises(InvalidInput, match="not unique in the version before"):
        diff_rows(twice, frame([]), key=["k"])
    assert diff_rows(twice, twice, key=["k", "s"]).unchanged == 2
    with pytest.raises(InvalidInput, match="'kk'") as caught:
        diff_rows(twice, twice, key=["kk"])
    assert caught.value.known == ("k",)


def test_a_column_of_another_type_is_compared_by_value():
    old = pl.LazyFrame({"k": [1, 2], "v": [1, 2], "w": [1, 2]})
    new = pl.LazyFrame({"k": [1, 2], "v": [1.0, 2.5], "w": ["1", "3"]})
    diff = diff_rows(old, new, key=["k"])
    assert diff.changed_columns == {"v": 1, "w": 1}
    assert (diff.changed, diff.unchanged) == (1, 1)


def test_tables_without_a_common_column_share_no_row():
    diff = diff_rows(pl.LazyFrame({"a": [1, 2]}), pl.LazyFrame({"b": [1]}))
    assert (diff.added, diff.removed, diff.unchanged) == (1, 2, 0)


def test_nested_columns_are_compared():
    old = pl.LazyFrame({"k": [1, 2], "l": [[1], [2]], "s": [{"a": 1}, {"a": 2}]})
    new = pl.LazyFrame({"k": [1, 2], "l": [[1], [2, 3]], "s": [{"a": 1}, {"a": 2}]})
    assert diff_rows(old, new, key=["k"]).changed_columns == {"l": 1}
    assert (diff_rows(old, new).added, diff_rows(old, new).removed) == (1, 1)


def test_samples_are_json():
    from datetime import UTC, datetime
    from decimal import Decimal

    moment = datetime(2020, 1, 1, tzinfo=UTC)
    old = pl.LazyFrame({"t": [moment], "d": [Decimal("1.5")], "b": [b"\x01"], "f": [float("inf")]})
    (row,) = diff_rows(old, old.limit(0)).removed_sample
    assert row == {"t": "2020-01-01 00:00:00+00:00", "d": "1.5", "b": "01", "f": "inf"}


def test_columns_are_compared_by_name_type_and_order():
    diff = diff_schema({"a": "Int64", "b": "String", "c": "Int8"}, {"c": "Int16", "a": "Int64", "d": "Date"})
    assert (diff.added, diff.removed, diff.changed) == ({"d": "Date"}, {"b": "String"}, {"c": ("Int8", "Int16")})
    assert diff.reordered
    assert not diff.same
    assert diff_schema({"a": "Int64"}, {"a": "Int64"}).same


PATHS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz"), max_size=6)


def files(table):
    return [File(path=path, size=1, digest=digest) for path, digest in sorted(table.items())]


@given(PATHS, PATHS)
def test_a_difference_of_files_leads_from_one_to_the_other(before, after):
    one, other = ({file.path: file for file in files(side)} for side in (before, after))
    touched = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    diff = diff_files([Change(path, one.get(path), other.get(path)) for path in touched], files=len(before))
    made = dict(before)
    for file in diff.removed:
        del made[file.path]
    for old, new in diff.renamed:
        made[new] = made.pop(old)
    for file in diff.added:
        assert file.path not in made
        made[file.path] = file.digest
    for old, new in diff.modified:
        assert made[old.path] == old.digest
        made[new.path] = new.digest
    assert made == after
    assert diff.unchanged == sum(before.get(path) == digest for path, digest in after.items())
    assert not {file.digest for file in diff.added} & {file.digest for file in diff.removed}


@given(PATHS, PATHS)
def test_what_both_have_is_left_out_once_each(before, after):
    old, new = without_common(files(before), files(after))
    had, has = Counter(before.values()), Counter(after.values())
    assert Counter(file.digest for file in old) == had - has
    assert Counter(file.digest for file in new) == has - had
