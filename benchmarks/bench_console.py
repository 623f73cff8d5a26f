"""The console in Chromium: 100 runs on 20 charts, and a table of 30,000 runs with 300 keys each, 12,000 different ones.

Times are from the start of the navigation, by the browser's own clock; long tasks are those that a
`PerformanceObserver` reports. The server is `mainspring up` in processes of its own, on this machine.
"""

from __future__ import annotations

import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_search import METRICS, PARAMS, TAGS, fill
from bench_up import _free_port, _running, _wait
from row import Row

from mainspring.client.client import Client, connect
from mainspring.kernel.ids import new_id
from mainspring.store.store import Store
from mainspring.tracking.frames import encode_frame
from mainspring.tracking.types import FinishRecord, PointsRecord, RunStart

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
RUNS, KEYS = 30_000, 12_000
LINES, CHARTS, POINTS = 100, 20, 1000
WATCH = """
window.seen = [];
new PerformanceObserver((list) => { for (const each of list.getEntries()) seen.push(each.duration); })
  .observe({ type: "longtask", buffered: true });
"""
SORT = "document.querySelector('th[data-column=\"metrics.m0\"] button').click()"
LONGEST = "Math.max(0, ...seen)"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def rows() -> Iterator[Row]:
    """Charts first, then the table, at a tenth of its size and whole."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if sync_playwright is None or not CHROMIUM.exists():
        yield Row("console", None, limit="ours > 0", note=f"needs playwright and {CHROMIUM}")
        return
    for count in (RUNS // 10, RUNS):
        with tempfile.TemporaryDirectory(prefix="mainspring-bench-") as folder:
            fill(Path(folder), count, METRICS)
            _widen(Path(folder), count)
            with connect(folder) as client:
                ids = [_with_history(client, number) for number in range(LINES)] if count == RUNS else []
            command = [str(Path(sys.executable).with_name("mainspring")), "up", "--store", folder]
            with _running([*command, "--port", str(_free_port())]) as (process, port):
                _wait(process, f"http://127.0.0.1:{port}/health")
                with sync_playwright() as driver:
                    browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
                    tab = browser.new_context(
                        viewport={"width": 1440, "height": 900}, base_url=f"http://127.0.0.1:{port}"
                    ).new_page()
                    tab.add_init_script(WATCH)
                    tab.set_default_timeout(60_000)
                    if ids:
                        yield from _charts(tab, ids)
                    yield from _table(tab, count)
                    browser.close()


def _charts(tab: Any, ids: list[str]) -> Iterator[Row]:
    what = f"{LINES} runs × {CHARTS} charts"
    address = "/charts?" + "&".join(f"run={each}" for each in ids)
    tab.goto(address)  # what the server and the browser load once
    tab.wait_for_selector("figure[data-drawn]")
    tab.goto(address)
    tab.wait_for_selector("figure[data-drawn]")
    drawn = tab.evaluate("performance.now()")
    yield Row(f"first paint, {what}", tab.evaluate(PAINT), limit="ours < 1000", unit="ms")
    yield Row(f"first chart drawn, {what}", drawn, unit="ms")
    _until(
        tab,
        "[...document.querySelectorAll('figure.chart-card:not([data-drawn])')].every((each) => {"
        " const box = each.getBoundingClientRect(); return box.top >= innerHeight || box.bottom <= 0; })",
    )
    yield Row(f"all charts in sight drawn, {what}", tab.evaluate("performance.now()"), unit="ms")
    for place in range(12):
        tab.evaluate(f"scrollTo(0, {place * 400})")
        tab.wait_for_timeout(150)
    _until(tab, f"document.querySelectorAll('figure[data-drawn]').length === {CHARTS}")
    chart = tab.locator("figure.chart-card").last.bounding_box()
    for step in range(40):
        tab.mouse.move(chart["x"] + 60 + step * 6, chart["y"] + 120)
    note = "loading, scrolling over all, pointing along one"
    yield Row(f"longest task, {what}", tab.evaluate(LONGEST), limit="ours <= 200", unit="ms", note=note)


def _table(tab: Any, count: int) -> Iterator[Row]:
    what = f"{count:,} runs × {METRICS + PARAMS + TAGS} keys"
    final = count == RUNS
    tab.goto("/runs?experiment=bench")
    tab.wait_for_selector(".grid tbody tr[data-id]")
    tab.goto("/runs?experiment=bench")
    tab.wait_for_selector(".grid tbody tr[data-id]")
    yield Row(
        f"table ready, {what}", tab.evaluate("performance.now()"), limit="ours < 2000" if final else "", unit="ms"
    )
    yield Row(f"first paint of the table, {what}", tab.evaluate(PAINT), limit="ours < 1000" if final else "", unit="ms")
    took = _timed(tab, SORT, "th[aria-sort=descending]")
    yield Row(f"ordered by a metric, {what}", took, unit="ms")
    middle = f"document.querySelector('.grid').scrollTop = {count // 2 * 36}"
    took = _timed(tab, middle, f'.grid tbody tr[data-index="{count // 2}"][data-id]')
    yield Row(f"thrown to the middle, {what}", took, unit="ms")
    tab.evaluate("document.querySelector('.grid').scrollTop = 0")
    for _ in range(30):
        tab.evaluate("document.querySelector('.grid').scrollTop += 700")
        tab.wait_for_timeout(16)
    longest = tab.evaluate(LONGEST)
    yield Row(f"longest task of the table, {what}", longest, limit="ours <= 200" if final else "", unit="ms")
    yield Row(f"rows in the document, {what}", tab.locator(".grid tbody tr").count(), limit="ours < 100", unit="rows")


def _until(tab: Any, expression: str) -> None:
    while not tab.evaluate(expression):
        time.sleep(0.005)


def _timed(tab: Any, act: str, until: str) -> float:
    begun = tab.evaluate("performance.now()")
    tab.evaluate(act)
    tab.wait_for_selector(until)
    return float(tab.evaluate("performance.now()")) - float(begun)


def _widen(folder: Path, count: int) -> None:
    """More names, each in a few runs: twelve thousand different ones."""
    draw = random.Random(11)
    first = METRICS + PARAMS + TAGS + 1
    with Store.open(folder) as store, store.bookkeeping() as tx:
        names = [(number, 1, "metric", f"rare/{number}") for number in range(first, KEYS + 1)]
        tx.many("INSERT INTO run_key (id, experiment_id, space, name) VALUES (?, ?, ?, ?)", names)
        tx.many(
            "INSERT INTO metric (run, key, last, special, step, at, count, minimum, maximum, first_step, chunks)"
            " VALUES (?, ?, ?, '', 1, 1, 1, 0.0, 1.0, 0, 0)",
            [(draw.randrange(1, count + 1), number, draw.random()) for number, *_ in names],
        )


def _with_history(client: Client, number: int) -> str:
    """A run with twenty metrics of a thousand points each, as a script would have logged it."""
    draw = random.Random(number)
    run_id = new_id()
    client.tracking.start(RunStart(run_id, "charts", title=f"run {number}"))
    pace = draw.uniform(1, 6)
    frames = b"".join(
        encode_frame(
            PointsRecord(
                step,
                1_700_000_000_000_000 + step * 1_000_000,
                {
                    f"{('train', 'val')[key % 2]}/m{key}": math.exp(-pace * step / POINTS) + draw.random() * 0.1 + key
                    for key in range(CHARTS)
                },
            )
        )
        for step in range(POINTS)
    )
    client.tracking.append(run_id, writer="", sequence=0, body=[frames, encode_frame(FinishRecord("finished"))])
    return run_id
