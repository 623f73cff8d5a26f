"""Processes of one store wake each other: nobody asks again and again, and nobody trusts a call that may be lost."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time

from mainspring.kernel.clock import monotonic
from mainspring.store.commits import Commits
from mainspring.store.wakeups import Pipes


def test_a_call_reaches_everybody_who_listens(tmp_path):
    pipes = Pipes(tmp_path / "wake")
    assert pipes.call() == 0, "nobody listens, and there is no folder yet"
    first, second = pipes.listen(), pipes.listen()
    assert pipes.call() == 2
    assert first.hear(1.0)
    assert second.hear(1.0)
    assert not first.hear(0.0), "a call is heard once"
    first.close()
    assert pipes.call() == 1
    second.close()
    assert not any((tmp_path / "wake").iterdir())


def test_the_pipe_of_a_killed_process_is_removed(tmp_path):
    code = f"""
import os, pathlib
from mainspring.store.wakeups import Pipes
ear = Pipes(pathlib.Path({str(tmp_path)!r})).listen()
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len([*tmp_path.iterdir()]) == 1
    assert Pipes(tmp_path).call() == 0
    assert not any(tmp_path.iterdir())


def test_the_pipe_of_a_killed_process_is_removed_while_its_forks_live(tmp_path):
    code = f"""
import os, pathlib, time
from mainspring.store.wakeups import Pipes
ear = Pipes(pathlib.Path({str(tmp_path / "wake")!r})).listen()
if os.fork():
    while not os.path.exists({str(tmp_path / "forked")!r}):
        time.sleep(0.005)
    os.kill(os.getpid(), 9)
open({str(tmp_path / "forked")!r}, "w").write(str(os.getpid()))
time.sleep(60)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    try:
        assert Pipes(tmp_path / "wake").call() == 0
        assert not any((tmp_path / "wake").iterdir())
    finally:
        while not (child := (tmp_path / "forked").read_text()):
            time.sleep(0.005)
        os.kill(int(child), signal.SIGKILL)


def test_a_pipe_that_was_never_listened_to_is_removed_after_a_while(tmp_path):
    for name in (".young", ".old"):
        os.mkfifo(tmp_path / name)
    os.utime(tmp_path / ".old", (0, 0))
    assert Pipes(tmp_path).call() == 0
    assert [each.name for each in tmp_path.iterdir()] == [".young"], "its process may be about to open it"


def test_a_pipe_beyond_the_first_thousand_descriptors_is_heard(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2048)), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        ear = Pipes(tmp_path).listen()
        assert not ear.hear(0.0)
        assert Pipes(tmp_path).call() == 1
        assert ear.hear(1.0)
        ear.close()
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_ear_that_is_cut_off_is_not_opened_again_and_again():
    class Cut:
        def hear(self, timeout):
            raise OSError

        def close(self):
            pass

    opened = []
    commits = Commits(lambda: opened.append(Cut()) or opened[-1])
    commits.wait(commits.number, 0.01)
    time.sleep(0.3)
    commits.close()
    assert len(opened) == 1


def test_many_calls_never_block(tmp_path):
    pipes = Pipes(tmp_path)
    ear = pipes.listen()
    for _ in range(100_000):
        pipes.call()
    assert ear.hear(0.0)
    ear.close()


def test_a_waiter_is_woken_by_another_process_s_call(tmp_path):
    commits = Commits(Pipes(tmp_path).listen)
    seen = commits.number
    while not any(tmp_path.iterdir()):
        commits.wait(seen, 0.05)
        seen = commits.number
    woken = []

    def wait() -> None:
        while commits.number == seen:
            commits.wait(seen, 30.0)
        woken.append(monotonic())

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    called = monotonic()
    code = f"import pathlib; from mainspring.store.wakeups import Pipes; Pipes(pathlib.Path({str(tmp_path)!r})).call()"
    subprocess.run([sys.executable, "-c", code], check=True)
    thread.join(10)
    assert woken, "a call of another process wakes"
    assert woken[0] >= called
    commits.close()


def test_who_cannot_hear_looks_often():
    commits = Commits(lambda: None)
    began = monotonic()
    commits.wait(commits.number, 30.0)
    assert monotonic() - began < 5.0
    commits.close()
