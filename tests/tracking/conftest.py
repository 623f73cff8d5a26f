from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the spools of a test lie."""
    monkeypatch.setenv("MAINSPRING_SPOOL", str(tmp_path / "spools"))
    return tmp_path / "spools"
