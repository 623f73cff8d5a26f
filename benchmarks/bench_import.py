"""What `import mainspring` costs in a fresh process, and what a plain installation weighs."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from peers import find_peer, run_peer
from row import Row

PROGRAM = """
import sys, time
before, start = len(sys.modules), time.perf_counter()
import {name}
taken, modules = time.perf_counter() - start, len(sys.modules) - before
import json
print(json.dumps({{"ms": taken * 1000, "modules": modules}}))
"""


def rows() -> Iterator[Row]:
    """Import, its modules, and the footprint of the core."""
    ours = _import(sys.executable, "mainspring", times=11)
    found = find_peer("mlflow", "mlflow==3.17.2")
    peer = _import(found[0], "mlflow", times=3) if found else {"ms": None, "modules": None}
    version = found[1] if found else "mlflow, not installed"
    for what, unit, limit in (("ms", "ms", "ours < 60"), ("modules", "modules", "ours < 250")):
        ratio = peer[what] / max(ours[what], 1) if peer[what] else None
        yield Row(f"import, {what}", ours[what], peer[what], version, ratio, limit, unit)
    distributions, size = footprint("mainspring")
    yield Row(
        "core in site-packages",
        size,
        limit="ours < 250",
        unit="MB",
        note=f"{distributions} distributions, without extras",
    )


def footprint(root: str) -> tuple[int, float]:
    """How many distributions the core of `root` needs, and their size in MB, by what each says that it installed."""
    wanted, seen = [root], set[str]()
    size = 0
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in seen:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform
        seen.add(name)
        size += sum(path.stat().st_size for file in distribution.files or () if (path := file.locate()).is_file())
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    return len(seen), size / 1e6


def _import(python: str, name: str, *, times: int) -> dict[str, float]:
    run_peer(python, PROGRAM.format(name=name))  # warms the files' pages and writes the bytecode
    taken = [run_peer(python, PROGRAM.format(name=name)) for _ in range(times)]
    return {what: statistics.median(each[what] for each in taken) for what in ("ms", "modules")}
