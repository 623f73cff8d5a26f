"""Run every benchmark and print one table; results also go to build/bench/results.json.

    python benchmarks/run.py                 everything, beside the peers that are installed
    python benchmarks/run.py import commits  those alone
    python benchmarks/run.py --peers         install missing peers first, each into its own environment

A benchmark is a module `bench_<name>.py` with a function `rows() -> Iterable[Row]`. It ends with an error when a stated
limit is missed or a benchmark broke.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from peers import INSTALL  # noqa: E402
from row import Row  # noqa: E402

RESULTS = HERE.parent / "build" / "bench" / "results.json"
HEAD = ("workload", "ours", "peer", "ratio", "limit", "verdict")


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def figure(value: float | None, unit: str = "") -> str:
    """A number with three digits that matter."""
    if value is None:
        return "not measured"
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    peer = f"{figure(row.peer, row.unit)} ({row.peer_version})" if row.peer_version else ""
    ratio = f"{figure(row.ratio)}x" if row.ratio is not None else ""
    return (row.workload, figure(row.ours, row.unit), peer, ratio, row.limit, row.verdict)


def table(rows: Iterable[Row]) -> str:
    """The rows in columns, notes below."""
    rows = list(rows)
    lines = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text + [""] + [f"{row.workload}: {row.note}" for row in rows if row.note])


def measure(name: str) -> tuple[list[Row], bool]:
    """The rows of one benchmark, and whether it ran to its end."""
    start = time.perf_counter()
    rows: list[Row] = []
    try:
        for row in importlib.import_module(f"bench_{name}").rows():
            rows.append(row)  # noqa: PERF402 -- what was measured before a failure is kept
    except Exception:  # noqa: BLE001 -- one broken benchmark does not take the others with it
        traceback.print_exc()
        return [*rows, Row(f"{name}: broke", None, limit="ours > 0")], False
    print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return rows, True


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
    }


def main() -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Benchmarks, each beside its peer.")
    parser.add_argument("only", nargs="*", metavar="name", help=f"one or more of: {', '.join(names())}")
    parser.add_argument(
        "--peers", action="store_true", help="install peers that are missing, each into its own environment"
    )
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.only) - set(names())):
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(names())}")
    if arguments.peers:
        os.environ[INSTALL] = "1"
    before = machine()
    measured = [measure(name) for name in arguments.only or names()]
    rows = [row for some, _ in measured for row in some]
    print(table(rows))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    kept = {"machine": before, "rows": [asdict(row) | {"verdict": row.verdict} for row in rows]}
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    return int(not all(whole for _, whole in measured) or any(row.verdict == "MISSED" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
