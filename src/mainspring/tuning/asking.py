"""A study that is open: it is asked for trials and told how they ended. `tune` is made of it.

The truth is in the store; Optuna samples and prunes on it. Trials whose process died are tried again under their
numbers and with their parameters, as other runs.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import msgspec

from mainspring.kernel.clock import monotonic, now
from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.tuning.fronts import best_of, front_of
from mainspring.tuning.samplers import import_optuna, label_of, make_pruner, make_sampler
from mainspring.tuning.spaces import Space, flat
from mainspring.tuning.trying import Outcome, TrialHandle, judged
from mainspring.tuning.types import Direction, Importances, NewTrial, Study, Trial, TrialChange, marked

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SILENCE", "OpenStudy", "open_study", "with_distributions"]

SILENCE = timedelta(seconds=60)
"""A worker that was not heard for so long is dead."""

_mine: set[tuple[str, int]] = set()
"""The trials that are tried in this process."""
_taking = threading.RLock()
"""Held while a trial is begun or taken over: what is begun in this process is in `_mine` for all who look."""


class OpenStudy:
    """A study and its sampler. Of one thread at a time; its trials may be tried anywhere.

    Made by `client.tuning.study(...)`.
    """

    def __init__(
        self,
        client: Any,
        record: Study,
        *,
        space: Space | None,
        sampler: Any,
        pruner: Any,
        names: Sequence[str],
        sync: bool,
    ) -> None:
        from mainspring.tuning.storage import MainspringStorage
        from mainspring.tuning.storage_view import FLUSH_SECONDS

        self._fresh = FLUSH_SECONDS
        self.client = client
        self.record = record
        """The study as it was when it was opened."""
        self.space = space
        self.names = list(names)
        self.storage = MainspringStorage(client, sync=sync)
        self.optuna = import_optuna().load_study(
            study_name=record.unique_name, storage=self.storage, sampler=sampler, pruner=pruner
        )
        """The study of Optuna, on the same record."""
        self.optuna.stop = self._stop
        self.exhausted = False
        """Whether the sampler said that there is nothing left to try."""
        self._again: list[int] = []
        self._own: set[int] = set()

    @property
    def id(self) -> str:
        """Its run in the lineage."""
        return self.record.id

    def _stop(self) -> None:
        self.exhausted = True

    # Asking

    def ask(self) -> TrialHandle:
        """The next trial: one that lost its process, one that was enqueued, or a new one."""
        if self._again:
            return self.handle(self._again.pop(0))
        with _taking:
            asked = self.optuna.ask()
            self._register(asked.number)
        return self._handle(asked)

    def handle(self, number: int) -> TrialHandle:
        """The running trial with this number."""
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(self.record.number, number)
        return self._handle(import_optuna().trial.Trial(self.optuna, trial_id))

    def _handle(self, asked: Any) -> TrialHandle:
        trial = TrialHandle(self.client, self.id, asked, name=self.record.unique_name)
        self._register(trial.number)
        if self.space:
            trial.draw(self.space)
        return trial

    def _register(self, number: int) -> None:
        _mine.add((self.id, number))
        self._own.add(number)

    def _forget(self, number: int) -> None:
        _mine.discard((self.id, number))
        self._own.discard(number)

    def enqueue(self, params: Mapping[str, Any], *, attrs: Mapping[str, Any] | None = None) -> int:
        """Have these parameters tried before others; those that are not named are sampled. The number of the trial."""
        if self.space and (flat(self.space) or {}) and (unknown := sorted(set(params) - set(self.space))):
            raise InvalidInput(f"the space has no parameter {', '.join(unknown)}", known=sorted(self.space))
        new = NewTrial(state="waiting", system_attrs={"fixed_params": marked(dict(params)), **(attrs or {})})
        return int(self.client.tuning.begin(self.id, trial=new).number)

    # Telling

    def tell(
        self,
        trial: TrialHandle | int,
        values: float | Sequence[float] | Mapping[str, float] | None = None,
        *,
        state: str = "",
    ) -> Trial:
        """Say how a trial ended: with its values, or `state="pruned"` or `"failed"`. The trial as it is recorded."""
        if state not in ("", "finished", "pruned", "failed"):
            raise InvalidInput(f"state={state!r} is no end of a trial", known=["finished", "pruned", "failed"])
        if (values is None) == (state in ("", "finished")):
            raise InvalidInput("a trial ends with values, or pruned or failed without any")
        number = trial if isinstance(trial, int) else trial.number
        outcome = Outcome(state or "finished")  # type: ignore[arg-type]  # one of the three
        if values is not None:
            outcome = judged(values, names=self.names, objectives=len(self.record.directions))
            if outcome.state == "failed":
                raise InvalidInput(f"trial {number}: {outcome.error}", hint='state="failed"')
        if isinstance(trial, TrialHandle):
            trial.close(outcome)
        self.end(number, outcome)
        return self.trial(number)

    def end(self, number: int, outcome: Outcome) -> None:
        """Record how a trial ended."""
        states = import_optuna().trial.TrialState
        try:
            if outcome.state == "finished":
                self.optuna.tell(number, [float(each) for each in outcome.values], state=states.COMPLETE)
            elif outcome.state == "pruned":
                self.optuna.tell(number, state=states.PRUNED)
            else:
                change = TrialChange(number, error=outcome.error)
                if outcome.error:
                    self.client.tuning.change(self.id, changes=[change], sync=False)
                self.optuna.tell(number, state=states.FAIL)
        except (ValueError, import_optuna().exceptions.UpdateFinishedTrialError) as error:
            raise Conflict(f"trial {number} of study {self.record.unique_name}: {error}") from error
        finally:
            self._forget(number)

    def retry(self, number: int, *, error: str) -> TrialHandle:
        """Try a running trial anew, because it failed."""
        self.storage.link.send_now()
        old = self.trial(number)
        self.client.tuning.renew(
            self.id, number=number, trial_id=old.id, status="failed", error=error, worker=self.storage.link.worker
        )
        self.storage.link.fresh(self.record.number)
        return self.handle(number)

    def finish(self) -> Study:
        """End the study. Trials that are still running were lost."""
        self.storage.link.send_now()
        self.record = self.client.tuning.finish(self.id)
        return self.record

    # Going on

    def take_over(self) -> list[int]:
        """Take up the running trials whose processes are dead; the numbers of those that live elsewhere."""
        with _taking:
            return self._take_over()

    def _take_over(self) -> list[int]:
        elsewhere = []
        self.storage.link.send_now()
        for each in self._running():
            if each.number in self._own or each.number in self._again:
                continue
            if (self.id, each.number) in _mine or not _is_dead(each):
                elsewhere.append(each.number)
                continue
            try:
                worker = self.storage.link.worker
                self.client.tuning.renew(self.id, number=each.number, trial_id=each.id, error="lost", worker=worker)
            except Conflict:
                continue  # somebody else was faster
            self._again.append(each.number)
            self._register(each.number)
        if self._again:
            self.storage.link.fresh(self.record.number)
        return elsewhere

    def claim_again(self, number: int) -> bool:
        """Take one trial of a dead process to be tried again; whether it is one."""
        if number not in self._again:
            return False
        self._again.remove(number)
        return True

    @property
    def left(self) -> int:
        """How many trials of dead processes are to be tried again."""
        return len(self._again)

    def begun(self) -> int:
        """How many trials have begun, wherever, as of a moment ago: `ask` looks again."""
        link = self.storage.link
        view = link.view(self.record.number)
        if monotonic() - view.asked > self._fresh:
            link.refresh(view)
        with view.lock:
            return view.begun()

    def ended(self, number: int, outcome: Outcome) -> Trial:
        """What a budget asks of a trial that was ended here; nothing is read again."""
        view = self.storage.link.view(self.record.number)
        with view.lock:
            known = self.storage.link.known(view, number)
        return Trial(
            "",
            self.id,
            number,
            outcome.state,
            {},
            values=outcome.values,
            user_attrs=known.user_attrs,
            system_attrs=known.system_attrs,
        )

    def waiting(self) -> int:
        """How many trials were enqueued and not taken up."""
        view = self.storage.link.fresh(self.record.number)
        with view.lock:
            return len(view.trials((import_optuna().trial.TrialState.WAITING,)))

    def abandon(self) -> None:
        """No trial is tried here any more."""
        for number in list(self._own):
            self._forget(number)

    # Looking

    def trial(self, number: int) -> Trial:
        """A trial as it is recorded."""
        found: list[Trial] = self.client.tuning.trials(self.id, after=number - 1, limit=1)
        return found[0]

    def trials(self) -> list[Trial]:
        """All trials by their numbers, with everything that was said of them here."""
        self.storage.link.send_now()
        return list(self._pages())

    @property
    def best(self) -> Trial | None:
        """The finished trial with the best value that breaks no constraint; of several objectives the first counts."""
        return best_of(self.trials(), self.record.directions)

    @property
    def front(self) -> list[Trial]:
        """The finished trials than which no other is better in one objective and as good in all others."""
        return front_of(self.trials(), self.record.directions)

    def importances(self, *, objective: int = 0) -> Importances:
        """Which parameters matter."""
        found: Importances = self.client.tuning.importances(self.id, objective=objective)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.storage.link.send_now()

    def _pages(self) -> Iterator[Trial]:
        after, page = -1, [None]
        while page:
            page = self.client.tuning.trials(self.id, after=after, limit=10_000)
            yield from page
            after += len(page)

    def _running(self) -> list[Trial]:
        states = import_optuna().trial.TrialState
        view = self.storage.link.fresh(self.record.number)
        with view.lock:
            numbers = [each.number for each in view.trials((states.RUNNING,))]
        return [each for each in map(self.trial, numbers) if each.state == "running"]


def open_study(
    client: Any,
    name: str,
    *,
    space: Space | None,
    direction: Direction | Sequence[Direction],
    sampler: Any,
    sampler_options: Mapping[str, Any] | None,
    pruner: Any,
    pruner_options: Mapping[str, Any] | None,
    fixed: Mapping[str, Any] | None,
    metrics: Sequence[str],
    seed: int,
    key: str,
    parent_id: str = "",
    sync: bool = True,
) -> OpenStudy:
    """Make a study or go on with the one of this key. The arguments are those of `tune`.

    With `sync`, how a trial ended is on the disk when `tell` returns. Without, it survives the end of the process, and
    a power cut a moment later.
    """
    directions: list[Direction] = [direction] if isinstance(direction, str) else list(direction)
    declared = flat(space) if space else {}
    names = list(metrics)
    if names and len(names) != len(directions):
        raise InvalidInput(f"{len(names)} names of metrics for {len(directions)} directions")
    if len(directions) > 1 and pruner != "none":
        raise InvalidInput("a trial of several objectives cannot be pruned")
    made_sampler = make_sampler(sampler, sampler_options, seed=seed, space=declared, fixed=fixed)
    made_pruner = make_pruner(pruner, pruner_options)
    attrs: dict[str, Any] = {"study:metric_names": names} if names else {}
    record = client.tuning.create(
        name,
        space=declared or {},
        directions=directions,
        sampler=label_of(sampler, {**(sampler_options or {}), **({"fixed": dict(fixed)} if fixed else {})}),
        pruner=label_of(pruner, pruner_options),
        seed=seed,
        key=key,
        parent_id=parent_id,
        system_attrs=attrs,
    )
    return OpenStudy(client, record, space=space, sampler=made_sampler, pruner=made_pruner, names=names, sync=sync)


def _is_dead(trial: Trial) -> bool:
    host, _, process = trial.worker.rpartition(":")
    heard = trial.heartbeat_at or trial.started_at
    if heard is None or now() - heard > SILENCE:
        return True
    if host != socket.gethostname() or not process.isdigit():
        return False
    if int(process) == os.getpid():
        return True  # of an earlier search of this process: what is tried now is in `_mine`
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def with_distributions(trial: Trial, study: Study) -> Trial:
    """The trial with what each of its parameters was drawn from."""
    return msgspec.structs.replace(trial, distributions={**study.space, **trial.distributions})
