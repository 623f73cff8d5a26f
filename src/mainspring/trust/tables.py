"""What the trust room keeps."""

from __future__ import annotations

from mainspring.store.records import Table
from mainspring.trust.types import Token

__all__ = ["MIGRATIONS", "TOKENS"]

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
""",
)
