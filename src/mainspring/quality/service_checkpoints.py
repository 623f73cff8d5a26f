"""The operations on checkpoints, and running one where the data is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mainspring.data.service import Data
from mainspring.events.outbox import emit, send_to, webhook_named
from mainspring.kernel.context import caller
from mainspring.kernel.errors import CheckFailed, InvalidInput, MainspringError, NotFound, nearest
from mainspring.kernel.ids import new_id
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.quality.checkpoints import (
    Action,
    ActionResult,
    Checkpoint,
    CheckpointRun,
    Emit,
    Quarantine,
    Refuse,
    SetAlias,
    Target,
    TargetResult,
    Webhook,
    check_checkpoint,
    is_due,
    verdict_of,
)
from mainspring.quality.expectations.kinds import described
from mainspring.quality.service_quarantine import QuarantineWork
from mainspring.quality.tables import CHECKPOINT_RUNS, CHECKPOINTS, StoredCheckpoint
from mainspring.quality.types import Suite, ValidationReport
from mainspring.store.transaction import Transaction

__all__ = ["CheckpointOperations"]

_AT_SERVER = (Emit, Webhook)
"""Actions that happen with the record of the run, in its transaction."""


class CheckpointOperations(QuarantineWork):
    """Checkpoints: kept by name, run, and their runs."""

    @operation(permission="quality:write", writes=True)
    def save_checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        """Keep a checkpoint under its name, in place of the one before."""
        check_checkpoint(checkpoint)
        with self.store.write() as tx:
            for action in checkpoint.actions:
                if isinstance(action, Webhook):
                    webhook_named(tx, action.name)
            key = (caller().workspace, checkpoint.name)
            tx.execute("DELETE FROM quality_checkpoint WHERE workspace = ? AND name = ?", key)
            tx.insert(CHECKPOINTS, StoredCheckpoint(*key, checkpoint, tx.now, caller().principal))
            tx.note(f"checkpoint/{checkpoint.name}", targets=len(checkpoint.targets), actions=len(checkpoint.actions))
        return checkpoint

    @operation(permission="quality:read")
    def checkpoint(self, name: str) -> Checkpoint:
        """A checkpoint by its name."""
        with self.store.read() as tx:
            return _stored(tx, name).definition

    @operation(permission="quality:read")
    def checkpoints(self) -> list[Checkpoint]:
        """Every checkpoint, by name."""
        with self.store.read() as tx:
            rows = tx.fetch(CHECKPOINTS, "WHERE workspace = ? ORDER BY name", (caller().workspace,))
        return [row.definition for row in rows]

    @operation(permission="quality:write", writes=True, resource="name")
    def remove_checkpoint(self, name: str) -> None:
        """Take a checkpoint away; its runs stay."""
        with self.store.write() as tx:
            _stored(tx, name)
            tx.execute("DELETE FROM quality_checkpoint WHERE workspace = ? AND name = ?", (caller().workspace, name))
            tx.note(f"checkpoint/{name}", after="")

    @operation(permission="quality:read")
    def checkpoint_runs(self, name: str = "", *, limit: int = 100, before: str = "") -> list[CheckpointRun]:
        """Runs of a checkpoint, or of all, newest first; `before` is the id of the last of the page before."""
        where, params = "WHERE workspace = ?", [caller().workspace]
        for clause, value in (("checkpoint = ?", name), ("id < ?", before)):
            if value:
                where, params = f"{where} AND {clause}", [*params, value]
        with self.store.read() as tx:
            return tx.fetch(CHECKPOINT_RUNS, f"{where} ORDER BY id DESC LIMIT ?", [*params, max(1, min(limit, 1000))])

    @operation(permission="quality:write", writes=True, resource="name")
    def record_checkpoint(
        self, name: str, *, targets: list[TargetResult], actions: list[ActionResult]
    ) -> CheckpointRun:
        """Keep a run of a checkpoint, and tell those who listen, in one transaction."""
        verdict = "failed" if any(each.verdict == "failed" for each in targets) else "passed"
        with self.store.write() as tx:
            checkpoint = _stored(tx, name).definition
            made = graph.start_run(tx, "checkpoint", name)
            for each in targets:
                graph.use(tx, made.id, graph.resolve(tx, each.report, kind="report").id, role="validation")
            data = {"checkpoint": name, "verdict": verdict, "targets": msgspec.to_builtins(targets)}
            told = [_tell(tx, action, name, verdict, data) for action in checkpoint.actions if is_due(action, verdict)]
            graph.finish_run(tx, made.id, metadata={"verdict": verdict})
            run = CheckpointRun(
                id=new_id(),
                workspace=caller().workspace,
                checkpoint=name,
                verdict=verdict,  # type: ignore[arg-type]  # one of the two literals
                targets=targets,
                actions=[*actions, *(each for each in told if each is not None)],
                run_id=made.id,
                at=tx.now,
                created_by=caller().principal,
            )
            tx.insert(CHECKPOINT_RUNS, run)
            tx.note(f"checkpoint/{name}", verdict=verdict, run=run.id)
        return run

    def run_checkpoint(
        self, name: str, *, ref: str = "", call: Callable[[CheckpointRun, list[ValidationReport]], None] | None = None
    ) -> CheckpointRun:
        """Run a checkpoint: validate all its targets, do what follows, and keep the run.

        Args:
            name: The checkpoint.
            ref: A version (`flights@3`) to validate in place of the newest, for targets of that dataset.
            call: A function that is told last, `(run, reports)`; it runs here and is not kept.

        Raises:
            CheckFailed: It failed, and one of its actions is to refuse. Everything else was done before.
        """
        checkpoint = self.checkpoint(name)
        reports = [self._validate_target(target, ref) for target in checkpoint.targets]
        results = [
            _result(report, target, verdict_of(report, checkpoint.fails_at))
            for target, report in zip(checkpoint.targets, reports, strict=True)
        ]
        verdict = "failed" if any(each.verdict == "failed" for each in results) else "passed"
        done = [
            self._act(action, results)
            for action in checkpoint.actions
            if is_due(action, verdict) and not isinstance(action, (*_AT_SERVER, Refuse))
        ]
        run = self.record_checkpoint(name, targets=results, actions=done)
        if call is not None:
            call(run, reports)
        if any(isinstance(each, Refuse) and is_due(each, verdict) for each in checkpoint.actions):
            found = [pair for pair in zip(results, reports, strict=True) if pair[0].verdict == "failed"]
            bad = [each for each, _ in found]
            lines = "; ".join(_why(each, report) for each, report in found)
            raise CheckFailed(
                f"checkpoint {name!r} {verdict}: {lines}",
                hint=f"see {', '.join(each.report for each in bad)}",
                details=msgspec.to_builtins(run),
            )
        return run

    def _validate_target(self, target: Target, ref: str) -> ValidationReport:
        own = target.dataset.removeprefix("dataset/").partition("@")[0]
        named = ref.removeprefix("dataset/").partition("@")[0]
        chosen = ref if ref and named == own else target.dataset
        suite = self.suite(target.suite)
        if not target.columns:
            return self.validate(chosen, target.suite, by=target.by)
        kept = tuple(each for each in suite.expectations if {each.column, *each.columns} & set(target.columns))
        if not kept:
            raise InvalidInput(f"suite {target.suite!r} expects nothing of {', '.join(target.columns)}")
        narrowed = Suite(name=suite.name, expectations=kept, meta=suite.meta)
        report = self.validate(chosen, narrowed, by=target.by, record=False)
        return self.record_validation(report, dataset=report.dataset, suite=target.suite)

    def _act(self, action: Action, results: list[TargetResult]) -> ActionResult:
        """Do what follows; what goes wrong is said in the run and keeps nothing else from being done."""
        try:
            if isinstance(action, SetAlias):
                return self._set_aliases(action, results)
            if isinstance(action, Quarantine):
                return self._quarantine_failed(action, results)
        except MainspringError as error:
            return ActionResult(action=str(action.__struct_config__.tag), done=False, message=error.message)
        raise InvalidInput(f"{action!r} is done elsewhere")

    def _set_aliases(self, action: SetAlias, results: list[TargetResult]) -> ActionResult:
        data = Data(self._backend)
        moved = []
        for ref in dict.fromkeys(each.dataset for each in results):
            name, _, version = ref.removeprefix("dataset/").rpartition("@")
            data.set_alias(name, alias=action.alias, version=int(version))
            moved.append(f"{name}@{action.alias} is version {version}")
        return ActionResult(action="set-alias", done=True, message="; ".join(moved))

    def _quarantine_failed(self, action: Quarantine, results: list[TargetResult]) -> ActionResult:
        made = []
        for each in results:
            if each.verdict == "failed" or action.when != "failed":
                found = self.quarantine(each.dataset, each.suite, commit=True, name=action.name, clean="")
                made += [found.quarantined.ref] if found.quarantined else []
        return ActionResult(action="quarantine", done=True, message="; ".join(made) or "no row failed")


def _stored(tx: Transaction, name: str) -> StoredCheckpoint:
    found = tx.fetch_one(CHECKPOINTS, "WHERE workspace = ? AND name = ?", (caller().workspace, name))
    if found is None:
        names = [row[0] for row in tx.rows("SELECT name FROM quality_checkpoint WHERE workspace = ?", (tx.workspace,))]
        raise NotFound(f"there is no checkpoint {name!r}", known=nearest(name, names))
    return found


def _tell(tx: Transaction, action: Action, name: str, verdict: str, data: dict[str, object]) -> ActionResult | None:
    if not isinstance(action, _AT_SERVER):
        return None
    event = emit(tx, f"quality.checkpoint.{verdict}", subject=f"checkpoint/{name}", data=data)
    if isinstance(action, Emit):
        return ActionResult(action="emit", done=True, message=f"event {event.number}: {event.kind}")
    try:
        webhook = webhook_named(tx, action.name)
    except NotFound as error:
        return ActionResult(action="webhook", done=False, message=error.message)
    send_to(tx, webhook, event)
    return ActionResult(action="webhook", done=True, message=f"event {event.number} to {action.name}")


def _why(target: TargetResult, report: ValidationReport) -> str:
    """What failed of a target, the gravest named."""
    first = report.failures[0]
    count = f"{target.failures} expectation{'s' if target.failures != 1 else ''}"
    said = f"{described(first.expectation)}: {first.message}"
    return f"{target.dataset} fails {target.suite} in {count}: {said}{' and more' if target.failures > 1 else ''}"


def _result(report: ValidationReport, target: Target, verdict: str) -> TargetResult:
    return TargetResult(
        dataset=report.dataset,
        suite=target.suite,
        verdict=verdict,  # type: ignore[arg-type]  # one of the two literals
        report=report.ref,
        failures=len(report.failures),
        rows=report.rows,
        rows_scanned=report.scan.rows_scanned if report.scan else report.rows,
    )
