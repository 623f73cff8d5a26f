"""A Kubernetes API server for tests, with a kubelet that runs containers as processes of this machine.

It is not Kubernetes: it has Jobs and Pods of one namespace and, of their API, what a client needs to make, list, watch
and delete them, as the documentation of the API describes it. Every object that is made is checked against the schema
of Kubernetes itself, strictly. It can be made to answer badly: to be away, to forget what it was asked to go on from,
to lose an answer.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate

from mainspring.engines.tasks_process import kill_tree

VERSION = "1.33"
_JOBS = "/apis/batch/v1/namespaces/default/jobs"
_PODS = "/api/v1/namespaces/default/pods"


class Cluster:
    """The objects, and what happens to them."""

    def __init__(self, image: dict[str, str]) -> None:
        self.image = image
        """Variables that every container has: what is in its image."""
        self.secrets: dict[str, dict[str, str]] = {}
        self.changed = threading.Condition()
        self.version = 1
        self.forgotten = 0
        self.objects: dict[str, dict[str, dict[str, Any]]] = {_JOBS: {}, _PODS: {}}
        self.log: list[tuple[int, str, str, dict[str, Any]]] = []
        self.away = False
        self.lost_answers = 0
        self.created: list[dict[str, Any]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def record(self, place: str, kind: str, thing: dict[str, Any]) -> None:
        """Something happened to an object. Called under the lock."""
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.log.append((self.version, place, kind, copy.deepcopy(thing)))
        self.changed.notify_all()

    def forget(self) -> None:
        """What happened until now is not told any more to who wants to go on from there."""
        with self.changed:
            self.forgotten = self.version
            self.version += 1
            self.changed.notify_all()

    def create(self, job: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """A Job, and the pod of it."""
        kubernetes_validate.validate(job, VERSION, strict=True)
        name = job["metadata"]["name"]
        with self.changed:
            if name in self.objects[_JOBS]:
                return 409, _status(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
            job["metadata"] |= {"uid": str(uuid.uuid4())}
            job["status"] = {"active": 1}
            self.objects[_JOBS][name] = job
            self.created.append(copy.deepcopy(job))
            self.record(_JOBS, "ADDED", job)
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{name}-{uuid.uuid4().hex[:5]}",
                    "namespace": "default",
                    "labels": {**job["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": name},
                },
                "spec": copy.deepcopy(job["spec"]["template"]["spec"]),
                "status": {"phase": "Pending"},
            }
            kubernetes_validate.validate(pod, VERSION, strict=True)
            self.objects[_PODS][pod["metadata"]["name"]] = pod
            self.record(_PODS, "ADDED", pod)
        threading.Thread(target=self._run, args=(job, pod), daemon=True).start()
        return 201, job

    def delete(self, name: str) -> tuple[int, dict[str, Any]]:
        """A Job with its pods."""
        with self.changed:
            job = self.objects[_JOBS].pop(name, None)
            if job is None:
                return 404, _status(404, "NotFound", f'jobs.batch "{name}" not found')
            self.record(_JOBS, "DELETED", job)
            pods = [each for each in self.objects[_PODS].values() if _job_of(each) == name]
            for pod in pods:
                self.objects[_PODS].pop(pod["metadata"]["name"])
                self.record(_PODS, "DELETED", pod)
        for pod in pods:
            self.kill(pod["metadata"]["name"])
        return 200, _status(200, "", "")

    def kill(self, pod: str, *, how: int = signal.SIGTERM) -> None:
        """End a container, politely first, with everything in it."""
        process = self.processes.get(pod)
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            kill_tree(process.pid)

    def _run(self, job: dict[str, Any], pod: dict[str, Any]) -> None:
        container = pod["spec"]["containers"][0]
        status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False}
        status |= {"restartCount": 0}
        if container["image"].startswith("missing/"):
            waiting = {"reason": "ErrImagePull", "message": f"no such image: {container['image']}"}
            self._say(pod, {"phase": "Pending", "containerStatuses": [{**status, "state": {"waiting": waiting}}]})
            return
        folder = Path(tempfile.mkdtemp())
        message = folder / "termination-log"
        message.touch()
        variables = {**os.environ, **self.image}
        for each in container.get("env", []):
            reference = each.get("valueFrom", {}).get("secretKeyRef")
            value = self.secrets[reference["name"]][reference["key"]] if reference else each["value"]
            # A container has a file system of its own; here its paths are moved.
            variables[each["name"]] = str(message) if value == container["terminationMessagePath"] else value
        process = subprocess.Popen(container["command"], env=variables, start_new_session=True, cwd=folder)
        self.processes[pod["metadata"]["name"]] = process
        running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        self._say(pod, {"phase": "Running", "containerStatuses": [{**status, "state": running}]})
        code = process.wait()
        kill_tree(process.pid)
        ended = {"exitCode": code if code >= 0 else 128 - code, "reason": "Completed" if code == 0 else "Error"}
        if code == -signal.SIGKILL:
            ended["reason"] = "OOMKilled"
        ended["message"] = message.read_text()[-4096:]
        phase = "Succeeded" if code == 0 else "Failed"
        self._say(pod, {"phase": phase, "containerStatuses": [{**status, "state": {"terminated": ended}}]})
        kind = "Complete" if code == 0 else "Failed"
        with self.changed:
            if job["metadata"]["name"] in self.objects[_JOBS]:
                condition = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded" if code else ""}
                job["status"] = {"conditions": [condition]}
                self.record(_JOBS, "MODIFIED", job)
        shutil.rmtree(folder, ignore_errors=True)

    def _say(self, pod: dict[str, Any], status: dict[str, Any]) -> None:
        with self.changed:
            if pod["metadata"]["name"] in self.objects[_PODS]:
                pod["status"] = status
                kubernetes_validate.validate(pod, VERSION, strict=True)
                self.record(_PODS, "MODIFIED", pod)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def do_GET(self) -> None:
        if self._away():
            return
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        wanted = [each.partition("=")[::2] for each in query.get("labelSelector", "").split(",") if each]
        if query.get("watch"):
            self._watch(url.path, wanted, query)
            return
        with self.cluster.changed:
            found = [each for each in self.cluster.objects[url.path].values() if _labelled(each, wanted)]
            body = {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(self.cluster.version)}}
            self._answer(200, {**body, "items": found})

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._away():
            return
        try:
            code, body = self.cluster.create(job)
        except kubernetes_validate.utils.ValidationError as error:
            code, body = 422, _status(422, "Invalid", str(error))
        if self.cluster.lost_answers:
            self.cluster.lost_answers -= 1
            self.close_connection = True
            return
        self._answer(code, body)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._away():
            self._answer(*self.cluster.delete(urlsplit(self.path).path.rpartition("/")[2]))

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _away(self) -> bool:
        if self.cluster.away:
            self._answer(503, _status(503, "ServiceUnavailable", "the server is currently unable"))
        return self.cluster.away

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _watch(self, place: str, wanted: list[Any], query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        cluster = self.cluster
        ending = time.monotonic() + float(query.get("timeoutSeconds", 300))
        with suppress(OSError), cluster.changed:
            version = int(query["resourceVersion"]) if "resourceVersion" in query else None
            if version is None:
                for each in cluster.objects[place].values():
                    if _labelled(each, wanted):
                        self._event("ADDED", each)
                version = cluster.version
            while time.monotonic() < ending and not cluster.away:
                if version < cluster.forgotten:
                    self._event("ERROR", _status(410, "Expired", "too old resource version"))
                    return
                for number, there, kind, thing in list(cluster.log):
                    if number > version and there == place and _labelled(thing, wanted):
                        self._event(kind, thing)
                version = cluster.version
                cluster.changed.wait(min(1.0, max(0.0, ending - time.monotonic())))

    def _event(self, kind: str, thing: dict[str, Any]) -> None:
        self.wfile.write(json.dumps({"type": kind, "object": thing}).encode() + b"\n")
        self.wfile.flush()


@contextmanager
def running_cluster(image: dict[str, str]) -> Iterator[tuple[Cluster, str]]:
    """A cluster and its URL."""
    cluster = Cluster(image)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": cluster}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield cluster, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        for pod in list(cluster.processes):
            cluster.kill(pod)
        server.shutdown()
        server.server_close()


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    outcome = "Failure" if code >= 400 else "Success"
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": outcome, "code": code,
        "reason": reason, "message": message,
    }  # fmt: skip


def _job_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["labels"]["batch.kubernetes.io/job-name"])


def _labelled(thing: dict[str, Any], wanted: list[Any]) -> bool:
    labels = thing["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in wanted)
