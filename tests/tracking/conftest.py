from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.client import Client, connect


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with connect(tmp_path / "store") as opened:
        yield opened
