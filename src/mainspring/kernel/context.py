"""Who is calling, and inside which operation: the context that travels with a call.

Kept in a context variable, so that it follows threads started with `contextvars.copy_context`,
asyncio tasks and nothing else. The ledger reads it when a change commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

__all__ = ["OWNER", "Caller", "acting_as", "caller", "current_action", "performing"]


class Caller(msgspec.Struct, frozen=True):
    """Who asks, in which workspace, under which request."""

    principal: str = "owner"
    workspace: str = "default"
    roles: tuple[str, ...] = ("admin",)
    request_id: str = ""
    method: str = "local"
    """How they showed who they are: `local` (owner of the folder), `token`, `system`."""
    scope: str = "*"
    """The workspaces that they may enter: the name of one, or `*`."""


OWNER = Caller()
"""The owner of the folder: who calls when nobody else was named."""

_caller: ContextVar[Caller] = ContextVar("mainspring.caller", default=OWNER)
_action: ContextVar[str] = ContextVar("mainspring.action", default="")


def caller() -> Caller:
    """Who is calling now."""
    return _caller.get()


def current_action() -> str:
    """The operation that is running now, `room.verb`, or an empty text outside of any."""
    return _action.get()


@contextmanager
def acting_as(who: Caller) -> Iterator[Caller]:
    """Make `who` the caller inside the block."""
    token = _caller.set(who)
    try:
        yield who
    finally:
        _caller.reset(token)


@contextmanager
def performing(action: str) -> Iterator[None]:
    """Name what is being done inside the block; changes made there are recorded under it."""
    token = _action.set(action)
    try:
        yield
    finally:
        _action.reset(token)
