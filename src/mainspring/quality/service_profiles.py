"""The operations on profiles and drift, and taking them where the data is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.lineage.types import Artifact
from mainspring.quality import recording
from mainspring.quality.drift.compare import DriftLimits, DriftReport, drift
from mainspring.quality.profiles.types import Profile
from mainspring.quality.service_validation import ValidationOperations
from mainspring.quality.tables import PROFILES, ProfileOf

__all__ = ["ProfileOperations"]


class ProfileOperations(ValidationOperations):
    """Profiles of artifacts, and what differs between two."""

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
