"""Imported last by a process that has a flow's module: reads the code of its flows once, for every run of them."""

from __future__ import annotations

import sys
from contextlib import suppress

from mainspring.pipelines.decorators import Flow

__all__: list[str] = []


def _read_flows() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("mainspring."):
            continue
        for found in list(vars(module).values()):
            if type(found) is Flow:
                with suppress(Exception):  # the run that needs it says what is wrong
                    found.code()


_read_flows()
