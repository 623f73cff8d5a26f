"""The shell around every page: navigation, keyboard help, themes."""

from __future__ import annotations

import msgspec

__all__ = ["KEYS", "NAVIGATION", "THEMES", "NavItem"]


class NavItem(msgspec.Struct, frozen=True):
    """One entry of the navigation."""

    section: str
    label: str
    path: str
    key: str
    """Pressed after `g`, goes there."""


NAVIGATION: tuple[NavItem, ...] = (
    NavItem("home", "Home", "/", "h"),
    NavItem("runs", "Runs", "/runs", "r"),
    NavItem("flows", "Flows", "/flows", "f"),
    NavItem("studies", "Studies", "/studies", "s"),
    NavItem("data", "Data", "/data", "d"),
    NavItem("quality", "Quality", "/quality", "q"),
    NavItem("models", "Models", "/models", "m"),
    NavItem("endpoints", "Endpoints", "/endpoints", "e"),
    NavItem("alerts", "Alerts", "/alerts", "a"),
    NavItem("lineage", "Lineage", "/lineage", "l"),
    NavItem("audit", "Audit", "/audit", "u"),
)

KEYS: tuple[tuple[str, str], ...] = (
    ("Ctrl K", "Command palette: go to any page or thing"),
    ("/", "Search"),
    ("?", "This help"),
    *((f"g {item.key}", f"Go to {item.label}") for item in NAVIGATION),
    ("j, k", "Next, previous row of a table"),
    ("Enter", "Open the marked row"),
    ("x", "Select the marked run"),
    ("q", "Filter runs"),
    ("1 2 3 4", "Runs as table, charts, parallel, scatter"),
    ("f", "The chart under the pointer on the full screen"),
    ("+ \u2212 0", "A graph of steps larger, smaller, whole; arrows move it"),
    ("p", "Pause or resume live updates"),
    ("t", "Next theme"),
    ("Esc", "Close"),
)

THEMES: tuple[str, ...] = ("system", "light", "dark")
