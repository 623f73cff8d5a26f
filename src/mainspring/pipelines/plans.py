"""What is the same for every call of a step, worked out once: how arguments bind, and which code it reaches."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.pipelines.code import Code
    from mainspring.pipelines.decorators import Step

__all__ = ["Plan"]

_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Plan:
    """How the calls of one function are read."""

    __slots__ = ("_defaults", "_names", "_places", "_plain", "_signature", "code", "fingerprint")

    def __init__(self, step: Step[..., Any]) -> None:
        self.code: Code = step.code()
        self.fingerprint = self.code.fingerprint
        self._signature = step.signature
        parameters = list(self._signature.parameters.values())
        self._plain = all(each.kind in _PLAIN for each in parameters)
        self._names = [each.name for each in parameters]
        self._places = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        self._defaults = {each.name: each.default for each in parameters if each.default is not each.empty}

    def still_true(self, step: Step[..., Any]) -> Plan:
        """This plan, or another when a value that its code reaches is not what it was."""
        if not self.code.values or step.code() == self.code:
            return self
        return Plan(step)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, defaults included; `inspect` takes ten times as long for plain parameters.

        Raises:
            TypeError: They do not fit the signature.
        """
        if self._plain and len(args) <= len(self._places):
            given = dict(zip(self._places, args, strict=False))
            if kwargs:
                given = {**given, **kwargs} if given.keys().isdisjoint(kwargs) else {}
            if len(given) < len(self._names):
                given = {**self._defaults, **given}
            if len(given) == len(self._names) and given.keys() == set(self._names):
                return {name: given[name] for name in self._names}
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def name_at(self, place: int | str) -> str:
        """The parameter that a position or a keyword means; empty where it is one of many (`*args`, `**kwargs`)."""
        if isinstance(place, str):
            return place if place in self._names and self._plain else ""
        return self._places[place] if self._plain and place < len(self._places) else ""
