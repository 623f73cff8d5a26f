"""`@step` and `@flow`: ordinary typed functions that remember what they have done.

Outside of a run they are the functions that they decorate: no store, no I/O. Inside a run of a flow each call of a step
is recorded with its result, and is not done again when the flow is resumed.

    @step(retries=2)
    def clean(rows: pl.DataFrame) -> pl.DataFrame: ...

    @flow
    def nightly(day: str) -> float:
        rows = clean(load(day))
        models = train.map(["linear", "trees"], data=rows)
        return max(models, key=score)
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.names import check_name
from mainspring.pipelines.options import Options, Where, changed
from mainspring.pipelines.types import Location

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.pipelines.code import Code

__all__ = ["Flow", "Step", "flow", "step"]

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A function whose calls inside a flow are recorded, and not repeated. Made by `step`."""

    def __init__(self, function: Callable[P, R], options: Options, name: str = "") -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.name = check_name(name or function.__name__.strip("<>"), what="step")
        self.signature = inspect.signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it: recorded inside a run of a flow, an ordinary call anywhere else."""
        session = _session()
        return self.function(*args, **kwargs) if session is None else session.call(self, args, kwargs)

    def map(self, *iterables: Iterable[Any], **broadcast: Any) -> list[R]:
        """Call it for each item, in parallel; of several, equally long iterables, for each tuple of items.

        Keywords are given to every call as they are. Results come in the order of the items. When items fail, those
        that succeeded are kept, and the error of the first is raised.
        """
        session = _session()
        if over := getattr(session, "map_over", None):  # a tracer, to which iterables are not known
            return cast("list[R]", over(self, iterables, broadcast))
        items = _rows(iterables)
        if session is None:
            plain = cast("Callable[..., R]", self.function)  # nothing is known of the types of items
            return [plain(*item, **broadcast) for item in items]
        return cast("list[R]", session.map(self, items, broadcast))

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Call it while the flow goes on; `.result()` waits for it."""
        session = _session()
        if session is not None:
            return cast("Future[R]", session.submit(self, args, kwargs))
        done: Future[R] = Future()
        try:
            done.set_result(self.function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 -- the future carries it
            done.set_exception(error)
        return done

    def using(self, **options: Any) -> Step[P, R]:
        """The same step with other options: `train.using(timeout=60)`."""
        return Step(self.function, changed(self.options, options), self.name)

    def code(self) -> Code:
        """The code that it reaches."""
        from mainspring.pipelines.code import code_of

        return code_of(self.function)

    @property
    def address(self) -> str:
        """`module:name` when another process can find it, or an empty text."""
        return _address(self.function, self)

    def __repr__(self) -> str:
        return f"step({self.name})"


class Flow(Generic[P, R]):
    """A function that can be run durably: what its steps have finished survives its process. Made by `flow`."""

    def __init__(self, function: Callable[P, R], *, name: str = "", retries: int = 0, max_attempts: int = 5) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = check_name(name or function.__name__.strip("<>"), what="flow")
        self.retries = retries
        self.max_attempts = max_attempts + retries
        self.signature = inspect.signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it: an ordinary call, or, inside a run of another flow, a part of that run."""
        session = _session()
        return self.function(*args, **kwargs) if session is None else session.nested(self, args, kwargs)

    def run(self, client: Client, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now, recorded in the client's store; raises what it raises.

        A run that was interrupted goes on with `resume`.
        """
        from mainspring.pipelines.runtime import run_here

        result: R = run_here(client.pipelines, self, self.bind_call(args, kwargs))
        return result

    def resume(self, client: Client, run_id: str) -> R:
        """Run an interrupted or failed run again, here; its finished steps give their results at once."""
        from mainspring.pipelines.runtime import run_here

        result: R = run_here(client.pipelines, self, None, run_id=run_id)
        return result

    def start(self, client: Client, *, key: str = "", **params: Any) -> str:
        """Have a worker run it; the id of the run."""
        return client.pipelines.start(self, params, key=key)

    def bind(self, params: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, checked against the signature."""
        return self.bind_call((), params)

    def bind_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidInput(f"flow {self.name}: {error}") from None
        bound.apply_defaults()
        found = dict(bound.arguments)
        for parameter in self.signature.parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
                raise InvalidInput(
                    f"flow {self.name}: the parameter {parameter.name} has no name that a run could record"
                )
            if parameter.kind is parameter.VAR_KEYWORD:
                found.update(found.pop(parameter.name, {}))
        return found

    def code(self) -> Code:
        """The code that it reaches, steps included."""
        from mainspring.pipelines.code import code_of

        return code_of(self.function)

    def location(self) -> Location:
        """Where another process finds it."""
        address = _address(self.function, self)
        if not address:
            return Location()
        return Location(
            address=address,
            sys_path=tuple(path or str(Path.cwd()) for path in sys.path),
            cwd=str(Path.cwd()),
            main=main_script() if address.startswith("__main__:") else "",
        )

    def __repr__(self) -> str:
        return f"flow({self.name})"


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str = "",
    retries: int = 0,
    delay: float = 1.0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    cache: bool = False,
    timeout: float = 0.0,
    memory: int = 0,
    where: Where = "auto",
    version: str = "",
    allow_pickle: bool = False,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Callable[..., Any] | None = None, /, *, name: str = "", **options: Any) -> Any:
    """Make a function a step of flows; see `Options` for the options.

    Example:
        >>> @step(retries=2)
        ... def double(x: int) -> int:
        ...     return 2 * x
        >>> double(4), double.map([1, 2])
        (8, [2, 4])
    """
    made = changed(Options(), options)
    if function is not None:
        return Step(function, made)
    return lambda each: Step(each, made, name)


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(*, name: str = "", retries: int = 0, max_attempts: int = 5) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(
    function: Callable[..., Any] | None = None, /, *, name: str = "", retries: int = 0, max_attempts: int = 5
) -> Any:
    """Make a function a flow.

    Args:
        function: Its body: ordinary Python that calls steps. What it does between steps is done again on resuming.
        name: Its name; that of the function by default.
        retries: How often a worker tries it again after an error.
        max_attempts: How often it may lose its process.

    Example:
        >>> @flow
        ... def total(n: int) -> int:
        ...     return sum(range(n))
        >>> total(4)
        6
    """
    if function is not None:
        return Flow(function)
    return lambda each: Flow(each, name=name, retries=retries, max_attempts=max_attempts)


def main_script() -> str:
    """The path of the script that is `__main__`, or an empty text (a notebook, `python -c`)."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return str(Path(path).resolve()) if path and Path(path).is_file() else ""


def _session() -> Any:
    if "mainspring.pipelines.runtime" not in sys.modules:
        return None  # no flow was ever run in this process
    from mainspring.pipelines.runtime import current_session

    return current_session()


def _address(function: Callable[..., Any], wrapper: object) -> str:
    """Where `wrapper` is found again, or an empty text when it is not at the top of a module."""
    module, name = function.__module__, function.__qualname__
    if "<" in name or (module == "__main__" and not main_script()):
        return ""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is wrapper or getattr(found, "function", None) is function else ""


def _rows(iterables: tuple[Iterable[Any], ...]) -> list[tuple[Any, ...]]:
    if not iterables:
        raise InvalidInput("map needs at least one iterable; keywords are given to every call as they are")
    try:
        return list(zip(*iterables, strict=True))
    except ValueError:
        raise InvalidInput("map: the iterables are not equally long") from None
