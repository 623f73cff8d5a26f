"""Replaying requests against two servers and saying where the answers differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["Replay", "differences"]

_TIMES = {"creation_time", "last_update_time", "start_time", "end_time", "timestamp"}
_SERVER_TIME = 1_500_000_000_000
"""Times that the cases give lie before it."""
_BY_KEY = {"tags", "params", "metrics"}


class Replay:
    """Sends each request to both servers, with each one's own ids in the places of `{names}`."""

    def __init__(self, stock: Any, ours: Any) -> None:
        self.servers = (stock, ours)
        self.names: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def send(self, method: str, path: str, *, save: dict[str, str] | None = None, **request: Any) -> list[Any]:
        """The answers of stock MLflow and of ours, with ids and times taken out."""
        replies = []
        for server, names in zip(self.servers, self.names, strict=True):
            filled = {key: _filled(value, names) for key, value in request.items()}
            reply = server.send(method, _filled(path, names), **filled)
            for name, place in (save or {}).items():
                names[name] = str(_at(reply.body, place))
            reply.body = _plain(reply.body, names)
            replies.append(reply)
        return replies


def differences(stock: Any, ours: Any) -> list[str]:
    """What is different, a line for each place."""
    if stock.status != ours.status:
        return [f"status {stock.status} -> {ours.status}: {_short(stock.body)} -> {_short(ours.body)}"]
    if stock.body is None and ours.status >= 400:
        return []  # a page of HTML
    return list(_compared(stock.body, ours.body, ""))


def _compared(stock: Any, ours: Any, place: str) -> Iterator[str]:
    if isinstance(stock, dict) and isinstance(ours, dict):
        for key in sorted({*stock, *ours}):
            yield from _compared(stock.get(key), ours.get(key), f"{place}.{key}" if place else key)
    elif isinstance(stock, list) and isinstance(ours, list) and len(stock) == len(ours):
        for at, (theirs, mine) in enumerate(zip(stock, ours, strict=True)):
            yield from _compared(theirs, mine, f"{place}[{at}]")
    elif stock != ours:
        yield f"{place}: {_short(stock)} -> {_short(ours)}"


def _filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: _filled(each, names) for key, each in value.items()}
    return [_filled(each, names) for each in value] if isinstance(value, list) else value


def _plain(value: Any, names: dict[str, str], key: str = "") -> Any:
    if isinstance(value, str):
        for name, identity in sorted(names.items(), key=lambda item: -len(item[1])):
            if len(identity) > 8:
                value = value.replace(identity, f"<{name}>")
        value = re.sub(r"\b[0-9a-f]{32}\b", "<another>", value)
        if key == "experiment_id":
            return next((f"<{name}>" for name, identity in names.items() if identity == value), "<another>")
        return "<token>" if key == "next_page_token" else value
    if isinstance(value, dict):
        return {name: _plain(each, names, name) for name, each in value.items()}
    if isinstance(value, list):
        items = [_plain(each, names) for each in value]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if key in _BY_KEY else items
    if key in _TIMES and isinstance(value, int) and value > _SERVER_TIME:
        return "<now>"
    return value


def _at(body: Any, place: str) -> Any:
    for part in place.split("."):
        body = body[part]
    return body


def _short(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if len(text) < 300 else f"{text[:300]}..."
