"""The loop of a search: trials are begun, tried somewhere, told; until there is enough."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

import msgspec

from mainspring.engines.tasks import ProcessDied, TaskEngine, open_tasks
from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.kernel.ids import new_id
from mainspring.pipelines.decorators import Step, main_script
from mainspring.tuning.asking import OpenStudy
from mainspring.tuning.budgets import Budget, Spent
from mainspring.tuning.progress import Progress
from mainspring.tuning.samplers import PRUNERS, SAMPLERS, import_optuna, make_sampler
from mainspring.tuning.service_open import client_of
from mainspring.tuning.spaces import grid_of
from mainspring.tuning.trying import Form, Outcome, Request, TrialHandle, address_of, attempt, here, judged
from mainspring.tuning.types import Trial, marked

__all__ = ["Driver", "Plan", "calls_of_flow"]

_BEAT_SECONDS = 10.0
_LOOK_AGAIN = 0.25
_HERE = "mainspring.tuning.trying:execute_here"
_THERE = "mainspring.tuning.trying:execute"
_outcomes = msgspec.msgpack.Decoder(Outcome)


class Plan(msgspec.Struct, frozen=True):
    """What a search does besides what its study says."""

    objective: Callable[..., Any]
    form: Form
    budget: Budget
    parallel: int
    where: str
    retries: int
    catch: Any
    keyed: bool
    """Whether somebody may go on with the study: then what is interrupted stays as it is."""
    progress: bool | None
    sampler: tuple[Any, dict[str, Any], dict[str, Any]]
    pruner: tuple[Any, dict[str, Any]]
    added: int = 0
    """Trials of other studies."""


class FlowCalls(msgspec.Struct, frozen=True):
    """The body of a flow in which the search runs."""

    run_id: str
    step: Any
    client: Any
    """Of the store that the flow runs on."""

    def submit(self, params: dict[str, Any]) -> Future[Any]:
        """Call the objective as a step of the flow."""
        future: Future[Any] = self.step.submit(**params)
        return future


class _Flight(msgspec.Struct):
    """A trial that is tried."""

    trial: TrialHandle
    future: Future[Any]
    attempt: int = 1
    closing: Any = None


class Driver:
    """One search over an open study."""

    def __init__(self, study: OpenStudy, plan: Plan, flow: FlowCalls | None = None) -> None:
        self._study = study
        self._plan = plan
        self._flow = flow
        self._spent = Spent(plan.budget, study.record.directions)
        self._progress = Progress(plan.progress, plan.budget.trials)
        self._flying: dict[int, _Flight] = {}
        self._exhausted = False
        self._before: Callable[[], bool] | None = None
        self._points = _points(study, plan)
        self._engine: TaskEngine | None = None
        self._address = ""
        if flow is None:
            if plan.where in ("process", "ray"):
                self._address = address_of(plan.objective)
            self._engine = open_tasks(
                plan.where,
                width=plan.parallel,
                preload=["mainspring.tuning.trying", "mainspring.tuning.storage"],
                main=main_script() if self._address.startswith("__main__:") else "",
            )

    def run(self, *, before: Callable[[], bool] | None = None) -> str:
        """Search; why it stopped. `before` is called when nothing waits to be tried, to enqueue what is."""
        self._before = before
        beating = threading.Event()
        context = contextvars.copy_context()
        beat = threading.Thread(
            target=context.run, args=(self._beat, beating), name="mainspring-trial-beats", daemon=True
        )
        beat.start()
        done = False
        try:
            self._take_up()
            if self._before is not None:
                self._before()
            while self._fill() or self._flying:
                self._land()
            done = True
            return self._why()
        finally:
            beating.set()
            self._progress.close()
            if self._engine is not None:
                self._engine.close()
            self._study.abandon()
            if done or not self._plan.keyed:
                self._study.finish()

    def _take_up(self) -> None:
        """Go on where an earlier call stopped."""
        self._study.take_over()
        for each in self._study.trials():
            if each.ended and "warm:trial" not in each.system_attrs:
                self._spent.end(each)
        if self._flow is not None:
            self._replay(self._flow)

    def _replay(self, flow: FlowCalls) -> None:
        """In the body of a flow, call all steps again in their order: those that ended keep their places."""
        known = []
        for each in self._study.trials():
            if each.ended and "warm:trial" not in each.system_attrs:
                known.append(flow.submit(self._named(each)))
            elif self._study.claim_again(each.number):
                self._fly(self._study.handle(each.number))
        for future in known:
            with contextlib.suppress(Exception):  # it failed then, too
                future.result()

    def _named(self, trial: Trial) -> dict[str, Any]:
        return {name: trial.params.get(name) for name in self._study.record.space}

    def _fill(self) -> bool:
        """Begin trials as long as there is room and budget; whether there may be something to wait for."""
        while len(self._flying) < self._plan.parallel and not self._exhausted:
            if not self._study.left:
                if self._before is not None and not self._is_bred():
                    break
                self._spent.begun = self._study.begun()
                if self._spent.over() or self._is_exhausted():
                    break
            self._fly(self._study.ask())
            if self._plan.where == "inline":
                break
        if self._flying:
            return True
        # Others may try trials of this study; one whose process dies meanwhile is ours.
        elsewhere = self._study.take_over()
        if elsewhere and not self._study.left:
            threading.Event().wait(_LOOK_AGAIN)
        return bool(elsewhere or self._study.left)

    def _is_bred(self) -> bool:
        """Whether a trial waits, after those who enqueue them were asked."""
        if not self._study.waiting() and not self._flying and self._before is not None:
            self._before()
        return self._study.waiting() > 0

    def _is_exhausted(self) -> bool:
        """Whether a grid is through."""
        through = bool(self._points) and self._spent.begun >= self._points and not self._study.waiting()
        self._exhausted = self._study.exhausted or through
        return self._exhausted

    def _fly(self, trial: TrialHandle, attempt_number: int = 1) -> None:
        flight = _Flight(trial, Future(), attempt_number)
        self._flying[trial.number] = flight
        if self._flow is not None:
            flight.future = self._flow.submit(trial.params)
            return
        if self._engine is None:
            raise InvalidInput("the search has ended")
        if self._address:
            flight.future = self._engine.submit(_THERE, msgspec.msgpack.encode(self._request(trial)))
            return
        plan, objectives = self._plan, len(self._study.record.directions)
        context = contextvars.copy_context()
        work = functools.partial(
            context.run, attempt, plan.objective, plan.form, trial, names=self._study.names, objectives=objectives
        )
        flight.closing = here(new_id(), work)
        flight.future = self._engine.submit(_HERE, flight.closing.__enter__())

    def _land(self) -> None:
        """Wait for the first trial that ends, and record its end and those of all that have."""
        if not self._flying:
            return
        futures = {flight.future: number for number, flight in self._flying.items()}
        for future in wait(futures, return_when=FIRST_COMPLETED).done:
            flight = self._flying[futures[future]]
            if flight.closing is not None:
                flight.closing.__exit__(None, None, None)
            outcome = self._outcome(future)
            number = flight.trial.number
            again = self._flow is None and flight.attempt <= self._plan.retries
            if outcome.state == "failed" and again and not self._raises(outcome):
                del self._flying[number]
                self._fly(self._study.retry(number, error=outcome.error), flight.attempt + 1)
                continue
            if self._address:
                self._study.storage.link.fresh(self._study.record.number)
            self._study.end(number, outcome)
            del self._flying[number]
            self._spent.end(self._study.ended(number, outcome))
            self._progress.show(self._spent, len(self._flying))
            if (error := self._raises(outcome)) is not None:
                raise error

    def _outcome(self, future: Future[Any]) -> Outcome:
        if self._flow is not None:
            try:
                return judged(future.result(), names=self._study.names, objectives=len(self._study.record.directions))
            except Exception as error:  # noqa: BLE001 -- the boundary of the trial
                return Outcome("failed", error=f"{type(error).__name__}: {error}"[:2000])
        try:
            return _outcomes.decode(future.result())
        except ProcessDied as error:
            return Outcome("failed", error=f"the process died: {error.message}"[:2000])

    def _raises(self, outcome: Outcome) -> BaseException | None:
        if outcome.failure is None:
            return None
        error = outcome.failure.as_exception()
        known = outcome.failure.pickled or isinstance(error, MainspringError)
        return None if isinstance(error, self._plan.catch) or not known else error

    def _request(self, trial: TrialHandle) -> Request:
        asked, plan = trial._asked, self._plan  # noqa: SLF001 -- ours
        relative: dict[str, Any] = {}
        spaces: dict[str, str] = {}
        if plan.form == "trial":
            relative = asked.relative_params
            to_json = import_optuna().distributions.distribution_to_json
            spaces = {name: to_json(each) for name, each in (asked.relative_search_space or {}).items()}
        record = self._study.record
        kind, options, fixed = plan.sampler
        base = b""
        if plan.form == "trial" and (kind in SAMPLERS if isinstance(kind, str) else True):
            base = pickle.dumps(functools.partial(make_sampler, kind, options, seed=record.seed, fixed=fixed))
        pruner, settings = plan.pruner
        if pruner not in PRUNERS:
            raise InvalidInput("a pruner is named where trials run in other processes", known=sorted(PRUNERS))
        return Request(
            objective=self._address,
            form=plan.form,
            store=self._study.client.address,
            study=record.id,
            study_name=record.unique_name,
            trial=record.number << 32 | trial.number,
            params=marked(trial.params) if self._study.space else None,
            relative=marked(relative),
            distributions=spaces,
            sampler=base,
            pruner=(pruner, settings),
            names=self._study.names,
            objectives=len(record.directions),
        )

    def _beat(self, over: threading.Event) -> None:
        """Say that what is tried here lives."""
        while not over.wait(_BEAT_SECONDS):
            with contextlib.suppress(MainspringError):
                self._study.client.tuning.beat(self._study.id, numbers=list(self._flying))

    def _why(self) -> str:
        return "exhausted" if self._exhausted else self._spent.over() or "trials"


def calls_of_flow(objective: Any) -> FlowCalls | None:
    """The flow in whose body this is, where the objective is a step."""
    if not isinstance(objective, Step) or "mainspring.pipelines.runtime" not in sys.modules:
        return None
    from mainspring.pipelines.runtime import current_session

    session = current_session()
    return None if session is None else FlowCalls(session.run.id, objective, client_of(session.calls.service))


def _points(study: OpenStudy, plan: Plan) -> int:
    """How many points a grid has; 0 for what is no grid."""
    kind, options, _ = plan.sampler
    if kind not in ("grid", "bruteforce"):
        return 0
    if "search_space" in options:
        values = options["search_space"]
    elif study.record.space:
        values = grid_of(study.record.space)
    else:
        return 0
    size = 1
    for each in values.values():
        size *= len(each)
    return size + plan.added
