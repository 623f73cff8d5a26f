"""How a step is run: what `@step(...)` and `step.using(...)` say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import msgspec

from mainspring.kernel.errors import InvalidInput

__all__ = ["Options", "Where", "changed", "is_tried_again"]

Where = Literal["auto", "inline", "thread", "process", "ray", "kubernetes"]


class Options(msgspec.Struct, frozen=True):
    """How a step is run."""

    retries: int = 0
    """How often it is tried again after an error."""
    delay: float = 1.0
    """Seconds before the first of these, doubled each time, with full jitter, at most five minutes."""
    retry_on: tuple[type[BaseException], ...] | Callable[[BaseException], bool] = (Exception,)
    """The errors after which it is tried again, or what says so of an error."""
    fallback: Any = msgspec.UNSET
    """What it gives when every try failed: a value, or a function of the error."""
    cache: bool = False
    """Whether another run may reuse the result: same code, same inputs, same environment."""
    cache_ttl: float = 0.0
    """Seconds after which a result is not reused any more; 0 for never."""
    timeout: float = 0.0
    """Seconds until it is killed, which needs a process of its own; 0 for no limit."""
    memory: int = 0
    """Bytes that its process may hold; 0 for no limit."""
    cpu: float = 0.0
    """Cores that it needs: no more of its kind run beside each other than fit; 0 for one."""
    gpu: float = 0.0
    """Graphics processors that it needs."""
    priority: int = 0
    """Of steps that wait for a place the higher goes first."""
    limits: tuple[str, ...] = ()
    """Names of the concurrency and rate limits that it counts against, in all runs of the workspace."""
    where: Where = "auto"
    """`inline` in the flow's own thread, `thread`, `process`, `ray`, `kubernetes`; `auto`: calls inline, `map` and
    `submit` outside.

    `ray` is the Ray cluster at `RAY_ADDRESS`, or else one that is started on this machine for as long as the run.
    """
    env: str = ""
    """A lock file, of exact versions (`requirements.txt`, `uv.lock`): it runs in an environment built from it, once."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that it may read."""
    image: str = ""
    """The container image that it runs in, on Kubernetes."""
    version: str = ""
    """A part of the cache's key, to be changed when the step's meaning changes and its code does not."""
    allow_pickle: bool = False
    """Whether results of types that nothing knows may be pickled, for this run's own eyes."""


def is_tried_again(options: Options, attempt: int, error: BaseException) -> bool:
    """Whether a call that failed for the `attempt`-th time is tried once more."""
    if attempt > options.retries:
        return False
    wanted = options.retry_on
    return isinstance(error, wanted) if isinstance(wanted, tuple) else bool(wanted(error))


def changed(options: Options, changes: dict[str, Any]) -> Options:
    """The options with some of them replaced; `InvalidInput` for one that does not exist or makes no sense."""
    try:
        made = msgspec.structs.replace(options, **changes)
    except TypeError as error:
        raise InvalidInput(f"step: {error}", hint=f"the options are {', '.join(Options.__struct_fields__)}") from None
    numbers = ("retries", "delay", "timeout", "memory", "cpu", "gpu", "cache_ttl")
    if negative := [name for name in numbers if getattr(made, name) < 0]:
        raise InvalidInput(f"step: {', '.join(negative)} cannot be negative")
    if made.where not in get_args(Where):
        raise InvalidInput(f"step: where={made.where!r}", known=get_args(Where))
    return made
