"""What a session does about limits: a try of a step that names some runs only while it holds a place in each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mainspring.kernel.context import acting_as, caller
from mainspring.kernel.errors import MainspringError
from mainspring.pipelines.presence import present

if TYPE_CHECKING:
    from mainspring.pipelines.calls_identity import Call
    from mainspring.pipelines.decorators import Flow
    from mainspring.pipelines.service import Pipelines
    from mainspring.pipelines.types import FlowRun

__all__ = ["Gates"]

_PATIENCE = 20.0
_BEAT_SECONDS = 8.0


class Gates:
    """The limits of one session. Used by many threads.

    The places that it holds come back when this process is gone: it is known to the store as a worker, or, through a
    server, says every few seconds that it lives.
    """

    def __init__(self, service: Pipelines, run: FlowRun) -> None:
        self._service = service
        self._run = run
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._worker: str | None = None
        self._held: set[str] = set()
        self._of_flow: frozenset[str] = frozenset()
        self._closing = threading.Event()

    @contextmanager
    def held(self, call: Call) -> Iterator[None]:
        """Hold a place in every limit of the call's step inside the block; waits for them before.

        Raises:
            LostLease: Another attempt took over, or the run was cancelled, while it waited.
        """
        options = call.step.options
        names = tuple(name for name in options.limits if name not in self._of_flow)
        if not names:  # the flow holds them all, and would wait for itself
            yield
            return
        with self.entered(names, step_id=call.id, step=call.step.name, priority=options.priority):
            yield

    @contextmanager
    def held_by_flow(self, flow: Flow[..., Any]) -> Iterator[None]:
        """Hold a place in every limit of the flow while its body is executed here; its steps need no other."""
        names, options = tuple(flow.options.limits), flow.options
        with self.entered(names, step_id=self._run.id, step=flow.name, priority=options.priority):
            self._of_flow = frozenset(names)
            try:
                yield
            finally:
                self._of_flow = frozenset()

    @contextmanager
    def entered(self, names: tuple[str, ...], *, step_id: str, step: str, priority: int) -> Iterator[None]:
        """Hold a place in each of these limits inside the block."""
        worker, claim, state = self._known_as(), "", "waiting"
        try:
            patience = 0.0  # the first answer names the claim, so that it can be given back whatever happens
            while state == "waiting":
                entry = self._service.enter_limits(
                    self._run.id,
                    attempt=self._run.attempt,
                    names=list(names),
                    step_id=step_id,
                    step=step,
                    priority=priority,
                    worker=worker,
                    claim=claim,
                    patience=patience,
                )
                claim, state, patience = entry.claim, entry.state, _PATIENCE
                with self._lock:
                    self._held.add(claim)
            yield
        finally:
            with self._lock:
                self._held.discard(claim)
            if claim:
                with suppress(MainspringError):  # a store that is away takes it back when this process is gone
                    self._service.leave_limits(claim)

    def close(self) -> None:
        """Be known no more, unless for other reasons."""
        self._closing.set()
        self._stack.close()

    def _known_as(self) -> str:
        with self._lock:
            if self._worker is None:
                self._worker = self._stack.enter_context(present(self._service))
                if not self._worker:
                    who = caller()
                    beating = threading.Thread(target=self._beat, args=(who,), name="mainspring-claims", daemon=True)
                    beating.start()
            return self._worker

    def _beat(self, who: object) -> None:
        while not self._closing.wait(_BEAT_SECONDS):
            with self._lock:
                held = sorted(self._held)
            if held:
                with suppress(MainspringError), acting_as(who):  # type: ignore[arg-type]  # a Caller, from our thread
                    self._service.keep_claims(held)
