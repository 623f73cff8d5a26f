"""The operations on profiles and drift, and taking them where the data is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.lineage.types import Artifact
from mainspring.quality import recording
from mainspring.quality.drift.compare import DriftLimits, DriftReport
from mainspring.quality.drift.frames import Rules, compare_tables
from mainspring.quality.profiles.types import Profile
from mainspring.quality.service_validation import ValidationOperations
from mainspring.quality.tables import PROFILES, ProfileOf

__all__ = ["ProfileOperations"]


class ProfileOperations(ValidationOperations):
    """Profiles of artifacts, and what differs between two."""

    @operation(permission="quality:write", writes=True)
    def record_profile(self, profile: Profile, *, of: str) -> Artifact:
        """Keep the profile of an artifact (a dataset version, a training set); an artifact has one.

        One of a form that is no longer read gives way to the new one.
        """
        with self.store.read() as tx:
            artifact = recording.resolve(tx, of, "dataset")
            before = tx.fetch_one(PROFILES, "WHERE artifact_id = ?", (artifact.id,))
        outdated = before.profile_id if before is not None and self._profile_kept(before.profile_id) is None else ""
        file = self._put(profile, "profile.json")
        with self.store.write() as tx:
            known = tx.fetch_one(PROFILES, "WHERE artifact_id = ?", (artifact.id,))
            if known is not None and known.profile_id != outdated:
                return graph.resolve(tx, known.profile_id)
            run = graph.start_run(tx, "profiling", artifact.name)
            graph.use(tx, run.id, artifact.id, role="profiled")
            facts = {"rows": profile.rows, "columns": len(profile.columns), "of": artifact.ref}
            made = recording.add(tx, "profile", f"{artifact.kind}/{artifact.name}", file, facts, run_id=run.id)
            graph.finish_run(tx, run.id)
            tx.execute("DELETE FROM quality_profile WHERE artifact_id = ?", (artifact.id,))
            tx.insert(PROFILES, ProfileOf(artifact.id, made.id, artifact.workspace))
            return made

    @operation(permission="quality:read")
    def profile_of(self, ref: str) -> Profile | None:
        """The profile of an artifact; nothing when none was taken, or one of a form that is no longer read."""
        with self.store.read() as tx:
            known = tx.fetch_one(PROFILES, "WHERE artifact_id = ?", (recording.resolve(tx, ref, "dataset").id,))
        return None if known is None else self._profile_kept(known.profile_id)

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
        rules: Rules = "mainspring",
        columns: Sequence[str] | None = None,
        importances: Mapping[str, float] | None = None,
        limits: DriftLimits | str | None = None,
        column_limits: Mapping[str, DriftLimits] | None = None,
        tests: Mapping[str, str] | None = None,
        thresholds: Mapping[str, float] | None = None,
        target: str = "",
        prediction: str = "",
        drift_share: float | None = None,
        name: str = "",
    ) -> DriftReport:
        """Compare two of: references of dataset versions, profiles, frames. With a `name` the report is kept.

        The default rules compare profiles, which are kept. A named test (`tests`, or Evidently's choice) is asked of
        the rows where both sides have them, so versions are read for it; every other argument is as in
        `quality.drift.compare_tables`.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     for more in (0.0, 30.0):
            ...         made = client.data.commit("t", pl.DataFrame({"x": [k % 100 + more for k in range(500)]}))
            ...     found = client.quality.drift("t@1", "t@2", rules="evidently").column("x")
            >>> found.method, found.verdict
            ('ks', 'drift')
        """
        of_rows = rules != "mainspring" or bool(tests)
        found = compare_tables(
            *(self._rows_of(side) if of_rows else self.profile(side) for side in (reference, current)),
            rules=rules,
            columns=columns,
            importances=importances,
            limits=limits,
            column_limits=column_limits,
            tests=tests,
            thresholds=thresholds,
            target=target,
            prediction=prediction,
            drift_share=drift_share,
        )
        refs = [each if isinstance(each, str) else "" for each in (reference, current)]
        found = msgspec.structs.replace(found, reference=refs[0], current=refs[1])
        if name:
            self.record_drift(name, report=found, uses=[ref for ref in refs if ref])
        return found

    def _rows_of(self, side: Any) -> Any:
        """A table; the profile of what only its maker can read as one."""
        try:
            return self._table(side)[0]
        except InvalidInput:
            return self.profile(side)
