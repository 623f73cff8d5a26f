"""What may be listened to: addresses and options of sources, checked before anything is recorded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mainspring.kernel.errors import InvalidInput, nearest

__all__ = ["address_of", "check_source"]

_OPTIONS: dict[str, dict[str, Any]] = {
    "file": {"every": 5.0, "existing": False, "settle": 1.0},
    "nats": {"stream": "", "group": ""},
    "redis": {"group": "", "beginning": False},
    "kafka": {"group": "", "beginning": False},
}
_SCHEMES = {"nats": ("nats", "tls"), "redis": ("redis", "rediss"), "kafka": ("kafka",)}
_BOUNDS = {"every": (0.2, 86_400.0), "settle": (0.0, 3600.0)}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_GROUP = re.compile(r"[A-Za-z0-9_.\-]{0,100}")


def check_source(kind: str, address: str, topic: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a source, complete; `InvalidInput` when nothing could be listened to by them."""
    if not address or len(address) > 2000 or "\0" in address + topic or len(topic) > 500:
        raise InvalidInput("a source needs an address of at most 2000 characters, and a topic of at most 500")
    if kind == "file":
        _check_files(address, topic)
    else:
        scheme = urlsplit(address).scheme
        if scheme not in _SCHEMES[kind]:
            raise InvalidInput(f"{address!r} is no address of {kind}", hint=f"{_SCHEMES[kind][0]}://host:port")
        _refuse_secrets(address)
        if not topic:
            raise InvalidInput(
                "a source of messages needs a topic", hint="the subject, the key of the stream, the topic"
            )
    known = _OPTIONS[kind]
    complete = dict(known)
    for name, value in options.items():
        if name not in known:
            raise InvalidInput(f"a source of the kind {kind} has no option {name!r}", known=nearest(name, known))
        complete[name] = _checked(name, value, known[name])
    return complete


def address_of(address: str) -> str:
    """The address with what `${NAME}` stands for in this process's environment."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise InvalidInput(f"the address needs ${{{found[1]}}}, and the environment of this process has none")
        return os.environ[found[1]]

    return _VARIABLE.sub(value, address)


def _check_files(address: str, topic: str) -> None:
    if topic:
        raise InvalidInput("a source of files has no topic", hint="the pattern is the address")
    if "://" in address:
        if urlsplit(address).scheme != "s3" or not urlsplit(address).netloc:
            raise InvalidInput(f"{address!r} is neither a path nor s3://bucket/pattern")
        return
    path = PurePath(address)
    if not path.is_absolute() or ".." in path.parts:
        raise InvalidInput(f"{address!r} is not an absolute path", hint="client.pipelines.watch_files makes it one")


def _refuse_secrets(address: str) -> None:
    """An address is shown to whoever may read, and stored as it is."""
    parts = urlsplit(address)
    named = [value for name, value in parse_qsl(parts.query) if "password" in name or "secret" in name]
    userinfo = parts.netloc.rpartition("@")[0].partition(":")[2]
    if any(value and not _VARIABLE.fullmatch(value) for value in (userinfo, *named)):
        raise InvalidInput(
            "the address has a password in it, and is stored as it is", hint="write ${NAME}, of the environment"
        )


def _checked(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise InvalidInput(f"the option {name} is true or false, not {value!r}")
        return value
    if isinstance(default, float):
        least, most = _BOUNDS[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise InvalidInput(f"the option {name} is {least:g} to {most:g} seconds, not {value!r}")
        return float(value)
    if not isinstance(value, str) or not _GROUP.fullmatch(value):
        raise InvalidInput(f"the option {name} is a word, not {value!r}")
    return value
