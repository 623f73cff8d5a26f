"""What runs inside a task process: a loop that answers work from a socket, and the *zygote* that forks such loops.

    python -m mainspring.engines.tasks_child zygote FD      forks children on request
    python -m mainspring.engines.tasks_child child FD       is one child, without a zygote

The zygote is started by exec, has a single Python thread and only ever imports modules, so forking it is safe however
many threads its parent has. What it has imported its children need not import again. Everything ends with the parent:
the zygote when its socket closes, the children when the zygote dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import runpy
import signal
import socket
import struct
import sys
import types
from pathlib import Path
from typing import Any

import msgspec

from mainspring.engines.tasks import ProcessDied, resolve, told
from mainspring.kernel.errors import MainspringError

__all__ = ["Died", "Fork", "Setup", "WorkFrame", "children_of", "echo", "inside_task_process", "pid", "receive", "send"]

_HEADER = struct.Struct(">BQ")
OK, RAISED = 0, 1
_PDEATHSIG, _CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_inside = False


class Setup(msgspec.Struct):
    """How the processes are to look before they import anything of the user."""

    sys_path: list[str]
    cwd: str
    preload: list[str] = []
    main: str = ""
    """Path of the parent's script, so that functions defined there can be found."""


class Fork(msgspec.Struct, tag=True):
    """Make a child that serves on the file descriptor sent along. Answered with its process id."""


class Died(msgspec.Struct, tag=True):
    """A child's socket closed: end what is left of it. Answered with its wait status."""

    pid: int


class WorkFrame(msgspec.Struct, array_like=True):
    """One piece of work."""

    address: str
    payload: bytes
    memory: int = 0
    environ: dict[str, str] = {}
    """Set before it runs; the process is not used for other work afterwards."""


def inside_task_process() -> bool:
    """Whether this process was made to run tasks: importing a script must not start flows in it."""
    return _inside


def echo(payload: bytes) -> bytes:
    """Give the payload back: a probe of the way there and back."""
    return payload


def pid(_payload: bytes) -> bytes:
    """The id of the process: a probe of which one answers."""
    return str(os.getpid()).encode()


def send(to: socket.socket, kind: int, body: bytes) -> None:
    """Write one frame: kind, length, bytes."""
    to.sendall(_HEADER.pack(kind, len(body)))
    to.sendall(body)


def receive(source: socket.socket, *, limit: int = 0) -> tuple[int, bytes] | None:
    """Read one frame; None at the end. A frame over `limit` is read and dropped, and raised as `OverflowError`."""
    header = _exactly(source, _HEADER.size)
    if header is None:
        return None
    kind, size = _HEADER.unpack(header)
    if limit and size > limit:
        while size > 0 and (piece := source.recv(min(size, 1 << 20))):
            size -= len(piece)
        raise OverflowError(size)
    body = _exactly(source, size)
    return None if body is None else (kind, body)


def main(role: str, descriptor: int) -> None:
    """Run as zygote or child on an inherited socket."""
    channel = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's interrupt is for the parent, which then ends us
    first = receive(channel)
    if first is None:
        return
    setup = msgspec.json.decode(first[1], type=Setup)
    _prepare(setup)
    if role == "zygote":
        _prctl(_CHILD_SUBREAPER, 1)
        _serve_forks(channel)
    else:
        _serve(channel)


def _prepare(setup: Setup) -> None:
    global _inside  # noqa: PLW0603 -- a property of the process
    _inside = True
    sys.path[:] = setup.sys_path
    with contextlib.suppress(OSError):
        os.chdir(setup.cwd)
    for name in setup.preload:
        # By its bytecode, Python takes two texts of one length that a second did not separate for the same: what is
        # imported here of a file that is being edited leaves none.
        sys.dont_write_bytecode |= not name.startswith("mainspring.")
        with contextlib.suppress(Exception):  # the work that needs it will say what is wrong
            importlib.import_module(name)
    sys.dont_write_bytecode = True
    if setup.main and Path(setup.main).is_file():
        _load_main(setup.main)


def _load_main(path: str) -> None:
    """Run the parent's script under another name than `__main__`, as multiprocessing does, and let it be found."""
    module = types.ModuleType("__mainspring_main__")
    sys.modules["__mainspring_main__"] = module
    with contextlib.suppress(Exception, SystemExit):
        module.__dict__.update(runpy.run_path(path, run_name="__mainspring_main__"))
        sys.modules["__main__"] = module


def _serve_forks(channel: socket.socket) -> None:
    children: set[int] = set()
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(channel, 4096, 1)
        except OSError:
            message = b""
        if not message:
            for pid in children:
                _bury(pid)
            _end_orphans(set())
            os._exit(0)
        request = msgspec.json.decode(message, type=Fork | Died)
        if isinstance(request, Fork):
            pid = os.fork()
            if pid == 0:
                _become_child(channel, descriptors[0])
            children.add(pid)
            os.close(descriptors[0])
            channel.sendall(struct.pack(">q", pid))
        else:
            children.discard(request.pid)
            status = _bury(request.pid)
            _end_orphans(children)
            channel.sendall(struct.pack(">q", status))


def _become_child(channel: socket.socket, descriptor: int) -> None:
    """Never returns: serves until its socket closes."""
    try:
        os.setpgid(0, 0)
        parent = os.getppid()
        _prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            channel.close()
            _serve(socket.socket(fileno=descriptor))
    finally:
        os._exit(0)


def _serve(channel: socket.socket) -> None:
    while (frame := receive(channel)) is not None:
        work = msgspec.msgpack.decode(frame[1], type=WorkFrame)
        kind, body = _run(work)
        send(channel, kind, body)
    with contextlib.suppress(OSError):
        sys.stdout.flush()


def _run(work: WorkFrame) -> tuple[int, bytes]:
    os.environ.update(work.environ)
    try:
        with _memory_cap(work.memory):
            return OK, resolve(work.address)(work.payload)
    except MemoryError:
        cap = f" of {work.memory / 2**20:.0f} MiB" if work.memory else ""
        error: MainspringError = ProcessDied(
            f"the task needed more memory than its limit{cap}", details={"reason": "memory"}
        )
    except BaseException as raised:  # noqa: BLE001 -- the boundary of the task; SystemExit must not end the process
        error = told(raised)
    return RAISED, msgspec.json.encode(error.payload())


@contextlib.contextmanager
def _memory_cap(limit: int) -> Any:
    if not limit or sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _bury(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0


def _end_orphans(children: set[int]) -> None:
    """End processes that a dead child had started: the kernel has made us their parent."""
    while orphans := set(children_of(os.getpid())) - children:
        for pid in orphans:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def children_of(*parents: int) -> list[int]:
    """The processes that these have started and that are still there; empty where there is no `/proc`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            # The name in parentheses may hold spaces and parentheses; fields are counted behind the last one.
            if int(entry.read_text().rpartition(")")[2].split()[1]) in parents:
                found.append(int(entry.parent.name))
    return found


def _exactly(source: socket.socket, size: int) -> bytes | None:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        count = source.recv_into(view[filled:])
        if count == 0:
            return None
        filled += count
    return bytes(buffer)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    importlib.import_module("mainspring.engines.tasks_child")
    # The module that runs and the module that others import must be one: they share `_inside`.
    sys.modules["mainspring.engines.tasks_child"].main(sys.argv[1], int(sys.argv[2]))
