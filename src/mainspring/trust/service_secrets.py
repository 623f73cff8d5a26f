"""Secrets: set, listed by name and deleted. No operation gives a value; what a step gets is sealed."""

from __future__ import annotations

from typing import Literal

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.operations import operation
from mainspring.store.service import RoomService
from mainspring.trust.secrets import check_secret_name, find_key, seal
from mainspring.trust.tables import SECRETS
from mainspring.trust.types import Sealed, SecretName, SecretRow

__all__ = ["SecretOperations"]

_LARGEST = 64 << 10


class SecretOperations(RoomService):
    """Secrets of a workspace."""

    @operation(permission="trust:admin", writes=True, resource="name")
    def set_secret(self, name: str, value: str) -> None:
        """Keep a secret, sealed with the key of this machine; steps that declare it read it with `ms.secret(name)`."""
        check_secret_name(name)
        if not value or len(value.encode(errors="replace")) > _LARGEST:
            raise InvalidInput(f"a secret has 1 to {_LARGEST} bytes")
        sealed = seal(value, key=find_key(create=True), workspace=caller().workspace, name=name)
        with self.store.write() as tx:
            row = SecretRow(tx.workspace, name, sealed.data, sealed.key_id, tx.now, caller().principal)
            tx.execute("DELETE FROM secret WHERE workspace = ? AND name = ?", (tx.workspace, name))
            tx.insert(SECRETS, row)
            tx.note(f"secret/{name}", key=sealed.key_id)

    @operation(permission="trust:read")
    def secrets(self) -> list[SecretName]:
        """The names of the secrets that the store keeps, and who set them."""
        with self.store.read() as tx:
            found = tx.fetch(SECRETS, "WHERE workspace = ? ORDER BY name", (tx.workspace,))
        return [SecretName(each.name, each.changed_at, each.changed_by) for each in found]

    @operation(permission="trust:admin", writes=True, resource="name")
    def delete_secret(self, name: str) -> None:
        """Forget a secret. Backups of the store that were made before have it, sealed."""
        with self.store.write() as tx:
            if not tx.execute("DELETE FROM secret WHERE workspace = ? AND name = ?", (tx.workspace, name)):
                names = [str(row[0]) for row in tx.rows("SELECT name FROM secret WHERE workspace = ?", (tx.workspace,))]
                raise NotFound(f"there is no secret {name!r}", known=nearest(name, names))
            tx.note(f"secret/{name}", deleted=True)

    @operation(permission="trust:write", writes=True, resource="name")
    def use_secret(
        self, name: str, *, step_id: str = "", source: Literal["environment", "store", "vault"] = "store"
    ) -> Sealed | None:
        """Record in the audit log that a step reads a secret; of one that the store keeps its sealed form comes back.

        Args:
            name: Which.
            step_id: Who reads it.
            source: Where it is found: `store` to ask whether it is there.
        """
        check_secret_name(name)
        if len(step_id) > 200:
            raise InvalidInput(f"{step_id[:40]!r} is not the id of a step")
        with self.store.write() as tx:
            row = tx.fetch_one(SECRETS, "WHERE workspace = ? AND name = ?", (tx.workspace, name))
            if source == "store" and row is None:
                return None
            tx.note(f"secret/{name}", read=source, step=step_id)
        return Sealed(row.sealed, row.key_id) if row is not None and source == "store" else None
