"""What a process prints comes into its run: in order, once, and the program notices nothing."""

# ruff: noqa: T201 -- printing is what is listened to
from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mainspring.tracking.console_output import ConsoleOutput


class Kept(dict[int, bytes]):
    """Segments as they were handed over last."""

    def __call__(self, number: int, data: bytes) -> None:
        self[number] = data

    @property
    def lines(self) -> list[str]:
        """Stream and text of every line."""
        whole = b"".join(self[number] for number in sorted(self)).decode()
        return [line.partition("Z ")[2] for line in whole.splitlines()]


def streams(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Streams of Python that nobody else listens to; made in the test, because pytest sets its own before it."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return out, err


def test_both_streams_in_order_and_the_program_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = streams(monkeypatch)
    kept = Kept()
    console = ConsoleOutput(kept)
    print("one")
    print("two", file=sys.stderr)
    assert out.write("three\n") == 6
    print("é half", end="")
    console.stop()
    print("after")
    assert kept.lines == ["stdout one", "stderr two", "stdout three", "stdout é half"]
    assert out.buffer.getvalue().decode() == "one\nthree\né halfafter\n"
    assert err.buffer.getvalue() == b"two\n"
    assert "write" not in out.__dict__


def test_of_a_progress_bar_only_its_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    streams(monkeypatch)
    kept = Kept()
    console = ConsoleOutput(kept)
    for percent in range(101):
        print(f"\r\x1b[32m{percent}%\x1b[0m", end="", file=sys.stderr)
    print(" done", file=sys.stderr)
    print("dos\r\nnext")
    console.stop()
    assert kept.lines == ["stderr 100% done", "stdout dos", "stdout next"]


def test_threads_print_whole_lines_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    streams(monkeypatch)
    kept = Kept()
    console = ConsoleOutput(kept)
    threads = [
        threading.Thread(target=lambda n=n: [sys.stdout.write(f"{n}:{i}\n") for i in range(500)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    console.stop()
    assert sorted(kept.lines) == sorted(f"stdout {n}:{i}" for n in range(8) for i in range(500))


def test_much_output_comes_in_segments_and_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    streams(monkeypatch)
    monkeypatch.setattr("mainspring.tracking.console_output._WHOLE", 600_000)
    kept = Kept()
    console = ConsoleOutput(kept)
    for number in range(20_000):
        print(f"line {number:06d} {'x' * 40}")
    console.stop()
    assert len(kept) == 3
    assert all(len(data) < 300_000 for data in kept.values())
    assert "not recorded" in kept.lines[-1]
    assert kept.lines[0].startswith("stdout line 000000")


def test_listeners_may_leave_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = streams(monkeypatch)
    first, second = Kept(), Kept()
    one, two = ConsoleOutput(first), ConsoleOutput(second)
    print("both")
    one.stop()
    print("second")
    two.stop()
    print("none")
    assert (first.lines, second.lines) == (["stdout both"], ["stdout both", "stdout second"])
    assert "write" not in out.__dict__


def test_streams_that_are_closed_or_missing_or_fixed_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        __slots__ = ()

        def write(self, text: str) -> int:
            return len(text)

    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", Fixed())
    ConsoleOutput(Kept()).stop()
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    console = ConsoleOutput(kept := Kept())
    sys.stdout.close()
    with pytest.raises(ValueError, match="closed"):
        sys.stdout.write("x")
    console.stop()
    assert kept == {}


def test_how_an_error_came_about_stands_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    streams(monkeypatch)
    kept = Kept()
    console = ConsoleOutput(kept)
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as error:
        console.stop(error)
    assert kept.lines[0] == "stderr Traceback (most recent call last):"
    assert kept.lines[-1] == "stderr ZeroDivisionError: division by zero"


def test_when_the_store_refuses_the_program_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = streams(monkeypatch)

    def refuse(number: int, data: bytes) -> None:
        raise OSError("no space")

    console = ConsoleOutput(refuse)
    print("one")
    console.stop()
    assert out.buffer.getvalue() == b"one\n"


PROCESS = """
import os, subprocess, sys, ctypes
from mainspring.tracking.console_output import ConsoleOutput
kept = {}
console = ConsoleOutput(kept.__setitem__, mode="process")
print("from python", flush=True)
os.write(1, b"from the descriptor\\n")
subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
child = os.fork()
if not child:
    os.write(2, b"from a fork\\n")
    os._exit(0)
os.waitpid(child, 0)
ctypes.CDLL(None).puts(b"from c")
lasting = subprocess.Popen(["sh", "-c", "sleep 0.5; echo late"])
console.stop()
os.write(1, b"after\\n")
lasting.wait()
import time; time.sleep(0.2)
open(sys.argv[1], "wb").write(b"".join(kept.values()))
"""


def test_of_the_whole_process_c_libraries_and_children_are_heard(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "heard")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = [line.partition("Z ")[2] for line in (tmp_path / "heard").read_text().splitlines()]
    wanted = {"from python", "from the descriptor", "from a child", "from c"}
    assert {line.removeprefix("stdout ") for line in said if line.startswith("stdout")} == wanted
    assert "stderr from a fork" in said
    assert set(done.stdout.splitlines()) == wanted | {"after", "late"}
    assert done.stderr == "from a fork\n"


def test_a_forked_child_prints_and_is_not_heard() -> None:
    script = (
        "import os\n"
        "from mainspring.tracking.console_output import ConsoleOutput\n"
        "kept = {}\n"
        "console = ConsoleOutput(kept.__setitem__)\n"
        "if not os.fork():\n"
        "    print('child', flush=True); os._exit(0)\n"
        "os.wait(); print('parent', flush=True); console.stop()\n"
        "assert b'child' not in kept[0] and b'parent' in kept[0]\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "child\nparent\n"), done.stderr
