"""The client: every room's operations in one object."""

from __future__ import annotations

from mainspring.client.client import Client, connect

__all__ = ["Client", "connect"]
