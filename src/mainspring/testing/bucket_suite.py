"""The conformance suite of buckets.

Whoever writes an adapter inherits it and says how a bucket is made:

    class TestMyBucket(BucketSuite):
        @pytest.fixture
        def bucket(self, tmp_path):
            return MyBucket(tmp_path)

It needs pytest, and nothing of the adapter but the port `mainspring.store.buckets.Bucket`.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mainspring.kernel.errors import InvalidName, NotFound
from mainspring.store.buckets import Bucket, Stored

__all__ = ["BucketSuite"]

_ODD = ("a b/c+d=e", "ä/ö.ü", "100%", "%2e%2e", "#hash?query&more", "it's(1)[2]{3}", "UPPER/lower", "...x")
_FORBIDDEN = ("", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", "a\\b", "a\nb", "a\x00b", "x" * 256)
_LARGE = 18 << 20  # more than one part of a multipart upload


class BucketSuite:
    """Inherit, give the fixture `bucket`, run."""

    @pytest.fixture
    def bucket(self) -> Bucket:
        """An empty bucket."""
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 4096, _LARGE])
    def test_what_is_put_is_got(self, bucket: Bucket, size: int) -> None:
        """Every size comes back byte for byte."""
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        bucket.put("some/object", data)
        assert bucket.get("some/object") == data
        assert bucket.head("some/object") == Stored("some/object", size)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_can_be_put(self, bucket: Bucket, kind: type) -> None:
        """Bytes, bytearray and memoryview are the same to a bucket."""
        bucket.put("object", kind(b"content"))
        assert bucket.get("object") == b"content"

    @pytest.mark.parametrize("size", [4000, _LARGE])
    def test_a_file_can_be_put(self, bucket: Bucket, tmp_path: Path, size: int) -> None:
        """The content of a file, which stays where it is."""
        source = tmp_path / "source"
        source.write_bytes(b"file" * (size // 4))
        bucket.put("object", source)
        assert bucket.get("object") == source.read_bytes()

    def test_putting_again_replaces(self, bucket: Bucket) -> None:
        """The second content is the content."""
        bucket.put("object", b"a longer first content")
        bucket.put("object", b"second")
        assert bucket.get("object") == b"second"
        assert bucket.head("object") == Stored("object", 6)

    def test_what_is_not_there_is_not_found(self, bucket: Bucket) -> None:
        """Reading raises `NotFound`, looking gives None."""
        bucket.put("other", b"x")
        with pytest.raises(NotFound):
            bucket.get("object")
        with pytest.raises(NotFound):
            bucket.get_range("object", 0, 1)
        assert bucket.head("object") is None

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, 10, b"0123456789"),
            (3, 4, b"3456"),
            (8, 10, b"89"),
            (10, 1, b""),
            (99, 5, b""),
            (4, 0, b""),
        ],
    )
    def test_a_range_is_cut_at_the_end(self, bucket: Bucket, start: int, length: int, expected: bytes) -> None:
        """A range beyond the end is shorter, not an error."""
        bucket.put("object", b"0123456789")
        assert bucket.get_range("object", start, length) == expected

    def test_listing_goes_by_segments(self, bucket: Bucket) -> None:
        """`a/b` is before `a/b/c`, and not before `a/bc`."""
        for name in ("a/b/c", "a/b/d/e", "a/bc", "z"):
            bucket.put(name, name.encode())
        assert sorted(each.name for each in bucket.list()) == ["a/b/c", "a/b/d/e", "a/bc", "z"]
        assert sorted(each.name for each in bucket.list("a/b")) == ["a/b/c", "a/b/d/e"]
        assert list(bucket.list("nothing/here")) == []
        assert {each.size for each in bucket.list("a/b/c")} <= {5}

    def test_deleting_is_final_and_repeatable(self, bucket: Bucket) -> None:
        """What is gone is gone; deleting it again is fine."""
        bucket.put("a/object", b"x")
        bucket.delete("a/object")
        bucket.delete("a/object")
        assert bucket.head("a/object") is None
        assert list(bucket.list()) == []

    @pytest.mark.parametrize("name", _ODD)
    def test_names_are_kept_exactly(self, bucket: Bucket, name: str) -> None:
        """No name is normalised, decoded or mistaken for another."""
        bucket.put(name, name.encode())
        assert bucket.get(name) == name.encode()
        assert [each.name for each in bucket.list()] == [name]

    @pytest.mark.parametrize("name", _FORBIDDEN)
    def test_names_that_could_escape_are_refused(self, bucket: Bucket, name: str) -> None:
        """Reading, writing, looking and deleting refuse alike, and nothing is written."""
        for act in (
            lambda: bucket.put(name, b"x"),
            lambda: bucket.get(name),
            lambda: bucket.get_range(name, 0, 1),
            lambda: bucket.head(name),
            lambda: bucket.delete(name),
        ):
            with pytest.raises(InvalidName):
                act()
        assert list(bucket.list()) == []

    def test_writers_of_one_name_leave_one_whole_object(self, bucket: Bucket) -> None:
        """Readers see one writer's content or another's, never a mixture."""
        contents = [bytes([letter]) * 200_000 for letter in b"abcd"]
        bucket.put("object", contents[0])
        seen: list[bytes] = []

        def write(content: bytes) -> None:
            for _ in range(5):
                bucket.put("object", content)
                seen.append(bucket.get("object"))

        threads = [threading.Thread(target=write, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 20
        assert all(each in contents for each in seen)
