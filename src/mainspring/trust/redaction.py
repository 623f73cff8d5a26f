"""Values of secrets that this process has read, and taking them out of what is recorded.

A value is found as it is and in the encodings in which it usually travels: base64 (at any place of a longer text, as in
HTTP's basic authentication), base16, quoted in URLs, escaped in JSON. What the program does to it beyond that (cuts it
in two, encrypts it) is not found: this guards against accidents, and not against code that wants to tell.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

__all__ = ["MARK", "active", "holds_secret", "redacted", "redacted_tree", "remember"]

MARK = "***"
_SHORTEST = 4
"""Characters: what is shorter is in every text, and nothing of it would be left."""
_LINE = 8
_lock = threading.Lock()
_forms: dict[str, str] = {}
_pattern: re.Pattern[str] | None = None
_bytes: re.Pattern[bytes] | None = None


def remember(name: str, value: str) -> None:
    """From now on take `value` out of what this process records."""
    global _pattern, _bytes  # noqa: PLW0603 -- what a process has read is one thing of the process
    with _lock:
        found = dict.fromkeys(_encodings(value), name)
        if found.keys() <= _forms.keys():
            return
        _forms.update(found)
        longest = sorted(_forms, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest)))
        _bytes = re.compile(b"|".join(re.escape(form.encode(errors="replace")) for form in longest))


def active() -> bool:
    """Whether anything is to be taken out. False in a process that has read no secret, where nothing below costs."""
    return _pattern is not None


def redacted(text: str) -> str:
    """A text without the values.

    Example:
        >>> redacted("nothing was read here")
        'nothing was read here'
    """
    return text if _pattern is None else _pattern.sub(MARK, text)


def redacted_tree(value: Any) -> Any:
    """A JSON value whose texts, keys among them, are without the values."""
    if _pattern is None:
        return value
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(key) if isinstance(key, str) else key: redacted_tree(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_tree(each) for each in value]
    return value


def holds_secret(data: bytes | str) -> str:
    """The name of a secret whose value is in there, or an empty text."""
    if _pattern is None or _bytes is None:
        return ""
    if isinstance(data, str):
        found = _pattern.search(data)
        return _forms.get(found[0], "") if found else ""
    there = _bytes.search(data)
    return _forms.get(there[0].decode(errors="replace"), "a secret") if there else ""


def _encodings(value: str) -> Iterator[str]:
    for part in {value, value.strip(), *(line.strip() for line in value.splitlines() if len(line.strip()) >= _LINE)}:
        if len(part) < _SHORTEST:
            continue
        data = part.encode(errors="replace")
        yield part
        yield data.hex()
        yield data.hex().upper()
        yield urllib.parse.quote(part, safe="")
        yield urllib.parse.quote(part)
        yield urllib.parse.quote_plus(part)
        yield json.dumps(part)[1:-1]
        yield json.dumps(part, ensure_ascii=False)[1:-1]
        yield repr(part)[1:-1]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(data).decode().rstrip("=")
            for shift in range(3):  # inside of a longer text it begins at any of three places
                whole = encode(bytes(shift) + data).decode().rstrip("=")
                first, rest = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
                if rest - first >= _LINE:
                    yield whole[first:rest]
