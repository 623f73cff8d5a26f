"""Reports for people: HTML that needs nothing else and escapes what it shows, a table on a terminal, lines else."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import polars as pl
import pytest

from mainspring.quality import drift, expect, validate_table
from mainspring.quality.profiles.build import profile_frame
from mainspring.quality.reports import report_html, show, summary_html

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
