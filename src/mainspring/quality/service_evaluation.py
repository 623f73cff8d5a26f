"""The operations on evaluations, and evaluating where the predictions are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.quality import recording
from mainspring.quality.evaluation.report import EvaluationReport
from mainspring.quality.keeping import KeepingService

__all__ = ["EvaluationOperations"]


class EvaluationOperations(KeepingService):
    """Evaluations: recorded, read, and made of labels and scores."""

    @operation(permission="quality:write", writes=True, resource="name")
    def record_evaluation(
        self, name: str, *, report: EvaluationReport, model: str = "", dataset: str = "", run_id: str = ""
    ) -> EvaluationReport:
        """Keep an evaluation.

        `model` and `dataset` are the references of what was evaluated on what. With `run_id` (of a step or a training)
        the report is made by that run, otherwise by a run of kind `evaluation`.
        """
        check_name(name)
        with self.store.read() as tx:
            used = recording.resolve_used(tx, model=model, dataset=dataset)
            run_id = graph.get_run(tx, run_id).id if run_id else ""
        file = self._put(report, "evaluation.json")
        values = {metric: each.value for metric, each in report.evaluation.metrics.items()}
        facts: dict[str, Any] = {"report": "evaluation", "rows": report.evaluation.count, "metrics": values}
        if report.decision is not None:
            facts |= {"gate": report.decision.gate, "passed": report.decision.passed}
        with self.store.write() as tx:
            made = recording.add_report(
                tx, "evaluation", f"evaluation/{name}", file=file, facts=facts, used=used, run_id=run_id
            )
        return msgspec.structs.replace(report, ref=made.ref)

    @operation(permission="quality:read")
    def evaluation(self, ref: str) -> EvaluationReport:
        """An evaluation report, by reference or id."""
        return msgspec.structs.replace(self._get(ref, "report", EvaluationReport), ref=ref)

    def evaluate(
        self,
        name: str,
        labels: Any,
        scores: Any,
        *,
        task: str = "binary",
        model: str = "",
        dataset: str = "",
        champion: Any = None,
        gate: Any = None,
        baseline: Any = None,
        importances: Iterable[Any] = (),
        run_id: str = "",
        **options: Any,
    ) -> EvaluationReport:
        """Evaluate predictions, compare them with a champion's on the same rows, let a gate decide, and keep it all.

        Args:
            name: What to file the report under, usually the model's name.
            labels: One per row.
            scores: Probabilities of the positive class, or predicted numbers.
            task: `binary` or `regression`.
            model: Reference of the model that was evaluated.
            dataset: Reference of the data it was evaluated on.
            champion: The scores of the model in use, for the same rows.
            gate: A `Gate`.
            baseline: An `Evaluation` that the gate measures against when there is no champion.
            importances: What `permutation_importance` gave, to keep with it.
            run_id: The run (a step, a training) that evaluated, instead of a run of its own.
            options: Passed to `evaluate_binary` or `evaluate_regression`: `frame=`, `slices=`, `threshold=` and so on.
        """
        from mainspring.quality import evaluation as ev

        if task not in {"binary", "regression"}:
            raise InvalidInput(f"{task!r} is not a task", known=["binary", "regression"])
        judge, pair = ev.evaluate_regression, ev.compare_regression
        if task == "binary":
            judge, pair = ev.evaluate_binary, ev.compare_binary  # type: ignore[assignment]  # the options differ
        found = judge(labels, scores, model=model, dataset=dataset, **options)
        comparison = None if champion is None else pair(labels, champion=champion, candidate=scores)
        decision = None if gate is None else gate.decide(found, baseline=baseline, comparison=comparison)
        report = EvaluationReport(
            evaluation=found, comparison=comparison, decision=decision, importances=tuple(importances)
        )
        return self.record_evaluation(name, report=report, model=model, dataset=dataset, run_id=run_id)
