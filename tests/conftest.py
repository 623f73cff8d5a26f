"""What every test may ask for: a store, a client, a server; on SQLite and on a private PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from mainspring.client.client import Client, connect

hypothesis.settings.register_profile("shared", deadline=None)  # other processes may hold an example up for a while
hypothesis.settings.load_profile("shared")

_DATABASES = ["sqlite", "postgres"]
_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--databases",
        default=",".join(_DATABASES),
        help="the databases that tests with a store run on, separated by commas",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "databases(*kinds): run a test with a store on these databases only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    only = metafunc.definition.get_closest_marker("databases")
    if "database_kind" in metafunc.fixturenames:
        kinds = metafunc.config.getoption("--databases").split(",")
        if kinds == _DATABASES:  # named on the command line, a database is given every test
            kinds = [kind for kind in kinds if only is None or kind in only.args]
        metafunc.parametrize("database_kind", kinds, indirect=True)
    if "transport" in metafunc.fixturenames:
        metafunc.parametrize("transport", ["embedded", "remote"], indirect=True)


@pytest.fixture(autouse=True, scope="session")
def key_of_secrets():
    """A key for the secrets of tests, so that none is made in the home of whoever runs them."""
    os.environ.setdefault("MAINSPRING_KEY", "bWFpbnNwcmluZy1tYWluc3ByaW5nLW1haW5zcHJpbmc=")


@pytest.fixture(autouse=True)
def no_run_of_another_test():
    """A run that a test leaves going on is not the one run of the process for the next: their order does not matter."""
    yield
    runs = sys.modules.get("mainspring.tracking.run")
    if runs is not None:
        runs._active.clear()


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgres`; a test that asks for a store runs once on each."""
    return request.param


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The socket folder of a PostgreSQL cluster of this test session's own, without fsync: it tests no durability."""
    if not _POSTGRES:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg")
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    # A socket's path must be short, and another user must reach it: TMPDIR may be neither.
    root = Path(tempfile.mkdtemp(prefix="ms-pg-", dir=memory if roomy else "/tmp"))
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    if user:
        shutil.chown(root, user)
    binaries = _POSTGRES[0]

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=root, capture_output=True)

    run(str(binaries / "initdb"), "-D", f"{root}/data", "-U", "mainspring", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-c fsync=off -c listen_addresses= -c unix_socket_directories={root} -c max_connections=200"
    log = f"{root}/log"
    run(str(binaries / "pg_ctl"), "-D", f"{root}/data", "-o", options, "-l", log, "-w", "start")
    try:
        yield str(root)
    finally:
        run(str(binaries / "pg_ctl"), "-D", f"{root}/data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """A migrated database that each test's own is copied from."""
    import psycopg

    from mainspring.store.database import Database
    from mainspring.store.migrations import migrate
    from mainspring.store.postgres import PostgresEngine

    with psycopg.connect(f"host={postgres_server} user=mainspring dbname=postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE template_mainspring")
    database = Database(PostgresEngine(f"postgresql:///template_mainspring?host={postgres_server}&user=mainspring"))
    migrate(database)
    database.close()
    return "template_mainspring"


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database."""
    import psycopg

    name = f"t_{uuid.uuid4().hex}"
    with psycopg.connect(f"host={postgres_server} user=mainspring dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
        yield f"postgresql:///{name}?host={postgres_server}&user=mainspring"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store_folder(tmp_path: Path, database_kind: str, request: pytest.FixtureRequest) -> Path:
    """The folder of a store that is not there yet; its settings name the database."""
    folder = tmp_path / "store"
    folder.mkdir()
    if database_kind == "postgres":
        folder.joinpath("config.toml").write_text(f'database = "{request.getfixturevalue("postgres_url")}"\n')
    return folder


@pytest.fixture
def client(store_folder: Path) -> Iterator[Client]:
    """An embedded client on a fresh store."""
    with connect(store_folder) as opened:
        yield opened


@pytest.fixture
def store(client: Client) -> Any:
    """The store of `client`."""
    return client.backend.store  # type: ignore[attr-defined]


@pytest.fixture
def server_url(store_folder: Path) -> Iterator[str]:
    """The address of a real server over a fresh store, in a thread of this process."""
    with serve(store_folder) as url:
        yield url


@pytest.fixture
def transport(request: pytest.FixtureRequest) -> str:
    """`embedded` or `remote`; a test that asks for `any_client` runs once on each."""
    return request.param


@pytest.fixture
def any_client(transport: str, store_folder: Path, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client on a fresh store: in this process, and over HTTP."""
    if transport == "embedded":
        yield request.getfixturevalue("client")
        return
    with connect(request.getfixturevalue("server_url")) as opened:
        yield opened


class serve:  # noqa: N801 -- used as a context manager
    """A uvicorn server over the store in `folder`, until the block ends."""

    def __init__(self, folder: Path, **options: Any) -> None:
        import uvicorn

        from mainspring.server.app import make_app
        from mainspring.store.store import Store

        app = make_app(Store.open(folder), **options)  # may raise, and leaves no socket open then
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.socket.bind(("127.0.0.1", 0))
        self.server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=2)
        )
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def __enter__(self) -> str:
        self.socket.listen(128)  # connections wait in the backlog until the server accepts
        self.thread.start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *exc: object) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


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
