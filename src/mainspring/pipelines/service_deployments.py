"""Deployments: versions of flows, each with its code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.context import caller
from mainspring.kernel.errors import InvalidInput
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.pipelines.deployments import ACTIVE, check_files, digest_of, find_deployment, placed
from mainspring.pipelines.starting import known_run, new_run, queue_flow
from mainspring.pipelines.tables_deployments import DEPLOYMENTS
from mainspring.pipelines.types import Cause, FlowRun, Location
from mainspring.pipelines.types_deployments import CodeFile, Deployment, DeploymentDiff
from mainspring.store.service import RoomService
from mainspring.store.transaction import Transaction

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow

__all__ = ["DeploymentOperations"]

_MOST_SHOWN = 200_000


class DeploymentOperations(RoomService):
    """Versions of flows."""

    def deploy(
        self,
        flow: Flow[..., Any],
        *,
        include: Iterable[str] = (),
        pool: str = "",
        priority: int = 0,
        labels: dict[str, str] | None = None,
        activate: bool = True,
    ) -> Deployment:
        """Keep the code of `flow` as a version, and have schedules and triggers start it from now on.

        The same code is the same version. Runs in flight keep the version with which they were started.

        Args:
            flow: At the top of a module or of a script.
            include: Patterns of other files that it reads: `sql/*.sql`.
            pool: Which workers may execute it; that of the decorator when empty.
            priority: Of its runs the higher goes first; that of the decorator when 0.
            labels: What its runs are marked with.
            activate: Whether schedules and triggers start this version.
        """
        from mainspring.pipelines.deployments_options import told
        from mainspring.pipelines.deployments_snapshot import snapshot
        from mainspring.pipelines.runtime import blob_port

        taken = snapshot(flow, include=include)
        blobs = blob_port(self)
        files = []
        for path, source in taken.files.items():
            content = source.read_bytes()
            files.append(CodeFile(path, blobs.put(content), len(content)))
        return self.create_deployment(
            flow.name,
            code=flow.code().fingerprint,
            address=taken.address,
            main=taken.main,
            files=files,
            sys_path=list(taken.sys_path),
            cwd=taken.cwd,
            options=told(flow),
            labels=labels or {},
            pool=pool or flow.options.pool,
            priority=priority or flow.options.priority,
            max_attempts=flow.max_attempts,
            activate=activate,
        )

    @operation(permission="pipelines:write", writes=True, resource="flow")
    def create_deployment(
        self,
        flow: str,
        *,
        code: str,
        address: str,
        files: list[CodeFile],
        main: str = "",
        sys_path: list[str] = [],  # noqa: B006 -- an operation's defaults are copied
        cwd: str = "",
        options: dict[str, Any] = {},  # noqa: B006
        labels: dict[str, str] = {},  # noqa: B006
        pool: str = "",
        priority: int = 0,
        max_attempts: int = 5,
        activate: bool = True,
    ) -> Deployment:
        """Record a version of a flow whose files are blobs that are here; the same code gives the version it had."""
        kept = self._checked(flow, address, files, main, pool, max_attempts)
        digest = digest_of(address, main, kept)
        with self.store.write() as tx:
            before = tx.fetch_one(
                DEPLOYMENTS, "WHERE workspace = ? AND flow = ? AND digest = ?", (caller().workspace, flow, digest)
            )
            highest = tx.value(
                "SELECT MAX(version) FROM flow_deployment WHERE workspace = ? AND flow = ?", (caller().workspace, flow)
            )
            made = Deployment(
                id=before.id if before else new_id(),
                workspace=caller().workspace,
                flow=flow,
                version=before.version if before else int(highest or 0) + 1,
                digest=digest,
                code=code,
                address=address,
                main=main,
                files=kept,
                sys_path=tuple(sys_path),
                cwd=cwd,
                options=options,
                labels=labels,
                pool=pool,
                priority=priority,
                max_attempts=max_attempts,
                active=before.active if before else False,
                created_at=before.created_at if before else tx.now,
                created_by=before.created_by if before else caller().principal,
            )
            tx.execute("DELETE FROM flow_deployment WHERE id = ?", (made.id,))
            tx.insert(DEPLOYMENTS, made)
            if activate:
                made = _activate(tx, made)
            tx.note(f"deployment/{made.ref}", digest=digest, files=len(kept), active=made.active)
        return made

    @operation(permission="pipelines:write", writes=True, resource="flow")
    def activate(self, flow: str, version: int) -> Deployment:
        """Have schedules and triggers start this version from now on: forward, or back to an earlier one."""
        with self.store.write() as tx:
            made = _activate(tx, find_deployment(tx, flow, str(version)))
            tx.note(f"deployment/{made.ref}", active=True)
        return made

    @operation(permission="pipelines:read")
    def deployments(self, *, flow: str = "", limit: int = 100) -> list[Deployment]:
        """Versions of flows, newest first; of one flow when it is named."""
        with self.store.read() as tx:
            return tx.fetch(
                DEPLOYMENTS,
                "WHERE workspace = ? AND (? = '' OR flow = ?) ORDER BY created_at DESC, version DESC LIMIT ?",
                (caller().workspace, flow, flow, max(0, min(limit, 1000))),
            )

    @operation(permission="pipelines:read", resource="flow")
    def deployment(self, flow: str, *, version: str = ACTIVE) -> Deployment:
        """A version of a flow: its number, or the active one."""
        with self.store.read() as tx:
            return find_deployment(tx, flow, version)

    @operation(permission="pipelines:read", resource="flow")
    def diff_deployments(self, flow: str, before: int, after: int) -> DeploymentDiff:
        """What differs between two versions of a flow, file by file and line by line."""
        with self.store.read() as tx:
            old, new = (find_deployment(tx, flow, str(each)) for each in (before, after))
        was, now = ({each.path: each.digest for each in one.files} for one in (old, new))
        changed = sorted(path for path in was.keys() & now.keys() if was[path] != now[path])
        lines: list[str] = []
        for path in sorted(was.keys() ^ now.keys() | set(changed)):
            one, two = self._text(was.get(path, "")), self._text(now.get(path, ""))
            found = difflib.unified_diff(one, two, f"{old.ref}/{path}", f"{new.ref}/{path}")
            lines += [line if line.endswith("\n") else f"{line}\n" for line in found]
        return DeploymentDiff(
            added=sorted(now.keys() - was.keys()),
            removed=sorted(was.keys() - now.keys()),
            changed=changed,
            text="".join(lines)[:_MOST_SHOWN],
        )

    @operation(permission="pipelines:write", writes=True, resource="flow")
    def start_deployed(
        self,
        flow: str,
        *,
        version: str = ACTIVE,
        params: dict[str, Any] = {},  # noqa: B006 -- an operation's defaults are copied
        key: str = "",
        priority: int | None = None,
    ) -> FlowRun:
        """Have a worker run a version of a flow, from wherever this is called. A `key` that was used gives its run."""
        with self.store.write() as tx:
            if known := known_run(tx, flow, key):
                return known
            found = find_deployment(tx, flow, version)
            place = placed(tx, flow, str(found.version), Location())
            run = new_run(
                tx,
                flow,
                location=place.location,
                params=params,
                code=place.code,
                key=key,
                cause=Cause(),
                deployment=place.deployment,
                pool=found.pool,
                priority=found.priority if priority is None else max(-1_000_000, min(priority, 1_000_000)),
                labels=found.labels,
            )
            return queue_flow(self.store.queue, tx, run, max_attempts=found.max_attempts)

    def _checked(
        self, flow: str, address: str, files: list[CodeFile], main: str, pool: str, max_attempts: int
    ) -> tuple[CodeFile, ...]:
        """The files by their paths; `InvalidInput` when no run could use them."""
        check_name(flow, what="flow")
        if pool:
            check_name(pool, what="pool")
        module, colon, name = address.partition(":")
        if not (module and colon and name) or not 1 <= max_attempts <= 1000:
            raise InvalidInput(f"{address!r} does not say where the flow is", hint="module:function")
        kept = tuple(sorted(files, key=lambda each: each.path))
        check_files(kept)
        if main and main not in {each.path for each in kept}:
            raise InvalidInput(f"the script {main!r} is not among the files")
        if absent := self.store.blobs.missing([check_digest(each.digest) for each in kept]):
            raise InvalidInput(f"{len(absent)} files were not uploaded", hint="storage.put_blob takes them")
        return kept

    def _text(self, digest: str) -> list[str]:
        if not digest:
            return []
        try:
            return self.store.blobs.get(digest).decode().splitlines(keepends=True)
        except UnicodeDecodeError:
            return [f"(bytes {digest[:12]})\n"]


def _activate(tx: Transaction, deployment: Deployment) -> Deployment:
    tx.execute(
        "UPDATE flow_deployment SET active = CASE WHEN id = ? THEN 1 ELSE 0 END WHERE workspace = ? AND flow = ?",
        (deployment.id, deployment.workspace, deployment.flow),
    )
    tx.announce()
    return msgspec.structs.replace(deployment, active=True)
