"""The default client: what `ms.run`, `ms.data.commit` and the other verbs of the package work on.

One for each store that is meant: inside a step of a flow the store that runs it, elsewhere what the environment names,
otherwise what `connect()` finds from the working folder when it is first asked. It stays open as long as the process
lives; a forked child opens its own, because a database's connections do not survive a fork.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading

from mainspring.client.client import Client, connect

__all__ = ["default_client"]

_NAMED = ("MAINSPRING_STORE", "MAINSPRING_URL", "MAINSPRING_WORKSPACE", "MAINSPRING_TOKEN")
_opening = threading.Lock()
_open: dict[tuple[str, ...], Client] = {}
_inherited: list[Client] = []


def default_client() -> Client:
    """The client of the store that is meant here, opened when it is first asked for. Safe to call from many threads.

    Example:
        >>> import os, tempfile
        >>> os.environ["MAINSPRING_STORE"] = tempfile.mkdtemp()
        >>> default_client() is default_client()
        True
        >>> del os.environ["MAINSPRING_STORE"]
    """
    context = sys.modules.get("mainspring.pipelines.context")  # not loaded: no step can be running
    step = context.current_step() if context else None
    store = step.store if step else ""
    meant = (store, *("" if store else os.environ.get(name, "") for name in _NAMED))
    found = _open.get(meant)
    if found is not None:
        return found
    with _opening:
        if meant not in _open:
            _open[meant] = connect(store)
        return _open[meant]


def _forked() -> None:
    """In a forked child: the parent's connections are not ours; they are kept, because closing touches its files."""
    global _opening  # noqa: PLW0603 -- a thread of the parent may have held it
    _opening = threading.Lock()
    _inherited.extend(_open.values())
    _open.clear()


def _close() -> None:
    with contextlib.ExitStack() as closing:  # one that cannot be closed keeps no other from it
        while _open:
            closing.callback(_open.popitem()[1].close)


os.register_at_fork(after_in_child=_forked)
atexit.register(_close)
