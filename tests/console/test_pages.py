"""Every page, empty and full: it answers, is accessible and small, and asks the store a bounded number of times."""

from __future__ import annotations

import json
import math

import pytest

PAGES = {
    "/": 8,
    "/runs": 5,
    "/runs?experiment=flight-delay&sort=-metrics.loss&sort=started_at": 5,
    "/runs?status=failed&q=metrics.loss+%3C+1": 5,
    "/runs?q=metrics.loss+%3C%3C+1": 5,
    "/runs?view=deleted": 5,
    "/runs?col=metrics.loss%23min&col=params.family&col=tags&col=note&pin={trained}&base={trained_2}": 5,
    "/runs?group=params.family&group=status": 5,
    "/runs/{trained}": 5,
    "/runs/{trained}?tab=charts": 2,
    "/runs/{trained}?tab=charts&still=1&smooth=0.9&y=log&x=time": 3,
    "/runs/{trained}?tab=files": 2,
    "/runs/{judge}": 5,
    "/experiments": 1,
    "/experiments?q=flight": 1,
    "/experiments?view=deleted": 1,
    "/charts?run={trained}&run={trained_2}": 1,
    "/compare?run={trained}&run={trained_2}": 2,
    "/compare?run={trained}&run={trained_2}&all=1&base={trained_2}&target=loss": 3,
    "/data": 3,
    "/data/flights": 4,
    "/data/weather": 4,
    "/data/flights@2": 14,
    "/data/flights@1": 11,
    "/data-diff": 1,
    "/data-diff?before=flights@1&after=flights@2": 18,
    "/data-diff?before=weather@1&after=flights@2&key=scheduled": 18,
    "/quality": 7,
    "/quality/suites/flights@1": 3,
    "/quality/checkpoints/nightly": 2,
    "/reports/validation/weather@1": 2,
    "/models": 2,
    "/models?q=flight": 2,
    "/models?q=tags.team+%3D+%27ops%27&view=all": 1,
    "/models/flight-delay": 5,
    "/models/flight-delay?version=1&version=2": 5,
    "/models/flight-delay@2": 9,
    "/flows": 1,
    "/flows/runs": 1,
    "/flows/of/retrain": 4,
    "/flows/{flow}": 6,
    "/flows/{failed_flow}?name=train&order=longest": 6,
    "/flows/steps/{failed_step}": 7,
    "/flows/approvals": 2,
    "/flows/schedules": 3,
    "/flows/calendar": 2,
    "/flows/triggers": 5,
    "/flows/backfills": 2,
    "/flows/deployments": 1,
    "/flows/queue": 2,
    "/endpoints": 3,
    "/endpoints/flight-delay": 14,
    "/endpoints/flight-delay?span=30d": 14,
    "/predictions/{prediction}": 3,
    "/alerts": 1,
    "/alerts?state=firing": 1,
    "/reports/evaluation/flight-delay@2": 2,
    "/reports/validation/flights@2": 2,
    "/reports/drift/flights@1": 2,
    "/reports/april@1": 1,
    "/lineage": 1,
    "/lineage?kind=model": 1,
    "/lineage/model/flight-delay@2": 3,
    "/lineage/model/flight-delay@champion?direction=why": 2,
    "/lineage/run/{trained}": 2,
    "/audit": 1,
    "/audit?verify=1": 2,
    "/search?q=flight": 8,
}
"""Each page with the most operations that it may call, however much there is to show."""
ALWAYS = (
    "/",
    "/runs",
    "/runs?group=params.family",
    "/experiments",
    "/charts",
    "/compare",
    "/flows",
    "/flows/runs",
    "/flows/approvals",
    "/flows/schedules",
    "/flows/calendar",
    "/flows/triggers",
    "/flows/backfills",
    "/flows/deployments",
    "/flows/queue",
    "/data",
    "/data-diff",
    "/quality",
    "/models",
    "/endpoints",
    "/alerts",
    "/lineage",
    "/audit",
    "/search",
    "/search?q=nothing",
)
HTML_LIMIT = 100_000


def check(page) -> None:
    """What must hold of any page: language, one heading, names for all that can be used, no inline code or style."""
    (html,) = page.all("html")
    assert html.attributes["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    assert page.all("title")[0].text.endswith("Mainspring")
    ids = [each.attributes["id"] for each in page.walk() if "id" in each.attributes]
    duplicates = {each for each in ids if ids.count(each) > 1} - {"arrow"}  # the same marker in two drawings
    assert not duplicates
    for each in page.walk():
        assert "style" not in each.attributes, "inline styles are forbidden by the policy"
        assert not any(name.startswith("on") for name in each.attributes), "inline handlers are forbidden by the policy"
        if each.tag == "svg":
            assert each.attributes.get("aria-hidden") == "true" or (
                each.attributes["role"] == "img" and each.attributes["aria-label"]
            )
        if each.tag in {"a", "button"} and not inside(each, "svg"):
            assert each.text or each.attributes.get("aria-label"), f"a {each.tag} without a name"
        if each.tag in {"input", "select", "textarea"} and each.attributes.get("type") != "hidden":
            labels = {label.attributes.get("for") for label in page.all("label")}
            assert each.attributes.get("id") in labels or inside(each, "label") or each.attributes.get("aria-label")
        if each.tag in {"nav", "dialog"}:
            assert each.attributes.get("aria-label") or each.attributes.get("aria-labelledby")
        if each.tag == "table":
            assert each.all("th"), "a table without headings"
        if each.tag == "script":
            assert each.attributes.get("src")
            assert not each.text
    for level, heading in _headings(page):
        assert heading.text, f"an empty h{level}"


def inside(element, tag: str) -> bool:
    above = element.parent
    while above is not None:
        if above.tag == tag:
            return True
        above = above.parent
    return False


def _headings(page):
    found = [
        (int(each.tag[1]), each)
        for each in page.walk()
        if each.tag in {"h1", "h2", "h3", "h4"} and not inside(each, "dialog")
    ]
    previous = 1
    for level, _ in found:
        assert level <= previous + 1, "a level of headings is skipped"
        previous = level
    return found


@pytest.mark.parametrize("path", PAGES)
def test_a_full_page_is_accessible_small_and_frugal(full, parsed, path):
    answer = full.get(path.format(**full.names))
    assert answer.status_code == 200, answer.text[-900:]
    assert len(full.operations) <= PAGES[path], full.operations
    assert len(answer.content) <= HTML_LIMIT
    check(parsed(answer.text))


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers_json_too(full, path):
    plain, _, query = path.format(**full.names).partition("?")
    answer = full.get(("/index" if plain == "/" else plain) + ".json?" + query)
    assert answer.status_code == 200, answer.text[-900:]
    assert answer.headers["content-type"].startswith("application/json")
    assert json.loads(answer.content)["title"]


@pytest.mark.parametrize("path", ALWAYS)
def test_an_empty_store_has_pages_too(empty, parsed, path):
    answer = empty.get(path)
    assert answer.status_code == 200, answer.text[-900:]
    check(parsed(answer.text))


def test_pages_of_many_runs_stay_within_the_budget(client, empty):
    ids = []
    for number in range(41):
        params = {f"parameter_{index}": number * index for index in range(6)}
        run = client.tracking.run("many", params=params, tags={"family": "lightgbm", "month": "january"}, source=False)
        for at in range(60 if number < 10 else 30):
            run.log(step=at, **{f"metric_{index}": math.sin(at * index + number) for index in range(6)})
        run.finish()
        ids.append(run.id)
    for path in ("/runs", "/compare?" + "&".join(f"run={each}" for each in ids[:10])):
        answer = empty.get(path)
        assert answer.status_code == 200
        assert len(answer.content) <= HTML_LIMIT, path
        assert len(empty.operations) <= 16


def test_links_of_the_pages_lead_somewhere(full, parsed):
    seen, waiting = set(), ["/"]
    while waiting and len(seen) < 60:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        answer = full.get(path)
        assert answer.status_code == 200, (path, answer.text[:500])
        main = parsed(answer.text).all("main")[0]
        waiting += [
            link.attributes["href"] for link in main.all("a") if link.attributes.get("href", "").startswith("/")
        ]
    assert len(seen) > 10


def test_home_says_what_is_wrong_and_what_runs(full):
    page = full.page("/")
    cards = {card.all("h2")[0].text: card for card in page.all("section") if card.all("h2")}
    wrong = next(card.text for title, card in cards.items() if title.startswith("What is wrong"))
    assert "april" in wrong
    assert "flight-delay" in cards["What runs"].text
    assert "loop.set_policy" in cards["What changed"].text


def test_home_of_an_empty_store_teaches(empty):
    page = empty.page("/")
    snippets = [code.text for code in page.all("code")]
    assert any(str(empty.client.address) in snippet for snippet in snippets)


def test_an_endpoint_tells_its_story(full):
    page = full.page("/endpoints/flight-delay")
    text = page.all("main")[0].text
    assert "drifted" in page.all("div", role="alert")[0].text
    assert "promoted" in text
    labels = {
        chart.attributes["aria-label"].partition(".")[0] for chart in page.all("svg") if chart.attributes.get("role")
    }
    assert {"Traffic split of flight-delay", "Latency in milliseconds", "auc over time", "Drift over time"} <= labels
    split = next(
        chart for chart in page.all("svg") if chart.attributes.get("aria-label", "").startswith("Traffic split")
    )
    assert split.attributes["aria-label"].endswith("now flight-delay@1 0%, flight-delay@2 100%")


def test_a_prediction_knows_its_label_and_where_it_came_from(full):
    page = full.page(f"/predictions/{full.names['prediction']}")
    nodes = {node.text for node in page.all("g", class_="node")}
    assert any("flights@2" in node for node in nodes)
    assert "hour" in page.all("main")[0].text


def test_a_flow_run_shows_where_it_failed_and_why_the_step_ran(full):
    page = full.page(f"/flows/{full.names['failed_flow']}")
    assert "target registry is not reachable" in page.all("div", role="alert")[0].text
    assert len(page.all("g", class_="node")) == len(page.all("svg", class_="chart-span")) == 7
    assert len(page.all("path", class_="edge")) == 8
    page = full.page(f"/flows/steps/{full.names['failed_step']}")
    assert "target registry is not reachable" in page.all("div", role="alert")[0].text
    why = next(card for card in page.all("section") if card.attributes.get("id") == "why")
    assert "first run" in why.text


def test_a_dataset_version_shows_its_profile_and_what_changed(full):
    page = full.page("/data/flights@2")
    text = page.all("main")[0].text
    assert "1 modified" in text
    assert "origin" in text
    assert "expectations passed" in text
    assert any(
        chart.attributes["aria-label"].startswith("Distribution of distance. 900 values")
        for chart in page.all("svg", role="img")
    )


def test_a_model_version_shows_its_card(full):
    page = full.page("/models/flight-delay@2")
    labels = {chart.attributes["aria-label"].partition(".")[0] for chart in page.all("svg", role="img")}
    assert {"Calibration of flight-delay@2", "Importances", "Lineage of flight-delay@2"} <= labels
    for part in ("exact", "carrier = EV", "better on every slice", "gate release", "champion"):
        assert part in page.all("main")[0].text


def test_lineage_shows_both_sides(full):
    page = full.page("/lineage/model/flight-delay@2")
    rows = {(row.all("th")[0].text, row.all("td")[0].text): row.text for row in page.all("tbody")[-1].all("tr")}
    assert "source" in rows["flights@2", "dataset"]
    assert "result" in rows["april@1", "report"]
    assert "itself" in rows["flight-delay@2", "model"]
    only = full.page("/lineage/model/flight-delay@2?direction=why")
    assert "result" not in only.all("tbody")[-1].text


def test_search_finds_names_references_and_ids(full):
    for words in ("flight del", "model/flight-delay@1", full.names["trained"]):
        results = json.loads(full.get(f"/search.json?q={words}").content)["results"]
        assert any("flight-delay" in each["label"] for each in results), words


def test_a_run_shows_its_code_and_what_was_installed(client, empty):
    from mainspring.kernel.ids import new_id
    from mainspring.tracking.frames import encode_frame
    from mainspring.tracking.types import RunStart, SourceRecord

    run_id = new_id()
    client.tracking.start(RunStart(run_id, "coded", title="with changes"))
    patch = b"diff --git a/m.py b/m.py\n--- a/m.py\n+++ b/m.py\n@@ -1 +1 @@\n-old <b>\n+new\n"
    source = SourceRecord(
        {"python": "3.12.1", "command": ["m.py"]}, {"numpy": "2.0.1"}, "c0ffee" * 6, "shop", "", patch
    )
    client.tracking.append(run_id, writer="", sequence=0, body=[encode_frame(source)])
    page = empty.page(f"/runs/{run_id}?tab=code")
    text = page.all("main")[0].text
    assert "c0ffee" in text
    assert "numpy" in text
    assert "-old <b>" in page.all("pre", class_="diff")[0].text
    assert len(empty.operations) <= 5
    check(page)


def test_the_comparison_names_what_differs_and_nothing_else(full):
    page = full.page("/compare?run={trained}&run={trained_2}&base={trained_2}".format(**full.names))
    cards = {card.all("h2")[0].text.split(" ")[0]: card.text for card in page.all("section") if card.all("h2")}
    assert "family" in cards["Parameters"]
    assert "seed" not in cards["Parameters"]
    assert "↓" in cards["Metrics"]
    whole = full.page("/compare?run={trained}&run={trained_2}&all=1".format(**full.names))
    assert "seed" in whole.all("main")[0].text


def test_a_window_of_the_table_is_json_with_typed_columns(full):
    found = json.loads(
        full.get(
            "/runs.json?experiment=flight-delay&limit=2&col=metrics.loss&col=params.family&sort=started_at"
        ).content
    )
    assert [each["kind"] for each in found["columns"]] == ["status", "time", "span", "number", "text"]
    assert [len(row["cells"]) for row in found["rows"]] == [5, 5]
    following = json.loads(
        full.get(
            "/runs.json?experiment=flight-delay&limit=2&col=metrics.loss&sort=started_at&page=" + found["next_page"]
        ).content
    )
    assert following["total"] == -1
    assert not {row["id"] for row in found["rows"]} & {row["id"] for row in following["rows"]}
    assert full.get("/runs.json?limit=0").status_code == 400
    assert full.get("/runs.json?view=some").status_code == 400


def test_the_registry_shows_rules_approvals_and_what_differs(full):
    page = full.page("/models/flight-delay@2")
    approvals = next(
        card.text for card in page.all("section") if card.all("h2") and "Approvals" in card.all("h2")[0].text
    )
    assert "of 1 approval" in approvals
    assert "may take it" in approvals
    model = full.page("/models/flight-delay?version=1&version=2").all("main")[0].text
    assert "needs 1 approval" in model
    assert "What differs" in model
    index = full.page("/models").all("main")[0].text
    assert "champion → @2" in index
