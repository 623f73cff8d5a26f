"""Packs: the format, its directory, and what any damaged byte does to it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.kernel.errors import Damaged, StoreTooNew
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.packs import HEADER_BYTES, build_pack, decode_payload, read_directory, scan_entries

BLOBS = st.lists(st.binary(max_size=200), max_size=12, unique=True)


def packed(blobs):
    return build_pack([(digest_bytes(blob), blob) for blob in blobs])


def directory(data):
    return read_directory(lambda start, length: data[start : start + length], len(data))


@given(BLOBS)
def test_the_directory_and_the_headers_say_the_same(blobs):
    pack = packed(blobs)
    assert directory(pack.data) == list(scan_entries(pack.data)) == pack.entries
    assert [pack.data[each.position : each.position + each.stored] for each in pack.entries] == blobs
    assert pack.name == digest_bytes(pack.data)
    assert packed(blobs) == pack, "the same blobs give the same pack on any machine, at any time"


@given(BLOBS, st.data())
def test_a_changed_byte_never_gives_a_wrong_blob(blobs, data):
    pack = packed(blobs)
    at = data.draw(st.integers(0, len(pack.data) - 1))
    broken = bytearray(pack.data)
    broken[at] ^= data.draw(st.integers(1, 255))
    assert digest_bytes(broken) != pack.name
    with contextlib.suppress(Damaged):  # the directory says that it was hit, or it was not
        assert directory(bytes(broken)) == pack.entries
    found = list(scan_entries(bytes(broken)))
    for entry in found:
        assert digest_bytes(broken[entry.position : entry.position + entry.stored]) == entry.digest
    assert len(found) >= len(blobs) - 1, "one byte costs one blob at most"


@given(BLOBS, st.data())
def test_a_pack_that_was_cut_off_keeps_its_whole_entries(blobs, data):
    pack = packed(blobs)
    cut = data.draw(st.integers(0, len(pack.data) - 1))
    torn = pack.data[:cut]
    with pytest.raises(Damaged):
        directory(torn)
    assert list(scan_entries(torn)) == [entry for entry in pack.entries if entry.position + entry.stored <= cut]


def test_a_pack_inside_a_pack_is_a_blob():
    inner = packed([b"one", b"two"])
    outer = packed([inner.data, b"three"])
    assert list(scan_entries(outer.data)) == outer.entries


def test_an_entry_costs_its_header_twice():
    assert len(packed([b"x" * 10]).data) == 10 + 2 * HEADER_BYTES + 48


def test_an_unknown_codec_is_named():
    with pytest.raises(StoreTooNew, match="codec 7"):
        decode_payload(b"", 7)
