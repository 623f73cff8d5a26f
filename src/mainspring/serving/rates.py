"""Rates of yes/no events, judged exactly at every sample size and however often one looks.

- `rate_sequence`: bounds on one arm's rate (Beta mixture of likelihood ratios; Robbins 1970, Ville's inequality).
- `TwoRates`: are two arms' rates the same, also when the common rate moves with time (Turner, Ly, Gruenwald,
  "Generic E-variables for exact sequential k-sample tests that allow for optional stopping", 2024).

In pure Python because each is a formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["Interval", "TwoRates", "rate_sequence"]


class Interval(msgspec.Struct, frozen=True):
    """Bounds that hold at all times together with probability at least `1 - alpha`."""

    lower: float
    upper: float


def rate_sequence(successes: int, n: int, *, alpha: float = 0.05, prior: tuple[float, float] = (0.5, 0.5)) -> Interval:
    """Bounds on the rate of a yes/no event that hold at all times together, exactly, at any sample size.

    A Beta(`prior`) mixture of likelihood ratios is a martingale under the true rate (Ville); the bounds are the
    rates that it does not refute.

    Example:
        >>> bounds = rate_sequence(3, 100)
        >>> bounds.lower < 0.03 < bounds.upper < 0.15
        True
    """
    if not 0 <= successes <= n:
        raise InvalidInput(f"{successes} successes of {n} cannot be")
    if n == 0:
        return Interval(0.0, 1.0)
    a, b = prior
    mixture = _log_beta(a + successes, b + n - successes) - _log_beta(a, b)

    def refuted(rate: float) -> bool:
        likelihood = _times_log(successes, rate) + _times_log(n - successes, 1 - rate)
        return mixture - likelihood >= -math.log(alpha)

    peak = successes / n
    return Interval(_edge(refuted, 0.0, peak), _edge(refuted, 1.0, peak))


class TwoRates:
    """Evidence against "both arms have the same rate", exact, block by block.

    The null lets the common rate move from block to block, so days may differ as they like. Feed whole
    blocks (the labels of a day, of a batch); the alternative is learnt from the blocks before. Not thread-safe.

    Example:
        >>> test = TwoRates()
        >>> for _ in range(20):
        ...     evidence = test.update(champion=(2, 50), challenger=(25, 50))
        >>> evidence > 1000
        True
    """

    def __init__(self, *, prior: float = 0.18) -> None:
        # 0.18 is the prior weight that Turner, Ly and Gruenwald found close to optimal in regret.
        self._seen = [[prior, prior], [prior, prior]]
        self.log_e = 0.0

    @property
    def e_value(self) -> float:
        """At least `1 / alpha`, ever, refutes equality at level `alpha`."""
        return math.exp(min(700.0, self.log_e))

    def update(self, *, champion: tuple[int, int], challenger: tuple[int, int]) -> float:
        """Add one block of (successes, observations) for each arm; returns the evidence so far."""
        arms = (champion, challenger)
        for hits, n in arms:
            if not 0 <= hits <= n:
                raise InvalidInput(f"{hits} successes of {n} cannot be")
        total = champion[1] + challenger[1]
        if champion[1] and challenger[1]:
            rates = [yes / (yes + no) for yes, no in self._seen]
            common = sum(rate * n for rate, (_, n) in zip(rates, arms, strict=True)) / total
            for rate, (hits, n) in zip(rates, arms, strict=True):
                self.log_e += hits * math.log(rate / common) + (n - hits) * math.log((1 - rate) / (1 - common))
        for seen, (hits, n) in zip(self._seen, arms, strict=True):
            seen[0] += hits
            seen[1] += n - hits
        return self.e_value


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _times_log(count: int, rate: float) -> float:
    """`count * log(rate)` with 0 log 0 = 0."""
    if count == 0:
        return 0.0
    return count * math.log(rate) if rate > 0 else -math.inf


def _edge(refuted: Callable[[float], bool], outside: float, inside: float) -> float:
    """The border between refuted and not, by bisection to the last bit that matters."""
    if not refuted(outside):
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        if refuted(middle):
            outside = middle
        else:
            inside = middle
    return outside
