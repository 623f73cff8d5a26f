"""Work for the conformance suite of task engines: functions that behave well, badly, and worse.

Work that hangs first connects to the address that it is given, `host:port`, and hands the connection to what it starts.
So the test knows when it has begun, and that the last of its processes has ended when the connection closes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

from mainspring.kernel.errors import Conflict

__all__ = [
    "big",
    "broken",
    "crash",
    "eat",
    "hang",
    "kill",
    "leave",
    "leave_orphan",
    "pid",
    "refuse",
    "stop",
    "upper",
    "wait",
]


def upper(payload: bytes) -> bytes:
    """The payload in capitals."""
    return payload.upper()


def pid(_payload: bytes) -> bytes:
    """The process that answers."""
    return str(os.getpid()).encode()


def big(payload: bytes) -> bytes:
    """As many bytes as the payload says."""
    return bytes(int(payload))


def refuse(_payload: bytes) -> bytes:
    """An error of ours."""
    raise Conflict("no", hint="never", details={"n": 1})


def broken(_payload: bytes) -> bytes:
    """An error of anybody's."""
    raise ValueError("broken")


def stop(_payload: bytes) -> bytes:
    """An attempt to end the interpreter."""
    sys.exit(4)


def wait(payload: bytes) -> bytes:
    """Answers when the other end of the connection says so."""
    with _connected(payload) as line:
        line.sendall(str(os.getpid()).encode())
        return line.recv(100)


def leave(_payload: bytes) -> bytes:
    """The process ends by itself."""
    os._exit(3)


def crash(_payload: bytes) -> bytes:
    """A read from address 0."""
    return ctypes.string_at(0)


def kill(_payload: bytes) -> bytes:
    """What the system does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def eat(_payload: bytes) -> bytes:
    """Half a gibibyte, for a moment."""
    return bytes(512 << 20)[:1]


def hang(payload: bytes) -> bytes:
    """Never answers, and has a child in a session of its own."""
    _start(payload)
    time.sleep(600)
    return b""


def leave_orphan(payload: bytes) -> bytes:
    """The process ends, what it had started does not."""
    _start(payload)
    os._exit(1)


def _start(payload: bytes) -> None:
    line = _connected(payload)
    line.set_inheritable(True)
    subprocess.Popen(["/bin/sleep", "600"], start_new_session=True, pass_fds=[line.fileno()])
    line.sendall(str(os.getpid()).encode())


def _connected(payload: bytes) -> socket.socket:
    host, _, port = payload.decode().rpartition(":")
    return socket.create_connection((host, int(port)), timeout=None)
