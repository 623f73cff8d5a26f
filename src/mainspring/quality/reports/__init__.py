"""Reports for people: HTML and terminal. For programs every report has `to_dict()`."""

from mainspring.quality.reports.html import report_html, summary_html
from mainspring.quality.reports.terminal import show

__all__ = ["report_html", "show", "summary_html"]
