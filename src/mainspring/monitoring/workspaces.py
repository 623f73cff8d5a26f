"""Looking into every workspace: what the scheduler's tickers have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from mainspring.kernel.context import acting_as, caller
from mainspring.kernel.errors import Conflict, MainspringError

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["in_each_workspace", "let"]

_LOG = logging.getLogger("mainspring.monitoring")


def in_each_workspace(client: Client, look: Callable[[Client], None]) -> None:
    """Call `look` once for every workspace that has an endpoint, acting in it; at a server, for the caller's only."""
    store = getattr(client.backend, "store", None)
    names = [caller().workspace]
    if store is not None:
        with store.read() as tx:
            names = [name for (name,) in tx.rows("SELECT DISTINCT workspace FROM endpoint ORDER BY workspace")]
    for name in names:
        with acting_as(msgspec.structs.replace(caller(), workspace=name)):
            look(client)


def let(look: Callable[[], object], *, what: str) -> None:
    """Call `look`; what it raises is logged and does not keep the others from being looked at."""
    try:
        look()
    except Conflict as error:
        _LOG.debug("%s: %s", what, error)  # another scheduler was quicker; it has done the same
    except MainspringError as error:
        _LOG.error("%s: %s", what, error)
    except Exception:  # noqa: BLE001 -- logged; a defect in one must not stop the watch over the rest
        _LOG.exception("%s failed", what)
