"""The link between Optuna's storage and the store: who calls, what is known, what was said and has to be sent."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import socket
import threading
import time
import weakref
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial

from mainspring.kernel.clock import monotonic
from mainspring.kernel.context import OWNER, acting_as, caller
from mainspring.kernel.errors import Conflict, MainspringError, NotFound
from mainspring.kernel.hooks import PEER, load
from mainspring.tuning.storage_view import FLUSH_SECONDS, SHIFT, Said, View
from mainspring.tuning.types import Study

__all__ = ["Link"]

_TRIALS = 10_000
_PAUSE_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Link:
    """One process's link to the store. Safe to use from many threads.

    Args:
        client: A client that is open already, or None.
        address: What to open otherwise, with what `connect` takes besides.
        at_once: Whether what is said of a running trial is sent with each call, and not in one piece a moment later.
    """

    def __init__(self, client: Any, address: str, connecting: dict[str, str], *, at_once: bool) -> None:
        self.opened = client is None
        self.closed = False
        self.client = load(PEER)(address, **connecting) if client is None else client
        self.process = os.getpid()
        self.worker = f"{socket.gethostname()}:{self.process}"
        self._at_once = at_once
        self._maker = caller()
        self._views: dict[int, View] = {}
        self._guard = threading.Lock()
        self._unsent = threading.Event()
        self._unsettled: dict[int, View] = {}
        self._sender: threading.Thread | None = None
        if self.opened:
            weakref.finalize(self, self.client.close)
        _alive.add(self)

    def close(self) -> None:
        """Send what was said, and close the store if it was opened here."""
        if self.closed or os.getpid() != self.process:
            return
        self.closed = True
        try:
            self.send_now()
        finally:
            self._unsent.set()  # the sender looks up, and ends
            if self.opened:
                self.client.close()

    # Calling

    def call(self, verb: str, **arguments: Any) -> Any:
        """Call an operation with all its arguments, which are of the right types: nothing checks them again.

        A thread that Optuna began calls as who made this storage.
        """
        service = self.client.tuning
        declared = getattr(type(service), verb).operation
        if self._maker is OWNER or caller() is not OWNER:
            return self.client.backend.invoke(service, declared, arguments)
        with acting_as(self._maker):
            return self.client.backend.invoke(service, declared, arguments)

    def of_study(self, view: View, verb: str, **arguments: Any) -> Any:
        """Call an operation on a study; `KeyError` when it is gone."""
        try:
            return self.call(verb, study_id=view.study.id, **arguments)
        except NotFound as error:
            self.forget(view.study.number)
            raise KeyError(error.message) from error

    # Knowing

    def keep(self, study: Study) -> View:
        """What is known of a study, from now on."""
        with self._guard:
            return self._views.setdefault(study.number, View(study))

    def forget(self, study_id: int) -> None:
        """A study is gone."""
        self._views.pop(study_id, None)

    def view(self, study_id: int) -> View:
        """What is known of a study; `KeyError` when there is none with this number."""
        view = self._views.get(study_id)
        if view is not None:
            return view
        found = []
        if 0 < study_id < 1 << 31:
            found = self.call("studies", name="", limit=1, before=study_id + 1)
        if not found or found[0].number != study_id:
            raise KeyError(f"there is no study with the id {study_id}")
        return self.keep(found[0])

    def fresh(self, study_id: int) -> View:
        """What is known of a study, with everything that was committed before this call."""
        view = self.view(study_id)
        self.refresh(view)
        return view

    def refresh(self, view: View) -> None:
        """Ask what is new of a study."""
        more = True
        while more:
            asked = monotonic()
            changes = self.of_study(view, "changes", since=view.revision, limit=_TRIALS)
            with view.lock:
                view.absorb(changes)
                view.asked = asked
            more = changes.more

    def locate(self, trial_id: int) -> tuple[View, int]:
        """The study of a trial and its number there; `KeyError` when there is none."""
        view, place = self.view(trial_id >> SHIFT), trial_id & (1 << SHIFT) - 1
        if view.peek(place) is None:
            self.refresh(view)
            self.known(view, place)
        return view, place

    @staticmethod
    def known(view: View, place: int) -> FrozenTrial:
        """A trial; `KeyError` when there is none."""
        trial = view.trial(place)
        if trial is None:
            raise KeyError(f"study {view.study.unique_name!r} has no trial {place}")
        return trial

    def unfinished(self, view: View, place: int) -> FrozenTrial:
        """A trial that is not over, as `peek` has it; `UpdateFinishedTrialError` otherwise."""
        trial = view.peek(place) or self.known(view, place)
        if trial.state.is_finished():
            raise UpdateFinishedTrialError(f"Trial#{place} has already finished and can not be updated.")
        return trial

    # Sending

    def said(self, view: View, place: int) -> None:
        """Something was said of a running trial."""
        if not self._at_once:
            self._send_soon()
            return
        with view.lock:
            due = view.to_send(before=float("inf"), only=place)
        if due:
            self.send_of(view, due)
        else:  # another call is sending what was said of the same trial
            self._send_soon()

    def ended(self, view: View) -> None:
        """A trial has ended, and that is not on the disk yet."""
        self._unsettled[view.study.number] = view
        self._send_soon()

    def _send_soon(self) -> None:
        if self._unsent.is_set():
            return
        self._unsent.set()
        with self._guard:
            if self._sender is None or not self._sender.is_alive():
                self._sender = threading.Thread(
                    target=_keep_sending, args=(weakref.ref(self), self._unsent), name="mainspring-trials", daemon=True
                )
                self._sender.start()

    def send_now(self) -> None:
        """Send what was said, and wait until what has ended is on the disk."""
        if os.getpid() == self.process:
            self.send(before=float("inf"))

    def send(self, *, before: float) -> bool:
        """Send what was said before that moment; whether something is left."""
        left = False
        for view in list(self._views.values()):
            if view.said:
                with view.lock:
                    due = view.to_send(before=before)
                if due:
                    self.send_of(view, due)
                left = left or bool(view.said)
        while self._unsettled:
            number, view = self._unsettled.popitem()
            try:
                self.of_study(view, "settle")
            except KeyError:
                continue  # the study was deleted
            except MainspringError:
                self._unsettled[number] = view
                raise
        return left

    def send_of(self, view: View, due: dict[int, Said]) -> None:
        """Send what was said of some trials of a study, which `view` knows to be on its way.

        Where the store is away, that is raised, and what was said is kept to be sent later.
        """
        try:
            changes = [said.change(place) for place, said in due.items()]
            while changes:
                try:
                    done = self.of_study(view, "change", changes=changes, sync=False)
                except Conflict as error:  # one of them is over: what was said of it comes too late
                    over = error.details.get("ended")
                    if over not in due:
                        raise
                    changes = [each for each in changes if each.number != over]
                    continue
                with view.lock:
                    view.saw(done.revision)
                break
        except KeyError:
            pass  # the study was deleted
        except MainspringError:
            with view.lock:
                for place, said in due.items():
                    if not self.known(view, place).state.is_finished():
                        later = view.said.get(place)
                        view.said[place] = said.before(later) if later else said
            raise
        finally:
            with view.lock:
                for place in due:
                    view.sending.pop(place, None)


def _keep_sending(link: weakref.ref[Link], unsent: threading.Event) -> None:
    while unsent.wait():
        time.sleep(FLUSH_SECONDS)
        unsent.clear()
        found = link()
        if found is None or found.closed:
            return
        try:
            if found.send(before=monotonic() - FLUSH_SECONDS):
                unsent.set()
        except Exception as error:  # noqa: BLE001 -- the boundary of the thread: what was said waits for the store
            _log.warning("what was said of running trials waits to be sent: %s", error)
            time.sleep(_PAUSE_SECONDS)
            unsent.set()
        del found


_alive: weakref.WeakSet[Link] = weakref.WeakSet()


@atexit.register
def _close() -> None:
    for link in list(_alive):
        with contextlib.suppress(MainspringError, RuntimeError):  # whose client was closed by who opened it
            link.close()
