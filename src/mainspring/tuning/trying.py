"""Trying one set of parameters: the objective is called here, in this thread, another process or on another machine."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from mainspring.kernel.errors import Conflict, InvalidInput
from mainspring.kernel.hooks import load
from mainspring.pipelines.decorators import Step, main_script
from mainspring.pipelines.remote import Failure, failure_of, resolve_step
from mainspring.tracking.run import ActiveRun, offering
from mainspring.tuning.budgets import COST
from mainspring.tuning.checkpoints import load_checkpoint, save_checkpoint
from mainspring.tuning.samplers import import_optuna, make_pruner
from mainspring.tuning.spaces import Space, draw
from mainspring.tuning.types import Real, TrialState, plain, real

__all__ = [
    "CHECKPOINT",
    "FORERUNNER",
    "Form",
    "Outcome",
    "Pruned",
    "Request",
    "TrialHandle",
    "address_of",
    "attempt",
    "execute",
    "form_of",
    "here",
]

CHECKPOINT = "checkpoint"
"""The attribute of a trial with the artifact that it goes on from, and the one with what it left."""
FORERUNNER = "forerunner"
"""The attribute of a trial with the trial whose checkpoint it goes on from."""

Form = Literal["trial", "params", "params and trial", "keywords", "keywords and trial"]
"""How an objective wants to be called."""


class Pruned(Exception):
    """Raised out of an objective whose trial is not worth finishing."""


class TrialHandle:
    """The trial that an objective tries: what it may ask for its parameters, and tell on the way.

    It has the `suggest_*`, `report` and `should_prune` of Optuna's trial, so that an objective for Optuna works as it
    is. What it logs, uses and makes hangs on its run, which has the same id.
    """

    def __init__(self, client: Any, study_id: str, asked: Any, *, name: str = "") -> None:
        self._client = client
        self._study_id = study_id
        self._asked = asked
        self._name = name
        self._run: ActiveRun | None = None
        self._drawn: dict[str, Any] | None = None
        self._last: tuple[int, float] | None = None
        self._prunes = len(asked.study.directions) == 1
        self.number: int = asked.number
        """0, 1, 2, ... within the study."""

    @functools.cached_property
    def id(self) -> str:
        """Its run in the lineage: give it to what records artifacts."""
        return str(self._client.tuning.trials(self._study_id, after=self.number - 1, limit=1)[0].id)

    @property
    def params(self) -> dict[str, Any]:
        """What it tries, as far as it was asked for."""
        return dict(self._asked.params) if self._drawn is None else dict(self._drawn)

    def draw(self, space: Space) -> dict[str, Any]:
        """Take the parameters of a space."""
        self._drawn = draw(space, self._asked)
        return dict(self._drawn)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> Any:
        """A real number from `low` to `high`."""
        return self._asked.suggest_float(name, low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> Any:
        """A whole number from `low` to `high`."""
        return self._asked.suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`."""
        return self._asked.suggest_categorical(name, choices)

    def report(self, value: float, step: int) -> None:
        """Say how good it is after `step` steps; raises `Pruned` when others were so much better that it may stop."""
        if not math.isfinite(value):
            raise InvalidInput(f"trial {self.number}, step {step}: {value} cannot be compared")
        if not self._prunes:
            raise InvalidInput("a trial of several objectives reports nothing on the way: there is no better or worse")
        self._asked.report(value, step)
        self._last = step, float(value)
        if self._asked.should_prune():
            raise Pruned

    def should_prune(self) -> bool:
        """Whether it may stop: never, because `report` has stopped it then."""
        return bool(self._prunes and self._asked.should_prune())

    def constrain(self, **values: float) -> None:
        """Say how far each constraint is broken: one holds where its value is not above 0."""
        for name, value in values.items():
            self._asked.set_constraint(name, float(value))

    def spend(self, cost: float) -> None:
        """Say what it cost, in the unit of the search's `max_cost`; more than once, and it adds up."""
        if not (math.isfinite(cost) and cost >= 0):
            raise InvalidInput(f"{cost} is no cost")
        self._asked.set_user_attr(COST, float(self._asked.user_attrs.get(COST, 0.0)) + float(cost))

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep something beside it: any JSON."""
        self._asked.set_user_attr(key, value)

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What was kept beside it."""
        return dict(self._asked.user_attrs)

    @property
    def _system_attrs(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._asked.storage.get_trial(self._asked._trial_id).system_attrs  # noqa: SLF001 -- Optuna's storages take it
        return found

    @property
    def generation(self) -> int:
        """Of a population: 0, 1, 2, ..."""
        return int(self._system_attrs.get("generation", 0))

    @functools.cached_property
    def checkpoint(self) -> Any:
        """What its forerunner in a population saved, or None; from then on its run has used it."""
        artifact = self._system_attrs.get(CHECKPOINT, "")
        return load_checkpoint(self._client, self._study_id, self.number, artifact) if artifact else None

    def save(self, value: Any) -> None:
        """Keep what was learned so far, for itself and for those that go on from it: bytes, arrays, frames, JSON."""
        self._asked.set_user_attr(CHECKPOINT, save_checkpoint(self._client, self._study_id, self.number, value))

    @property
    def run(self) -> ActiveRun:
        """Its run, to log into; `ms.log` inside the objective does."""
        if self._run is None:
            with offering(None):
                self._run = self._client.tracking.run(
                    self._name or "study",
                    id=self.id,
                    resume="allow",
                    kind="trial",
                    source=False,
                    title=str(self.number),
                )
            if self.params:
                self._run.params(self.params)
        return self._run

    def log(self, metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **values: Any) -> None:
        """Log values into its run."""
        self.run.log(metrics, step=step, **values)

    def use(self, ref: str, *, role: str = "") -> None:
        """Record that it uses an artifact: `trial.use("dataset/flights@3")`."""
        self.run.use(ref, role=role)

    def close(self, outcome: Outcome) -> None:
        """End its run, where it logged anything."""
        if self._run is None:
            return
        if outcome.state == "failed":
            self._run.finish(status="failed", error=outcome.error)
            return
        numbers = [float(each) for each in outcome.values]
        named = {"value" if len(numbers) == 1 else f"value/{place}": each for place, each in enumerate(numbers)}
        if named:
            with contextlib.suppress(Conflict):  # the objective has finished it
                self._run.log(named)
        self._run.finish()


class Outcome(msgspec.Struct, frozen=True):
    """How a trial ended."""

    state: TrialState
    values: list[Real] = []
    error: str = ""
    failure: Failure | None = None


class Request(msgspec.Struct, frozen=True):
    """What a process needs to try a trial."""

    objective: str
    """`module:name`."""
    form: Form
    store: str
    """Folder or URL of the store."""
    study: str
    study_name: str
    trial: int
    """The trial, as Optuna's storage knows it."""
    params: dict[str, Any] | None
    """What was drawn for it; None where the objective asks."""
    relative: dict[str, Any]
    """What the sampler drew at once, for an objective that asks."""
    distributions: dict[str, str]
    sampler: bytes
    pruner: tuple[str, dict[str, Any]]
    names: list[str]
    objectives: int


def form_of(objective: Callable[..., Any], space: Space | None) -> Form:
    """How the objective wants to be called: by what its parameters are called, and how many there are."""
    function = objective.function if isinstance(objective, Step) else objective
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return "params" if space else "trial"
    if not space:
        return "trial"
    named = {each.name for each in parameters}
    if any(each.kind == each.VAR_KEYWORD for each in parameters) or named & set(space):
        return "keywords and trial" if "trial" in named and "trial" not in space else "keywords"
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    required = [each for each in places if each.default is each.empty]
    return "params and trial" if len(required) >= 2 else "params"


def address_of(objective: Callable[..., Any]) -> str:
    """`module:name` of an objective that another process can find.

    Raises:
        InvalidInput: It is made inside a function, or in a notebook.
    """
    function = objective.function if isinstance(objective, Step) else objective
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    same = found is objective or getattr(found, "function", None) is function
    if not module or not name or not same or (module == "__main__" and not main_script()):
        raise InvalidInput(
            f"another process cannot find the objective {name or objective!r}",
            hint='define it at the top of a module, or say where="thread"',
        )
    return f"{module}:{name}"


def attempt(
    objective: Callable[..., Any], form: Form, trial: TrialHandle, *, names: Sequence[str], objectives: int
) -> Outcome:
    """Call the objective; how that ended."""
    pruned = (Pruned, import_optuna().TrialPruned)
    params = trial.params
    try:
        with offering(lambda: trial.run):
            if form == "trial":
                answer = objective(trial)
            elif form in ("params", "params and trial"):
                answer = objective(params, trial) if form == "params and trial" else objective(params)
            else:
                answer = objective(**params, trial=trial) if form == "keywords and trial" else objective(**params)
        outcome = judged(answer, names=names, objectives=objectives)
    except pruned:
        outcome = Outcome("pruned")
    except Exception as raised:  # noqa: BLE001 -- the boundary of the trial: it failed, the study goes on
        outcome = Outcome("failed", error=f"{type(raised).__name__}: {raised}"[:2000], failure=failure_of(raised))
    trial.close(outcome)
    return outcome


def judged(answer: Any, *, names: Sequence[str], objectives: int) -> Outcome:
    """What an objective returned, as the end of its trial."""
    if isinstance(answer, Mapping):
        missing = [name for name in names if name not in answer]
        if missing or not names:
            return Outcome("failed", error=f"the objective returned {sorted(answer)}, and not {', '.join(names)}")
        answer = [answer[name] for name in names]
    found = answer if isinstance(answer, Sequence) and not isinstance(answer, str) else [answer]
    if len(found) != objectives:
        return Outcome("failed", error=f"the objective returned {len(found)} values for {objectives} objectives")
    try:
        numbers = [float(each) for each in found]
    except (TypeError, ValueError):
        return Outcome("failed", error=f"the objective returned {answer!r}, which is no number"[:500])
    for each in numbers:
        if not math.isfinite(each):
            return Outcome("failed", error=f"the value is {each}")
    return Outcome("finished", [real(each) for each in numbers])


def execute(payload: bytes) -> bytes:
    """Try the trial of a `Request` in a process of its own; the bytes of an `Outcome`."""
    request = _requests.decode(payload)
    optuna = import_optuna()
    storage = _storage(request.store)
    given = _given(optuna, request)
    study = optuna.load_study(
        study_name=request.study_name, storage=storage, sampler=given, pruner=make_pruner(*request.pruner)
    )
    try:
        found = resolve_step(request.objective)
        asked = optuna.trial.Trial(study, request.trial)
        trial = TrialHandle(storage.client, request.study, asked, name=request.study_name)
        if request.params is not None:
            trial._drawn = plain(request.params)  # noqa: SLF001 -- the same module
        outcome = attempt(found, request.form, trial, names=request.names, objectives=request.objectives)
    finally:
        storage.remove_session()
    return msgspec.msgpack.encode(outcome)


def _given(optuna: Any, request: Request) -> Any:
    """A sampler that gives what was drawn already, and draws what an objective asks for besides."""
    import pickle

    base = pickle.loads(request.sampler)() if request.sampler else None  # noqa: S301 -- from the process that started this one
    space = {name: optuna.distributions.json_to_distribution(each) for name, each in request.distributions.items()}

    class Given(optuna.samplers.RandomSampler):  # type: ignore[misc]  # Optuna is imported when it is used
        """See `_given`."""

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            del study, trial
            return space

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            del study, trial, search_space
            return plain(request.relative)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            if base is None:
                return super().sample_independent(study, trial, param_name, param_distribution)
            return base.sample_independent(study, trial, param_name, param_distribution)

    return Given()


_here: dict[str, Callable[[], Outcome]] = {}


@contextlib.contextmanager
def here(token: str, work: Callable[[], Outcome]) -> Iterator[bytes]:
    """Make a piece of work of this process known to the engines that run in it; what to submit."""
    _here[token] = work
    try:
        yield token.encode()
    finally:
        _here.pop(token, None)


def execute_here(payload: bytes) -> bytes:
    """Do what was made known by `here`."""
    return msgspec.msgpack.encode(_here[payload.decode()]())


_requests = msgspec.msgpack.Decoder(Request)


@functools.cache
def _storage(store: str) -> Any:
    from mainspring.tuning.storage import MainspringStorage

    return MainspringStorage(load("mainspring.client.client:connect")(store))
