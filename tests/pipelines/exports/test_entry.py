from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

import mainspring as ms
from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.pipelines import entry
from mainspring.pipelines.exports.inputs import Inputs
from mainspring.pipelines.exports.portable import pack, unpack, whole_tree, write_file
from mainspring.pipelines.values import decode

NOON = datetime.fromisoformat("2026-11-21T23:30:00+00:00")
LARGE = pl.DataFrame({"number": range(100_000)})


def read(*texts, **options):
    return Inputs(fired=NOON, **options).arguments(texts)


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        [1, ("a", {2})],
        {"day": date(2026, 11, 21)},
        b"x" * 100_000,
        {"$": "input", "name": "a"},
        list(range(50_000)),
    ],
)
def test_a_file_holds_the_whole_value(value):
    assert unpack(pack(value)) == value
    assert decode(whole_tree(value), None) == value


def test_frames_are_parquet_in_an_archive_that_anything_opens(tmp_path):
    write_file(tmp_path / "deep" / "value", pack([LARGE, LARGE]))
    assert unpack((tmp_path / "deep" / "value").read_bytes())[1].equals(LARGE)
    with zipfile.ZipFile(tmp_path / "deep" / "value") as archive:
        blob, *more = [name for name in archive.namelist() if name.startswith("blobs/")]
        assert not more, "what is there twice is kept once"
        assert pl.read_parquet(archive.read(blob)).equals(LARGE)
    assert pack([LARGE]) == pack([LARGE])


@pytest.mark.parametrize("data", [b"", b"{", b"PK\x03\x04 torn", pack(LARGE)[:-50]])
def test_a_file_that_holds_no_value_is_refused(data):
    with pytest.raises(UnsupportedFormat):
        unpack(data)


def test_parameters_are_read_as_people_write_them():
    assert read(
        "a=integer:3.0", "b=number:1e3", "c=boolean:True", "d=text:a=b:c", "e=list:[1]", 'f=object:{"a": 1}'
    ) == {
        "a": 3,
        "b": 1000.0,
        "c": True,
        "d": "a=b:c",
        "e": [1],
        "f": {"a": 1},
    }
    assert read("day=date:2026-11-20") == {"day": date(2026, 11, 20)}
    assert read("day=date:", tz="Europe/Paris") == {"day": date(2026, 11, 22)}
    assert read("day=date:2026-11-21T23:30:00Z", tz="Europe/Paris") == {"day": date(2026, 11, 22)}
    assert read("at=datetime:", tz="Europe/Paris")["at"].isoformat() == "2026-11-22T00:30:00+01:00"


def test_inputs_stand_inside_of_arguments(tmp_path):
    write_file(tmp_path / "a", pack(LARGE))
    write_file(tmp_path / "list", pack((1, 2, 3)))
    found = Inputs(fired=NOON, declared=[f"a=file:{tmp_path}/a", "n=integer:7"]).arguments(
        [
            'x=json:{"deep": {"$": "tuple", "items": [{"$": "input", "name": "a"}, {"$": "input", "name": "n"}]}}',
            f"y=item:1:file:{tmp_path}/list",
        ]
    )
    frame, number = found["x"]["deep"]
    assert frame.equals(LARGE)
    assert (number, found["y"]) == (7, 2)


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "=json:1",
        "a=json",
        "a=wrong:1",
        "a=integer:1.5",
        "a=boolean:maybe",
        "a=json:{",
        "a=file:/nowhere",
        "a=date:tomorrow",
        "a=item:5:list:[1]",
        "a=item:0:text:ab",
        'a=json:{"$": "input", "name": "absent"}',
    ],
)
def test_arguments_that_mean_nothing_are_refused(text):
    with pytest.raises(InvalidInput):
        read(text)


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(InvalidInput, match="not equally long"):
        read("a=item:0:list:[1]", "b=item:0:list:[1, 2]")


def container(tmp_path, *words):
    code = entry.main(["step", words[0], *words[1:], f"--output={tmp_path}/out"])
    return code, unpack((tmp_path / "out").read_bytes()) if code == 0 else None


def test_a_step_runs_alone_and_knows_its_place(tmp_path):
    words = ("shop:where", "--run-id=uid-1", "--node=where", "--item=3")
    first, again = container(tmp_path, *words), container(tmp_path, *words, "--tried=1")
    assert first == again, "another try has the same key"
    assert first[1][0] == "where"
    assert container(tmp_path, *words[:-1], "--item=4")[1][1] != first[1][1]


def test_errors_have_exit_codes_that_orchestrators_can_ask_for(tmp_path, capsys):
    assert container(tmp_path, "shop:demanding", "--argument=moment=datetime:")[0] == entry.FAILED_FOR_GOOD
    assert "KeyError" in capsys.readouterr().err
    assert container(tmp_path, "shop:nth", "--argument=values=list:[]", "--argument=place=integer:0")[0] == 1
    assert container(tmp_path, "shop:nth", "--argument=values=list:[]", "--argument=place=integer:x")[0] == 2
    assert container(tmp_path, "shop:nothing")[0] == 2
    assert "the image must have the module" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_fallbacks_come_after_the_tries_of_the_container(tmp_path, capsys):
    words = ("shop:unlucky", "--argument=value=number:2", "--retries=1", "--delay=0")
    assert container(tmp_path, *words) == (0, -1.0)
    assert capsys.readouterr().err.count("ValueError: 2.0") == 2


def test_results_that_are_mapped_over_are_lists(tmp_path, capsys):
    words = ("shop:double", "--argument=value=number:2", f"--parts={tmp_path}/parts")
    assert container(tmp_path, *words)[0] == 2
    assert "returned float, and the flow maps over it" in capsys.readouterr().err


def test_xcom_takes_small_values_whole_and_names_large_ones(tmp_path, capsys):
    write_file(tmp_path / "frame", pack(LARGE))
    words = ["step", "shop:split", f"--argument=frame=file:{tmp_path}/frame", f"--xcom={tmp_path}/xcom"]
    small = pl.DataFrame({"shop": [1, 2]})
    write_file(tmp_path / "frame", pack(small))
    assert entry.main(words) == 0
    found = read(f"a=json:{(tmp_path / 'xcom').read_text()}")["a"]
    assert [each["shop"].item() for each in found] == [1, 2]

    write_file(
        tmp_path / "frame", pack(pl.DataFrame({"shop": [0] * 50_000, "noise": pl.arange(50_000, eager=True).hash()}))
    )
    assert entry.main(words) == 2
    assert "fit through XCom" in capsys.readouterr().err
    assert entry.main([*words, f"--share={tmp_path}/share/frames"]) == 0
    text = (tmp_path / "xcom").read_text()
    assert len(text) < 500
    assert read(f"a=json:{text}")["a"][0].height == 50_000

    assert entry.main(["step", "shop:effect", "--argument=name=text:x", f"--xcom={tmp_path}/none"]) == 0
    assert read(f"a=json:{(tmp_path / 'none').read_text()}") == {"a": None}


def test_what_takes_too_long_is_ended():
    program = "from mainspring.pipelines import entry; import time; entry._end_after(0.05); time.sleep(30)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == entry.TOO_LONG
    assert "ended after 0.05 s" in ended.stderr


def test_the_coordinator_goes_on_with_the_run_of_its_key(tmp_path, monkeypatch):
    """A pod that is started again for a run whose pod was killed does not do again what that one has done."""
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "store"))
    words = ["flow", "shop:breaks_once", f"--argument=marker=text:{tmp_path}/marker", "--key=uid-1"]
    killed = subprocess.run(
        [sys.executable, "-m", "mainspring.pipelines.entry", *words],
        cwd=Path(__file__).parent,
        capture_output=True,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert entry.main(words) == 0
    client = ms.connect(str(tmp_path / "store"))
    (run,) = client.pipelines.runs()
    assert (run.state, run.key, run.attempt, run.result) == ("finished", "uid-1", 2, 8.0)
    assert Path(f"{tmp_path}/marker").read_text() == "counted once"
    assert entry.main([*words[:-1], "--key=uid-2"]) == 0
    assert len(client.pipelines.runs()) == 2
