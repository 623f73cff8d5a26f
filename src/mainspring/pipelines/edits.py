"""Whether code was edited between two looks at it, or only its program changed the values that it reaches."""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["is_edited"]


def is_edited(before: Mapping[str, str], parts: Mapping[str, str], state: Collection[str]) -> bool:
    """Whether the parts of some code are written otherwise than `before`; False when nothing is known of that.

    Args:
        before: Digests of functions, classes and values, by their names, as `Code.parts` has them.
        parts: Those of now.
        state: Which of `parts` are values that the program itself changes: how they are written is a part of its own.

    Example:
        >>> before = {"m:f": "1", "m:seen": "2"}
        >>> is_edited(before, {"m:f": "1", "m:seen": "3"}, ["m:seen"]), is_edited(before, {"m:f": "4"}, [])
        (False, True)
    """
    return bool(before) and any(before.get(name) != digest for name, digest in parts.items() if name not in state)
