"""Great Expectations' windows, thresholds that follow the last runs; its open edition keeps but never reckons them.

A window names a parameter of the suite. Its value is `constraint_fn` of the last `range` observed values; where it is
the `min_value` of a range it is lowered by the share `offset.negative` of its size, where it is the `max_value` it is
raised by `offset.positive`. With `strict` there must be `range` values; otherwise those that there are do, and without
any the end of the range is open.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.types import Expectation, Suite

__all__ = ["window_parameters"]

_FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "max": max,
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "sum": sum,
}


class _Offset(msgspec.Struct, frozen=True):
    positive: float
    negative: float


class _Window(msgspec.Struct, frozen=True):
    constraint_fn: str
    parameter_name: str
    range: int
    offset: _Offset
    strict: bool = False


def window_parameters(suite: Suite, history: Callable[[Expectation], Sequence[float]]) -> dict[str, Any]:
    """The values of the parameters that windows give, to be passed as `parameters=` of a validation.

    Args:
        suite: A suite that `read_gx` gave.
        history: What the validations before observed of an expectation, the newest last.

    Raises:
        InvalidInput: A window is none, its function is not known, or it is strict and history is too short.
    """
    found: dict[str, Any] = {}
    for expectation in suite.expectations:
        kept = expectation.meta.get("gx")
        windows = kept.get("kwargs", {}).get("windows", ()) if isinstance(kept, Mapping) else ()
        for plain in windows or ():
            window = _window(plain)
            found[window.parameter_name] = _value(window, expectation, list(history(expectation)))
    return found


def _window(plain: Any) -> _Window:
    try:
        window = msgspec.convert(plain, _Window)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"this is no window: {error}") from None
    if window.constraint_fn not in _FUNCTIONS:
        raise InvalidInput(f"{window.constraint_fn!r} is no function of a window", known=sorted(_FUNCTIONS))
    return window


def _value(window: _Window, expectation: Expectation, values: list[float]) -> float | None:
    last = values[-window.range :] if window.range > 0 else []
    if window.strict and len(last) < window.range:
        raise InvalidInput(
            f"the window of {window.parameter_name!r} is strict, and of {window.range} runs {len(last)} are known"
        )
    if not last:
        return None
    middle = _FUNCTIONS[window.constraint_fn](last)
    ends = {
        end
        for end in ("min_value", "max_value")
        if expectation.arguments.get(end) == {"$PARAMETER": window.parameter_name}
    }
    if ends == {"min_value"}:
        return middle - window.offset.negative * abs(middle)
    return middle + window.offset.positive * abs(middle) if ends == {"max_value"} else middle
