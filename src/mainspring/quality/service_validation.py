"""The operations on validations, and validating where the data is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.data.committing import Proposal
from mainspring.data.service import Data
from mainspring.data.types import DatasetVersion
from mainspring.engines.tables import open_table
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import listing
from mainspring.lineage.types import Artifact
from mainspring.quality import recording
from mainspring.quality.anomalies_check import NORMAL_KINDS
from mainspring.quality.outcomes import Standing, standings_of
from mainspring.quality.partitions import validate_parts, without_rows
from mainspring.quality.service_series import SeriesOperations
from mainspring.quality.service_states import StateOperations, StoredMemory
from mainspring.quality.service_suites import SuiteOperations
from mainspring.quality.sources import known_proposal, known_version, other_names
from mainspring.quality.states_memory import LocalMemory
from mainspring.quality.states_table import KnownTable
from mainspring.quality.suite import as_suite
from mainspring.quality.tables import OUTCOMES, Outcome
from mainspring.quality.types import Suite, ValidationReport
from mainspring.quality.validation import Suitable, validate_table

__all__ = ["ValidationOperations"]

_HISTORY = 60  # earlier values that a number is judged by, unless an expectation brings its own
_FOREIGN = {"training-set", "model", "predictions", "feature-view"}


class _Asked(msgspec.Struct, frozen=True):
    """What a validation was asked to do."""

    suite: Suite
    sample: int
    by: str
    parameters: dict[str, Any]


class ValidationOperations(SuiteOperations, SeriesOperations, StateOperations):
    """Validations: made of data and a suite, kept, and their outcomes over time."""

    @operation(permission="quality:write", writes=True)
    def record_validation(self, report: ValidationReport, *, dataset: str = "", suite: str = "") -> ValidationReport:
        """Keep what a suite found; `dataset` and `suite` are the references of what was used."""
        check_name(report.suite, what="suite")
        with self.store.read() as tx:
            used = recording.resolve_used(tx, dataset=dataset, suite=suite)
        file = self._put(report, "validation.json")
        with self.store.write() as tx:
            return recording.add_validation(tx, report, file=file, used=used)

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

    @operation(permission="quality:read")
    def standings(self, *, dataset: str = "") -> list[Standing]:
        """How the newest validated version of every dataset, or of one, stands, by the dataset's name.

        Of each suite the newest validation of that version counts, and the suite that stands worst is named.
        """
        where, params = "workspace = ? AND dataset <> ''", [caller().workspace]
        if dataset:
            where, params = f"{where} AND dataset = ?", [*params, recording.dataset_name(dataset)]
        versions = f"SELECT dataset, max(version) FROM quality_outcome WHERE {where} GROUP BY dataset"  # noqa: S608 -- our own
        newest = (
            f"SELECT max(report_id) FROM quality_outcome WHERE {where}"  # noqa: S608 -- as above
            f" AND (dataset, version) IN ({versions}) GROUP BY dataset, suite"
        )
        with self.store.read() as tx:
            rows = tx.fetch(
                OUTCOMES, f"WHERE report_id IN ({newest}) ORDER BY dataset, report_id, id", [*params, *params]
            )
        return standings_of(rows)

    def validate(
        self,
        data: Any,
        suite: Suitable | str,
        *,
        dataset: str = "",
        record: bool | None = None,
        sample: int = 20,
        by: str = "",
        others: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> ValidationReport:
        """Check a dataset version or a frame against a suite.

        What is known of the version, or of its files, is not scanned again; `report.scan` says how much was.

        Args:
            data: A reference (`flights@2`), a polars frame, a Parquet `Path`, an Arrow or pandas table.
            suite: A suite, a builder, a list of expectations, or the reference of a saved suite.
            dataset: What to call a frame in the report.
            record: Whether to keep the report; by default when `data` is a reference.
            sample: How many failing rows to keep for each failure.
            by: Give a result for each part, too: `file`, a column, or `column:month` (day, week, quarter, year).
            others: Other tables that the suite names, each a reference or a frame. `previous` is the version before,
                and any other name is that dataset's newest version, where nothing else is given.
            parameters: Values of the `{"$PARAMETER": name}` in the suite.

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
        version = self._version(data) if isinstance(data, str) else None
        asked = _Asked(checked, sample, by, dict(parameters or {}))
        if version is not None:
            tables = self._others(checked, others or {}, version.name, before=version.version)
            memory = StoredMemory(self)
            table = known_version(Data(self._backend), version, memory, others=lambda: _sources(tables))
            report = self._validated(table, asked, tables, version.name, before=version.version)
            report = msgspec.structs.replace(report, dataset=version.ref)
        else:
            tables = self._others(checked, others or {}, "", before=0)
            source = open_table(str(data) if isinstance(data, Path) else data, others=_sources(tables))
            table = KnownTable(lambda: source, content="frame", memory=LocalMemory())
            report = self._validated(table, asked, tables, "", before=0)
            report = msgspec.structs.replace(report, dataset=dataset, scan=None)
        if not (version is not None if record is None else record):
            return report
        saved = saved or self.save_suite(checked).ref
        return self.record_validation(report, dataset=version.ref if version else "", suite=saved)

    def validate_proposal(self, proposal: Proposal, suite: Suite) -> ValidationReport:
        """Check what is about to become a version of a dataset; nothing is kept but what was learnt of its content."""
        tables = self._others(suite, {}, proposal.name, before=0)
        table = known_proposal(proposal, StoredMemory(self), others=lambda: _sources(tables))
        report = self._validated(table, _Asked(suite, 20, "", {}), tables, proposal.name, before=0)
        return msgspec.structs.replace(report, dataset=proposal.name)

    def _validated(
        self, table: KnownTable, asked: _Asked, others: Mapping[str, Any], name: str, *, before: int
    ) -> ValidationReport:
        suite = self._with_history(asked.suite, name, before=before) if name else asked.suite
        given: dict[str, Any] = {"parameters": asked.parameters, "others": others}
        report = validate_table(table, suite, sample=asked.sample, **given)
        suite = _without_history(asked.suite)  # a part is not what the whole was
        if asked.by == "file":
            each = [(part, table.part(part)) for part in table.parts]
            parts = tuple(without_rows(part.name, validate_table(one, suite, sample=0, **given)) for part, one in each)
        else:
            parts = validate_parts(table, suite, asked.by, **given) if asked.by else ()
        return msgspec.structs.replace(report, scan=table.scan, parted_by=asked.by, parts=parts)

    def _others(self, suite: Suite, given: Mapping[str, Any], name: str, *, before: int) -> dict[str, Any]:
        """The other tables that a suite names: as they are given, the version before, or a dataset of that name."""
        data = Data(self._backend)
        found: dict[str, Any] = {}
        for each in dict.fromkeys([*other_names(suite), *given]):
            source = given.get(each, each)
            if each == "previous" and each not in given:
                earlier = self._earlier(name, before) if name else None
                found[each] = earlier and known_version(data, earlier, StoredMemory(self))
            else:
                found[each] = data.scan(source) if isinstance(source, str) else source
        return found

    def _earlier(self, name: str, before: int) -> DatasetVersion | None:
        data = Data(self._backend)
        try:
            return next(iter(data.versions(name, limit=1, before=before)), None)
        except NotFound:
            return None  # what is committed first has nothing before it

    def _with_history(self, suite: Suite, name: str, *, before: int) -> Suite:
        """The suite, its expectations about what is normal told what was before, as far as they do not say it."""
        lines = []
        for each in suite.expectations:
            if each.kind.removeprefix("expect_") not in NORMAL_KINDS or "history" in each.arguments:
                lines.append(each)
                continue
            metric = str(each.arguments.get("metric", "row_count"))
            points = self.series(
                name, metric=metric, column=each.column, where=each.where, limit=_HISTORY, before=before
            )
            history = [point.value for point in points if point.value is not None]
            lines.append(msgspec.structs.replace(each, arguments={**each.arguments, "history": history}))
        return msgspec.structs.replace(suite, expectations=tuple(lines))

    def _version(self, ref: str) -> DatasetVersion:
        if ref.partition("/")[0] in _FOREIGN:
            raise InvalidInput(
                f"{ref} is not a dataset, and only its maker can read it as a table",
                hint="pass its frame, or record_profile(profile_frame(frame), of=...) once",
            )
        return Data(self._backend).describe(ref)

    def _table(self, data: Any) -> tuple[Any, str]:
        """What to scan, and the full reference when it is a dataset version."""
        if not isinstance(data, str):
            return (str(data) if isinstance(data, Path) else data), ""
        version = self._version(data)
        return Data(self._backend).scan(version.id), version.ref


def _without_history(suite: Suite) -> Suite:
    """The suite, its lines about what is normal told of no history: that is one of whole tables."""
    lines = tuple(
        msgspec.structs.replace(each, arguments={**each.arguments, "history": []})
        if each.kind.removeprefix("expect_") in NORMAL_KINDS
        else each
        for each in suite.expectations
    )
    return msgspec.structs.replace(suite, expectations=lines)


def _sources(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables that an engine can look into; the version before is only compared with."""
    return {name: each for name, each in tables.items() if each is not None and not isinstance(each, KnownTable)}
