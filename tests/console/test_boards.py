"""Boards of charts in a real browser: what is loaded, zoom and crosshair together, smoothing, files, what goes on."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.browser

CHART = 'figure.chart-card[data-key="{}"]'


def until(page, expression: str) -> None:
    """Waits until an expression is true; Playwright's own way needs `eval`, which the policy forbids."""
    end = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        time.sleep(0.02)


def charts(desk, ids, **query: str) -> None:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    desk.goto("/charts?" + "&".join(f"run={each}" for each in ids) + more)
    desk.wait_for_selector("figure[data-drawn]")


def domain(desk, key: str) -> list[float]:
    return desk.evaluate(
        f"(() => {{ const {{ axis }} = document.querySelector('{CHART.format(key)}').chart;"
        " return [axis.x.low, axis.x.high, axis.y.low, axis.y.high]; })()"
    )


def model(desk, key: str, what: str):
    return desk.evaluate(
        f"(() => {{ const {{ model }} = document.querySelector('{CHART.format(key)}').chart; return {what}; }})()"
    )


def test_metrics_stand_in_sections_and_a_regular_expression_keeps_some(desk, sweep):
    charts(desk, sweep.ids[:5])
    assert desk.locator("details.section").evaluate_all("(all) => all.map((each) => each.dataset.section)") == [
        "",
        "train",
        "val",
    ]
    desk.fill(".charts-tools input[type=search]", "^(train|score)")
    until(desk, "document.querySelectorAll('figure.chart-card').length === 2")
    desk.fill(".charts-tools input[type=search]", "(")
    desk.wait_for_selector(".charts-tools [role=alert]:visible")


def test_values_that_stand_alone_are_bars_and_one_that_is_no_number_is_marked(desk, sweep):
    charts(desk, sweep.ids[:5])
    until(desk, "document.querySelectorAll('figure[data-drawn]').length === 3")
    assert model(desk, "score", "model.single")
    assert not model(desk, "train/loss", "model.single")
    holes = model(desk, "train/loss", "Object.fromEntries(model.lines.map((line) => [line.id, line.holes]))")
    assert holes[sweep.ids[2]] == [20]
    assert holes[sweep.ids[1]] == []


def test_a_box_zooms_all_charts_stands_in_the_address_and_a_double_click_resets(desk, sweep):
    charts(desk, sweep.ids[:3], keys="loss|accuracy")
    box = desk.locator(CHART.format("train/loss") + " .plot").bounding_box()
    whole = domain(desk, "train/loss")
    desk.mouse.move(box["x"] + 120, box["y"] + 80)
    desk.mouse.down()
    desk.mouse.move(box["x"] + 220, box["y"] + 85, steps=5)
    desk.mouse.up()
    until(desk, "new URLSearchParams(location.search).get('zoom')")
    low, high = (float(each) for each in parse_qs(urlsplit(desk.url).query)["zoom"][0].split(","))
    assert whole[0] < low < high < whole[1]
    for key in ("train/loss", "val/accuracy"):
        until(desk, f"Math.abs(document.querySelector('{CHART.format(key)}').chart.axis.x.low - {low}) < 1e-3")
    address = desk.url
    desk.goto("/")
    desk.goto(address)
    desk.wait_for_selector("figure[data-drawn]")
    assert domain(desk, "train/loss")[:2] == pytest.approx([low, high], abs=1e-3)
    desk.dblclick(CHART.format("train/loss") + " .plot")
    until(desk, f"document.querySelector('{CHART.format('val/accuracy')}').chart.axis.x.low === {whole[0]}")


def test_the_crosshair_is_on_all_charts_and_the_values_are_sorted(desk, sweep):
    charts(desk, sweep.ids[:6], keys="loss|accuracy")
    until(desk, "document.querySelectorAll('figure[data-drawn]').length === 2")
    box = desk.locator(CHART.format("train/loss") + " .plot").bounding_box()
    desk.mouse.move(box["x"] + 200, box["y"] + 100)
    desk.wait_for_selector(".tip:visible")
    values = [float(each) for each in desk.locator(".tip .value").all_inner_texts()]
    assert len(values) == 6
    assert values == sorted(values, reverse=True)
    cursors = [
        desk.evaluate(f"document.querySelector('{CHART.format(key)}').chart.cursor")
        for key in ("train/loss", "val/accuracy")
    ]
    assert cursors[0] == cursors[1]
    painted = (
        "(() => { const c = document.querySelector('%s canvas.over');"
        " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(Boolean); })()"
    )
    assert desk.evaluate(painted % CHART.format("val/accuracy"))
    desk.mouse.move(5, 5)
    until(desk, f"!{painted % CHART.format('val/accuracy')}")
    desk.problems[:] = [each for each in desk.problems if "Canvas2D" not in each]  # it was this test that read it


def test_smoothing_keeps_the_raw_line_and_logarithms_and_outliers_change_the_axis(desk, sweep):
    charts(desk, sweep.ids[:2], smooth="0.9", y="log", outliers="ignore", x="relative")
    until(desk, "document.querySelectorAll('figure[data-drawn]').length >= 2")
    assert model(
        desk,
        "train/loss",
        "model.lines[0].raw.length === model.lines[0].y.length",
    )
    rough, smooth = (
        model(
            desk,
            "train/loss",
            f"model.lines[0].{name}.slice(1).reduce("
            f"(sum, each, index) => sum + Math.abs(each - model.lines[0].{name}[index]), 0)",
        )
        for name in ("raw", "y")
    )
    assert smooth < rough / 1.2
    assert desk.evaluate(f"document.querySelector('{CHART.format('train/loss')}').chart.axis.y.kind") == "log"
    assert model(desk, "train/loss", "model.xLabel") == "time since the start"
    desk.click(CHART.format("train/loss") + " button:has-text('log')")
    assert desk.evaluate(f"document.querySelector('{CHART.format('train/loss')}').chart.axis.y.kind") == "linear"


def test_any_metric_may_be_the_x_axis(desk, sweep):
    charts(desk, sweep.ids[:2], x="val/accuracy", keys="train")
    assert model(desk, "train/loss", "model.xLabel") == "val/accuracy"
    low, high, *_ = domain(desk, "train/loss")
    assert 0.5 < low < high < 1.1


def test_groups_are_bands_with_their_mean(desk):
    desk.goto("/runs?experiment=sweep&show=charts&group=params.optimizer.name&n=50")
    desk.wait_for_selector(CHART.format("train/loss") + "[data-drawn]")
    labels = model(desk, "train/loss", "model.lines.map((line) => line.label)")
    assert sorted(each.split(" ")[0] for each in labels) == ["adam", "lion", "sgd"]
    assert model(
        desk, "train/loss", "model.lines.every((line) => line.hi[10] > line.y[10] && line.lo[10] < line.y[10])"
    )
    desk.select_option(".charts-tools select[aria-label=Groups]", "none")
    until(desk, f"document.querySelector('{CHART.format('train/loss')}').chart.model.lines.length === 50")


def test_a_hidden_run_leaves_the_charts_and_only_what_is_seen_is_loaded(desk, sweep):
    asked: list[str] = []
    desk.on(
        "request", lambda request: asked.append(request.post_data or "") if "tracking/series" in request.url else None
    )
    desk.set_viewport_size({"width": 500, "height": 420})
    desk.goto("/runs?experiment=sweep&show=charts&n=10")
    desk.wait_for_selector("aside.legend li")
    time.sleep(0.3)
    assert not any("val/accuracy" in each for each in asked)
    desk.locator(CHART.format("val/accuracy")).scroll_into_view_if_needed()
    desk.wait_for_selector(CHART.format("val/accuracy") + "[data-drawn]")
    until(desk, f"document.querySelector('{CHART.format('val/accuracy')}').chart.model?.lines.length === 10")
    desk.locator("aside.legend li button").first.click()
    desk.locator(CHART.format("val/accuracy")).scroll_into_view_if_needed()
    until(desk, f"document.querySelector('{CHART.format('val/accuracy')}').chart.model.lines.length === 9")
    assert "hide=" in desk.url


def test_a_chart_fills_the_screen_and_becomes_a_file(desk, sweep):
    charts(desk, sweep.ids[:2], keys="train/loss")
    for kind, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("CSV", b"run,id,step,train/loss")):
        desk.click(CHART.format("train/loss") + " button[aria-label^=Download]")
        with desk.expect_download() as got:
            desk.click(f".panel:visible button:has-text('{kind}')")
        assert got.value.path().read_bytes().startswith(start), kind
    desk.locator(".plot").focus()
    desk.keyboard.press("f")
    desk.wait_for_selector("dialog.full[open]")
    until(desk, "document.querySelector('dialog.full .plot canvas').clientHeight > 400")
    desk.keyboard.press("Escape")
    desk.wait_for_selector("dialog.full", state="detached")
    desk.locator(".plot").focus()
    desk.keyboard.press("ArrowRight")
    desk.wait_for_selector(".tip:visible")
    before = domain(desk, "train/loss")
    desk.keyboard.press("+")
    until(desk, "new URLSearchParams(location.search).get('zoom')")
    after = domain(desk, "train/loss")
    assert before[0] < after[0] < after[1] < before[1]


def test_what_a_run_logs_appears_without_asking_for_the_rest_again(desk, sweep):
    run_id = sweep.filling.one_run(sweep, 7, end=False, experiment="growing")
    desk.clock.install()
    charts(desk, [run_id, sweep.ids[0]], keys="train/loss")
    asked: list[str] = []
    desk.on(
        "request", lambda request: asked.append(request.post_data or "") if "tracking/series" in request.url else None
    )
    sweep.filling.more_points(sweep, run_id, 40, 3, value=9.0)
    desk.clock.run_for(5000)
    until(
        desk,
        f"document.querySelector('{CHART.format('train/loss')}').chart.model.lines.some((line) => line.y.includes(9))",
    )
    assert asked
    assert not any(sweep.ids[0] in each for each in asked)


def test_a_chart_that_cannot_be_loaded_says_so_and_comes_when_the_server_is_back(desk, sweep):
    desk.route("**/api/v1/tracking/series", lambda route: route.abort())
    desk.route("**/health", lambda route: route.abort())
    desk.goto(f"/charts?run={sweep.ids[0]}&keys=train/loss")
    desk.wait_for_selector("text=Could not be loaded")
    assert desk.locator(".away-note").count() == 1
    desk.unroute("**/api/v1/tracking/series")
    desk.unroute("**/health")
    desk.wait_for_selector(CHART.format("train/loss") + "[data-drawn]")
    assert desk.locator("text=Could not be loaded").count() == 0
    desk.problems[:] = [each for each in desk.problems if "ERR_FAILED" not in each]


def test_the_theme_redraws(desk, sweep):
    charts(desk, sweep.ids[:2], keys="train/loss")
    until(desk, f"document.querySelector('{CHART.format('train/loss')}').dataset.drawn")
    drawn = desk.locator(CHART.format("train/loss")).get_attribute("data-drawn")
    desk.click("[data-theme-to=dark]")
    until(desk, f"document.querySelector('{CHART.format('train/loss')}').dataset.drawn > {drawn}")
