"""What differs between runs: parameters, metrics, tags, code, data, environment; what is the same is left out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.lineage import graph
from mainspring.lineage.listing import used_by
from mainspring.lineage.types import Artifact
from mainspring.store.transaction import Transaction
from mainspring.tracking.loading import load_runs
from mainspring.tracking.runs import bare_id, find_run
from mainspring.tracking.types import Metric, TrackedRun

__all__ = ["CodeDiff", "DiffRow", "MetricDiff", "RunDiff", "compare_runs"]

_MOST = 100
_LARGEST_PATCH = 2 << 20
_LINES = 5000
_ABSENT = object()


class DiffRow(msgspec.Struct, frozen=True):
    """One name under which the runs differ."""

    name: str
    values: list[Any]
    """One for each run, in order; null where the run has none."""


class MetricDiff(msgspec.Struct, frozen=True):
    """One metric whose latest value differs."""

    name: str
    values: list[float | str | None]
    """One for each run: a number, `nan`, `inf` or `-inf`; null where the run has none."""
    deltas: list[float | None]
    """Each less the baseline's; null where one of the two is no finite number."""
    relative: list[float | None]
    """Each delta as a part of the baseline's value; null where that is 0, or there is no delta."""


class CodeDiff(msgspec.Struct, frozen=True):
    """How the code of one run differs from the baseline's."""

    run_id: str
    commit: str
    repository: str
    changes: str
    """A unified diff of what the two had changed since their commits; empty when they had changed the same."""


class RunDiff(msgspec.Struct, frozen=True):
    """What differs between runs."""

    run_ids: list[str]
    baseline: str
    """The run that the others are measured against."""
    about: list[DiffRow]
    """Experiment, title, user, group, status, duration in seconds."""
    params: list[DiffRow]
    metrics: list[MetricDiff]
    tags: list[DiffRow]
    data: list[DiffRow]
    """Used artifacts by kind and name; the values are lists of versions, with the digests of external data."""
    environment: list[DiffRow]
    """Python and packages; the values are versions, null where it was not installed."""
    code: list[CodeDiff]
    """Of each run but the baseline whose commit, repository or changes differ from it."""


def compare_runs(tx: Transaction, run_ids: Sequence[str], *, baseline: str, read: Callable[[str], bytes]) -> RunDiff:
    """Compare two to a hundred runs.

    Args:
        tx: The caller's transaction.
        run_ids: The runs, in the order in which they are shown.
        baseline: One of them; the first when empty.
        read: Reads a blob: the stored changes to the code.

    Raises:
        InvalidInput: not two to a hundred different runs, or the baseline is none of them.
        NotFound: one of them is not there.
    """
    ids = list(dict.fromkeys(bare_id(each) for each in run_ids))
    if not 2 <= len(ids) <= _MOST or len(ids) < len(run_ids):
        raise InvalidInput(f"two to {_MOST} different runs can be compared, not {len(run_ids)}")
    first = bare_id(baseline) if baseline else ids[0]
    if first not in ids:
        raise InvalidInput(f"the baseline {first} is not among the runs", known=ids[:5])
    runs = load_runs(tx, [find_run(tx, each).number for each in ids])
    place = ids.index(first)
    used = [used_by(tx, each) for each in ids]
    return RunDiff(
        run_ids=ids,
        baseline=first,
        about=_rows([_about(each) for each in runs]),
        params=_rows([each.params for each in runs]),
        metrics=_metrics(runs, place),
        tags=_rows([each.tags for each in runs]),
        data=_rows([_data(each) for each in used]),
        environment=_rows([_packages(each) for each in used]),
        code=_code(tx, ids, used, place, read),
    )


def _rows(held: Sequence[Mapping[str, Any]]) -> list[DiffRow]:
    """The names under which these differ; having nothing differs from having null."""
    found = []
    for name in sorted({name for each in held for name in each}):
        values = [each.get(name, _ABSENT) for each in held]
        if any(not _same(values[0], other) for other in values[1:]):
            found.append(DiffRow(name, [None if value is _ABSENT else value for value in values]))
    return found


def _same(left: Any, right: Any) -> bool:
    """Equal, and of the same kind: 1 is not true, but 1 is 1.0."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _about(run: TrackedRun) -> dict[str, Any]:
    ended = run.run.finished_at
    return {
        "experiment": run.experiment,
        "title": run.title,
        "user": run.user,
        "group": run.group,
        "status": run.status,
        "seconds": None if ended is None else (ended - run.run.started_at).total_seconds(),
    }


def _metrics(runs: Sequence[TrackedRun], baseline: int) -> list[MetricDiff]:
    found = []
    for name in sorted({name for run in runs for name in run.metrics}):
        held = [run.metrics.get(name) for run in runs]
        values = [_value(each) for each in held]
        if any(value != values[0] for value in values[1:]):
            base = held[baseline]
            deltas = [_delta(each, base) for each in held]
            divisor = abs(base.last) if base is not None and base.last else None
            relative = [None if delta is None or divisor is None else delta / divisor for delta in deltas]
            found.append(MetricDiff(name, values, deltas, relative))
    return found


def _value(metric: Metric | None) -> float | str | None:
    return None if metric is None else metric.last if metric.last is not None else metric.special


def _delta(metric: Metric | None, base: Metric | None) -> float | None:
    if metric is None or base is None or metric.last is None or base.last is None:
        return None
    delta = metric.last - base.last
    return delta if delta - delta == 0 else None  # two finite numbers may be further apart than a float can say


def _data(used: Sequence[Artifact]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in used:
        if each.kind not in ("code", "environment"):
            digest = str(each.metadata.get("digest", "")) if each.kind == "external-dataset" else ""
            found.setdefault(f"{each.kind}/{each.name}", []).append(
                f"{each.version} ({digest})" if digest else str(each.version)
            )
    return found


def _packages(used: Sequence[Artifact]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in used:
        if each.kind == "environment":
            packages = each.metadata.get("packages")
            found |= packages if isinstance(packages, dict) else {}
            if python := each.metadata.get("python"):
                found["python"] = str(python)
    return found


def _code(
    tx: Transaction, ids: Sequence[str], used: Sequence[Sequence[Artifact]], baseline: int, read: Callable[[str], bytes]
) -> list[CodeDiff]:
    codes = [next((each for each in reversed(held) if each.kind == "code"), None) for held in used]
    found = []
    base = codes[baseline]
    for place, code in enumerate(codes):
        if place == baseline or (code and code.digest) == (base and base.digest):
            continue
        before, after = _patch(tx, base, read), _patch(tx, code, read)
        names = (f"run/{ids[baseline]}", f"run/{ids[place]}")
        changes = "\n".join(difflib.unified_diff(before, after, *names, lineterm="")) if before != after else ""
        about = code.metadata if code else {}
        found.append(CodeDiff(ids[place], str(about.get("commit", "")), str(about.get("repository", "")), changes))
    return found


def _patch(tx: Transaction, code: Artifact | None, read: Callable[[str], bytes]) -> list[str]:
    """The lines of what a run had changed."""
    lines: list[str] = []
    for file in graph.files_of(tx, code.id) if code else []:
        if file.size > _LARGEST_PATCH:
            lines.append(f"{file.path}: {file.size} bytes, {file.digest}")
        else:
            lines += read(file.digest).decode(errors="replace").splitlines()
    return lines if len(lines) <= _LINES else [*lines[:_LINES], f"... {len(lines) - _LINES} more lines"]
