"""Proves that Great Expectations 1.24.1 loads what `write_gx` writes, and records what it made of it.

First the suite is written by `test_gx_suites.py` (it compares with the file, and says so when they differ):

    python tests/quality/formats/test_gx_suites.py > tests/quality/formats/gx_written.json
    build/bench-venvs/great_expectations/bin/python tests/quality/formats/record_gx_loading.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    """Load it as a suite, and write down how each expectation came out."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    plain = json.loads((HERE / "gx_written.json").read_text(encoding="utf-8"))
    context = gx.get_context(mode="ephemeral")
    suite = context.suites.add(gx.ExpectationSuite(**plain))
    loaded = suite.to_json_dict()
    kept = [
        {key: each.get(key) for key in ("type", "kwargs", "meta", "severity", "notes")}
        for each in loaded["expectations"]
    ]
    body = {"great_expectations": gx.__version__, "name": loaded["name"], "meta": loaded["meta"], "expectations": kept}
    text = json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True, default=str)
    (HERE / "gx_loaded.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
