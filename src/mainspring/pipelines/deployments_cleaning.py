"""Taking unpacked deployments away again: what is needed once more is made of the blob store."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from mainspring.kernel.clock import now_micros
from mainspring.pipelines.ends import OPEN_STATES
from mainspring.store.reachable import Marks
from mainspring.store.store import Store
from mainspring.store.transaction import Transaction

__all__ = ["release_folders"]

_UNUSED_SECONDS = 86_400.0


def release_folders(store: Store, marks: Marks) -> None:
    """Remove the folders of deployments that no open run uses, and that nobody asked for in a day."""
    del marks  # they are copies: what they are made of is kept with the deployment
    with store.read() as tx:
        used = _used(tx)
    home = store.path("deployments")
    for folder in home.iterdir():
        if folder.name not in used and _is_old(folder):
            _remove(home, folder)


def _used(tx: Transaction) -> set[str]:
    """The digests of the deployments of runs that are not over."""
    rows = tx.rows(
        f"SELECT DISTINCT workspace, flow, deployment FROM flow_run WHERE state IN {OPEN_STATES} AND deployment <> ''"  # noqa: S608 -- constant
    )
    found = {
        tx.value(
            "SELECT digest FROM flow_deployment WHERE workspace = ? AND flow = ? AND version = ?",
            (workspace, flow, int(str(deployment).rpartition("@")[2])),
        )
        for workspace, flow, deployment in rows
    }
    return {str(each) for each in found}


def _is_old(folder: Path) -> bool:
    try:
        return folder.stat().st_mtime < now_micros() / 1e6 - _UNUSED_SECONDS
    except OSError:
        return False  # somebody else was quicker


def _remove(home: Path, folder: Path) -> None:
    """Remove a folder whole: who looks for it finds all of it, or nothing."""
    gone = Path(tempfile.mkdtemp(prefix=".", dir=home))
    with contextlib.suppress(OSError):
        folder.rename(gone / "folder")
        if not _is_old(gone / "folder"):  # somebody asked for it just now
            (gone / "folder").rename(folder)
    shutil.rmtree(gone, ignore_errors=True)
