"""Reports for people: HTML that needs nothing else and escapes what it shows, a table on a terminal, lines else."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import msgspec
import polars as pl
import pytest

from mainspring.quality import Expectation, drift, expect, validate_table
from mainspring.quality.parts import PartLine, PartResult, Scan
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.reports import report_html, show, summary_html
from mainspring.quality.reports.drawings import part_strip, series_line, share_bar
from mainspring.quality.reports.terminal import validation_text

EVIL = "<script>alert('é')</script>"
FRAME = pl.DataFrame({"name": [EVIL, "b", None], "x": [1, 2, 300]})
SUITE = (
    expect("people").column("name").in_set(["b"]).column("x").between(0, 100, mostly=0.9, where="x > 0").mean(0, 1000)
    .column("gone").not_null(severity="warning")
)  # fmt: skip


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.stack = []
        self.links = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "br"}:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


@pytest.fixture
def report():
    return validate_table(FRAME, SUITE, dataset="people@1")


@pytest.mark.parametrize("render", [report_html, summary_html])
def test_html_is_whole_self_contained_and_escapes_what_it_shows(report, render):
    page = render(report)
    tags = Tags()
    tags.feed(page)
    assert tags.stack == []
    assert "script" not in tags.seen
    assert tags.links == []
    assert "http" not in page
    assert EVIL not in page
    assert "people: " in page


def test_the_page_shows_failures_rows_and_every_line(report):
    page = report.to_html()
    assert "&lt;script&gt;" in page
    assert "for at least 90 %" in page
    assert "no column &#39;gone&#39;" in page
    assert "1 of 4 expectations passed" in page
    assert len(page) < 20_000
    assert report._repr_html_() == summary_html(report)
    passed = validate_table(FRAME, expect("people").column("x").not_null())
    assert "What did not pass" not in passed.to_html()


def test_a_pipe_gets_lines_and_a_terminal_a_table(report):
    pipe = io.StringIO()
    show(report, file=pipe)
    lines = pipe.getvalue().splitlines()
    assert lines[0] == "people: failed (1 of 4 passed, 3 rows)"
    assert lines[1].split("\t") == ["result", "subject", "expected", "observed", "unexpected"]
    assert [line.split("\t")[0] for line in lines[2:]] == ["failed", "failed", "passed", "error"]

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    show(report, file=screen)
    assert "\t" not in screen.getvalue()
    assert "people: failed" in screen.getvalue()


def test_drift_is_shown_the_same_way():
    before = profile_frame(pl.DataFrame({"x": [float(k % 50) for k in range(500)]}))
    after = profile_frame(pl.DataFrame({"x": [float(k % 50) + 40 for k in range(500)]}))
    pipe = io.StringIO()
    show(drift(before, after), file=pipe)
    lines = pipe.getvalue().splitlines()
    assert lines[0] == "drift: drift (1 of 1 columns drifted; 500 rows before, 500 now)"
    assert lines[2].startswith("drift\tx\t")


def test_a_large_report_stays_a_small_file():
    wide = pl.DataFrame({f"c{k}": ["x" * 300] * 50 for k in range(80)})
    suite = expect("wide")
    for k in range(80):
        suite = suite.column(f"c{k}").in_set(["y"]).matches("^z$").length(1, 2).table
    found = validate_table(wide, suite)
    page = found.to_html()
    assert len(found.failures) == 240
    assert len(page.encode()) < 500_000
    assert "more, in the table below" in page
    assert all(name in page for name in ("c0", "c79"))
    assert "http" not in page


def test_the_page_says_how_much_was_scanned_and_shows_parts_and_history():
    counts = {"metrics": 9, "known": 4, "merged": 5, "files": 3, "files_scanned": 1, "rows": 30, "rows_scanned": 10}
    scan = Scan(**counts, whole=("quantile (x)",))
    lines = [
        Expectation(
            kind="column_metric_to_be_normal",
            column="x",
            arguments={"metric": "mean", "history": [1.0, 1.1, 0.9, 1.0, 1.05, 0.95]},
        )
    ]
    parts = (
        PartResult(name="<b>2013-01</b>", rows=3, verdict="failed", lines=(PartLine(line=0, verdict="failed"),)),
        PartResult(name="2013-02", rows=3, verdict="passed"),
    )
    found = msgspec.structs.replace(validate_table(FRAME, lines), scan=scan, parted_by="month", parts=parts)
    page = found.to_html()
    assert "10 of 30 rows in 1 of 3 files were scanned" in page
    assert "quantile (x)" in page
    assert "&lt;b&gt;2013-01" in page
    assert "<b>2013-01" not in page
    assert 'class="series"' in page
    assert 'class="parts"' in page
    text = validation_text(found)
    assert "by month: 1 of 2 parts did not pass: <b>2013-01</b> (failed)" in text
    assert text.splitlines()[-1] == str(scan)


def test_drawings_say_what_they_show():
    assert "99.9999 % hold" in share_bar(0.999999)
    assert 'width="118.0"' in share_bar(0.999999)  # one row in a million is seen
    assert series_line([1.0]) == ""
    assert 'class="failed"' in series_line([1.0, 2.0, 90.0], low=0, high=3)
    assert part_strip([]) == ""
    assert "2 parts, 1 of them not passed" in part_strip([("a", "passed"), ("b", "error")])
