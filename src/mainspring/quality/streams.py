"""Drift in a stream, one value at a time: the detectors of river behind one small protocol, with state that is kept.

A detector on a stream answers another question than a comparison of two samples: not whether the distribution moved,
but since when. ADWIN, KSWIN and Page-Hinkley watch any numbers; DDM and EDDM watch errors (0 right, 1 wrong).
"""

from __future__ import annotations

import importlib
import math
import random
from collections import deque
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

from mainspring.kernel.errors import InvalidInput, MissingDependency, nearest
from mainspring.quality.streams_adwin import Adwin

__all__ = ["DETECTORS", "Detector", "Stream", "StreamState", "Watch", "open_stream", "resume_stream"]

Detector = Literal["adwin", "ddm", "eddm", "kswin", "page_hinkley"]
"""The detectors by name."""

DETECTORS: dict[str, tuple[str, str]] = {
    "adwin": ("river.drift", "ADWIN"),
    "ddm": ("river.drift.binary", "DDM"),
    "eddm": ("river.drift.binary", "EDDM"),
    "kswin": ("river.drift", "KSWIN"),
    "page_hinkley": ("river.drift", "PageHinkley"),
}
"""Where river has them. Their parameters go by river's names; ADWIN is our own, with river's answers."""

_ERRORS = {"ddm", "eddm"}


class Watch(msgspec.Struct, frozen=True):
    """Something that a stream said: at which value (counted from 0), and how grave it is."""

    at: int
    verdict: Literal["warning", "drift"]


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a stream knows, as JSON types; `resume_stream` goes on from it as if nothing had happened."""

    detector: Detector
    parameters: dict[str, Any]
    seen: int
    watches: tuple[Watch, ...]
    inner: Any
    form: int = 1


class Stream(Protocol):
    """A watched stream of numbers. Not to be fed from two threads at once."""

    @property
    def seen(self) -> int:
        """How many values it has seen."""
        ...

    @property
    def watches(self) -> tuple[Watch, ...]:
        """What it said, the latest thousand."""
        ...

    def feed(self, value: float) -> Watch | None:
        """See one value; what that means, if anything."""
        ...

    def feed_all(self, values: Iterable[float]) -> list[Watch]:
        """See many, in order."""
        ...

    def state(self) -> StreamState:
        """All that it knows, to be kept."""
        ...


_KEPT = 1000


class _RiverStream:
    def __init__(self, state: StreamState, model: Any) -> None:
        self._start = state
        self._model = model
        self._seen = state.seen
        self._watches = deque(state.watches, maxlen=_KEPT)

    @property
    def seen(self) -> int:
        """How many values it has seen."""
        return self._seen

    @property
    def watches(self) -> tuple[Watch, ...]:
        """What it said, the latest thousand."""
        return tuple(self._watches)

    def feed(self, value: float) -> Watch | None:
        number = float(value)
        if not math.isfinite(number):
            raise InvalidInput(f"a stream is of finite numbers, and {value!r} is none", hint="leave it out")
        if self._start.detector in _ERRORS and number not in {0.0, 1.0}:
            raise InvalidInput(f"{self._start.detector} watches errors, 0 or 1, and not {value!r}")
        self._model.update(number if self._start.detector not in _ERRORS else bool(number))
        place, self._seen = self._seen, self._seen + 1
        if self._model.drift_detected:
            watch = Watch(place, "drift")
        elif getattr(self._model, "warning_detected", False):
            watch = Watch(place, "warning")
        else:
            return None
        self._watches.append(watch)
        return watch

    def feed_all(self, values: Iterable[float]) -> list[Watch]:
        return [watch for value in values if (watch := self.feed(value)) is not None]

    def state(self) -> StreamState:
        return msgspec.structs.replace(
            self._start, seen=self._seen, watches=tuple(self._watches), inner=_packed(self._model)
        )


def open_stream(detector: Detector, **parameters: Any) -> Stream:
    """A new stream watched by a detector, with parameters by river's names.

    Example:
        >>> stream = open_stream("page_hinkley", threshold=5)
        >>> watches = stream.feed_all([0.0, 0.1] * 50 + [3.0] * 20)
        >>> watches[0].verdict, 100 <= watches[0].at < 110
        ('drift', True)
    """
    if detector == "kswin" and parameters.get("seed") is None:
        parameters["seed"] = 0  # so that the same stream gives the same answers
    state = StreamState(detector=detector, parameters=parameters, seen=0, watches=(), inner=None)
    return _RiverStream(state, _made(state))


def resume_stream(state: StreamState | bytes) -> Stream:
    """The stream whose state was kept; `bytes` are a state as JSON."""
    if isinstance(state, bytes):
        try:
            state = msgspec.json.decode(state, type=StreamState)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"these bytes are not the state of a stream: {error}") from None
    model = _made(state)
    if state.inner is None:
        return _RiverStream(state, model)
    try:
        _unpack_into(model, state.inner)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"this is not the state of {state.detector}: {error}") from None
    return _RiverStream(state, model)


def _made(state: StreamState) -> Any:
    if state.detector not in DETECTORS:
        raise InvalidInput(f"there is no detector named {state.detector!r}", known=nearest(state.detector, DETECTORS))
    try:
        if state.detector == "adwin":
            return Adwin(**state.parameters)
        module, name = DETECTORS[state.detector]
        return getattr(importlib.import_module(module), name)(**state.parameters)
    except ImportError:
        raise MissingDependency("river", extra="evaluate") from None
    except TypeError as error:
        raise InvalidInput(f"{state.detector} does not take these parameters: {error}") from None


def _packed(value: Any) -> Any:
    """A detector, or something that it holds, as JSON types."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, Adwin):
        return value.state()
    if isinstance(value, deque):
        return {"deque": [_packed(each) for each in value]}
    if isinstance(value, random.Random):
        version, words, gauss = value.getstate()
        return {"random": [version, list(words), gauss]}
    held = {name: each for name, each in vars(value).items() if not callable(each) or hasattr(each, "update")}
    return {"held": {name: _packed(each) for name, each in held.items()}}


def _unpack_into(model: Any, packed: Any) -> None:
    """Give a new detector what an old one held."""
    if isinstance(model, Adwin):
        model.restore(packed)
        return
    for name, value in packed["held"].items():
        own = getattr(model, name)
        if isinstance(value, dict) and "held" in value:
            _unpack_into(own, value)
        else:
            setattr(model, name, _unpacked(value, own))


def _unpacked(value: Any, own: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float(value["float"])
    if "deque" in value:
        return deque((_unpacked(each, None) for each in value["deque"]), maxlen=own.maxlen)
    version, words, gauss = value["random"]
    draw = random.Random()  # noqa: S311 -- a sample of a window, no secret
    draw.setstate((version, tuple(words), gauss))
    return draw
