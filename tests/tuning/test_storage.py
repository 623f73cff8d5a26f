"""Optuna's own packaged storage tests, over our storage: in SQLite, in PostgreSQL, and through a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from mainspring.tuning.storage import MainspringStorage


@pytest.fixture
def storage(store_folder: Path) -> Iterator[MainspringStorage]:
    with MainspringStorage(store_folder) as opened:
        yield opened


class TestStorage(StorageTestCase):
    """All of them, on both databases."""
