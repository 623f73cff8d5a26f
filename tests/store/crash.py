"""A process that is killed at every system call of writing blobs, one after the other. Run by `test_blobs_crash.py`.

`crash.py TEMPLATE FOLDER`: for n = 1, 2, ... it copies the closed store TEMPLATE to FOLDER/n, and a child opens it,
writes a loose blob, a pack and a large blob, and is killed with SIGKILL at its n-th call, until a child comes to its
end. It prints one JSON line for each: the call at which it died, and which blobs it had acknowledged.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

from mainspring.store.blobs import CHUNKED_FROM, Blobs
from mainspring.store.buckets import LocalBucket
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.sqlite import SqliteConnection

LOOSE = b"alone" * 1000
PACKED = [b"first" * 100, b"second" * 100, b""]
LARGE = random.Random(4).randbytes(CHUNKED_FROM + 100_000)
CONTENTS = [LOOSE, *PACKED, LARGE]


class Killer:
    """Counts calls, and ends the process at the n-th: before it, or, of a write, in its middle."""

    def __init__(self, at, log):
        self.at, self.seen, self.log = at, 0, log
        self.write = os.write

    def die(self, name):
        self.write(self.log, f"{name}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, owner, name):
        real = getattr(owner, name)

        def call(*args, **kwargs):
            self.seen += 1
            if self.seen == self.at:
                if owner is os and name == "write":
                    self.write(args[0], bytes(args[1])[: len(args[1]) // 2])
                self.die(name)
            return real(*args, **kwargs)

        setattr(owner, name, call)

    def arm(self):
        for name in ("open", "write", "fsync", "rename", "mkdir"):
            self.counted(os, name)
        for name in ("begin", "many", "commit"):
            self.counted(SqliteConnection, name)


def work(folder, n, log):
    database = Database(SqliteEngine(folder))
    killer = Killer(n, log)
    killer.arm()
    blobs = Blobs(LocalBucket(folder / "bucket"), database)
    for act in (lambda: [blobs.put(LOOSE)], lambda: blobs.put_many(PACKED), lambda: [blobs.put_stream([LARGE])[0]]):
        killer.write(log, json.dumps(act()).encode() + b"\n")
    killer.write(log, b"end\n")


def main(template, folder):
    n, ended = 0, False
    while not ended:
        n += 1
        shutil.copytree(template, folder / str(n))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            work(folder / str(n), n, writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as log:
            *acknowledged, last = log.read().splitlines()
        os.waitpid(child, 0)
        ended = last == "end"
        told = [digest for line in acknowledged for digest in json.loads(line)]
        sys.stdout.write(json.dumps({"n": n, "call": last, "acknowledged": told}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
