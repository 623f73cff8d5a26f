"""Colours: ten for series, one per status, a ramp for heat. The same thing has the same colour on every page.

The ten are the sequence of M. Petroff, "Accessible Color Sequences for Data Visualization"
(arXiv:2107.02270), found by search under simulated colour-vision deficiency; a dark theme redefines
the custom properties with lighter relatives. Colour is never the only sign: series have dashes and
a legend, statuses have a word.
"""

from __future__ import annotations

from mainspring.kernel.hashing import digest_bytes

__all__ = ["DASHES", "SERIES", "series_colour", "slot_of", "slots_of", "status_colour", "tone_of"]

SERIES = ("#3f90da", "#e08e00", "#bd1f01", "#7f908e", "#832db6", "#a96b59", "#e76300", "#a09255", "#717581", "#3fa9ad")
DASHES = ("", "6 3", "2 3", "8 3 2 3")

_STATUS = {
    "good": "var(--good, #1a7f5a)",
    "busy": "var(--busy, #2f6fd0)",
    "warn": "var(--warn, #b46a00)",
    "bad": "var(--bad, #c2331c)",
    "idle": "var(--idle, #7a828c)",
}
_TONES = {
    "good": "finished succeeded passed ok approved resolved promoted healthy completed memoised cached active champion",
    "busy": "running started open pending-approval rolling shadow canary claimed leased",
    "warn": "paused buffered warning warn waiting retrying degraded suppressed acknowledged medium",
    "bad": "failed drift crashed missed expired dead error firing rejected rolled_back rolled-back critical high"
    " quarantined damaged lost",
}
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in (tone, *words.split())}


def slot_of(identity: str) -> int:
    """The colour slot, 0 to 9, of a thing: the same on every page and every day.

    Example:
        >>> slot_of("a") == slot_of("a")
        True
    """
    return int(digest_bytes(identity.encode("utf-8", "replace"))[:8], 16) % len(SERIES)


def slots_of(identities: list[str]) -> list[tuple[int, str]]:
    """Colour slot and dash of each thing in one chart: two things of one colour differ in their dash."""
    seen: dict[int, int] = {}
    found = []
    for slot in map(slot_of, identities):
        found.append((slot, DASHES[seen.get(slot, 0) % len(DASHES)]))
        seen[slot] = seen.get(slot, 0) + 1
    return found


def series_colour(slot: int) -> str:
    """The colour of a slot as CSS."""
    slot %= len(SERIES)
    return f"var(--s{slot}, {SERIES[slot]})"


def tone_of(status: str) -> str:
    """Which of five tones a status word has: good, busy, warn, bad or idle."""
    return _TONE_OF.get(status.strip().lower().replace(" ", "-"), "idle")


def status_colour(status: str) -> str:
    """The colour of a status word as CSS."""
    return _STATUS[tone_of(status)]
