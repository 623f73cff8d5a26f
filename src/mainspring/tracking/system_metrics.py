"""How busy the machine of a run is: processor, memory, disk, network, graphics processors, every few seconds.

psutil is asked where it is installed, `/proc` on Linux otherwise; NVIDIA's own library where it is installed. A sample
takes well under a millisecond of the thread that takes it, and a run that ends leaves no thread behind.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from mainspring.kernel.clock import monotonic
from mainspring.tracking.system_readings import Readings, find_readings

__all__ = ["SystemMetrics"]

_log = logging.getLogger("mainspring.tracking")

_FIRST = 2.0
_COUNTERS = ("disk/read", "disk/written", "network/received", "network/sent")


class SystemMetrics:
    """Samples until stopped.

    Args:
        log: Takes the seconds since the run began, which are the step, and the values by name.
        seconds: Between two samples.
        elapsed: How long the run had gone on when this process joined it.
        prefix: Before each name.
    """

    def __init__(
        self,
        log: Callable[[int, dict[str, float]], Any],
        *,
        seconds: float = 15.0,
        elapsed: float = 0.0,
        prefix: str = "system/",
    ) -> None:
        self._log, self._seconds, self._prefix = log, seconds, prefix
        self._began = monotonic() - elapsed
        self._readings: Readings = find_readings()
        self._before = (monotonic(), self._readings.totals())
        self._stopping = threading.Event()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._work, name="mainspring-system", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a run of some seconds has at least one sample."""
        self._stopping.set()
        if os.getpid() == self._process and self._thread is not threading.current_thread():
            self._thread.join()
        self._readings.close()

    def sample(self) -> dict[str, float]:
        """The values now; rates are since the sample before."""
        now, totals = monotonic(), self._readings.totals()
        then, before = self._before
        self._before = (now, totals)
        span = max(now - then, 1e-3)
        found = self._readings.levels()
        if "cpu/busy" in totals and "cpu/busy" in before:
            whole = totals["cpu/whole"] - before["cpu/whole"]
            found["cpu"] = 100.0 * (totals["cpu/busy"] - before["cpu/busy"]) / whole if whole > 0 else 0.0
        if "process/cpu" in totals and "process/cpu" in before:
            found["process/cpu"] = 100.0 * (totals["process/cpu"] - before["process/cpu"]) / span
        for name in _COUNTERS:
            if name in totals and name in before:
                found[name] = max(0.0, totals[name] - before[name]) / span
        return found

    def _work(self) -> None:
        pause = min(_FIRST, self._seconds)
        try:
            while not self._stopping.wait(pause):
                self._take()
                pause = self._seconds
            if monotonic() - self._before[0] >= 1.0:
                self._take()
        except Exception as error:  # noqa: BLE001 -- the end of a thread of ours: the program goes on without
            _log.warning("the machine is no longer watched: %s", error)

    def _take(self) -> None:
        values = {f"{self._prefix}{name}": float(value) for name, value in self.sample().items()}
        if values:
            self._log(int(monotonic() - self._began), values)
