"""What the trust room keeps."""

from __future__ import annotations

from mainspring.store.records import Table
from mainspring.trust.types import SecretRow, Token

__all__ = ["MIGRATIONS", "SECRETS", "TOKENS"]

SECRETS = Table("secret", SecretRow)
TOKENS = Table("token", Token)

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE token (
  id TEXT PRIMARY KEY,
  principal TEXT NOT NULL,
  workspace TEXT NOT NULL,
  roles TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT
);
CREATE TABLE secret (
  workspace TEXT NOT NULL,
  name TEXT NOT NULL,
  sealed TEXT NOT NULL,
  key_id TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by TEXT NOT NULL,
  PRIMARY KEY (workspace, name)
);
""",
)
