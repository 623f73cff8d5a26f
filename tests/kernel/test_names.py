"""Names: what may name a thing can neither climb, hide, nor pass for another."""

from __future__ import annotations

import contextlib
import posixpath
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.kernel.errors import InvalidName, InvalidReference
from mainspring.kernel.names import Reference, check_name, parse_reference

ANY = st.text(st.characters(), max_size=40) | st.text("abc./\\ -\0\n@~é\u0301", max_size=40)
SEGMENT = st.from_regex(r"[a-z_][a-z0-9_.+:=-]{0,10}[a-z0-9]", fullmatch=True)
GOOD = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)


@given(ANY)
def test_what_is_accepted_is_harmless(text):
    try:
        assert check_name(text) == text
    except InvalidName:
        return
    assert 0 < len(text.encode()) <= 250
    assert posixpath.normpath(text) == text
    assert not text.startswith(("/", ".", "-", " "))
    assert ".." not in text.split("/")
    assert "\\" not in text
    assert "@" not in text
    assert text.isprintable()
    assert unicodedata.normalize("NFC", text) == text


@given(GOOD)
def test_ordinary_names_are_accepted(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", "../a", "a/../b", "a//b", "/a", "a/", "a\\b", "a\0", "a\n", "a@1", "~", "-a", "a ",
     "C:\\x", "a/.b",
     "x" * 251, "é" * 126, "e\u0301", "\ud800", "a\u202eb", "a\u200bb", "a\n/b", "a/b\n"],
)  # fmt: skip
def test_a_trick_is_refused(name):
    with pytest.raises(InvalidName):
        check_name(name)


@given(SEGMENT, GOOD, st.sampled_from(["", "3", "v3", "champion"]))
def test_a_reference_is_read_as_it_is_written(kind, name, version):
    text = f"{kind}/{name}@{version}" if version else f"{kind}/{name}"
    found = parse_reference(text)
    assert found == Reference(kind, name, version.removeprefix("v") if version == "v3" else version)
    assert parse_reference(str(found)) == found


@given(GOOD)
def test_a_kind_that_is_given_may_be_left_out(name):
    assert parse_reference(f"{name}@2", kind="dataset") == parse_reference(f"dataset/{name}@2", kind="dataset")


@given(ANY)
def test_any_text_is_a_reference_or_a_typed_refusal(text):
    with contextlib.suppress(InvalidReference, InvalidName):
        assert str(parse_reference(text, kind="model")).startswith("model/")


@pytest.mark.parametrize("text", ["", "a", "a@", "a/b@", "a/b@1@2", "@1", "a/@1", "a/b@../c"])
def test_what_is_no_reference(text):
    with pytest.raises((InvalidReference, InvalidName)):
        parse_reference(text)
