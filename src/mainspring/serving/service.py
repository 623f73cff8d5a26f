"""The operations of serving: endpoints, rollouts, predictions and their labels."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import Conflict, InvalidInput, NotFound
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import Download, operation
from mainspring.lineage.graph import resolve
from mainspring.lineage.queries import why
from mainspring.lineage.types import Graph
from mainspring.models.registry import usable
from mainspring.serving.deployments import (
    begin_rollout,
    check_approved,
    check_challenger,
    end_rollout,
    find_endpoint,
    follow,
    is_unapproved_shadow,
    new_endpoint,
    nothing_new,
    put_on,
    save_evidence,
    save_plan,
    take_off,
    takes_next_step,
)
from mainspring.serving.sequential import Rule
from mainspring.serving.tables import ENDPOINTS, EVIDENCE, ROLLOUTS, SEGMENTS
from mainspring.serving.traffic import TrafficPlan, check_steps
from mainspring.serving.types import (
    Activity,
    Endpoint,
    LabelBatch,
    Prediction,
    PredictionSegment,
    Rollout,
    RolloutEvidence,
)
from mainspring.store.service import RoomService

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Serving"]


class Serving(RoomService, room="serving"):
    """Endpoints that answer, rollouts that are judged, predictions that can be asked about."""

    @operation(permission="serving:write", writes=True, resource="endpoint")
    def deploy(
        self,
        endpoint: str,
        *,
        model: str,
        features: list[str] | None = None,
        sticky: list[str] | None = None,
        timestamp: str | None = None,
        allow_unapproved: bool = False,
    ) -> Endpoint:
        """Let a model version answer under a name, from now on and alone; makes the endpoint when it is new.

        Args:
            endpoint: Its name.
            model: Which version: `flight-delay@3`, `flight-delay@champion`, `flight-delay` (the newest).
            features: Feature views in which columns are looked up that a request leaves out; kept when left out.
            sticky: Columns that decide which arm of a canary a row goes to; kept when left out.
            timestamp: Column that says when each row happens; kept when left out.
            allow_unapproved: Serve content that nobody approved; takes an approver.

        Raises:
            CheckFailed: The version's content is not approved.
            Conflict: A rollout runs at this endpoint.
        """
        check_name(endpoint, what="endpoint")
        with self.store.write() as tx:
            artifact = usable(tx, model)
            approval = check_approved(tx, artifact, allow_unapproved=allow_unapproved)
            before = tx.fetch_one(ENDPOINTS, "WHERE workspace = ? AND name = ?", (tx.workspace, endpoint))
            if before is not None and before.plan.mode != "single":
                raise Conflict(
                    f"a rollout runs at endpoint {endpoint!r}", hint="promote or roll it back first: mainspring rollout"
                )
            views = tuple(features if features is not None else before.features if before else ())
            target = put_on(tx, endpoint, artifact, approval=approval, features=views)
            if before is not None:
                take_off(tx, before.plan.champion, reason=f"replaced by {artifact.ref}")
            held = before or new_endpoint(tx, endpoint, TrafficPlan(champion=target))
            changed = msgspec.structs.replace(
                held,
                features=views,
                sticky=held.sticky if sticky is None else tuple(sticky),
                timestamp=held.timestamp if timestamp is None else timestamp,
            )
            return save_plan(tx, changed, TrafficPlan(champion=target))

    @operation(permission="serving:read", resource="name")
    def endpoint(self, name: str) -> Endpoint:
        """One endpoint with its traffic plan."""
        with self.store.read() as tx:
            return find_endpoint(tx, name)

    @operation(permission="serving:read")
    def endpoints(self) -> list[Endpoint]:
        """Every endpoint, by name."""
        with self.store.read() as tx:
            return tx.fetch(ENDPOINTS, "WHERE workspace = ? ORDER BY name", (tx.workspace,))

    @operation(permission="serving:write", writes=True, resource="endpoint")
    def start_rollout(
        self,
        endpoint: str,
        *,
        challenger: str,
        mode: Literal["shadow", "canary"] = "shadow",
        steps: list[float] | None = None,
        metric: str = "log_loss",
        rule: Rule | None = None,
        allow_unapproved: bool = False,
    ) -> Rollout:
        """Let a challenger show what it can, unseen (shadow) or on a growing share of the rows (canary).

        Args:
            endpoint: Where.
            challenger: Which model version.
            mode: A shadow with `steps` goes on as a canary once it was convincing; without, it is promoted.
            steps: Weights of the canary, growing: `[0.1, 0.3, 0.5]`.
            metric: What is compared, lower is better: see `losses.METRICS`.
            rule: When to decide; the default asks for superiority at 5 %.
            allow_unapproved: A canary of content that nobody approved; a shadow needs no approval until it comes out.
        """
        from mainspring.serving.losses import output_columns

        output_columns(metric)
        rule = rule or Rule()
        rule.check()
        weights = check_steps(steps if steps is not None else [0.1, 0.3, 0.5]) if steps or mode == "canary" else ()
        with self.store.write() as tx:
            return begin_rollout(
                tx,
                endpoint,
                challenger=challenger,
                mode=mode,
                steps=weights,
                metric=metric,
                rule=rule,
                allow_unapproved=allow_unapproved,
            )

    @operation(permission="serving:read")
    def rollouts(self, *, endpoint: str = "", limit: int = 100) -> list[Rollout]:
        """Rollouts, newest first."""
        where = "WHERE workspace = ? AND endpoint = ?" if endpoint else "WHERE workspace = ?"
        with self.store.read() as tx:
            params = (tx.workspace, endpoint) if endpoint else (tx.workspace,)
            return tx.fetch(ROLLOUTS, f"{where} ORDER BY id DESC LIMIT ?", (*params, min(limit, 1000)))

    @operation(permission="serving:read")
    def evidence(self, rollout_id: str) -> list[RolloutEvidence]:
        """Every look at a rollout, oldest first, with what was decided."""
        with self.store.read() as tx:
            if not tx.value("SELECT 1 FROM rollout WHERE id = ? AND workspace = ?", (rollout_id, tx.workspace)):
                raise NotFound(f"there is no rollout {rollout_id!r}")
            return tx.fetch(EVIDENCE, "WHERE rollout_id = ? ORDER BY id", (rollout_id,))

    @operation(permission="serving:write", writes=True, resource="endpoint")
    def evaluate_rollout(self, endpoint: str, *, apply: bool = True) -> RolloutEvidence:
        """Look at the labels of both arms and decide, by bounds that hold however often one looks.

        With `apply`, what was decided is done: a challenger that is worse is rolled back; one that is better is
        promoted, or goes from shadow to canary; while undecided, a canary's share grows by a step once the present
        step has `rule.min_n` labels. Without, the evidence is only kept.
        """
        from mainspring.serving.rollout import find_rollout, look

        with self.store.read() as tx:
            rollout, plan = find_rollout(tx, endpoint), find_endpoint(tx, endpoint).plan
        evidence, seen = look(self.store, rollout, plan, now=now())
        with self.store.write() as tx:
            held = find_endpoint(tx, endpoint)
            if find_rollout(tx, endpoint) != rollout or held.plan != plan:
                raise Conflict(f"the rollout at endpoint {endpoint!r} changed meanwhile", hint="look again")
            if (before := nothing_new(tx, rollout, evidence)) and not (
                apply and takes_next_step(rollout, evidence, seen)
            ):
                return before
            waits = evidence.decision.verdict == "promote" and is_unapproved_shadow(tx, held)
            if waits:
                reason = f"{evidence.decision.reason}; it waits for its approval"
                decision = msgspec.structs.replace(evidence.decision, reason=reason)
                evidence = msgspec.structs.replace(evidence, decision=decision)
            save_evidence(tx, evidence)
            tx.note(f"rollout/{rollout.id}", verdict=evidence.decision.verdict, n=evidence.decision.n)
            if apply and not waits:
                follow(tx, held, rollout, evidence, seen)
        return evidence

    @operation(permission="serving:write", writes=True, resource="endpoint")
    def promote(self, endpoint: str, *, reason: str = "promoted by hand", allow_unapproved: bool = False) -> Endpoint:
        """Let the challenger answer everything from now on, and end the rollout."""
        from mainspring.serving.rollout import find_rollout

        with self.store.write() as tx:
            held, rollout = find_endpoint(tx, endpoint), find_rollout(tx, endpoint)
            check_challenger(tx, held, allow_unapproved=allow_unapproved)
            return save_plan(tx, held, end_rollout(tx, rollout, held.plan, promoted=True, reason=reason))

    @operation(permission="serving:write", writes=True, resource="endpoint")
    def rollback(self, endpoint: str, *, reason: str = "rolled back by hand") -> Endpoint:
        """Let the champion answer everything again, and end the rollout."""
        from mainspring.serving.rollout import find_rollout

        with self.store.write() as tx:
            held, rollout = find_endpoint(tx, endpoint), find_rollout(tx, endpoint)
            return save_plan(tx, held, end_rollout(tx, rollout, held.plan, promoted=False, reason=reason))

    @operation(permission="serving:read")
    def prediction(self, prediction_id: str) -> Prediction:
        """One prediction: what went in, what was looked up, what came out, of which model, and its label if known."""
        from mainspring.serving.predictions import find_prediction

        return find_prediction(self.store, prediction_id)

    @operation(permission="serving:read", resource="endpoint")
    def predictions(
        self, endpoint: str, *, since: datetime | None = None, until: datetime | None = None, limit: int = 100
    ) -> list[Prediction]:
        """The newest predictions of an endpoint in a span, newest first, without their labels."""
        from mainspring.serving.predictions import newest

        return newest(self.store, endpoint, since=since, until=until, limit=min(limit, 10_000))

    @operation(permission="serving:read")
    def why_prediction(self, prediction_id: str) -> Graph:
        """Everything that a prediction came from: deployment, model, approval, training, code, data."""
        found = self.prediction(prediction_id)
        with self.store.read() as tx:
            return why(tx, found.segment_id or found.deployment_id)

    @operation(permission="serving:read", resource="endpoint")
    def segments(self, endpoint: str, *, limit: int = 100) -> list[PredictionSegment]:
        """The sealed segments of an endpoint's prediction log, newest first."""
        with self.store.read() as tx:
            return tx.fetch(
                SEGMENTS,
                "WHERE workspace = ? AND endpoint = ? ORDER BY id DESC LIMIT ?",
                (tx.workspace, endpoint, min(limit, 10_000)),
            )

    @operation(permission="serving:write", writes=True, resource="endpoint")
    def label(
        self, endpoint: str, *, ids: list[str], values: list[Any], at: datetime | list[datetime] | None = None
    ) -> LabelBatch:
        """Say what turned out to be true, for many predictions at once; a later `at` corrects an earlier one.

        Args:
            endpoint: Which endpoint made them.
            ids: Prediction ids, `<request>-<row>`.
            values: One label for each: all numbers, all booleans or all texts.
            at: When it was known: one moment, or one for each; now when left out.
        """
        from mainspring.serving.labels import label_frame, store_labels

        if not ids:
            raise InvalidInput("no labels were given")
        frame = label_frame(ids, values, at or now())
        with self.store.read() as tx:
            find_endpoint(tx, endpoint)
        return store_labels(self.store, endpoint, frame)

    @operation(permission="serving:read", resource="endpoint")
    def outcomes_file(
        self,
        endpoint: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str = "",
        labelled: bool = False,
        shadow: bool = False,
        columns: list[str] | None = None,
        after: str = "",
        through: str = "",
    ) -> Download:
        """`outcomes` as a Parquet file."""
        from mainspring.serving.predictions import as_file, outcomes

        with self.store.read() as tx:
            find_endpoint(tx, endpoint)
            models = (resolve(tx, model, kind="model").ref,) if model else ()
        frame = outcomes(
            self.store,
            endpoint,
            since=since,
            until=until,
            models=models,
            labelled=labelled,
            shadow=shadow,
            columns=columns,
            after=after,
            through=through,
        )
        return as_file(frame)

    @operation(permission="serving:read", resource="endpoint")
    def activity(self, endpoint: str, *, after: str = "", through: str = "") -> Activity:
        """How much was answered, and labelled, after one request and up to another; cheap, so ask often."""
        from mainspring.serving.activity import activity

        return activity(self.store, endpoint, after=after, through=through)

    @operation(permission="serving:read", resource="endpoint")
    def tail_file(
        self, endpoint: str, *, after: str = "", rows: int = 5000, columns: list[str] | None = None
    ) -> Download:
        """`tail` as a Parquet file."""
        from mainspring.serving.predictions import as_file
        from mainspring.serving.tail import tail

        if rows < 1:
            raise InvalidInput(f"rows must be 1 or more, not {rows}")
        with self.store.read() as tx:
            find_endpoint(tx, endpoint)
        return as_file(tail(self.store, endpoint, after=after, rows=rows, columns=columns))

    # Below: what runs where the caller is, on both backends, composed of operations.

    def outcomes(
        self,
        endpoint: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str = "",
        labelled: bool = False,
        shadow: bool = False,
        columns: list[str] | None = None,
        after: str = "",
        through: str = "",
    ) -> pl.DataFrame:
        """Logged predictions joined with their labels, in the order in which they were made.

        Args:
            endpoint: Whose.
            since: From this moment on (of what the rows are about: the `at` of a prediction).
            until: Before this moment.
            model: Only of this version: `flight-delay@3`.
            labelled: Only those that have a label.
            shadow: Also what a shadow answered.
            columns: Which of `input.*`, `feature.*`, `output.*`; all when left out.
            after: Only of requests after this one.
            through: Only of requests up to this one.

        Returns:
            `id`, `request`, `row`, `at`, `arm`, `model`, `deployment`, `caller`, `latency_us`, the logged
            columns, `label` (null where it is not known) and `labelled_at`.
        """
        import polars as pl

        file = self.outcomes_file(
            endpoint,
            since=since,
            until=until,
            model=model,
            labelled=labelled,
            shadow=shadow,
            columns=columns,
            after=after,
            through=through,
        )
        return pl.read_parquet(io.BytesIO(b"".join(file)))

    def tail(
        self, endpoint: str, *, after: str = "", rows: int = 5000, columns: list[str] | None = None
    ) -> pl.DataFrame:
        """The answers that come next in the log after a request, oldest first, without labels.

        Args:
            endpoint: Whose.
            after: Only of requests after this one; from the beginning when left out.
            rows: At most so many, rounded up to whole requests.
            columns: Which of `input.*`, `feature.*`, `output.*`; all when left out.

        Returns:
            `request`, `row`, `at`, `arm`, `model`, `deployment` and the logged columns.
        """
        import polars as pl

        return pl.read_parquet(io.BytesIO(b"".join(self.tail_file(endpoint, after=after, rows=rows, columns=columns))))
