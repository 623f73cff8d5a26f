"""The page of a drift report: complete, small, without requests, and safe with hostile names."""

from __future__ import annotations

import datetime as dt
import random

import polars as pl
import pytest

from mainspring.quality.drift.frames import compare_tables
from mainspring.quality.drift.page import number
from mainspring.quality.reports.terminal import drift_text

pytest.importorskip("numpy")
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def report():
    draw = random.Random(3)

    def rows(shift):
        return pl.DataFrame({
            "delay": [draw.gauss(shift * 3, 1) for _ in range(800)],
            "<script>alert(1)</script>": [draw.choice(["a", "<b>", "c" * 60][: 2 + (shift > 0)]) for _ in range(800)],
            "at": [START + dt.timedelta(hours=draw.randrange(500)) for _ in range(800)],
            "none": [None] * 800,
            "same": [1] * 800,
        })  # fmt: skip

    return compare_tables(rows(0), rows(1), target="delay")


def test_the_page_shows_every_column_and_asks_for_nothing(report):
    page = report.to_html()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    for marker in ("http://", "https://", "url(", "@import", " src="):
        assert marker not in page
    assert page.count("<article") == 5
    assert page.count("<svg") >= 4
    assert page.index("delay") < page.index(">same<")
    assert "2024-01-" in page
    assert "(target)" in page
    assert "<table>" in report._repr_html_()
    assert "delay" in drift_text(report)


def test_a_wide_report_stays_small(report):
    wide = pl.DataFrame({f"c{k}": [float(j % 97 + k) for j in range(300)] for k in range(200)})
    page = compare_tables(wide, wide).to_html()
    assert len(page) < 500_000
    assert "80 more columns" in page


def test_other_rules_show_their_test(report):
    frame = pl.DataFrame({"x": [float(k % 50) for k in range(400)]})
    page = compare_tables(frame, frame.with_columns(pl.col("x") + 9), rules="evidently").to_html()
    assert "by the rules of Evidently" in page
    assert "threshold" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1e-9, "1.00e-09"), (123456.0, "123,000"), (float("nan"), ""), (0.25, "0.25"), (-0.0004, "-0.0004")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_browser_draws_it_without_a_request(report, tmp_path):
    from playwright.sync_api import sync_playwright

    (tmp_path / "drift.html").write_text(report.to_html(), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800})
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto((tmp_path / "drift.html").as_uri())
        assert page.locator("article svg").first.bounding_box()["width"] > 250
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()
    assert len(asked) == 1
    assert said == []
