"""How commands name a flow and its parameters."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hooks import load
from mainspring.pipelines.decorators import Flow

__all__ = ["find_flow", "read_params"]


def find_flow(address: str) -> Flow[..., Any]:
    """The flow at `module:name`, the module looked for in the working folder too, as `python -m` does."""
    module, colon, name = address.partition(":")
    if not (module and colon and name):
        raise InvalidInput(f"{address!r} does not say where the flow is", hint="write module:function")
    if os.getcwd() not in sys.path:  # noqa: PTH109 -- as `sys.path` spells it
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        found = load(address)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"there is no flow at {address}: {error}", hint="run the command where the module is"
        ) from None
    if not isinstance(found, Flow):
        raise InvalidInput(f"{address} is not a flow", hint="decorate the function with @ms.flow")
    return found


def read_params(params: tuple[str, ...]) -> dict[str, Any]:
    """The values of `-p name=value`: JSON, or a text that is no JSON."""
    values: dict[str, Any] = {}
    for each in params:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{each!r} is not a parameter", hint="write -p name=value")
        try:
            values[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            values[name] = text
    return values
