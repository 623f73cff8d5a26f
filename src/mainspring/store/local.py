"""The local backend: operations run here, on this store, in this process."""

from __future__ import annotations

from typing import Any

from mainspring.kernel.context import Caller, caller, performing
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.operations import Guard, Operation, Service
from mainspring.store.store import Store

__all__ = ["AllowAll", "LocalBackend"]


class AllowAll:
    """The guard of an embedded store: whoever can open the folder owns it."""

    def check(self, who: Caller, permission: str, resource: str) -> None:
        """Anybody may do anything: the file system has decided already."""


class LocalBackend:
    """Runs operations on a store, after asking the guard. Safe to use from many threads."""

    def __init__(self, store: Store, guard: Guard | None = None) -> None:
        self.store = store
        self.guard: Guard = guard or AllowAll()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def invoke(self, service: Service, operation: Operation, arguments: dict[str, Any]) -> Any:
        """Check the caller's right, then run the operation under its own name."""
        resource = str(arguments.get(operation.resource, "")) if operation.resource else ""
        self.guard.check(caller(), operation.permission, resource)
        with performing(operation.name):
            try:
                return operation.function(service, **arguments)
            except UnicodeEncodeError as error:
                raise InvalidInput(f"{operation.name}: text that is not Unicode: {error.reason}") from None
