"""Calls of `log` as rows of fixed width, and many rows as columns: neither side touches the points one by one.

In the spool a row is a frame (length, checksum) of eight-byte words: the number of its *form*, the step, the moment,
the values. A form is a tuple of names, written once. Rows of one form lie at even distances, so every so-many-eth word
of the file is a column, and what travels to the store is columns.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Callable

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.chunks import Points
from mainspring.tracking.columns import little
from mainspring.tracking.frames import MAX_RECORD, encode_frame
from mainspring.tracking.types import ColumnsRecord, FileRecord

__all__ = ["HEAD", "Form", "Gathered", "Gathering", "SendFile", "columns_of", "encode_form"]

HEAD = struct.Struct("<II")
_TAG = struct.Struct("<Q")
_FORM_TAG = 9
_FORM_START = bytes([0x93, _FORM_TAG])
"""How the frame of a form begins: an array of three, the first of them its tag."""


class _FormRecord(msgspec.Struct, frozen=True, array_like=True, tag=_FORM_TAG):
    """A form as it lies in the spool; it is not sent and not counted."""

    number: int
    names: tuple[str, ...]


SendFile = Callable[[FileRecord], FileRecord]

_FILE_STARTS = tuple(bytes([0x90 | length, 7]) for length in range(3, 12))
"""How the frame of a file begins: an array, the first of it its tag."""

_file_decoder = msgspec.msgpack.Decoder(FileRecord)
_form_decoder = msgspec.msgpack.Decoder(_FormRecord)


class Form:
    """A set of names that are logged together, and how a row of their values is packed."""

    __slots__ = ("length", "names", "number", "pack", "size", "tag", "words")

    def __init__(self, number: int, names: tuple[str, ...]) -> None:
        packing = struct.Struct(f"<Qqq{len(names)}d")
        self.number = number
        self.names = names
        self.tag = number << 8
        """The first word of a row. Its first byte is 0, which no other record begins with, and it is not 0."""
        self.length = packing.size
        self.size = packing.size + HEAD.size
        self.words = self.size // 8
        self.pack: Callable[..., bytes] = packing.pack


class Gathered(msgspec.Struct, frozen=True):
    """Records as they travel."""

    count: int
    data: bytes
    stop: int
    beside: list[str] = []
    """Names of files beside the spool that were sent with these."""


class Gathering:
    """Reads frames of a spool into what travels: rows become columns, everything else stays as it is.

    Args:
        checked: Whether the checksum of every row is looked at: of a spool whose process is gone.
    """

    def __init__(self, *, checked: bool) -> None:
        self._checked = checked
        self._forms: dict[int, Form] = {}

    def know(self, form: Form) -> None:
        """Read rows of this form from now on."""
        self._forms[form.tag] = form

    def gather(self, data: bytes, *, most: int = 1 << 62, send: SendFile | None = None) -> Gathered:
        """The whole records at the beginning of `data`, up to a torn one, at most so many.

        Args:
            data: Frames.
            most: So many records at most.
            send: Sends a file that lies beside the spool; the record that names its bytes.
        """
        beside: list[str] = []
        rows: dict[int, list[bytes]] = {}
        others: list[bytes] = []
        count = place = 0
        while count < most and place + HEAD.size < len(data):
            length, checksum = HEAD.unpack_from(data, place)
            stop = place + HEAD.size + length
            if not 0 < length <= MAX_RECORD or stop > len(data):
                break
            if data[place + HEAD.size] == 0 and length >= _TAG.size:
                (tag,) = _TAG.unpack_from(data, place + HEAD.size)
                known = self._forms.get(tag)
                if known is None or known.length != length:
                    break
                number = self._run(data, place, known, most - count)
                if not number:
                    break
                rows.setdefault(tag, []).append(data[place : place + number * known.size])
                count += number
                place += number * known.size
                continue
            frame = data[place:stop]
            if zlib.crc32(frame[HEAD.size :]) != checksum:
                break
            if frame.startswith(_FORM_START, HEAD.size):
                form = _form_decoder.decode(frame[HEAD.size :])
                self.know(Form(form.number, form.names))
            else:
                if send is not None and frame.startswith(_FILE_STARTS, HEAD.size):
                    made = _file_decoder.decode(frame[HEAD.size :])
                    if made.beside:
                        beside.append(made.beside)
                        frame = encode_frame(send(made))
                others.append(frame)
                count += 1
            place = stop
        columns = [_columns(self._forms[tag], b"".join(blocks)) for tag, blocks in rows.items()]
        return Gathered(count, b"".join([*columns, *others]), place, beside)

    def _run(self, data: bytes, place: int, form: Form, most: int) -> int:
        """How many rows of this form lie one after the other from `place` on."""
        size = form.size
        limit = min(most, (len(data) - place) // size)
        found, step = 1, 1
        while found < limit:
            step = min(step, limit - found)
            first = place + found * size
            tags = _words(data[first : first + step * size])[1 :: form.words]
            same = tags.count(form.tag)
            if same != step:
                found += next(number for number, tag in enumerate(tags) if tag != form.tag)
                break
            found, step = found + step, step * 2
        if not self._checked:
            return found
        for number in range(found):
            head = place + number * size
            length, checksum = HEAD.unpack_from(data, head)
            if length != form.length or zlib.crc32(data[head + HEAD.size : head + size]) != checksum:
                return number
        return found


def encode_form(form: Form) -> bytes:
    """The frame that says which names a form has."""
    return encode_frame(_FormRecord(form.number, form.names))


def columns_of(record: ColumnsRecord) -> dict[str, Points]:
    """The points of a record of columns, by name; `InvalidInput` when its columns are of different lengths."""
    size = len(record.steps)
    lengths = {size, len(record.times), *map(len, record.values)}
    if len(lengths) != 1 or size % 8 or not size or len(record.values) != len(record.keys):
        raise InvalidInput("the columns of a record are of different lengths, or empty")
    steps, times = _words(record.steps), _words(record.times)
    found = {}
    for key, column in zip(record.keys, record.values, strict=True):
        points = Points()
        points.steps, points.times = steps, times
        values = array("d")
        values.frombytes(column)
        points.values = little(values)
        found[key] = points
    if len(found) != len(record.keys):
        raise InvalidInput("a name stands twice in a record of columns")
    return found


def _columns(form: Form, block: bytes) -> bytes:
    words = _words(block)
    columns = [little(words[place :: form.words]).tobytes() for place in range(2, form.words)]
    return encode_frame(ColumnsRecord(list(form.names), columns[0], columns[1], columns[2:]))


def _words(data: bytes) -> array[int]:
    words = array("q")
    words.frombytes(data)
    return little(words)
