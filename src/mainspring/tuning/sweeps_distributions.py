"""The distributions of W&B sweep files: what each is as a dimension, and how it is drawn from exactly.

A dimension knows a range and whether it is logarithmic; a normal or a beta distribution is a range to it, cut where
less than one in a million draws lies. What is drawn at random follows the distribution itself.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.tuning.types import Choice, Dimension, Float, Int

__all__ = ["DISTRIBUTIONS", "Parameter", "parameter_of"]

_SIGMAS = 5.0
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "beta": ("a", "b"),
    "categorical": ("values",),
    "categorical_w_probabilities": ("values", "probabilities"),
    "constant": ("value",),
    "int_uniform": ("min", "max"),
    "inv_log_uniform": ("min", "max"),
    "inv_log_uniform_values": ("min", "max"),
    "log_normal": ("mu", "sigma"),
    "log_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "normal": ("mu", "sigma"),
    "q_beta": ("a", "b", "q"),
    "q_log_normal": ("mu", "sigma", "q"),
    "q_log_uniform": ("min", "max", "q"),
    "q_log_uniform_values": ("min", "max", "q"),
    "q_normal": ("mu", "sigma", "q"),
    "q_uniform": ("min", "max", "q"),
    "uniform": ("min", "max"),
}
"""Each by its name, with what it must be given."""

_DEFAULTS = {"q": 1.0, "mu": 0.0, "sigma": 1.0}


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a sweep that is searched."""

    distribution: str
    given: dict[str, Any]
    dimension: Dimension
    """What a sampler knows of it."""

    def draw(self, chance: random.Random) -> Any:
        """A value, exactly from the distribution, inside the dimension."""
        given, kind = self.given, self.distribution.removeprefix("q_")
        if isinstance(self.dimension, Choice):
            weights = given.get("probabilities")
            return (
                chance.choices(self.dimension.values, weights)[0] if weights else chance.choice(self.dimension.values)
            )
        if kind == "int_uniform":
            return chance.randint(int(given["min"]), int(given["max"]))
        if kind == "uniform":
            value = chance.uniform(given["min"], given["max"])
        elif kind == "normal":
            value = chance.gauss(given["mu"], given["sigma"])
        elif kind == "log_normal":
            value = math.exp(chance.gauss(given["mu"], given["sigma"]))
        elif kind == "beta":
            value = chance.betavariate(given["a"], given["b"])
        else:
            low, high = _log_range(kind, given)
            value = math.exp(chance.uniform(low, high))
        return self._inside(value)

    def _inside(self, value: float) -> float | int:
        each = self.dimension
        if isinstance(each, Choice):
            return value
        value = min(max(value, each.low), each.high)
        if each.step is not None and not each.log:
            value = min(each.low + round((value - each.low) / each.step) * each.step, each.high)
        return round(value) if isinstance(each, Int) else value


def parameter_of(name: str, given: Mapping[str, Any]) -> Parameter | Any:
    """A parameter as the file has it: searched, or its one value.

    Raises:
        InvalidInput: There is no such distribution, or something of it is missing.

    Example:
        >>> parameter_of("lr", {"min": 0.001, "max": 0.1, "distribution": "log_uniform_values"}).dimension
        Float(low=0.001, high=0.1, log=True, step=None)
        >>> parameter_of("epochs", {"value": 3})
        3
    """
    kind = given.get("distribution") or _kind_of(name, given)
    if kind not in DISTRIBUTIONS:
        raise InvalidInput(
            f"parameter {name}: there is no distribution {kind!r}", known=nearest(str(kind), DISTRIBUTIONS)
        )
    whole = {key: value for key, value in given.items() if value is not None}
    for key in DISTRIBUTIONS[kind]:
        if key not in whole and key in _DEFAULTS:
            whole[key] = _DEFAULTS[key]
        if key not in whole:
            raise InvalidInput(f"parameter {name}: {kind} needs {key}")
        if key not in ("value", "values", "probabilities"):
            whole[key] = _number(name, key, whole[key])
    if kind == "constant":
        return whole["value"]
    return Parameter(kind, whole, _dimension(name, kind, whole))


def _kind_of(name: str, given: Mapping[str, Any]) -> str:
    if "value" in given:
        return "constant"
    if "values" in given:
        return "categorical"
    if "min" in given and "max" in given:
        whole = all(isinstance(given[key], int) for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    if "mu" in given or "sigma" in given:
        return "normal"
    raise InvalidInput(f"parameter {name}: there is no value, values, or min and max", known=sorted(DISTRIBUTIONS))


def _dimension(name: str, kind: str, given: dict[str, Any]) -> Dimension:
    if kind.startswith("categorical"):
        return _choice(name, given)
    if kind == "int_uniform":
        low, high = given["min"], given["max"]
        if low != int(low) or high != int(high) or low > high:
            raise InvalidInput(f"parameter {name}: from {low} to {high} are no whole numbers")
        return Int(int(low), int(high))
    plain = kind.removeprefix("q_")
    low, high = _range(name, plain, given)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InvalidInput(f"parameter {name}: from {low} to {high} is no range")
    if plain == kind:
        return Float(low, high, log="log" in plain)
    q = given["q"]
    if q <= 0:
        raise InvalidInput(f"parameter {name}: q={q}")
    first, last = round(low / q), round(high / q)
    if q == int(q):
        return Int(first * int(q), last * int(q), step=int(q))
    return Float(first * q, last * q, step=q)


def _range(name: str, kind: str, given: Mapping[str, Any]) -> tuple[float, float]:
    if kind == "beta":
        if given["a"] <= 0 or given["b"] <= 0:
            raise InvalidInput(f"parameter {name}: a={given['a']}, b={given['b']}")
        return 0.0, 1.0
    if kind in ("normal", "log_normal"):
        if given["sigma"] <= 0:
            raise InvalidInput(f"parameter {name}: sigma={given['sigma']}")
        low, high = (given["mu"] + sign * _SIGMAS * given["sigma"] for sign in (-1, 1))
    elif "log" in kind:
        low, high = _log_range(kind, given, name)
    else:
        low, high = given["min"], given["max"]
    if "log" not in kind:
        return low, high
    if kind.endswith("_values"):
        return given["min"], given["max"]
    try:
        return math.exp(low), math.exp(high)
    except OverflowError:
        raise InvalidInput(f"parameter {name}: e to the power of {high} is no number") from None


def _choice(name: str, given: dict[str, Any]) -> Choice:
    values = given["values"]
    if not isinstance(values, list) or not values:
        raise InvalidInput(f"parameter {name}: values={values!r}")
    weights = given.get("probabilities")
    if weights is not None and (
        not isinstance(weights, list)
        or len(weights) != len(values)
        or any(not isinstance(each, int | float) or not 0 <= each <= 1 for each in weights)
        or abs(sum(weights) - 1) > 1e-6
    ):
        raise InvalidInput(f"parameter {name}: one probability for each value, which sum to 1, not {weights!r}")
    return Choice(tuple(values))


def _log_range(kind: str, given: Mapping[str, Any], name: str = "") -> tuple[float, float]:
    """The range of the logarithm."""
    low, high = given["min"], given["max"]
    if kind.endswith("_values"):
        if low <= 0 or high <= 0:
            raise InvalidInput(f"parameter {name}: a logarithmic range begins above 0, not at {low}")
        low, high = math.log(low), math.log(high)
        return low, high
    return (-high, -low) if kind.startswith("inv") else (low, high)


def _number(name: str, key: str, value: Any) -> float:
    """A number; YAML reads 1e-3 as a text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(f"parameter {name}: {key} is no number")
    return value
