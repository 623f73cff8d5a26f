"""A program whose disk dies under it at the n-th call, for every n. Run by `test_faults.py`.

`faulty.py MODE TEMPLATE FOLDER`: for n = 1, 2, ... it copies the closed store TEMPLATE to FOLDER/n, and a child opens
it and writes rows, alone and in groups, waiting for the disk and not, in pairs that belong together, until its n-th
write, sync or truncation of a database file. In the middle of that call

- MODE `kill`: half of what was to be written is written, and the process is killed with SIGKILL;
- MODE `power`: of what was written and not synced, a part that chance draws is undone, the shared memory is gone, and
  the process is killed.

It prints one JSON line for each n: the call, and which rows were acknowledged before it. The layer that does this lies
under SQLite's checksum layer, where the operating system is.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import shutil
import signal
import sys
import traceback
from pathlib import Path

import apsw

from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.ledger import Ledger

ADD = "INSERT INTO pair (id, half) VALUES (?, ?)"
SEAL = functools.partial(Ledger.event, action="test.add")


class Disk:
    """Counts the calls, remembers what is not synced, and dies at the n-th call."""

    def __init__(self):
        self.mode, self.at, self.seen, self.log = "", 0, 0, -1
        self.unsynced = []
        self.syncs = 0

    def arm(self, mode, at, log):
        self.mode, self.at, self.log = mode, at, log

    def counts(self, call, path, half):
        """Count a call; at the fatal one do half of it, and die."""
        self.seen += 1
        if self.at and self.seen == self.at:
            half()
            if self.mode == "power":
                self.forget(path)
            os.write(self.log, f"{call} {Path(path).name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def forget(self, path):
        draw = random.Random(self.at)
        for name, offset, before, size in reversed(self.unsynced):
            if draw.random() < 0.6:
                with Path(name).open("r+b") as file:
                    file.seek(offset)
                    file.write(before)
                    if draw.random() < 0.5:
                        file.truncate(size)
        Path(str(path).removesuffix("-wal") + "-shm").unlink(missing_ok=True)

    def remember(self, path, offset, length):
        with Path(path).open("rb") as file:
            file.seek(offset)
            self.unsynced.append((path, offset, file.read(length), Path(path).stat().st_size))

    def synced(self, path):
        self.unsynced = [each for each in self.unsynced if each[0] != path]


DISK = Disk()


class File(apsw.VFSFile):
    def __init__(self, base, name, flags):
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__(base, name, flags)

    def xWrite(self, data, offset):
        DISK.remember(self.path, offset, len(data))
        DISK.counts("write", self.path, lambda: super(File, self).xWrite(data[: len(data) // 2], offset))
        super().xWrite(data, offset)

    def xSync(self, flags):
        DISK.syncs += 1
        DISK.counts("sync", self.path, lambda: None)
        super().xSync(flags)
        DISK.synced(self.path)

    def xTruncate(self, size):
        DISK.counts("truncate", self.path, lambda: None)
        super().xTruncate(size)


class Layer(apsw.VFS):
    def __init__(self):
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name, flags):
        return File("unix", name, flags)


def work(folder, acknowledge):
    database = Database(SqliteEngine(folder), chain=Ledger.chain)

    def pair(tx, number):
        tx.execute(ADD, (number, 0))
        tx.execute(ADD, (number, 1))

    def alone(number):
        with database.write(SEAL) as tx:
            pair(tx, number)
        acknowledge(number)

    def hasty(number):
        """A power cut may take it back, until the next that waits for the disk; the end of the process never does."""
        before = DISK.syncs
        with database.write(SEAL, durable=False) as tx:
            pair(tx, number)
        assert DISK.syncs == before
        if DISK.mode == "kill":
            acknowledge(number)

    async def submitted(number):
        await database.submit(lambda tx: pair(tx, number), SEAL)
        acknowledge(number)

    async def together(numbers):
        await asyncio.gather(*map(submitted, numbers))

    alone(1)
    asyncio.run(together(range(10, 18)))
    alone(2)
    asyncio.run(together(range(20, 24)))
    hasty(3)
    hasty(4)
    alone(5)
    if DISK.mode == "power":
        acknowledge(3)
        acknowledge(4)
    hasty(6)
    database.close()  # which brings the write-ahead log into the database


def child(mode, folder, n, log):
    try:
        DISK.arm(mode, n, log)
        work(folder, lambda number: os.write(log, f"{number}\n".encode()))
        os.write(log, b"end\n")
    except BaseException:  # noqa: BLE001 -- a forked child must not run on in the code of its parent
        traceback.print_exc()
    finally:
        os._exit(0)


def main(mode, template, folder):
    n, ended = 0, False
    while not ended:
        n += 1
        shutil.copytree(template, folder / str(n))
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(mode, folder / str(n), n, writing)
        os.close(writing)
        with os.fdopen(reading) as log:
            lines = log.read().splitlines()
        os.waitpid(pid, 0)
        ended = lines[-1] == "end"
        told = [int(line) for line in lines if line.isdigit()]
        sys.stdout.write(json.dumps({"n": n, "call": lines[-1], "acknowledged": told}) + "\n")


if __name__ == "__main__":
    layer = Layer()
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
