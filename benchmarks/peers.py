"""Peers: other products, each in a virtual environment of its own, so that none decides another's versions."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["find_peer", "run_peer"]

VENVS = Path(__file__).resolve().parent.parent / "build" / "bench-venvs"
INSTALL = "MAINSPRING_BENCH_PEERS"
"""Set by `run.py --peers`: a peer that is not there is installed."""


@functools.cache
def find_peer(name: str, *requirements: str) -> tuple[str, str] | None:
    """The Python that has the distribution `name`, and its version; None when it is not installed.

    Args:
        name: The distribution, for example `mlflow`.
        requirements: What to install with `--peers`; `name` alone by default.
    """
    python = VENVS / name / "bin" / "python"
    if not python.exists() and os.environ.get(INSTALL) == "1":
        _install(python, requirements or (name,))
    for candidate in (str(python), sys.executable):
        if Path(candidate).exists():
            program = f"from importlib.metadata import version; print(version({name!r}))"
            answer = subprocess.run([candidate, "-c", program], capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return candidate, f"{name} {answer.stdout.strip()}"
    return None


def run_peer(python: str, program: str, *, cwd: Path | None = None) -> dict[str, float]:
    """Run a program that prints one JSON object of figures as its last line."""
    answer = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True, cwd=cwd)
    return json.loads(answer.stdout.strip().splitlines()[-1])


def _install(python: Path, requirements: tuple[str, ...]) -> None:
    folder = python.parent.parent
    print(f"installing {' '.join(requirements)} into {folder}", file=sys.stderr)
    if shutil.which("uv"):
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        command = ["uv", "pip", "install", "--quiet", "--python", str(python), *requirements]
    else:
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *requirements]
    if subprocess.run(command, check=False).returncode != 0:
        shutil.rmtree(folder)
        print(f"{requirements[0]} could not be installed; it will be shown as not measured", file=sys.stderr)
