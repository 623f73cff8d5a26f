"""One of many processes that work on a store at once: `busy.py ROLE STORE REMOTE FOLDER STOP SEED`.

Prints a line for each thing that was acknowledged, `committed NAME VERSION DIGEST`, and ends with `error ...` at the
first failure.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path

from mainspring.client import connect
from mainspring.client.client import Client


def say(*words: object) -> None:
    """One line, out of the process at once: what is said was done, also when the next instant kills."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def commit(client: Client, folder: Path, chance: random.Random) -> None:
    """A version of a shared dataset, a few files of which others commit as well."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    for number in range(chance.randrange(1, 12)):
        path = work / str(chance.randrange(3)) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"content {chance.randrange(40)}".encode() * 50)
    (work / "own").write_bytes(chance.randbytes(200))
    if chance.random() < 0.2:
        (work / "large").write_bytes(random.Random(chance.randrange(3)).randbytes(4_300_000))
    name = f"shared{chance.randrange(2)}"
    version = client.data.commit(name, work)
    say("committed", name, version.version, version.digest)


def move(client: Client, remote: str, folder: Path) -> None:
    """Push everything, and pull it into another store."""
    client.data.push("", remote)
    with connect(folder / "pulled") as other:
        other.data.pull("", remote)
    say("moved")


def tidy(client: Client, folder: Path, chance: random.Random) -> None:
    """Check out what is newest, and delete what is old."""
    for each in client.data.datasets():
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        client.data.checkout(f"{each.name}@{each.version}", into=out)
        if each.version > 3 and chance.random() < 0.3:
            gone = client.data.versions(each.name, limit=100)[-1]
            client.data.delete(gone.id)
            say("deleted", gone.name, gone.version)


def main(role: str, store: str, remote: str, folder: Path, stop: Path, seed: int) -> None:
    """Do the work of a role until a file says that it is enough."""
    chance = random.Random(seed)
    with connect(store) as client:
        while not stop.exists():
            if role == "commit":
                commit(client, folder, chance)
            elif role == "move":
                move(client, remote, folder)
            elif role == "collect":
                client.storage.collect_garbage(grace_days=5 / 86_400, hold_hours=3 / 3600)
            else:
                tidy(client, folder, chance)
            time.sleep(0.01)
    say("done")


if __name__ == "__main__":
    role, store, remote, folder, stop, seed = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        main(role, store, remote, Path(folder), Path(stop), int(seed))
    except Exception as error:
        say("error", role, type(error).__name__, str(error).replace("\n", " "))
        raise
