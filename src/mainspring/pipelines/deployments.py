"""Versions of flows: which one is started, and where a run finds the code of the version that it keeps.

A version is a set of files in the blob store. A process that executes a run of it unpacks them once into a folder of
its machine, named by their digest, and imports from there: whatever happens to the working tree, the run in flight, its
retries and its resumption after a crash use the code with which it was started.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput, NotFound
from mainspring.kernel.hashing import digest_bytes, digest_value
from mainspring.pipelines.tables_deployments import DEPLOYMENTS
from mainspring.pipelines.types import FlowRun, Location
from mainspring.pipelines.types_deployments import CodeFile, Deployment, Placed
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.client.client import Client

__all__ = ["ACTIVE", "check_files", "digest_of", "find_deployment", "location_of", "placed", "unpacked"]

ACTIVE = "active"
"""In place of a version: whichever is active when a run is started."""
_MOST_FILES = 5000
_MOST_BYTES = 64 << 20


def placed(tx: Transaction, flow: str, version: str, location: Location) -> Placed:
    """Where a run that is started now finds its code: `version` as schedules and triggers name it."""
    if not version:
        return Placed(location)
    found = find_deployment(tx, flow, version)
    return Placed(Location(address=found.address), found.ref, found.code)


def find_deployment(tx: Transaction, flow: str, version: str = ACTIVE) -> Deployment:
    """A version of a flow: its number, `active`, or `flow@number`."""
    number = version.removeprefix(f"{flow}@")
    if number == ACTIVE:
        where, params = "active = 1", ()
    elif number.isdecimal() and len(number) < 12:
        where, params = "version = ?", (int(number),)  # type: ignore[assignment]
    else:
        raise InvalidInput(f"{version!r} is not a version of {flow}", hint="a number, or `active`")
    found = tx.fetch_one(
        DEPLOYMENTS, f"WHERE workspace = ? AND flow = ? AND {where}", (caller().workspace, flow, *params)
    )
    if found is None:
        raise NotFound(
            f"the flow {flow} has no {'active version' if number == ACTIVE else f'version {number}'}",
            hint=f"mainspring flow deploy MODULE:{flow}",
        )
    return found


def location_of(client: Client, run: FlowRun) -> Location:
    """Where the process that executes a run imports its flow from: its version's files, unpacked on this machine."""
    if not run.deployment:
        return run.location
    found = client.pipelines.deployment(run.flow, version=run.deployment)
    folder = unpacked(client, found)
    return Location(
        address=found.address,
        sys_path=(str(folder), *found.sys_path),
        cwd=found.cwd,
        main=str(folder / found.main) if found.main else "",
    )


def unpacked(client: Client, deployment: Deployment) -> Path:
    """The folder with the files of a version, made where it is missing or was altered."""
    folder = _cache(client) / deployment.digest
    if _whole(folder, deployment.files):
        with contextlib.suppress(OSError):
            os.utime(folder)  # it is in use: see `deployments_cleaning`
        return folder
    young = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        for each in deployment.files:
            target = young / each.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"".join(client.storage.get_blob(each.digest)))
        _replace(young, folder, deployment.files)
    finally:
        shutil.rmtree(young, ignore_errors=True)
    return folder


def check_files(files: tuple[CodeFile, ...]) -> None:
    """Refuse files that could not be unpacked, or would leave their folder."""
    if not files or len(files) > _MOST_FILES or sum(each.size for each in files) > _MOST_BYTES:
        raise InvalidInput(f"a deployment has 1 to {_MOST_FILES} files of {_MOST_BYTES >> 20} MiB together")
    seen: set[str] = set()
    for each in files:
        parts = each.path.split("/")
        odd = not each.path or each.path.startswith("/") or "\\" in each.path or "\0" in each.path
        if odd or len(each.path) > 1000 or any(part in ("", ".", "..") for part in parts):
            raise InvalidInput(f"{each.path[:100]!r} is not a path inside of a deployment")
        if each.path in seen:
            raise InvalidInput(f"{each.path!r} is there twice")
        seen.add(each.path)


def digest_of(address: str, main: str, files: tuple[CodeFile, ...]) -> str:
    """The digest of a version."""
    return digest_value("deployment", [address, main, sorted([each.path, each.digest] for each in files)])


def _cache(client: Client) -> Path:
    store = getattr(client.backend, "store", None)
    if store is not None:
        return Path(store.path("deployments"))
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mainspring" / "deployments"
    base.mkdir(parents=True, exist_ok=True)
    return base


def _whole(folder: Path, files: tuple[CodeFile, ...]) -> bool:
    try:
        return all(digest_bytes((folder / each.path).read_bytes()) == each.digest for each in files)
    except OSError:
        return False


def _replace(young: Path, folder: Path, files: tuple[CodeFile, ...]) -> None:
    """Put a folder in its place; another process may do the same."""
    with contextlib.suppress(OSError):
        young.rename(folder)
        return
    if _whole(folder, files):
        return
    old = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    with contextlib.suppress(OSError):
        folder.rename(old / "altered")
    with contextlib.suppress(OSError):
        young.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    if not _whole(folder, files):
        raise InvalidInput(f"the files of a deployment in {folder} keep changing", hint="remove that folder")
