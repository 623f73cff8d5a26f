"""What runs beside what on one machine: work begins as cores, graphics processors and memory become free.

Written by hand because pools of processes count processes, and a step that says `cpu=4` or `gpu=1` counts for more.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import msgspec

from mainspring.engines.tasks import NO_LIMITS, Limits, TaskEngine
from mainspring.kernel.errors import Unavailable

__all__ = ["Machine", "PackedEngine", "Packing", "this_machine"]

_SMALL = 1e-9


class Machine(msgspec.Struct, frozen=True):
    """What a machine has."""

    cores: float
    memory: int
    """Bytes; 0 where it is not known, and then nothing waits for memory."""
    devices: tuple[str, ...] = ()
    """The graphics processors, as `CUDA_VISIBLE_DEVICES` names them."""


def this_machine(environ: Mapping[str, str] = os.environ) -> Machine:
    """What this process may use of its machine."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        memory = 0
    try:
        capped = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        memory = min(memory, int(capped)) if capped.isdigit() else memory
    except OSError:
        pass  # no control group, or not of version 2
    if (named := environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        devices = tuple(each.strip() for each in named.split(",") if each.strip() and each.strip() != "-1")
    else:
        devices = tuple(str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*")))
    return Machine(float(os.cpu_count() or 1), memory, devices)


class _Needs(msgspec.Struct):
    """What one piece of work takes."""

    cores: float
    memory: int
    gpus: float
    devices: tuple[str, ...] = ()


class _Piece(msgspec.Struct):
    """One piece of work that waits for room."""

    engine: TaskEngine
    address: str
    payload: bytes
    limits: Limits
    needs: _Needs
    outcome: Future[bytes]
    inner: Future[bytes] | None = None


class Packing:
    """The room on one machine, shared by engines. Safe to use from many threads.

    Work begins in the order of its priority, and of its coming among equals; what is at the front and does not fit yet
    is not overtaken, so that large work begins at all. What asks for more than the machine has is given all of it.

    Args:
        machine: What there is; this one by default.
    """

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or this_machine()
        self._lock = threading.Lock()
        self._cores = self.machine.cores
        self._memory = self.machine.memory
        self._gpus = dict.fromkeys(self.machine.devices, 1.0)
        self._waiting: list[tuple[int, int, _Piece]] = []
        self._order = itertools.count()
        self._starting = False

    def submit(self, engine: TaskEngine, address: str, payload: bytes, limits: Limits) -> _Piece:
        """Run work with `engine` as soon as there is room."""
        needs = _Needs(
            min(limits.cpu or 1.0, self.machine.cores),
            min(limits.memory, self.machine.memory),
            min(limits.gpu, float(len(self.machine.devices))),
        )
        piece = _Piece(engine, address, payload, limits, needs, Future())
        with self._lock:
            heapq.heappush(self._waiting, (-limits.priority, next(self._order), piece))
        self._start()
        return piece

    def _start(self) -> None:
        """Begin what fits. Futures are called without the lock: what hangs on them may come back here."""
        while (piece := self._next()) is not None:
            if not piece.outcome.set_running_or_notify_cancel():
                self._leave(piece)
                continue
            limits = piece.limits
            if piece.needs.devices:
                visible = {"CUDA_VISIBLE_DEVICES": ",".join(piece.needs.devices)}
                limits = msgspec.structs.replace(limits, environ=visible)
            try:
                piece.inner = piece.engine.submit(piece.address, piece.payload, limits=limits)
            except Unavailable as error:
                self._leave(piece)
                piece.outcome.set_exception(error)
                continue
            piece.inner.add_done_callback(lambda done, ended=piece: self._ended(ended, done))  # type: ignore[misc]  # mypy infers no lambda with a default

    def _next(self) -> _Piece | None:
        with self._lock:
            if not self._waiting or not self._fits(self._waiting[0][2].needs):
                return None
            piece = heapq.heappop(self._waiting)[2]
            needs = piece.needs
            self._cores -= needs.cores
            self._memory -= needs.memory
            if needs.gpus:
                needs.devices = self._devices(needs.gpus)
                for device in needs.devices:
                    self._gpus[device] -= min(1.0, needs.gpus)
            return piece

    def _fits(self, needs: _Needs) -> bool:
        return (
            self._cores + _SMALL >= needs.cores
            and self._memory >= needs.memory
            and (not needs.gpus or bool(self._devices(needs.gpus)))
        )

    def _devices(self, wanted: float) -> tuple[str, ...]:
        """Whole processors, or the fullest with room for a share of one; none where they do not fit."""
        if wanted < 1:
            shared = [each for each, left in self._gpus.items() if left + _SMALL >= wanted]
            return (min(shared, key=lambda each: self._gpus[each]),) if shared else ()
        count = -int(-wanted // 1)
        free = [each for each, left in self._gpus.items() if left > 1 - _SMALL]
        return tuple(free[:count]) if len(free) >= count else ()

    def _leave(self, piece: _Piece) -> None:
        needs = piece.needs
        with self._lock:
            self._cores += needs.cores
            self._memory += needs.memory
            for device in needs.devices:
                self._gpus[device] += min(1.0, needs.gpus)

    def _ended(self, piece: _Piece, done: Future[bytes]) -> None:
        self._leave(piece)
        self._start()
        if done.cancelled():
            piece.outcome.set_exception(Unavailable("the work was dropped before it had begun"))
        elif (error := done.exception()) is not None:
            piece.outcome.set_exception(error)
        else:
            piece.outcome.set_result(done.result())


class PackedEngine:
    """An engine of this machine whose work begins as there is room for it.

    Example:
        >>> from mainspring.engines.tasks import ThreadEngine
        >>> packed = PackedEngine(ThreadEngine(4), Packing(Machine(cores=2, memory=0)))
        >>> packed.submit("mainspring.engines.tasks_child:echo", b"hello", limits=Limits(cpu=2)).result()
        b'hello'
        >>> packed.close()
    """

    def __init__(self, engine: TaskEngine, packing: Packing) -> None:
        self._engine = engine
        self._packing = packing
        self._pieces: dict[Future[bytes], _Piece] = {}
        self._closed = False

    @property
    def width(self) -> int:
        """How many pieces of work run at the same time, where each takes one core."""
        return self._engine.width

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload` as soon as what `limits` names is free."""
        if self._closed:
            raise Unavailable("the task engine was closed")
        piece = self._packing.submit(self._engine, address, payload, limits)
        self._pieces[piece.outcome] = piece
        piece.outcome.add_done_callback(lambda done: self._pieces.pop(done, None))
        return piece.outcome

    def cancel(self, future: Future[bytes]) -> bool:
        """Drop work that waits; stop, as the engine below does, what runs."""
        if future.cancel():
            return True
        piece = self._pieces.get(future)
        return piece is not None and piece.inner is not None and self._engine.cancel(piece.inner)

    def close(self) -> None:
        """Drop what waits, and close the engine below."""
        self._closed = True
        for future in list(self._pieces):
            future.cancel()
        self._engine.close()
