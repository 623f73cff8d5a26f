"""What differs between two versions: parameters, figures, data, code, environment, signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from mainspring.engines.signature import Signature
from mainspring.kernel.errors import NotFound
from mainspring.lineage import graph
from mainspring.models.registry import find_version
from mainspring.models.types import ModelVersion, VersionDiff
from mainspring.store.transaction import Transaction

__all__ = ["diff_versions"]

T = TypeVar("T")
_CODE = ("commit", "branch", "changes", "source", "path", "remote")


def diff_versions(tx: Transaction, before: str, after: str) -> VersionDiff:
    """What differs from one version to another, of the same model or not."""
    first, second = find_version(tx, before), find_version(tx, after)
    facts = {
        name: (getattr(first, name), getattr(second, name))
        for name in ("format", "size", "classes", "stage", "source")
        if getattr(first, name) != getattr(second, name)
    }
    return VersionDiff(
        before=first.ref,
        after=second.ref,
        same_content=first.digest == second.digest,
        parameters=_changed(first.parameters, second.parameters),
        metrics=_changed(_figures(first), _figures(second)),
        data=(
            [each for each in first.data if each not in second.data],
            [each for each in second.data if each not in first.data],
        ),
        code=_code(tx, first, second),
        environment=_environment(tx, first, second),
        signature=_changed(_columns(first.signature), _columns(second.signature)),
        facts=facts,
    )


def _figures(version: ModelVersion) -> dict[str, Any]:
    """Every figure: those of the registration by name, those of a data as `name on data`."""
    found: dict[str, Any] = dict(version.metrics)
    for dataset, figures in version.measured.items():
        found.update((f"{name} on {dataset}", figure) for name, figure in figures.items())
    return found


def _changed(before: Mapping[str, T], after: Mapping[str, T]) -> dict[str, tuple[T | None, T | None]]:
    names = dict.fromkeys([*before, *after])
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _code(tx: Transaction, first: ModelVersion, second: ModelVersion) -> tuple[Any, Any] | None:
    if first.code == second.code:
        return None
    both = (_facts(tx, first.code), _facts(tx, second.code))
    one, other = ({key: each[key] for key in _CODE if each.get(key)} for each in both)
    return one, other


def _environment(
    tx: Transaction, first: ModelVersion, second: ModelVersion
) -> dict[str, tuple[str | None, str | None]]:
    if first.environment == second.environment:
        return {}

    def packages(ref: str) -> dict[str, str]:
        facts = _facts(tx, ref)
        python = {"python": str(facts["python"])} if facts.get("python") else {}
        return {**python, **facts.get("packages", {})}

    return _changed(packages(first.environment), packages(second.environment))


def _columns(signature: Signature) -> dict[str, str]:
    def one(each: Any) -> str:
        return f"{each.dtype}{list(each.shape)[1:] or ''}{' or missing' if each.nullable else ''}"

    inputs = {f"in {each.name}": one(each) for each in signature.inputs}
    return inputs | {f"out {each.name}": one(each) for each in signature.outputs}


def _facts(tx: Transaction, ref: str) -> dict[str, Any]:
    if not ref:
        return {}
    try:
        return graph.resolve(tx, ref).metadata
    except NotFound:
        return {}
