"""Media in a run: under their names, in series, read again; what is printed and the machine beside them."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import mainspring as ms
from mainspring.client import Client
from mainspring.kernel.errors import InvalidInput, NotFound, Unavailable
from mainspring.tracking.run import ActiveRun

pytestmark = pytest.mark.databases("sqlite")


def begin(client: Client, **options: Any) -> ActiveRun:
    return client.tracking.run("flight-delay", **{"source": False, **options})


def paths(client: Client, run: ActiveRun) -> list[str]:
    return [each.path for each in client.tracking.files(run.id)]


def read(client: Client, run: ActiveRun, path: str) -> bytes:
    return b"".join(client.tracking.read_file(run.id, path=path))


@pytest.mark.databases("sqlite", "postgres")
def test_everything_is_kept_under_its_name(any_client: Client, tmp_path: Path) -> None:
    client = any_client
    (tmp_path / "weights.bin").write_bytes(b"\x00weights")
    with begin(client) as run:
        run.log_text("hello", "notes.txt")
        run.log_text("hello again", "notes.txt")
        run.log_dict({"a": [1, 2]}, "config/deep.json")
        run.log_image(np.zeros((2, 3), np.uint8), "board", caption="empty")
        run.log_audio(np.zeros(8), "beep", rate=8)
        run.log_table([{"a": 1}], "rows")
        run.log_html("<p>x", "page")
        run.log_figure("<svg/>", "plot.svg")
        run.log_histogram([1, 2, 2], "weights", bins=2)
        run.log_histogram((np.array([3, 4]), np.array([0.0, 1.0, 2.0])), "counted")
        run.log_file(tmp_path / "weights.bin", name="out/weights.bin")
    assert paths(client, run) == [
        "beep.wav", "board.png", "config/deep.json", "counted", "notes.txt", "out/weights.bin", "page.html", "plot.svg",
        "rows.parquet", "weights",
    ]  # fmt: skip
    files = {each.path: each for each in client.tracking.files(run.id)}
    assert read(client, run, "notes.txt") == b"hello again"
    assert read(client, run, "out/weights.bin") == b"\x00weights"
    assert files["board.png"].about["caption"] == "empty"
    assert (files["board.png"].media_type, files["weights"].file.size) == ("image/png", 0)
    assert files["weights"].about["counts"] == [1, 2]
    assert files["counted"].about["edges"] == [0.0, 1.0, 2.0]


def test_what_is_logged_with_a_step_is_a_series(client: Client) -> None:
    with begin(client) as run:
        for step in range(3):
            run.log({"loss": 1.0 / (step + 1), "val/samples": ms.Image(np.full((2, 2), step, np.uint8))})
        run.log(step=10, pair=[ms.Image([[0]]), ms.Image([[1]])])
        run.log_histogram([1, 2], "grads", step=4)
    files = client.tracking.files(run.id)
    samples = [(each.step, each.path) for each in files if each.key == "val/samples"]
    assert samples == [(step, f"val/samples/{step}.png") for step in range(3)]
    assert [(each.path, each.about["index"]) for each in files if each.key == "pair"] == [
        ("pair/10-0.png", 0),
        ("pair/10-1.png", 1),
    ]
    assert client.tracking.history(run.id, "loss")["step"].to_list() == [0, 1, 2]
    assert set(client.tracking.get(run.id).metrics) == {"loss"}


def test_a_call_of_log_that_is_wrong_keeps_nothing(client: Client) -> None:
    with begin(client) as run:
        with pytest.raises(InvalidInput, match="'loss' is not a number"):
            run.log({"loss": "high", "sample": ms.Image([[0]])})
        with pytest.raises(InvalidInput, match="is no media"):
            run.log_media(3, "x")
        with pytest.raises(InvalidInput, match="no such file"):
            run.log_file("/does/not/exist")
        with pytest.raises(InvalidInput, match=r"not the path"):
            run.log_text("x", "../up")
    assert paths(client, run) == []


def test_tables_are_appended_to_and_read_whole(client: Client) -> None:
    with begin(client) as run:
        run.log_table(pl.DataFrame({"step": [1], "word": ["a"]}), "predictions", append=True)
        run.log_table([{"step": 2, "word": "b", "score": 0.5}], "predictions", append=True)
        for step in (1, 5):
            run.log_table({"at": [step]}, "each", step=step)
        run.log_table({"x": [1.5]}, "kept.csv")
        with pytest.raises(InvalidInput, match="not both"):
            run.log_table({"x": [1]}, "predictions", append=True, step=1)
    assert client.tracking.read_table(run.id, "predictions").rows() == [(1, "a", None), (2, "b", 0.5)]
    assert client.tracking.read_table(run.id, "each")["at"].to_list() == [5]
    assert client.tracking.read_table(run.id, "each", step=1)["at"].to_list() == [1]
    assert client.tracking.read_table(run.id, "kept.csv")["x"].to_list() == [1.5]
    with pytest.raises(NotFound, match="predictions"):
        client.tracking.read_table(run.id, "prediction")


def test_images_in_a_table_are_files_beside_it(client: Client) -> None:
    with begin(client) as run:
        table = ms.Table(columns=["image", "label"])
        table.add(ms.Image([[0, 255]]), "cat")
        run.log_table(table, "guesses", step=2)
    ((path, label),) = client.tracking.read_table(run.id, "guesses").rows()
    assert (path, label) == ("guesses/2.cells/0-image.png", "cat")
    assert read(client, run, path).startswith(b"\x89PNG")


def test_folders_and_artifacts(any_client: Client, tmp_path: Path) -> None:
    client = any_client
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    for number in range(30):
        (folder / "deep" / f"{number}.txt").write_text(str(number % 3))
    with begin(client) as run:
        assert run.log_folder(folder, name="copy") == 30
        first = run.log_artifact(folder, name="flights", kind="dataset", metadata={"rows": 30}, aliases=["best"])
        again = run.log_artifact(folder, name="flights", kind="dataset")
        one = run.log_artifact(folder / "deep" / "7.txt")
    assert len(paths(client, run)) == 30
    assert read(client, run, "copy/deep/7.txt") == b"1"
    assert (first.version, again.version, one.name, one.kind) == (1, 1, "7", "artifact")
    assert client.lineage.artifact("dataset/flights@best").artifact.id == first.id
    assert run.id in {node.id for node in client.lineage.why(first.id).nodes}


def test_what_is_printed_comes_into_the_run(
    any_client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = any_client
    handler = logging.StreamHandler(sys.stderr)
    with pytest.raises(ZeroDivisionError), begin(client, console="python", system=False) as run:
        sys.stdout.write("epoch 1\n")
        handler.emit(logging.LogRecord("x", logging.WARNING, "", 0, "careful", (), None))
        1 / 0  # noqa: B018
    text = read(client, run, "logs/output.log").decode()
    said = [line.partition("Z ")[2] for line in text.splitlines()]
    assert said[:3] == ["stdout epoch 1", "stderr careful", "stderr Traceback (most recent call last):"]
    assert said[-1] == "stderr ZeroDivisionError: division by zero"
    assert capsys.readouterr().out == "epoch 1\n"
    assert client.tracking.output(run.id) == text


def test_the_machine_is_watched_and_the_programs_steps_are_its_own(client: Client) -> None:
    with begin(client, system=1.0, console=False) as run:
        run.log(loss=1)
        time.sleep(1.3)
        run.log(loss=2)
    metrics = client.tracking.get(run.id).metrics
    assert metrics["system/process/memory"].value > 1e6
    assert client.tracking.history(run.id, "loss")["step"].to_list() == [0, 1]
    assert not [each for each in threading.enumerate() if each.name.startswith(("mainspring-sys", "mainspring-con"))]


def test_a_process_that_joins_a_run_replaces_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainspring.tracking.run_media._FRESH", -1.0)
    with begin(client, console="python", system=1.0) as run:
        sys.stdout.write("again\n")
        time.sleep(1.1)
    (path,) = paths(client, run)
    assert path.startswith("logs/output-")
    assert path.endswith(f"-{os.getpid()}.log")
    names = client.tracking.get(run.id).metrics
    assert names
    assert all(name.split("/")[1].endswith(f"-{os.getpid()}") for name in names)


def test_settings_switch_it_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSPRING_CONSOLE_OUTPUT", "off")
    monkeypatch.setenv("MAINSPRING_SYSTEM_SECONDS", "0")
    with client.tracking.run("flight-delay", console=True, system=True, source=False) as run:
        sys.stdout.write("quiet\n")
    assert paths(client, run) == []
    with pytest.raises(InvalidInput, match="process"):
        begin(client, console="loud")


KILLED = """
import os, signal, sys
import mainspring as ms
client = ms.connect(sys.argv[1])
run = client.tracking.run("doomed", source=False)
print(run.id, flush=True)
run.log_text("kept", "notes.txt")
run.log(step=1, sample=ms.Image([[0, 255]]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_media_outlive_a_kill_right_after_the_call(client: Client) -> None:
    command = [sys.executable, "-c", KILLED, client.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    client.tracking.recover()
    run_id = done.stdout.strip()
    assert [each.path for each in client.tracking.files(run_id)] == ["notes.txt", "sample/1.png"]
    assert client.tracking.get(run_id).status == "crashed"


def test_media_wait_for_a_store_that_is_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("the server is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(client.tracking), "append", away)
        run = begin(client)
        run.log_text("x", "notes.txt")
        run.finish(timeout=0.05)
    client.tracking.recover()
    assert paths(client, run) == ["notes.txt"]


def test_a_large_file_is_taken_as_it_is(client: Client, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(b"\x07" * (9 << 20))
    with begin(client) as run:
        run.log_file(large)
        large.unlink()
        run.flush()
        assert client.tracking.files(run.id)[0].file.size == 9 << 20


def test_a_plot_of_matplotlib_needs_no_words(client: Client) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure()
    figure.subplots().plot([1, 2, 3])
    with begin(client) as run:
        run.log(curve=figure, step=7)
        run.log_figure(figure, "curve.pdf")
    assert paths(client, run) == ["curve.pdf", "curve/7.png"]
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(read(client, run, "curve/7.png")))
    assert image.size[0] > 10
