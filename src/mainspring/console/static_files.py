"""Styles and scripts: read once, served under a path that names their content, so that browsers keep them."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

from mainspring.kernel.hashing import digest_bytes, digest_tree

__all__ = ["MEDIA_TYPES", "compressed", "static_digest", "static_files"]

_FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def static_files() -> dict[str, bytes]:
    """Every file by its name, with the folder that it is in."""
    return {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes()
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }


@cache
def compressed(name: str) -> bytes:
    """A file as it goes over the wire to whoever takes gzip; made once."""
    return gzip.compress(static_files()[name], 9, mtime=0)


@cache
def static_digest() -> str:
    """Sixteen hex digits that change with any of the files."""
    return digest_tree([(name, len(data), digest_bytes(data)) for name, data in static_files().items()])[:16]
