"""Where the figures of a machine are read: psutil, Linux's `/proc`, NVIDIA's library."""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path
from typing import Any, Protocol

__all__ = ["LinuxReadings", "PsutilReadings", "Readings", "find_readings"]

_SECTOR = 512


class Readings(Protocol):
    """What a machine can be asked."""

    def totals(self) -> dict[str, float]:
        """What only grows: seconds of processors, bytes of disk and network."""
        ...

    def levels(self) -> dict[str, float]:
        """What goes up and down: memory in bytes, shares in percent."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


def find_readings() -> Readings:
    """The best that there is here."""
    try:
        return _WithGpus(PsutilReadings())
    except ImportError:
        return _WithGpus(LinuxReadings() if Path("/proc/self/stat").exists() else _NoReadings())


class PsutilReadings:
    """By psutil, on every system."""

    def __init__(self) -> None:
        self._psutil: Any = importlib.import_module("psutil")
        self._process = self._psutil.Process()

    def totals(self) -> dict[str, float]:
        """See `Readings`."""
        times = self._psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        own = self._process.cpu_times()
        found = {"cpu/busy": whole - idle, "cpu/whole": whole, "process/cpu": own.user + own.system}
        with contextlib.suppress(Exception):  # containers hide their disks in many ways
            disk = self._psutil.disk_io_counters()
            found |= {"disk/read": disk.read_bytes, "disk/written": disk.write_bytes}
        with contextlib.suppress(Exception):
            network = self._psutil.net_io_counters()
            found |= {"network/received": network.bytes_recv, "network/sent": network.bytes_sent}
        return found

    def levels(self) -> dict[str, float]:
        """See `Readings`."""
        memory = self._psutil.virtual_memory()
        return {
            "memory/used": memory.percent,
            "memory/available": memory.available,
            "process/memory": self._process.memory_info().rss,
            "process/threads": self._process.num_threads(),
            **_disk(),
        }

    def close(self) -> None:
        """Nothing is open."""


class LinuxReadings:
    """By `/proc`, as proc(5) describes it."""

    def __init__(self) -> None:
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._page = os.sysconf("SC_PAGE_SIZE")

    def totals(self) -> dict[str, float]:
        """See `Readings`."""
        found: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = [int(each) / self._ticks for each in _read("/proc/stat").split("\n", 1)[0].split()[1:9]]
            found |= {"cpu/whole": sum(fields), "cpu/busy": sum(fields) - fields[3] - fields[4]}
        with contextlib.suppress(OSError, ValueError, IndexError):
            own = _read("/proc/self/stat").rpartition(")")[2].split()
            found["process/cpu"] = (int(own[11]) + int(own[12])) / self._ticks
        with contextlib.suppress(OSError, ValueError, IndexError):
            whole = {path.name for path in Path("/sys/block").iterdir() if not path.name.startswith(("loop", "ram"))}
            disks = [line.split() for line in _read("/proc/diskstats").splitlines()]
            held = [disk for disk in disks if disk[2] in whole]
            if held:
                found["disk/read"] = sum(int(disk[5]) for disk in held) * _SECTOR
                found["disk/written"] = sum(int(disk[9]) for disk in held) * _SECTOR
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = [line.partition(":") for line in _read("/proc/net/dev").splitlines()[2:]]
            cards = [counts.split() for name, _, counts in lines if name.strip() != "lo"]
            found["network/received"] = sum(int(card[0]) for card in cards)
            found["network/sent"] = sum(int(card[8]) for card in cards)
        return found

    def levels(self) -> dict[str, float]:
        """See `Readings`."""
        found: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError, KeyError):
            lines = (line.split(":") for line in _read("/proc/meminfo").splitlines())
            memory = {name: int(rest.split()[0]) * 1024 for name, rest in lines}
            free, whole = memory["MemAvailable"], memory["MemTotal"]
            found |= {"memory/used": 100.0 * (whole - free) / whole, "memory/available": free}
        with contextlib.suppress(OSError, ValueError, IndexError):
            found["process/memory"] = int(_read("/proc/self/statm").split()[1]) * self._page
            found["process/threads"] = int(_read("/proc/self/stat").rpartition(")")[2].split()[17])
        return found | _disk()

    def close(self) -> None:
        """Nothing is open."""


class _NoReadings:
    """Where nothing can be asked."""

    def totals(self) -> dict[str, float]:
        return {}

    def levels(self) -> dict[str, float]:
        return _disk()

    def close(self) -> None:
        """Nothing is open."""


class _WithGpus:
    """Readings, and those of NVIDIA's graphics processors where its library is installed and finds one."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._library: Any = None
        self._handles: list[Any] = []
        with contextlib.suppress(Exception):  # no library, no driver, no card, no permission: all are no reason to stop
            self._library = importlib.import_module("pynvml")
            self._library.nvmlInit()
            count = self._library.nvmlDeviceGetCount()
            self._handles = [self._library.nvmlDeviceGetHandleByIndex(number) for number in range(count)]

    def totals(self) -> dict[str, float]:
        return self._readings.totals()

    def levels(self) -> dict[str, float]:
        found = self._readings.levels()
        for number, handle in enumerate(self._handles):
            place = f"gpu/{number}/"
            library = self._library
            with contextlib.suppress(Exception):  # old cards do not answer everything
                rates = library.nvmlDeviceGetUtilizationRates(handle)
                found[place + "busy"] = rates.gpu
            with contextlib.suppress(Exception):
                memory = library.nvmlDeviceGetMemoryInfo(handle)
                found[place + "memory"] = memory.used
                found[place + "memory_used"] = 100.0 * memory.used / memory.total
            with contextlib.suppress(Exception):
                found[place + "power"] = library.nvmlDeviceGetPowerUsage(handle) / 1000
            with contextlib.suppress(Exception):
                found[place + "temperature"] = library.nvmlDeviceGetTemperature(handle, 0)
        return found

    def close(self) -> None:
        self._readings.close()
        if self._handles:
            with contextlib.suppress(Exception):
                self._library.nvmlShutdown()


def _disk() -> dict[str, float]:
    with contextlib.suppress(OSError, AttributeError):
        place = os.statvfs(".")
        whole = place.f_blocks * place.f_frsize
        if whole:
            free = place.f_bavail * place.f_frsize
            return {"disk/used": 100.0 * (1 - free / whole), "disk/free": free}
    return {}


def _read(path: str) -> str:
    return Path(path).read_text(encoding="ascii", errors="replace")
