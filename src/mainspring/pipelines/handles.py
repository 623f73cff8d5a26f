"""Results that are still being made: what `step.submit` gives."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future
from typing import Any, ClassVar, TypeVar, cast

__all__ = ["Handle", "resolved"]

T = TypeVar("T")

_SEARCHED = 100_000
"""Items up to which a list is searched: more are data."""


class Handle(Future[T]):
    """The future result of a step. Given to another step, alone or in a list or dict, it is waited for and replaced.

    Example:
        >>> from mainspring.pipelines import step
        >>> @step
        ... def load(day: int) -> list[int]:
        ...     return [day]
        >>> @step
        ... def count(rows: list[int]) -> int:
        ...     return len(rows)
        >>> count(load.submit(3).later)
        1
    """

    any_made: ClassVar[bool] = False
    """Whether arguments have to be searched for handles at all."""

    def __init__(self) -> None:
        super().__init__()
        Handle.any_made = True

    @property
    def later(self) -> T:
        """This handle, typed as the result that it stands for: to be given to a step, and for type checkers."""
        return cast("T", self)

    def __await__(self) -> Generator[Any, None, T]:
        """In an `async def`, wait for it without holding up the others."""
        import asyncio  # who awaits has imported it

        return asyncio.wrap_future(self).__await__()


def resolved(value: Any, depth: int = 4) -> Any:
    """`value` with every handle in it replaced by its result, which is waited for; raises what its step raised."""
    if isinstance(value, Handle):
        return value.result()
    kind = type(value)
    if depth and kind in (list, tuple) and len(value) <= _SEARCHED and _may_hold(value):
        return kind(resolved(each, depth - 1) for each in value)
    if depth and kind is dict and _may_hold(value.values()):
        return {name: resolved(each, depth - 1) for name, each in value.items()}
    return value


def _may_hold(values: Iterable[Any]) -> bool:
    return any(isinstance(each, Handle | list | tuple | dict) for each in values)
