"""The operations of tracking, and the run that a script holds."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mainspring.kernel.context import caller
from mainspring.kernel.errors import MainspringError, Unavailable
from mainspring.kernel.hashing import digest_value
from mainspring.tracking.annotations import AnnotationOperations
from mainspring.tracking.beginning import begin
from mainspring.tracking.chunks import decode_points
from mainspring.tracking.companions import check_console
from mainspring.tracking.history import points_frame
from mainspring.tracking.inputs import InputOperations
from mainspring.tracking.media_reading import read_output, read_table
from mainspring.tracking.params import encode_params
from mainspring.tracking.run import ActiveRun, current_id
from mainspring.tracking.runs import bare_id
from mainspring.tracking.service_experiments import ExperimentOperations
from mainspring.tracking.service_files import FileOperations
from mainspring.tracking.service_runs import RunOperations
from mainspring.tracking.service_search import SearchOperations
from mainspring.tracking.service_traces import TraceOperations
from mainspring.tracking.shipper import ship_rest
from mainspring.tracking.spool import abandoned
from mainspring.tracking.summary import rules_of, summarize
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
    TraceOperations,
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

    def summary(self, run_id: str) -> dict[str, float]:
        """The summary value of every metric of a run, by the rules of `run.define`; the last value without one."""
        found = self.get(run_id)
        return summarize(found.metrics, rules_of(found.tags))

    def run(
        self,
        experiment: str = "",
        *,
        params: Any = None,
        tags: Mapping[str, str] | None = None,
        title: str = "",
        kind: str = "training",
        parent: str = "",
        group: str = "",
        id: str = "",  # noqa: A002 -- what it is called everywhere
        resume: Literal["", "allow", "must", "never"] = "",
        fork_from: str = "",
        fork_step: int | None = None,
        offline: bool | None = None,
        source: bool = True,
        console: bool | str | None = None,
        system: bool | float | None = None,
    ) -> ActiveRun:
        """Begin a run to log into: `with client.tracking.run("flight-delay", params={"depth": 6}) as run: ...`.

        It begins even when the server is away. What runs left behind that were killed here is sent now, too. Inside the
        block of another run of this store it is that one's child. In a process whose environment has `MAINSPRING_RUN`,
        the id of a run, it joins that run: it writes beside the others, and does not end it.

        Args:
            experiment: The name that groups runs. May be left out where a run is continued or joined.
            params: A mapping, a dataclass or a struct, nested as you like.
            tags: Texts to find it by.
            title: A name for this one run.
            kind: The kind of run in the lineage.
            parent: The id of the run that this one is a part of.
            group: What several runs have in common.
            id: The id of the run: one that there is, to go on with it, or a new one.
            resume: What holds for an `id`: there `must` be such a run, there may `never` be one, or either (`allow`).
            fork_from: The run whose history up to `fork_step` is the beginning of this one's; nothing is copied.
            fork_step: The last step that is taken over.
            offline: Whether to keep everything on this machine until `recover` or `mainspring run sync` sends it; what
                the environment's `MAINSPRING_OFFLINE` says when left out.
            source: Whether to record the code's version, the machine and the packages.
            console: What is recorded of what the process prints: `python`, `process` (C libraries and children too) or
                `off`; True for what the settings say. As `source`, when left out.
            system: How often to look at the machine, in seconds; 0 for never, True for what the settings say. As
                `source`, when left out.

        Raises:
            NotFound: there is no run with this id, and there must be.
            AlreadyExists: there is one, and there never may be.
        """
        check_console(console or False)
        texts = encode_params(params) if params is not None else {}
        away = os.environ.get("MAINSPRING_OFFLINE", "") not in ("", "0", "false") if offline is None else offline
        wanted = RunStart(
            bare_id(id), experiment, kind, title, parent, group, forked_from=bare_id(fork_from), fork_step=fork_step
        )
        if not away:
            self.recover()
        begun = begin(self, wanted, resume=resume, offline=away, inherits=current_id(self._backend))
        active = ActiveRun(
            self,
            begun.start,
            self._spools(),
            source=source and begun.main,
            console=source if console is None else console,
            system=source if system is None else system,
            main=begun.main,
            offline=away,
            step=begun.step,
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
        for spool in abandoned(self._spools(), run_id=bare_id(run_id), workspace=caller().workspace):
            try:
                count += ship_rest(self, spool)
            except Unavailable:
                break
            except MainspringError as error:
                _log.warning("the records in %s are refused and stay there: %s", spool.path, error)
            except Exception:  # noqa: BLE001 -- a file that is torn must not keep the next run from beginning
                _log.exception("the records in %s cannot be read and stay there", spool.path)
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
