"""Values that are not known yet, and the watch that sees to it that nobody looks at them.

A static graph is honest only when the body of the flow would do the same in every run. So whatever could differ stops
the trace: a symbol that is looked at in any way, a function between the steps whose answer may change (the time, a
file, an installed library), and what Python does without asking the object (`is`, `type`, `except`), which is found in
the compiled code. In doubt a flow is dynamic.
"""

from __future__ import annotations

import dis
import linecache
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin

from mainspring import pipelines

__all__ = ["DynamicBody", "Symbol", "Watch", "place"]

_OURS = str(Path(str(pipelines.__file__)).parent)
_FRONT = str(Path(_OURS).parent / "__init__.py")
_INSTALLED = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})

_PURE_MODULES = frozenset(
    {"abc", "collections", "copy", "copyreg", "dataclasses", "decimal", "enum", "fractions", "functools", "genericpath"}
    | {"itertools", "json", "numbers", "operator", "pathlib", "posixpath", "re", "statistics", "string", "textwrap"}
    | {"types", "typing"}
)
"""Of the standard library: what these compute depends on their arguments alone; the C functions they call are
watched."""

_SILENT_MODULES = frozenset({"concurrent", "contextlib", "importlib", "logging", "warnings"})
"""What these do gives the body nothing to compute with."""

_PURE_C_MODULES = frozenset(
    {"math", "itertools", "operator", "_operator", "_functools", "_collections", "_collections_abc", "_json", "_abc"}
    | {"_sre", "_decimal", "_struct"}
)
_IMPURE_BUILTINS = frozenset(
    {"breakpoint", "compile", "dir", "eval", "exec", "globals", "hash", "id", "input", "locals", "open", "vars"}
    | {"__import__"}
)
_PURE_TYPES = (str, bytes, bytearray, int, float, complex, list, dict, tuple, set, frozenset, range, slice)
_CLOCKS = frozenset({"today", "now", "utcnow"})
_QUIET_NAMES = frozenset({"type", "id", "locals", "vars"})


class DynamicBody(BaseException):  # so that no `except Exception` of the body takes it
    """The body does something for which its values must be known."""


class Symbol:
    """What a step will return, or a parameter will be.

    Args:
        tag: How it is written in an argument.
        words: What it is called in messages.
        guard: Whether it may be looked at.
        hint: Its type, as far as annotations say it. A tuple of known length can be unpacked.
    """

    __slots__ = ("_guard", "_hint", "_tag", "_words")

    def __init__(self, tag: dict[str, Any], words: str, guard: Guard, hint: Any = Any) -> None:
        object.__setattr__(self, "_hint", hint)
        object.__setattr__(self, "_tag", tag)
        object.__setattr__(self, "_words", words)
        object.__setattr__(self, "_guard", guard)

    @property  # type: ignore[misc]  # `object` says that it may be set
    def __class__(self) -> Any:
        """What `isinstance` asks for."""
        if object.__getattribute__(self, "_guard").raised:
            _look(self, "looks at the type of")
        return Symbol

    def __iter__(self) -> Iterator[Symbol]:
        found = _parts(self)
        return iter(_look(self, "repeats something for each part of") if found is None else found)

    def __getitem__(self, place: Any) -> Symbol:
        found = _parts(self)
        if found is None or type(place) is not int or not -len(found) <= place < len(found):
            _look(self, "looks into")
        return found[place]

    def __getattr__(self, name: str) -> Any:
        if object.__getattribute__(self, "_guard").raised:
            _look(self, "looks into")
        raise AttributeError(name)


class Guard:
    """Whether symbols may not be looked at: always, but while the tracer itself writes arguments down."""

    def __init__(self) -> None:
        self.raised = False


def _look(symbol: Symbol, verb: str) -> NoReturn:
    raise DynamicBody(f"{place(sys._getframe(2))} {verb} {object.__getattribute__(symbol, '_words')}")  # noqa: SLF001


def _method(verb: str) -> Callable[..., Any]:
    def look(self: Symbol, *_: Any, **__: Any) -> Any:
        if object.__getattribute__(self, "_guard").raised:
            _look(self, verb)
        return NotImplemented

    return look


_VERBS = {
    "branches on": "bool",
    "repeats something for each part of": "next len length_hint reversed",
    "looks into": "contains setitem delitem setattr delattr call enter exit await aiter",
    "compares": "eq ne lt le gt ge hash",
    "writes out": "str repr format bytes fspath",
    "computes with": "int float complex index add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor"
    " or neg pos abs invert round trunc floor ceil radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow rlshift"
    " rrshift rand rxor ror iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior",
    "copies": "copy deepcopy reduce reduce_ex",
}
for _verb, _names in _VERBS.items():
    for _name in _names.split():
        setattr(Symbol, f"__{_name}__", _method(_verb))


def _parts(symbol: Symbol) -> list[Symbol] | None:
    """The parts of a tuple whose length its annotation says; None for anything else."""
    tag, words, guard, hint = (object.__getattribute__(symbol, name) for name in ("_tag", "_words", "_guard", "_hint"))
    kinds = get_args(hint) if get_origin(hint) is tuple else ()
    if not kinds or kinds[-1] is Ellipsis or "part" in tag:
        return None
    return [Symbol({**tag, "part": place}, f"a part of {words}", guard, kind) for place, kind in enumerate(kinds)]


Symbol.__repr__ = lambda self: f"<{object.__getattribute__(self, '_words')}>"  # type: ignore[method-assign]


class Watch:
    """A profile function that follows the body between the calls of steps."""

    def __init__(self) -> None:
        self.guard = Guard()
        self._shield: types.FrameType | None = None
        self._bodies: set[types.CodeType] = set()

    @contextmanager
    def body(self, function: Callable[..., Any]) -> Iterator[None]:
        """Watch what a flow's function does inside the block."""
        code = getattr(function, "__code__", None)
        if code is not None:
            self._bodies.add(code)
        before, shield, raised = sys.getprofile(), self._shield, self.guard.raised
        self._shield, self.guard.raised = None, True
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(before)
            self._shield, self.guard.raised = shield, raised

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let symbols be looked at inside the block: the tracer writes them down."""
        raised, self.guard.raised = self.guard.raised, False
        try:
            yield
        finally:
            self.guard.raised = raised

    def check_callers(self) -> None:
        """Refuse a step that is called where errors are handled or types are asked: a graph has no such thing."""
        frame: types.FrameType | None = sys._getframe(1)  # noqa: SLF001
        while frame is not None:
            code = frame.f_code
            if not _is_ours(code.co_filename):
                if verb := _unseen(code):
                    raise DynamicBody(f"{place(frame)} calls a step, and {code.co_name} {verb}")
                if code in self._bodies:
                    return
            frame = frame.f_back

    def _see(self, frame: types.FrameType, event: str, arg: Any) -> None:
        if self._shield is not None:
            if event == "return" and frame is self._shield:
                self._shield = None
        elif event == "call":
            self._enter(frame)
        elif event == "c_call" and _kind(frame.f_code.co_filename) != "silent" and not _is_pure(arg):
            raise DynamicBody(f"{place(frame)} calls {_called(arg)}, whose answer may be another in each run")

    def _enter(self, frame: types.FrameType) -> None:
        code = frame.f_code
        kind = "own" if code in self._bodies else _kind(code.co_filename)
        if kind == "silent":
            self._shield = frame
        elif kind == "foreign":
            where = place(frame.f_back) if frame.f_back else ""
            raise DynamicBody(f"{where} calls {code.co_qualname}, whose answer may be another in each run")
        elif kind == "own" and code not in self._bodies and (verb := _unseen(code)):
            symbol = _within(list(frame.f_locals.values()))
            if symbol is not None:
                words = object.__getattribute__(symbol, "_words")
                raise DynamicBody(f"{place(frame)} {verb}, and is given {words}")


def place(frame: types.FrameType | None) -> str:
    """`file:line: source`, of the nearest code that is not ours."""
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return "the body"
    path, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(path, line, frame.f_globals).strip()
    return f"{Path(path).name}:{line}: `{text}`" if text else f"{Path(path).name}:{line}"


def _within(value: Any, depth: int = 4) -> Symbol | None:
    """A symbol in a value, or None."""
    if type(value) is Symbol:
        return value
    parts = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return next((found for part in parts if depth and (found := _within(part, depth - 1)) is not None), None)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS)


@cache
def _kind(filename: str) -> str:
    """Whose code it is: `own`, `pure`, `silent` or `foreign`."""
    if filename.startswith("<frozen "):
        return _kind_of_module(filename[8:-1].partition(".")[0])
    if filename.startswith("<"):
        return "own"  # what `dataclass` and notebooks make
    if _is_ours(filename) or filename == _FRONT:
        return "silent"
    if "site-packages" not in filename and not filename.startswith(_INSTALLED):
        return "foreign" if filename.startswith(str(Path(_OURS).parent)) else "own"
    for folder in _INSTALLED:
        if filename.startswith(folder):
            return _kind_of_module(Path(filename).relative_to(folder).parts[0].removesuffix(".py"))
    return "foreign"


def _kind_of_module(name: str) -> str:
    return "pure" if name in _PURE_MODULES else "silent" if name in _SILENT_MODULES else "foreign"


def _is_pure(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if owner is None or isinstance(owner, types.ModuleType):
        module = getattr(function, "__module__", None) or getattr(owner, "__name__", "")
        if module == "builtins":
            return name not in _IMPURE_BUILTINS
        return module in _PURE_C_MODULES or (module == "sys" and name == "intern")
    if type(owner) is type or isinstance(owner, type):
        return name not in _CLOCKS and owner.__module__ in {"builtins", "datetime", "decimal", "enum", *_PURE_C_MODULES}
    return isinstance(owner, _PURE_TYPES) or type(owner).__module__ in {"builtins", "datetime", "decimal", "re", "enum"}


def _called(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__qualname__", repr(function))
    if isinstance(owner, types.ModuleType):
        return f"{owner.__name__}.{name}"
    return f"{owner.__name__}.{function.__name__}" if isinstance(owner, type) else str(name)


@cache
def _unseen(code: types.CodeType) -> str:
    """What a function does that its values are not asked about, in words; empty when it does nothing of the kind."""
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "PUSH_EXC_INFO":
            return "handles errors, or uses `with`"
        if name == "IS_OP" or (name.startswith("POP_JUMP") and "NONE" in name):
            return "asks with `is`"
        if name.startswith("MATCH_"):
            return "uses `match`"
        if name in ("LOAD_GLOBAL", "LOAD_NAME") and instruction.argval in _QUIET_NAMES:
            return f"calls {instruction.argval}()"
    return ""
