"""Hostile models: what a pickle tries in the process that holds it, while the server neither suffers nor waits."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mainspring.engines.models_sandbox import Limits, SandboxPredictor
from mainspring.engines.models_sandbox_wire import Block, Closed, Told, decode, encode, receive, send
from mainspring.engines.signature import Field, Signature
from mainspring.kernel.errors import Conflict, Damaged, InvalidInput, Unavailable
from mainspring.kernel.hashing import digest_bytes
from mainspring.lineage.types import File
from mainspring.models.package import _CHILD, MANIFEST, _Facts, open_package, read_manifest
from mainspring.models.policy import LoadPolicy
from mainspring.models.types import Manifest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX process is taken its rights")

SIGNATURE = Signature(inputs=(Field("x", "FP64"),))
ALLOWED = LoadPolicy(pickle=True)
ONE = {"x": np.array([1.0])}


MODEL = """
class Model:
    def __init__(self, told): self.told = told
    def predict(self, frame): return self.told(frame) if callable(self.told) else [self.told] * len(frame)
"""


def hostile(folder: Path, code: str) -> Path:
    """A folder that says it is a pickled model, whose pickle runs this code. `answer` is what it gives to every row."""
    text = f"{MODEL}\nimport builtins\nanswer = 0.0\n{code}\nbuiltins._made = Model(answer)"
    body = pickle.dumps(_Call(text), protocol=4)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.pkl").write_bytes(body)
    manifest = Manifest(
        format="pickle", signature=SIGNATURE, files=(File(path="model.pkl", size=len(body), digest=digest_bytes(body)),)
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return folder


class _Call:
    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> Any:
        # (exec(text), builtins._made)[1]
        return eval, (f"(exec({self.text!r}), __import__('builtins')._made)[1]",)


def opened(folder: Path, limits: Limits | None = None) -> SandboxPredictor:
    if limits is None:
        found = open_package(folder, policy=ALLOWED)
        assert isinstance(found, SandboxPredictor)
        return found
    facts = msgspec.json.encode(_Facts(read_manifest(folder), ALLOWED))
    return SandboxPredictor(_CHILD, folder, facts=facts, signature=SIGNATURE, limits=limits)


def told(folder: Path, expression: str) -> Any:
    """What an expression is worth in the model's process, as text; errors by their names."""
    code = f"""
def answer(frame):
    import os, socket, sys
    try:
        return [repr({expression})]
    except BaseException as error:
        return [type(error).__name__]
"""
    found = opened(hostile(folder, code))
    try:
        return found.predict(ONE)["value"][0]
    finally:
        found.close()


@pytest.fixture
def walls(tmp_path: Path) -> tuple[str, ...]:
    """What this machine's system gives."""
    found = opened(hostile(tmp_path / "plain", ""))
    found.close()
    return found.protections


def test_an_honest_pickle_answers(tmp_path: Path) -> None:
    found = opened(hostile(tmp_path / "m", "answer = 2.5"))
    assert found.predict({"x": np.array([1.0, 2.0])})["value"].tolist() == [2.5, 2.5]
    assert found.runtime == "python"
    assert {"own session", "empty environment", "limits"} <= set(found.protections)
    found.close()
    with pytest.raises(Conflict, match="closed"):
        found.predict(ONE)


def test_on_linux_every_wall_stands(walls: tuple[str, ...]) -> None:
    if sys.platform != "linux":
        pytest.skip("the walls are Linux's")
    missing = {"no network", "own processes", "files"} - set(walls)
    if missing:
        pytest.skip(f"this kernel gives no {missing}; the predictor says so")
    assert len(walls) == len(set(walls))


def test_the_environment_and_its_tokens_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_TOKEN", "msp_secret")
    assert told(tmp_path / "m", "os.environ.get('MAINSPRING_TOKEN')") == "None"
    assert "msp_secret" not in told(tmp_path / "n", "dict(os.environ)")


def test_the_environment_of_the_server_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walls: tuple[str, ...]
) -> None:
    if "files" not in walls:
        pytest.skip("no Landlock here")
    assert told(tmp_path / "m", f"open('/proc/{os.getpid()}/environ').read()") == "PermissionError"


def test_files_outside_are_neither_read_nor_written(tmp_path: Path, walls: tuple[str, ...]) -> None:
    if "files" not in walls:
        pytest.skip("no Landlock here")
    secret = tmp_path / "ledger.db"
    secret.write_text("rows")
    assert told(tmp_path / "a", f"open({str(secret)!r}).read()") == "PermissionError"
    assert told(tmp_path / "b", f"open({str(tmp_path / 'new')!r}, 'w')") == "PermissionError"
    assert told(tmp_path / "c", f"os.unlink({str(secret)!r})") == "PermissionError"
    assert told(tmp_path / "d", "os.listdir(os.path.expanduser('~root'))") == "PermissionError"
    assert told(tmp_path / "e", "open('scratch', 'w').write('xyz')") == "3"
    assert secret.read_text() == "rows"
    assert not (tmp_path / "new").exists()


def test_there_is_no_network(tmp_path: Path, walls: tuple[str, ...]) -> None:
    if "no network" not in walls:
        pytest.skip("no namespaces here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = told(tmp_path / "m", f"socket.create_connection(('127.0.0.1', {port}), timeout=2)")
    assert answer in ("PermissionError", "OSError", "ConnectionRefusedError")


def test_the_server_cannot_be_signalled(tmp_path: Path, walls: tuple[str, ...]) -> None:
    if "own processes" not in walls:
        pytest.skip("no namespaces here")
    assert told(tmp_path / "m", f"os.kill({os.getpid()}, 0)") in ("ProcessLookupError", "PermissionError")
    assert told(tmp_path / "n", f"os.kill({os.getppid()}, 0)") in ("ProcessLookupError", "PermissionError")


def test_leaving_at_once_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="could not be started"):
        opened(hostile(tmp_path / "m", "import os; os._exit(0)"))
    with pytest.raises(Damaged, match="cannot be opened"):
        opened(hostile(tmp_path / "n", "raise ValueError('no')"))


def test_a_model_that_dies_is_started_again(tmp_path: Path) -> None:
    code = "def answer(frame):\n    import os\n    if frame['x'][0] < 0: os._exit(1)\n    return [float(os.getpid())]"
    found = opened(hostile(tmp_path / "m", code))
    try:
        assert len(found.predict(ONE)["value"]) == 1
        with pytest.raises(Unavailable, match="gave no answer"):
            found.predict({"x": np.array([-1.0])})
        assert len(found.predict(ONE)["value"]) == 1
    finally:
        found.close()


def test_a_model_that_never_answers_is_killed_in_time(tmp_path: Path) -> None:
    code = "def answer(frame):\n    while frame['x'][0] < 0: pass\n    return [1.0]"
    found = opened(hostile(tmp_path / "m", code), Limits(answer_seconds=1.0))
    try:
        start = time.monotonic()
        with pytest.raises(Unavailable, match="in time"):
            found.predict({"x": np.array([-1.0])})
        assert time.monotonic() - start < 5
        assert found.predict(ONE)["value"].tolist() == [1.0]
    finally:
        found.close()
    with pytest.raises(Unavailable, match="in time"):
        opened(hostile(tmp_path / "n", "while True: pass"), Limits(load_seconds=1.0))


def test_a_fork_bomb_is_bounded_and_swept_away(tmp_path: Path, walls: tuple[str, ...]) -> None:
    code = """
def answer(frame):
    import os, time
    made = 0
    try:
        while made < 400:
            if os.fork() == 0:
                os.setsid()
                time.sleep(60)
                os._exit(0)
            made += 1
    except OSError:
        pass
    return [float(made)]
"""
    if os.getuid() == 0 and "own user" not in walls:
        pytest.skip("root's processes are not counted, and this kernel lets it be nobody else")
    before = _processes()
    found = opened(hostile(tmp_path / "m", code), Limits(processes=40))
    made = found.predict(ONE)["value"][0]
    assert made < 40
    found.close()
    if "own processes" in walls:
        until = time.monotonic() + 10
        while _processes() > before + 5 and time.monotonic() < until:
            time.sleep(0.05)
        assert _processes() <= before + 5


def _processes() -> int:
    if sys.platform != "linux":
        return 0
    return sum(b"models_sandbox_child" in _command(each) for each in Path("/proc").iterdir() if each.name.isdigit())


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_memory_and_files_are_bounded(tmp_path: Path) -> None:
    limits = Limits(memory=2 << 30, file_bytes=1 << 20)
    code = "def answer(frame):\n    return [float(len(bytearray(3 << 30)))]"
    found = opened(hostile(tmp_path / "m", code), limits)
    with pytest.raises(InvalidInput, match="MemoryError"):
        found.predict(ONE)
    found.close()
    code = """
def answer(frame):
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open('big', 'wb') as out:
        return [float(out.write(b'x' * (2 << 20)))]
"""
    found = opened(hostile(tmp_path / "n", code), limits)
    with pytest.raises(InvalidInput, match="File too large"):
        found.predict(ONE)
    found.close()


def test_an_answer_is_never_a_pickle_and_never_endless(tmp_path: Path) -> None:
    speak = """
def answer(frame):
    import os, socket, struct, sys
    link = next(socket.socket(fileno=each) for each in range(3, 1024) if _is_socket(each))
    link.sendall({body})
    import time; time.sleep(30)
def _is_socket(each):
    import os, stat
    try: return stat.S_ISSOCK(os.fstat(each).st_mode)
    except OSError: return False
"""
    for number, body in enumerate(("struct.pack('>Q', 1 << 60)", "struct.pack('>Q', 5) + b'hello'", "b'\\x80\\x05.'")):
        code = speak.format(body=body) + "\nbuiltins._is_socket = _is_socket"
        found = opened(hostile(tmp_path / str(number), code), Limits(answer_seconds=2.0, answer_bytes=1 << 20))
        with pytest.raises(Unavailable, match="gave no answer"):
            found.predict(ONE)
        found.close()


def test_many_threads_ask_one_model(tmp_path: Path) -> None:
    found = opened(hostile(tmp_path / "m", "def answer(frame):\n    return frame['x'].to_list()"))
    wrong: list[float] = []

    def ask(number: float) -> None:
        for _ in range(20):
            answer = found.predict({"x": np.full(3, number)})["value"].tolist()
            wrong.extend(each for each in answer if each != number)

    threads = [threading.Thread(target=ask, args=(float(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.close()
    assert wrong == []


def test_its_folder_may_go_and_its_own_goes_with_it(tmp_path: Path) -> None:
    folder = hostile(tmp_path / "m", "answer = 1.0")
    found = opened(folder)
    home = found._home
    (folder / "model.pkl").unlink()
    found._stop()
    assert found.predict(ONE)["value"].tolist() == [1.0]
    assert home.exists()
    found.close()
    assert not home.exists()


def test_the_wire_checks_what_it_reads() -> None:
    columns = {
        "a": np.arange(6, dtype=np.int16).reshape(2, 3),
        "b": np.array(["x", None], dtype=object),
        "c": np.zeros((0, 2), dtype=np.float32),
        "d": np.array([True, False]),
    }
    found = decode(encode(columns))
    for name, array in columns.items():
        assert found[name].dtype == array.dtype
        assert found[name].tolist() == array.tolist()
    for block in (
        Block("object", [1], numbers=b"x" * 8),
        Block("float64", [2], numbers=b"x" * 8),
        Block("float64", [1], numbers=b"x" * 7),
        Block("text", [3], texts=["a"]),
    ):
        with pytest.raises(InvalidInput):
            decode({"a": block})
    with pytest.raises(InvalidInput, match="neither numbers nor text"):
        encode({"a": np.zeros(2, dtype=np.complex128)})
    one, other = socket.socketpair()
    with one, other:
        send(one, Told({}))
        assert receive(other, Told, limit=100, seconds=1.0) == Told({})
        with pytest.raises(Closed, match="in time"):
            receive(other, Told, limit=100, seconds=0.05)
        one.close()
        with pytest.raises(Closed, match="ended"):
            receive(other, Told, limit=100, seconds=1.0)
