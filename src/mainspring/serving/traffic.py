"""Who answers: the traffic plan of an endpoint and the rule that splits requests and rows by it.

Assignment is a pure function of (salt, key): no state, the same on every process and machine, and
*sticky*: a key that a canary of 5 % took is taken by the same canary at 20 %. The salt is the
rollout's, so that two rollouts do not torment the same customers. Rows are split by a mixing
function over whole columns, never row by row.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from blake3 import blake3

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Arm", "Mode", "Target", "TrafficPlan", "check_steps", "share_of", "shares_of_keys", "shares_of_rows"]

Mode = Literal["single", "shadow", "canary"]
Arm = Literal["champion", "challenger", "shadow", "failed"]
"""Who answered a logged row. `failed`: the challenger was asked and raised an error, which no caller saw."""

_WHOLE = 2.0**64


class Target(msgspec.Struct, frozen=True):
    """One model version that serves at an endpoint, and the deployment run that put it there."""

    model: str
    """Id of the model artifact."""
    name: str
    """Name of the registered model."""
    version: int
    deployment: str
    """Id of the run of kind "deployment"; everything this target answers is recorded as made by it."""

    @property
    def reference(self) -> str:
        """`model/name@version`."""
        return f"model/{self.name}@{self.version}"


class TrafficPlan(msgspec.Struct, frozen=True):
    """Which model versions answer an endpoint's requests.

    In mode `shadow` the challenger sees every row after the champion has answered, and nobody sees its answers;
    in mode `canary` it answers the share `weight` of the rows.
    """

    champion: Target
    challenger: Target | None = None
    mode: Mode = "single"
    weight: float = 0.0
    salt: str = ""

    def check(self) -> None:
        """Raise `InvalidInput` for a plan that cannot be."""
        if (self.challenger is None) != (self.mode == "single"):
            raise InvalidInput(
                f"a traffic plan of mode {self.mode!r} {'needs' if self.challenger is None else 'has no'} challenger"
            )
        if not 0 <= self.weight <= 1:
            raise InvalidInput(f"a canary's weight is a share between 0 and 1, not {self.weight}")
        if self.weight and self.mode != "canary":
            raise InvalidInput(f"a weight of {self.weight} means nothing in mode {self.mode!r}", hint="mode='canary'")

    def arm_of(self, key: str, *, pin: str = "") -> Arm:
        """Who answers the request, or the entity, `key`; `pin` (a header of the caller) overrides.

        Example:
            >>> target = Target(model="a", name="fraud", version=1, deployment="d")
            >>> TrafficPlan(champion=target).arm_of("order-7")
            'champion'
        """
        if pin:
            return self.pinned(pin)
        if self.mode == "canary" and share_of(key, salt=self.salt) < self.weight:
            return "challenger"
        return "champion"

    def pinned(self, pin: str) -> Arm:
        """The arm that a caller asked for by name or by model version; raises `InvalidInput` when it is not there."""
        if pin in ("champion", str(self.champion.version)):
            return "champion"
        if self.challenger and self.mode == "canary" and pin in ("challenger", str(self.challenger.version)):
            return "challenger"
        arms = ["champion", *(["challenger"] if self.mode == "canary" else [])]
        raise InvalidInput(f"this endpoint has no arm or version {pin!r} that answers", known=arms)

    def takes(self, shares: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Which rows the challenger answers, from their shares."""
        return shares < self.weight


def share_of(key: str, *, salt: str = "") -> float:
    """A key's fixed place between 0 and 1, uniform over keys, independent between salts.

    Example:
        >>> share_of("order-7") == share_of("order-7") != share_of("order-7", salt="other")
        True
    """
    return _seed(key, salt) / _WHOLE


def shares_of_rows(key: str, rows: int, *, salt: str = "") -> np.ndarray[Any, Any]:
    """A fixed place between 0 and 1 for each row of request `key`: SplitMix64 of its number."""
    import numpy as np

    state = np.uint64(_seed(key, salt)) + np.arange(1, rows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def shares_of_keys(columns: Sequence[np.ndarray[Any, Any]], *, salt: str = "") -> np.ndarray[Any, Any]:
    """A fixed place between 0 and 1 for each row from its entity key, one column per part of the key.

    Each distinct key is hashed once; the same key has the same place in every request.
    """
    import numpy as np

    text = ["\x1f".join(parts) for parts in zip(*(map(str, column.tolist()) for column in columns), strict=True)]
    distinct = {key: share_of(key, salt=salt) for key in set(text)}
    return np.fromiter((distinct[key] for key in text), np.float64, len(text))


def check_steps(steps: Sequence[float]) -> tuple[float, ...]:
    """The weights of a canary, growing, in (0, 1]; raises `InvalidInput` otherwise.

    Example:
        >>> check_steps([0.05, 0.2, 0.5])
        (0.05, 0.2, 0.5)
    """
    found = tuple(float(step) for step in steps)
    growing = all(low < high for low, high in itertools.pairwise((0.0, *found)))
    if not found or not growing or not found[-1] <= 1:
        raise InvalidInput(
            f"canary steps must be growing shares above 0 and up to 1, not {list(steps)}", hint="steps=[0.05, 0.2, 0.5]"
        )
    return found


def _seed(key: str, salt: str) -> int:
    return int.from_bytes(blake3(f"{salt}\x1f{key}".encode()).digest(length=8), "little")
