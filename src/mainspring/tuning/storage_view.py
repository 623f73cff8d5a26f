"""What a process knows of one study: its trials as Optuna has them, kept up to date by asking only for what is new.

A trial that is over never changes, so it is read once. What this process says of its running trials is seen here at
once and sent in one piece, at the latest `FLUSH_SECONDS` after it was said, or with the end of the trial.

Nothing here talks to the store. The caller holds `lock` for every method.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Container
from typing import Any

import msgspec
from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial, TrialState

from mainspring.kernel.clock import monotonic
from mainspring.tuning.storage_values import dimension_of, distribution_of, frozen
from mainspring.tuning.types import Changes, Direction, Study, Trial, TrialChange, marked, plain, real

__all__ = ["FLUSH_SECONDS", "SHIFT", "Said", "View"]

FLUSH_SECONDS = 0.02
SHIFT = 32
"""A trial's id in Optuna is the number of its study and, in so many lower bits, its own."""


class Said(msgspec.Struct):
    """What this process said of a running trial and has not sent yet."""

    since: float
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    reports: dict[int, float] = {}
    user_attrs: dict[str, Any] = {}
    system_attrs: dict[str, Any] = {}

    def before(self, later: Said) -> Said:
        """This, and then what was said later."""
        return Said(
            self.since,
            {**self.params, **later.params},
            {**self.distributions, **later.distributions},
            {**self.reports, **later.reports},
            {**self.user_attrs, **later.user_attrs},
            {**self.system_attrs, **later.system_attrs},
        )

    def change(self, trial: int) -> TrialChange:
        """It as a change of the trial with this number."""
        return TrialChange(
            trial,
            params={name: marked(value) for name, value in self.params.items()},
            distributions={name: dimension_of(each) for name, each in self.distributions.items()},
            reports={step: real(value) for step, value in self.reports.items()},
            user_attrs=self.user_attrs,
            system_attrs=self.system_attrs,
        )


class View:
    """One study, as this process knows it."""

    def __init__(self, study: Study) -> None:
        self.lock = threading.RLock()
        self.study = study
        self.directions: list[Direction] = study.directions
        self.user_attrs: dict[str, Any] = plain(study.user_attrs)
        self.system_attrs: dict[str, Any] = plain(study.system_attrs)
        self.revision = -1
        """Everything up to this change is known."""
        self.said: dict[int, Said] = {}
        self._unfolded: set[int] = set()
        self.sending: dict[int, Said] = {}
        self.own: dict[int, float] = {}
        """The running trials that this process took up, and when it last said that they live, by its own clock."""
        self.asked = 0.0
        """When the store was last asked what is new, by this process's own clock."""
        self._ahead: set[int] = set()
        self._trials: list[FrozenTrial | None] = []
        self._revisions: list[int] = []
        self._states: dict[TrialState, list[int]] = {state: [] for state in TrialState}
        self._snapshot: list[FrozenTrial] | None = None
        self._best: FrozenTrial | None = None
        self._spaces: dict[bytes, dict[str, BaseDistribution]] = {}
        self._first_distribution: dict[str, BaseDistribution] = {}

    # What is known

    def peek(self, place: int) -> FrozenTrial | None:
        """The trial with this number, perhaps without what this process said of it last: for its state."""
        return self._trials[place] if 0 <= place < len(self._trials) else None

    def trial(self, place: int) -> FrozenTrial | None:
        """The trial with this number, where it is known."""
        if place in self._unfolded:
            self._fold(place)
        return self.peek(place)

    def is_over(self, place: int) -> bool:
        """Whether a trial has ended and everything that was said of it before is known, also what others said."""
        trial = self.peek(place)
        return trial is not None and trial.state.is_finished() and self._revisions[place] <= self.revision

    def trials(self, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """All trials by their numbers, of these states only where they are given. The list is the caller's."""
        for place in list(self._unfolded):
            self._fold(place)
        if states is not None:
            numbers: list[int] = []
            wanted = [state for state in TrialState if state in states]
            if len(wanted) == 1:
                numbers = self._states[wanted[0]]
            else:
                numbers = sorted(each for state in wanted for each in self._states[state])
            return [trial for each in numbers if (trial := self._trials[each]) is not None]
        if self._snapshot is None:
            self._snapshot = [each for each in self._trials if each is not None]
        return self._snapshot[:]

    def begun(self) -> int:
        """How many trials have begun, those that are over included."""
        return sum(len(places) for state, places in self._states.items() if state != TrialState.WAITING)

    def best(self) -> FrozenTrial | None:
        """The complete trial with the best value, the earliest of equals."""
        return self._best

    # What is new

    def absorb(self, changes: Changes) -> None:
        """Take over what the store said."""
        for each in changes.trials:
            self.take(each)
        if changes.study is not None:
            self.take_study(changes.study)
        self.revision = max(self.revision, changes.revision)
        self._settle()

    def take_study(self, study: Study) -> None:
        """The study itself has changed."""
        self.study = study
        self.user_attrs, self.system_attrs = plain(study.user_attrs), plain(study.system_attrs)

    def saw(self, revision: int) -> None:
        """This change was our own, and is in here already."""
        self._ahead.add(revision)
        self._settle()

    def take(self, trial: Trial) -> None:
        """A trial as the store has it, unless something newer of it is known."""
        if trial.number < len(self._revisions) and self._revisions[trial.number] >= trial.revision:
            return
        made = frozen(trial, self.study.number << SHIFT | trial.number, self._distributions(trial))
        if made.state.is_finished():
            self.said.pop(trial.number, None)
            self._unfolded.discard(trial.number)
            self.own.pop(trial.number, None)
        else:
            self._add_unsent(made)
        self.put(made, trial.revision)

    def put(self, trial: FrozenTrial, revision: int) -> None:
        """A trial as it is since this change."""
        place = trial.number
        while len(self._trials) <= place:
            self._trials.append(None)
            self._revisions.append(-1)
        before = self._trials[place]
        self._trials[place] = trial
        self._revisions[place] = max(revision, self._revisions[place])
        self._snapshot = None
        if before is None or before.state != trial.state:
            if before is not None:
                self._states[before.state].remove(place)
            insort(self._states[trial.state], place)
        for name, each in trial.distributions.items():
            self._first_distribution.setdefault(name, each)
        if trial.state == TrialState.COMPLETE:
            self._judge(trial)

    # What this process says

    def check_distribution(self, name: str, distribution: BaseDistribution) -> bool:
        """Whether the parameter is known; `ValueError` when it is, as another kind of parameter."""
        known = self._first_distribution.get(name)
        if known is not None and known is not distribution:
            check_distribution_compatibility(known, distribution)
        return known is not None

    def say(self, place: int) -> Said:
        """What is said of a trial that is not over, and waits to be sent; it may be added to."""
        self._unfolded.add(place)
        found = self.said.get(place)
        if found is None:
            found = self.said[place] = Said(monotonic())
        return found

    def say_param(self, place: int, name: str, value: Any, distribution: BaseDistribution) -> None:
        """A parameter of a trial that is not over."""
        said = self.say(place)
        said.params[name], said.distributions[name] = value, distribution
        self._first_distribution.setdefault(name, distribution)

    def end(self, trial: FrozenTrial, revision: int, **news: Any) -> None:
        """A trial has ended by this change, which was ours."""
        made = FrozenTrial.__new__(FrozenTrial)
        made.__dict__.update(trial.__dict__)
        for name, value in news.items():
            setattr(made, name, value)
        # What others changed meanwhile may be of this very trial: then it is taken again when they are heard.
        self.put(made, revision if revision == self.revision + 1 else revision - 1)

    def unsent(self, place: int) -> Said | None:
        """Take what was said of a trial, also what is being sent, to send it with the trial's end."""
        self.trial(place)
        sending, said = self.sending.get(place), self.said.pop(place, None)
        return sending.before(said) if sending and said else sending or said

    def to_send(self, *, before: float, only: int | None = None) -> dict[int, Said]:
        """Take what was said before that moment, of one trial where it is named, to send it."""
        candidates = self.said.items() if only is None else [(only, self.said[only])] if only in self.said else []
        due = {place: each for place, each in candidates if each.since <= before and place not in self.sending}
        for place, each in due.items():
            self.trial(place)
            del self.said[place]
            self.sending[place] = each
        return due

    def _fold(self, place: int) -> None:
        """Put a copy of a trial in its place that has what was said of it; who has the old one keeps it as it was."""
        trial = self._trials[place]
        if trial is not None:
            made = FrozenTrial.__new__(FrozenTrial)
            made.__dict__.update(trial.__dict__)
            self._trials[place] = made
            self._add_unsent(made)
            self._snapshot = None

    def _add_unsent(self, made: FrozenTrial) -> None:
        self._unfolded.discard(made.number)
        for unsent in (self.sending.get(made.number), self.said.get(made.number)):
            if unsent is not None:
                made.params = {**made.params, **unsent.params}
                made.distributions = {**made.distributions, **unsent.distributions}
                made.intermediate_values = {**made.intermediate_values, **unsent.reports}
                made.user_attrs = {**made.user_attrs, **plain(unsent.user_attrs)}
                made.system_attrs = {**made.system_attrs, **plain(unsent.system_attrs)}

    def _settle(self) -> None:
        while self.revision + 1 in self._ahead:
            self.revision += 1
            self._ahead.discard(self.revision)
        if self._ahead:
            self._ahead = {each for each in self._ahead if each > self.revision}

    def _judge(self, trial: FrozenTrial) -> None:
        if len(self.directions) != 1 or not trial.values:
            return
        best = self._best
        if best is None or not best.values:
            self._best = trial
            return
        sign = -1 if self.directions[0] == "maximize" else 1
        if (sign * trial.values[0], trial.number) <= (sign * best.values[0], best.number):
            self._best = trial

    def _distributions(self, trial: Trial) -> dict[str, BaseDistribution]:
        """The distributions of a trial, made once for all trials that were drawn from the same."""
        space = {name: trial.distributions.get(name) or self.study.space.get(name) for name in trial.params}
        key = msgspec.json.encode(space)
        found = self._spaces.get(key)
        if found is None:
            found = {name: distribution_of(each) for name, each in space.items() if each is not None}
            self._spaces[key] = found
        return found
