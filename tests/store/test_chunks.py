"""Chunks: cutting by content, and lists that are checked before they are believed."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.kernel.errors import Damaged, StoreTooNew
from mainspring.kernel.hashing import digest_bytes
from mainspring.store.chunks import MAXIMUM, MINIMUM, ChunkList, Pieces, cut, decode_list, encode_list

RANDOM = random.Random(7).randbytes(3 << 20)


def test_chunks_joined_are_the_stream_and_of_the_stated_sizes():
    chunks = list(cut([RANDOM]))
    assert b"".join(chunks) == RANDOM
    assert all(MINIMUM <= len(chunk) <= MAXIMUM for chunk in chunks[:-1])
    assert len(chunks) > 20


@settings(max_examples=15)
@given(st.lists(st.integers(1, len(RANDOM) - 1), max_size=8))
def test_how_the_stream_arrives_does_not_matter(borders):
    places = [0, *sorted(borders), len(RANDOM)]
    pieces = [RANDOM[start:end] for start, end in pairwise(places)]
    assert list(cut(pieces)) == list(cut([RANDOM]))


@settings(max_examples=15)
@given(st.integers(0, len(RANDOM)), st.binary(min_size=1, max_size=1000))
def test_an_insertion_moves_few_borders(at, inserted):
    before = {digest_bytes(chunk) for chunk in cut([RANDOM])}
    after = [digest_bytes(chunk) for chunk in cut([RANDOM[:at], inserted, RANDOM[at:]])]
    assert sum(digest not in before for digest in after) <= 6


def test_nothing_gives_no_chunks():
    assert list(cut([])) == list(cut([b"", b""])) == []


@given(st.lists(st.binary(max_size=50)), st.integers(1, 60))
def test_pieces_are_read_as_a_file(parts, size):
    source, read = Pieces(parts), []
    while piece := source.read(size):
        read.append(piece)
    assert b"".join(read) == b"".join(parts)
    assert all(len(piece) == size for piece in read[:-1])


def a_list(*sizes, digest="ab" * 32):
    return ChunkList(digest=digest, size=sum(sizes), chunks=[(f"{size:064x}", size) for size in sizes])


def test_a_list_comes_back():
    assert decode_list(encode_list(a_list(3, 4)), "ab" * 32) == a_list(3, 4)


@given(st.data())
def test_a_list_with_a_changed_byte_is_refused(data):
    broken = bytearray(encode_list(a_list(3, 4)))
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Damaged):
        decode_list(bytes(broken), "ab" * 32)


@given(st.integers(0, 60))
def test_a_list_that_was_cut_off_is_refused(length):
    with pytest.raises(Damaged):
        decode_list(encode_list(a_list(3, 4))[:length], "ab" * 32)


def test_the_list_of_another_blob_is_refused():
    with pytest.raises(Damaged, match="another"):
        decode_list(encode_list(a_list(3, digest="cd" * 32)), "ab" * 32)


def test_a_list_that_does_not_add_up_is_refused():
    wrong = ChunkList(digest="ab" * 32, size=8, chunks=[("00" * 32, 7)])
    with pytest.raises(Damaged):
        decode_list(encode_list(wrong), "ab" * 32)


def test_a_newer_list_is_named_as_such():
    newer = ChunkList(digest="ab" * 32, size=0, chunks=[], format=2)
    with pytest.raises(StoreTooNew, match="format 2"):
        decode_list(encode_list(newer), "ab" * 32)
