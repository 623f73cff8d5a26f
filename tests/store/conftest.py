"""What the tests of the store share: an S3 of their own, and blobs over any bucket."""

from __future__ import annotations

import contextlib
import uuid

import pytest

from mainspring.kernel.hooks import ROOMS
from mainspring.store.blobs import Blobs
from mainspring.store.buckets import LocalBucket
from mainspring.store.database import Database, SqliteEngine
from mainspring.store.migrations import migrate


@pytest.fixture(scope="session")
def s3_endpoint():
    """The address of an S3 that lives for this session."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3_url(s3_endpoint, monkeypatch):
    """The URL of an empty S3 bucket; the credentials are in the environment, as users have them."""
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"bucket-{uuid.uuid4().hex}"
    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket=name)
    return f"s3://{name}/some/prefix?endpoint={s3_endpoint}"


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
