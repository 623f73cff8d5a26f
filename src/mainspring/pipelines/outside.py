"""Steps on their way to processes of their own, and their answers on the way back."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.engines.tasks import Limits, ProcessDied, TaskEngine, open_tasks
from mainspring.engines.tasks_packing import PackedEngine, Packing
from mainspring.kernel.clock import now
from mainspring.kernel.context import caller
from mainspring.kernel.errors import DeadlineExceeded, InvalidInput, MainspringError
from mainspring.pipelines.context import StepContext
from mainspring.pipelines.environment import current_environment
from mainspring.pipelines.environments import Locked, build, environment_of, find_lock, read_lock, site_packages
from mainspring.pipelines.origins import Origins
from mainspring.pipelines.remote import Answer, Request, failure_of
from mainspring.pipelines.tries import Tried
from mainspring.pipelines.types import FlowRun
from mainspring.pipelines.values import BlobPort, encode

if TYPE_CHECKING:
    from mainspring.pipelines.calls_identity import Call
    from mainspring.pipelines.decorators import Step
    from mainspring.pipelines.service import Pipelines
    from mainspring.pipelines.spreading import Spread

__all__ = ["Outside", "address_of"]

_answers = msgspec.msgpack.Decoder(Answer)
_requests = msgspec.msgpack.Encoder()
_ENGINES = ("ray", "kubernetes")


class Outside:
    """The processes of one session, started when they are first needed. Used by many threads."""

    def __init__(self, service: Pipelines, run: FlowRun, blobs: BlobPort, origins: Origins) -> None:
        self._service = service
        self._run = run
        self._blobs = blobs
        self._origins = origins
        self._store = address_of(service)
        self._engines: dict[str, TaskEngine] = {}
        self._packing = Packing()
        self._locks: dict[tuple[Any, str], Locked] = {}
        self._noted: dict[str, str] = {}
        self._addresses: dict[Any, str] = {}
        self._lock = threading.Lock()

    def takes(self, step: Step[..., Any], *, spread: bool) -> bool:
        """Whether a call runs in a process of its own."""
        options = step.options
        killed = bool(options.memory or options.env or (options.timeout and not step.is_async))
        here = options.where in ("inline", "thread") or (options.where == "auto" and (not spread or step.is_async))
        if here and not killed:
            return False
        if self.address(step):
            return True
        if spread and options.where == "auto" and not killed:
            return False  # a function of a notebook runs in a thread
        raise InvalidInput(
            f"step {step.name} must run in a process of its own, which cannot import it",
            hint="define it at the top of a module",
        )

    def address(self, step: Step[..., Any]) -> str:
        """Where a process finds the step; empty when it cannot."""
        found = self._addresses.get(step.function)
        if found is None:
            found = self._addresses[step.function] = step.address
        return found

    def shared(self, spread: Spread) -> bytes:
        """What all calls of a map are given, written once: its large parts are blobs."""
        positions = {str(place): self._encode(value) for place, value in spread.shared.items() if type(place) is int}
        names = {place: self._encode(value) for place, value in spread.shared.items() if type(place) is str}
        return msgspec.msgpack.encode([positions, names])

    def send(
        self, step: Step[..., Any], call: Call, context: StepContext, spread: Spread | None = None, shared: bytes = b""
    ) -> Future[bytes]:
        """Give a call to a process; `shared` has those of its arguments that `spread` gives to all calls of a map."""
        left = () if spread is None else spread.shared
        request = Request(
            step=self.address(step),
            store=self._store,
            args=[None if place in left else self._encode(value) for place, value in enumerate(call.args)],
            kwargs={name: self._encode(value) for name, value in call.kwargs.items() if name not in left},
            context=context,
            record=msgspec.Raw(_requests.encode(call.record("running", now(), attempt=1))),
            run_attempt=self._run.attempt,
            allow_pickle=step.options.allow_pickle,
            caller=caller(),
            shared=msgspec.Raw(shared) if shared else msgspec.Raw(b"\xc0"),
        )
        limits = Limits(
            timeout=step.options.timeout,
            memory=step.options.memory,
            cpu=step.options.cpu,
            gpu=step.options.gpu,
            image=step.options.image,
            label=f"{self._run.flow}/{step.name}",
            priority=step.options.priority,
        )
        return self.engine(step).submit("mainspring.pipelines.remote:execute", _requests.encode(request), limits=limits)

    def received(self, call: Call, future: Future[bytes], started: datetime, attempt: int) -> Tried:
        """What a process answered."""
        try:
            answer = _answers.decode(future.result())
        except (ProcessDied, DeadlineExceeded, MainspringError) as error:
            payload = failure_of(error).payload
            return Tried(call.record("failed", started, attempt=attempt, finished_at=now(), error=payload), "", error)
        if answer.failure is not None:
            payload = answer.failure.payload
            failed = call.record("failed", started, attempt=attempt, finished_at=now(), error=payload)
            return Tried(failed, answer.log, answer.failure.as_exception())
        done = call.record("finished", started, attempt=attempt, finished_at=now(), output=answer.output)
        return Tried(done, answer.log)

    def engine(self, step: Step[..., Any]) -> TaskEngine:
        """Where the step runs when it runs outside."""
        from mainspring.pipelines.decorators import main_script

        kind = step.options.where if step.options.where in _ENGINES else "process"
        locked = self.locked(step)
        name = f"{kind} {locked.digest}" if locked else kind
        with self._lock:
            if name not in self._engines:
                own: dict[str, Any] = {}
                if locked is not None:
                    folder = build(locked, self._cache())
                    own = {"python": str(folder / "bin" / "python"), "sys_path": [site_packages(folder), *sys.path]}
                module = self._run.location.address.partition(":")[0]
                preload = ["mainspring.pipelines.remote", "mainspring.client.client", "mainspring.store.local"]
                preload += [module] if module and module != "__main__" else []
                opened = open_tasks(
                    kind, preload=preload, main=main_script(), store=self._store, owner=self._run.id, **own
                )
                self._engines[name] = PackedEngine(opened, self._packing) if kind == "process" else opened
            return self._engines[name]

    def locked(self, step: Step[..., Any]) -> Locked | None:
        """The lock file of the step's own environment; None where it runs in that of this process."""
        options = step.options
        if not options.env:
            return None
        if options.where in _ENGINES:
            raise InvalidInput(
                f"step {step.name}: env is for processes of this machine, not for {options.where}",
                hint="kubernetes: build the packages into an image, @step(image=...)",
            )
        found = self._locks.get((step.function, options.env))
        if found is None:
            path = find_lock(options.env, step.function.__code__.co_filename)
            found = self._locks[step.function, options.env] = read_lock(path)
        return found

    def environment(self, step: Step[..., Any]) -> str:
        """The digest of what is installed where the step runs, recorded once."""
        locked = self.locked(step)
        if locked is None:
            return current_environment().digest
        if locked.digest not in self._noted:
            environment = environment_of(locked)
            self._service.note_environment(environment)
            self._noted[locked.digest] = environment.digest
        return self._noted[locked.digest]

    def _cache(self) -> Path:
        store = getattr(self._service._backend, "store", None)  # noqa: SLF001 -- services share their backend
        if store is not None:
            return Path(store.path("cache", "environments"))
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mainspring" / "environments"

    @property
    def used(self) -> bool:
        """Whether there are any."""
        return bool(self._engines)

    def close(self) -> None:
        """End the processes."""
        for engine in self._engines.values():
            engine.close()

    def _encode(self, value: Any) -> Any:
        """An argument on its way; nothing of it is kept but its large parts."""
        return encode(value, self._blobs, allow_pickle=True, known=self._origins.written)


def address_of(service: Pipelines) -> str:
    """The folder or the URL of the store that a service works on."""
    backend: Any = service._backend  # noqa: SLF001 -- services of one room share their backend
    store = getattr(backend, "store", None)
    return str(store.folder) if store is not None else str(backend.url)
