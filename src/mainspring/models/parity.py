"""Does a compiled model answer as its original does? Measured, never assumed.

The rows that are asked: the example rows; rows made of them by shuffling each column on its own; rows in which one
column sits exactly at a value where some decision turns, or at the next number below or above it in single and in
double precision; rows with missing values where the signature allows them, and rows with a category never seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.models import LABEL
from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mainspring.engines.models import Predictor
    from mainspring.engines.signature import Signature

__all__ = ["SINGLE", "TOLERANCE", "CompileReport", "measure", "probe_rows"]

TOLERANCE = 1e-9
"""Scores may differ by this, relative to the largest where that is above 1: rounding, never a decision."""

SINGLE = 2.0**-22
"""The same for a library that answers in single precision (XGBoost): two of its last digits. Its exponentials are not
always rounded correctly, and ours are."""

_SEED = 20130101
_PER_COLUMN = 400
_SHUFFLED = 2000
_UNSEEN = "a category never seen"


class CompileReport(msgspec.Struct, frozen=True):
    """How a compiled model compares with its original."""

    exact: bool
    """Whether every label agrees and every score but for rounding; only then is the compiled model served."""
    rows: int = 0
    label_mismatches: int = 0
    max_abs_difference: float = 0.0
    reason: str = ""
    """Why it is not exact, or could not be compiled."""


def measure(native: Predictor, compiled: Predictor, rows: Mapping[str, NDArray[Any]]) -> CompileReport:
    """Ask both models the same rows and compare every answer."""
    expected, refused = _answer(native, rows)
    found, complaint = _answer(compiled, rows)
    count = len(next(iter(rows.values())))
    if (expected is None) != (found is None):
        who, why = ("the original", refused) if expected is None else ("the compiled model", complaint)
        return CompileReport(exact=False, rows=count, reason=f"only {who} refuses some rows: {why}")
    if expected is None or found is None:
        return CompileReport(exact=True, rows=count)
    return _compare(expected, found, count)


def _compare(expected: dict[str, NDArray[Any]], found: dict[str, NDArray[Any]], count: int) -> CompileReport:
    import numpy as np

    if sorted(expected) != sorted(found):
        return CompileReport(
            exact=False, rows=count, reason=f"it gives {sorted(found)}, the original {sorted(expected)}"
        )
    mismatches, difference, within = 0, 0.0, True
    for name, answer in expected.items():
        if name == LABEL:
            mismatches = int((np.asarray(answer) != np.asarray(found[name])).sum())
            continue
        if answer.dtype.kind not in "biuf":
            return CompileReport(exact=False, rows=count, reason=f"{name} is {answer.dtype}, which is not compared")
        if answer.shape != found[name].shape:
            return CompileReport(exact=False, rows=count, reason=f"{name} has the shape {list(found[name].shape)}")
        if answer.size:
            apart = float(np.abs(answer - found[name]).max())
            allowed = SINGLE if answer.dtype == np.float32 else TOLERANCE
            difference = max(difference, apart)
            within &= apart <= allowed * max(1.0, float(np.abs(answer).max()))
    exact = mismatches == 0 and within
    reason = "" if exact else f"{mismatches} of {count} labels differ, scores by up to {difference:.3g}"
    return CompileReport(
        exact=exact, rows=count, label_mismatches=mismatches, max_abs_difference=difference, reason=reason
    )


def _answer(model: Predictor, rows: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]] | None, str]:
    try:
        return model.predict(rows), ""
    except InvalidInput as error:
        return None, error.message


def probe_rows(
    signature: Signature, example: Mapping[str, NDArray[Any]], thresholds: Mapping[str, set[float]]
) -> list[dict[str, NDArray[Any]]]:
    """Batches of rows to measure with; a batch stands or falls together, so unseen categories are asked apart."""
    import numpy as np

    rows = len(next(iter(example.values()))) if example else 0
    if rows == 0:
        raise InvalidInput("parity cannot be measured on no rows", hint="give an example frame of at least one row")
    random = np.random.default_rng(_SEED)
    shuffled = {name: column[random.integers(0, rows, _SHUFFLED)] for name, column in example.items()}
    batches = [dict(example), shuffled]
    for field in signature.inputs:
        base = {name: column[random.integers(0, rows, 2)] for name, column in example.items()}
        if field.nullable:
            absent = base[field.name].copy()
            absent[:] = None if field.text else np.nan
            batches.append({**base, field.name: absent})
        if field.text:
            batches.append({**base, field.name: np.array([_UNSEEN] * 2, dtype=object)})
        elif thresholds.get(field.name):
            values = _at(thresholds[field.name], field.stored, random)
            if len(values):
                around = {name: column[random.integers(0, rows, len(values))] for name, column in example.items()}
                batches.append({**around, field.name: values})
    return batches


def _at(thresholds: set[float], stored: str, random: np.random.Generator) -> NDArray[Any]:
    """Values at and next to thresholds, in the column's own type."""
    import numpy as np

    exact = np.array(sorted(value for value in thresholds if np.isfinite(value)), dtype=np.float64)
    if len(exact) > _PER_COLUMN:
        exact = random.choice(exact, _PER_COLUMN, replace=False)
    if not stored.startswith("float"):
        low, high = (0, 1) if stored == "bool" else (np.iinfo(stored).min, np.iinfo(stored).max)
        whole = np.concatenate([np.floor(exact), np.ceil(exact), np.floor(exact) + 1])
        return np.unique(whole[(whole >= low) & (whole <= high)]).astype(stored)
    with np.errstate(over="ignore"):
        single = exact.astype(np.float32)
        near = [exact, np.nextafter(exact, -np.inf), np.nextafter(exact, np.inf), single.astype(np.float64)]
        near += [np.nextafter(single, np.float32(side)).astype(np.float64) for side in (-np.inf, np.inf)]
        values = np.concatenate(near)
        values = values[np.abs(values) < np.finfo(np.float32).max]
    found: NDArray[Any] = values.astype(stored)
    return found
