"""The operations on evaluations, and evaluating where the predictions are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

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
            facts["verdict"] = report.decision.verdict
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
        sensitive: Any = None,
        search: bool = False,
        parts: Mapping[str, Any] | None = None,
        run_id: str = "",
        **options: Any,
    ) -> EvaluationReport:
        """Evaluate predictions, compare them with a champion's on the same rows, let a gate decide, and keep it all.

        Args:
            name: What to file the report under, usually the model's name.
            labels: One per row.
            scores: Probabilities of the positive class, or of every class, or predicted numbers, by the task.
            task: `binary`, `multiclass`, `multilabel`, `regression`, `quantile`, `ranking` or `forecast`.
            model: Reference of the model that was evaluated.
            dataset: Reference of the data it was evaluated on.
            champion: The scores of the model in use, for the same rows.
            gate: A `Gate`.
            baseline: An `Evaluation` that the gate measures against when there is no champion.
            importances: What `permutation_importance` gave, to keep with it.
            sensitive: The features whose groups a binary classifier should treat alike; see `evaluate_fairness`.
            search: Whether to search the columns of `frame=` for slices with greater losses; see `find_slices`.
            parts: Further parts of the report by name: `robustness`, `explanation`, `effects`, `threshold`, `notes`.
            run_id: The run (a step, a training) that evaluated, instead of a run of its own.
            options: Passed to the evaluation of the task: `frame=`, `slices=`, `threshold=`, `weights=` and so on.

        Example:
            >>> import tempfile
            >>> from mainspring.client import connect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     report = client.quality.evaluate("m", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
            ...     client.quality.evaluation(report.ref).evaluation["auc"].value
            0.75
        """
        from mainspring.quality.evaluation.making import make_report

        report = make_report(
            labels, scores, task=task, model=model, dataset=dataset, champion=champion, gate=gate, baseline=baseline,
            importances=importances, sensitive=sensitive, search=search, parts=parts or {}, options=options,
        )  # fmt: skip
        return self.record_evaluation(name, report=report, model=model, dataset=dataset, run_id=run_id)
