"""In CI a skipped test is a failed test: a suite that quietly does less than it says proves nothing.

Set by `.ci/run` through MAINSPRING_CI=1. Elsewhere a skip stays a skip, because a laptop need not
have PostgreSQL, Redis or Chromium. It stands at the root so that it holds for `tests/` and for the
doctests of `src/` alike.
"""

from __future__ import annotations

import os

import pytest

IN_CI = os.environ.get("MAINSPRING_CI") == "1"


def _refuse_skip(report):
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be skipped: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _refuse_skip((yield))
