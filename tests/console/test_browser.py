"""The console in a real browser: keys, palette, themes, live updates, the tooltip, and no error in its console."""

from __future__ import annotations

import pytest

WIDE = (
    "/",
    "/runs",
    "/runs?group=params.family",
    "/runs?show=charts",
    "/runs?show=parallel",
    "/runs?show=scatter",
    "/experiments",
    "/runs/{trained}",
    "/runs/{trained}?tab=charts",
    "/runs/{trained}?tab=files",
    "/compare?run={trained}&run={trained_2}",
    "/flows",
    "/flows/of/retrain",
    "/flows/{failed_flow}",
    "/flows/steps/{failed_step}",
    "/flows/calendar",
    "/data/flights@2",
    "/models",
    "/models/flight-delay?version=1&version=2",
    "/models/flight-delay@2",
    "/endpoints/flight-delay",
    "/alerts",
    "/lineage/model/flight-delay@2",
    "/reports/drift/flights@1",
    "/audit",
)

pytestmark = pytest.mark.browser


def test_the_palette_finds_a_page_and_a_thing(tab):
    tab.goto("/")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("lineag")
    tab.wait_for_selector("#palette li:has-text('Lineage')")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/lineage")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("weather")
    tab.wait_for_selector("#palette li:has-text('weather')")
    assert tab.locator("#palette-input").get_attribute("aria-activedescendant") == "palette-0"
    tab.keyboard.press("Escape")
    assert tab.locator("#palette").is_hidden()


def test_keys_search_help_and_go_places(tab):
    tab.goto("/audit")
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "find"
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("?")
    assert tab.locator("#help").is_visible()
    tab.keyboard.press("Escape")
    tab.keyboard.press("j")
    assert tab.locator("tr.marked").count() == 1
    tab.keyboard.press("g")
    tab.keyboard.press("h")
    tab.wait_for_url("**/")


def test_a_theme_is_switched_at_once_and_kept(tab):
    tab.goto("/?theme=light")
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.click("[data-theme-to=dark]")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != light
    tab.goto("/audit")
    assert tab.locator("html").get_attribute("data-theme") == "dark"


def test_a_live_page_shows_what_is_new_and_can_be_paused(tab, filled):
    from mainspring.lineage import graph

    tab.clock.install()
    tab.goto("/lineage")
    tab.wait_for_selector("button.live:visible")
    with filled[0].backend.store.write("test.live") as tx:
        graph.add_artifact(tx, "report", "made-while-looking", digest="f" * 64)
    tab.clock.run_for(9000)
    tab.wait_for_selector("text=made-while-looking")
    tab.click("button.live")
    assert tab.locator("button.live").inner_text().strip() == "Paused"
    with filled[0].backend.store.write("test.live") as tx:
        graph.add_artifact(tx, "report", "made-while-paused", digest="0" * 64)
    tab.clock.run_for(30000)
    assert tab.locator("text=made-while-paused").count() == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_window(tab, filled, width):
    tab.set_viewport_size({"width": width, "height": 844})
    for path in WIDE:
        tab.goto(path.format(**filled[1]), wait_until="networkidle")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_drawn_chart_tells_its_values_under_the_pointer(tab, filled):
    tab.goto(f"/runs/{filled[1]['trained']}?tab=charts&still=1")
    chart = tab.locator("svg.chart-line").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.wait_for_selector(".tip:visible")
    name, value = tab.locator(".tip div").nth(1).inner_text().split("\n")
    assert name
    assert 0 < float(value) < 2
    assert tab.locator("line.cross").count() == tab.locator("svg.chart-line[data-plot]").count()
    tab.mouse.move(1, 1)
    assert tab.locator("line.cross").count() == 0


def test_pages_can_be_read_without_scripts(chromium, address):
    context = chromium.new_context(java_script_enabled=False, base_url=address)
    page = context.new_page()
    page.goto("/lineage/model/flight-delay@2")
    page.set_default_timeout(10_000)
    assert page.locator("svg.chart-dag g.node").count() >= 5
    assert page.locator("button.copy:visible, button.live:visible").count() == 0
    page.click("tbody a:has-text('april@1')")
    page.fill("#find", "weather")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=weather")
    assert page.locator("main").get_by_text("weather").count()
    context.close()
