"""Writing behind: while one pack is on its way to the disk, the next one is cut and hashed."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["behind"]

T = TypeVar("T")
R = TypeVar("R")

_THREADS = 2
"""One writes while others wait for the disk."""


def behind(items: Iterable[T], work: Callable[[T], R]) -> Iterator[R]:
    """What the work makes of the items, in their order, done by threads while further items are made.

    Raises:
        Exception: What the work raised; then no further item is taken.

    Example:
        >>> list(behind([1, 2, 3], str))
        ['1', '2', '3']
    """
    under_way: deque[Future[R]] = deque()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="write-behind") as pool:
        for item in items:
            if len(under_way) >= _THREADS:
                yield under_way.popleft().result()
            under_way.append(pool.submit(contextvars.copy_context().run, work, item))
        while under_way:
            yield under_way.popleft().result()
