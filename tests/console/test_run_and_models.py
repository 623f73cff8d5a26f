"""The pages of one run and of models in a real browser: notes, tags, names, media, files, logs, approvals."""

from __future__ import annotations

import time

import pytest

from mainspring.console.raw import _range
from mainspring.kernel.errors import InvalidInput

pytestmark = pytest.mark.browser

SCRIPT = "<h1>theirs</h1><script>document.title = 'ran'; try { parent.document.title = 'taken' } catch { }</script>"


@pytest.fixture(scope="module")
def rich(sweep):
    """A run with a bit of everything among its files."""
    import numpy as np

    with sweep.tracking.run(
        "rich", params={"model": {"depth": 3, "width": 64}, **{f"p{n}": n for n in range(12)}}
    ) as run:
        for step in (0, 10, 20):
            run.log_image(np.full((8, 8), step * 10, dtype="uint8"), "samples", step=step, caption=f"after {step}")
            run.log_histogram([step, step + 1, step + 1, step + 2], "weights", step=step)
            run.log_table([{"id": n, "score": n / 4} for n in range(120)], "predictions", step=step)
        run.log_text("# Report\n\n**bold** <img src=x onerror=alert(1)>", "report.md")
        run.log_text('{"layers": [1, 2, 3], "name": "net"}', "config.json")
        run.log_text(SCRIPT, "page.html")
        run.log_text("id,score\n1,0.5\n2,\n", "rows.csv")
        lines = [
            f"2026-11-21T14:00:{at % 60:02}.000Z {('stdout', 'stderr')[at % 2]} \x1b[31mstep\x1b[0m {at}"
            + (" ERROR no labels" if at == 500 else "")
            for at in range(1200)
        ]
        run.log_text("\n".join(lines) + "\n", "logs/output.log")
        run.log(loss=0.25)
    return run.id


def test_notes_are_written_in_place_and_are_never_markup(desk, sweep):
    run_id = sweep.ids[4]
    desk.goto(f"/runs/{run_id}")
    desk.click("#run-note button:has-text('Write')")
    desk.fill(
        "#run-note textarea",
        "# Plan\n\n- **try** lion\n\n<b>not bold</b> [bad](javascript:alert(1)) [good](https://example.com/)",
    )
    desk.keyboard.press("Control+Enter")
    desk.wait_for_selector("#run-note h3:has-text('Plan')")
    assert desk.locator("#run-note strong").all_inner_texts() == ["try"]
    assert "<b>not bold</b>" in desk.locator("#run-note").inner_text()
    assert desk.locator("#run-note a").evaluate_all("(all) => all.map((each) => each.href)") == ["https://example.com/"]
    assert sweep.tracking.get(run_id).note.startswith("# Plan")
    desk.reload()
    desk.wait_for_selector("#run-note h3:has-text('Plan')")


def test_a_run_is_renamed_tagged_deleted_and_restored(desk, sweep):
    run_id = sweep.filling.one_run(sweep, 9, experiment="edited")
    desk.goto(f"/runs/{run_id}")
    desk.click("button:has-text('Rename')")
    desk.fill("h1 input", "the better one")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#run-title:has-text('the better one')")
    assert sweep.tracking.get(run_id).title == "the better one"
    desk.click("button:has-text('+ tag')")
    desk.keyboard.type("reviewed: yes")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("[data-tag=reviewed]:has-text('reviewed: yes')")
    assert sweep.tracking.get(run_id).tags["reviewed"] == "yes"
    desk.click("button[aria-label='Remove the tag team']")
    desk.wait_for_selector("[data-tag=team]", state="detached")
    assert "team" not in sweep.tracking.get(run_id).tags
    desk.click("#run-tools button:has-text('Delete')")
    desk.wait_for_selector("#run-tools button:has-text('Restore')")
    assert sweep.tracking.get(run_id).deleted_at is not None
    desk.click("#run-tools button:has-text('Restore')")
    desk.wait_for_selector("#run-tools button:has-text('Delete')")


def test_parameters_fold_and_are_found(desk, rich):
    desk.goto(f"/runs/{rich}")
    assert desk.locator("details.branch summary").first.inner_text() == "model 2"
    desk.fill("input[aria-label='Find a parameter']", "model width")
    time.sleep(0.2)
    assert desk.locator("[data-tree] .facts > div:visible").count() == 1


def test_media_go_by_step_and_histograms_are_a_map(desk, rich):
    desk.goto(f"/runs/{rich}?tab=media")
    card = desk.locator("section[aria-label=samples]")
    card.locator("figcaption:has-text('after 20')").wait_for()
    card.locator("input[type=range]").fill("1")
    card.locator("figcaption:has-text('after 10')").wait_for()
    assert card.locator("img").evaluate("async (each) => { await each.decode(); return each.naturalWidth; }") == 8
    heat = desk.locator("section[aria-label=weights] canvas")
    assert heat.get_attribute("aria-label") == "Histograms over 3 steps"
    rows = desk.locator("section[aria-label=predictions]")
    rows.locator("text=rows 1 to 50 of 120").wait_for()
    rows.locator("button:has-text('After')").click()
    rows.locator("text=rows 51 to 100 of 120").wait_for()


def test_files_are_shown_by_their_kind_and_a_page_of_others_reaches_nothing(desk, rich):
    desk.goto(f"/runs/{rich}?tab=files&file=report.md")
    desk.wait_for_selector(".view strong:has-text('bold')")
    assert desk.locator(".view img").count() == 0
    desk.click(".tree a:has-text('config.json')")
    desk.wait_for_selector(".json .key:has-text('layers')")
    desk.click(".tree a:has-text('rows.csv')")
    desk.wait_for_selector(".table-preview:has-text('rows 1 to 2 of 2')")
    title = desk.title()
    desk.click(".tree a:has-text('page.html')")
    frame = desk.frame_locator("iframe.page")
    frame.locator("h1:has-text('theirs')").wait_for()
    assert desk.title() == title
    assert desk.locator("iframe.page").get_attribute("sandbox") == "allow-scripts"
    desk.problems[:] = [each for each in desk.problems if "sandbox" not in each.lower()]


def test_raw_files_are_sandboxed_and_come_in_pieces(desk, rich):
    answer = desk.request.get(f"/runs/{rich}/raw/page.html")
    assert answer.headers["content-security-policy"].startswith("sandbox allow-scripts;")
    assert "connect-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    piece = desk.request.get(f"/runs/{rich}/raw/config.json", headers={"Range": "bytes=2-7"})
    assert (piece.status, piece.text(), piece.headers["content-range"]) == (206, "layers", "bytes 2-7/36")
    assert desk.request.get(f"/runs/{rich}/raw/confug.json").status == 404


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", (0, 10)),
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=8-99", (8, 10)),
        ("x", (0, 10)),
    ],
)
def test_ranges(header, found):
    assert _range(header, 10) == found
    with pytest.raises(InvalidInput):
        _range("bytes=10-", 10)


def test_logs_are_found_by_words_and_level_and_keep_their_colours(desk, rich):
    desk.goto(f"/runs/{rich}?tab=logs")
    desk.wait_for_selector(".log .ansi-red")
    assert desk.locator(".log .line").count() <= 400
    desk.select_option("select[aria-label=Level]", "error")
    desk.wait_for_selector("text=1 of 1,200 lines")
    assert "no labels" in desk.locator(".log .line").inner_text()
    desk.select_option("select[aria-label=Level]", "any level")
    desk.fill("input[aria-label='Find in the log']", "step 11")
    desk.wait_for_selector(".log mark:has-text('step 11')")
    desk.click("button:has-text('Follow')")
    assert "1199" in desk.locator(".log .line").last.inner_text()


def test_a_version_is_approved_with_a_comment_and_taken_back(tab, filled):
    client = filled[0]
    tab.goto("/models/flight-delay@1")
    tab.fill("#approval-comment", "looked at the slices")
    tab.click("button:has-text('Reject')")
    tab.wait_for_selector(".toast:has-text('rejected')")
    assert client.models.approvals("flight-delay@1")[0].verdict == "rejected"
    assert "looked at the slices" in tab.locator("main").inner_text()
    tab.click(".toast button:has-text('Undo')")
    tab.wait_for_selector(".badge:has-text('withdrawn')")
    tab.fill("#approval-comment", "well, fine")
    tab.click("button:has-text('Approve')")
    tab.wait_for_selector(".toast:has-text('approved')")
    assert client.models.approvals("flight-delay@1")[0].comment == "well, fine"


def test_a_model_is_described_and_its_versions_compared(tab, filled):
    tab.goto("/models/flight-delay")
    tab.click("[data-describe] button:has-text('Edit')")
    tab.fill("[data-describe] textarea", "Late by *more* than 15 minutes")
    tab.click("[data-describe] button:has-text('Save')")
    tab.wait_for_selector("[data-describe] em:has-text('more')")
    assert filled[0].models.model("flight-delay").description == "Late by *more* than 15 minutes"
    for version in (1, 2):
        tab.check(f"input[name=version][value='{version}']")
    tab.click("button:has-text('Compare the marked')")
    tab.wait_for_selector("section:has-text('What differs') table")
    assert "auc" in tab.locator("section:has(h2:has-text('What differs'))").inner_text()


def test_an_experiment_is_deleted_and_brought_back(desk, sweep):
    sweep.filling.one_run(sweep, 3, experiment="thrown away")
    desk.goto("/experiments?q=thrown")
    desk.click("tr:has-text('thrown away') button:has-text('Delete')")
    desk.wait_for_selector(".toast:has-text('deleted')")
    assert not sweep.tracking.experiments("name = 'thrown away'").experiments
    desk.click(".toast button:has-text('Undo')")
    desk.wait_for_selector("a:has-text('thrown away')")


def test_what_is_not_there_is_said_and_nothing_changes_from_another_site(desk, sweep):
    answer = desk.request.get("/runs/0198c0de-0000-7000-8000-000000000000", headers={"Accept": "text/html"})
    assert answer.status == 404
    assert "MS-2001" in answer.text()
    forged = desk.request.post(
        "/api/v1/tracking/delete_runs",
        data={"run_ids": sweep.ids[:1]},
        headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    )
    assert forged.status == 403
    assert sweep.tracking.get(sweep.ids[0]).deleted_at is None
