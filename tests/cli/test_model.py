"""`mainspring model`: the registry's words on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainspring.cli.app import main
from mainspring.client.client import connect
from mainspring.engines.signature import Field, Signature
from mainspring.lineage.types import File
from mainspring.models.types import Manifest, Metric
from mainspring.store.service import Storage


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on a store with two versions of `flight-delay`; its exit code and what it printed."""
    folder = tmp_path / "store"
    with connect(folder) as client:
        for number in (1, 2):
            info = Storage(client.backend).put_blob([b"weights %d" % number])
            file = File("model.bin", info.size, info.digest)
            manifest = Manifest(format="onnx", signature=Signature(inputs=(Field("wind", "FP64"),)), files=(file,))
            client.models.register(
                "flight-delay",
                files=[file],
                manifest=manifest,
                metrics={"auc": Metric(0.7 + number / 10)},
                parameters={"depth": number},
            )

    def run(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([*args, "--store", str(folder)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def test_found_tagged_renamed(say: Any) -> None:
    assert "team=ops" in say("model", "tag", "flight-delay", "team", "ops")[1]
    assert "tier=1" in say("model", "tag", "flight-delay@1", "tier", "1")[1]
    assert "flight-delay\t2" in say("model", "list", "--filter", "tags.team = 'ops'")[1]
    assert "no models" in say("model", "list", "--filter", "tags.team = 'sales'")[1]
    assert say("model", "search", "metrics.auc > 0.85")[1].startswith("flight-delay@2")
    code, text = say("model", "search", "metric.auc >")
    assert (code, "character 13" in text) == (2, True)
    assert say("model", "rename", "flight-delay", "late")[1].strip() == "model/late"
    assert json.loads(say("model", "list", "--json")[1])[0]["name"] == "late"
    assert say("model", "tag", "late", "team")[1].strip() == "no tags"


def test_rules_verdicts_stages(say: Any) -> None:
    assert say("model", "rules", "flight-delay")[1].startswith("champion\t1")
    args = ("--target", "Production", "--approvals", "1", "--gate", "auc>=0.85", "--days", "90")
    assert "auc >= 0.85\t90" in say("model", "rules", "flight-delay", *args)[1]
    code, text = say("model", "stage", "flight-delay@1", "production")
    assert code != 0
    assert "not approved; its auc is 0.8" in text
    assert say("model", "approve", "flight-delay@2", "-m", "fine")[1].startswith("model/flight-delay@2 is approved by")
    assert "\napproval     approved by " in say("model", "show", "flight-delay@2")[1]
    assert say("model", "stage", "flight-delay@2", "production")[1].strip() == "model/flight-delay@2  Production"
    assert "is rejected by" in say("model", "reject", "flight-delay@2", "-m", "no")[1]
    assert "rejected Production" in say("model", "versions", "flight-delay")[1]
    assert "is taken back" in say("model", "withdraw", "flight-delay@2")[1]
    assert "Production" not in say("model", "rules", "flight-delay", "--remove", "Production")[1]
    assert say("model", "rules", "flight-delay", "--target", "x", "--gate", "auc")[0] == 2


def test_deleted_restored_retained(say: Any) -> None:
    assert "is deleted" in say("model", "delete", "flight-delay@2")[1]
    code, text = say("model", "show", "flight-delay@2")
    assert (code, "model restore" in text) == (3, True)
    assert say("model", "restore", "flight-delay@2")[1].strip() == "model/flight-delay@2"
    assert "flight-delay@1" in say("model", "retain", "flight-delay", "--last", "1", "--dry-run")[1]
    assert "kept" in say("model", "retain", "flight-delay", "--last", "1", "--set")[1]
    assert [each["version"] for each in json.loads(say("model", "retain", "--json")[1])] == [1]
    assert "everything is kept" in say("model", "retain")[1]
    say("model", "delete", "flight-delay")
    assert "flight-delay" in say("model", "list", "--deleted")[1]
    assert say("model", "restore", "flight-delay")[1].strip() == "model/flight-delay"


def test_cards_and_differences(say: Any, tmp_path: Path) -> None:
    assert "is written" in say("model", "write", "flight-delay", "license", "mit")[1]
    text = say("model", "card", "flight-delay@2")[1]
    assert yaml.safe_load(text.split("---\n")[1])["license"] == "mit"
    assert json.loads(say("model", "card", "flight-delay", "--format", "json")[1])["schema_version"] == "0.0.2"
    page = tmp_path / "card.html"
    assert "is written" in say("model", "card", "flight-delay", "--format", "html", "-o", str(page))[1]
    assert page.read_text().startswith("<!doctype html>")
    text = say("model", "diff", "flight-delay@1", "flight-delay@2")[1]
    assert "parameter\tdepth\t1\t2" in text
    assert "metric\tauc\t0.8\t0.9" in text
    assert json.loads(say("model", "diff", "flight-delay@1", "flight-delay@1", "--json")[1])["same_content"]


def test_a_folder_is_registered(say: Any, tmp_path: Path) -> None:
    assert say("model", "download", "flight-delay@1", str(tmp_path / "out"))[0] == 0
    code, text = say("model", "register", "copy", str(tmp_path / "out"))
    assert code != 0
    assert "manifest.json" in text
