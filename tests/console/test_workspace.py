"""The table of runs in a real browser: order, filter, pins, groups, views, selection, keys, what goes on."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.browser

ROWS = ".grid tbody:not(.pins) tr[data-id]"


def ready(desk, path: str = "/runs?experiment=sweep") -> None:
    desk.goto(path)
    desk.wait_for_selector(ROWS)


def until(page, expression: str) -> None:
    """Waits until an expression is true; Playwright's own way needs `eval`, which the policy forbids."""
    end = time.monotonic() + 10
    while not page.evaluate(expression):
        assert time.monotonic() < end, (expression, page.locator("main").inner_text()[:800])
        time.sleep(0.02)


def column(desk, name: str) -> list[str]:
    """The texts of a column, from the top."""
    place = desk.locator("thead th").evaluate_all(
        f"(all) => all.findIndex((each) => each.dataset.column === {json.dumps(name)})"
    )
    return desk.locator(ROWS).evaluate_all(f"(all) => all.map((row) => row.cells[{place}].textContent)")


def query(desk) -> dict[str, list[str]]:
    return parse_qs(urlsplit(desk.url).query)


def names(desk) -> list[str]:
    return desk.locator(f"{ROWS} th.name a").all_inner_texts()


def test_a_head_orders_by_it_a_second_press_turns_it_round_and_shift_adds_another(desk):
    ready(desk)
    desk.click('th[data-column="metrics.score"] button')
    desk.wait_for_selector('th[data-column="metrics.score"][aria-sort=descending]')
    until(desk, f"document.querySelector('{ROWS} a').textContent.endsWith('319')")
    assert query(desk)["sort"] == ["-metrics.score"]
    desk.click('th[data-column="metrics.score"] button')
    until(desk, f"document.querySelector('{ROWS} a').textContent.endsWith('000')")
    desk.click('th[data-column="status"] button', modifiers=["Shift"])
    desk.wait_for_selector('th[data-column="status"][aria-sort=descending]')
    assert query(desk)["sort"] == ["metrics.score", "-status"]


def test_hundreds_of_rows_have_dozens_of_elements_and_the_end_is_reached(desk, sweep):
    ready(desk, "/runs?experiment=sweep&sort=metrics.score")
    desk.evaluate("document.querySelector('.grid').scrollTop = 1e7")
    desk.wait_for_selector(f'{ROWS}[data-id="{sweep.ids[319]}"]')
    assert desk.locator(ROWS).count() < 80


def test_the_filter_completes_keys_operators_and_values(desk):
    ready(desk)
    desk.click("#filter")
    desk.keyboard.type("params.opt")
    desk.wait_for_selector("#filter-list li:has-text('params.optimizer.name')")
    desk.keyboard.press("ArrowDown")
    assert desk.locator("#filter").get_attribute("aria-activedescendant") == "filter-0"
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#filter-list li:has-text('ILIKE')")
    desk.keyboard.type("= ")
    desk.wait_for_selector("#filter-list li:has-text('lion')")
    desk.keyboard.type("li")
    until(desk, "document.querySelectorAll('#filter-list li').length === 1")
    desk.keyboard.press("Tab")
    desk.wait_for_selector("#filter-list li:has-text('AND')")
    desk.keyboard.press("Enter")
    until(desk, "document.querySelector('.count').textContent === '107 runs'")
    assert query(desk)["q"] == ["params.optimizer.name = 'lion'"]
    assert all(name.startswith("lion") for name in names(desk))


def test_a_filter_that_cannot_be_read_says_so_at_the_place(desk):
    ready(desk)
    desk.fill("#filter", "metrics.score >> 0.1")
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".filter-problem mark")
    assert desk.locator(".filter-problem mark").inner_text() == ">"
    assert desk.locator("#filter").get_attribute("aria-invalid") == "true"
    desk.fill("#filter", "metrics.scroe > 0.1")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("text=none has metrics.scroe")


def test_pins_stay_on_top_and_a_baseline_gives_differences(desk, sweep):
    ready(desk, "/runs?experiment=sweep&sort=-metrics.score&limit=20")
    row = desk.locator(ROWS).nth(3)
    chosen = row.get_attribute("data-id")
    row.hover()
    row.locator("[data-act=pin]").click()
    desk.wait_for_selector(f'.pins tr[data-id="{chosen}"]')
    row = desk.locator(f'.pins tr[data-id="{chosen}"]')
    row.hover()
    row.locator("[data-act=base]").click()
    desk.wait_for_selector(f"{ROWS} .delta")
    assert query(desk) == {**query(desk), "pin": [chosen], "base": [chosen]}
    assert column(desk, "metrics.score")[0].startswith("+0.003")


def test_groups_have_means_and_open_to_their_runs(desk):
    ready(desk)
    desk.click(".menu:has-text('Group') > button")
    desk.check(".panel input[value='params.optimizer.name']")
    desk.wait_for_selector("tr.grouped")
    assert desk.locator(".count").inner_text() == "3 groups of 320 runs"
    assert "±" in desk.locator("tr.grouped").first.inner_text()
    desk.keyboard.press("Escape")
    desk.locator("tr.grouped", has_text="adam").locator(".fold").click()
    desk.wait_for_selector("tr.inside")
    assert all(each.startswith("adam") for each in desk.locator("tr.inside th.name a").all_inner_texts())
    desk.locator("tr.grouped", has_text="adam").locator(".fold").click()
    assert desk.locator("tr.inside").count() == 0


def test_tags_that_programs_keep_are_shown_when_they_are_asked_for(desk, sweep):
    client, ids = sweep, sweep.ids
    client.tracking.annotate([ids[-2]], tags={"mlflow.datasets.0": "hidden", "import.source": "hidden"})
    try:
        ready(desk, "/runs?experiment=sweep&col=tags")
        row = desk.locator(f'.grid tr[data-id="{ids[-2]}"]')
        assert "hidden" not in row.inner_text()
        row.locator(".chips button").click()
        assert row.inner_text().count("hidden") == 2
        desk.goto(f"/runs/{ids[-2]}")
        tags = desk.locator("#run-tags")
        assert "hidden" not in tags.inner_text()
        tags.locator("summary").click()
        assert tags.inner_text().count("hidden") == 2
    finally:
        client.tracking.annotate([ids[-2]], tags={"mlflow.datasets.0": "", "import.source": ""})


def test_columns_are_found_added_and_taken_away(desk):
    ready(desk)
    desk.click(".menu:has-text('Columns') > button")
    desk.fill(".panel input[type=search]", "metrics.sc")
    desk.check(".panel input[value='metrics.score#min']")
    desk.wait_for_selector('th[data-column="metrics.score#min"]')
    desk.click(".panel .chosen button[aria-label='Remove params.depth']")
    desk.wait_for_selector('th[data-column="params.depth"]', state="detached")
    assert "metrics.score#min" in query(desk)["col"]


def test_a_view_is_saved_is_its_address_and_is_shared(desk, chromium, sweep):
    ready(desk, "/runs?experiment=sweep&q=metrics.score+%3E+0.3&sort=metrics.score&col=metrics.score")
    desk.click(".menu:has-text('Views') > button")
    desk.fill(".panel input[type=text]", "Best of the sweep")
    desk.click(".panel button:has-text('Save')")
    desk.wait_for_selector(".panel a:has-text('Best of the sweep')")
    (saved,) = sweep.tracking.views()
    assert parse_qs(saved.query)["q"] == ["metrics.score > 0.3"]
    other = chromium.new_context(base_url=sweep.served).new_page()
    other.goto("/runs")
    other.wait_for_selector(ROWS)
    other.click(".menu:has-text('Views') > button")
    other.click(".panel a:has-text('Best of the sweep')")
    until(other, "document.querySelector('.count').textContent === '19 runs'")
    assert other.locator("#filter").input_value() == "metrics.score > 0.3"
    assert other.locator("thead th").all_inner_texts()[-1].startswith("score")
    other.go_back()
    until(other, "document.querySelector('.count').textContent !== '19 runs'")
    other.context.close()
    desk.click(".panel button[aria-label='Delete the view Best of the sweep']")
    desk.wait_for_selector(".toast:has-text('deleted')")
    assert sweep.tracking.views() == []


def test_what_is_selected_is_tagged_deleted_and_brought_back(desk, sweep):
    ready(desk, "/runs?experiment=sweep&sort=metrics.score")
    for place in (0, 1):
        desk.locator(f"{ROWS} input[type=checkbox]").nth(place).check()
    assert desk.locator(".selection b").inner_text() == "2 runs selected"
    desk.click(".selection .menu button:has-text('Tag')")
    desk.fill(".selection input[placeholder=Name]", "looked")
    desk.fill(".selection input[placeholder^=Value]", "twice")
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".toast:has-text('2 runs tagged')")
    assert sweep.tracking.count("tags.looked = 'twice'") == 2
    desk.click(".selection button:has-text('Delete')")
    desk.wait_for_selector(".toast:has-text('2 runs deleted')")
    assert sweep.tracking.count(experiments=["sweep"]) == 318
    desk.click(".toast button:has-text('Undo')")
    until(desk, "document.querySelector('.count').textContent === '320 runs'")
    with desk.expect_download() as got:
        desk.click(".tools button:has-text('CSV')")
    lines = got.value.path().read_text("utf-8").splitlines()
    assert len(lines) == 321
    assert lines[0].startswith("run_id,name,status,started_at")


def test_selection_goes_to_the_comparison(desk, sweep):
    ready(desk, "/runs?experiment=sweep&sort=metrics.score")
    for place in (0, 1, 2):
        desk.locator(f"{ROWS} input[type=checkbox]").nth(place).check()
    desk.click(".selection a:has-text('Compare')")
    desk.wait_for_url("**/compare?run=*")
    text = desk.locator("main").inner_text()
    assert "optimizer.name" in text
    assert desk.locator("figure.chart-card").count() == 3
    desk.click("text=Baseline >> xpath=.. >> a:has-text('lion-001')")
    desk.wait_for_selector("a[aria-current=true]:has-text('lion-001')")
    assert parse_qs(urlsplit(desk.url).query)["base"] == [sweep.ids[1]]


def test_keys_mark_select_and_open(desk):
    ready(desk)
    desk.keyboard.press("j")
    desk.keyboard.press("j")
    assert desk.locator("tr.marked").get_attribute("data-index") == "1"
    desk.keyboard.press("x")
    assert desk.locator(".selection b").inner_text() == "1 run selected"
    name = names(desk)[1]
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#run-title")
    assert desk.locator("#run-title").inner_text() == name
    ready(desk)
    desk.keyboard.press("2")
    desk.wait_for_selector("figure[data-drawn]")
    desk.keyboard.press("1")
    desk.wait_for_selector(ROWS)


def test_a_run_that_begins_appears_and_values_move(desk, sweep):
    desk.clock.install()
    run_id = sweep.filling.one_run(sweep, 5, end=False, experiment="live")
    ready(desk, "/runs?experiment=live&col=metrics.train/loss")
    assert desk.locator(ROWS).count() == 1
    sweep.filling.more_points(sweep, run_id, 40, 5, value=7.25)
    desk.clock.run_for(5000)
    desk.wait_for_selector(f"{ROWS}:has-text('7.25')")
    sweep.filling.one_run(sweep, 6, experiment="live")
    desk.clock.run_for(5000)
    until(desk, f"document.querySelectorAll('{ROWS}').length === 2")


def test_what_follows_by_itself_can_be_paused(desk, sweep):
    run_id = sweep.filling.one_run(sweep, 8, end=False, experiment="paused")
    desk.clock.install()
    ready(desk, "/runs?experiment=paused&col=metrics.train/loss")
    desk.keyboard.press("p")
    assert desk.locator("button.live").inner_text().strip() == "Paused"
    sweep.filling.more_points(sweep, run_id, 40, 5, value=6.5)
    desk.clock.run_for(20_000)
    assert desk.locator(f"{ROWS}:has-text('6.5')").count() == 0
    desk.keyboard.press("p")
    desk.clock.run_for(5000)
    desk.wait_for_selector(f"{ROWS}:has-text('6.5')")


def test_when_the_server_is_gone_the_page_says_so_and_recovers(desk):
    ready(desk)
    desk.route("**/*", lambda route: route.abort())
    desk.click('th[data-column="metrics.score"] button')
    desk.wait_for_selector(".away-note")
    assert desk.locator(ROWS).count() > 10
    desk.unroute("**/*")
    desk.wait_for_selector(".away-note", state="detached")
    desk.problems[:] = [each for each in desk.problems if "ERR_FAILED" not in each]


def test_parallel_coordinates_keep_what_is_brushed(desk):
    desk.goto("/runs?experiment=sweep&show=parallel&axes=params.depth&axes=metrics.score")
    desk.wait_for_selector(".plotted canvas[aria-label]")
    box = desk.locator(".plotted canvas").bounding_box()
    x = box["x"] + 70
    desk.mouse.move(x, box["y"] + 60)
    desk.mouse.down()
    desk.mouse.move(x, box["y"] + 120, steps=4)
    desk.mouse.up()
    until(desk, "/^\\d+ of 320 runs/.test(document.querySelector('.plotted .tools p').textContent)")
    assert desk.locator(".picked a").count() > 0
    desk.click(".plotted button:has-text('Show all')")
    assert desk.locator(".plotted .tools p").inner_text() == "320 runs"


def test_a_scatter_draws_any_two_columns(desk):
    desk.goto("/runs?experiment=sweep&show=scatter&px=params.optimizer.lr&py=metrics.score&logx=1")
    desk.wait_for_selector(".plotted canvas[aria-label='metrics.score against params.optimizer.lr of 320 runs']")
    desk.select_option(".plotted select[aria-label=Colour]", "params.depth")
    until(desk, "new URLSearchParams(location.search).get('colour') === 'params.depth'")


def test_the_table_is_there_without_scripts(chromium, sweep):
    context = chromium.new_context(java_script_enabled=False, base_url=sweep.served)
    page = context.new_page()
    page.goto("/runs?experiment=sweep")
    assert page.locator("tbody tr").count() == 50
    page.click("thead a:has-text('score')")
    assert "319" in page.locator("tbody tr").first.inner_text()
    page.click("a:has-text('Next')")
    assert "269" in page.locator("tbody tr").first.inner_text()
    context.close()
