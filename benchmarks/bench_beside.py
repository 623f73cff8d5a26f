"""What recording beside a training costs it: printing, a look at the machine, an empty run, a fit that is logged."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator

from row import Row

import mainspring as ms
from mainspring.tracking.console_output import ConsoleOutput
from mainspring.tracking.system_metrics import SystemMetrics

ROUNDS = 5
LINES = 20_000


def rows() -> Iterator[Row]:
    """Each the least of rounds that take turns with what it is compared with."""
    yield from _printing()
    watch = SystemMetrics(lambda *_: None, seconds=3600)
    look = _least(watch.sample, 50)
    watch.stop()
    yield Row("share of one core for a look every 15 s", 100 * look / 15, None, "", None, "ours <= 0.1", "%")
    folder = tempfile.mkdtemp(prefix="mainspring-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the default client, which closes at the end
    yield from _runs(folder)


def _printing() -> Iterator[Row]:
    real, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO())
    plain, heard = [], []
    try:
        for _ in range(ROUNDS):
            plain.append(_least(lambda: print("a line of output"), LINES, 1))
            console = ConsoleOutput(lambda *_: None)
            heard.append(_least(lambda: print("a line of output"), LINES, 1))
            console.stop()
    finally:
        sys.stdout = real
    ours, theirs = 1e6 * min(heard), 1e6 * min(plain)
    yield Row("printing a line that is recorded", ours, theirs, "print alone", theirs / ours, "ours <= 15", "µs")


def _runs(folder: str) -> Iterator[Row]:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    os.environ["MAINSPRING_STORE"] = folder  # the default client's, which closes with the process
    with ms.connect(folder) as client:

        def empty(*, everything: bool) -> None:
            with client.tracking.run("bench", source=everything):
                pass

        bare = 1e3 * _least(lambda: empty(everything=False), 5)
        whole = 1e3 * _least(lambda: empty(everything=True), 5)
    yield Row("an empty run with code, output, machine", whole, bare, "source=False", bare / whole, "ours <= 200", "ms")
    random = np.random.default_rng(0)
    inputs = random.normal(size=(20_000, 20))
    target = (inputs[:, 0] + random.normal(size=20_000) > 0).astype(int)

    def fit() -> None:
        LogisticRegression().fit(inputs, target)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = 1e3 * _least(fit, 3)
        ms.autolog("sklearn", models=False, training_metrics=False)
        logged = 1e3 * _least(fit, 3)
        ms.autolog("sklearn")
        scored = 1e3 * _least(fit, 3)
        ms.autolog(on=False)
    os.environ.pop("MAINSPRING_STORE")
    yield Row("a fit on 20,000 rows, logged", logged, alone, "not logged", alone / logged, "", "ms")
    yield Row("the same, scored and its model kept", scored, alone, "not logged", alone / scored, "", "ms")


def _least(do: Callable[[], object], calls: int, rounds: int = ROUNDS) -> float:
    """Seconds of one call, of the quickest round."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            do()
        found.append((time.perf_counter() - start) / calls)
    return min(found)
