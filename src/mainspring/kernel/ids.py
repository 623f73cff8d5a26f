"""Identifiers: UUID version 7 (RFC 9562), as text that sorts by the time of its making.

Written by hand because Python gains `uuid.uuid7` only in 3.14; a dependency for twenty lines is not worth it.
"""

from __future__ import annotations

import os
import threading

from mainspring.kernel.clock import now_micros

__all__ = ["new_id"]

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A new UUIDv7: 48 bits of milliseconds, 12 bits of order within them, 62 random bits.

    Ids of one process are strictly increasing, even when the clock is set back: the
    millisecond never goes below the last one used.

    Example:
        >>> first, second = new_id(), new_id()
        >>> first < second and len(first) == 36
        True
    """
    global _last  # noqa: PLW0603 -- the one piece of state behind "strictly increasing"
    micros = now_micros()
    # The tick is (milliseconds << 12 | fraction of the millisecond), RFC 9562 section 6.2, method 3.
    tick = (micros // 1000) << 12 | (micros % 1000) * 4096 // 1000
    with _lock:
        tick = _last = max(tick, _last + 1)
    random = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF
    value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0x2 << 62 | random
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
