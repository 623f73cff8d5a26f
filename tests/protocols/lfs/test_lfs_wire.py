"""The protocol as its documents state it: statuses, media type, shapes of answers, ranges, pages of locks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from mainspring.data.lfs import checked
from mainspring.kernel.errors import InvalidInput, TooLarge

MEDIA = "application/vnd.git-lfs+json"
DATA = b"0123456789" * 10
OID = hashlib.sha256(DATA).hexdigest()
LINK = {
    "type": "object",
    "properties": {
        "href": {"type": "string", "pattern": "^https?://"},
        "header": {"type": "object", "additionalProperties": {"type": "string"}},
        "expires_in": {"type": "integer"},
    },
    "required": ["href"],
    "additionalProperties": False,
}
BATCH = {
    "type": "object",
    "properties": {
        "transfer": {"const": "basic"},
        "hash_algo": {"const": "sha256"},
        "objects": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "oid": {"type": "string"},
                    "size": {"type": "number", "minimum": 0},
                    "authenticated": {"type": "boolean"},
                    "actions": {
                        "type": "object",
                        "properties": dict.fromkeys(("download", "upload", "verify"), LINK),
                        "additionalProperties": False,
                    },
                    "error": {
                        "type": "object",
                        "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
                        "required": ["code", "message"],
                        "additionalProperties": False,
                    },
                },
                "required": ["oid", "size"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["objects"],
}
LOCK = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "path": {"type": "string"},
        "locked_at": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "owner": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
    "required": ["id", "path", "locked_at"],
    "additionalProperties": False,
}


@pytest.fixture
def ask(lfs_server: str, token) -> Iterator[httpx.Client]:
    """A client of the repository `photos`, as ada."""
    headers = {"accept": MEDIA, "content-type": MEDIA, "authorization": f"Bearer {token('ada')}"}
    with httpx.Client(base_url=f"{lfs_server}/lfs/default/photos/", headers=headers) as opened:
        yield opened


def _batch(ask: httpx.Client, operation: str, oid: str = OID, size: int = len(DATA), **more: Any) -> dict[str, Any]:
    body = {
        "operation": operation,
        "transfers": ["lfs-standalone-file", "basic"],
        "objects": [{"oid": oid, "size": size}],
    }
    answer = ask.post("objects/batch", json=body | more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA
    jsonschema.validate(answer.json(), BATCH)
    return answer.json()["objects"][0]


def _put(ask: httpx.Client, data: bytes = DATA) -> str:
    oid = hashlib.sha256(data).hexdigest()
    link = _batch(ask, "upload", oid, len(data))["actions"]["upload"]["href"]
    assert ask.put(link, content=data, headers={"content-type": "application/octet-stream"}).status_code == 200
    return link


def _message(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA), answer.text
    assert answer.json()["request_id"]
    return answer.json()["message"]


def test_an_object_goes_up_is_verified_and_comes_down(ask):
    assert _batch(ask, "download")["error"]["code"] == 404
    actions = _batch(ask, "upload")["actions"]
    assert set(actions) == {"upload", "verify"}
    body = {"oid": OID, "size": len(DATA)}
    assert "does not have" in _message(ask.post(actions["verify"]["href"], json=body), 404)
    assert ask.put(actions["upload"]["href"], content=DATA).status_code == 200
    assert ask.post(actions["verify"]["href"], json=body).status_code == 200
    assert "bytes" in _message(ask.post(actions["verify"]["href"], json=body | {"size": 1}), 422)
    assert "actions" not in _batch(ask, "upload")
    assert _batch(ask, "download", size=3)["error"]["code"] == 422
    assert ask.get(_batch(ask, "download")["actions"]["download"]["href"]).content == DATA


@pytest.mark.parametrize(
    ("wanted", "status", "start", "stop"),
    [("bytes=10-", 206, 10, 100), ("bytes=0-0", 206, 0, 1), ("bytes=90-500", 206, 90, 100), ("items=1-2", 200, 0, 100)],
)
def test_parts_of_an_object(ask, wanted, status, start, stop):
    answer = ask.get(_put(ask), headers={"range": wanted})
    assert (answer.status_code, answer.content) == (status, DATA[start:stop])
    assert answer.headers.get("content-range") == (f"bytes {start}-{stop - 1}/100" if status == 206 else None)
    head = ask.head(f"objects/{OID}")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "100", b"")
    past = ask.get(f"objects/{OID}", headers={"range": "bytes=100-"})
    assert (past.status_code, past.headers["content-range"]) == (416, "bytes */100")


def test_a_broken_upload_is_refused_and_keeps_nothing(ask, client):
    link = _batch(ask, "upload")["actions"]["upload"]["href"]
    assert "has the SHA-256" in _message(ask.put(link, content=DATA[:-1] + b"!"), 422)
    assert "not the id" in _message(ask.put("objects/abc", content=DATA), 422)
    assert "Content-Length" in _message(ask.put(link, content=iter([DATA])), 422)
    assert client.data.lfs_repositories() == []
    assert client.data.lfs_objects("photos", oids=[OID]) == []


def test_an_object_belongs_to_its_repository(ask, lfs_server, token):
    _put(ask)
    for place in ("default/other", "default/photos/raw"):
        assert ask.get(f"{lfs_server}/lfs/{place}/objects/{OID}").status_code == 404
    same = ask.get(f"{lfs_server}/lfs/default/photos.git/info/lfs/objects/{OID}")
    assert same.content == DATA
    assert "opens the workspace" in _message(ask.get(f"{lfs_server}/lfs/team/photos/objects/{OID}"), 403)
    team = token("eva", workspace="team")
    answer = ask.get(f"{lfs_server}/lfs/team/photos/locks", headers={"authorization": f"Bearer {team}"})
    assert answer.json() == {"locks": []}
    spaced = {"authorization": f"Bearer {token('eva', workspace='the team')}"}
    assert ask.get(f"{lfs_server}/lfs/the%20team/photos/locks", headers=spaced).status_code == 200


def test_a_token_comes_as_a_password_or_as_a_bearer(ask, lfs_server, token):
    url = f"{lfs_server}/lfs/default/photos/locks"
    answer = httpx.get(url)
    assert "token" in _message(answer, 401)
    assert answer.headers["lfs-authenticate"].startswith("Basic ")
    secret = base64.b64encode(f"whoever:{token('ada')}".encode()).decode()
    assert httpx.get(url, headers={"authorization": f"Basic {secret}"}).status_code == 200


def test_what_is_not_of_the_protocol_is_refused_in_its_words(ask):
    body = {"operation": "download", "objects": []}
    assert "SHA-256" in _message(ask.post("objects/batch", json=body | {"hash_algo": "sha512"}), 409)
    assert "basic" in _message(ask.post("objects/batch", json=body | {"transfers": ["tus"]}), 422)
    assert "operation" in _message(ask.post("objects/batch", json=body | {"operation": "delete"}), 422)
    assert "not of the protocol" in _message(ask.post("objects/batch", json={"operation": 1}), 422)
    assert "not of the protocol" in _message(ask.post("objects/batch", content=b"{"), 400)
    assert "Accept" in _message(ask.post("objects/batch", json=body, headers={"accept": "text/html"}), 406)
    many = [{"oid": f"{n:064x}", "size": 1} for n in range(10_001)]
    assert "at once" in _message(ask.post("objects/batch", json=body | {"objects": many}), 413)
    assert "nothing of Git LFS" in _message(ask.get("object/x"), 404)
    assert _batch(ask, "upload", oid="../../x")["error"]["code"] == 422
    assert _batch(ask, "download", hash_algo="sha256", ref={"name": "refs/heads/main"})["error"]["code"] == 404


def test_locks_come_in_pages_and_know_their_owner(ask, lfs_server, token):
    made = [ask.post("locks", json={"path": f"{n}.bin", "ref": {"name": "refs/heads/main"}}) for n in range(5)]
    assert {each.status_code for each in made} == {201}
    again = ask.post("locks", json={"path": "3.bin"})
    assert "locked by ada" in _message(again, 409)
    assert again.json()["lock"] == made[3].json()["lock"]
    seen, cursor = [], ""
    while True:
        page = ask.get("locks", params={"limit": "2", "cursor": cursor, "refspec": "refs/heads/other"}).json()
        for each in page["locks"]:
            jsonschema.validate(each, LOCK)
        seen += [each["path"] for each in page["locks"]]
        if not (cursor := page.get("next_cursor", "")):
            break
    assert seen == [f"{n}.bin" for n in range(5)]
    assert [each["path"] for each in ask.get("locks", params={"path": "4.bin"}).json()["locks"]] == ["4.bin"]
    one = made[1].json()["lock"]["id"]
    assert [each["path"] for each in ask.get("locks", params={"id": one}).json()["locks"]] == ["1.bin"]
    bob = {"authorization": f"Bearer {token('bob')}"}
    split = ask.post("locks/verify", json={"limit": 3}, headers=bob).json()
    assert (split["ours"], len(split["theirs"])) == ([], 3)
    rest = ask.post("locks/verify", json={"cursor": split["next_cursor"]}).json()
    assert ([each["path"] for each in rest["ours"]], rest["theirs"]) == (["3.bin", "4.bin"], [])
    assert "locked by ada" in _message(ask.post(f"locks/{one}/unlock", json={}, headers=bob), 403)
    assert ask.post(f"locks/{one}/unlock", json={"force": True}).json()["lock"]["path"] == "1.bin"
    assert "no lock" in _message(ask.post(f"locks/{one}/unlock", json={}), 404)
    assert "cannot be a path" in _message(ask.post("locks", json={"path": ""}), 422)


def test_an_object_is_checked_while_it_arrives():
    assert b"".join(checked([DATA[:7], DATA[7:]], OID, 100)) == DATA
    with pytest.raises(InvalidInput, match="99 arrived"):
        list(checked([DATA[:-1]], OID, 100))
    with pytest.raises(TooLarge, match="more arrived"):
        list(checked([DATA, b"!"], OID, 100))
