"""The gate: whose requests are let in, on loopback and beyond."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mainspring.client.client import connect
from mainspring.kernel.addresses import is_loopback
from mainspring.kernel.clock import turned
from mainspring.server.gatekeeper import COOKIE

READ, WRITE = "/api/v1/lineage/counts", "/api/v1/trust/create_token"
pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def secrets(store_folder) -> dict[str, str]:
    """A token for each role; `spent` is expired soon and `revoked` is revoked."""
    with connect(store_folder) as client:
        made = {
            role: client.trust.create_token(role, role=role) for role in ("viewer", "contributor", "approver", "admin")
        }
        made["team"] = client.trust.create_token("team", workspace="team")
        made["short"] = client.trust.create_token("short", days=1)
        made["revoked"] = client.trust.create_token("revoked")
        client.trust.revoke_token(made["revoked"].token.id)
        return {name: each.secret for name, each in made.items()}


@pytest.fixture
def here(browse, secrets):
    """A browser on the machine of a server on loopback."""
    return browse("http://127.0.0.1:7300")


@pytest.fixture
def afar(browse, secrets):
    """A browser on another machine than a server that listens everywhere."""
    return browse("http://ml.example.org:7300", host="0.0.0.0")


def _error(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_the_owner_needs_no_token_on_loopback(here):
    assert here.get("/health").json()["status"] == "ok"
    assert here.get(READ).status_code == 200
    assert here.post(WRITE, json={"principal": "bob"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "0.0.0.0"])
def test_another_host_name_is_refused(here, host):
    assert _error(here.get(READ, headers={"host": host})) == (403, "MS-4001")


@pytest.mark.parametrize("host", ["127.0.0.1:7300", "localhost:7300", "LOCALHOST", "[::1]:7300", "127.9.9.9"])
def test_the_names_of_loopback_are_ours(here, host):
    assert here.get(READ, headers={"host": host}).status_code == 200


def test_a_host_may_be_allowed(browse, store_folder):
    (store_folder / "config.toml").write_text('allowed_hosts = ["ml.local"]\n')
    browser = browse("http://ml.local")
    assert browser.get(READ).status_code == 200
    assert browser.get(READ, headers={"host": "other.local"}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:7300", "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:7300", "sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_site_changes_nothing(here, store_folder, headers, status):
    before = len(here.get("/api/v1/trust/tokens").json())
    assert here.post(WRITE, json={"principal": "eve"}, headers=headers).status_code == status
    assert len(here.get("/api/v1/trust/tokens").json()) == before + (status == 200)
    assert here.get(READ, headers=headers).status_code == 200, "reading is what browsers guard themselves"


def test_what_writes_cannot_be_reached_by_get(here):
    assert here.get(WRITE, params={"principal": "eve"}).status_code in (404, 405)


def test_beyond_loopback_nobody_comes_in_without_a_token(afar, secrets):
    assert afar.get("/health").status_code == 200
    assert _error(afar.get(READ)) == (401, "MS-4002")
    assert _error(afar.get("/openapi.json")) == (401, "MS-4002")
    assert _error(afar.get("/")) == (401, "MS-4002")
    for wrong in ("Bearer ms_wrong", "Bearer", "Basic abc", f"Bearer {secrets['revoked']}", "Bearer " + "x" * 10_000):
        assert _error(afar.get(READ, headers={"authorization": wrong})) == (401, "MS-4002"), wrong
    assert afar.get(READ, headers={"authorization": f"bearer {secrets['viewer']}"}).status_code == 200


def test_a_wrong_token_is_not_the_owner_even_on_loopback(here, secrets):
    assert _error(here.get(READ, headers={"authorization": f"Bearer {secrets['revoked']}"})) == (401, "MS-4002")


def test_a_token_ends_in_the_middle_of_the_day(afar, secrets):
    headers = {"authorization": f"Bearer {secrets['short']}"}
    assert afar.get(READ, headers=headers).status_code == 200
    with turned(timedelta(hours=25)):
        assert _error(afar.get(READ, headers=headers)) == (401, "MS-4002")


@pytest.mark.parametrize(("role", "read", "write", "admin"), [
    ("viewer", 200, 403, 403), ("contributor", 200, 200, 403), ("approver", 200, 200, 403), ("admin", 200, 200, 200),
])  # fmt: skip
def test_roles_hold_over_http(afar, secrets, role, read, write, admin):
    headers = {"authorization": f"Bearer {secrets[role]}"}
    assert afar.get(READ, headers=headers).status_code == read
    run = {"run": {"run_id": f"run-of-{role}", "experiment": "e"}}
    assert afar.post("/api/v1/tracking/start", json=run, headers=headers).status_code == write
    assert afar.post(WRITE, json={"principal": "x"}, headers=headers).status_code == admin


def test_a_change_is_audited_under_the_tokens_name(afar, secrets):
    headers = {"authorization": f"Bearer {secrets['admin']}", "x-request-id": "the-request"}
    afar.post(WRITE, json={"principal": "x"}, headers=headers)
    (event, *_) = afar.get("/api/v1/storage/events", headers=headers).json()
    assert (event["actor"], event["method"], event["request_id"]) == ("admin", "token", "the-request")


def test_a_workspace_is_opened_by_its_token_only(afar, secrets):
    headers = {"authorization": f"Bearer {secrets['team']}"}
    assert afar.get(READ, headers={**headers, "x-mainspring-workspace": "team"}).status_code == 200
    assert _error(afar.get(READ, headers=headers)) == (403, "MS-4001")
    for wrong in ("../team", "*", "a b\tc"):
        assert _error(afar.get(READ, headers={**headers, "x-mainspring-workspace": wrong})) == (403, "MS-4001")


def test_a_browser_signs_in_with_a_token_and_stays(afar, secrets):
    page = afar.get("/login")
    assert (page.status_code, "password" in page.text) == (200, True)
    assert afar.post("/login", data={"token": "ms_wrong"}).status_code == 401
    assert afar.post("/login", content=b"\xff\xfe=&&&").status_code == 401
    answer = afar.post("/login", data={"token": secrets["viewer"]}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert afar.cookies[COOKIE] == secrets["viewer"]
    assert afar.get(READ).status_code == 200
    assert _error(afar.post(WRITE, json={"principal": "x"})) == (403, "MS-4001")
    forged = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
    afar.cookies.set(COOKIE, secrets["admin"])
    assert afar.post(WRITE, json={"principal": "x"}, headers=forged).status_code == 403


def test_what_is_not_there_is_told_as_everywhere(here):
    assert _error(here.get("/api/v1/nothing/here")) == (404, "MS-2001")
    assert _error(here.post("/api/v1/lineage/why", content=b"{")) == (400, "MS-1001")
    assert here.post("/api/v1/lineage/why", content=b"{").json()["error"]["request_id"]


def test_loopback_is_told_from_the_rest():
    assert [is_loopback(each) for each in ("127.0.0.1", "127.1.2.3", "localhost", "::1")] == [True] * 4
    assert [is_loopback(each) for each in ("0.0.0.0", "::", "192.168.1.1", "ml.example.org", "")] == [False] * 5
    assert not is_loopback("127.evil.example"), "a name that only begins like an address"
