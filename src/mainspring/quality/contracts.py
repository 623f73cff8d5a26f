"""Contracts: a suite bound to a dataset's name, which every new version passes before anybody can see it.

Who commits validates the proposal where the data is, and has the passed report admitted: bound to the digest of the
tree and to the version of the suite. The store records a version of a dataset under contract only where such an
admission is on record, so a client that skips the check gets nowhere.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import CheckFailed, NotFound
from mainspring.lineage import graph
from mainspring.lineage.types import Artifact
from mainspring.quality.tables import ADMISSIONS, CONTRACTS, BoundSuite
from mainspring.quality.types import Expectation, Suite, ValidationReport
from mainspring.store.transaction import Transaction

__all__ = ["Contract", "bound_suite", "check_admitted", "check_covers", "contract_of", "no_contract"]


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What is promised of a dataset."""

    dataset: str
    suite: str
    """Reference of the suite's version."""
    suite_id: str
    expectations: int
    note: str
    created_at: datetime
    created_by: str


def bound_suite(tx: Transaction, dataset: str) -> BoundSuite | None:
    """The row of a contract; None where the dataset has none."""
    return tx.fetch_one(CONTRACTS, "WHERE workspace = ? AND dataset = ?", (caller().workspace, dataset))


def contract_of(tx: Transaction, row: BoundSuite) -> Contract:
    """A contract with what its suite is called."""
    found: Artifact = graph.find_artifact(tx, row.suite_id)
    return Contract(
        dataset=row.dataset,
        suite=found.ref,
        suite_id=found.id,
        expectations=int(found.metadata.get("expectations", 0)),
        note=row.note,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def check_admitted(tx: Transaction, name: str, tree: str, commit: Any) -> None:
    """Refuse to record a version of a dataset under contract whose content was not admitted; see the hooks page."""
    contract = bound_suite(tx, name)
    if contract is None:
        return
    where = "WHERE workspace = ? AND dataset = ? AND tree = ? AND suite_id = ?"
    params = (caller().workspace, name, tree, contract.suite_id)
    if tx.fetch_one(ADMISSIONS, where, params) is None:
        suite = graph.find_artifact(tx, contract.suite_id).ref
        hint = "commit with data.commit of a client of this version, which validates first"
        if commit.born is not None:  # it was pulled, or imported: nobody has its rows at hand to validate them
            hint = f"its files may be had from where it is: mainspring data download REMOTE {name}; commit them here"
        raise CheckFailed(
            f"dataset {name!r} has a contract, and nobody validated this content against {suite}",
            hint=hint,
            details={"dataset": name, "suite": suite, "tree": tree},
        )


def check_covers(report: ValidationReport, suite: Suite) -> None:
    """Raise `CheckFailed` unless the report is about exactly these expectations and none that is critical failed."""
    said = sorted(_plain(result.expectation) for result in report.results)
    if said != sorted(_plain(each) for each in suite.expectations):
        raise CheckFailed(
            f"this report is not about the expectations of suite {suite.name!r}",
            hint="validate against the version of the suite that the contract names",
        )
    if report.verdict == "failed":
        raise CheckFailed(f"the report says that suite {suite.name!r} failed")


def no_contract(dataset: str) -> NotFound:
    """That a dataset has no contract."""
    return NotFound(f"dataset {dataset!r} has no contract", hint=f"quality.set_contract({dataset!r}, suite)")


def _plain(expectation: Expectation) -> bytes:
    """What an expectation says, without the history that was filled in."""
    arguments = {name: value for name, value in expectation.arguments.items() if name != "history"}
    return msgspec.json.encode(msgspec.structs.replace(expectation, arguments=arguments), order="deterministic")
