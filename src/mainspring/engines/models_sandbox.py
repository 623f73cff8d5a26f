"""Models that are programs, in a process of their own without the server's rights.

The process is started with an empty environment (no token, no address of the store), in a session of its own, and
takes from itself what `models_sandbox_limits` names before it reads the model. It is fed arrays over a socket and
answers with arrays; nothing it sends is ever run here. One that does not answer in time is killed with all that it
started; one that died is started again for the next question.

What is not stopped: whatever the system gives no wall for (see `protections` of the predictor), wrong answers, and
leaks through timing. Against faults of the kernel itself only a machine of its own helps.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mainspring.engines.models_sandbox_wire import (
    Ask,
    Closed,
    Failed,
    Ready,
    Setup,
    Told,
    decode,
    encode,
    receive,
    send,
)
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput, TooLarge, Unavailable
from mainspring.kernel.settings import find_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mainspring.engines.signature import Signature

__all__ = ["Limits", "SandboxPredictor"]

_CHILD = "mainspring.engines.models_sandbox_child"
_NOBODY = 65534


class Limits(NamedTuple):
    """What a model's process may use."""

    memory: int = 8 << 30
    """Bytes of address space; libraries reserve far more than they use."""
    processes: int = 256
    """Processes and threads."""
    open_files: int = 256
    file_bytes: int = 256 << 20
    """Size of a file that it writes."""
    cpu_seconds: int = 3600
    """Of its whole life; it is started again after that."""
    load_seconds: float = 120.0
    answer_seconds: float = 60.0
    answer_bytes: int = 1 << 30


class SandboxPredictor:
    """A model in a child process; one question at a time.

    Args:
        opener: `module:callable` that is given the folder and the facts, in the child, and returns a `Predictor`.
        folder: The model's files; they are copied, so the folder may go.
        facts: Bytes for the opener.
        signature: What the model takes and gives.
        limits: What the process may use.
        readable: Further folders that it may read.
    """

    def __init__(
        self,
        opener: str,
        folder: Path,
        *,
        facts: bytes,
        signature: Signature,
        limits: Limits | None = None,
        readable: Sequence[str] = (),
    ) -> None:
        self._opener, self._facts, self._limits, self._readable = opener, facts, limits or Limits(), list(readable)
        self.signature = signature
        self.runtime = ""
        self.protections: tuple[str, ...] = ()
        """The measures that are in force; see `models_sandbox_limits`."""
        self._home = Path(tempfile.mkdtemp(prefix="mainspring-sandbox-"))
        self._closed = False
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        try:
            shutil.copytree(folder, self._home / "model")
            self._home.chmod(0o711)
            self._start()
        except BaseException:
            self.close()
            raise

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See `Predictor.predict`.

        Raises:
            Unavailable: The process died, or did not answer in time and was killed; the next question starts another.
        """
        asked = Ask(encode(columns))
        with self._turn:
            if self._closed:
                raise Conflict("this model is closed")
            if self._process is None or self._process.poll() is not None:
                self._stop()
                self._start()
            try:
                assert self._link is not None  # noqa: S101 -- `_start` made it
                self._link.settimeout(self._limits.answer_seconds)
                send(self._link, asked)
                told = self._receive(Told | Failed, self._limits.answer_seconds)
            except (Closed, TooLarge) as error:
                self._stop()
                raise Unavailable(f"the model's process gave no answer: {error}", hint="ask again") from error
        if isinstance(told, Failed):
            if told.refused:
                raise InvalidInput(told.error)
            raise InvalidInput(f"the model failed: {told.error}")
        return decode(told.columns)

    def close(self) -> None:
        """See `Predictor.close`."""
        self._closed = True
        self._stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        scratch = self._home / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        if hasattr(os, "getuid") and os.getuid() == 0:
            with contextlib.suppress(OSError):
                os.chown(scratch, _NOBODY, _NOBODY)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-m", _CHILD, str(theirs.fileno())],
                env=_environment(scratch),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        self._link = ours
        path = _search_path()
        try:
            send(
                ours,
                Setup(
                    opener=self._opener,
                    folder=str(self._home / "model"),
                    facts=self._facts,
                    scratch=str(scratch),
                    sys_path=path,
                    readable=[*self._readable, *path, *_prefixes()],
                    memory=self._limits.memory,
                    processes=self._limits.processes,
                    open_files=self._limits.open_files,
                    file_bytes=self._limits.file_bytes,
                    cpu_seconds=self._limits.cpu_seconds,
                ),
            )
            ready = self._receive(Ready | Failed, self._limits.load_seconds)
        except (Closed, TooLarge) as error:
            self._stop()
            raise Unavailable(f"the model's process could not be started: {error}") from error
        if isinstance(ready, Failed):
            self._stop()
            raise Damaged(f"the model cannot be opened: {ready.error}")
        self.runtime, self.protections = ready.runtime, ("own session", "empty environment", *ready.protections)

    def _receive(self, kind: Any, seconds: float) -> Any:
        assert self._link is not None  # noqa: S101 -- callers have started it
        return receive(self._link, kind, limit=self._limits.answer_bytes, seconds=seconds)

    def _stop(self) -> None:
        """Kill the process, its session, and with the process namespace everything that it ever started."""
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._process is None:
            return
        for inner in _children(self._process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(inner, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._process = None


def _environment(scratch: Path) -> dict[str, str]:
    """Nothing of ours: no token, no address, no proxy; only what libraries need to find their feet."""
    return {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLCONFIGDIR": str(scratch),
        "KERAS_HOME": str(scratch),
        **{name: os.environ[name] for name in ("KERAS_BACKEND",) if name in os.environ},
    }


def _search_path() -> list[str]:
    """Where modules are looked for; without a home as a whole, and without what holds a store of Mainspring's."""
    home, store = Path.home(), find_store()
    return [
        each
        for each in dict.fromkeys(sys.path)
        if each
        and Path(each).exists()
        and Path(each) != home
        and not (Path(each) / ".mainspring").exists()
        and not (store.exists() and store.is_relative_to(Path(each).absolute()))
    ]


def _prefixes() -> list[str]:
    """Where the interpreter and its shared libraries are."""
    return list(dict.fromkeys([sys.prefix, sys.base_prefix, *site.getsitepackages()]))


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]
