"""The parameters of a flow: their JSON schema, for forms and command lines, and their values from text.

Types are those of the signature. What msgspec has a form for (numbers, texts, dates, enums, literals, dataclasses,
structs, lists and dicts of them) is converted and checked; any other type takes what it is given.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec

from mainspring.kernel.clock import now
from mainspring.kernel.errors import InvalidInput, nearest

__all__ = ["Parameters", "fire_date", "fire_time"]


class _Fire(msgspec.Struct, frozen=True):
    """A default that is known when the run is: the moment that it is for."""

    what: typing.Literal["date", "time"]

    def at(self, moment: datetime, tz: str) -> date | datetime:
        local = moment.astimezone(ZoneInfo(tz))
        return local.date() if self.what == "date" else local


def fire_date() -> date:
    """As a parameter's default: the day that the run is for, in the flow's time zone; today when nothing fired it.

    Example:
        >>> from mainspring.pipelines import flow
        >>> @flow(tz="Europe/Paris")
        ... def nightly(day: date = fire_date()) -> str:
        ...     return day.isoformat()
        >>> nightly(date(2026, 11, 21))
        '2026-11-21'
        >>> len(nightly())
        10
    """
    return cast("date", _Fire("date"))


def fire_time() -> datetime:
    """As a parameter's default: the moment that the run is for, in the flow's time zone; now when nothing fired it."""
    return cast("datetime", _Fire("time"))


class Parameters:
    """The parameters of one function that is a flow.

    Args:
        function: The function.
        name: What the flow is called in messages.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function = function
        self._name = name
        self.signature = inspect.signature(function)
        self._fires = {
            parameter.name: parameter.default
            for parameter in self.signature.parameters.values()
            if isinstance(parameter.default, _Fire)
        }

    def bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, fire_at: datetime | None, tz: str, late: bool = False
    ) -> dict[str, Any]:
        """The arguments of a call by name, defaults included.

        Args:
            args: By position.
            kwargs: By name.
            fire_at: The moment that the run is for; now when it is for none.
            tz: The time zone of the flow.
            late: Leave out what depends on that moment, so that it is known when the run begins.

        Raises:
            InvalidInput: The arguments do not fit the signature.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidInput(
                f"flow {self._name}: {error}", hint=f"its parameters are {', '.join(self.signature.parameters)}"
            ) from None
        bound.apply_defaults()
        found = dict(bound.arguments)
        for parameter in self.signature.parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise InvalidInput(
                    f"flow {self._name}: the parameter {parameter.name} has no name that a run could record"
                )
            if parameter.kind is parameter.VAR_KEYWORD:
                found.update(found.pop(parameter.name, {}))
        for name, value in list(found.items()):
            if isinstance(value, _Fire):
                if late:
                    del found[name]
                else:
                    found[name] = value.at(fire_at or now(), tz)
        return found

    @property
    def fires(self) -> bool:
        """Whether a default depends on the moment that a run is for."""
        return bool(self._fires)

    def fill(self, args: tuple[Any, ...], kwargs: dict[str, Any], fire_at: datetime | None, tz: str) -> dict[str, Any]:
        """The keywords of an ordinary call, with those that depend on the moment filled in."""
        given = self.signature.bind_partial(*args, **kwargs).arguments
        moment = fire_at or now()
        late = {name: default.at(moment, tz) for name, default in self._fires.items() if name not in given}
        return {**kwargs, **late}

    def convert(self, recorded: dict[str, Any]) -> dict[str, Any]:
        """Values that came as JSON, of a form or a schedule, as the types of the signature; others as they are."""
        return {name: self._typed(name, value) for name, value in recorded.items()}

    def from_text(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Values that were typed by a person: `{"day": "2026-11-20", "depth": "[2, 4]"}`.

        Raises:
            InvalidInput: There is no such parameter, or its text is no value of its type.
        """
        takes_any = any(each.kind is each.VAR_KEYWORD for each in self.signature.parameters.values())
        known = [each.name for each in self.signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        found = {}
        for name, text in texts.items():
            if name not in known and not takes_any:
                near = nearest(name, known)
                raise InvalidInput(f"flow {self._name} has no parameter {name!r}", known=near)
            found[name] = self._read(name, text)
        return found

    def schema(self) -> dict[str, Any]:
        """A JSON schema of the parameters, with titles, and descriptions and from the docstring.

        Example:
            >>> def nightly(day: date, depth: int = 3) -> None: ...
            >>> sorted(Parameters(nightly, "nightly").schema()["properties"]["depth"].items())
            [('default', 3), ('title', 'depth'), ('type', 'integer')]
        """
        text = inspect.getdoc(self._function) or ""
        described = _described(text)
        properties: dict[str, Any] = {}
        definitions: dict[str, Any] = {}
        required = []
        for parameter in self.signature.parameters.values():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            found, parts = _schema_of(self._hints.get(parameter.name, Any))
            definitions.update(parts)
            found = {"title": parameter.name.replace("_", " "), **found}
            if parameter.name in described:
                found["description"] = described[parameter.name]
            if parameter.default is parameter.empty:
                required.append(parameter.name)
            elif isinstance(parameter.default, _Fire):
                found["x-default"] = f"fire_{parameter.default.what}"
            else:
                found |= _default(parameter.default)
            properties[parameter.name] = found
        made: dict[str, Any] = {"type": "object", "title": self._name, "properties": properties, "required": required}
        made["additionalProperties"] = any(each.kind is each.VAR_KEYWORD for each in self.signature.parameters.values())
        if summary := text.partition("\n")[0]:
            made["description"] = summary
        return made | ({"$defs": definitions} if definitions else {})

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self._function, include_extras=True)
        except Exception:  # noqa: BLE001 -- annotations of the user may name what is only there for type checkers
            return {}

    def _typed(self, name: str, value: Any) -> Any:
        hint = self._hints.get(name, Any)
        if hint is Any or not isinstance(value, str | int | float | list | dict) or not _has_form(hint):
            return value
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            return value  # Python lets a caller give what the annotation does not say, and so may a run

    def _read(self, name: str, text: str) -> Any:
        hint = self._hints.get(name, Any)
        if hint is Any or not _has_form(hint):
            try:
                return msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeEncodeError):
                return text
        try:
            return msgspec.convert(text, hint, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            said = error
        try:
            return msgspec.json.decode(text, type=hint, strict=False)
        except msgspec.ValidationError as error:
            said = error  # it is JSON, so what is wrong in it is the better message
        except (msgspec.DecodeError, UnicodeEncodeError):
            pass
        raise InvalidInput(
            f"flow {self._name}: {name}={text!r} is no {_word(hint)}: {str(said).lower()}", hint=_example(name, hint)
        ) from None


@functools.lru_cache(maxsize=1024)
def _checked(hint: Any) -> bool:
    try:
        msgspec.json.Decoder(hint)
    except (TypeError, RuntimeError, NameError):
        return False
    else:
        # a class that msgspec does not know is decoded by a hook that nobody gives
        known = _walked(msgspec.inspect.type_info(hint))
        return not any(isinstance(each, msgspec.inspect.CustomType) for each in known)


def _has_form(hint: Any) -> bool:
    try:
        return _checked(hint)
    except TypeError:
        return False  # a hint that cannot be hashed


def _walked(info: Any) -> list[Any]:
    """A type's description and those of its parts, one level of generics deep enough for parameters."""
    found = [info]
    for name in ("types", "item_types"):
        for part in getattr(info, name, ()) or ():
            found += _walked(part)
    for name in ("item_type", "key_type", "value_type"):
        if (part := getattr(info, name, None)) is not None:
            found += _walked(part)
    return found


def _schema_of(hint: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if not _has_form(hint):
        return {}, {}
    (found,), definitions = msgspec.json.schema_components([hint], ref_template="#/$defs/{name}")
    return found, definitions


def _default(value: Any) -> dict[str, Any]:
    try:
        return {"default": msgspec.to_builtins(value)}
    except (TypeError, ValueError, RecursionError):
        return {}


_SECTION = re.compile(r"^Args:\s*$", re.MULTILINE)


def _described(text: str) -> dict[str, str]:
    """What the `Args:` section of a docstring says of each parameter."""
    start = _SECTION.search(text)
    if start is None:
        return {}
    found: dict[str, str] = {}
    name, indent = "", 0
    for line in text[start.end() :].splitlines()[1:]:
        if line and not line.startswith(" "):
            break
        entry = re.match(r"^( +)\*{0,2}(\w+)(?: \([^)]*\))?:\s*(.*)$", line)
        if entry and (not indent or len(entry[1]) == indent):
            name, indent = entry[2], len(entry[1])
            found[name] = entry[3]
        elif name and line.strip():
            found[name] = f"{found[name]} {line.strip()}"
    return found


def _word(hint: Any) -> str:
    return getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint).replace("typing.", "")


def _example(name: str, hint: Any) -> str:
    shown = {date: "2026-11-20", datetime: "2026-11-20T12:00:00Z", int: "3", float: "0.5", bool: "true"}
    return f"{name}={shown[hint]}" if hint in shown else "anything that is not a plain text is written as JSON"
