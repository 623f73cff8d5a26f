"""What a file of a run may be called."""

from __future__ import annotations

from mainspring.kernel.errors import InvalidInput

__all__ = ["check_path"]

_LONGEST = 1000


def check_path(path: str) -> str:
    """Return a path inside a run: relative, without steps up, without control characters; or raise `InvalidInput`.

    Example:
        >>> check_path("plots/roc.png")
        'plots/roc.png'
    """
    parts = path.split("/")
    if (
        not path
        or len(path) > _LONGEST
        or not path.isprintable()
        or "\\" in path
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise InvalidInput(
            f"{path!r:.80} is not the path of a file of a run", hint="relative, with forward slashes: plots/roc.png"
        )
    return path
