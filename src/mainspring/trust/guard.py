"""The rules: which caller has which permission."""

from __future__ import annotations

import hashlib

from mainspring.kernel.clock import now
from mainspring.kernel.context import Caller
from mainspring.kernel.errors import Forbidden, Unauthenticated
from mainspring.store.store import Store
from mainspring.trust.tables import TOKENS
from mainspring.trust.types import ROLES

__all__ = ["RoleGuard", "authenticate", "has_tokens", "hash_secret"]


class RoleGuard:
    """A caller may do what one of its roles may do; a permission `room:action` is granted by the action."""

    def check(self, who: Caller, permission: str, resource: str) -> None:
        """Return when `who` may; raise `Forbidden` otherwise."""
        action = permission.partition(":")[2]
        if any(action in ROLES.get(role, ()) for role in who.roles):
            return
        needed = next((role for role, actions in ROLES.items() if action in actions), "admin")
        subject = f" on {resource!r}" if resource else ""
        raise Forbidden(
            f"{who.principal} may not {permission}{subject}",
            hint=f"ask an administrator for the role {needed}",
            details={"permission": permission, "roles": list(who.roles)},
        )


def authenticate(store: Store, secret: str, *, workspace: str, request_id: str = "") -> Caller:
    """The caller that a token stands for; asked on every request, so that a revoked token ends at once.

    Raises:
        Unauthenticated: The token is unknown, expired or revoked.
        Forbidden: It opens another workspace.
    """
    with store.read() as tx:
        token = tx.fetch_one(TOKENS, "WHERE hash = ?", (hash_secret(secret),))
    if token is None or token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now()):
        raise Unauthenticated("this token is unknown, expired or revoked", hint="mainspring token create NAME")
    if token.workspace not in ("*", workspace):
        raise Forbidden(f"this token opens the workspace {token.workspace!r}, not {workspace!r}")
    return Caller(token.principal, workspace, tuple(token.roles), request_id, "token", token.workspace)


def has_tokens(store: Store) -> bool:
    """Whether anybody could show who they are."""
    with store.read() as tx:
        return bool(tx.value("SELECT 1 FROM token WHERE revoked_at IS NULL LIMIT 1"))


def hash_secret(secret: str) -> str:
    """What of a token's secret is stored."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
