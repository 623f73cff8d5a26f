"""What the tests of the store share: blobs over any bucket."""

from __future__ import annotations

import contextlib

import pytest

from mainspring.kernel.hooks import ROOMS
from mainspring.store.blobs import Blobs
from mainspring.store.buckets import LocalBucket
from mainspring.store.database import Database
from mainspring.store.engine import SqliteEngine
from mainspring.store.migrations import migrate


@pytest.fixture
def open_blobs(tmp_path):
    """Open blobs over a bucket (the folder `bucket` by default) and an index in a SQLite file of this test."""
    with contextlib.ExitStack() as stack:

        def open_(bucket=None, *, folder=tmp_path):
            database = Database(SqliteEngine(folder))
            stack.callback(database.close)
            migrate(database, ROOMS[:1])
            return Blobs(bucket if bucket is not None else LocalBucket(folder / "bucket"), database)

        yield open_


@pytest.fixture
def blobs(open_blobs):
    """Blobs in a folder, indexed in SQLite."""
    return open_blobs()
