"""Who may do what."""

from __future__ import annotations

from datetime import datetime

import msgspec

__all__ = ["ROLES", "NewToken", "Sealed", "SecretName", "SecretRow", "Token"]

ROLES: dict[str, tuple[str, ...]] = {
    "viewer": ("read",),
    "contributor": ("read", "write"),
    "approver": ("read", "write", "approve"),
    "admin": ("read", "write", "approve", "admin"),
}
"""The actions of each role, in every room of the workspaces that it holds for."""


class Token(msgspec.Struct, frozen=True):
    """A token as it is kept: its secret is stored as a hash and shown once, when it is made."""

    id: str
    principal: str
    workspace: str
    """The one workspace it opens, or `*`."""
    roles: list[str]
    hash: str
    """SHA-256 of the secret; it has 32 random bytes, so no salt and no slow hash is needed."""
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


class NewToken(msgspec.Struct, frozen=True):
    """A token just made, with its secret."""

    token: Token
    secret: str
    """`ms_...`: give it to the client now; it cannot be shown again."""


class Sealed(msgspec.Struct, frozen=True):
    """The value of a secret as only who has the key can read it."""

    data: str
    """Nonce and AES-256-GCM's answer, in base64."""
    key_id: str
    """Which key opens it."""


class SecretRow(msgspec.Struct, frozen=True):
    """A secret as it is kept."""

    workspace: str
    name: str
    sealed: str
    key_id: str
    changed_at: datetime
    changed_by: str


class SecretName(msgspec.Struct, frozen=True):
    """A secret as it is shown."""

    name: str
    changed_at: datetime
    changed_by: str
