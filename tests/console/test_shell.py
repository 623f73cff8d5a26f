"""The shell: headers, errors, themes, entity tags, mounting, static files."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

import pytest

from mainspring.console import render
from mainspring.console.links import resource_path
from mainspring.console.static_files import compressed, static_digest, static_files

CSS_LIMIT, JS_LIMIT, JS_ALL = 14_000, 40_000, 90_000
"""Bytes over the wire that one page loads before it is whole; and all modules together, most loaded when asked for."""


@pytest.mark.parametrize("path", ["/", "/index.json", "/lineage/model/none@1", f"/static/{static_digest()}/console.js"])
def test_every_answer_carries_the_security_headers(empty, path):
    headers = empty.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"


def test_an_error_shows_its_code_message_known_names_and_hint(full, parsed):
    answer = full.get("/lineage/model/flihgt-delay@1")
    assert answer.status_code == 404
    page = parsed(answer.text)
    (problem,) = page.all("div", role="alert")
    assert "MS-2001" in page.all("main")[0].text
    assert "flihgt-delay" in problem.text
    assert "flight-delay" in problem.text
    as_json = full.get("/lineage/model/flihgt-delay@1.json")
    assert as_json.status_code == 404
    assert json.loads(as_json.content)["code"] == "MS-2001"


def test_bad_parameters_are_refused_with_400(empty):
    assert empty.get("/audit?before=yesterday").status_code == 400


def test_a_defect_is_an_error_page_without_its_trace(empty, monkeypatch, caplog):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(empty.client.storage), "events", broken)
    answer = empty.get("/audit")
    assert answer.status_code == 500
    assert "MS-9001" in answer.text
    assert "secret detail" not in answer.text
    assert "secret detail" in caplog.text


def test_what_a_user_wrote_is_text_and_never_markup(client, empty):
    from mainspring.lineage import graph

    with client.backend.store.write("test.fill") as tx:
        graph.add_artifact(tx, "report", "plain", digest="e" * 64, metadata={"<b>key</b>": "<script>alert(1)</script>"})
    page = empty.page("/lineage/report/plain@1")
    assert not [each for each in page.all("script") if not each.attributes.get("src")]
    assert "<script>alert(1)</script>" in page.all("main")[0].text


@pytest.mark.parametrize("theme", ["light", "dark", "system"])
def test_a_theme_in_the_address_is_used_and_kept(empty, parsed, theme):
    answer = empty.get(f"/?theme={theme}")
    assert parsed(answer.text).all("html")[0].attributes["data-theme"] == theme
    assert f"theme={theme}" in answer.headers["set-cookie"]


def test_a_theme_comes_from_the_cookie_and_nonsense_is_ignored(empty, parsed):
    assert parsed(empty.get("/", cookie="theme=dark").text).all("html")[0].attributes["data-theme"] == "dark"
    assert parsed(empty.get("/?theme=%22x").text).all("html")[0].attributes["data-theme"] == "system"


def test_a_page_without_news_answers_304(full):
    first = full.get("/audit")
    again = full.get("/audit", if_none_match=first.headers["etag"])
    assert again.status_code == 304
    assert not again.content
    assert full.get("/audit?theme=dark", if_none_match=first.headers["etag"]).status_code == 200


def test_the_console_can_be_mounted_below_a_path(filled, browser_at):
    browser = browser_at(filled[0], base="/console")
    page = browser.page("/lineage/model/flight-delay@1")
    links = [link.attributes["href"] for link in page.all("a") if link.attributes.get("href", "").startswith("/")]
    assert links
    assert all(link.startswith("/console/") for link in links)
    sheet = next(link for link in page.all("link") if link.attributes["rel"] == "stylesheet").attributes["href"]
    assert browser.get(sheet.removeprefix("/console")).status_code == 200


def test_static_files_are_named_by_their_content_and_kept_for_ever(empty):
    answer = empty.get(f"/static/{static_digest()}/console.css")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    assert empty.get(f"/static/{static_digest()}/../render.py").status_code == 404
    assert empty.get(f"/static/{static_digest()}/none.js").status_code == 404


def test_the_page_names_no_foreign_host(full, parsed):
    for each in full.page("/").walk():
        for name in ("href", "src", "action"):
            assert not each.attributes.get(name, "").startswith(("http:", "https:", "//"))


def test_resources_of_audit_events_lead_to_pages():
    assert resource_path("dataset/flights@3") == "/data/flights@3"
    assert resource_path("model/fraud@champion") == "/models/fraud@champion"
    assert resource_path("token/123") == ""


def _loaded(name: str, found: set[str]) -> set[str]:
    """A module with all that it imports at once."""
    if name not in found:
        found.add(name)
        for target in re.findall(
            r"^import .*?from \"(.+?)\"|^import \"(.+?)\"", static_files()[name].decode(), re.MULTILINE
        ):
            _loaded(posixpath.normpath(posixpath.join(posixpath.dirname(name), target[0] or target[1])), found)
    return found


@pytest.mark.parametrize(
    "path",
    ["/", "/runs", "/runs/{trained}", "/runs/{trained}?tab=charts", "/compare?run={trained}", "/models/flight-delay@2"],
)
def test_what_a_page_loads_is_within_its_budget(full, path):
    page = full.page(path.format(**full.names))
    prefix = f"/static/{static_digest()}/"
    scripts = {
        name for each in page.all("script") for name in _loaded(each.attributes["src"].removeprefix(prefix), set())
    }
    sheets = [each.attributes["href"].removeprefix(prefix) for each in page.all("link", rel="stylesheet")]
    assert sum(len(compressed(name)) for name in scripts) <= JS_LIMIT, sorted(scripts)
    assert sum(len(compressed(name)) for name in sheets) <= CSS_LIMIT


def test_all_modules_are_used_named_right_and_small():
    modules = {name for name in static_files() if name.endswith(".js")}
    text = {name: static_files()[name].decode() for name in modules}
    assert sum(len(compressed(name)) for name in modules) <= JS_ALL
    named = {
        posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        for name, source in text.items()
        for target in re.findall(r"[\"'](\.{1,2}/[\w/.]+\.js)[\"']", source)
    }
    templates = "".join(
        path.read_text("utf-8") for path in (Path(render.__file__).parent / "templates").rglob("*.html")
    )
    assert not named - modules, "an import leads nowhere"
    assert not {name for name in modules - named if f"}}}}/{name}" not in templates}, "a module that nothing loads"
    assert not {name for name, source in text.items() if source.count("\n") > 400}
    assert not {name for name, source in text.items() if re.search(r"https?://(?!www\.w3\.org)[a-z]", source)}
