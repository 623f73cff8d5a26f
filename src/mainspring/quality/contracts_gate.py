"""What a commit asks of a contract: the gate before a proposal is sent, and settling it when the version is there.

Both run at whoever commits, on a folder or through a server; see `COMMIT_GATES` and `AFTER_COMMIT` on the hooks page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.data.committing import Proposal
from mainspring.data.service import Data
from mainspring.data.types import DatasetVersion
from mainspring.kernel.errors import CheckFailed
from mainspring.quality.service_bound import BoundOperations

if TYPE_CHECKING:
    from mainspring.quality.types import ValidationReport

__all__ = ["admit_proposal", "settle_version"]

_SHOWN = 5  # rows of each failure in the error
_HINT = "correct the data, or divide it with quality.quarantine(frame, suite) and commit the rows that hold"


def admit_proposal(data: Data, proposal: Proposal) -> None:
    """Validate a proposal against the contract of its dataset, where it has one, and have the report admitted.

    Raises:
        CheckFailed: Something critical does not hold, or the files make no table. Nothing was sent or recorded.
    """
    contract = BoundOperations(data._backend).find_contract(proposal.name)  # noqa: SLF001 -- over the same connection
    if contract is None:
        return
    if proposal.scan() is None:
        raise CheckFailed(
            f"dataset {proposal.name!r} has a contract, and these files make no table that could be checked",
            hint="commit tabular files of one format and one schema",
            details={"dataset": proposal.name, "suite": contract.suite},
        )
    from mainspring.quality.service import Quality

    quality = Quality(data._backend)  # noqa: SLF001 -- as above
    suite = quality.suite(contract.suite_id)
    found = quality.validate_proposal(proposal, suite)
    _require(found, contract.suite)
    quality.admit(proposal.name, tree=proposal.tree.root, report=found)


def _require(report: ValidationReport, suite: str) -> None:
    """Raise with everything that is needed to see what is wrong: every failure, its counts, its first rows."""
    from mainspring.quality.validation import require

    try:
        require(report)
    except CheckFailed as error:
        failures = [
            {
                "kind": each.expectation.kind,
                "subject": each.expectation.subject,
                "severity": each.expectation.severity,
                "expected": each.expected,
                "message": each.message,
                "unexpected": each.unexpected,
                "sample": list(each.sample[:_SHOWN]),
            }
            for each in report.failures
        ]
        details = {**error.details, "suite": suite, "failures": failures}
        raise CheckFailed(error.message, hint=_HINT, details=details) from None


def settle_version(data: Any, version: DatasetVersion) -> None:
    """Keep the report that let a version in, in the lineage of the version."""
    if BoundOperations(data._backend).find_contract(version.name) is None:  # noqa: SLF001 -- as above
        return
    from mainspring.quality.service import Quality

    Quality(data._backend).settle(version.name, version=version.version)  # noqa: SLF001 -- as above
