"""Styles and scripts: read once, served under a path that names their content, so that browsers keep them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mainspring.kernel.hashing import digest_bytes, digest_tree

__all__ = ["MEDIA_TYPES", "static_digest", "static_files"]

_FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def static_files() -> dict[str, bytes]:
    """Every file by its name."""
    return {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}


@cache
def static_digest() -> str:
    """Sixteen hex digits that change with any of the files."""
    return digest_tree([(name, len(data), digest_bytes(data)) for name, data in static_files().items()])[:16]
