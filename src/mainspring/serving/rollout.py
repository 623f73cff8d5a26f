"""Judging a rollout: the labelled predictions of both arms, turned into evidence and a decision.

A shadow gives pairs: both models on the same rows. A canary gives two samples, compared inside days of the
traffic and steps of the canary, within which chance alone decided who answered. Each phase is a test of its
own with its own error probabilities.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from datetime import datetime

import msgspec
import polars as pl

from mainspring.kernel.clock import to_micros
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.ids import new_id
from mainspring.lineage.graph import resolve
from mainspring.serving.labels import joined, predictions_of
from mainspring.serving.losses import output_columns, with_loss
from mainspring.serving.rates import rate_sequence
from mainspring.serving.segments import Span
from mainspring.serving.sequential import Decision, Evidence, Moments, Stratum, decide
from mainspring.serving.tables import ROLLOUTS
from mainspring.serving.traffic import TrafficPlan
from mainspring.serving.types import Rollout, RolloutEvidence
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["canary_evidence", "find_rollout", "first_id_at", "look", "shadow_evidence"]


def look(store: Store, rollout: Rollout, plan: TrafficPlan, *, now: datetime) -> tuple[RolloutEvidence, int]:
    """What a rollout shows now, with the decision; and the challenger's observations in the present step."""
    if plan.challenger is None:
        raise InvalidInput(f"endpoint {rollout.endpoint!r} has no challenger")
    if plan.mode == "shadow":
        evidence = shadow_evidence(store, rollout)
        seen = (evidence.n, evidence.n, evidence.n)
    else:
        evidence, seen = canary_evidence(store, rollout)
    return (
        RolloutEvidence(
            id=new_id(),
            rollout_id=rollout.id,
            at=now,
            mode=plan.mode,
            weight=plan.weight,
            metric=rollout.metric,
            champion_n=seen[0],
            challenger_n=seen[1],
            champion_mean=_number(evidence.champion),
            challenger_mean=_number(evidence.challenger),
            decision=_guarded(decide(evidence, rule=rollout.rule), rollout, *_failures(store, rollout)),
        ),
        seen[2],
    )


def shadow_evidence(store: Store, rollout: Rollout) -> Evidence:
    """The differences in loss on rows that both answered and whose label is known."""
    losses = _losses(store, rollout, arms=("champion", "shadow"))
    champion = losses.filter(pl.col("arm") == "champion")
    shadow = losses.filter(pl.col("arm") == "shadow")
    pairs = champion.join(shadow, on=["request", "row"], suffix="_shadow")
    if pairs.is_empty():
        return Evidence(n=0, score=0.0, weight=0.0, variance=0.0)
    n, difference, squares, mine, theirs = pairs.select(
        pl.len().alias("n"),
        (pl.col("loss_shadow") - pl.col("loss")).mean().alias("difference"),
        ((pl.col("loss_shadow") - pl.col("loss")).var() * (pl.len() - 1)).fill_null(0.0).alias("squares"),
        pl.col("loss").mean().alias("mine"),
        pl.col("loss_shadow").mean().alias("theirs"),
    ).row(0)
    return Evidence.paired(Moments(n, difference, squares), champion=mine, challenger=theirs)


def canary_evidence(store: Store, rollout: Rollout) -> tuple[Evidence, tuple[int, int, int]]:
    """Both arms by day and step; and how much was seen: champion, challenger, challenger in the present step."""
    losses = (
        _losses(store, rollout, arms=("champion", "challenger")).with_columns(_step(rollout)).filter(pl.col("step") > 0)
    )
    cells = losses.group_by(pl.col("at").dt.date().alias("day"), "step", "arm").agg(
        pl.len().alias("n"),
        pl.col("loss").mean().alias("mean"),
        (pl.col("loss").var() * (pl.len() - 1)).fill_null(0.0).alias("squares"),
    )
    strata: dict[tuple[object, int], dict[str, Moments]] = {}
    for day, step, arm, n, mean, squares in cells.sort("day", "step", "arm").iter_rows():
        strata.setdefault((day, step), {})[arm] = Moments(n, mean, squares)
    empty = Moments()
    evidence = Evidence.two_arms(
        Stratum(champion=arms.get("champion", empty), challenger=arms.get("challenger", empty))
        for arms in strata.values()
    )
    last = len(rollout.stepped)
    counts = {arm: sum(arms.get(arm, empty).n for arms in strata.values()) for arm in ("champion", "challenger")}
    current = sum(arms.get("challenger", empty).n for (_, step), arms in strata.items() if step == last)
    return evidence, (counts["champion"], counts["challenger"], current)


def find_rollout(tx: Transaction, endpoint: str) -> Rollout:
    """The rollout that runs at an endpoint; `NotFound` when none does."""
    found = tx.fetch_one(
        ROLLOUTS,
        "WHERE workspace = ? AND endpoint = ? AND status = 'running' ORDER BY id DESC LIMIT 1",
        (tx.workspace, endpoint),
    )
    if found is None:
        raise NotFound(f"no rollout runs at endpoint {endpoint!r}", hint="client.serving.start_rollout(...)")
    return found


def first_id_at(moment: datetime) -> str:
    """The least request id that can have been made at a moment: UUIDv7 begins with its milliseconds.

    Example:
        >>> from datetime import UTC
        >>> first_id_at(datetime(2026, 1, 1, tzinfo=UTC))
        '019b76da-a800'
    """
    text = f"{to_micros(moment) // 1000:012x}"
    return f"{text[:8]}-{text[8:]}"


def _failures(store: Store, rollout: Rollout) -> tuple[int, int]:
    """How many requests the challenger failed at, of how many that it was asked."""
    span = Span(rollout.endpoint, models=(rollout.challenger,), since_id=first_id_at(rollout.started_at))
    asked = predictions_of(store, span, columns=["arm"])
    return asked.filter(pl.col("arm") == "failed")["request"].n_unique(), asked["request"].n_unique()


def _guarded(decision: Decision, rollout: Rollout, failures: int, asked: int) -> Decision:
    """The decision, unless the challenger fails at too many requests: then it goes, labels or not."""
    at_least = rate_sequence(failures, asked, alpha=rollout.rule.guard_alpha).lower
    if at_least <= rollout.rule.max_failures:
        return decision
    allowed = rollout.rule.max_failures
    reason = f"it failed at {failures} of {asked} requests: at least {at_least:.2%}, where {allowed:.2%} is allowed"
    return msgspec.structs.replace(decision, verdict="rollback", reason=reason)


def _losses(store: Store, rollout: Rollout, *, arms: Sequence[str]) -> pl.DataFrame:
    """Rows since the rollout began that are labelled, with `arm`, `at`, `request`, `row`, `loss`."""
    span = Span(
        endpoint=rollout.endpoint,
        models=(rollout.champion, rollout.challenger),
        since_id=first_id_at(rollout.started_at),
    )
    columns = output_columns(rollout.metric)
    labelled = joined(store, span, columns=columns, labelled=True).filter(pl.col("arm").is_in(arms))
    with store.read() as tx:
        classes = {ref: resolve(tx, ref).metadata.get("classes", []) for ref in span.models}
    parts = [
        with_loss(labelled.filter(pl.col("model") == ref), rollout.metric, classes=classes[ref]) for ref in span.models
    ]
    return pl.concat([part.select("request", "row", "arm", "at", "loss") for part in parts])


def _step(rollout: Rollout) -> pl.Expr:
    """Which step of the canary a request was made in, 1 and on; 0 before the first."""
    begun = [pl.col("request") >= first_id_at(each) for each in rollout.stepped]
    return functools.reduce(operator.add, (each.cast(pl.Int32) for each in begun), pl.lit(0, pl.Int32)).alias("step")


def _number(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 -- NaN
