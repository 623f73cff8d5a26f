"""Charts drawn on the server: plain data in, one SVG text out. They serve pages, notebooks and exports alike."""

from __future__ import annotations

from mainspring.console.charts.bars import bar_chart, histogram
from mainspring.console.charts.calibration import CalibrationBin, calibration_plot
from mainspring.console.charts.confidence import confidence_plot
from mainspring.console.charts.contour import contour_chart
from mainspring.console.charts.dag import Edge, Node, dag
from mainspring.console.charts.dimension import Dimension
from mainspring.console.charts.gantt import Bar, GanttRow, gantt
from mainspring.console.charts.heat import heat_strip
from mainspring.console.charts.lanes import Span, lanes_chart
from mainspring.console.charts.lines import Mark, Series, Threshold, line_chart
from mainspring.console.charts.overlay import overlaid_bars, overlaid_histogram
from mainspring.console.charts.parallel import Strand, parallel_chart
from mainspring.console.charts.run_bars import RunBar, run_bars
from mainspring.console.charts.scatter import Point, scatter_chart
from mainspring.console.charts.share_bar import share_bar
from mainspring.console.charts.span_bar import span_bar, span_clock
from mainspring.console.charts.sparkline import sparkline
from mainspring.console.charts.traffic import traffic_chart
from mainspring.console.charts.verdicts import verdict_strip

__all__ = [
    "Bar",
    "CalibrationBin",
    "Dimension",
    "Edge",
    "GanttRow",
    "Mark",
    "Node",
    "Point",
    "RunBar",
    "Series",
    "Span",
    "Strand",
    "Threshold",
    "bar_chart",
    "calibration_plot",
    "confidence_plot",
    "contour_chart",
    "dag",
    "gantt",
    "heat_strip",
    "histogram",
    "lanes_chart",
    "line_chart",
    "overlaid_bars",
    "overlaid_histogram",
    "parallel_chart",
    "run_bars",
    "scatter_chart",
    "share_bar",
    "span_bar",
    "span_clock",
    "sparkline",
    "traffic_chart",
    "verdict_strip",
]
