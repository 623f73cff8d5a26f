"""The arguments of a map: which are spread over its calls, and which are given to every call as they are."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

from mainspring.kernel.errors import InvalidInput

__all__ = ["Spread", "each", "spread", "whole"]

T = TypeVar("T")


class _Each:
    def __init__(self, items: Iterable[Any]) -> None:
        self.items = items


class _Whole:
    def __init__(self, value: Any) -> None:
        self.value = value


def each(items: Iterable[Any]) -> Any:
    """Spread any iterable over the calls of a map: the keys of a dict, the rows of a frame, a set.

    Example:
        >>> from mainspring.pipelines import step
        >>> @step
        ... def shout(word: str) -> str:
        ...     return word.upper()
        >>> shout.map(each({"a": 1, "b": 2}))
        ['A', 'B']
    """
    return _Each(items)


def whole(value: T) -> T:
    """Give a list, a tuple or a range to every call of a map as it is.

    Example:
        >>> from mainspring.pipelines import step
        >>> @step
        ... def nth(words: list[str], place: int) -> str:
        ...     return words[place]
        >>> nth.map(whole(["a", "b"]), [1, 0])
        ['b', 'a']
    """
    return cast("T", _Whole(value))


class Spread:
    """The arguments of a map: columns of those that differ from call to call, and those that all calls share."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.columns: dict[int | str, list[Any]] = {}
        """By position or name, the values of each call."""
        self.shared: dict[int | str, Any] = {}
        places: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        for place, value in places:
            column = _column(value)
            if column is None:
                self.shared[place] = value.value if isinstance(value, _Whole) else value
            else:
                self.columns[place] = column
        self._args = len(args)
        self._names = tuple(kwargs)
        widths = {place: len(column) for place, column in self.columns.items()}
        if not widths:
            raise InvalidInput(
                "map: no argument is a list, a tuple, a range or an iterator, so there is nothing to spread",
                hint="write ms.each(...) around what is to be spread",
            )
        if len(set(widths.values())) > 1:
            said = ", ".join(f"{place}: {width}" for place, width in widths.items())
            raise InvalidInput(
                f"map: what is spread is not equally long ({said})", hint="write ms.whole(...) around it"
            )
        self.width = next(iter(widths.values()))

    def args(self, number: int) -> tuple[Any, ...]:
        """The positional arguments of one call."""
        return tuple(
            self.columns[place][number] if place in self.columns else self.shared[place] for place in range(self._args)
        )

    def kwargs(self, number: int) -> dict[str, Any]:
        """The keywords of one call."""
        return {name: self.columns[name][number] if name in self.columns else self.shared[name] for name in self._names}

    def __iter__(self) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        return ((self.args(number), self.kwargs(number)) for number in range(self.width))


def spread(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Spread:
    """Divide the arguments of a map: lists, tuples, ranges, iterators and `each(...)` are spread, all else is shared.

    Raises:
        InvalidInput: Nothing can be spread, or what is spread is not equally long.
    """
    return Spread(args, kwargs)


def _column(value: Any) -> list[Any] | None:
    """The values of the calls, or None for what is given to each of them as it is."""
    if isinstance(value, _Each):
        try:
            return list(value.items)
        except TypeError:
            raise InvalidInput(f"each: a {type(value.items).__name__} cannot be iterated over") from None
    if type(value) in (list, tuple, range) or inspect.isgenerator(value):
        return list(value)
    return list(value) if isinstance(value, Iterator) and not hasattr(value, "read") else None
