"""The conformance suite of task engines.

Whoever writes an adapter inherits it and says how an engine is made:

    class TestMyEngine(TasksSuite):
        @pytest.fixture
        def engine(self):
            with MyEngine(2) as made:
                yield made

`ProcessTasksSuite` has what an engine must do besides when work runs in processes of its own, on this machine. The
engine may be one for all tests: the suite leaves it as it was. It needs pytest, and nothing of the adapter but the port
`mainspring.engines.tasks.TaskEngine`.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from typing import Self

import pytest

from mainspring.engines.tasks import Limits, ProcessDied, TaskEngine
from mainspring.kernel.errors import Conflict, DeadlineExceeded, InternalError, NotFound, TooLarge, Unavailable

__all__ = ["Line", "ProcessTasksSuite", "TasksSuite"]

_WORK = "mainspring.testing.tasks_work:"
_PATIENCE = 60.0


class Line:
    """The end of a connection at which a test listens to work that hangs."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(_PATIENCE)
        self._accepted: list[socket.socket] = []

    @property
    def address(self) -> bytes:
        """Where work connects to: its payload."""
        return f"127.0.0.1:{self._server.getsockname()[1]}".encode()

    def begun(self) -> int:
        """Wait until the next work has begun; its process."""
        line, _ = self._server.accept()
        line.settimeout(_PATIENCE)
        self._accepted.append(line)
        return int(line.recv(100))

    def say(self, answer: bytes) -> None:
        """What the work of `wait` that began first is to answer."""
        self._accepted[0].sendall(answer)

    def all_ended(self) -> bool:
        """Whether every process that work has started has ended: waits for it."""
        try:
            return all(line.recv(100) == b"" for line in self._accepted)
        except ConnectionResetError:
            return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Hang up."""
        for line in (*self._accepted, self._server):
            line.close()


class TasksSuite:
    """Inherit, give the fixture `engine`, run."""

    @pytest.fixture
    def engine(self) -> TaskEngine:
        """An engine; it may have done other work before."""
        raise NotImplementedError

    @pytest.fixture
    def make(self) -> Callable[[], TaskEngine]:
        """What makes one more engine, of width 1, which the test closes."""
        raise NotImplementedError

    @pytest.fixture
    def line(self) -> Iterator[Line]:
        """A connection for work that hangs."""
        with Line() as made:
            yield made

    @pytest.mark.parametrize("size", [0, 1, 100_000, 3 << 20])
    def test_the_answer_is_what_the_work_returned(self, engine: TaskEngine, size: int) -> None:
        """Every size goes there and back."""
        payload = b"x" * size
        assert engine.submit(_WORK + "upper", payload).result() == payload.upper()

    def test_an_engine_has_a_width(self, engine: TaskEngine) -> None:
        """At least one piece of work runs at a time."""
        assert engine.width >= 1

    def test_many_threads_may_submit(self, engine: TaskEngine) -> None:
        """Each gets the answer to its own question."""
        results: dict[int, bytes] = {}

        def ask(number: int) -> None:
            results[number] = engine.submit(_WORK + "upper", b"a" * number).result()

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {number: b"A" * number for number in range(20)}

    def test_errors_of_ours_come_back_as_they_were(self, engine: TaskEngine) -> None:
        """Type, message, hint and details."""
        with pytest.raises(Conflict) as raised:
            engine.submit(_WORK + "refuse", b"").result()
        assert (raised.value.message, raised.value.hint, raised.value.details) == ("no", "never", {"n": 1})

    def test_other_errors_come_back_with_their_traceback(self, engine: TaskEngine) -> None:
        """As `InternalError`; an attempt to end the interpreter is an error as well, and does not end the engine."""
        with pytest.raises(InternalError, match="ValueError: broken") as raised:
            engine.submit(_WORK + "broken", b"").result()
        assert raised.value.details["type"] == "ValueError"
        assert "tasks_work.py" in raised.value.details["traceback"]
        with pytest.raises(InternalError, match="SystemExit"):
            engine.submit(_WORK + "stop", b"").result()
        assert engine.submit(_WORK + "upper", b"ok").result() == b"OK"

    @pytest.mark.parametrize("address", [_WORK + "no_such", "no.such.module:function", "nothing"])
    def test_an_unknown_address_is_an_error_of_the_future(self, engine: TaskEngine, address: str) -> None:
        """Submitting does not raise: another machine may know more."""
        with pytest.raises(NotFound):
            engine.submit(address, b"").result()

    def test_answers_have_a_limit(self, engine: TaskEngine) -> None:
        """One byte more is `TooLarge`."""
        with pytest.raises(TooLarge):
            engine.submit(_WORK + "big", b"1001", limits=Limits(result=1000)).result()
        assert engine.submit(_WORK + "big", b"1000", limits=Limits(result=1000)).result() == bytes(1000)

    def test_finished_work_cannot_be_cancelled(self, engine: TaskEngine) -> None:
        """Its answer stays."""
        future = engine.submit(_WORK + "upper", b"ok")
        wait([future])
        assert not engine.cancel(future)
        assert future.result() == b"OK"

    def test_a_closed_engine_takes_no_work(self, make: Callable[[], TaskEngine]) -> None:
        """What it had done stays; closing again does nothing."""
        engine = make()
        future = engine.submit(_WORK + "upper", b"ok")
        assert future.result() == b"OK"
        engine.close()
        engine.close()
        with pytest.raises(Unavailable, match="closed"):
            engine.submit(_WORK + "upper", b"")
        assert future.result() == b"OK"


class ProcessTasksSuite(TasksSuite):
    """For engines whose work runs in processes of its own on this machine."""

    def test_work_runs_in_another_process(self, engine: TaskEngine) -> None:
        """Not in this one."""
        assert int(engine.submit(_WORK + "pid", b"").result()) != os.getpid()

    @pytest.mark.parametrize(
        ("work", "signal", "code"), [("leave", "", 3), ("crash", "SIGSEGV", -11), ("kill", "SIGKILL", -9)]
    )
    def test_a_process_that_dies_is_reported_and_replaced(
        self, engine: TaskEngine, work: str, signal: str, code: int
    ) -> None:
        """How it ended is said; the next work does not notice."""
        with pytest.raises(ProcessDied) as died:
            engine.submit(_WORK + work, b"").result()
        assert (died.value.details["signal"], died.value.details["exit_code"]) == (signal, code)
        assert engine.submit(_WORK + "upper", b"ok").result() == b"OK"

    def test_a_time_limit_kills_the_whole_tree(self, engine: TaskEngine, line: Line) -> None:
        """With what the work had started in sessions of their own."""
        future = engine.submit(_WORK + "hang", line.address, limits=Limits(timeout=1.0))
        line.begun()
        with pytest.raises(DeadlineExceeded, match="for longer than"):
            future.result()
        assert line.all_ended()
        assert engine.submit(_WORK + "upper", b"ok", limits=Limits(timeout=60)).result() == b"OK"

    def test_cancelling_kills_the_whole_tree(self, engine: TaskEngine, line: Line) -> None:
        """The future then says so, and cannot be cancelled again."""
        future = engine.submit(_WORK + "hang", line.address)
        line.begun()
        assert engine.cancel(future)
        with pytest.raises(ProcessDied, match="cancelled") as died:
            future.result()
        assert died.value.details["cancelled"]
        assert line.all_ended()
        assert not engine.cancel(future)
        assert engine.submit(_WORK + "upper", b"ok").result() == b"OK"

    def test_what_a_dead_process_had_started_is_ended_too(self, engine: TaskEngine, line: Line) -> None:
        """Nobody else would end it."""
        future = engine.submit(_WORK + "leave_orphan", line.address)
        line.begun()
        with pytest.raises(ProcessDied):
            future.result()
        assert line.all_ended()

    @pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's RLIMIT_DATA")
    def test_a_memory_limit_stops_the_work_and_not_the_engine(self, engine: TaskEngine) -> None:
        """The limit is that of the one piece of work."""
        with pytest.raises(ProcessDied, match="more memory"):
            engine.submit(_WORK + "eat", b"", limits=Limits(memory=256 << 20)).result()
        assert engine.submit(_WORK + "eat", b"").result() == b"\0"

    def test_work_runs_side_by_side_up_to_the_width(self, make: Callable[[], TaskEngine], line: Line) -> None:
        """What waits for a place can be dropped, and the rest is done when there is one."""
        engine = make()
        try:
            assert engine.width == 1
            first = engine.submit(_WORK + "wait", line.address)
            line.begun()
            waiting = [engine.submit(_WORK + "upper", b"ok") for _ in range(2)]
            assert engine.cancel(waiting[0])
            assert not waiting[1].done()
            line.say(b"go on")
            assert first.result() == b"go on"
            assert waiting[1].result() == b"OK"
            with pytest.raises((CancelledError, ProcessDied)):
                waiting[0].result()
        finally:
            engine.close()

    def test_closing_kills_what_runs_and_drops_what_waits(self, make: Callable[[], TaskEngine], line: Line) -> None:
        """No future stays open."""
        engine = make()
        running: Future[bytes] = engine.submit(_WORK + "hang", line.address)
        line.begun()
        waiting = engine.submit(_WORK + "upper", b"ok")
        engine.close()
        with pytest.raises(ProcessDied):
            running.result(_PATIENCE)
        with pytest.raises((CancelledError, ProcessDied)):
            waiting.result(_PATIENCE)
        assert line.all_ended()
