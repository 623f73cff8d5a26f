from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Frameworks warn about each other and about themselves; that is not what is tested here."""
    for item in items:
        if "/tests/autologging/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore"))
