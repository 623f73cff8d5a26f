"""Facts about where and from what a model is made, as the registry speaks of them; tracking finds them out."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainspring.kernel.hashing import digest_bytes
from mainspring.kernel.names import check_name
from mainspring.models.types import Code, Environment
from mainspring.tracking.code_state import code_state
from mainspring.tracking.environment import packages

__all__ = ["code", "environment"]


def environment() -> Environment:
    """The interpreter and every installed distribution.

    Example:
        >>> "msgspec" in environment().packages
        True
    """
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=f"{platform.system()}-{platform.machine()}",
        packages=packages(),
    )


def code(source: Callable[..., Any] | str | Path | None = None) -> Code:
    """The code that is running: of a function's file, of a path, or of the program.

    Inside a Git repository that is the commit and a digest of all that differs from it (new files that Git does not
    ignore included); outside, a digest of the source file.
    """
    state = code_state(source)
    if state.top is not None:
        return Code(
            name=_named(state.top.name),
            commit=state.commit,
            branch=state.branch,
            changes=state.changes,
            remote=state.remote,
            path=state.path,
        )
    if not state.content:
        return Code(name="interactive")
    return Code(name=_named(Path(state.path).stem), source=digest_bytes(state.content), path=state.path)


def _named(text: str) -> str:
    return check_name(re.sub(r"[^\w.\-]+|^[^\w]+", "-", text).lstrip("-.") or "code")
