from __future__ import annotations

from datetime import timedelta

import pytest

from mainspring.kernel.clock import turned
from mainspring.kernel.errors import NotFound

UNDONE = timedelta(days=31)


def collect(client, **more):
    return client.storage.collect_garbage(grace_days=0, hold_hours=0, **more)


def logged(client, name, **more):
    with client.tracking.run("e", title=name, source=False, **more) as run:
        run.log(loss=1.0, step=1)
        run.log_text(f"bytes of {name}" * 100, "a.txt")
        run.params(depth=3)
    return run.id


def test_a_deleted_run_is_given_up_when_it_cannot_be_restored_any_more(client):
    kept, gone = logged(client, "kept"), logged(client, "gone")
    digest = client.tracking.files(gone)[0].file.digest
    client.tracking.delete_runs([gone])
    assert collect(client).expired == 0
    assert client.tracking.restore_runs([gone]) == 1
    client.tracking.delete_runs([gone])
    with turned(UNDONE):
        assert collect(client, dry_run=True).expired == 1
        assert client.tracking.get(gone).title == "gone"
        assert collect(client).expired == 1
    with pytest.raises(NotFound):
        client.tracking.get(gone)
    with pytest.raises(NotFound):
        b"".join(client.storage.get_blob(digest))
    assert client.lineage.run(gone).status == "finished", "what it made still says where it came from"
    assert client.tracking.history(kept, "loss")["value"].to_list() == [1.0]
    assert b"".join(client.tracking.read_file(kept, path="a.txt")).startswith(b"bytes of kept")


def test_what_a_living_fork_begins_with_stays(client):
    origin = logged(client, "origin")
    fork = logged(client, "fork", fork_from=origin, fork_step=1)
    client.tracking.delete_runs([origin])
    with turned(UNDONE):
        assert collect(client).expired == 0
        assert client.tracking.history(fork, "loss").height == 2
        client.tracking.delete_runs([fork])
    with turned(2 * UNDONE):
        assert collect(client).expired == 2


def test_an_experiment_goes_with_its_runs(client):
    logged(client, "one")
    client.tracking.delete_experiment("e")
    with turned(UNDONE):
        assert collect(client).expired == 2
    with pytest.raises(NotFound):
        client.tracking.experiment("e")
    assert client.tracking.create_experiment("e").runs == 0
