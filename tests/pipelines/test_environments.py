"""Steps with packages of their own, from wheels that the tests make: nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mainspring.kernel.errors import Damaged, InvalidInput, NotFound, Unavailable
from mainspring.pipelines import flow, step
from mainspring.pipelines.environments import build, find_lock, read_lock

_FLOWS = """
import sys
from mainspring.pipelines import flow, step


def calls():
    with open({oracle!r}, "a") as file:
        file.write("x")


@step(env="requirements.lock", cache=True)
def versions(n: int) -> list[str]:
    import mainspring, msgspec, tinything
    calls()
    return [tinything.VERSION, sys.prefix, tinything.__file__]


@step
def here() -> str:
    try:
        import tinything
    except ImportError:
        return sys.prefix
    return tinything.VERSION


@flow
def both() -> list[str]:
    return [*versions(1), here()]


@flow
def many() -> list[str]:
    return [found[0] for found in versions.map([1, 2, 3])]
"""


def _wheel(folder: Path, version: str) -> str:
    """A wheel, and its hash as locks write it."""
    folder.mkdir(exist_ok=True)
    path = folder / f"tinything-{version}-py3-none-any.whl"
    files = {
        "tinything.py": f"VERSION = '{version}'\n",
        f"tinything-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tinything\nVersion: {version}\n",
        f"tinything-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"tinything-{version}.dist-info/RECORD"
    lines = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(text)}")
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in (*files.items(), (record, "\n".join([*lines, f"{record},,"]) + "\n")):
            wheel.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lock(folder: Path, version: str, digest: str = "") -> Path:
    path = folder / "requirements.lock"
    hashed = f" \\\n    --hash=sha256:{digest}" if digest else ""
    path.write_text(
        f"# made by a test\n--no-index\n-f {folder}/wheels\ntinything=={version}{hashed}  # why\n"
    )
    return path


@pytest.mark.databases("sqlite")
def test_a_step_runs_with_its_own_packages_and_is_cached_by_them(client, tmp_path, monkeypatch):
    digests = {version: _wheel(tmp_path / "wheels", version) for version in ("1.0", "2.0")}
    (tmp_path / "env_flows.py").write_text(_FLOWS.format(oracle=str(tmp_path / "oracle")))
    monkeypatch.syspath_prepend(tmp_path)
    flows = importlib.import_module("env_flows")
    _lock(tmp_path, "1.0", digests["1.0"])
    version, prefix, file, outside = flows.both.run(client)
    assert version == "1.0"
    assert prefix != sys.prefix
    assert file.startswith(str(Path(client.address) / "cache" / "environments"))
    assert outside == sys.prefix  # it is not to be had here
    assert flows.many.run(client) == ["1.0"] * 3
    assert (tmp_path / "oracle").read_text() == "xxx"  # the first of the map is cached
    _lock(tmp_path, "2.0", digests["2.0"])
    assert flows.both.run(client)[0] == "2.0"
    newest = client.pipelines.runs(flow="both")[0].id
    [found] = [each for each in client.pipelines.steps(newest) if each.name == "versions"]
    why = client.pipelines.why_step(found.id)
    assert [(each.component, each.before, each.now) for each in why.reasons] == [
        ("environment: tinything", "1.0", "2.0")
    ]


def test_several_processes_build_once_and_half_built_ones_are_built_again(tmp_path):
    lock = _lock(tmp_path, "1.0", _wheel(tmp_path / "wheels", "1.0"))
    locked = read_lock(lock)
    assert locked.packages == {"tinything": "1.0"}
    cache = tmp_path / "cache"
    code = (
        "import sys; from pathlib import Path; import mainspring.pipelines.environments as e;"
        " run = e._run; e._run = lambda *a: (open(sys.argv[3], 'a').write('x'), run(*a));"
        " print(e.build(e.read_lock(Path(sys.argv[1])), Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(lock), str(cache), str(tmp_path / "oracle")]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {builder.communicate(timeout=60)[0].strip() for builder in builders}
    assert [builder.returncode for builder in builders] == [0, 0]
    [folder] = folders
    assert len((tmp_path / "oracle").read_text()) == 2  # the environment and the installation, of one of them
    (Path(folder) / "mainspring-ready").unlink()  # as a kill in the middle leaves it
    (Path(folder) / "pyvenv.cfg").write_text("damaged")
    built = build(locked, cache)
    said = subprocess.run(
        [built / "bin" / "python", "-c", "import tinything as t; print(t.VERSION)"], capture_output=True
    )
    assert said.stdout == b"1.0\n"


def test_what_cannot_be_built_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    _wheel(tmp_path / "wheels", "1.0")
    cache = tmp_path / "cache"
    with pytest.raises(Damaged, match="has not the hash"):
        build(read_lock(_lock(tmp_path, "1.0", "0" * 64)), cache)
    with pytest.raises(NotFound, match=r"tinything==3\.0"):
        build(read_lock(_lock(tmp_path, "3.0")), cache)
    with monkeypatch.context() as patched:
        patched.setattr("mainspring.pipelines.environments.sys.executable", "/bin/false")
        with pytest.raises(Unavailable, match="could not be built"):
            build(read_lock(_lock(tmp_path, "1.0")), cache)
    assert [each.name for each in cache.iterdir() if each.is_dir()] == []


@pytest.mark.parametrize(
    "text", ["tinything>=1\n", "tinything\n", "-r other.txt\n", "# nothing\n"]
)
def test_what_is_no_lock_is_refused(tmp_path, text):
    path = tmp_path / "requirements.txt"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        read_lock(path)


def test_locks_of_uv_and_of_the_standard_name_their_packages(tmp_path):
    (tmp_path / "uv.lock").write_text('version = 1\n[[package]]\nname = "Tiny_Thing"\nversion = "1.0"\n')
    (tmp_path / "pylock.toml").write_text('lock-version = "1.0"\n[[packages]]\nname = "tiny-thing"\nversion = "1.0"\n')
    for name in ("uv.lock", "pylock.toml"):
        assert read_lock(tmp_path / name).packages == {"tiny-thing": "1.0"}
    with pytest.raises(NotFound, match="no lock file"):
        find_lock("missing.lock", beside=__file__)


@step(env="missing.lock")
def _lost() -> int:
    return 1


@flow
def _lost_flow() -> int:
    return _lost()


@pytest.mark.databases("sqlite")
def test_a_lock_that_is_missing_is_told_with_what_makes_one(client):
    with pytest.raises(NotFound, match=r"missing\.lock") as raised:
        _lost_flow.run(client)
    assert "pip freeze" in raised.value.hint
