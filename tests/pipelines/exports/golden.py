"""The files that exports of the example are compared with; run this to write them anew, and read the difference."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
FILES = {
    "nightly-argo.yaml": ("nightly", "argo"),
    "nightly-argo-cron.yaml": ("nightly", "argo-cron"),
    "nightly-kubeflow.yaml": ("nightly", "kubeflow"),
    "nightly_airflow.py": ("nightly", "airflow"),
    "nightly-cronjob.yaml": ("nightly", "cronjob"),
    "until_good-argo.yaml": ("until_good", "argo"),
    "until_good-kubeflow.yaml": ("until_good", "kubeflow"),
    "until_good_airflow.py": ("until_good", "airflow"),
}
IMAGE = "registry.example/nightly:7"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def made(name: str) -> str:
    """What the export is now."""
    import nightly

    from mainspring.pipelines.exports.exporting import export

    flow, target = FILES[name]
    return export(getattr(nightly, flow), to=target, image=IMAGE).text


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[2] / "examples"))
    (HERE / "golden").mkdir(exist_ok=True)
    for each in FILES:
        (HERE / "golden" / each).write_text(made(each), encoding="utf-8")
