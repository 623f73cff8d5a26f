"""What a container is given, read from its command line: `NAME=KIND:VALUE`.

- `json:[1, 2]`: JSON in the form of `pipelines.values`; `{"$": "input", "name": "a"}` in it is an `--input`
- `text:`, `integer:`, `number:`, `boolean:`, `list:`, `object:`, `date:`, `datetime:`: a parameter, as people write it;
  an empty date is that of the run
- `file:PATH`: the value in a file of `exports.portable`
- `files:COUNT:FOLDER`: a list of the values in files named 0, 1, 2, ...
- `artifacts:NAME`: a list of the values of an input of Kubeflow Pipelines
- `item:INDEX:KIND:VALUE`: one item of a list that is mapped over; all lists that are given must be equally long
- `part:INDEX:KIND:VALUE`: one part of a tuple
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.exports.portable import Bytes, read_tree
from mainspring.pipelines.values import decode

__all__ = ["Inputs"]

_MOUNTS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/", "oci://": "/oci/"}
"""Where Kubeflow Pipelines puts artifacts before a container starts."""


class Inputs:
    """Reads arguments.

    Args:
        declared: Parts that `json` arguments name.
        executor_input: What Kubeflow Pipelines says of inputs and outputs, as JSON.
        fired: The moment that the run is for.
        tz: The zone of its date.
        allow_pickle: Whether pickled values may be read.

    Example:
        >>> reader = Inputs(fired=datetime(2026, 11, 21, 23, 30), tz="UTC")
        >>> reader.arguments(["n=integer:3", "kinds=json:[true]", "day=date:", "second=item:1:list:[5, 6]"])
        {'n': 3, 'kinds': [True], 'day': datetime.date(2026, 11, 21), 'second': 6}
    """

    def __init__(
        self,
        *,
        fired: datetime,
        tz: str = "UTC",
        declared: Iterable[str] = (),
        executor_input: str = "",
        allow_pickle: bool = False,
    ) -> None:
        self._fired = fired.astimezone(ZoneInfo(tz)) if fired.tzinfo else fired
        self._zone = ZoneInfo(tz)
        self._executor = msgspec.json.decode(executor_input) if executor_input else {}
        self._pickle = allow_pickle
        self._blobs = Bytes()
        self._lengths: set[int] = set()
        self._readers: dict[str, Callable[[str], Any]] = {
            "json": lambda text: self._filled(msgspec.json.decode(text)),
            "text": str,
            "integer": _integer,
            "number": float,
            "boolean": _boolean,
            "list": msgspec.json.decode,
            "object": msgspec.json.decode,
            "date": self._date,
            "datetime": self._datetime,
            "file": self._file,
            "files": self._files,
            "artifacts": self._artifacts,
            "item": self._item,
            "part": self._part,
        }
        self._parts: dict[str, Any] = {}
        self._parts = self._trees(declared)

    def arguments(self, texts: Iterable[str]) -> dict[str, Any]:
        """The values by name."""
        trees = self._trees(texts)
        if len(self._lengths) > 1:
            raise InvalidInput(f"map: what is spread is not equally long: {sorted(self._lengths)}")
        return {name: decode(tree, self._blobs, allow_pickle=self._pickle) for name, tree in trees.items()}

    def _trees(self, texts: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for text in texts:
            name, equals, rest = text.partition("=")
            if not (name and equals):
                raise InvalidInput(f"{text[:80]!r} is no argument", hint="NAME=KIND:VALUE")
            found[name] = self._tree(rest, name)
        return found

    def _tree(self, text: str, name: str) -> Any:
        """What `KIND:VALUE` means, in the form of `values.encode`."""
        kind, colon, rest = text.partition(":")
        if not colon or kind not in self._readers:
            raise InvalidInput(f"{name}: {text[:80]!r} has no kind that is known", known=tuple(self._readers))
        try:
            return self._readers[kind](rest)
        except (ValueError, OSError, KeyError, IndexError, msgspec.DecodeError) as error:
            raise InvalidInput(f"{name} cannot be read as {kind}: {error}") from None

    def _filled(self, tree: Any) -> Any:
        """The tree with what it names in its place."""
        if isinstance(tree, list):
            return [self._filled(each) for each in tree]
        if not isinstance(tree, dict):
            return tree
        if tree.get("$") == "input":
            return self._parts[tree["name"]]
        if tree.get("$") == "none":
            return None
        if tree.get("$") == "shared":
            shared = self._file(tree["file"])
            return self._items(shared)[tree["item"]] if "item" in tree else shared
        return {key: self._filled(each) for key, each in tree.items()}

    def _date(self, text: str) -> Any:
        if not text:
            return {"$": "date", "value": self._fired.date().isoformat()}
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(self._zone) if moment.tzinfo else moment
        return {"$": "date", "value": moment.date().isoformat()}

    def _datetime(self, text: str) -> Any:
        moment = datetime.fromisoformat(text) if text else self._fired
        return {"$": "datetime", "value": moment.isoformat()}

    def _file(self, text: str) -> Any:
        return read_tree(Path(text).read_bytes(), self._blobs)

    def _files(self, text: str) -> Any:
        count, _, folder = text.partition(":")
        return [self._file(f"{folder}/{place}") for place in range(int(count))]

    def _artifacts(self, text: str) -> Any:
        found = self._executor["inputs"]["artifacts"].get(text, {}).get("artifacts", [])
        return [self._file(_mounted(each["uri"])) for each in found]

    def _item(self, text: str) -> Any:
        index, _, rest = text.partition(":")
        items = self._items(self._tree(rest, "the list"))
        self._lengths.add(len(items))
        return items[_integer(index)]

    def _part(self, text: str) -> Any:
        index, _, rest = text.partition(":")
        return self._items(self._tree(rest, "the tuple"))[_integer(index)]

    def _items(self, tree: Any) -> list[Any]:
        if isinstance(tree, dict) and tree.get("$") == "json":
            tree = msgspec.json.decode(self._blobs.get(tree["digest"]))
        if isinstance(tree, dict) and tree.get("$") == "tuple":
            tree = tree["items"]
        if not isinstance(tree, list):
            raise InvalidInput("map needs a list, and was given something else", hint="return a list from the step")
        return tree


def _integer(text: str) -> int:
    number = float(text) if "." in text or "e" in text.lower() else int(text)  # some orchestrators know floats only
    if number != int(number):
        raise ValueError(f"{text} is no integer")
    return int(number)


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
    if text.lower() not in known:
        raise ValueError(f"{text!r} is neither true nor false")
    return known[text.lower()]


def _mounted(uri: str) -> str:
    for scheme, folder in _MOUNTS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    return uri
