"""What the last word on a metric is: rules that a run has for some of its metrics, and what they make of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from mainspring.kernel.errors import InvalidInput, nearest
from mainspring.tracking.params import check_key
from mainspring.tracking.types import Metric

__all__ = ["SummaryRule", "encode_rule", "rule_tag", "rules_of", "summarize"]

_PREFIX = "mainspring.define."
_SUMMARIES, _GOALS = ("last", "min", "max", "mean", "best"), ("", "minimize", "maximize")


class SummaryRule(msgspec.Struct, frozen=True):
    """What is said about the metrics of a pattern."""

    summary: str = "last"
    goal: str = ""
    step_metric: str = ""


def rule_tag(pattern: str) -> str:
    """The tag that keeps the rule of a pattern."""
    return check_key(f"{_PREFIX}{pattern}")


def encode_rule(summary: str, goal: str, step_metric: str) -> str:
    """The text of a rule; `InvalidInput` when it is none."""
    if summary not in _SUMMARIES:
        raise InvalidInput(f"summary = {summary!r} is none", known=nearest(summary, _SUMMARIES) or list(_SUMMARIES))
    if goal not in _GOALS:
        raise InvalidInput(f"goal = {goal!r} is none", known=["minimize", "maximize"])
    if summary == "best" and not goal:
        raise InvalidInput("the best value needs a goal", hint='goal="minimize" or goal="maximize"')
    return msgspec.json.encode(SummaryRule(summary, goal, step_metric)).decode()


def rules_of(tags: Mapping[str, str]) -> dict[str, SummaryRule]:
    """The rules among the tags of a run, by pattern."""
    found = {}
    for tag, text in tags.items():
        if tag.startswith(_PREFIX):
            try:
                found[tag.removeprefix(_PREFIX)] = msgspec.json.decode(text, type=SummaryRule)
            except msgspec.DecodeError:
                continue  # somebody else's tag
    return found


def summarize(metrics: Mapping[str, Metric], rules: Mapping[str, SummaryRule]) -> dict[str, float]:
    """The summary value of every metric: what the last rule that fits its name says, and the last value otherwise."""
    return {key: _value(metric, _rule(key, rules)) for key, metric in metrics.items()}


def _rule(key: str, rules: Mapping[str, SummaryRule]) -> SummaryRule:
    exact = rules.get(key)
    fitting = [rule for pattern, rule in rules.items() if fnmatchcase(key, pattern)]
    return exact or (fitting[-1] if fitting else SummaryRule())


def _value(metric: Metric, rule: SummaryRule) -> float:
    kind = rule.summary
    if kind == "best":
        kind = "min" if rule.goal == "minimize" else "max"
    if kind == "last":
        return metric.value
    value = {"min": metric.minimum, "max": metric.maximum, "mean": metric.mean}[kind]
    return math.nan if value is None else value
