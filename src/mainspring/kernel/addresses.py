"""What an address to listen on, or to send to, says about who can be at the other end."""

from __future__ import annotations

import ipaddress

__all__ = ["LOOPBACK", "is_loopback"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
"""How a browser on this machine calls a server on this machine."""


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("127.0.0.1.evil.example")
        (True, False, False)
    """
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, and names of others may begin like our address
        return False
