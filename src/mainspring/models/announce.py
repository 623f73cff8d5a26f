"""Telling the world: an event for what happens in the registry, in the transaction in which it happens."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from mainspring.store.transaction import Transaction

__all__ = ["announce"]


def announce(tx: Transaction, kind: str, *, subject: str, **data: Any) -> None:
    """Emit an event: `model.version.created`, `model.alias.set`, ...; webhooks get it after the commit.

    Args:
        tx: The transaction of the change.
        kind: What happened.
        subject: To what: `model/name` or `model/name@version`.
        data: What a listener needs to know, as JSON types.
    """
    emit = _emitter()
    if emit is not None:
        emit(tx, kind, subject=subject, data=data)


@cache
def _emitter() -> Any:
    if importlib.util.find_spec("mainspring.events") is None:
        return None
    return getattr(importlib.import_module("mainspring.events.outbox"), "emit", None)
