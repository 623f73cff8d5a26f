"""`import mainspring` is cheap: what a command or a notebook does not use is not loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "apsw", "duckdb", "jinja2", "lightgbm", "numpy", "onnx", "onnxruntime", "optuna", "pandas", "polars", "psycopg",
    "pyarrow", "rich", "scipy", "sklearn", "sqlite3", "starlette", "uvicorn",
}  # fmt: skip


def _loaded(statement: str) -> set[str]:
    loaded = "sorted(set(sys.modules) - before)"
    program = f"import sys; before = set(sys.modules); {statement}; import json; print(json.dumps({loaded}))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return set(json.loads(answer.stdout))


@pytest.mark.parametrize(
    "statement", ["import mainspring", "import mainspring; dir(mainspring)", "import mainspring.cli"]
)
def test_nothing_heavy_is_loaded(statement):
    tops = {module.partition(".")[0] for module in _loaded(statement)}
    assert not tops & HEAVY


def test_few_modules_are_loaded():
    assert len(_loaded("import mainspring")) < 250
