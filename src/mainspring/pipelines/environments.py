"""Environments of steps: built from a lock file once for each content, kept in the store's cache, shared by processes.

A step with `env="requirements.lock"` runs in processes of an interpreter whose own packages come first; Mainspring, and
what that needs, come from this installation behind them. So nothing of Mainspring is in the lock.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainspring.kernel.errors import Damaged, InvalidInput, MainspringError, NotFound, Unavailable
from mainspring.kernel.hashing import digest_value
from mainspring.pipelines.environment import current_environment
from mainspring.pipelines.types import Environment

__all__ = ["Locked", "build", "environment_of", "find_lock", "read_lock", "site_packages"]

_BUILD_SECONDS = 3600.0
_READY = "mainspring-ready"
_EXACT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;,*]+)\s*(;.*)?")
_DIRECT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*@\s*(\S+)\s*(;.*)?")
_OPTION = re.compile(r"-[if]|--((extra-)?index-url|find-links|no-index|only-binary|no-binary)\b")
"""Where packages come from, in a file of requirements: how they are found, and not what they are."""
_TOML = ("uv.lock", "pylock.toml")


class Locked(msgspec.Struct, frozen=True):
    """A lock file that was read."""

    path: Path
    digest: str
    """Of what it says, the Python version and the platform: what it builds."""
    packages: dict[str, str]


def find_lock(env: str, beside: str = "") -> Path:
    """The lock file, from the working folder or else from beside the file `beside`, that of the step's module."""
    wanted = Path(env).expanduser()
    places = [wanted] if wanted.is_absolute() else [Path.cwd() / wanted]
    if beside and not wanted.is_absolute():
        places.append(Path(beside).resolve().parent / wanted)
    for place in places:
        if place.is_file():
            return place.resolve()
    raise NotFound(
        f"there is no lock file {' or '.join(map(str, places))}",
        hint="uv pip compile --generate-hashes requirements.in -o requirements.lock, or pip freeze > requirements.lock",
    )


def read_lock(path: Path) -> Locked:
    """What a lock file asks for.

    Raises:
        InvalidInput: It is not one: a version in it is not exact.
    """
    text = path.read_text()
    packages = _of_toml(path, text) if path.name in _TOML else dict(_of_requirements(path, text))
    if not packages:
        raise InvalidInput(f"{path} names no package")
    parts = [
        path.name if path.name in _TOML else "requirements",
        text,
        sys.implementation.cache_tag,
        sys.platform,
        os.uname().machine,
    ]
    return Locked(path, digest_value("lock", parts), dict(sorted(packages.items())))


def environment_of(locked: Locked) -> Environment:
    """What is installed where a step runs with it: the part of its key that is not its code and not its inputs."""
    here = current_environment()
    digest = digest_value("environment", [here.digest, locked.digest])
    return Environment(digest, dict(sorted({**here.packages, **locked.packages}.items())))


def build(locked: Locked, cache: Path) -> Path:
    """The folder of the environment, which is built when it is not there; one process builds, the others wait.

    Raises:
        NotFound: A package, or this version of it, is nowhere to be had.
        Damaged: What was fetched has not the hash that the lock says.
        Unavailable: It could not be built for another reason; nothing of it is left.
    """
    folder = cache / f"{locked.digest[:24]}-{digest_value('python', sys.executable)[:8]}"
    if (folder / _READY).exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / f"{folder.name}.lock"):
        if (folder / _READY).exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed while it built
        try:
            _install(locked, folder)
            (folder / _READY).write_text(str(locked.path))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return folder


def site_packages(folder: Path) -> str:
    """Where the packages of an environment lie."""
    return sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder), "platbase": str(folder)})


def _install(locked: Locked, folder: Path) -> None:
    uv, python = shutil.which("uv"), folder / "bin" / "python"
    if uv:
        _run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)], locked)
        wanted = locked.path
        if wanted.name == "uv.lock":
            wanted = folder / "requirements.txt"
            export = [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--quiet", "-o", str(wanted)]
            _run([*export, "--project", str(locked.path.parent)], locked)
        _run([uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(wanted)], locked)
        return
    if locked.path.name in _TOML:
        raise InvalidInput(
            f"{locked.path.name} is built with uv, which is not on PATH",
            hint="install uv, or export it: uv export --frozen -o requirements.lock",
        )
    bare = ["--without-pip"] if importlib.util.find_spec("pip") else []
    _run([sys.executable, "-m", "venv", *bare, str(folder)], locked)
    install = [
        "-m",
        "pip",
        *(["--python", str(python)] if bare else []),
        "install",
        "--no-deps",
        "--no-input",
        "--quiet",
    ]
    install += ["--disable-pip-version-check", "--no-warn-script-location", "-r", str(locked.path)]
    _run([sys.executable if bare else str(python), *install], locked)


def _run(command: list[str], locked: Locked) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUILD_SECONDS,
            check=False,
            cwd=locked.path.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"the environment of {locked.path} was not built within an hour") from None
    if done.returncode:
        raise _failure(locked, (done.stderr or done.stdout).strip())


def _failure(locked: Locked, said: str) -> MainspringError:
    details = {"log": said[-4000:]}
    lines = [line.removeprefix("ERROR: ").strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    if re.search(r"do not match the hashes|hash mismatch", said, re.IGNORECASE):
        names = [line.split(" from ")[0].strip() for line in lines if " from " in line and "://" in line]
        what = names[0] if names else "a package"
        return Damaged(
            f"{what} has not the hash that {locked.path} says", hint="nothing was installed", details=details
        )
    missing = re.search(
        r"No matching distribution found for (\S+)|Because (\S+) was not found|no version of (\S+)", said
    )
    if missing:
        name = next(group for group in missing.groups() if group)
        return NotFound(f"{name} of {locked.path} is not to be had", hint="pip index versions NAME", details=details)
    return Unavailable(f"the environment of {locked.path} could not be built: {last[:300]}", details=details)


def _of_requirements(path: Path, text: str) -> Iterator[tuple[str, str]]:
    joined = re.sub(r"\\\r?\n", " ", text)
    for number, raw in enumerate(joined.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if not line or _OPTION.match(line):
            continue
        wanted = re.split(r"\s+--", line)[0].strip()
        found = _EXACT.fullmatch(wanted) or _DIRECT.fullmatch(wanted)
        if found is None:
            raise InvalidInput(
                f"{path}, line {number}: {wanted[:80]!r} is no exact version",
                hint="name==1.2.3, as uv pip compile and pip freeze write it",
            )
        yield _canonical(found[1]), found[2]


def _of_toml(path: Path, text: str) -> dict[str, str]:
    import tomllib

    try:
        found: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not TOML: {error}") from None
    listed = found.get("package" if path.name == "uv.lock" else "packages", [])
    return {_canonical(each["name"]): str(each["version"]) for each in listed if "version" in each}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only process of this machine inside the block. The lock ends with the process."""
    import fcntl  # not on Windows, where processes of steps are not either

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
