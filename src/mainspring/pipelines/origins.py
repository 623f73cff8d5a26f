"""Where values come from: which objects of this process are results of steps, and in which blobs they lie.

So a large result is not written again when it is given to the next step, and the lineage knows that the step used it.
Objects are known by identity, as long as they live.
"""

from __future__ import annotations

import weakref
from typing import Any

from mainspring.pipelines.codecs import codec_for

__all__ = ["Origins"]

_DEEP = 4


class Origins:
    """The results that are alive in this process. Used by many threads."""

    def __init__(self) -> None:
        self._trees: dict[int, tuple[Any, dict[str, Any], str]] = {}

    def learn(self, value: Any, tree: Any) -> None:
        """Remember that `value` was written as `tree`, and so were its parts."""
        self._learn(value, tree, 0)

    def digest(self, part: Any) -> str:
        """What stands for a part whose content has no canonical digest: the blob it was written to; empty otherwise."""
        codec = codec_for(part)
        found = None if codec is None or codec.canonical else self.written(part)
        return str(found["digest"]) if found else ""

    def blob(self, part: Any) -> str:
        """The blob that `part` was written to, even if it was altered since; empty when it is no result of a step."""
        found = self._trees.get(id(part))
        return str(found[1]["digest"]) if found is not None and found[0]() is part else ""

    def written(self, part: Any) -> dict[str, Any] | None:
        """How `part` was written, or None when it is no result of a step, or was altered since."""
        found = self._trees.get(id(part))
        codec = codec_for(part)
        if found is None or codec is None or found[0]() is not part:
            return None
        return found[1] if found[2] and codec.digest(part) == found[2] else None

    def _learn(self, value: Any, tree: Any, depth: int) -> None:
        if isinstance(tree, list) and isinstance(value, list):
            for part, written in zip(value, tree, strict=True):
                self._learn(part, written, depth + 1)
        if not isinstance(tree, dict) or depth > _DEEP:
            return
        tag = tree.get("$")
        if tag == "bytes" and (codec := codec_for(value)) is not None:
            self._remember(value, tree, codec.digest(value))
        elif tag == "tuple" and isinstance(value, tuple):
            for part, written in zip(value, tree["items"], strict=True):
                self._learn(part, written, depth + 1)
        elif tag == "struct":
            for name, written in tree["fields"].items():
                self._learn(getattr(value, name, None), written, depth + 1)
        elif tag is None and isinstance(value, dict):
            for name, written in tree.items():
                self._learn(value.get(name), written, depth + 1)

    def _remember(self, value: Any, tree: dict[str, Any], content: str) -> None:
        place = id(value)

        def forget(_: object) -> None:
            self._trees.pop(place, None)

        try:
            self._trees[place] = (weakref.ref(value, forget), tree, content)
        except TypeError:
            return  # bytes and the like cannot be referred to weakly; their content is digested instead
