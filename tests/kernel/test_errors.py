"""Errors: what a worker or a server raised is what the caller sees."""

from __future__ import annotations

import copy
import json
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.kernel import errors
from mainspring.kernel.errors import MainspringError, MissingDependency, from_payload, nearest

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MainspringError)]
EACH = pytest.mark.parametrize("kind", CLASSES, ids=[each.__name__ for each in CLASSES])


def _made(kind):
    if kind is MissingDependency:
        return kind("onnxruntime", extra="serve")
    return kind("it broke", hint="mend it", known=["a", "b"], details={"at": 3, "of": [1, None]})


@EACH
def test_it_survives_pickle_and_json(kind):
    error = _made(kind)
    for again in (
        pickle.loads(pickle.dumps(error)),
        copy.deepcopy(error),
        from_payload(json.loads(json.dumps(error.payload()))),
    ):
        assert type(again) is kind
        assert again.payload() == error.payload()
        assert str(again) == str(error)
        assert again.args == (error.message,) or kind is MissingDependency or again.args


@EACH
def test_its_text_says_all(kind):
    error = _made(kind)
    assert str(error).startswith(f"[{kind.code}] {error.message}")
    assert error.hint in str(error)
    assert all(name in str(error) for name in error.known)


def test_a_missing_package_is_an_import_error():
    with pytest.raises(ImportError, match=r"pip install 'mainspring\[serve\]'"):
        raise MissingDependency("onnxruntime", extra="serve")


def test_a_code_that_is_not_known_here_is_still_an_error():
    assert type(from_payload({"code": "MS-9999", "message": "new"})) is MainspringError
    assert from_payload({}).message == ""


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=30), st.integers(1, 8))
def test_the_nearest_names_are_some_of_them(name, names, limit):
    found = nearest(name, names, limit=limit)
    assert set(found) <= set(names)
    assert len(found) <= limit
    assert bool(found) == bool(names)
    if name in names:
        assert found[0] == name


def test_long_names_are_compared_by_their_beginnings():
    long = ["column_" + "ab" * 50_000 + end for end in ("x", "y")]
    began = time.process_time()
    for _ in range(10):
        assert nearest("colunm_" + "ab" * 50_000, [*long, "another"]) == long
        assert nearest(long[1], long) == [long[1], long[0]]
    assert time.process_time() - began < 0.25, "seconds; compared whole, they take a hundred times as long"
