"""Tokens and roles: who is let in, and what they may do."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from mainspring.kernel.clock import turned
from mainspring.kernel.context import Caller, acting_as
from mainspring.kernel.errors import Forbidden, InvalidInput, InvalidName, NotFound, Unauthenticated
from mainspring.store.local import LocalBackend
from mainspring.trust.guard import RoleGuard, authenticate, has_tokens, hash_secret
from mainspring.trust.service import Trust
from mainspring.trust.types import ROLES

ACTIONS = ("read", "write", "approve", "admin")


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_role_may_do_its_actions_and_no_others(role, action):
    guard, who = RoleGuard(), Caller("ann", roles=(role,))
    if action in ROLES.get(role, ()):
        guard.check(who, f"models:{action}", "")
        return
    with pytest.raises(Forbidden) as refused:
        guard.check(who, f"models:{action}", "model/x")
    assert refused.value.details == {"permission": f"models:{action}", "roles": [role]}
    assert "ann" in refused.value.message
    assert "model/x" in refused.value.message


def test_each_role_may_what_the_one_below_may():
    held = [set(actions) for actions in ROLES.values()]
    assert all(lower < higher for lower, higher in itertools.pairwise(held))


def test_a_token_stands_for_its_principal_until_it_is_revoked(client, store):
    assert not has_tokens(store)
    made = client.trust.create_token("ann", role="approver", days=1)
    found = authenticate(store, made.secret, workspace="default", request_id="r1")
    assert found == Caller("ann", "default", ("approver",), "r1", "token", scope="default")
    assert has_tokens(store)
    client.trust.revoke_token(made.token.id)
    with pytest.raises(Unauthenticated):
        authenticate(store, made.secret, workspace="default")
    assert not has_tokens(store)
    with pytest.raises(NotFound):
        client.trust.revoke_token(made.token.id)


def test_a_token_ends_at_its_hour(client, store):
    made = client.trust.create_token("ann", days=1)
    with turned(timedelta(hours=23)):
        authenticate(store, made.secret, workspace="default")
    with turned(timedelta(hours=25)), pytest.raises(Unauthenticated):
        authenticate(store, made.secret, workspace="default")
    for_ever = client.trust.create_token("bot", days=0)
    with turned(timedelta(days=30_000)):
        assert authenticate(store, for_ever.secret, workspace="default").principal == "bot"


@pytest.mark.parametrize("secret", ["", "ms_", "ms_x", "\ud800", "a" * 100_000, "' OR 1=1 --"])
def test_anything_else_stands_for_nobody(client, store, secret):
    client.trust.create_token("ann")
    with pytest.raises(Unauthenticated):
        authenticate(store, secret, workspace="default")


def test_a_token_opens_its_own_workspace(client, store):
    one = client.trust.create_token("ann", workspace="team")
    every = client.trust.create_token("bot", workspace="*")
    assert authenticate(store, one.secret, workspace="team").workspace == "team"
    assert authenticate(store, every.secret, workspace="other").workspace == "other"
    with pytest.raises(Forbidden, match="team"):
        authenticate(store, one.secret, workspace="default")


def test_the_secret_is_kept_nowhere(client, store):
    made = client.trust.create_token("ann")
    assert made.token.hash == hash_secret(made.secret)
    assert made.secret not in str(client.trust.tokens())
    with store.read() as tx:
        assert made.secret not in str(tx.rows("SELECT * FROM token")) + str(tx.rows("SELECT * FROM ledger"))
    secrets = {client.trust.create_token("ann").secret for _ in range(20)}
    assert len(secrets) == 20


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"principal": "ann", "role": "king"}, InvalidInput),
        ({"principal": "../ann"}, InvalidName),
        ({"principal": "ann", "workspace": ""}, InvalidName),
        ({"principal": "ann", "days": -1}, InvalidInput),
        ({"principal": "ann", "days": 10**9}, InvalidInput),
    ],
)
def test_a_wrong_token_is_not_made(client, arguments, error):
    with pytest.raises(error):
        client.trust.create_token(**arguments)
    assert client.trust.tokens() == []


def test_only_an_administrator_makes_tokens(store):
    guarded = Trust(LocalBackend(store, RoleGuard()))
    for role in ("viewer", "contributor", "approver"):
        with acting_as(Caller("ann", roles=(role,))), pytest.raises(Forbidden):
            guarded.create_token("eve", role="admin")
    with acting_as(Caller("root", roles=("admin",))):
        made = guarded.create_token("eve", role="viewer")
    assert made.token.created_by == "root"
