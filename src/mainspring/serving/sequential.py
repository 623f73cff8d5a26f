"""Sequentially valid tests: may the challenger take over, asked as often as one likes.

A fixed-sample test that is looked at every day finds a difference that is not there in 20 to 30 % of
all rollouts, not in 5 %. Everything here is *always valid*: the chance that a bound is ever wrong, over
the whole life of a rollout and however often it is looked at, stays below `alpha`. So a rollout may be
judged after every batch of labels and stopped the moment the evidence suffices.

`Evidence` and `confidence_sequence`, in pure Python because they are formulas: the difference between two arms
in means of anything (loss, error, revenue), by the normal mixture of Robbins, asymptotic in the variance only
(Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 2024; boundary: Howard, Ramdas, McAuliffe, Sekhon 2021). What is exact at every
sample size, for rates of yes/no events, is in `rates.py`.

`decide` turns evidence into promote, rollback or continue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.serving.rates import Interval

__all__ = [
    "Decision",
    "Evidence",
    "Moments",
    "Rule",
    "Stratum",
    "confidence_sequence",
    "decide",
    "mixture_e_value",
]

Verdict = Literal["promote", "rollback", "continue"]


class Moments(msgspec.Struct, frozen=True):
    """Count, mean and sum of squared deviations of one arm's metric; what is needed to add it up anywhere."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """The moments of some values.

        Example:
            >>> Moments.of([1.0, 2.0, 3.0])
            Moments(n=3, mean=2.0, squares=2.0)
        """
        data = list(values)
        mean = math.fsum(data) / len(data) if data else 0.0
        return cls(len(data), mean, math.fsum((each - mean) ** 2 for each in data))


class Stratum(msgspec.Struct, frozen=True):
    """Both arms over one period, or one slice, in which chance alone decided who went where."""

    champion: Moments
    challenger: Moments


class Evidence(msgspec.Struct, frozen=True):
    """What a rollout has shown so far on one metric: a sum of independent pieces and its variance.

    `score` is the weighted sum of differences (challenger minus champion), `weight` the sum of the weights and
    `variance` the estimated variance of `score`; the estimate is `score / weight`.
    """

    n: int
    """Observations of the arm that has fewer, or pairs."""
    score: float
    weight: float
    variance: float
    champion: float = math.nan
    """Mean of the champion over everything seen."""
    challenger: float = math.nan

    @property
    def estimate(self) -> float:
        """The difference, challenger minus champion; NaN before the first observation."""
        return self.score / self.weight if self.weight else math.nan

    @classmethod
    def paired(cls, difference: Moments, *, champion: float = math.nan, challenger: float = math.nan) -> Evidence:
        """From the moments of per-row differences (challenger minus champion): what a shadow gives.

        Example:
            >>> Evidence.paired(Moments.of([0.0, 1.0, 2.0])).estimate
            1.0
        """
        n = difference.n
        spread = difference.squares / (n - 1) if n > 1 else 0.0
        return cls(n, difference.mean * n, float(n), spread * n, champion, challenger)

    @classmethod
    def two_arms(cls, strata: Iterable[Stratum]) -> Evidence:
        """From both arms in every period: what a canary gives.

        Arms are compared inside a stratum and added up with the weights `n1 n2 / (n1 + n2)` (Mantel and
        Haenszel), so that a share of traffic that grows on bad days is not taken for a bad model (Simpson's
        paradox). Periods in which one arm saw nothing tell nothing and are left out.

        Example:
            >>> arm = Moments.of([0.0, 1.0])
            >>> Evidence.two_arms([Stratum(champion=arm, challenger=arm)]).estimate
            0.0
        """
        used = [each for each in strata if each.champion.n and each.challenger.n]
        spread = [_pooled(each.champion for each in used), _pooled(each.challenger for each in used)]
        score = weight = variance = 0.0
        for each in used:
            n1, n2 = each.champion.n, each.challenger.n
            w = n1 * n2 / (n1 + n2)
            score += w * (each.challenger.mean - each.champion.mean)
            weight += w
            variance += w * w * (spread[0] / n1 + spread[1] / n2)
        return cls(
            min(sum(each.champion.n for each in used), sum(each.challenger.n for each in used)),
            score,
            weight,
            variance,
            _mean(each.champion for each in used),
            _mean(each.challenger for each in used),
        )


class Rule(msgspec.Struct, frozen=True):
    """When a rollout is decided. The error probabilities hold over the whole rollout."""

    better: Literal["lower", "higher"] = "lower"
    """Which direction of the metric is good: `lower` for a loss, `higher` for a score."""
    margin: float = 0.0
    """How much worse the challenger may be and still be promoted: 0 asks for superiority, more for non-inferiority."""
    tolerance: float = 0.0
    """How much worse it must be, with confidence, to be rolled back."""
    alpha: float = 0.05
    """Chance of promoting a challenger that is not better than `-margin`."""
    guard_alpha: float = 0.05
    """Chance of rolling back a challenger that is not worse than `tolerance`."""
    min_n: int = 100
    """No decision before this many observations of the smaller arm: the variance must be known a little."""
    max_n: int = 0
    """With this many and no decision, roll back for want of evidence; 0 waits for ever."""
    max_failures: float = 0.01
    """Share of requests at which the challenger may raise an error; above it, with confidence, it is rolled back."""
    planned_n: int = 2000
    """Where the bounds are tightest, in observations of the smaller arm. Any value is valid."""

    def check(self) -> None:
        """Raise `InvalidInput` for values that cannot be."""
        for name in ("alpha", "guard_alpha", "max_failures"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidInput(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        for name in ("margin", "tolerance", "min_n", "max_n"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidInput(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.planned_n < 1:
            raise InvalidInput(f"planned_n must be 1 or more, not {self.planned_n}")
        if self.max_n and self.max_n < self.min_n:
            raise InvalidInput(f"max_n {self.max_n} is below min_n {self.min_n}")


class Decision(msgspec.Struct, frozen=True):
    """The verdict with everything that it rests on. Differences are challenger minus champion, in the metric's unit."""

    verdict: Verdict
    reason: str
    n: int
    estimate: float | None
    lower: float | None
    upper: float | None


def confidence_sequence(evidence: Evidence, *, alpha: float = 0.05, planned_n: int = 2000, sides: int = 2) -> Interval:
    """Bounds on the difference that hold at all times together.

    Args:
        evidence: What has been seen.
        alpha: Chance that the bounds are ever wrong; with `sides=1`, each bound on its own.
        planned_n: The sample size at which the bounds are tightest.
        sides: 2 for an interval, 1 for two separate one-sided bounds.

    Source:
        Normal mixture, `|S - theta W| <= sqrt((V + rho) ln((V + rho) / (rho alpha^2)))`; one-sided
        `sqrt(2 (V + rho) ln(1 + sqrt((V + rho) / rho) / (2 alpha)))`. For n equal observations this is the
        radius `s sqrt(2 (n r^2 + 1) / (n^2 r^2) ln(sqrt(n r^2 + 1) / alpha))` with `rho = s^2 / r^2`.

    Example:
        >>> seen = Evidence.paired(Moments(n=1000, mean=0.1, squares=1000.0))
        >>> bounds = confidence_sequence(seen)
        >>> bounds.lower < 0.1 < bounds.upper
        True
    """
    if evidence.n < 2 or evidence.weight <= 0:
        return Interval(-math.inf, math.inf)
    rho = _rho(evidence, alpha=alpha, planned_n=planned_n)
    if rho == 0:  # every observation was the same: no spread to speak of, no bound to give
        return Interval(-math.inf, math.inf)
    total = evidence.variance + rho
    if sides == 1:
        reach = math.sqrt(2 * total * math.log1p(math.sqrt(total / rho) / (2 * alpha)))
    else:
        reach = math.sqrt(total * (math.log(total / rho) - 2 * math.log(alpha)))
    return Interval((evidence.score - reach) / evidence.weight, (evidence.score + reach) / evidence.weight)


def mixture_e_value(evidence: Evidence, *, difference: float = 0.0, planned_n: int = 2000) -> float:
    """The evidence against "the arms differ by exactly `difference`": at least `1 / alpha` refutes it at `alpha`.

    `min(1, 1 / e)` at any moment is an always-valid p-value (the mixture SPRT of Johari, Koomen, Pekelis and Walsh).

    Example:
        >>> mixture_e_value(Evidence.paired(Moments(n=1000, mean=0.5, squares=1000.0))) > 1000
        True
    """
    if evidence.n < 2 or evidence.weight <= 0 or evidence.variance <= 0:
        return 1.0
    rho = _rho(evidence, alpha=0.05, planned_n=planned_n)
    total = evidence.variance + rho
    drift = evidence.score - difference * evidence.weight
    return math.exp(min(700.0, 0.5 * math.log(rho / total) + drift * drift / (2 * total)))


def decide(evidence: Evidence, *, rule: Rule | None = None) -> Decision:
    """Promote, roll back or go on, by one-sided bounds that may be looked at after every label.

    The guard is asked first: a challenger that is worse with confidence goes, whatever else is true.

    Example:
        >>> better = Evidence.paired(Moments(n=5000, mean=-0.2, squares=5000.0))
        >>> decide(better).verdict
        'promote'
        >>> decide(better, rule=Rule(better="higher")).verdict
        'rollback'
    """
    rule = rule or Rule()
    rule.check()
    sign = -1.0 if rule.better == "lower" else 1.0
    proof = _gain(confidence_sequence(evidence, alpha=rule.alpha, planned_n=rule.planned_n, sides=1), sign)
    guard = _gain(confidence_sequence(evidence, alpha=rule.guard_alpha, planned_n=rule.planned_n, sides=1), sign)
    verdict, reason = _verdict(evidence.n, proof.lower, guard.upper, rule)
    low, high = sorted((sign * proof.lower, sign * guard.upper))
    return Decision(verdict, reason, evidence.n, _finite(evidence.estimate), _finite(low), _finite(high))


def _verdict(n: int, proven: float, at_best: float, rule: Rule) -> tuple[Verdict, str]:
    if n < rule.min_n:
        return "continue", f"{n} of the {rule.min_n} observations that any decision needs"
    if at_best < -rule.tolerance:
        return "rollback", f"worse than the champion by at least {-at_best:.6g}"
    if proven > -rule.margin:
        if proven > 0:
            return "promote", f"better than the champion by at least {proven:.6g}"
        return "promote", f"not worse than the champion by more than {-proven:.6g}, inside the margin {rule.margin:.6g}"
    if rule.max_n and n >= rule.max_n:
        return "rollback", f"no evidence for it after {n} observations"
    return "continue", "the bounds still hold both outcomes possible"


def _gain(bounds: Interval, sign: float) -> Interval:
    low, high = sorted((sign * bounds.lower, sign * bounds.upper))
    return Interval(low, high)


def _rho(evidence: Evidence, *, alpha: float, planned_n: int) -> float:
    """The mixture's variance: tightest where the score's variance is what `planned_n` would give.

    `variance / weight` is the metric's own variance whatever the traffic split, so that the mixture stays put
    when a canary's share grows.
    """
    return evidence.variance / evidence.weight * planned_n / (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha)))


def _pooled(arms: Iterable[Moments]) -> float:
    """The variance inside strata of one arm: where a stratum is small it borrows from the others."""
    squares, freedom = 0.0, 0
    for arm in arms:
        squares += arm.squares
        freedom += arm.n - 1
    return squares / freedom if freedom > 0 else 0.0


def _mean(arms: Iterable[Moments]) -> float:
    total, n = 0.0, 0
    for arm in arms:
        total += arm.mean * arm.n
        n += arm.n
    return total / n if n else math.nan


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
