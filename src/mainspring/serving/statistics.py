"""Counters of the dataplane per endpoint, in the shape that the Open Inference Protocol's statistics ask for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

from mainspring.kernel.clock import now_micros

__all__ = ["EndpointStatistics", "Statistics", "Timing"]


@dataclass
class Timing:
    """How often, and how long altogether."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        """Count one that took `ns` nanoseconds."""
        self.count += 1
        self.ns += ns


@dataclass
class EndpointStatistics:
    """Everything counted for one endpoint since the process began."""

    rows: int = 0
    executions: int = 0
    last_at: int = 0
    """Microseconds since 1970 of the last request."""
    challenger_failures: int = 0
    success: Timing = field(default_factory=Timing)
    fail: Timing = field(default_factory=Timing)
    prepare: Timing = field(default_factory=Timing)
    predict: Timing = field(default_factory=Timing)
    record: Timing = field(default_factory=Timing)


class Statistics:
    """Counters of all endpoints; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, EndpointStatistics] = {}

    def of(self, name: str) -> EndpointStatistics:
        """A copy of the counters of one endpoint."""
        with self._lock:
            found = self._by_name.get(name, EndpointStatistics())
            timings = {key: replace(getattr(found, key)) for key in ("success", "fail", "prepare", "predict", "record")}
            return replace(found, **timings)

    def answered(self, name: str, *, rows: int, prepare: int, predict: int, record: int) -> None:
        """Count a request that was answered; times in nanoseconds."""
        with self._lock:
            one = self._one(name)
            one.rows += rows
            one.executions += 1
            one.success.add(prepare + predict + record)
            one.prepare.add(prepare)
            one.predict.add(predict)
            one.record.add(record)

    def failed(self, name: str, ns: int) -> None:
        """Count a request that was refused or failed."""
        with self._lock:
            self._one(name).fail.add(ns)

    def challenger_failed(self, name: str) -> None:
        """Count a request at which the challenger failed and the champion, or nobody, answered for it."""
        with self._lock:
            self._one(name).challenger_failures += 1

    def _one(self, name: str) -> EndpointStatistics:
        one = self._by_name.setdefault(name, EndpointStatistics())
        one.last_at = now_micros()
        return one
