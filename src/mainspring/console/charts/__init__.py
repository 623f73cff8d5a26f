"""Charts drawn on the server: plain data in, one SVG text out. They serve pages, notebooks and exports alike."""

from __future__ import annotations

from mainspring.console.charts.bars import bar_chart, histogram
from mainspring.console.charts.calibration import CalibrationBin, calibration_plot
from mainspring.console.charts.confidence import confidence_plot
from mainspring.console.charts.dag import Edge, Node, dag
from mainspring.console.charts.gantt import Bar, GanttRow, gantt
from mainspring.console.charts.heat import heat_strip
from mainspring.console.charts.lines import Mark, Series, Threshold, line_chart
from mainspring.console.charts.overlay import overlaid_bars, overlaid_histogram
from mainspring.console.charts.sparkline import sparkline
from mainspring.console.charts.traffic import traffic_chart
from mainspring.console.charts.verdicts import verdict_strip

__all__ = [
    "Bar",
    "CalibrationBin",
    "Edge",
    "GanttRow",
    "Mark",
    "Node",
    "Series",
    "Threshold",
    "bar_chart",
    "calibration_plot",
    "confidence_plot",
    "dag",
    "gantt",
    "heat_strip",
    "histogram",
    "line_chart",
    "overlaid_bars",
    "overlaid_histogram",
    "sparkline",
    "traffic_chart",
    "verdict_strip",
]
