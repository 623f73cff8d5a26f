r"""Regular expressions that everybody needs, in RE2's syntax; each finds its pattern anywhere in a text."""

from __future__ import annotations

__all__ = ["PATTERNS", "whole"]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

PATTERNS: dict[str, str] = {
    # Four groups of a card whose first digits a network has, or the fifteen digits of American Express.
    "credit_card": r"\b(?:(?:4\d{3}|5[1-5]\d{2}|2(?:2[2-9]|[3-6]\d|7[01])\d|6(?:011|5\d{2}))(?:[ -]?\d{4}){3}"
    r"|3[47]\d{2}[ -]?\d{6}[ -]?\d{5})\b",
    # What browsers accept in a field for an address (the HTML standard), with a dot in the domain.
    "email": rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})+",
    # Areas 001 to 899 but 666, groups and serials that are not all zeros.
    "social_security_number": r"\b(?:00[1-9]|0[1-9]\d|[1-578]\d{2}|6(?:[0-57-9]\d|6[0-57-9]))"
    r"[- ]?(?:0[1-9]|[1-9]\d)[- ]?(?:000[1-9]|00[1-9]\d|0[1-9]\d{2}|[1-9]\d{3})\b",
    "url": r"(?:https?|ftp)://[^\s/$.?#][^\s]*",
    "uuid": r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b",
}
"""By name."""


def whole(name: str) -> str:
    """The expression that a whole text matches."""
    return f"^(?:{PATTERNS[name]})$"
