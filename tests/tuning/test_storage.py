"""Optuna's own packaged storage tests, over our storage: in SQLite, in PostgreSQL, through a server.

The store is made once for each; a test gets a workspace of its own, where it sees nothing of the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import optuna
import pytest
from optuna.testing.pytest_storages import StorageTestCase
from tests.conftest import serve

from mainspring.client.client import Client, connect
from mainspring.kernel.context import Caller, acting_as
from mainspring.tuning.storage import MainspringStorage

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def sqlite_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with connect(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgres_client(tmp_path_factory: pytest.TempPathFactory, postgres_server: str, postgres_template: str):
    import psycopg

    name = f"t_{uuid.uuid4().hex}"
    folder = tmp_path_factory.mktemp("store")
    folder.joinpath("config.toml").write_text(
        f'database = "postgresql:///{name}?host={postgres_server}&user=mainspring"\n'
    )
    with psycopg.connect(f"host={postgres_server} user=mainspring dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
        with connect(folder) as opened:
            yield opened
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture
def workspace() -> Iterator[str]:
    with acting_as(Caller(workspace=f"w{uuid.uuid4().hex}")) as who:
        yield who.workspace


class TestOnSqlite(StorageTestCase):
    """All of Optuna's tests."""

    @pytest.fixture
    def storage(self, sqlite_client: Client, workspace: str) -> Iterator[MainspringStorage]:
        with MainspringStorage(sqlite_client) as opened:
            yield opened


class TestOnPostgres(StorageTestCase):
    """All of Optuna's tests."""

    @pytest.fixture
    def storage(self, postgres_client: Client, workspace: str) -> Iterator[MainspringStorage]:
        with MainspringStorage(postgres_client) as opened:
            yield opened


class TestThroughServer:
    """Those of Optuna's tests whose answers could get lost or bent on the way."""

    @pytest.fixture
    def storage(self, served: str) -> Iterator[MainspringStorage]:
        with MainspringStorage(served, workspace=f"w{uuid.uuid4().hex}") as opened:
            yield opened

    test_create_new_study_with_name = StorageTestCase.test_create_new_study_with_name
    test_delete_study = StorageTestCase.test_delete_study
    test_set_and_get_study_user_attrs_for_floats = StorageTestCase.test_set_and_get_study_user_attrs_for_floats
    test_create_new_trial_with_template_trial = StorageTestCase.test_create_new_trial_with_template_trial
    test_set_trial_state_values_for_floats = StorageTestCase.test_set_trial_state_values_for_floats
    test_set_trial_param = StorageTestCase.test_set_trial_param
    test_set_and_get_trial_param_for_floats = StorageTestCase.test_set_and_get_trial_param_for_floats
    test_get_all_trials_not_modified = StorageTestCase.test_get_all_trials_not_modified
    test_pickle_storage = StorageTestCase.test_pickle_storage
