"""Results without secrets in them: a result is kept for ever, so one that holds the value of a secret is refused."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.values import BlobPort, encode
from mainspring.trust.redaction import active, holds_secret

__all__ = ["encode_clean"]


class _Checked:
    """Blobs, none of which holds the value of a secret that this process has read."""

    def __init__(self, blobs: BlobPort) -> None:
        self.get = blobs.get
        self._put = blobs.put

    def put(self, data: bytes, /) -> str:
        _refuse(holds_secret(data))
        return self._put(data)


def encode_clean(value: Any, blobs: BlobPort, **options: Any) -> Any:
    """`values.encode` of a step's result.

    Raises:
        InvalidInput: It holds the value of a secret, as it is or in a usual encoding.
    """
    if not active():
        return encode(value, blobs, **options)
    tree = encode(value, _Checked(blobs), **options)
    _refuse(_in_tree(tree))
    return tree


def _in_tree(tree: Any) -> str:
    if isinstance(tree, str):
        return holds_secret(tree)
    if isinstance(tree, bytes):
        return holds_secret(tree)
    if isinstance(tree, dict):
        return next((found for pair in tree.items() for each in pair if (found := _in_tree(each))), "")
    if isinstance(tree, list | tuple):
        return next((found for each in tree if (found := _in_tree(each))), "")
    if isinstance(tree, msgspec.Raw):
        return holds_secret(bytes(tree))
    return ""


def _refuse(name: str) -> None:
    if name:
        raise InvalidInput(
            f"the result holds the value of the secret {name}, and results are stored",
            hint="read the secret in the step that needs it: ms.secret(...)",
        )
