"""The operations of the quality room, and what of it happens where the data is.

Suites, profiles and reports are artifacts; a validation, a profiling, a comparison and an evaluation are runs that
use what was looked at and make what was found. Scanning happens at the client, composed of operations only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mainspring.data.service import Data
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import graph, listing
from mainspring.lineage.types import Artifact
from mainspring.quality import recording
from mainspring.quality.drift.compare import DriftLimits, DriftReport, drift
from mainspring.quality.keeping import KeepingService
from mainspring.quality.profiles.types import Profile
from mainspring.quality.service_evaluation import EvaluationOperations
from mainspring.quality.suite import as_suite
from mainspring.quality.tables import OUTCOMES, PROFILES, Outcome, ProfileOf
from mainspring.quality.types import Suite, ValidationReport
from mainspring.quality.validation import Suitable, quarantine, validate_table

__all__ = ["Quality"]

T = TypeVar("T")


class Quality(EvaluationOperations, KeepingService, room="quality"):
    """Expectations, profiles, drift and evaluation."""

    # -- suites

    @operation(permission="quality:write", writes=True)
    def save_suite(self, suite: Suite) -> Artifact:
        """Keep a version of a suite; the known one when it says the same already."""
        checked = as_suite(suite)
        check_name(checked.name, what="suite")
        if not checked.expectations:
            raise InvalidInput(f"suite {checked.name!r} expects nothing", hint="add expectations before saving it")
        file = self._put(checked, "suite.json")
        with self.store.write() as tx:
            return recording.add(
                tx, "suite", checked.name, file, {"expectations": len(checked.expectations)}, reuse=True
            )

    @operation(permission="quality:read")
    def suite(self, ref: str) -> Suite:
        """The suite that a reference means: `flights@2`, `flights` (the newest) or an id."""
        return self._get(ref, "suite", Suite)

    @operation(permission="quality:read")
    def suites(self) -> list[Artifact]:
        """The newest version of every suite, by name."""
        return self._newest("suite")

    # -- validation

    @operation(permission="quality:write", writes=True)
    def record_validation(self, report: ValidationReport, *, dataset: str = "", suite: str = "") -> ValidationReport:
        """Keep what a suite found; `dataset` and `suite` are the references of what was used."""
        check_name(report.suite, what="suite")
        with self.store.read() as tx:
            used = recording.resolve_used(tx, dataset=dataset, suite=suite)
        file = self._put(report, "validation.json")
        facts = {
            "report": "validation", "suite": report.suite, "verdict": report.verdict, "rows": report.rows,
            "expectations": len(report.results), "failed": len(report.failures),
        }  # fmt: skip
        target = next((artifact for artifact, role in used if role == "dataset"), None)
        with self.store.write() as tx:
            made = recording.add_report(
                tx, "validation", f"validation/{report.suite}", file=file, facts=facts, used=used
            )
            tx.insert_many(OUTCOMES, recording.outcomes(tx, report, made, target))
        return msgspec.structs.replace(report, ref=made.ref, dataset=target.ref if target else report.dataset)

    @operation(permission="quality:read")
    def validation(self, ref: str) -> ValidationReport:
        """A validation report, by reference or id."""
        return msgspec.structs.replace(self._get(ref, "report", ValidationReport), ref=ref)

    @operation(permission="quality:read")
    def reports(self, *, kind: str = "", of: str = "", limit: int = 100, before: str = "") -> list[Artifact]:
        """Reports, newest first: `kind` is validation, drift or evaluation; `of` is the name after it."""
        start = f"{check_name(kind, what='kind')}/{of}" if kind else ""
        with self.store.read() as tx:
            return listing.artifacts(
                tx,
                kind="report",
                name=start if of else "",
                prefix="" if of else start,
                before=before,
                limit=max(1, min(limit, 1000)),
            )

    @operation(permission="quality:read")
    def history(self, dataset: str, *, subject: str = "", kind: str = "", limit: int = 1000) -> list[Outcome]:
        """What validations of a dataset found over time, newest first, of one subject or kind when they are given."""
        where, params = "WHERE workspace = ? AND dataset = ?", [caller().workspace, recording.dataset_name(dataset)]
        for column, value in (("subject", subject), ("kind", kind)):
            if value:
                where, params = f"{where} AND {column} = ?", [*params, value]
        with self.store.read() as tx:
            return tx.fetch(OUTCOMES, f"{where} ORDER BY id DESC LIMIT ?", [*params, max(1, min(limit, 10_000))])

    # -- profiles

    @operation(permission="quality:write", writes=True)
    def record_profile(self, profile: Profile, *, of: str) -> Artifact:
        """Keep the profile of an artifact (a dataset version, a training set); an artifact has one."""
        with self.store.read() as tx:
            artifact = recording.resolve(tx, of, "dataset")
        file = self._put(profile, "profile.json")
        with self.store.write() as tx:
            known = tx.fetch_one(PROFILES, "WHERE artifact_id = ?", (artifact.id,))
            if known is not None:
                return graph.resolve(tx, known.profile_id)
            run = graph.start_run(tx, "profiling", artifact.name)
            graph.use(tx, run.id, artifact.id, role="profiled")
            facts = {"rows": profile.rows, "columns": len(profile.columns), "of": artifact.ref}
            made = recording.add(tx, "profile", f"{artifact.kind}/{artifact.name}", file, facts, run_id=run.id)
            graph.finish_run(tx, run.id)
            tx.insert(PROFILES, ProfileOf(artifact.id, made.id, artifact.workspace))
            return made

    @operation(permission="quality:read")
    def profile_of(self, ref: str) -> Profile | None:
        """The profile of an artifact, or nothing when none was taken."""
        with self.store.read() as tx:
            known = tx.fetch_one(PROFILES, "WHERE artifact_id = ?", (recording.resolve(tx, ref, "dataset").id,))
        return None if known is None else self._get(known.profile_id, "profile", Profile)

    # -- drift

    @operation(permission="quality:write", writes=True, resource="name")
    def record_drift(self, name: str, *, report: DriftReport, uses: list[str] | None = None) -> Artifact:
        """Keep a comparison of two profiles; `uses` are the references of what was compared."""
        check_name(name)
        with self.store.read() as tx:
            used = [(recording.resolve(tx, ref, "dataset"), "compared") for ref in uses or []]
        file = self._put(report, "drift.json")
        facts: dict[str, Any] = {"report": "drift", "verdict": report.verdict, "rows": report.current_rows}
        facts["drifted"] = list(report.drifted)
        with self.store.write() as tx:
            return recording.add_report(tx, "drift", f"drift/{name}", file=file, facts=facts, used=used)

    @operation(permission="quality:read")
    def drift_report(self, ref: str) -> DriftReport:
        """A drift report, by reference or id."""
        return self._get(ref, "report", DriftReport)

    # -- where the data is

    def validate(
        self, data: Any, suite: Suitable | str, *, dataset: str = "", record: bool | None = None, sample: int = 20
    ) -> ValidationReport:
        """Check a dataset version or a frame against a suite.

        Args:
            data: A reference (`flights@2`), a polars frame, a Parquet `Path`, an Arrow or pandas table.
            suite: A suite, a builder, a list of expectations, or the reference of a saved suite.
            dataset: What to call a frame in the report.
            record: Whether to keep the report; by default when `data` is a reference.
            sample: How many failing rows to keep for each failure.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> from mainspring.quality.suite import expect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     version = client.data.commit("numbers", pl.DataFrame({"n": [1, -2]}))
            ...     client.quality.validate("numbers", expect("numbers").column("n").between(0, 9)).verdict
            'failed'
        """
        saved = suite if isinstance(suite, str) else ""
        checked = self.suite(suite) if isinstance(suite, str) else as_suite(suite)
        frame, ref = self._table(data)
        report = validate_table(frame, checked, dataset=ref or dataset, sample=sample)
        if not (bool(ref) if record is None else record):
            return report
        saved = saved or self.save_suite(checked).ref
        return self.record_validation(report, dataset=ref, suite=saved)

    def quarantine(self, data: Any, suite: Suitable | str) -> tuple[Any, Any]:
        """Divide the rows into those that hold and the others, with a column `__reasons__`; see `quarantine`."""
        checked = self.suite(suite) if isinstance(suite, str) else as_suite(suite)
        return quarantine(self._table(data)[0], checked)

    def infer(self, data: Any, *, name: str = "", margin: float = 0.1, confidence: float = 0.5) -> Suite:
        """A first suite from a dataset version or a frame; save it with `save_suite` when it is right."""
        from mainspring.quality.inference.infer import infer_suite

        frame, ref = self._table(data)
        called = name or ref.partition("/")[2].rpartition("@")[0]
        if not called:
            raise InvalidInput("a suite inferred from a frame needs a name", hint="pass name=")
        return infer_suite(frame, name=called, margin=margin, confidence=confidence)

    def profile(self, data: Any, *, record: bool = True) -> Profile:
        """The profile of a dataset version, taken once and kept; or of a frame, which is not kept."""
        from mainspring.quality.profiles.build import profile_frame

        if isinstance(data, Profile):
            return data
        if isinstance(data, str):
            known = self.profile_of(data)
            if known is not None:
                return known
        frame, ref = self._table(data)
        taken = profile_frame(frame)
        if ref and record:
            self.record_profile(taken, of=ref)
        return taken

    def drift(
        self,
        reference: Any,
        current: Any,
        *,
        importances: Mapping[str, float] | None = None,
        columns: Sequence[str] | None = None,
        limits: DriftLimits | None = None,
        name: str = "",
    ) -> DriftReport:
        """Compare two of: references of dataset versions, profiles, frames. With a `name` the report is kept."""
        found = drift(
            self.profile(reference), self.profile(current), importances=importances, columns=columns, limits=limits
        )
        refs = [each if isinstance(each, str) else "" for each in (reference, current)]
        found = msgspec.structs.replace(found, reference=refs[0], current=refs[1])
        if name:
            self.record_drift(name, report=found, uses=[ref for ref in refs if ref])
        return found

    def _table(self, data: Any) -> tuple[Any, str]:
        """What to scan, and the full reference when it is a dataset version."""
        if not isinstance(data, str):
            return (str(data) if isinstance(data, Path) else data), ""
        kind = data.partition("/")[0]
        if kind in {"training-set", "model", "predictions", "feature-view"}:
            raise InvalidInput(
                f"{data} is not a dataset, and only its maker can read it as a table",
                hint="pass its frame, or record_profile(profile_frame(frame), of=...) once",
            )
        datasets = Data(self._backend)
        version = datasets.describe(data)
        return datasets.load(version.ref), version.ref
