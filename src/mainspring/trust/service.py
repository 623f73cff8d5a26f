"""The operations of the trust room."""

from __future__ import annotations

import secrets
from datetime import timedelta

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Forbidden, InvalidInput, NotFound, nearest
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.trust.guard import hash_secret
from mainspring.trust.service_secrets import SecretOperations
from mainspring.trust.tables import TOKENS
from mainspring.trust.types import ROLES, NewToken, Token

__all__ = ["Trust"]


class Trust(SecretOperations, room="trust"):
    """Tokens, the principals that they stand for, and secrets."""

    @operation(permission="trust:admin", writes=True, resource="principal")
    def create_token(
        self, principal: str, *, role: str = "contributor", workspace: str = "default", days: int = 90
    ) -> NewToken:
        """Make a token for a person or a service; its secret is in the answer and nowhere else.

        Args:
            principal: Who it stands for.
            role: viewer, contributor, approver or admin.
            workspace: The one workspace it opens, or `*`.
            days: How long it is valid; 0 for ever.
        """
        check_name(principal, what="principal")
        if role not in ROLES:
            raise InvalidInput(f"{role!r} is not a role", known=nearest(role, ROLES))
        if workspace != "*":
            check_name(workspace, what="workspace")
        if caller().scope not in ("*", workspace):
            raise Forbidden(
                f"an administrator of {caller().scope!r} cannot open {workspace!r}", hint="ask one of every workspace"
            )
        if not 0 <= days <= 3650:
            raise InvalidInput(f"days = {days} is not from 0 (for ever) to 3650")
        secret = f"ms_{secrets.token_urlsafe(32)}"
        with self.store.write() as tx:
            expires = tx.now + timedelta(days=days) if days else None
            token = Token(
                new_id(), principal, workspace, [role], hash_secret(secret), tx.now, caller().principal, expires, None
            )
            tx.insert(TOKENS, token)
            tx.note(f"token/{token.id}", principal=principal, role=role)
        return NewToken(token, secret)

    @operation(permission="trust:admin")
    def tokens(self) -> list[Token]:
        """Every token that the caller may give out, newest first, without its secret."""
        scope = caller().scope
        with self.store.read() as tx:
            return tx.fetch(TOKENS, "WHERE ? = '*' OR workspace = ? ORDER BY id DESC", (scope, scope))

    @operation(permission="trust:admin", writes=True, resource="token_id")
    def revoke_token(self, token_id: str) -> None:
        """End a token at once."""
        scope = caller().scope
        with self.store.write() as tx:
            if not tx.execute(
                "UPDATE token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL AND (? = '*' OR workspace = ?)",
                (tx.now_micros, token_id, scope, scope),
            ):
                raise NotFound(f"there is no valid token {token_id!r}", hint="mainspring token list")
            tx.note(f"token/{token_id}", revoked=True)
