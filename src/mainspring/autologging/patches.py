"""Wrapping what trains: methods of classes, of families of classes, functions; and taking it all back.

A wrapped function has the signature, the name and the results of the original. A function is replaced wherever a loaded
module has it under a name (`from xgboost import train`), so that it does not matter which import came first.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

from mainspring.autologging import sessions
from mainspring.autologging.protocol import Options
from mainspring.autologging.sessions import Session

__all__ = ["Call", "Hook", "Patches"]


class Call:
    """One call of a wrapped function; a hook reads its arguments and may add to them."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.function = function
        self.args, self.kwargs = args, kwargs

    @property
    def owner(self) -> Any:
        """The object whose method is called."""
        return self.args[0]

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument by its name, however it was passed; its default in the signature when it was not."""
        found = self._bound()
        if name in found.arguments:
            return found.arguments[name]
        for parameter in found.signature.parameters.values():
            if parameter.kind == inspect.Parameter.VAR_KEYWORD and name in found.arguments.get(parameter.name, {}):
                return found.arguments[parameter.name][name]
        declared = found.signature.parameters.get(name)
        return default if declared is None or declared.default is inspect.Parameter.empty else declared.default

    def replace(self, name: str, value: Any) -> None:
        """Pass another argument instead, where and how the caller passed it."""
        names = list(inspect.signature(self.function).parameters)
        place = names.index(name) if name in names else len(self.args)
        if place < len(self.args):
            self.args = (*self.args[:place], value, *self.args[place + 1 :])
        else:
            self.kwargs = {**self.kwargs, name: value}

    def given(self) -> dict[str, Any]:
        """The arguments that the caller passed, by name."""
        return dict(self._bound().arguments)

    def _bound(self) -> inspect.BoundArguments:
        return inspect.signature(self.function).bind(*self.args, **self.kwargs)


Hook = Callable[[Session, Call], Generator[None, Any, None]]
Chooses = Callable[[Call], bool]


class Patches:
    """Everything that an integration has wrapped.

    Args:
        framework: Its name.
        options: What is to be logged, asked at each call.
    """

    def __init__(self, framework: str, options: Callable[[], Options]) -> None:
        self.framework = framework
        self.options = options
        self.active = True
        self._undo: list[Callable[[], None]] = []

    def method(
        self,
        owner: type,
        name: str,
        hook: Hook,
        *,
        when: Chooses | None = None,
        inside: Hook | None = None,
        title: Callable[[Call], str] | None = None,
    ) -> None:
        """Wrap a method of a class, its own or one that it inherits.

        Args:
            owner: The class.
            name: Of the method.
            hook: Goes along with each call that is not part of another.
            when: Says no to calls that are not logged; what they train inside is not logged either.
            inside: Goes along with calls that are part of another one of this framework.
            title: What a run that begins with a call is named; after the class of the object when left out.
        """
        own = owner.__dict__.get(name)
        wrapper = self._wrapped(getattr(owner, name), hook, when, inside, title or _class_of_owner)
        setattr(owner, name, wrapper)

        def undo() -> None:
            if owner.__dict__.get(name) is not wrapper:
                return
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

        self._undo.append(undo)

    def family(
        self,
        base: type,
        name: str,
        hook: Hook,
        *,
        of: Callable[[type], bool] = lambda _: True,
        when: Chooses | None = None,
        inside: Hook | None = None,
    ) -> None:
        """Wrap a method in every class below `base` that defines it, those that are made later included.

        Args:
            base: The head of the family.
            name: Of the method.
            hook: As for `method`.
            of: Which classes are meant.
            when: As for `method`.
            inside: As for `method`.
        """

        def wrap(kind: type) -> None:
            defined = kind.__dict__.get(name)
            if inspect.isfunction(defined) and not hasattr(defined, "__mainspring__") and of(kind):
                self.method(kind, name, hook, when=when, inside=inside)

        for kind in _descendants(base):
            wrap(kind)
        self.born(base, wrap)

    def born(self, base: type, then: Callable[[type], None]) -> None:
        """Call `then` with every class that is made below `base` from now on."""
        head: Any = base
        before = base.__dict__.get("__init_subclass__")
        inherited = head.__init_subclass__

        def announce(cls: Any, /, **kwargs: Any) -> None:
            if before is None:
                super(head, cls).__init_subclass__(**kwargs)
            else:
                inherited.__func__(cls, **kwargs)
            if self.active:
                then(cls)

        made: Any = classmethod(announce)
        head.__init_subclass__ = made

        def undo() -> None:
            if base.__dict__.get("__init_subclass__") is not made:
                return
            if before is None:
                del head.__init_subclass__
            else:
                head.__init_subclass__ = before

        self._undo.append(undo)

    def function(
        self, module: ModuleType, name: str, hook: Hook, *, when: Chooses | None = None, inside: Hook | None = None
    ) -> None:
        """Wrap a function of a module, under every name that it has in the modules that are loaded."""
        original = getattr(module, name)
        wrapper = self._wrapped(original, hook, when, inside, lambda _: f"{self.framework}.{name}")
        _exchange(original, wrapper)
        self._undo.append(lambda: _exchange(wrapper, original))

    def on_undo(self, undo: Callable[[], None]) -> None:
        """What else has to be done to take it all back."""
        self._undo.append(undo)

    def undo(self) -> None:
        """Put every original back in its place."""
        self.active = False
        while self._undo:
            self._undo.pop()()

    def _wrapped(
        self,
        original: Callable[..., Any],
        hook: Hook,
        when: Chooses | None,
        inside: Hook | None,
        title: Callable[[Call], str],
    ) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not self.active:
                return original(*args, **kwargs)
            if sessions.is_part_of_another():
                session = sessions.current()
                if inside is None or session is None or session.framework != self.framework:
                    return original(*args, **kwargs)
                return _run(session, inside, Call(original, args, kwargs))
            call = Call(original, args, kwargs)
            wanted = functools.partial(when, call) if when is not None else None
            named = functools.partial(title, call)
            with sessions.opened(self.framework, self.options(), title=named, wanted=wanted) as session:
                if session is None:
                    return original(*args, **kwargs)
                return _run(session, hook, call)

        wrapper.__mainspring__ = self.framework  # type: ignore[attr-defined]  # how a wrapper is known
        return wrapper


def _run(session: Session, hook: Hook, call: Call) -> Any:
    """The call with its hook beside it; the result and the errors are the framework's own."""
    args, kwargs = call.args, call.kwargs
    going: Generator[None, Any, None] | None = None
    with session.safely():
        going = hook(session, call)
        next(going)
        args, kwargs = call.args, call.kwargs
    try:
        result = call.function(*args, **kwargs)
    except BaseException:
        if going is not None:
            with session.safely():
                going.close()
        raise
    if going is not None:
        with session.safely(), contextlib.suppress(StopIteration):
            going.send(result)
    return result


def _class_of_owner(call: Call) -> str:
    return type(call.owner).__name__


def _exchange(one: Any, other: Any) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if isinstance(names, dict):
            for name, value in list(names.items()):
                if value is one:
                    names[name] = other


def _descendants(base: type) -> list[type]:
    found, todo = [], [base]
    while todo:
        kind = todo.pop()
        if kind not in found:
            found.append(kind)
            todo.extend(kind.__subclasses__())
    return found
