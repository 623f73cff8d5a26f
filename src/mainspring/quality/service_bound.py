"""Whether a dataset has a contract: what every commit asks, so it loads nothing that only an answer of yes needs."""

from __future__ import annotations

from mainspring.kernel.operations import operation
from mainspring.quality.contracts import Contract, bound_suite, contract_of
from mainspring.store.service import RoomService

__all__ = ["BoundOperations"]


class BoundOperations(RoomService, room="quality"):
    """The question alone; `ContractOperations` has it with all others."""

    @operation(permission="quality:read")
    def find_contract(self, dataset: str) -> Contract | None:
        """The contract of a dataset, or nothing: what every commit asks."""
        with self.store.read() as tx:
            row = bound_suite(tx, dataset)
            return None if row is None else contract_of(tx, row)
