"""Verbs: a room's operations as functions of its package, on the default client: `ms.data.commit("flights", frame)`.

A verb looks like the method it stands for (name, signature, documentation) and finds the client when it is called, so
that naming it opens nothing. The client lives floors above the rooms; its address is all that is known of it here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from mainspring.kernel.hooks import ROOMS, load

__all__ = ["verb", "verbs"]

_CLIENT = "mainspring.client.default:default_client"


def verb(room: str, method: str, *, name: str = "") -> Callable[..., Any]:
    """The method of a room's service as a function on the default client.

    Args:
        room: The room, as in `hooks.ROOMS`.
        method: The method of its service.
        name: What the function is called, where that is another word.
    """
    declared = getattr(load(next(each.service for each in ROOMS if each.name == room)), method)

    @functools.wraps(declared)
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(getattr(load(_CLIENT)(), room), method)(*args, **kwargs)

    whole = inspect.signature(declared)
    call.__signature__ = whole.replace(parameters=list(whole.parameters.values())[1:])  # type: ignore[attr-defined]  # what inspect asks first
    call.__name__ = call.__qualname__ = name or method
    del call.__dict__["__wrapped__"]  # it is called otherwise than the method, which takes a service
    return call


def verbs(package: str, names: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a room's package: those of `names` that it does not bind are verbs of its service."""
    room = package.rpartition(".")[2]
    known = frozenset(names)

    def find(name: str) -> Any:
        if name not in known:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return verb(room, name)

    return find
