"""An administrator of one workspace gives nobody the key of another."""

from __future__ import annotations

import pytest

from mainspring.client.client import Client
from mainspring.kernel.context import acting_as
from mainspring.kernel.errors import Forbidden, NotFound
from mainspring.store.store import Store
from mainspring.trust.guard import authenticate


def test_a_token_of_one_workspace_makes_lists_and_ends_tokens_of_that_workspace_alone(
    client: Client, store: Store
) -> None:
    everywhere = client.trust.create_token("root", role="admin", workspace="*")
    local = client.trust.create_token("ann", role="admin", workspace="team")
    with acting_as(authenticate(store, local.secret, workspace="team")):
        for workspace in ("*", "other"):
            with pytest.raises(Forbidden):
                client.trust.create_token("ann", role="admin", workspace=workspace)
        bob = client.trust.create_token("bob", workspace="team")
        assert [token.principal for token in client.trust.tokens()] == ["bob", "ann"]
        with pytest.raises(NotFound):
            client.trust.revoke_token(everywhere.token.id)
        client.trust.revoke_token(bob.token.id)
    with acting_as(authenticate(store, everywhere.secret, workspace="other")):
        assert len(client.trust.tokens()) == 3
        client.trust.create_token("eve", workspace="other")
