"""The pages of flows in a real browser: a graph is zoomed, searched and opened, and a question is answered."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def test_a_graph_is_searched_zoomed_and_opened_and_a_question_answered(counter, shop):
    counter.goto(f"/flows/{shop.names['wide']}")
    frame = counter.locator("[data-graph]")
    before = float(frame.get_attribute("data-zoom"))
    counter.get_by_role("button", name="Larger").click()
    assert float(frame.get_attribute("data-zoom")) == pytest.approx(before * 1.3, abs=0.02)
    frame.focus()
    counter.keyboard.press("-")
    assert float(frame.get_attribute("data-zoom")) == pytest.approx(before, abs=0.02)
    counter.get_by_label("Find a step in the graph").fill("choo")
    counter.wait_for_selector(".node.found")
    assert counter.locator(".node.found").evaluate_all("(all) => all.map((each) => each.dataset.name)") == ["choose"]
    counter.locator(".graph .toggle").click()
    counter.wait_for_selector(".node[data-name='train, 16 more']")
    assert counter.locator(".graph .node").count() == 27
    counter.get_by_role("button", name="The whole graph").click()
    counter.locator(".graph .toggle").first.click()
    counter.wait_for_selector(".node[data-name='train × 40']")

    counter.goto("/flows/approvals")
    question = counter.locator("article", has_text="Release flight-delay@3")
    question.get_by_role("button", name="Answer").click()
    assert question.locator(".problem-line").inner_text() == "An answer is needed."
    question.get_by_label("Yes").check()
    question.get_by_role("button", name="Answer").click()
    counter.wait_for_selector(".toast:has-text('Answered')")
    answered = shop.pipelines.get_wait(shop.names["question"])
    assert (answered.state, answered.answer) == ("done", True)
    assert counter.locator("article").count() == 2

    release = counter.locator("article", has_text="How is it released?")
    release.get_by_label("production").check()
    release.get_by_label("weight").fill("0.25")
    release.get_by_label("until").fill("2026-12-24")
    release.get_by_label("regions").fill("eu\nus\n")
    release.get_by_role("button", name="Answer").click()
    release.wait_for(state="detached")
    wait = shop.pipelines.waits(run_id=shop.names["record"], state="done")[0]
    told = {"stage": "production", "weight": 0.25, "until": "2026-12-24", "regions": ["eu", "us"], "urgent": False}
    assert wait.answer == told

    counter.goto(f"/flows/{shop.names['waiting']}")
    counter.get_by_role("button", name="Cancel").click()
    counter.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    counter.wait_for_selector(".badge:has-text('cancelled')")
    assert shop.pipelines.get(shop.names["waiting"]).state == "cancelled"
