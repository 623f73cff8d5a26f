"""Every chart: valid XML with a name, one mark per datum, and no input that breaks it."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.console import charts
from mainspring.console.charts import (
    Bar,
    CalibrationBin,
    Edge,
    GanttRow,
    Mark,
    Node,
    Series,
    Threshold,
)
from mainspring.console.charts.sampling import sample, smooth
from mainspring.console.charts.scale import scale_for, span_label

SVG = "{http://www.w3.org/2000/svg}"

anything = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
lists = st.lists(anything, max_size=12)
names = st.text(max_size=12)


def parse(svg: str) -> ET.Element:
    root = ET.fromstring(svg)
    assert root.tag == SVG + "svg"
    assert root.get("role") == "img"
    assert (root.findtext(SVG + "title") or "").strip()
    assert root.find(SVG + "desc") is not None
    for node in root.iter():
        for name, value in node.attrib.items():
            if name in {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "d"}:
                assert "nan" not in value, (name, value)
                assert "inf" not in value, (name, value)
            assert name != "style", "an inline style would need unsafe-inline"
    return root


def count(root: ET.Element, tag: str, css: str = "") -> int:
    return sum(1 for node in root.iter(SVG + tag) if not css or css in (node.get("class") or "").split())


def points(path: str) -> int:
    """How many points a path goes through: pairs of numbers."""
    return len(re.findall(r"-?[\d.]+", path)) // 2


def test_line_chart_draws_every_finite_point_once() -> None:
    svg = charts.line_chart([Series(name="loss", x=[0, 1, 2, 3], y=[1.0, math.nan, 0.5, None])], title="loss")
    root = parse(svg)
    group = next(node for node in root.iter(SVG + "g") if node.get("class") == "series")
    assert group.get("data-y") == "1 0.5"
    assert points(group.findall(SVG + "path")[-1].get("d") or "") == 2


def test_line_chart_keeps_the_raw_line_faint_under_the_smoothed_one() -> None:
    one = Series(name="loss", x=[0, 1, 2, 3], y=[1.0, 0.0, 1.0, 0.0])
    group = next(
        node
        for node in parse(charts.line_chart([one], title="t", smoothing=0.6)).iter(SVG + "g")
        if node.get("class") == "series"
    )
    paths = group.findall(SVG + "path")
    assert [path.get("stroke-opacity") for path in paths] == ["0.3", None]
    assert paths[0].get("d") != paths[1].get("d")


def test_line_chart_thins_into_a_band_that_hides_nothing() -> None:
    values = [0.0] * 1000
    values[500] = 9.0
    thin = sample(list(range(1000)), values, limit=50)
    assert len(thin.x) == 50
    assert max(thin.high) == 9.0
    root = parse(charts.line_chart([Series(name="a", x=list(range(1000)), y=values)], title="t", limit=50))
    assert any(node.get("fill-opacity") == "0.16" for node in root.iter(SVG + "path"))


def test_log_axis_leaves_out_what_has_no_logarithm() -> None:
    one = Series(name="lr", x=[1, 10, 100], y=[0.0, 1e-3, 1e-1])
    root = parse(charts.line_chart([one], title="lr", x_kind="log", y_kind="log"))
    assert next(node.get("data-y") for node in root.iter(SVG + "g") if node.get("class") == "series") == "0.001 0.1"


def test_marks_and_thresholds_are_drawn_and_named() -> None:
    root = parse(
        charts.line_chart(
            [Series(name="auc", x=[0, 10], y=[0.7, 0.6])],
            title="auc",
            marks=[Mark(x=5, label="deploy <2>", status="finished"), Mark(x=99, label="outside")],
            thresholds=[Threshold(y=0.65, label="floor", status="bad")],
        )
    )
    assert count(root, "g", "mark") == 1
    text = "".join(root.itertext())
    assert "deploy <2>" in text
    assert "floor" in text
    assert "outside" not in text


def test_empty_charts_say_so() -> None:
    empty: list[Callable[[], str]] = [
        lambda: charts.line_chart([], title="t", empty="nothing here"),
        lambda: charts.bar_chart([], [], title="t", empty="nothing here"),
        lambda: charts.histogram([], [], title="t", empty="nothing here"),
        lambda: charts.overlaid_histogram([0, 1], [0], [0], title="t", empty="nothing here"),
        lambda: charts.overlaid_bars([], [], [], title="t", empty="nothing here"),
        lambda: charts.calibration_plot({"a": []}, title="t", empty="nothing here"),
        lambda: charts.confidence_plot([], [], [], [], title="t", empty="nothing here"),
        lambda: charts.traffic_chart([], {}, title="t", empty="nothing here"),
        lambda: charts.heat_strip([], {}, title="t", empty="nothing here"),
        lambda: charts.gantt([], title="t", empty="nothing here"),
        lambda: charts.dag([], [], title="t", empty="nothing here"),
    ]
    for draw in empty:
        assert "nothing here" in "".join(parse(draw()).itertext())


def test_bars_have_one_rectangle_and_whiskers_only_where_given() -> None:
    root = parse(charts.bar_chart(["a", "b", "c"], [1.0, None, -2.0], low=[0.5], high=[1.5], title="importance"))
    assert count(root, "rect") == 2
    assert count(root, "path") == 1


def test_overlay_compares_shares_not_counts() -> None:
    svg = charts.overlaid_histogram([0, 1, 2], [10, 30], [1000, 3000], title="t")
    assert "0 per cent of the mass lies elsewhere" in (parse(svg).findtext(SVG + "desc") or "")


def test_dag_gives_every_node_its_own_place_and_layers_follow_edges() -> None:
    nodes = [Node(id=str(index), label=f"step {index}") for index in range(30)]
    edges = [Edge(source=str(a), target=str(b)) for a in range(30) for b in (2 * a + 1, 2 * a + 2) if b < 30]
    edges.append(Edge(source="0", target="29"))
    root = parse(charts.dag(nodes, edges, title="flow"))
    assert count(root, "g", "node") == 30
    assert count(root, "path", "edge") == len(edges)
    boxes = {
        node.get("data-id"): tuple(float(box.get(name) or 0) for name in ("x", "y", "width", "height"))
        for node in root.iter(SVG + "g")
        if "node" in (node.get("class") or "").split()
        for box in node.findall(SVG + "rect")[:1]
    }
    for edge in edges:
        assert boxes[edge.source][0] + boxes[edge.source][2] < boxes[edge.target][0]
    placed = list(boxes.values())
    for index, (x, y, wide, tall) in enumerate(placed):
        for ox, oy, other_wide, other_tall in placed[index + 1 :]:
            assert x + wide <= ox or ox + other_wide <= x or y + tall <= oy or oy + other_tall <= y


def test_dag_survives_cycles_self_loops_and_unknown_nodes() -> None:
    nodes = [Node(id="a", label="a"), Node(id="b", label="b")]
    edges = [Edge(source=s, target=t) for s, t in ("ab", "ba", "aa", "ax")]
    assert count(parse(charts.dag(nodes, edges, title="t")), "path", "edge") == 2


def test_gantt_has_a_bar_per_attempt() -> None:
    rows = [
        GanttRow(
            label="a",
            bars=[Bar(start=1e9, end=1e9 + 5, status="failed"), Bar(start=1e9 + 6)],
            queued=1e9 - 2,
            href="/x",
        ),
        GanttRow(label="b"),
    ]
    root = parse(charts.gantt(rows, title="t", now=1e9 + 10))
    assert count(root, "rect", "bar") == 2
    assert next(root.iter(SVG + "a")).get("href") == "/x"


def test_traffic_ends_on_the_last_split() -> None:
    root = parse(charts.traffic_chart([0, 60], {"1": [1, 0.75], "2": [0, 0.25]}, title="t", until=120))
    assert count(root, "path", "split") == 2
    assert root.findtext(SVG + "desc") == "now 1 75%, 2 25%"


def test_heat_strip_has_a_cell_per_value() -> None:
    root = parse(charts.heat_strip(["a", "b", "c"], {"x": [1, None, 3], "y": [0]}, title="t"))
    cells = [node for node in root.iter(SVG + "rect") if node.get("class") == "cell"]
    assert len(cells) == 6
    assert sum(cell.get("fill") == "none" for cell in cells) == 3


def test_confidence_names_the_decision_and_the_bound() -> None:
    svg = charts.confidence_plot(
        [1, 2], [0.1, 0.2], [-1, 0.1], [1, 0.3], title="t", bound=0.0, bound_label="no harm", decision="promoted"
    )
    text = "".join(parse(svg).itertext())
    assert "promoted" in text
    assert "no harm" in text


def test_smoothing_is_the_debiased_average() -> None:
    assert smooth([1.0, 0.0], 0.5) == pytest.approx([1.0, 1 / 3])
    assert smooth([3.0] * 5, 0.99) == pytest.approx([3.0] * 5)


def test_durations_read_as_people_say_them() -> None:
    assert [span_label(each) for each in (0.5, 59.96, 3600, 172800)] == ["500 ms", "60 s", "1 h", "2 d"]


@given(lists, st.sampled_from(["linear", "log", "time"]))
@settings(max_examples=60, deadline=None)
def test_a_scale_puts_its_own_values_inside(values: list[float | None], kind: str) -> None:
    scale = scale_for(values, 10, 110, kind=kind)  # type: ignore[arg-type]  # sampled from the literals
    if scale is None:
        return
    for value in values:
        usable = value is not None and math.isfinite(value) and (kind == "linear" or (kind == "log" and value > 0))
        if usable and value is not None:
            assert 9.99 <= scale(value) <= 110.01


@given(lists, lists, lists, names)
@settings(max_examples=40, deadline=None)
def test_no_values_break_the_charts_with_axes(
    a: list[float | None], b: list[float | None], c: list[float | None], name: str
) -> None:
    one = Series(name=name, x=a, y=b, low=c, high=b)
    for kind in ("linear", "log", "time"):
        parse(
            charts.line_chart(
                [one, one],
                title="t",
                x_kind=kind,
                y_kind="log",
                smoothing=0.5,
                marks=[Mark(x=v, label=name) for v in a if v is not None],
            )
        )  # type: ignore[arg-type]  # sampled from the literals
    parse(charts.line_chart([one], title="t", thresholds=[Threshold(y=v, label=name) for v in c if v is not None]))
    parse(charts.sparkline(a, title="t"))
    parse(charts.confidence_plot(a, b, c, b, title="t", bound=c[0] if c else None))
    parse(charts.heat_strip([name] * len(a), {name: b}, title="t"))
    numbers = [v for v in a if v is not None]
    parse(charts.traffic_chart(numbers, {name: b, "other": c}, title="t", until=numbers[0] if numbers else None))


@given(lists, lists, lists, names)
@settings(max_examples=40, deadline=None)
def test_no_values_break_the_other_charts(
    a: list[float | None], b: list[float | None], c: list[float | None], name: str
) -> None:
    numbers = [v for v in a if v is not None]
    parse(charts.bar_chart([name] * len(a), a, low=b, high=c, title="t"))
    parse(charts.histogram(numbers, b, title="t"))
    parse(charts.histogram(sorted(v for v in numbers if not math.isnan(v)), [1.0] * len(a), title="t"))
    parse(charts.overlaid_histogram(numbers, b, c, title="t"))
    parse(charts.overlaid_histogram(numbers, b, c, title="t", density=True))
    parse(charts.overlaid_bars([name] * len(a), b, c, title="t"))
    bins = [
        CalibrationBin(predicted=v, observed=v, count=v, low=x, high=y) for v, x, y in zip(numbers, b, c, strict=False)
    ]
    parse(charts.calibration_plot({name: bins}, title="t"))
    parse(
        charts.gantt(
            [
                GanttRow(
                    label=name,
                    bars=[Bar(start=v, end=w, status=name) for v, w in zip(numbers, b, strict=False)],
                    queued=v,
                )
                for v in numbers
            ],
            title="t",
        )
    )


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=24))
@settings(max_examples=40, deadline=None)
def test_any_graph_can_be_drawn(pairs: list[tuple[int, int]]) -> None:
    nodes = [Node(id=str(index), label=str(index)) for index in range(8)]
    root = parse(charts.dag(nodes, [Edge(source=str(a), target=str(b)) for a, b in pairs], title="t"))
    assert count(root, "g", "node") == 8
    assert count(root, "path", "edge") == len({(a, b) for a, b in pairs if a != b})
