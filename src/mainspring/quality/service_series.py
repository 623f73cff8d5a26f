"""Numbers of a dataset over its versions, and whether the newest is what its history would have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mainspring.engines.tables import AnyPredicate, Sql
from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.operations import operation
from mainspring.lineage import listing
from mainspring.lineage.types import Artifact
from mainspring.quality.anomalies import AnyStrategy, Normality, judge, strategy_of
from mainspring.quality.anomalies_check import asked_of, figure_of
from mainspring.quality.keeping import KeepingService
from mainspring.quality.profiles.types import Profile
from mainspring.quality.states import UNMERGED
from mainspring.quality.states_memory import decoded_answer, metric_digest
from mainspring.quality.tables import OUTCOMES, PROFILES
from mainspring.store.transaction import Transaction

__all__ = ["Point", "SeriesOperations"]

_MOST = 1000


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A number of one version."""

    version: int
    at: datetime
    value: float | None
    """None where nobody ever asked for it."""
    source: str
    """Whence it is known: `state` of a validation, `outcome` of one, `profile`, or `version`."""


class SeriesOperations(KeepingService):
    """Numbers over time."""

    @operation(permission="quality:read")
    def series(
        self, dataset: str, *, metric: str, column: str = "", where: str = "", limit: int = 100, before: int = 0
    ) -> list[Point]:
        """A number of each version of a dataset, oldest first; nothing is scanned for it.

        Args:
            dataset: Its name.
            metric: `row_count`, `missing`, `mean`, `std`, `min`, `max`, `sum`, `median`, `distinct`, `size` (bytes),
                `files`, `freshness` (seconds since the version before), or `outcome:` and a kind of expectation: what
                its validations observed, for rows the share that holds.
            column: Which column, for a number of one; or the subject of the expectation.
            where: A condition in SQL, for numbers that a validation asked with it.
            limit: How many versions, at most 1000.
            before: Only versions below this number.
        """
        name = dataset.removeprefix("dataset/").partition("@")[0]
        predicate = Sql(where) if where else None
        outcome = metric.partition(":")[2] if metric.startswith("outcome:") else ""
        if metric not in _OF_VERSION and not outcome:
            asked_of(metric, column, predicate)  # refuses what is not a number
        with self.store.read() as tx:
            found = listing.versions(tx, "dataset", name, limit=max(1, min(limit, _MOST)) + 1, before=before)
            if not found and not before:
                raise NotFound(f"there is no dataset named {name!r}", hint="mainspring data list")
            versions = found[::-1]
            if metric in _OF_VERSION:
                return _of_versions(versions, metric)[-limit:]
            if outcome:
                return _of_outcomes(tx, versions, f"dataset/{name}", outcome, column or "table", where)[-limit:]
            points = _from_states(tx, versions, metric, column, predicate)
            profiles = {} if predicate else _profile_ids(tx, [each.id for each in versions if each.id not in points])
        for version in versions:
            if version.id not in points and version.id in profiles:
                profile = self._profile_kept(profiles[version.id])
                if profile is not None:
                    points[version.id] = (_of_profile(profile, metric, column), "profile")
            if version.id not in points and metric == "row_count" and predicate is None:
                points[version.id] = (version.metadata.get("rows"), "version")
        return [
            Point(version=each.version, at=each.created_at, value=value, source=source)
            for each in versions
            for value, source in [points.get(each.id, (None, ""))]
        ][-limit:]

    def _profile_kept(self, profile_id: str) -> Profile | None:
        """A profile that is kept; None for one of a form that is no longer read."""
        try:
            return self._get(profile_id, "profile", Profile)
        except NotFound:
            return None

    def anomaly(
        self,
        dataset: str,
        *,
        metric: str,
        column: str = "",
        where: str = "",
        strategy: AnyStrategy | dict[str, Any] | str | None = None,
        limit: int = 100,
    ) -> Normality:
        """Whether a number of the newest version is what its history would have, in words.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     for rows in (10, 12, 9, 11, 13, 8, 90):
            ...         version = client.data.commit("t", pl.DataFrame({"x": range(rows)}))
            ...     client.quality.anomaly("t", metric="row_count").normal
            False
        """
        points = [
            each.value
            for each in self.series(dataset, metric=metric, column=column, where=where, limit=limit)
            if each.value is not None
        ]
        if not points:
            raise NotFound(
                f"nothing is known of {metric} of {dataset}",
                hint="take profiles (quality.profile) or validate an expectation that asks for it",
            )
        return judge(points[-1], points[:-1], strategy_of(strategy))


_OF_VERSION = ("size", "files", "freshness")


def _of_versions(versions: list[Artifact], metric: str) -> list[Point]:
    points = []
    for place, each in enumerate(versions):
        value: float | None = {"size": each.size, "files": each.metadata.get("files")}.get(metric)
        if metric == "freshness":
            value = (each.created_at - versions[place - 1].created_at).total_seconds() if place else None
        points.append(Point(version=each.version, at=each.created_at, value=value, source="version"))
    return points


def _of_outcomes(
    tx: Transaction, versions: list[Artifact], dataset: str, kind: str, subject: str, where: str
) -> list[Point]:
    """What the last validation of each version observed."""
    found = tx.fetch(
        OUTCOMES,
        "WHERE workspace = ? AND dataset = ? AND subject = ? AND kind = ? AND where_text = ? ORDER BY id DESC LIMIT ?",
        (caller().workspace, dataset, subject, kind.removeprefix("expect_"), where, _MOST * 10),
    )
    last = {each.version: each.observed for each in reversed(found)}
    return [
        Point(version=each.version, at=each.created_at, value=last.get(each.version), source="outcome")
        for each in versions
    ]


def _from_states(
    tx: Transaction, versions: list[Artifact], metric: str, column: str, where: AnyPredicate | None
) -> dict[str, tuple[float | None, str]]:
    asked = {metric_digest(each): each for each in asked_of(metric, column, where)}
    known: dict[str, dict[str, str]] = {}
    contents = list({each.digest for each in versions})
    for start in range(0, len(contents), 400):
        batch = contents[start : start + 400]
        marks = [", ".join("?" * len(each)) for each in (batch, asked)]
        for content, question, answer in tx.rows(
            "SELECT content, question, answer FROM quality_state"  # noqa: S608 -- only marks
            f" WHERE workspace = ? AND content IN ({marks[0]}) AND question IN ({marks[1]})",
            (caller().workspace, *batch, *asked),
        ):
            known.setdefault(content, {})[question] = answer
    found: dict[str, tuple[float | None, str]] = {}
    for version in versions:
        texts = known.get(version.digest, {})
        if len(texts) == len(asked):
            answers = [decoded_answer(each, texts[digest]) for digest, each in asked.items()]
            if not any(answer is UNMERGED for answer in answers):
                found[version.id] = (figure_of(metric, answers), "state")
    return found


def _profile_ids(tx: Transaction, artifact_ids: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(artifact_ids), 400):
        batch = artifact_ids[start : start + 400]
        marks = ", ".join("?" * len(batch))
        found |= {
            each.artifact_id: each.profile_id
            for each in tx.fetch(PROFILES, f"WHERE artifact_id IN ({marks})", batch)
            if each.workspace == caller().workspace
        }
    return found


def _of_profile(profile: Profile, metric: str, column: str) -> float | None:
    """A number that a profile knows exactly, or as its sketch has it."""
    if metric == "row_count":
        return float(profile.rows)
    found = next((each for each in profile.columns if each.name == column), None)
    if found is None:
        return None
    if metric == "missing":
        return found.missing_share
    if metric == "distinct":
        return float(found.distinct)
    numeric = found.family == "number"
    if metric in ("min_length", "max_length"):
        numeric = found.family == "text"
    if not numeric or not found.moments.n:
        return None
    total = found.moments.mean * found.moments.n
    values: dict[str, float | None] = {
        "mean": found.moments.mean,
        "std": found.moments.std,
        "min": found.minimum,
        "max": found.maximum,
        "sum": total,
        "median": found.sketch.quantile(0.5),
        "min_length": found.minimum,
        "max_length": found.maximum,
    }
    if metric not in values:
        raise InvalidInput(f"{metric!r} is not a number of a column", known=sorted(values))
    return values[metric]
