"""The operations of tracking, and the run that a script holds."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.kernel.context import caller
from mainspring.kernel.errors import MainspringError, Unavailable
from mainspring.kernel.hashing import digest_value
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.tracking.annotations import AnnotationOperations
from mainspring.tracking.chunks import decode_points
from mainspring.tracking.experiments import check_experiment_name
from mainspring.tracking.history import points_frame
from mainspring.tracking.inputs import InputOperations
from mainspring.tracking.media_reading import read_output, read_table
from mainspring.tracking.params import encode_params
from mainspring.tracking.run import ActiveRun
from mainspring.tracking.service_experiments import ExperimentOperations
from mainspring.tracking.service_files import FileOperations
from mainspring.tracking.service_runs import RunOperations
from mainspring.tracking.service_search import SearchOperations
from mainspring.tracking.shipper import ship_rest
from mainspring.tracking.spool import abandoned
from mainspring.tracking.types import RunStart
from mainspring.tracking.views import ViewOperations

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Tracking"]

_log = logging.getLogger("mainspring.tracking")


class Tracking(
    ExperimentOperations,
    RunOperations,
    FileOperations,
    InputOperations,
    SearchOperations,
    AnnotationOperations,
    ViewOperations,
    room="tracking",
):
    """Experiment runs: parameters, metrics, files, and what they were run from."""

    # Below: what runs where the caller is, on both backends, composed of operations.

    def history(self, run_id: str, key: str) -> pl.DataFrame:
        """The whole history of a metric: `step`, `at` and `value`, by step; NaN and infinities as they were logged."""
        return points_frame(decode_points(b"".join(self.points(run_id, key=key))))

    def metrics(self, run_id: str) -> dict[str, float]:
        """The latest value of every metric of a run."""
        return {key: metric.value for key, metric in self.get(run_id).metrics.items()}

    def params(self, run_id: str) -> dict[str, Any]:
        """The parameters of a run, flat."""
        return self.get(run_id).params

    def run(
        self,
        experiment: str,
        *,
        params: Any = None,
        tags: Mapping[str, str] | None = None,
        title: str = "",
        kind: str = "training",
        parent: str = "",
        source: bool = True,
        console: bool | str | None = None,
        system: bool | float | None = None,
    ) -> ActiveRun:
        """Begin a run to log into: `with client.tracking.run("flight-delay", params={"depth": 6}) as run: ...`.

        It begins even when the server is away. What runs left behind that were killed here is sent now, too.

        Args:
            experiment: The name that groups runs.
            params: A mapping, a dataclass or a struct, nested as you like.
            tags: Texts to find it by.
            title: A name for this one run.
            kind: The kind of run in the lineage.
            parent: The id of the run that this one is a part of.
            source: Whether to record the code's version, the machine and the packages.
            console: What is recorded of what the process prints: `python`, `process` (C libraries and children too) or
                `off`; True for what the settings say. As `source`, when left out.
            system: How often to look at the machine, in seconds; 0 for never, True for what the settings say. As
                `source`, when left out.
        """
        check_experiment_name(experiment)
        check_name(kind, what="kind")
        texts = encode_params(params) if params is not None else {}
        self.recover()
        start = RunStart(new_id(), experiment, kind, title, parent.removeprefix("run/"))
        try:
            self.start(start)
        except Unavailable as error:
            _log.warning("run %s begins without the store and is sent later: %s", start.run_id, error)
        active = ActiveRun(
            self,
            start,
            self._spools(),
            source=source,
            console=source if console is None else console,
            system=source if system is None else system,
        )
        if texts:
            active.params(params)
        if tags:
            active.tags(tags)
        return active

    def read_table(self, run_id: str, name: str, *, step: int | None = None) -> pl.DataFrame:
        """A table that a run has logged; of one that was appended to, all parts; of a series the last, or `step`."""
        return read_table(self, run_id, name, step=step)

    def output(self, run_id: str) -> str:
        """What the processes of a run have printed, line by line with time and stream."""
        return read_output(self, run_id)

    def recover(self, *, run_id: str = "") -> int:
        """Send what dead processes of this machine left in their spools (of one run, when named); how many records.

        What cannot be sent now stays for the next time.
        """
        count = 0
        for spool in abandoned(self._spools(), run_id=run_id, workspace=caller().workspace):
            try:
                count += ship_rest(self, spool)
            except Unavailable:
                break
            except MainspringError as error:
                _log.warning("the records in %s are refused and stay there: %s", spool.path, error)
        return count

    def _spools(self) -> Path:
        """The folder of spools of this machine for this store or server."""
        store = getattr(self._backend, "store", None)
        if named := os.environ.get("MAINSPRING_SPOOL"):
            folder = Path(named)
        elif store is not None:
            return Path(store.path("spool"))
        else:
            state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
            folder = Path(state) / "mainspring" / "spool"
        address = [
            getattr(self._backend, "url", str(getattr(store, "folder", ""))),
            getattr(self._backend, "workspace", ""),
        ]
        folder = folder.expanduser() / digest_value("spool", address)[:16]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder
