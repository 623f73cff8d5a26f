"""An Optuna storage on a Mainspring store: unmodified Optuna programs, with their trials in the lineage.

    study = optuna.create_study(storage=MainspringStorage("path-or-url"), study_name="s", load_if_exists=True)

Needs the extra `tune`.
"""

from __future__ import annotations

import copy
import os
import uuid
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import AlreadyExists, Conflict, MissingDependency, NotFound

try:
    from optuna.distributions import BaseDistribution
    from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
    from optuna.storages import BaseStorage
    from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
    from optuna.storages._heartbeat import BaseHeartbeat
    from optuna.study._frozen import FrozenStudy
    from optuna.study._study_direction import StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:  # pragma: no cover -- shown by an environment without the extra
    raise MissingDependency("optuna", extra="tune") from error

from mainspring.tuning.storage_link import Link
from mainspring.tuning.storage_values import STATE_NAMES, directions_of, naive, new_trial, study_directions
from mainspring.tuning.storage_view import FLUSH_SECONDS, SHIFT, View
from mainspring.tuning.types import NewTrial, Study, TrialChange, marked, plain, real

if TYPE_CHECKING:
    import optuna

__all__ = ["MainspringStorage"]

_PAGE = 1000

Stale = Callable[["optuna.Study", FrozenTrial], None]


class MainspringStorage(BaseStorage, BaseHeartbeat):
    """Keeps Optuna's studies in a Mainspring store: in a folder, in PostgreSQL, or at a server.

    Any number of threads, processes and machines may work on a study. What is on the disk, and when:

    - How a trial ended is on the disk when `study.tell` returns, together with its parameters and all it reported. A
      trial that was enqueued or added is on the disk when the call returns, and so are attributes of studies.
    - That a trial began is seen by every process at once, under its own number; a waiting trial is given to one of all
      that want it. A power cut may take the beginning back, and with it the machine that ran the trial; the end of a
      process does not.
    - Parameters, reports and attributes of a trial that is still running are seen by this process at once and by others
      after at most 40 ms. What a process said in the 40 ms before it was killed is lost, if its trial had not ended.

    A trial that is over is read once; what is new is asked for by number, so that a study of 10,000 trials costs no
    more per trial than one of ten. Every trial is a run of the lineage.

    Args:
        client: A client of `mainspring.connect`, a folder, a URL, or nothing for the store that is meant here.
        token: Shown to a server, where `client` is a URL.
        workspace: The workspace at a server, where `client` is a URL.
        sync: Whether `study.tell` waits for the disk. Without, how a trial ended survives the end of the process at
            once, and a power cut after at most 40 ms or when `study.optimize` has returned.
        at_once: Whether what is said of a running trial is sent with each call, and not in one piece a moment later:
            for a server that must lose nothing which its clients were told it has.
        heartbeat_interval: Every so many seconds `study.optimize` says that its trial lives; None for never.
        grace_period: Seconds of silence after which a trial is failed; twice the interval by default.
        heartbeat_stale_trial_callback: What is called with each trial that was failed by its silence, for example
            `optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3)`.

    Example:
        >>> import optuna, tempfile
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> with MainspringStorage(tempfile.mkdtemp()) as storage:
        ...     study = optuna.create_study(storage=storage, sampler=optuna.samplers.TPESampler(seed=1))
        ...     study.optimize(lambda trial: trial.suggest_float("x", -10, 10) ** 2, n_trials=20)
        ...     study.best_value < 10
        True
    """

    def __init__(
        self,
        client: Any = "",
        *,
        token: str = "",
        workspace: str = "",
        sync: bool = True,
        at_once: bool = False,
        heartbeat_interval: float | None = None,
        grace_period: float | None = None,
        heartbeat_stale_trial_callback: Stale | None = None,
    ) -> None:
        if heartbeat_interval is not None and heartbeat_interval <= 0:
            raise ValueError("The value of `heartbeat_interval` should be a positive number.")
        if grace_period is not None and grace_period <= 0:
            raise ValueError("The value of `grace_period` should be a positive number.")
        given = hasattr(client, "tuning")
        self._address = str(client.address) if given else os.fspath(client)
        self._connecting = {name: text for name, text in (("token", token), ("workspace", workspace)) if text}
        self._sync, self._at_once = sync, at_once
        self._interval, self._grace = heartbeat_interval, grace_period
        self._callback = heartbeat_stale_trial_callback
        self._link = self._linked(client if given else None)

    def _linked(self, client: Any = None) -> Link:
        return Link(client, self._address, self._connecting, at_once=self._at_once)

    @property
    def link(self) -> Link:
        """The link to the store. A forked child gets one of its own."""
        if os.getpid() != self._link.process:
            self._link = self._linked()
        return self._link

    @property
    def client(self) -> Any:
        """What it works on."""
        return self.link.client

    def close(self) -> None:
        """Send what was said, and close the store if it was opened here."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        self.remove_session()
        kept = ("_address", "_connecting", "_sync", "_at_once", "_interval", "_grace", "_callback")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._link = self._linked()

    # Studies

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        name = DEFAULT_STUDY_NAME_PREFIX + str(uuid.uuid4()) if study_name is None else study_name
        try:
            study = self.link.call("create_shared", name=name, directions=directions_of(directions))
        except AlreadyExists as error:
            raise DuplicatedStudyError(error.message) from error
        self.link.keep(study)
        return int(study.number)

    def delete_study(self, study_id: int) -> None:
        view = self.link.view(study_id)
        try:
            self.link.call("delete", study_id=view.study.id)
        except NotFound as error:
            raise KeyError(error.message) from error
        finally:
            self.link.forget(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._annotate(study_id, user_attrs={key: marked(value)})

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._annotate(study_id, system_attrs={key: marked(value)})

    def get_study_id_from_name(self, study_name: str) -> int:
        try:
            study = self.link.call("get", study_id=study_name)
        except NotFound as error:
            raise KeyError(error.message) from error
        if study.unique_name != study_name:
            raise KeyError(f"no study is named {study_name!r}")
        return int(study.number)

    def get_study_name_from_id(self, study_id: int) -> str:
        return str(self.link.fresh(study_id).study.unique_name)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return study_directions(self.link.view(study_id).directions)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self.link.fresh(study_id).user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self.link.fresh(study_id).system_attrs

    def get_all_studies(self) -> list[FrozenStudy]:
        found: list[Study] = []
        before, page = 0, _PAGE
        while page == _PAGE:
            some: list[Study] = self.link.call("studies", name="", limit=_PAGE, before=before)
            found += some
            before, page = found[-1].number if found else 0, len(some)
        return [
            FrozenStudy(
                study_name=each.unique_name,
                direction=None,
                directions=study_directions(each.directions),
                user_attrs=plain(each.user_attrs),
                system_attrs=plain(each.system_attrs),
                study_id=each.number,
            )
            for each in reversed(found)
        ]

    # Trials, written

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        view = self.link.view(study_id)
        alive = self._interval is not None
        if template_trial is None:
            new = NewTrial(worker=self.link.worker, heartbeat=alive)
        else:
            new = msgspec.structs.replace(new_trial(template_trial, worker=self.link.worker), heartbeat=alive)
        trial = self.link.of_study(view, "begin", trial=new)
        with view.lock:
            view.take(trial)
            view.saw(trial.revision)
            if trial.state == "running":
                view.own[trial.number] = monotonic()
        return study_id << SHIFT | int(trial.number)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        link = self.link
        view, place = link.locate(trial_id)
        with view.lock:
            link.unfinished(view, place)
            known = view.check_distribution(param_name, distribution)
        if not known:  # another process may have another kind of parameter by this name
            link.refresh(view)
        value = distribution.to_external_repr(param_value_internal)
        with view.lock:
            if not known:
                view.check_distribution(param_name, distribution)
            link.unfinished(view, place)
            view.say_param(place, param_name, value, distribution)
        link.said(view, place)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        link = self.link
        view, place = link.locate(trial_id)
        with view.lock:
            link.unfinished(view, place)
            view.say(place).reports[step] = intermediate_value
        link.said(view, place)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._say_attr(trial_id, "user_attrs", key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._say_attr(trial_id, "system_attrs", key, value)

    def _say_attr(self, trial_id: int, kind: str, key: str, value: Any) -> None:
        kept = marked(value)
        msgspec.json.encode(kept)  # what cannot be kept is refused where it is said
        link = self.link
        view, place = link.locate(trial_id)
        with view.lock:
            link.unfinished(view, place)
            getattr(view.say(place), kind)[key] = kept
        link.said(view, place)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        link = self.link
        view, place = link.locate(trial_id)
        with view.lock:
            trial = link.unfinished(view, place)
        if state == TrialState.WAITING:
            raise ValueError("a trial cannot be made to wait: enqueue another one")
        if state == TrialState.RUNNING:
            return trial.state == TrialState.WAITING and self._claim(view, place)
        with view.lock:
            said = view.unsent(place)
        change = said.change(place) if said else TrialChange(place)
        told = None if values is None else [float(each) for each in values]
        change = msgspec.structs.replace(
            change, state=STATE_NAMES[state], values=None if told is None else [real(each) for each in told]
        )
        try:
            done = link.of_study(view, "change", changes=[change], sync=self._sync)
        except Conflict as error:
            link.refresh(view)
            raise UpdateFinishedTrialError(error.message) from error
        except BaseException:
            with view.lock:
                if said:
                    view.said[place] = said.before(view.say(place))
            raise
        with view.lock:
            view.own.pop(place, None)
            news = {} if told is None else {"_values": told}
            view.end(link.known(view, place), done.revision, state=state, datetime_complete=naive(done.at), **news)
            view.saw(done.revision)
        if not self._sync:
            link.ended(view)
        return True

    # Trials, read

    def get_trial(self, trial_id: int) -> FrozenTrial:
        view, place = self.link.locate(trial_id)
        with view.lock:
            trial = view.trial(place)
            if trial is not None and (
                view.is_over(place) or (place in view.own and monotonic() - view.asked < FLUSH_SECONDS)
            ):
                return trial
        self.link.refresh(view)
        with view.lock:
            return self.link.known(view, place)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 -- as the base class has it
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        view = self.link.fresh(study_id)
        with view.lock:
            trials = view.trials(states)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        trial_id = study_id << SHIFT | trial_number
        self.get_trial(trial_id)
        return trial_id

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        view = self.link.fresh(study_id)
        with view.lock:
            if not view.trials((TrialState.COMPLETE,)):
                raise ValueError("No trials are completed yet.")
            if len(view.directions) > 1:
                raise RuntimeError("Best trial can be obtained only for single-objective optimization.")
            best = view.best()
        if best is None:
            raise ValueError("No completed trial has a value.")
        return best

    # Workers that fall silent

    def record_heartbeat(self, trial_id: int) -> None:
        view, place = self.link.locate(trial_id)
        with view.lock:
            last = view.own.get(place)
            if last is not None and self._interval is not None and monotonic() - last < self._interval / 2:
                return
            if last is not None:
                view.own[place] = monotonic()
        self.link.of_study(view, "beat", numbers=[place])

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        view = self.link.view(study_id)
        grace = self._grace or 2 * (self._interval or 0)
        silent = self.link.of_study(view, "silent", seconds=grace)
        return [study_id << SHIFT | each.number for each in silent]

    def get_heartbeat_interval(self) -> int | None:
        return self._interval  # type: ignore[return-value]  # Optuna waits so many seconds, whole or not

    def get_heartbeat_stale_trial_callback(self) -> Stale | None:
        return self._callback

    def remove_session(self) -> None:
        """Send what was said of running trials, and wait until what has ended is on the disk."""
        self._link.send_now()

    def _annotate(self, study_id: int, **attrs: dict[str, Any]) -> None:
        view = self.link.view(study_id)
        study = self.link.of_study(view, "annotate", **{"user_attrs": {}, "system_attrs": {}, **attrs})
        with view.lock:
            view.take_study(study)

    def _claim(self, view: View, place: int) -> bool:
        with view.lock:
            said = {place: found} if (found := view.unsent(place)) else {}
        if said:
            self.link.send_of(view, said)
        taken = self.link.of_study(
            view,
            "claim",
            number=place,
            worker=self.link.worker,
            heartbeat=self._interval is not None,
        )
        if taken is None:
            self.link.refresh(view)
            return False
        with view.lock:
            view.take(taken)
            view.saw(taken.revision)
            view.own[place] = monotonic()
        return True
