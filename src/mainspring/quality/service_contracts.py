"""The operations on contracts, and binding a suite where it is written."""

from __future__ import annotations

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import NotFound
from mainspring.kernel.hashing import canonical_json
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage import graph
from mainspring.lineage.types import File
from mainspring.quality import recording
from mainspring.quality.contracts import Contract, bound_suite, check_covers, contract_of, no_contract
from mainspring.quality.service_bound import BoundOperations
from mainspring.quality.service_suites import SuiteOperations
from mainspring.quality.tables import ADMISSIONS, CONTRACTS, Admission, BoundSuite
from mainspring.quality.types import Suite, ValidationReport
from mainspring.quality.validation import Suitable

__all__ = ["ContractOperations"]

_LONGEST = 2000  # characters of a note


class ContractOperations(SuiteOperations, BoundOperations):
    """Contracts: suites bound to names of datasets."""

    @operation(permission="quality:approve", writes=True, resource="dataset")
    def bind_contract(self, dataset: str, *, suite: str, note: str = "") -> Contract:
        """Bind a saved suite to a dataset: from now on every new version of it passes the suite, or is not recorded."""
        check_name(dataset, what="dataset")
        with self.store.write() as tx:
            bound = recording.resolve(tx, suite, "suite")
            if bound.kind != "suite":
                raise NotFound(f"{bound.ref} is not a suite")
            row = BoundSuite(caller().workspace, dataset, bound.id, note[:_LONGEST], tx.now, caller().principal)
            before = bound_suite(tx, dataset)
            tx.execute("DELETE FROM quality_contract WHERE workspace = ? AND dataset = ?", (row.workspace, dataset))
            tx.insert(CONTRACTS, row)
            tx.note(f"contract/{dataset}", before=before.suite_id if before else "", after=bound.id, suite=bound.ref)
            return contract_of(tx, row)

    @operation(permission="quality:approve", writes=True, resource="dataset")
    def remove_contract(self, dataset: str) -> None:
        """Take the contract of a dataset away; its versions are recorded unchecked from now on."""
        with self.store.write() as tx:
            where = (caller().workspace, dataset)
            if not tx.execute("DELETE FROM quality_contract WHERE workspace = ? AND dataset = ?", where):
                raise no_contract(dataset)
            tx.note(f"contract/{dataset}", after="")

    @operation(permission="quality:read")
    def contract(self, dataset: str) -> Contract:
        """The contract of a dataset; `NotFound` where it has none."""
        with self.store.read() as tx:
            row = bound_suite(tx, dataset)
            if row is None:
                raise no_contract(dataset)
            return contract_of(tx, row)

    @operation(permission="quality:read")
    def contracts(self) -> list[Contract]:
        """Every contract, by dataset."""
        with self.store.read() as tx:
            rows = tx.fetch(CONTRACTS, "WHERE workspace = ? ORDER BY dataset", (caller().workspace,))
            return [contract_of(tx, row) for row in rows]

    @operation(permission="quality:write", writes=True, resource="dataset")
    def admit(self, dataset: str, *, tree: str, report: ValidationReport) -> None:
        """Say that a content passed the contract of a dataset, before the version of it is recorded.

        Raises:
            CheckFailed: The report is not about the expectations of the contract, or something critical failed.
        """
        with self.store.read() as tx:
            row = bound_suite(tx, dataset)
        if row is None:
            raise no_contract(dataset)
        check_covers(report, self._get(row.suite_id, "suite", Suite))
        data = canonical_json(msgspec.structs.replace(report, dataset=dataset))
        digest = self.store.blobs.put(data)
        with self.store.write() as tx:
            key = (caller().workspace, dataset, tree, row.suite_id)
            tx.execute(
                "DELETE FROM quality_admission WHERE workspace = ? AND dataset = ? AND tree = ? AND suite_id = ?", key
            )
            tx.insert(
                ADMISSIONS,
                Admission(key[0], tree, row.suite_id, dataset, digest, len(data), settled=False, at=tx.now),
            )
            tx.note(f"contract/{dataset}", admitted=tree)

    @operation(permission="quality:write", writes=True, resource="dataset")
    def settle(self, dataset: str, *, version: int) -> ValidationReport | None:
        """Keep the report that let a version in as its validation; nothing where that is done already."""
        with self.store.read() as tx:
            made = graph.resolve(tx, f"dataset/{dataset}@{version}")
            row = bound_suite(tx, dataset)
            where = "WHERE workspace = ? AND dataset = ? AND tree = ? AND suite_id = ?"
            key = (caller().workspace, dataset, made.digest, row.suite_id if row else "")
            admitted = tx.fetch_one(ADMISSIONS, where, key)
        if admitted is None or admitted.settled:
            return None
        report = msgspec.json.decode(self.store.blobs.get(admitted.report_digest), type=ValidationReport)
        file = File("validation.json", admitted.report_size, admitted.report_digest)
        with self.store.write() as tx:
            if not tx.execute(
                "UPDATE quality_admission SET settled = 1 WHERE workspace = ? AND dataset = ? AND tree = ?"
                " AND suite_id = ? AND settled = 0",
                key,
            ):
                return None
            suite = graph.find_artifact(tx, admitted.suite_id)
            return recording.add_validation(tx, report, file=file, used=[(made, "dataset"), (suite, "suite")])

    def set_contract(self, dataset: str, suite: Suitable | str, *, note: str = "") -> Contract:
        """Bind a suite, or the reference of a saved one, to a dataset.

        A commit whose critical expectations fail is refused with `CheckFailed` before anybody can see it; warnings
        pass and are recorded with the version.

        Example:
            >>> import polars as pl, tempfile
            >>> from mainspring.client import connect
            >>> from mainspring.kernel.errors import CheckFailed
            >>> from mainspring.quality.suite import expect
            >>> with connect(tempfile.mkdtemp()) as client:
            ...     contract = client.quality.set_contract("numbers", expect("numbers").column("n").between(0, 9))
            ...     version = client.data.commit("numbers", pl.DataFrame({"n": [1]}))
            ...     try:
            ...         client.data.commit("numbers", pl.DataFrame({"n": [10]}))
            ...     except CheckFailed as error:
            ...         print(error.message, [each.version for each in client.data.versions("numbers")])
            numbers fails suite 'numbers' in 1 critical expectations: values of n are expected to be at least 0 and at \
most 9: 1 of 1 rows (100.000%) do not hold [1]
        """
        return self.bind_contract(dataset, suite=self.saved_suite(suite)[1], note=note)
