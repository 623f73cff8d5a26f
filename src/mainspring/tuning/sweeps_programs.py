"""The program of a sweep: run once for each trial, as a process of its own; its metric is read while it runs."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mainspring.engines.tasks_process import kill_tree
from mainspring.kernel.errors import CheckFailed, MainspringError
from mainspring.tracking.beginning import RUN_VARIABLE
from mainspring.tuning.sweeps import Sweep
from mainspring.tuning.trying import TrialHandle

__all__ = ["PARAMS_VARIABLE", "arguments_of", "program_of"]

PARAMS_VARIABLE = "MAINSPRING_PARAMS"
"""The environment variable that has a trial's parameters as JSON."""

_LOOK_SECONDS = 0.1
_TAIL = 40
_LINGER_SECONDS = 5.0
_MACRO = re.compile(r"\$\{(?:envvar:([^}]*)|[a-z_]+)\}")


def program_of(sweep: Sweep, *, folder: str | os.PathLike[str], address: str) -> Callable[..., dict[str, float]]:
    """An objective that runs the program of a sweep."""

    def program(params: Mapping[str, Any], trial: TrialHandle) -> dict[str, float]:
        whole = {**sweep.constants, **params}
        with tempfile.TemporaryDirectory(prefix="mainspring-trial-") as scratch:
            command = arguments_of(sweep, whole, Path(scratch))
            return _Program(sweep, trial, command, whole, Path(folder or "."), address).run()

    return program


def arguments_of(sweep: Sweep, params: Mapping[str, Any], scratch: Path) -> list[str]:
    """The command of a trial, its macros replaced.

    Args:
        sweep: Whose command.
        params: Of the trial, constants included.
        scratch: A folder for the file of `${args_json_file}`.
    """
    whole = json.dumps(_nested(params))
    lists = {
        "${env}": ["/usr/bin/env"] if os.name == "posix" else [],
        "${interpreter}": [sys.executable],
        "${program}": [sweep.program],
        "${args}": [f"--{name}={_text(value)}" for name, value in params.items()],
        "${args_no_hyphens}": [f"{name}={_text(value)}" for name, value in params.items()],
        "${args_no_boolean_flags}": _flags(params),
        "${args_json}": [whole],
    }
    if any("${args_json_file}" in part for part in sweep.command):
        (scratch / "params.json").write_text(whole)
        lists["${args_json_file}"] = [str(scratch / "params.json")]
    found: list[str] = []
    for part in sweep.command:
        if part in lists:
            found += lists[part]
        else:
            found.append(_replaced(part, lists))
    return found


class _Program:
    """One run of the program."""

    def __init__(
        self,
        sweep: Sweep,
        trial: TrialHandle,
        command: Sequence[str],
        params: Mapping[str, Any],
        folder: Path,
        address: str,
    ) -> None:
        self._sweep, self._trial, self._command, self._folder = sweep, trial, command, folder
        place = "MAINSPRING_URL" if address.startswith(("http://", "https://")) else "MAINSPRING_STORE"
        self._environment = {
            **os.environ,
            place: address,
            RUN_VARIABLE: trial.run.id,
            PARAMS_VARIABLE: json.dumps(_nested(params)),
        }
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._said: deque[tuple[int | None, float]] = deque()
        self._last: float | None = None
        self._steps = -1

    def run(self) -> dict[str, float]:
        try:
            process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise CheckFailed(f"{self._command[0]} cannot be run: {error}") from None
        reader = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                try:
                    process.wait(_LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    self._report()
        finally:
            if process.poll() is None:
                kill_tree(process.pid)
                process.wait()
            reader.join(_LINGER_SECONDS)
            if reader.is_alive():  # what the program left behind holds its output: it ends with the trial
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                reader.join(_LINGER_SECONDS)
            if process.stdout is not None and not reader.is_alive():
                process.stdout.close()
            self._trial.set_user_attr("output", "".join(self._tail)[-4000:])
        if process.returncode:
            lines = "".join(self._tail).strip().splitlines()
            raise CheckFailed(
                f"the program ended with {process.returncode}: {lines[-1] if lines else 'no output'}"[:500]
            )
        self._report()
        return {self._sweep.metric: self._value()}

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            self._tail.append(line)
            sys.stderr.write(line) if sys.stderr.isatty() else None
            value = _metric_in(line, self._sweep.metric)
            if value is not None:
                self._said.append(value)
                self._last = value[1]

    def _report(self) -> None:
        """Pass on what the program said on the way; raises `Pruned` when it may stop."""
        while self._said:
            step, value = self._said.popleft()
            self._tell(self._steps + 1 if step is None else step, value)
        if self._sweep.early_terminate:
            metric = self._logged()
            if metric is not None and metric.last is not None:
                self._tell(metric.step, metric.last)

    def _tell(self, step: int, value: float) -> None:
        if step > self._steps and math.isfinite(value):
            self._steps = step
            self._trial.report(value, step)

    def _value(self) -> float:
        metric = self._logged()
        if metric is not None:
            return float(metric.value)
        if self._last is None:
            raise CheckFailed(
                f"the program logged no {self._sweep.metric!r}",
                hint=f'log it into ms.run(), or print {{"{self._sweep.metric}": 0.5}} as a line',
            )
        return self._last

    def _logged(self) -> Any:
        try:
            run = self._trial.run
            return run._tracking.get(run.id).metrics.get(self._sweep.metric)  # noqa: SLF001 -- ours
        except MainspringError:
            return None


def _metric_in(line: str, name: str) -> tuple[int | None, float] | None:
    text = line.strip()
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
        value = found.get(name)
        step = found.get("step", found.get("epoch"))
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return (step if isinstance(step, int) and not isinstance(step, bool) else None), float(value)
    except (ValueError, AttributeError, OverflowError, RecursionError):  # a line that only looks like a metric
        return None


def _flags(params: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in params.items():
        if value is True:
            found.append(f"--{name}")
        elif value is not False:
            found.append(f"--{name}={_text(value)}")
    return found


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list | tuple) else str(value)


def _replaced(part: str, lists: Mapping[str, Sequence[str]]) -> str:
    """A part with macros inside: `--config=${args_json}`, `${envvar:HOME}`. What stands for one is not looked into."""

    def text_of(macro: re.Match[str]) -> str:
        if macro[1] is not None:
            return os.environ.get(macro[1], "")
        return " ".join(lists.get(macro[0], [macro[0]]))

    return _MACRO.sub(text_of, part)


def _nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """Names with dots as mappings in mappings.

    Example:
        >>> _nested({"lr": 0.1, "adam.beta": 0.9})
        {'lr': 0.1, 'adam': {'beta': 0.9}}
    """
    found: dict[str, Any] = {}
    for name, value in params.items():
        *outer, last = name.split(".")
        inner = found
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return found
