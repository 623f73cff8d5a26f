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
    "Decision",
    "Difference",
    "Estimate",
    "Evaluation",
    "Evidence",
    "Importance",
    "Slice",
    "Task",
]

Task = Literal["binary", "regression"]

HIGHER_IS_BETTER: dict[str, bool] = {
    "auc": True, "average_precision": True, "log_loss": False, "brier": False, "accuracy": True, "precision": True,
    "recall": True, "specificity": True, "f1": True, "ece": False,
    "mae": False, "rmse": False, "mse": False, "r2": True, "median_absolute_error": False, "mape": False,
}  # fmt: skip
"""Every metric that has a better end."""


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


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the same rows."""

    count: int
    differences: tuple[Difference, ...]
    confidence: float = 0.95
    candidate: str = "candidate"
    champion: str = "champion"

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
    with at least `slice_rows` rows.
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
    def reasons(self) -> tuple[str, ...]:
        """What was not met, in words."""
        return tuple(each.statement for each in self.evidence if not each.passed)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with the decision spelled out."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"passed": self.passed, **plain}


class Importance(msgspec.Struct, frozen=True):
    """How much worse the metric gets when a feature is shuffled: mean over the repeats, and its standard error.

    One repeat has no standard error.
    """

    feature: str
    importance: float
    standard_error: float | None = None
