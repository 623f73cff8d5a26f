"""Work as Kubernetes Jobs: one Job with one pod for each piece of work, watched, never polled.

A Job's name is chosen before it is sent, so that sending it again after a lost answer makes no second one. The engine
watches its pods by a label: how a container ended, and what it said, is the outcome; what cannot start (an image that
cannot be pulled, a configuration that cannot be made) is an error that says so, and not a wait without end. Nothing is
tried again here. What an engine of the same owner left behind, because its process died, is removed by the next one.

Where things are comes from the environment: `MAINSPRING_KUBERNETES_IMAGE` (with mainspring and the code of the steps),
`MAINSPRING_KUBERNETES_NAMESPACE`, `MAINSPRING_KUBERNETES_SERVICE_ACCOUNT`, `MAINSPRING_KUBERNETES_TOKEN_SECRET`,
`MAINSPRING_KUBERNETES_POD` (a JSON file: parts of a pod's spec). The cluster is that of `KUBECONFIG`, or the one that
this process runs in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from mainspring.engines.tasks import NO_LIMITS, Limits, ProcessDied
from mainspring.engines.tasks_child import OK
from mainspring.engines.tasks_kubernetes_job import ENGINE, OWNER, Place, job
from mainspring.engines.tasks_pod import Order, Said, Shelf
from mainspring.kernel.errors import InvalidInput, MainspringError, MissingDependency, Unavailable, from_payload
from mainspring.kernel.hooks import PEER, load
from mainspring.kernel.ids import new_id

if TYPE_CHECKING:
    from lightkube import Client

_log = logging.getLogger("mainspring.kubernetes")

__all__ = ["KubernetesEngine", "place_from_environment"]

_WIDTH = 64
_SENDERS = 8
_WATCH_SECONDS = 30
_LOOK_SECONDS = 15.0
_TRIES = 5
_END_SECONDS = 2.0
_PLACE = ("image", "namespace", "service_account", "token_secret", "pod")
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")


class _Work:
    """One piece of work on its way."""

    def __init__(self, name: str, address: str, payload: bytes, limits: Limits) -> None:
        self.name = name
        self.address = address
        self.payload = payload
        self.limits = limits
        self.outcome: Future[bytes] = Future()


class KubernetesEngine:
    """Runs work as Jobs of a Kubernetes cluster. Needs the extra `kubernetes`.

    Args:
        width: How many Jobs there are at the same time.
        store: Address of the store that payloads and answers travel through; pods must reach it, so that of a server,
            or a folder that they mount at the same place.
        owner: For whom it works, a short text; Jobs of an earlier engine of the same owner are deleted.
        place: Where pods run; from the environment by default.
        cluster: A client of the cluster, which is closed with the engine; by default of the one that `KUBECONFIG`
            names or that this process runs in.
    """

    def __init__(
        self, width: int = 0, *, store: str, owner: str = "", place: Place | None = None, cluster: Client | None = None
    ) -> None:
        if width < 0:
            raise InvalidInput(f"width={width}: an engine runs at least one piece of work at a time; 0 for the default")
        self.width = width or _WIDTH
        self._cluster = cluster or _connect()
        self._place = place or place_from_environment(self._cluster.namespace)
        self._store = store
        self._client = load(PEER)(store)
        self._shelf = Shelf(self._client)
        self._id, self._owner = new_id()[-12:], owner
        self._lock = threading.Lock()
        self._waiting: deque[_Work] = deque()
        self._running: dict[str, _Work] = {}
        self._created: set[str] = set()
        self._count = 0
        self._closing = threading.Event()
        self._senders = ThreadPoolExecutor(_SENDERS, thread_name_prefix="mainspring-kubernetes")
        if owner:
            self._senders.submit(self._remove_left_behind)
        watchers = (self._watch, self._look)
        self._watchers = [threading.Thread(target=each, name="mainspring-watch", daemon=True) for each in watchers]
        for thread in self._watchers:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def submit(self, address: str, payload: bytes, *, limits: Limits = NO_LIMITS) -> Future[bytes]:
        """Run the function at `address` on `payload` in a pod. Its time begins when the container has started."""
        with self._lock:
            if self._closing.is_set():
                raise Unavailable("the task engine was closed")
            self._count += 1
            work = _Work(f"ms-{self._id}-{self._count}", address, bytes(payload), limits)
            self._waiting.append(work)
        self._pump()
        return work.outcome

    def cancel(self, future: Future[bytes]) -> bool:
        """Drop work that has no Job yet; delete its Job, and with it the pod, when it has."""
        if future.cancel():
            return True
        with self._lock:
            work = next((each for each in self._running.values() if each.outcome is future), None)
        if work is None or self._settled(work.name) is None:
            return False
        self._delete(work.name)
        work.outcome.set_exception(_died(work, "was cancelled", cancelled=True))
        self._pump()
        return True

    def close(self) -> None:
        """Delete what runs, drop what has not begun."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            waiting, running = list(self._waiting), list(self._running.values())
            self._waiting.clear()
        for work in waiting:
            work.outcome.cancel()
            work.outcome.set_running_or_notify_cancel()
        for work in running:
            self.cancel(work.outcome)
        self._senders.shutdown()
        self._cluster.close()  # ends the watch
        for each in self._watchers:
            each.join(_END_SECONDS)
        self._client.close()

    def _pump(self) -> None:
        """Send as much as there is room for."""
        while True:
            with self._lock:
                if self._closing.is_set() or not self._waiting or len(self._running) >= self.width:
                    return
                work = self._waiting.popleft()
                if not work.outcome.set_running_or_notify_cancel():
                    continue
                self._running[work.name] = work
                self._senders.submit(self._send, work)  # under the lock: not after `close` has shut them down

    def _send(self, work: _Work) -> None:
        try:
            order = Order(self._store, work.address, self._shelf.put(work.payload), work.limits)
            self._create(job(work.name, self._place, order, engine=self._id, owner=self._owner))
            with self._lock:
                if work.name in self._running:
                    self._created.add(work.name)
                    return
            self._delete(work.name)  # it was cancelled meanwhile
        except Exception as error:  # noqa: BLE001 -- whatever the cluster says, the future carries it to who waits
            if self._settled(work.name) is not None:
                told = error if isinstance(error, MainspringError) else _refused(work, error)
                work.outcome.set_exception(told)
                self._pump()

    def _create(self, manifest: dict[str, Any]) -> None:
        import httpx2
        from lightkube import ApiError
        from lightkube.resources.batch_v1 import Job

        wanted: Any = Job.from_dict(manifest)
        for attempt in range(_TRIES):
            try:
                self._cluster.create(wanted)
            except ApiError as error:
                if error.status.code == 409:
                    return  # the answer to an earlier try was lost
                if error.status.code not in (429, 500, 503) or attempt == _TRIES - 1:
                    raise
            except httpx2.TransportError:
                if attempt == _TRIES - 1:
                    raise
            else:
                return
            time.sleep(0.2 * 2**attempt)

    def _watch(self) -> None:
        """Follow the pods of this engine; after a cut, from where it was, or from what there is then."""
        from lightkube.core.exceptions import ApiError
        from lightkube.resources.core_v1 import Pod
        from lightkube.types import OnErrorAction, OnErrorResult

        def go_on(error: Exception, count: int) -> OnErrorResult:
            if self._closing.is_set():
                return OnErrorResult(OnErrorAction.STOP)
            forbidden = isinstance(error, ApiError) and error.status.code in (401, 403)
            return OnErrorResult(OnErrorAction.RETRY, sleep=_LOOK_SECONDS if forbidden else min(0.1 * 2**count, 5.0))

        while not self._closing.is_set():
            try:
                pods = self._cluster.watch(
                    Pod, labels={ENGINE: self._id}, server_timeout=_WATCH_SECONDS, on_error=go_on
                )
                for kind, pod in pods:
                    self._see(pod, gone=kind == "DELETED")
                    if self._closing.is_set():
                        return
            except Exception as error:  # noqa: BLE001 -- whatever broke the watch: it is begun anew
                if self._closing.is_set():
                    return
                _log.warning("the watch of Kubernetes pods was broken: %s", error)
                self._closing.wait(1.0)

    def _look(self) -> None:
        """Now and then compare with what there is: the news that a Job is gone may have been lost in a cut."""
        from lightkube.resources.batch_v1 import Job
        from lightkube.resources.core_v1 import Pod

        while not self._closing.wait(_LOOK_SECONDS):
            with self._lock:
                before = set(self._created)
            try:
                jobs = {_name(each): each for each in self._cluster.list(Job, labels={ENGINE: self._id})}
                ended = {name for pod in self._cluster.list(Pod, labels={ENGINE: self._id}) if (name := self._see(pod))}
            except Exception as error:  # noqa: BLE001 -- it is looked at again
                _log.warning("the Jobs of Kubernetes could not be listed: %s", error)
                continue
            for name in before - ended:
                found = jobs.get(name)
                if found is None:
                    self._fail(name, "was deleted by somebody else")
                elif reason := _failure(found):
                    self._fail(name, f"was ended by Kubernetes: {reason}")

    def _see(self, pod: Any, *, gone: bool = False) -> str:
        """Take the outcome from a pod, when it has one; the name of its Job, when its container has ended."""
        name = str((pod.metadata.labels or {}).get("batch.kubernetes.io/job-name", ""))
        with self._lock:
            if name not in self._running:
                return ""
        containers = (pod.status and pod.status.containerStatuses) or []
        state = containers[0].state if containers else None
        if state and state.terminated:
            self._senders.submit(self._take, name, state.terminated)
            return name
        if state and state.waiting and state.waiting.reason in _STUCK:
            self._fail(name, f"could not be started: {state.waiting.reason}: {state.waiting.message or ''}")
        elif gone or (pod.status and pod.status.phase == "Failed"):
            reason = (pod.status and pod.status.reason) or "its pod was deleted"
            self._fail(name, f"was ended by Kubernetes: {reason}")
        return ""

    def _take(self, name: str, ended: Any) -> None:
        """Settle work whose container has ended: with its answer, or with how it died."""
        try:
            said = msgspec.json.decode(ended.message or "", type=Said)
        except msgspec.DecodeError:
            how = f"{ended.reason or 'ended'} with code {ended.exitCode}"
            self._fail(name, f"died: {how}", reason="memory" if ended.reason == "OOMKilled" else "", ended=ended)
            return
        try:
            body = self._shelf.get(said.digest)
        except Unavailable:
            return  # the answer is there, and is asked for again with the next look
        except MainspringError as error:
            self._fail(name, f"has answered, and the answer cannot be read from the store: {error}", ended=ended)
            return
        if (work := self._settled(name)) is None:
            return
        if said.kind == OK:
            work.outcome.set_result(body)
        else:
            work.outcome.set_exception(from_payload(msgspec.json.decode(body)))
        self._delete(name)
        self._pump()

    def _fail(self, name: str, how: str, *, reason: str = "", ended: Any = None) -> None:
        if (work := self._settled(name)) is None:
            return
        work.outcome.set_exception(_died(work, how, reason=reason, ended=ended))
        self._delete(name)
        self._pump()

    def _settled(self, name: str) -> _Work | None:
        """Take work out of what runs; None when it was settled already."""
        with self._lock:
            self._created.discard(name)
            return self._running.pop(name, None)

    def _delete(self, name: str) -> None:
        from lightkube.resources.batch_v1 import Job
        from lightkube.types import CascadeType

        with contextlib.suppress(Exception):  # it goes away by itself some time after its end
            self._cluster.delete(Job, name, cascade=CascadeType.BACKGROUND, grace_period=0)

    def _remove_left_behind(self) -> None:
        from lightkube.resources.batch_v1 import Job

        with contextlib.suppress(Exception):  # they end by themselves, and nothing that they say is taken
            for each in self._cluster.list(Job, labels={OWNER: self._owner}):
                if not _name(each).startswith(f"ms-{self._id}-"):
                    self._delete(_name(each))


def place_from_environment(namespace: str) -> Place:
    """Where pods run, as the environment says."""
    found = {key: os.environ.get(f"MAINSPRING_KUBERNETES_{key.upper()}", "") for key in _PLACE}
    if not found["image"]:
        raise InvalidInput(
            "no container image is named for steps on Kubernetes",
            hint='MAINSPRING_KUBERNETES_IMAGE, or @step(image="..."): one with mainspring and your code',
        )
    try:
        pod = msgspec.json.decode(Path(found["pod"]).read_bytes(), type=dict[str, Any]) if found["pod"] else {}
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(f"MAINSPRING_KUBERNETES_POD={found['pod']}: {error}", hint="a JSON file") from error
    return Place(
        namespace=found["namespace"] or namespace,
        image=found["image"],
        service_account=found["service_account"],
        token_secret=found["token_secret"],
        pod=pod,
    )


def _connect() -> Client:
    try:
        from lightkube import Client
        from lightkube.core.exceptions import ConfigError
    except ImportError as missing:
        raise MissingDependency("lightkube", extra="kubernetes") from missing
    try:
        return Client()
    except ConfigError as error:
        raise Unavailable(f"there is no Kubernetes cluster: {error}", hint="set KUBECONFIG, or run in a pod") from error


def _name(thing: Any) -> str:
    return str(thing.metadata.name)


def _failure(found: Any) -> str:
    """Why a Job has failed; empty when it has not."""
    for each in (found.status and found.status.conditions) or []:
        if each.type == "Failed" and each.status == "True":
            return f"{each.reason}: {each.message}" if each.message else str(each.reason)
    return ""


def _died(work: _Work, how: str, *, cancelled: bool = False, reason: str = "", ended: Any = None) -> ProcessDied:
    return ProcessDied(
        f"the pod that ran {work.address} {how}" + (" before it answered" if cancelled else ""),
        hint="" if cancelled else f"kubectl get events | grep {work.name}",  # the Job itself is deleted
        details={
            "signal": "",
            "exit_code": ended.exitCode if ended else None,
            "pid": 0,
            "cancelled": cancelled,
        }
        | ({"reason": reason} if reason else {}),
    )


def _refused(work: _Work, error: Exception) -> Unavailable:
    return Unavailable(
        f"Kubernetes did not take the Job of {work.address}: {error}",
        hint="may this account create Jobs in the namespace?",
    )
