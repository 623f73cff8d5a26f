"""A collection of garbage that is killed at every system call, one after the other. Run by `test_collect.py`.

`crash_collect.py TEMPLATE FOLDER`: for n = 1, 2, ... it copies the closed store TEMPLATE to FOLDER/n, and a child opens
it, collects, and is killed with SIGKILL at its n-th call, until a child comes to its end. It prints each call.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from crash import Killer

from mainspring.store.collect import collect_garbage
from mainspring.store.sqlite import SqliteConnection
from mainspring.store.store import Store


def work(folder, n, log):
    store = Store.open(folder)
    killer = Killer(n, log)
    for name in ("write", "fsync", "rename", "unlink"):
        killer.counted(os, name)
    for name in ("execute", "many", "commit"):
        killer.counted(SqliteConnection, name)
    collect_garbage(store, grace=0, hold=0)
    killer.write(log, b"end\n")


def main(template, folder):
    n, last = 0, ""
    while last != "end":
        n += 1
        shutil.copytree(template, folder / str(n))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            work(folder / str(n), n, writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as log:
            last = log.read().splitlines()[-1]
        os.waitpid(child, 0)
        sys.stdout.write(f"{last}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
