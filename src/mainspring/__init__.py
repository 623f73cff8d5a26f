"""The whole machine-learning lifecycle in one package, on one store and one lineage graph.

import mainspring as ms

with ms.run("flight-delay", params={"depth": 6}) as run:
    run.log(step=1, loss=0.4)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

__all__ = [
    "Audio",
    "Client",
    "Figure",
    "Handle",
    "Histogram",
    "Html",
    "Image",
    "Json",
    "MainspringError",
    "Table",
    "Text",
    "Video",
    "absent",
    "all_of",
    "any_of",
    "ask",
    "autolog",
    "card",
    "connect",
    "current_step",
    "data",
    "debounce",
    "each",
    "expect",
    "features",
    "fire_date",
    "fire_time",
    "flow",
    "log",
    "loop",
    "models",
    "monitor",
    "on",
    "progress",
    "run",
    "secret",
    "serve",
    "sleep",
    "spark",
    "step",
    "tune",
    "wait_for",
    "whole",
]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mainspring import data, features, loop, models
    from mainspring.autologging.switch import autolog
    from mainspring.client.client import Client, connect
    from mainspring.kernel.errors import MainspringError
    from mainspring.pipelines.cards import card, progress
    from mainspring.pipelines.context import current_step
    from mainspring.pipelines.decorators import flow, step
    from mainspring.pipelines.handles import Handle
    from mainspring.pipelines.parameters import fire_date, fire_time
    from mainspring.pipelines.secrets import secret
    from mainspring.pipelines.spark import spark
    from mainspring.pipelines.spreading import each, whole
    from mainspring.pipelines.types_triggers import absent, all_of, any_of, debounce, on
    from mainspring.pipelines.waits import ask, sleep, wait_for
    from mainspring.quality.suite import expect
    from mainspring.tracking.media import Audio, Figure, Histogram, Html, Image, Json, Table, Text, Video
    from mainspring.tracking.run import log
    from mainspring.tuning.search import tune

    _default = cast("Client", None)
    monitor = _default.monitoring.configure
    run = _default.tracking.run
    serve = _default.serving.deploy
else:
    _MEDIA = ("Audio", "Figure", "Histogram", "Html", "Image", "Json", "Table", "Text", "Video")
    _CONDITIONS = ("absent", "all_of", "any_of", "debounce", "on")
    _PLACES = {
        **dict.fromkeys(_MEDIA, "mainspring.tracking.media"),
        **dict.fromkeys(("ask", "sleep", "wait_for"), "mainspring.pipelines.waits"),
        **dict.fromkeys(_CONDITIONS, "mainspring.pipelines.types_triggers"),
        **dict.fromkeys(("card", "progress"), "mainspring.pipelines.cards"),
        "autolog": "mainspring.autologging.switch",
        "Client": "mainspring.client.client",
        "connect": "mainspring.client.client",
        "current_step": "mainspring.pipelines.context",
        "each": "mainspring.pipelines.spreading",
        "expect": "mainspring.quality.suite",
        "fire_date": "mainspring.pipelines.parameters",
        "fire_time": "mainspring.pipelines.parameters",
        "flow": "mainspring.pipelines.decorators",
        "Handle": "mainspring.pipelines.handles",
        "log": "mainspring.tracking.run",
        "MainspringError": "mainspring.kernel.errors",
        "spark": "mainspring.pipelines.spark",
        "secret": "mainspring.pipelines.secrets",
        "step": "mainspring.pipelines.decorators",
        "tune": "mainspring.tuning.search",
        "whole": "mainspring.pipelines.spreading",
    }
    _VERBS = {"monitor": ("monitoring", "configure"), "run": ("tracking", "run"), "serve": ("serving", "deploy")}

    def __getattr__(name: str) -> Any:
        import importlib

        if name in _VERBS:
            from mainspring.kernel.verbs import verb

            value = verb(*_VERBS[name], name=name)
        elif name in _PLACES:
            value = getattr(importlib.import_module(_PLACES[name]), name)
        elif name in __all__:
            return importlib.import_module(f"mainspring.{name}")
        else:
            raise AttributeError(f"module 'mainspring' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
