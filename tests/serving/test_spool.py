"""The prediction log's files: what is written is read back, what is torn is left out, nothing is lost or doubled."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mainspring.kernel.errors import Damaged, StorageError
from mainspring.kernel.ids import new_id
from mainspring.serving.prediction_log import PredictionLog
from mainspring.serving.segments import frame_of
from mainspring.serving.spool import Entry, Spool, SpoolHead, is_abandoned, pack, read_spool, unpack

HEAD = SpoolHead("default", "late", "d1", "m1", "model/m@1", 0)


def entry(rows: int = 2, *, request: str = "", **columns: np.ndarray) -> Entry:
    columns = {"at": np.zeros(rows, np.int64), **{name.replace("_", "."): each for name, each in columns.items()}}
    return Entry(request or new_id(), "champion", "tests", 7, rows, b"", pack(columns))


def objects(*values: object) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@settings(max_examples=60, deadline=None)
@given(
    array=arrays.arrays(
        dtype=st.sampled_from([np.dtype(each) for each in ("?", "i1", "u2", "<i4", "<u8", "<f2", "<f4", "<f8")]),
        shape=st.tuples(st.integers(0, 5)) | st.tuples(st.integers(0, 4), st.integers(1, 3)),
    )
)
def test_any_column_is_read_back_as_it_was(array):
    (packed,) = pack({"x": array})
    found = unpack(packed)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_texts_missing_values_and_bytes_are_kept_as_text(tmp_path):
    spool = Spool(tmp_path, HEAD)
    spool.append(entry(4, input_t=objects("a", None, b"b", b"\xff")))
    _, (found,) = read_spool(spool.path)
    assert unpack(found.columns[1]).tolist() == ["a", None, "b", "\\xff"]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_torn_or_damaged_end_costs_only_itself(tmp_path_factory, data):
    spool = Spool(tmp_path_factory.mktemp("spool"), HEAD)
    ends = []
    for _ in range(3):
        spool.append(entry(2, input_x=np.arange(2.0)))
        ends.append(spool.size)
    spool.close()
    whole = spool.path.read_bytes()
    cut = data.draw(st.integers(ends[0], len(whole) - 1))
    if data.draw(st.booleans()):
        spool.path.write_bytes(whole[:cut])
    else:
        spool.path.write_bytes(whole[:cut] + bytes([whole[cut] ^ 0xFF]) + whole[cut + 1 :])
    _, found = read_spool(spool.path)
    assert len(list(found)) == sum(end <= cut for end in ends)


def test_what_is_no_spool_is_refused(tmp_path):
    path = tmp_path / "x.spool"
    path.write_bytes(b"hello")
    with pytest.raises(Damaged):
        read_spool(path)


def test_a_full_disk_refuses_the_answer_and_leaves_the_file_readable(tmp_path, monkeypatch):
    spool = Spool(tmp_path, HEAD)
    first, lost, second = entry(), entry(), entry()
    spool.append(first)
    real = os.write

    def half(file: int, data: bytes) -> int:
        real(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StorageError, match="No space left"):
        spool.append(lost)
    monkeypatch.undo()
    spool.append(second)
    _, found = read_spool(spool.path)
    assert [each.request for each in found] == [first.request, second.request]
    assert spool.rows == 4


def test_a_spool_is_abandoned_when_its_writer_is_gone(tmp_path):
    spool = Spool(tmp_path, HEAD)
    assert not is_abandoned(spool.path)
    spool.close()
    assert is_abandoned(spool.path)
    assert not is_abandoned(tmp_path / "gone.spool")


def test_requests_with_other_columns_share_a_frame(tmp_path):
    probability = np.array([[0.25, 0.75], [0.5, 0.5]])
    frame = frame_of(
        [
            entry(2, input_x=np.arange(2.0), output_probability=probability),
            entry(2, input_x=np.arange(2), input_t=objects("a", "b")),
            Entry(
                new_id(), "challenger", "", 1, 1, np.array([9], "<u4").tobytes(), pack({"at": np.zeros(1, np.int64)})
            ),
        ]
    )
    assert frame.height == 5
    assert frame["row"].to_list() == [0, 1, 0, 1, 9]
    assert frame["input.x"].to_list() == [0.0, 1.0, 0.0, 1.0, None]
    assert frame["input.t"].to_list() == [None, None, "a", "b", None]
    assert [None if each is None else list(each) for each in frame["output.probability"]][1] == [0.5, 0.5]


class Segments:
    """A store of segments that can be told to fail."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Entry]] = {}
        self.fails = False

    def __call__(self, spool: str, head: SpoolHead, entries: list[Entry]) -> None:
        if self.fails:
            raise StorageError("the store is away")
        assert spool not in self.kept
        self.kept[spool] = list(entries)

    @property
    def requests(self) -> list[str]:
        return sorted(each.request for entries in self.kept.values() for each in entries)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_many_threads_lose_nothing_and_double_nothing(tmp_path):
    segments = Segments()
    log = PredictionLog(tmp_path, segments, max_rows=50)
    written: list[str] = []

    def write() -> None:
        for _ in range(100):
            one = entry(1)
            log.record(HEAD, one)
            written.append(one.request)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    log.close()
    assert segments.requests == sorted(written)
    assert files(tmp_path) == []


def test_what_the_store_refuses_stays_on_disk_and_is_recovered_later(tmp_path):
    segments = Segments()
    segments.fails = True
    log = PredictionLog(tmp_path, segments)
    one = entry()
    log.record(HEAD, one)
    with pytest.raises(StorageError):
        log.flush()
    log.close()  # the store is still away: the file stays
    assert len(files(tmp_path)) == 1
    segments.fails = False
    after = PredictionLog(tmp_path, segments)
    assert after.recover() == 1
    assert segments.requests == [one.request]
    assert files(tmp_path) == []


def test_deployments_do_not_share_a_segment(tmp_path):
    segments = Segments()
    log = PredictionLog(tmp_path, segments)
    other = SpoolHead("default", "late", "d2", "m2", "model/m@2", 0)
    log.record(HEAD, entry())
    log.record(other, entry())
    log.record(HEAD, entry())
    log.close()
    assert sorted(len(entries) for entries in segments.kept.values()) == [1, 2]
