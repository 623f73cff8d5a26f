"""Writing behind: while one pack is on its way to the disk, the next one is cut and hashed."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["behind"]

T = TypeVar("T")

_THREADS = 2


def behind(items: Iterable[T], work: Callable[[T], object]) -> Iterator[T]:
    """The items as they come, while threads do the work on those before; all of it is done when this ends.

    Raises:
        Exception: What the work raised; then no further item is taken.

    Example:
        >>> done = []
        >>> list(behind([1, 2, 3], done.append)), sorted(done)
        ([1, 2, 3], [1, 2, 3])
    """
    under_way: deque[Future[object]] = deque()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="write-behind") as pool:
        for item in items:
            while len(under_way) >= _THREADS:
                under_way.popleft().result()
            under_way.append(pool.submit(contextvars.copy_context().run, work, item))
            yield item
        for each in under_way:
            each.result()
