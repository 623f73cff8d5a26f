"""What an evaluation speaks of: estimates with intervals, slices, calibration, comparisons, decisions."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import NotFound, nearest

__all__ = [
    "HIGHER_IS_BETTER",
    "CalibrationBin",
    "Comparison",
    "Condition",
    "Curve",
    "Decision",
    "Difference",
    "Estimate",
    "Evaluation",
    "Evidence",
    "Importance",
    "Slice",
    "SliceDifference",
    "Task",
    "Verdict",
    "better_end",
]

Task = Literal["binary", "multiclass", "multilabel", "regression", "quantile", "ranking", "forecast"]

Verdict = Literal["passed", "failed", "undecided"]

_UP = [
    "auc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "mcc",
    "cohen_kappa",
    "r2",
    "d2_pinball",
    "explained_variance",
    "ndcg",
    "map",
    "mrr",
    "hit_rate",
    "subset_accuracy",
    "jaccard",
    "top_k_accuracy",
]
_DOWN = [
    "log_loss",
    "brier",
    "ece",
    "ace",
    "mae",
    "rmse",
    "mse",
    "median_absolute_error",
    "mape",
    "max_error",
    "rmsle",
    "pinball",
    "interval_score",
    "hamming_loss",
    "mase",
    "smape",
    "rmsse",
    "wape",
    "ranked_probability_score",
]

HIGHER_IS_BETTER: dict[str, bool] = dict.fromkeys(_UP, True) | dict.fromkeys(_DOWN, False)
"""Every metric that has a better end, without averages (`_macro`) and cuts (`@10`)."""

_AVERAGES = ("_macro", "_micro", "_weighted", "_samples", "_ovr", "_ovo")


def better_end(metric: str) -> bool | None:
    """Whether more of a metric is better; None when neither end is, or nobody knows it.

    Example:
        >>> better_end("f1_macro"), better_end("ndcg@10"), better_end("pinball@0.9"), better_end("prevalence")
        (True, True, False, None)
    """
    name = metric.partition("@")[0]
    while name not in HIGHER_IS_BETTER:
        cut = next((name.removesuffix(each) for each in _AVERAGES if name.endswith(each)), "")
        if not cut:
            return None
        name = cut
    return HIGHER_IS_BETTER[name]


class Estimate(msgspec.Struct, frozen=True):
    """A metric with its interval at the stated confidence, and how the interval was found.

    `value` is None when the metric has none on these rows, for example AUC where all labels are equal.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    method: str = ""


class CalibrationBin(msgspec.Struct, frozen=True):
    """Predictions of about equal probability: what was said and what came, with a Wilson interval."""

    low: float
    high: float
    count: int
    predicted: float
    observed: float
    observed_low: float
    observed_high: float


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A metric on a part of the rows, compared with the other rows; `q_value` is adjusted over all slices."""

    column: str
    value: str
    count: int
    positives: int | None = None
    estimate: Estimate
    rest: float | None = None
    gap: float | None = None
    """How much worse than the rest; negative when better."""
    p_value: float | None = None
    q_value: float | None = None
    metrics: dict[str, Estimate] = {}
    """Further metrics on the same rows, when more than one was asked for."""
    conditions: tuple[tuple[str, str], ...] = ()
    """Of a slice that was searched for: columns with their values, all of which hold."""
    statement: str = ""


class Curve(msgspec.Struct, frozen=True):
    """A line to draw: of a ROC curve `x` is the false positive rate and `y` the true positive rate."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    at: tuple[float, ...] = ()
    """The threshold of each point, where there is one."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """How good predictions were on some rows."""

    task: Task
    count: int
    metrics: dict[str, Estimate]
    positives: int | None = None
    threshold: float | None = None
    confidence: float = 0.95
    calibration: tuple[CalibrationBin, ...] = ()
    confusion: dict[str, int] = {}
    slice_metric: str = ""
    slices: tuple[Slice, ...] = ()
    model: str = ""
    dataset: str = ""
    meta: dict[str, Any] = {}
    calibration_metrics: dict[str, Estimate] = {}
    """Calibration errors, the parts of the Brier score, slope and intercept; see `calibration`."""
    classes: tuple[str, ...] = ()
    matrix: tuple[tuple[float, ...], ...] = ()
    """Confusion: a row for each true class, a column for each predicted one; the sums of weights."""
    by_class: dict[str, dict[str, Estimate]] = {}
    by_horizon: dict[str, dict[str, Estimate]] = {}
    curves: dict[str, Curve] = {}
    weighted: bool = False

    def __getitem__(self, name: str) -> Estimate:
        if name not in self.metrics:
            raise NotFound(f"the evaluation has no metric {name!r}", known=nearest(name, self.metrics))
        return self.metrics[name]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate minus champion on one metric, on the same rows. `better` is None when it could be either."""

    metric: str
    champion: float | None
    candidate: float | None
    difference: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    better: Literal["candidate", "champion"] | None = None
    method: str = ""
    statement: str = ""
    q_value: float | None = None
    """The p-value adjusted for all metrics that were compared."""
    margin: float | None = None
    """What was asked of non-inferiority, if it was; `not_inferior` then says whether it is shown."""
    not_inferior: bool | None = None


class SliceDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A difference on a part of the rows; its q-value is adjusted over all slices and metrics."""

    column: str
    value: str
    count: int
    difference: Difference


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the same rows."""

    count: int
    differences: tuple[Difference, ...]
    confidence: float = 0.95
    candidate: str = "candidate"
    champion: str = "champion"
    slices: tuple[SliceDifference, ...] = ()

    def __getitem__(self, name: str) -> Difference:
        names = [each.metric for each in self.differences]
        if name not in names:
            raise NotFound(f"the comparison has no metric {name!r}", known=nearest(name, names))
        return self.differences[names.index(name)]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a gate. Give one of the bounds; see `Gate`.

    `at_least`, `at_most`: on the value itself. `better_by`: than the baseline by more than this, in the better
    direction. `not_worse_by`: than the baseline by at most this. With `confident` the near end of the interval must
    meet the bound, not only the value. `slice_column` applies `at_least`/`at_most` to each slice of that column
    with at least `slice_rows` rows; `better_by`/`not_worse_by` too, when the comparison has slices. `slice_column="*"`
    means every slice there is.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    better_by: float | None = None
    not_worse_by: float | None = None
    confident: bool = True
    slice_column: str = ""
    slice_rows: int = 100


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why a condition was met or not."""

    condition: Condition
    passed: bool
    observed: float | None
    bound: float | None
    baseline: float | None = None
    statement: str = ""
    verdict: Verdict = "undecided"
    """`undecided`: the interval holds the bound, so these rows cannot tell; that does not pass."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate decided, with the evidence for each condition."""

    gate: str
    evidence: tuple[Evidence, ...]
    candidate: str = ""
    baseline: str = ""

    @property
    def passed(self) -> bool:
        """Whether every condition was met."""
        return all(each.passed for each in self.evidence)

    @property
    def verdict(self) -> Verdict:
        """`failed` when the rows show that a condition is not met, `undecided` when they cannot tell, or `passed`."""
        if self.passed:
            return "passed"
        return "failed" if any(each.verdict == "failed" for each in self.evidence) else "undecided"

    @property
    def reasons(self) -> tuple[str, ...]:
        """What was not met, in words."""
        return tuple(each.statement for each in self.evidence if not each.passed)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with the decision spelled out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"passed": self.passed, "verdict": self.verdict, **plain}


class Importance(msgspec.Struct, frozen=True):
    """How much worse the metric gets when a feature is shuffled: mean over the repeats, and its standard error.

    One repeat has no standard error.
    """

    feature: str
    importance: float
    standard_error: float | None = None
