"""The whole machine-learning lifecycle in one package, on one store and one lineage graph.

import mainspring as ms

with ms.run("flight-delay", params={"depth": 6}) as run:
    run.log(step=1, loss=0.4)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.client.client import Client, connect
    from mainspring.pipelines.context import current_step
    from mainspring.pipelines.decorators import flow, step
    from mainspring.quality.suite import expect

__all__ = ["Client", "connect", "current_step", "expect", "flow", "step"]

__version__ = "0.1.0"

_LAZY = {
    "Client": "mainspring.client.client",
    "connect": "mainspring.client.client",
    "current_step": "mainspring.pipelines.context",
    "expect": "mainspring.quality.suite",
    "flow": "mainspring.pipelines.decorators",
    "step": "mainspring.pipelines.decorators",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'mainspring' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
