"""Media that are arrays of numbers: images, sounds, distributions.

A PNG is written here rather than by Pillow: three chunks and zlib, and then an array needs nothing that the user
has not got. Pillow's own images are written by Pillow.
"""

from __future__ import annotations

import io
import os
import struct
import wave
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput, MissingDependency
from mainspring.tracking.media_values import Encoded, Figure, Media, read_source

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Audio", "Histogram", "Image", "pixels", "write_png"]

_MOST_BINS = 512
_IMAGES = {
    ".png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    ".jpg": ("image/jpeg", b"\xff\xd8\xff"),
    ".gif": ("image/gif", b"GIF8"),
    ".webp": ("image/webp", b"RIFF"),
    ".bmp": ("image/bmp", b"BM"),
    ".svg": ("image/svg+xml", b"<"),
}


class Image(Media):
    """A picture.

    Args:
        data: An array (height, width), (height, width, 1 | 3 | 4), or channels first as PyTorch has them: whole numbers
            from 0 to 255, booleans, or fractions from 0 to 1. Or an image of Pillow, a Matplotlib figure, the path of
            a file, or the bytes of one.
        caption: In words.

    Example:
        >>> Image([[0, 255], [255, 0]], caption="a board").encode().about
        {'kind': 'image', 'caption': 'a board', 'width': 2, 'height': 2, 'channels': 1}
    """

    kind = "image"

    def __init__(self, data: Any, *, caption: str = "") -> None:
        super().__init__(caption=caption)
        self.data = data

    def encode(self, suffix: str = "") -> Encoded:
        """PNG; a file stays what it is."""
        data = self.data
        if isinstance(data, str | os.PathLike | bytes):
            return self._file(read_source(data))
        if hasattr(data, "savefig"):
            return Figure(data, caption=self.caption).encode(".png")
        if hasattr(data, "getbands") and hasattr(data, "save"):
            out = io.BytesIO()
            data.save(out, "PNG")
            about = self.about(width=data.width, height=data.height, channels=len(data.getbands()))
            return Encoded(out.getvalue(), ".png", "image/png", about)
        array = pixels(data)
        channels = array.shape[2] if array.ndim == 3 else 1
        about = self.about(width=array.shape[1], height=array.shape[0], channels=channels)
        return Encoded(write_png(array), ".png", "image/png", about)

    def _file(self, data: bytes) -> Encoded:
        for suffix, (media_type, magic) in _IMAGES.items():
            if data.startswith(magic):
                about = self.about()
                if suffix == ".png" and len(data) >= 24:
                    width, height = struct.unpack(">II", data[16:24])
                    about |= {"width": width, "height": height}
                return Encoded(data, suffix, media_type, about)
        raise InvalidInput("these bytes are no image of a known kind", hint=f"known are {', '.join(_IMAGES)}")


class Audio(Media):
    """A sound.

    Args:
        data: Samples (n,) or (n, channels): fractions from -1 to 1, or 16-bit whole numbers. Or the path of a file or
            the bytes of a WAV.
        rate: Samples a second.
        caption: In words.

    Example:
        >>> Audio([0.0, 0.5, -0.5, 0.0], rate=8000).encode().about
        {'kind': 'audio', 'rate': 8000, 'channels': 1, 'seconds': 0.0005}
    """

    kind = "audio"

    def __init__(self, data: Any, *, rate: int = 44_100, caption: str = "") -> None:
        super().__init__(caption=caption)
        self.data, self.rate = data, rate

    def encode(self, suffix: str = "") -> Encoded:
        """WAV with 16 bits a sample; a file stays what it is."""
        data = self.data
        if isinstance(data, str | os.PathLike | bytes):
            own = ".wav" if isinstance(data, bytes) else Path(data).suffix.lower() or ".wav"
            kinds = {".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".flac": "audio/flac"}
            if own not in kinds:
                raise InvalidInput(f"a sound ends in {', '.join(kinds)}, not in {own!r}")
            return Encoded(read_source(data), own, kinds[own], self.about())
        return self._wave(data)

    def _wave(self, data: Any) -> Encoded:
        np = _numpy()
        array = np.asarray(_on_host(data))
        if array.ndim not in {1, 2} or not array.size or array.dtype.kind not in "iuf":
            raise InvalidInput(f"samples have the form (n,) or (n, channels), not {array.shape} of {array.dtype}")
        if array.dtype.kind == "f":
            array = np.clip(np.nan_to_num(array), -1.0, 1.0) * 32767
        samples = np.clip(np.round(array), -32768, 32767).astype("<i2")
        channels = samples.shape[1] if samples.ndim == 2 else 1
        if channels > 16:
            raise InvalidInput(f"{channels} channels are too many", hint="samples go down, channels across: data.T")
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(int(self.rate))
            file.writeframes(samples.tobytes())
        about = self.about(rate=int(self.rate), channels=channels, seconds=round(len(samples) / self.rate, 6))
        return Encoded(out.getvalue(), ".wav", "audio/wav", about)


class Histogram(Media):
    """A distribution: how many values lie between each two neighbouring edges. Kept inline, no file.

    Args:
        values: Numbers, in an array of any form; those that are not finite are counted apart.
        bins: How many, at most 512.
        counts: Instead of `values`: a histogram that is there already, with `edges`, one more than counts.
        edges: The limits of the bins, rising.
        caption: In words.

    Example:
        >>> Histogram([1, 2, 2, 3], bins=2).encode().about["counts"]
        [1, 3]
        >>> Histogram(counts=[3, 4], edges=[0, 1, 2]).encode().about["edges"]
        [0.0, 1.0, 2.0]
    """

    kind = "histogram"

    def __init__(
        self,
        values: Any = None,
        *,
        bins: int = 64,
        counts: Sequence[float] | None = None,
        edges: Sequence[float] | None = None,
        caption: str = "",
    ) -> None:
        super().__init__(caption=caption)
        if (values is None) == (counts is None) or (counts is None) != (edges is None):
            raise InvalidInput("a histogram is made of values, or of counts with edges")
        if not 1 <= bins <= _MOST_BINS:
            raise InvalidInput(f"bins = {bins} is not from 1 to {_MOST_BINS}")
        self._facts = _counted(values, bins) if counts is None else _given(counts, () if edges is None else edges)

    def encode(self, suffix: str = "") -> Encoded:
        """No bytes: the counts and the edges are in `about`."""
        return Encoded(b"", "", "application/vnd.mainspring.histogram+json", self.about(**self._facts))


def pixels(data: Any) -> np.ndarray[Any, Any]:
    """An array of bytes (height, width) or (height, width, 3 | 4) from what people call an image."""
    numpy = _numpy()
    array: np.ndarray[Any, Any] = numpy.asarray(_on_host(data))
    channels_first = array.ndim == 3 and array.shape[0] in {1, 3, 4} and array.shape[2] not in {1, 3, 4}
    if channels_first:
        array = numpy.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in {2, 3} or not array.size or (array.ndim == 3 and array.shape[2] not in {3, 4}):
        raise InvalidInput(f"an image has the form (height, width) or (height, width, 1 | 3 | 4), not {array.shape}")
    if array.dtype == numpy.uint8:
        return array
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"an image is made of numbers, not of {array.dtype}")
    scaled = array.dtype.kind in "bf"
    array = numpy.nan_to_num(array) if array.dtype.kind == "f" else array
    low, high, top = array.min(), array.max(), 1 if scaled else 255
    if low < -1e-6 or high > top + 1e-6:
        raise InvalidInput(
            f"the values of the image go from {low:g} to {high:g}, not from 0 to {top}",
            hint='image.astype("uint8"), or scale it to fractions from 0 to 1',
        )
    made: np.ndarray[Any, Any] = numpy.round(numpy.clip(array, 0, 1) * 255) if scaled else array
    return made.astype(numpy.uint8)


def write_png(array: np.ndarray[Any, Any]) -> bytes:
    """A PNG of bytes (height, width), (height, width, 3) or (height, width, 4); PNG specification, third edition."""
    height, width = array.shape[:2]
    color = 0 if array.ndim == 2 else {3: 2, 4: 6}[array.shape[2]]
    lines = array.reshape(height, -1)
    raw = b"".join(b"\x00" + line.tobytes() for line in lines)  # each line begins with its filter: none

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 6)) + chunk(b"IEND", b"")


def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError:
        raise MissingDependency("numpy", extra="quality") from None
    return np


def _on_host(data: Any) -> Any:
    """A tensor's values where NumPy can see them; anything else as it is."""
    if hasattr(data, "detach"):
        data = data.detach().cpu()
        return data.float().numpy() if "bfloat16" in str(data.dtype) else data.numpy()
    return data


def _counted(values: Any, bins: int) -> dict[str, Any]:
    np = _numpy()
    try:
        array = np.asarray(_on_host(values), dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"a histogram is made of numbers: {error}") from error
    finite = array[np.isfinite(array)]
    counts, edges = np.histogram(finite, bins=bins)
    facts: dict[str, Any] = {"counts": counts.tolist(), "edges": edges.tolist(), "count": int(array.size)}
    if finite.size:
        facts |= {
            "mean": float(finite.mean()),
            "deviation": float(finite.std()),
            "minimum": float(finite.min()),
            "maximum": float(finite.max()),
        }
    if finite.size < array.size:
        facts |= {"nan": int(np.isnan(array).sum()), "infinite": int(np.isinf(array).sum())}
    return facts


def _given(counts: Sequence[float], edges: Sequence[float]) -> dict[str, Any]:
    held = [int(count) if float(count).is_integer() else float(count) for count in counts]
    limits = [float(edge) for edge in edges]
    if len(limits) != len(held) + 1 or not 1 <= len(held) <= _MOST_BINS:
        raise InvalidInput(f"{len(held)} counts have {len(held) + 1} edges, not {len(limits)}; at most {_MOST_BINS}")
    if any(not low < high for low, high in pairwise(limits)) or min(held) < 0:
        raise InvalidInput("the edges of a histogram rise, and no count is negative")
    return {"counts": held, "edges": limits, "count": sum(held)}
