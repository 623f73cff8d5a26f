"""The field's tests of drift between two columns, by the names under which Evidently made them known.

Each gives one number, its *score*: the p-value of a test, a distance, or how well a classifier tells the samples apart.
What a score says is in `Method`: with which threshold, and on which side of it there is drift. None of them looks at
the size of the samples, which is why `compare.drift` is the default; see the page on calibration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from mainspring.kernel.errors import InvalidInput, UnsupportedFormat, nearest

if TYPE_CHECKING:
    import polars as pl

    from mainspring.quality.profiles.types import ColumnProfile

__all__ = ["METHODS", "Kind", "Method", "Score", "method", "score_columns", "score_profiles"]

Kind = Literal["num", "cat", "text"]
"""How a column is compared: as numbers, as categories, as texts."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A test of two columns."""

    name: str
    title: str
    kinds: tuple[Kind, ...]
    threshold: float
    alarm: Literal["below", "at most", "above", "at least"]
    """On which side of the threshold a score means drift."""
    from_profiles: bool = True
    """Whether two profiles are enough."""

    def drifted(self, score: float, threshold: float | None = None) -> bool:
        """Whether a score means drift, at the method's own threshold or another."""
        limit = self.threshold if threshold is None else threshold
        sides = {
            "below": score < limit, "at most": score <= limit, "above": score > limit, "at least": score >= limit,
        }  # fmt: skip
        return sides[self.alarm]


class Score(msgspec.Struct, frozen=True):
    """What a method found."""

    method: str
    score: float
    threshold: float
    drifted: bool


def _methods() -> dict[str, Method]:
    numbers: tuple[Kind, ...] = ("num",)
    categories: tuple[Kind, ...] = ("cat", "num")  # numbers of few values are compared as categories
    both: tuple[Kind, ...] = ("num", "cat")
    rows = [
        Method(name="ks", title="K-S p_value", kinds=numbers, threshold=0.05, alarm="at most"),
        Method(name="mannw", title="Mann-Whitney U-rank test", kinds=numbers, threshold=0.05, alarm="below"),
        Method(name="es", title="Epps-Singleton", kinds=numbers, threshold=0.05, alarm="below", from_profiles=False),
        Method(name="t_test", title="t_test", kinds=numbers, threshold=0.05, alarm="below"),
        Method(name="z", title="Z-test p_value", kinds=categories, threshold=0.05, alarm="below"),
        Method(name="chisquare", title="chi-square p_value", kinds=categories, threshold=0.05, alarm="below"),
        Method(name="g_test", title="g_test", kinds=categories, threshold=0.1, alarm="below"),
        Method(name="fisher_exact", title="Fisher's Exact test", kinds=categories, threshold=0.1, alarm="below"),
        Method(
            name="anderson", title="Anderson-Darling", kinds=numbers, threshold=0.1, alarm="below", from_profiles=False
        ),
        Method(name="cramer_von_mises", title="Cramer-von Mises", kinds=numbers, threshold=0.1, alarm="at most"),
        Method(name="ed", title="Energy-distance", kinds=numbers, threshold=0.1, alarm="above"),
        Method(
            name="empirical_mmd", title="empirical_mmd", kinds=numbers, threshold=0.1, alarm="below",
            from_profiles=False,
        ),
        Method(
            name="wasserstein", title="Wasserstein distance (normed)", kinds=numbers, threshold=0.1, alarm="at least"
        ),
        Method(name="jensenshannon", title="Jensen-Shannon distance", kinds=both, threshold=0.1, alarm="at least"),
        Method(name="kl_div", title="Kullback-Leibler divergence", kinds=both, threshold=0.1, alarm="at least"),
        Method(name="psi", title="PSI", kinds=both, threshold=0.1, alarm="at least"),
        Method(name="hellinger", title="Hellinger distance", kinds=both, threshold=0.1, alarm="at least"),
        Method(name="TVD", title="Total-Variation-Distance", kinds=("cat",), threshold=0.1, alarm="below"),
        Method(
            name="perc_text_content_drift", title="Percentile text content drift", kinds=("text",), threshold=0.95,
            alarm="above", from_profiles=False,
        ),
        Method(
            name="abs_text_content_drift", title="Absolute text content drift", kinds=("text",), threshold=0.55,
            alarm="above", from_profiles=False,
        ),
    ]  # fmt: skip
    return {row.name: row for row in rows}


METHODS = _methods()
"""Every method by its name."""


def method(name: str, kind: Kind) -> Method:
    """The method of a name, for a kind of column; `InvalidInput` names those that there are."""
    found = METHODS.get(name)
    if found is None:
        raise InvalidInput(f"there is no test of drift named {name!r}", known=nearest(name, METHODS))
    if kind not in found.kinds:
        able = [each.name for each in METHODS.values() if kind in each.kinds]
        raise InvalidInput(f"{name} does not compare columns of kind {kind}", known=able)
    return found


def score_columns(
    name: str, reference: pl.Series, current: pl.Series, *, kind: Kind, threshold: float | None = None
) -> Score:
    """What a method finds between two columns. Nulls, NaN and infinities are left out before.

    Raises:
        InvalidInput: No such method for this kind, or one of the columns holds nothing to compare.

    Example:
        >>> import polars as pl
        >>> one, two = pl.Series([1.0, 2.0, 3.0, 4.0] * 9), pl.Series([2.0, 3.0, 4.0, 5.0] * 9)
        >>> round(score_columns("ks", one, two, kind="num").score, 4)
        0.2123
    """
    chosen = method(name, kind)
    one, two = _present(reference), _present(current)
    for which, column in (("reference", one), ("current", two)):
        if not column.len():
            raise InvalidInput(f"column {column.name!r} has no value in the {which} data", hint="leave the column out")
    limit = chosen.threshold if threshold is None else threshold
    if kind == "text":
        from mainspring.quality.drift.methods_texts import text_score

        score, limit = text_score(name, one.to_list(), two.to_list(), limit)
        return Score(name, score, limit, score > limit)
    if kind == "num" and "num" in chosen.kinds and chosen.kinds[0] == "num":
        from mainspring.quality.drift.methods_numbers import number_score

        score = number_score(name, one, two)
    else:
        from mainspring.quality.drift.methods_categories import category_score, counts_of

        score = category_score(name, counts_of(one), counts_of(two))
    return Score(name, score, limit, chosen.drifted(score, limit))


def score_profiles(
    name: str, reference: ColumnProfile, current: ColumnProfile, *, kind: Kind, threshold: float | None = None
) -> Score:
    """What a method finds between two profiles of a column; values are known to the precision of the sketch.

    Raises:
        UnsupportedFormat: The method needs the data themselves.
    """
    chosen = method(name, kind)
    if not chosen.from_profiles:
        able = [each.name for each in METHODS.values() if each.from_profiles and kind in each.kinds]
        raise UnsupportedFormat(f"{name} needs the data and not their profiles", known=able)
    from mainspring.quality.drift.methods_profiles import profile_score

    limit = chosen.threshold if threshold is None else threshold
    score = profile_score(name, reference, current, kind=kind)
    return Score(name, score, limit, chosen.drifted(score, limit))


def _present(column: pl.Series) -> pl.Series:
    present = column.drop_nulls()
    return present.filter(present.is_finite()) if present.dtype.is_float() else present
