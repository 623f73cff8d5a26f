"""`@step` and `@flow`: ordinary typed functions that remember what they have done.

Outside of a run they are the functions that they decorate: no store, no I/O. Inside a run of a flow each call of a step
is recorded with its result, and is not done again when the flow is resumed.

    @step(retries=2)
    def clean(rows: pl.DataFrame) -> pl.DataFrame: ...

    @flow(schedule="15 2 * * *", tz="Europe/Paris")
    def nightly(day: date = fire_date()) -> float:
        rows = clean(load(day))
        models = train.map(rows, kind=["linear", "trees"])
        return max(models, key=score)
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from mainspring.kernel.hooks import load
from mainspring.kernel.names import check_name
from mainspring.pipelines.handles import Handle, resolved
from mainspring.pipelines.options import FlowOptions, Options, Overlap, Where, changed, flow_options
from mainspring.pipelines.parameters import Parameters
from mainspring.pipelines.spreading import spread
from mainspring.pipelines.types import FlowRun, Location

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.pipelines.code import Code

__all__ = ["Flow", "Step", "flow", "step"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Step(Generic[P, R]):
    """A function whose calls inside a flow are recorded, and not repeated. Made by `step`."""

    def __init__(self, function: Callable[P, R], options: Options, name: str = "") -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.name = check_name(name or function.__name__.strip("<>"), what="step")
        self.signature = inspect.signature(function)
        self.is_async = inspect.iscoroutinefunction(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it: recorded inside a run of a flow, an ordinary call anywhere else."""
        session = _session()
        if session is not None:
            return cast("R", session.call(self, args, kwargs))
        return self.function(*args, **kwargs) if not Handle.any_made else _plainly(self.function, args, kwargs)

    @overload
    def map(self: Step[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> list[T]: ...
    @overload
    def map(self, *args: Any, **kwargs: Any) -> list[R]: ...
    def map(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Call it many times, in parallel; the results come in the order of the calls.

        Arguments that are lists, tuples, ranges or iterators are spread over the calls, and must be equally long. All
        else (frames, datasets, dicts, texts, numbers) is given to every call. `whole(x)` gives a list to every call,
        `each(x)` spreads any other iterable.

        When calls fail, the results of those that succeeded are kept, and the error of the first is raised.

        Example:
            >>> @step
            ... def power(base: int, exponent: int) -> int:
            ...     return base**exponent
            >>> power.map(2, exponent=[1, 2, 3])
            [2, 4, 8]
        """
        session = _session()
        if over := getattr(session, "map_over", None):  # a tracer, to which iterables are not known
            return cast("list[Any]", over(self, args, kwargs))
        if Handle.any_made:
            args, kwargs = resolved(args), resolved(kwargs)
        calls = spread(args, kwargs)
        if session is not None:
            return cast("list[Any]", session.map(self, calls))
        plain = cast("Callable[..., Any]", self.function)
        if self.is_async:
            from mainspring.pipelines.coroutines import gather_here

            return gather_here([functools.partial(plain, *args, **kwargs) for args, kwargs in calls])
        return [plain(*args, **kwargs) for args, kwargs in calls]

    @overload
    def submit(self: Step[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Handle[Any]:
        """Call it while the flow goes on; `.result()` waits for it, and so does a step that the handle is given to."""
        session = _session()
        if session is not None:
            return cast("Handle[Any]", session.submit(self, args, kwargs))
        done: Handle[Any] = Handle()
        try:
            value: Any = _plainly(self.function, args, kwargs)
            if self.is_async:
                from mainspring.pipelines.coroutines import run_coroutine

                value = run_coroutine(value)
            done.set_result(value)
        except Exception as error:  # noqa: BLE001 -- the handle carries it
            done.set_exception(error)
        return done

    @overload
    def submit_map(self: Step[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> Handle[list[T]]: ...
    @overload
    def submit_map(self, *args: Any, **kwargs: Any) -> Handle[list[R]]: ...
    def submit_map(self, *args: Any, **kwargs: Any) -> Handle[Any]:
        """`map` while the flow goes on; in a coroutine, `await train.submit_map(...)` holds up no other."""
        session = _session()
        if session is not None and not hasattr(session, "map_over"):
            return cast("Handle[Any]", session.submit_map(self, spread(*resolved((args, kwargs)))))
        done: Handle[Any] = Handle()
        try:
            done.set_result(self.map(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 -- the handle carries it
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

    def __init__(self, function: Callable[P, R], *, name: str = "", options: FlowOptions = FlowOptions()) -> None:  # noqa: B008 -- frozen
        functools.update_wrapper(self, function)
        self.function = function
        self.name = check_name(name or function.__name__.strip("<>"), what="flow")
        self.options = options
        self.parameters = Parameters(function, self.name)
        self.is_async = inspect.iscoroutinefunction(function)

    @property
    def retries(self) -> int:
        """How often a worker tries it again after an error."""
        return self.options.retries

    @property
    def max_attempts(self) -> int:
        """How often a worker begins it, after errors and losses of its process."""
        return self.options.max_attempts + self.options.retries

    @property
    def signature(self) -> inspect.Signature:
        """That of its function."""
        return self.parameters.signature

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call it: an ordinary call, or, inside a run of another flow, a part of that run."""
        session = _session()
        if session is not None:
            return cast("R", session.nested(self, args, kwargs))
        if self.parameters.fires:
            filled = self.parameters.fill(args, kwargs, None, self.options.tz)
            return cast("R", cast("Any", self.function)(*args, **filled))
        return self.function(*args, **kwargs)

    @overload
    def run(self: Flow[P, Coroutine[Any, Any, T]], client: Client, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, client: Client, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def run(self, client: Client, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run it here and now, recorded in the client's store; raises what it raises.

        A run that was interrupted goes on with `resume`.
        """
        from mainspring.pipelines.runtime import run_here

        return run_here(client.pipelines, self, self.bind_call(args, kwargs))

    @overload
    def resume(self: Flow[P, Coroutine[Any, Any, T]], client: Client, run_id: str) -> T: ...
    @overload
    def resume(self, client: Client, run_id: str) -> R: ...
    def resume(self, client: Client, run_id: str) -> Any:
        """Run an interrupted or failed run again, here; its finished steps give their results at once."""
        from mainspring.pipelines.runtime import run_here

        return run_here(client.pipelines, self, None, run_id=run_id)

    def main(self, arguments: list[str] | None = None) -> None:
        """Be the command line of a script: its parameters are flags, and it runs here. Leaves with an exit code.

        At the end of a file: `if __name__ == "__main__": nightly.main()`; then `python nightly.py --day 2026-11-20`.
        """
        load("mainspring.cli.flow_start:main")(self, arguments)

    def start(self, client: Client, *, key: str = "", **params: Any) -> str:
        """Have a worker run it; the id of the run."""
        return client.pipelines.start(self, params, key=key)

    def bind(self, params: dict[str, Any], *, fire_at: datetime | None = None, late: bool = False) -> dict[str, Any]:
        """The arguments by name, checked against the signature.

        Args:
            params: By name.
            fire_at: The moment that the run is for; now when it is for none.
            late: Leave out `fire_date()` and `fire_time()`, for a schedule, whose runs fill them in when they begin.
        """
        return self.parameters.bind((), params, fire_at=fire_at, tz=self.options.tz, late=late)

    def bind_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name."""
        return self.parameters.bind(args, kwargs, fire_at=None, tz=self.options.tz)

    def bind_run(self, run: FlowRun, values: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a recorded run: those recorded, as the types of the signature, and what is left to it."""
        typed = self.parameters.convert(values)
        return self.bind(typed, fire_at=run.cause.fire_at or run.created_at)

    def parameters_schema(self) -> dict[str, Any]:
        """A JSON schema of its parameters, with titles, and with descriptions from its docstring."""
        return self.parameters.schema()

    def parameters_from_text(self, texts: dict[str, str]) -> dict[str, Any]:
        """The values that somebody typed, as the types of its signature: `{"day": "2026-11-20"}`."""
        return self.parameters.from_text(texts)

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
    retry_on: type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool] = (Exception,),
    fallback: Any = ...,
    cache: bool = False,
    cache_ttl: float = 0.0,
    timeout: float = 0.0,
    memory: int = 0,
    cpu: float = 0.0,
    gpu: float = 0.0,
    priority: int = 0,
    limits: str | tuple[str, ...] = (),
    where: Where = "auto",
    env: str = "",
    secrets: str | tuple[str, ...] = (),
    image: str = "",
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
def flow(
    *,
    name: str = "",
    schedule: str | tuple[str, ...] = (),
    tz: str = "UTC",
    trigger: Any = None,
    pool: str = "",
    priority: int = 0,
    overlap: Overlap | None = None,
    timeout: float = 0.0,
    on_failure: Callable[[FlowRun], Any] | None = None,
    on_success: Callable[[FlowRun], Any] | None = None,
    retries: int = 0,
    max_attempts: int = 5,
    limits: str | tuple[str, ...] = (),
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(function: Callable[..., Any] | None = None, /, *, name: str = "", **options: Any) -> Any:
    """Make a function a flow: ordinary Python that calls steps. What it does between steps is done again on resuming.

    See `FlowOptions` for the options.

    Example:
        >>> @flow
        ... def total(n: int) -> int:
        ...     return sum(range(n))
        >>> total(4)
        6
    """
    made = flow_options(**options)
    if function is not None:
        return Flow(function, options=made)
    return lambda each: Flow(each, name=name, options=made)


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


def _plainly(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An ordinary call; the handles among its arguments are waited for."""
    return function(*resolved(args), **resolved(kwargs)) if Handle.any_made else function(*args, **kwargs)
