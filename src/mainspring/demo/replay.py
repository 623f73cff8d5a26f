"""April to December, replayed in order: each flight is asked about over HTTP, and its outcome told two days later.

Time runs a million times faster than it did. Where the real world would have waited, the replay waits: while a
successor is being trained, no flight leaves.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from mainspring.demo.flights import flights, questions
from mainspring.demo.training import MODEL
from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import DeadlineExceeded, Unavailable

if TYPE_CHECKING:
    import polars as pl

    from mainspring.client.client import Client

__all__ = ["Replay"]

_LABEL_DELAY = timedelta(days=2)
_TEXTS = ("carrier", "origin", "dest")
_PATIENCE = 90.0
_WEEK = 7
_GLANCE = 3.0


class Replay:
    """Sends days of flights to the endpoint and tells their outcomes later; keeps the sums for the summary.

    Args:
        client: To tell outcomes and to look at the loop.
        url: Where the endpoints answer.
        begin: The first day.
    """

    def __init__(self, client: Client, url: str, *, begin: date) -> None:
        self._client = client
        self._http = httpx.Client(base_url=url, timeout=30.0)
        self._days = deque(_days(begin))
        self._untold: deque[tuple[date, str, pl.DataFrame]] = deque()
        self.sent = 0
        self.requests = 0
        self.told = 0
        self.waited = 0.0
        self.day = begin
        self.last_prediction = ""
        self.left = len(self._days)

    def send_day(self) -> bool:
        """One day of flights, then the outcomes that are known by now; False when the year is over."""
        if not self._days:
            self._tell(until=date.max)
            return False
        self.day, rows = self._days.popleft()
        self.left = len(self._days)
        request = self._ask(rows)
        self._untold.append((self.day, request, rows))
        self._tell(until=self.day - _LABEL_DELAY)
        return True

    def run_until(self, done: Callable[[], bool], *, progress: Callable[[], None]) -> bool:
        """Send days until `done` (asked after each) or the end of the year; whether it was done."""
        while self.send_day():
            progress()
            self.wait_for_training(progress)
            if self.requests % _WEEK == 0:
                self._wait_for_watchers()
            if done():
                return True
        return done()

    def wait_for_training(self, progress: Callable[[], None]) -> None:
        """No flight leaves while a successor is being made."""
        begun = monotonic()
        while any(each.state == "training" for each in self._client.loop.episodes(endpoint=MODEL, active=True)):
            progress()
            time.sleep(0.1)
            if monotonic() - begun > _PATIENCE:
                raise DeadlineExceeded(f"a successor was not made in {_PATIENCE:.0f} s", hint="mainspring flow list")
        self.waited += monotonic() - begun

    def _wait_for_watchers(self) -> None:
        """Once a week, let monitors and rollouts see what they would have seen in seven days."""
        begun, told = monotonic(), self.told
        rollout = self._client.serving.rollouts(endpoint=MODEL, limit=1)
        looks = (
            len(self._client.serving.evidence(rollout[0].id)) if rollout and rollout[0].status == "running" else None
        )
        while monotonic() - begun < _GLANCE:
            monitor = self._client.monitoring.monitor(MODEL)
            seen = monitor.watermark.date() >= self.day - timedelta(days=14) or told == 0
            looked = looks is None or len(self._client.serving.evidence(rollout[0].id)) > looks
            if seen and looked:
                break
            time.sleep(0.05)
        self.waited += monotonic() - begun

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _ask(self, rows: pl.DataFrame) -> str:
        """One request of the Open Inference Protocol for all flights of a day; the id of its predictions."""
        asked = questions(rows)
        inputs: list[dict[str, Any]] = [
            {
                "name": name,
                "shape": [rows.height],
                "datatype": "BYTES" if name in _TEXTS else "INT64" if name == "scheduled" else "FP64",
                "data": asked[name].dt.epoch("us").to_list() if name == "scheduled" else asked[name].to_list(),
            }
            for name in asked.columns
        ]
        outputs = [{"name": "probability"}]
        body = msgspec.json.encode({"inputs": inputs, "outputs": outputs})
        answer = self._http.post(
            f"/v2/models/{MODEL}/infer", content=body, headers={"content-type": "application/json"}
        )
        if answer.status_code != httpx.codes.OK:
            raise Unavailable(f"the endpoint answered {answer.status_code}: {answer.text[:300]}")
        self.sent += rows.height
        self.requests += 1
        request = answer.headers["x-mainspring-prediction"]
        if self.left >= _WEEK:  # the weather of the year's last days is missing
            self.last_prediction = f"{request}-{rows.height // 2}"
        return str(request)

    def _tell(self, *, until: date) -> None:
        """The outcomes of the days up to `until`, in one call."""
        ids: list[str] = []
        values: list[int] = []
        while self._untold and self._untold[0][0] <= until:
            _, request, rows = self._untold.popleft()
            for number, late in enumerate(rows["late"].to_list()):
                if late is not None:  # a cancelled flight never arrives: its outcome is never told
                    ids.append(f"{request}-{number}")
                    values.append(late)
        if ids:
            self._client.serving.label(MODEL, ids=ids, values=values, at=datetime.now(UTC))
            self.told += len(ids)


def _days(begin: date) -> Iterator[tuple[date, pl.DataFrame]]:
    import polars as pl

    rows = flights().filter(pl.date("year", "month", "day") >= begin)
    for key, part in rows.group_by("year", "month", "day", maintain_order=True):
        yield date(*(int(each) for each in key)), part
