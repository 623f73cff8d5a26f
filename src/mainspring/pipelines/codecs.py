"""How values that are not JSON become bytes and back: frames, arrays, models, bytes.

No codec here executes what it reads.

A further type is added by registering a `Codec` under `CODECS` in `kernel/hooks.py`, or under the entry-point group
`mainspring.codecs`.
"""

from __future__ import annotations

import io
import pickle
import sys
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, cast

from mainspring.kernel.errors import MissingDependency, UnsupportedFormat
from mainspring.kernel.hashing import digest_bytes, hasher
from mainspring.kernel.hooks import CODECS, load

__all__ = ["ArrayCodec", "BytesCodec", "Codec", "FrameCodec", "ModelCodec", "codec_for", "codec_named"]

_MODEL_ROOTS = frozenset({"sklearn", "lightgbm", "xgboost", "catboost"})


class Codec(Protocol):
    """One family of values. Stateless; used by many threads."""

    name: str
    canonical: bool
    """Whether a value that was written and read again has the digest that it had before."""

    def handles(self, value: object) -> bool:
        """Whether this codec is for `value`. Must not import a package that is not imported yet."""
        ...

    def encode(self, value: Any) -> tuple[bytes, dict[str, Any]]:
        """The bytes of `value`, and what else reading needs, as JSON."""
        ...

    def decode(self, data: bytes, extra: dict[str, Any]) -> Any:
        """The value again."""
        ...

    def digest(self, value: Any) -> str:
        """A digest of the content: equal digests mean equal values. Empty when there is none that can be trusted."""
        ...


class BytesCodec:
    """`bytes` and `bytearray`, as they are."""

    name = "bytes"
    canonical = True

    def handles(self, value: object) -> bool:
        """Whether it is plain bytes."""
        return type(value) in (bytes, bytearray)

    def encode(self, value: bytes | bytearray) -> tuple[bytes, dict[str, Any]]:
        """The bytes themselves."""
        return bytes(value), {} if isinstance(value, bytes) else {"mutable": True}

    def decode(self, data: bytes, extra: dict[str, Any]) -> bytes | bytearray:
        """The bytes themselves."""
        return bytearray(data) if extra.get("mutable") else data

    def digest(self, value: bytes | bytearray) -> str:
        """BLAKE3 of the bytes."""
        return digest_bytes(value)


class FrameCodec:
    """Polars frames and series as Parquet; a lazy frame is collected."""

    name = "frame"
    canonical = True

    def handles(self, value: object) -> bool:
        """Whether it is a polars frame or series."""
        polars = sys.modules.get("polars")
        return polars is not None and isinstance(value, polars.DataFrame | polars.LazyFrame | polars.Series)

    def encode(self, value: Any) -> tuple[bytes, dict[str, Any]]:
        """Parquet with zstd at its fastest: half the size of lz4 at the same speed on tables of numbers."""
        frame, extra = _as_frame(value)
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", compression_level=1)
        return buffer.getvalue(), extra

    def decode(self, data: bytes, extra: dict[str, Any]) -> Any:
        """The frame, lazy when it was lazy."""
        import polars as pl

        frame = pl.read_parquet(io.BytesIO(data))
        if extra.get("as") == "series":
            return frame.to_series().rename(extra["name"])
        return frame.lazy() if extra.get("as") == "lazy" else frame

    def digest(self, value: Any) -> str:
        """BLAKE3 of the Arrow buffers in a canonical layout: one chunk, contiguous strings, zeros under nulls."""
        import polars as pl
        import polars.selectors as cs

        frame, extra = _as_frame(value)
        if any(dtype.is_nested() or dtype == pl.Object for dtype in frame.dtypes):
            return ""
        state = hasher()
        state.update(repr((extra, list(frame.schema.items()), frame.height)).encode())
        texts = cs.categorical() | cs.enum()
        # Codes of categories depend on the order of arrival; booleans are bits, and the last byte may hold anything.
        frame = frame.rechunk().with_columns(texts.cast(pl.String), cs.boolean().cast(pl.UInt8))
        nullable = [name for name in frame.columns if frame.get_column(name).null_count()]
        flags = [pl.col(name).is_null().cast(pl.UInt8).alias(f"{index} is null") for index, name in enumerate(nullable)]
        flat = frame.with_columns(*(pl.col(name).fill_null(_zero(frame.schema[name])) for name in nullable), *flags)
        state.update(repr(nullable).encode())
        buffer = io.BytesIO()
        flat.rechunk().write_ipc(buffer, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
        state.update(buffer.getbuffer())
        return state.hexdigest()


class ArrayCodec:
    """NumPy arrays in NumPy's own format, which holds no code."""

    name = "array"
    canonical = True

    def handles(self, value: object) -> bool:
        """Whether it is an array of numbers, texts or times."""
        numpy = sys.modules.get("numpy")
        return numpy is not None and type(value) is numpy.ndarray and not cast("Any", value).dtype.hasobject

    def encode(self, value: Any) -> tuple[bytes, dict[str, Any]]:
        """The `.npy` file."""
        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return buffer.getvalue(), {}

    def decode(self, data: bytes, extra: dict[str, Any]) -> Any:
        """The array."""
        import numpy as np

        return np.load(io.BytesIO(data), allow_pickle=False)

    def digest(self, value: Any) -> str:
        """BLAKE3 of type, shape and elements in C order."""
        import numpy as np

        state = hasher()
        state.update(repr((value.dtype.str, value.dtype.descr, value.shape)).encode())
        state.update(np.ascontiguousarray(value).view(np.uint8).reshape(-1).data if value.size else b"")
        return state.hexdigest()


class ModelCodec:
    """Fitted estimators of scikit-learn and of libraries with its interface, in the format of skops.

    skops names every type that reading would construct. What is written here lists those types; reading constructs
    these and no others.
    """

    name = "model"
    canonical = False

    def handles(self, value: object) -> bool:
        """Whether it is an estimator: its class, or a parent of it, comes from one of the libraries."""
        return any(parent.__module__.partition(".")[0] in _MODEL_ROOTS for parent in type(value).__mro__)

    def encode(self, value: Any) -> tuple[bytes, dict[str, Any]]:
        """The skops archive and the types that it needs."""
        skops = _skops()
        try:
            data = skops.dumps(value)
        except Exception as error:
            raise UnsupportedFormat(f"skops cannot write a {type(value).__name__}: {error}") from error
        return data, {"types": sorted(skops.get_untrusted_types(data=data))}

    def decode(self, data: bytes, extra: dict[str, Any]) -> Any:
        """The estimator."""
        return _skops().loads(data, trusted=list(extra.get("types", [])))

    def digest(self, value: Any) -> str:
        """BLAKE3 of its pickle, which is only hashed and never read. Equal models may still have different digests."""
        try:
            return digest_bytes(pickle.dumps(value, protocol=5))
        except Exception:  # noqa: BLE001 -- user classes raise anything here; without a digest there is no cache hit
            return ""


def codec_for(value: object) -> Codec | None:
    """The codec for a value, or None."""
    return next((codec for codec in _codecs().values() if codec.handles(value)), None)


def codec_named(name: str) -> Codec:
    """The codec that wrote something."""
    codec = _codecs().get(name)
    if codec is None:
        raise UnsupportedFormat(f"nothing installed here reads values of the kind {name!r}")
    return codec


@cache
def _codecs() -> dict[str, Codec]:
    built_in: list[Codec] = [load(address)() for address in CODECS.values()]
    installed: list[Codec] = [point.load()() for point in entry_points(group="mainspring.codecs")]
    return {codec.name: codec for codec in (*built_in, *installed)}


def _as_frame(value: Any) -> tuple[Any, dict[str, Any]]:
    import polars as pl

    if isinstance(value, pl.Series):
        return value.alias("value").to_frame(), {"as": "series", "name": value.name}
    if isinstance(value, pl.LazyFrame):
        return value.collect(), {"as": "lazy"}
    return value, {}


def _zero(dtype: Any) -> Any:
    """A literal of a type, to lie under nulls."""
    import polars as pl

    if dtype == pl.Null:
        return pl.lit(None)
    if dtype == pl.String:
        return pl.lit("")
    if dtype == pl.Binary:
        return pl.lit(b"")
    return pl.lit(0).cast(dtype)


def _skops() -> Any:
    try:
        from skops import io as skops
    except ImportError as error:
        raise MissingDependency("skops", extra="serve") from error
    return skops
