"""What a step may know of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.hooks import load

if TYPE_CHECKING:
    from mainspring.pipelines.live import Live

__all__ = [
    "StepContext",
    "current_backend",
    "current_client",
    "current_live",
    "current_step",
    "inside_step",
    "is_inside_step",
]


class StepContext(msgspec.Struct, frozen=True):
    """The step that runs now."""

    step_id: str
    """Its run in the lineage: give it to what records artifacts, so that they are made by this step."""
    run_id: str
    """The run of the flow."""
    flow: str
    name: str
    path: str
    item: int
    attempt: int
    """1 for the first try of this run of it."""
    store: str = ""
    """Folder or URL of the store that runs it: what `connect()` without an address reaches inside a step."""
    run_attempt: int = 0
    """Of the flow run: with it the step records what it shows."""
    secrets: tuple[str, ...] = ()
    """The secrets that it may read."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt and resumption of this call: for requests to services that must happen once."""
        return digest_value("idempotency", [self.run_id, self.path, self.item])


_Running = tuple[StepContext, Callable[[], None] | None, Callable[[], Any] | None, list[Any]]
_step: ContextVar[_Running | None] = ContextVar("mainspring.pipelines.step", default=None)


def current_step() -> StepContext | None:
    """The step that runs now, or None outside of any. From now on it is in the lineage, so that its id can be used."""
    found = _step.get()
    if found is None:
        return None
    context, on_look, _, _ = found
    if on_look is not None:
        on_look()
    return context


def is_inside_step() -> bool:
    """Whether a step runs here."""
    return _step.get() is not None


def current_client() -> Any:
    """A client of the store that the running step is recorded in: the default client, which survives a fork.

    Raises:
        InvalidInput: No step runs here.
    """
    context = current_step()
    if context is None or not context.store:
        raise InvalidInput("there is no running step whose store could be meant", hint="ms.connect(...)")
    return load("mainspring.client.default:default_client")()


def current_live() -> Live | None:
    """Where the step that runs now shows things; None where nothing is shown, as outside of any."""
    found = _step.get()
    if found is None:
        return None
    context, on_look, service, made = found
    if service is None:
        return None
    if not made:
        from mainspring.pipelines.live import Live  # few steps show anything

        if on_look is not None:
            on_look()
        made.append(Live(service, context))
    return made[0]  # type: ignore[no-any-return]  # a list, so that the step's threads share it


def current_backend() -> Any:
    """Where the running step is recorded; None where it is not, as in a container without a store."""
    found = _step.get()
    service = found[2] if found is not None else None
    return service()._backend if service is not None else None  # noqa: SLF001 -- services of a store share their backend


@contextmanager
def inside_step(
    context: StepContext, *, on_look: Callable[[], None] | None = None, service: Callable[[], Any] | None = None
) -> Iterator[StepContext]:
    """Make `context` the step that runs inside the block.

    Args:
        context: The step.
        on_look: Called whenever somebody asks for it.
        service: Gives the pipelines of its store, to show things at; nothing is shown without.
    """
    made: list[Any] = []
    token = _step.set((context, on_look, service, made))
    try:
        yield context
    finally:
        _step.reset(token)
        if made:
            made[0].close()
