"""Triggers, hooks and sources: flows that start because something happened, or did not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mainspring.events.outbox import last_number
from mainspring.events.tables import EVENTS
from mainspring.kernel.clock import now
from mainspring.kernel.context import caller
from mainspring.kernel.errors import AlreadyExists, InvalidInput, NotFound, nearest
from mainspring.kernel.ids import new_id
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.pipelines.hooks_inbound import made_secret
from mainspring.pipelines.records import find_flow
from mainspring.pipelines.service_schedules import check_start
from mainspring.pipelines.sources.checks import check_source
from mainspring.pipelines.tables_triggers import HOOKS, SOURCES, TRIGGERS
from mainspring.pipelines.triggers import find_trigger, put_trigger, take_away
from mainspring.pipelines.triggers_tree import check_condition
from mainspring.pipelines.types import Location
from mainspring.pipelines.types_schedules import Overlap
from mainspring.pipelines.types_triggers import Condition, Firing, Hook, NewHook, StreamSource, Trigger
from mainspring.store.service import RoomService

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow

__all__ = ["TriggerOperations"]


class TriggerOperations(RoomService):
    """Triggers, hooks and sources."""

    def trigger(
        self,
        name: str,
        flow: Flow[..., Any],
        condition: Condition,
        *,
        params: dict[str, Any] | None = None,
        key: str = "",
        **options: Any,
    ) -> Trigger:
        """Start `flow` whenever a condition comes true; `options` as in `create_trigger`.

        Args:
            name: Of the trigger; one of the same name is replaced.
            flow: What is started.
            condition: `on(...)`, `any_of(...)`, `all_of(...)`, `debounce(...)`, `absent(...)`.
            params: Its arguments; a text `$event.data.version` is a field of the event.
            key: A text of that kind: an event that gives one that was there before starts nothing.
            **options: `overlap`, `deployment`, `pool`, `priority`, `labels`.

        Example:
            `client.pipelines.trigger("retrain", train, on("dataset.version.created", "dataset/flights@*"),`
            `params={"version": "$event.data.version"})`
        """
        from mainspring.pipelines.deployments_snapshot import encoded_params

        options.setdefault("max_attempts", flow.max_attempts)
        if not options.get("deployment"):
            options["location"] = flow.location()
        encoded = encoded_params(self, flow, params or {})
        return self.create_trigger(name, flow=flow.name, condition=condition, params=encoded, key=key, **options)

    @operation(permission="pipelines:write", writes=True, resource="name")
    def create_trigger(
        self,
        name: str,
        *,
        flow: str,
        condition: Condition,
        location: Location = Location(),  # noqa: B008 -- frozen
        params: dict[str, Any] = {},  # noqa: B006 -- an operation's defaults are copied
        key: str = "",
        overlap: Overlap = "allow_all",
        deployment: str = "",
        pool: str = "",
        priority: int = 0,
        labels: dict[str, str] = {},  # noqa: B006
        max_attempts: int = 5,
    ) -> Trigger:
        """Start a flow whenever a condition comes true, from the next event on; one of the same name is replaced.

        Args:
            name: Of the trigger.
            flow: The flow's name.
            condition: What is waited for.
            location: Where its code is found; not needed with `deployment`.
            params: Its arguments, as `values.encode` writes them; a text `$event.data.x` is a field of the event.
            key: A text of that kind: an event that gives one that was there before starts nothing.
            overlap: What happens while a run of this trigger has not ended.
            deployment: `active` or a number: start that version of the flow.
            pool: Which workers may execute its runs.
            priority: Of its runs the higher goes first.
            labels: What its runs are marked with.
            max_attempts: How often a run may lose its process.
        """
        check_name(name, what="trigger")
        check_condition(condition)
        if len(key) > 500:
            raise InvalidInput("the key of a trigger has at most 500 characters")
        with self.store.write() as tx:
            check_start(tx, flow, location, deployment, pool, priority, max_attempts)
            before = tx.fetch_one(TRIGGERS, "WHERE workspace = ? AND name = ?", (caller().workspace, name))
            made = Trigger(
                id=before.id if before else new_id(),
                workspace=caller().workspace,
                name=name,
                flow=flow,
                location=location,
                condition=condition,
                params=params,
                key=key,
                paused=False,
                since=last_number(tx),
                created_at=before.created_at if before else tx.now,
                created_by=caller().principal,
                overlap=overlap,
                deployment=deployment,
                pool=pool,
                priority=priority,
                labels=labels,
                max_attempts=max_attempts,
            )
            put_trigger(tx, made)
            tx.note(f"trigger/{name}", flow=flow, condition=msgspec.to_builtins(condition))
        return made

    @operation(permission="pipelines:write", writes=True, resource="name")
    def pause_trigger(self, name: str, *, paused: bool = True) -> Trigger:
        """Have a trigger look away, or look again from now on: what happened meanwhile is not for it."""
        with self.store.write() as tx:
            found = find_trigger(tx, name)
            changed = msgspec.structs.replace(found, paused=paused, since=last_number(tx), error="")
            put_trigger(tx, changed)
            tx.note(f"trigger/{name}", paused=paused)
        return changed

    @operation(permission="pipelines:write", writes=True, resource="name")
    def remove_trigger(self, name: str) -> None:
        """Take a trigger away; runs that it started stay."""
        with self.store.write() as tx:
            take_away(tx, find_trigger(tx, name))
            tx.note(f"trigger/{name}", removed=True)

    @operation(permission="pipelines:read")
    def triggers(self) -> list[Trigger]:
        """Every trigger, by name."""
        with self.store.read() as tx:
            return tx.fetch(TRIGGERS, "WHERE workspace = ? ORDER BY name", (caller().workspace,))

    @operation(permission="pipelines:read", resource="run_id")
    def why_started(self, run_id: str) -> Firing:
        """Why a trigger started a run: its condition, and the events that made it true."""
        with self.store.read() as tx:
            run = find_flow(tx, run_id)
            if run.cause.kind != "trigger":
                raise NotFound(f"flow run {run.id} was started by a {run.cause.kind}, not by a trigger")
            trigger = tx.fetch_one(TRIGGERS, "WHERE workspace = ? AND name = ?", (run.workspace, run.cause.name))
            events: list[dict[str, Any]] = []
            for number in run.cause.events:
                event = tx.fetch_one(EVENTS, "WHERE number = ? AND workspace = ?", (number, run.workspace))
                events.append({"number": number} if event is None else msgspec.to_builtins(event))
        return Firing(
            run.id, run.cause.name, trigger.condition if trigger else None, run.cause.fire_at or run.created_at, events
        )

    @operation(permission="pipelines:admin", writes=True, resource="name")
    def create_hook(self, name: str, *, secret: str = "", tolerance: float = 300.0) -> NewHook:
        """Open an address that others call: `POST /hooks/{workspace}/{name}`; each call is a `webhook.received`.

        Args:
            name: Of the hook.
            secret: What callers sign with, 16 to 200 characters; one is made when it is empty.
            tolerance: Seconds that the moment which a caller signed may be off.
        """
        check_name(name, what="hook")
        if "/" in name:
            raise InvalidInput(f"the name of a hook is one part of a path, and {name!r} has several")
        if secret and not 16 <= len(secret) <= 200:
            raise InvalidInput("a secret has 16 to 200 characters", hint="leave it out, and one is made")
        if not 1 <= tolerance <= 86_400:
            raise InvalidInput(f"tolerance={tolerance}: from one second to a day")
        made = NewHook(Hook(caller().workspace, name, now(), caller().principal, tolerance), secret or made_secret())
        with self.store.write() as tx:
            if tx.row("SELECT 1 FROM flow_hook WHERE workspace = ? AND name = ?", (made.hook.workspace, name)):
                raise AlreadyExists(f"there is a hook {name!r} already", hint="remove it first, for another secret")
            tx.insert(HOOKS, made.hook)
            tx.execute(
                "INSERT INTO flow_hook_secret (workspace, name, secret) VALUES (?, ?, ?)",
                (made.hook.workspace, name, made.secret),
            )
            tx.note(f"hook/{name}", tolerance=tolerance)
        return made

    @operation(permission="pipelines:read")
    def hooks(self) -> list[Hook]:
        """The addresses that others call, without their secrets."""
        with self.store.read() as tx:
            return tx.fetch(HOOKS, "WHERE workspace = ? ORDER BY name", (caller().workspace,))

    @operation(permission="pipelines:admin", writes=True, resource="name")
    def remove_hook(self, name: str) -> None:
        """Close an address: calls of it are refused from now on."""
        with self.store.write() as tx:
            if not tx.execute("DELETE FROM flow_hook WHERE workspace = ? AND name = ?", (caller().workspace, name)):
                raise NotFound(f"there is no hook {name!r}")
            tx.execute("DELETE FROM flow_hook_secret WHERE workspace = ? AND name = ?", (caller().workspace, name))
            tx.execute("DELETE FROM flow_source_seen WHERE source_id = ?", (f"hook:{caller().workspace}:{name}",))
            tx.note(f"hook/{name}", removed=True)

    @operation(permission="pipelines:admin", writes=True, resource="name")
    def create_source(
        self,
        name: str,
        *,
        kind: Literal["file", "nats", "redis", "kafka"],
        address: str,
        topic: str = "",
        options: dict[str, Any] = {},  # noqa: B006 -- an operation's defaults are copied
    ) -> StreamSource:
        """Have the scheduler listen to files, NATS, a Redis stream or Kafka: each file or message is one event.

        For administrators: the scheduler reads that folder, or connects to that server. One of the same name is
        replaced, and knows what it has seen when it is of the same place.

        Args:
            name: Of the source; triggers say `file(name)` or `message(name)`.
            kind: What is listened to.
            address: A glob of files, of a folder or `s3://`, or the URL of the server; `${NAME}` in it is taken from
                the scheduler's environment, so that no password is stored.
            topic: The subject, the key of the stream, the topic; empty for files.
            options: Of files `every` (seconds), `existing`, `settle`; of messages `group`, `stream`.
        """
        check_name(name, what="source")
        checked = check_source(kind, address, topic, options)
        with self.store.write() as tx:
            where = "WHERE workspace = ? AND name = ?"
            before = tx.fetch_one(SOURCES, where, (caller().workspace, name))
            same = before is not None and (before.kind, before.address, before.topic) == (kind, address, topic)
            made = StreamSource(
                workspace=caller().workspace,
                name=name,
                kind=kind,
                address=address,
                topic=topic,
                options=checked,
                id=before.id if before is not None and same else new_id(),
                created_at=tx.now,
                created_by=caller().principal,
            )
            tx.execute("DELETE FROM flow_source WHERE workspace = ? AND name = ?", (made.workspace, name))
            tx.insert(SOURCES, made)
            tx.note(f"source/{name}", kind=kind, topic=topic)
            tx.announce()
        return made

    @operation(permission="pipelines:read")
    def sources(self) -> list[StreamSource]:
        """What is listened to outside."""
        with self.store.read() as tx:
            return tx.fetch(SOURCES, "WHERE workspace = ? ORDER BY name", (caller().workspace,))

    @operation(permission="pipelines:admin", writes=True, resource="name")
    def remove_source(self, name: str) -> None:
        """Listen to it no more, and forget what it has brought."""
        with self.store.write() as tx:
            found = tx.fetch_one(SOURCES, "WHERE workspace = ? AND name = ?", (caller().workspace, name))
            if found is None:
                names = [
                    row[0] for row in tx.rows("SELECT name FROM flow_source WHERE workspace = ?", (caller().workspace,))
                ]
                raise NotFound(f"there is no source {name!r}", known=nearest(name, names))
            tx.execute("DELETE FROM flow_source WHERE workspace = ? AND name = ?", (caller().workspace, name))
            tx.execute("DELETE FROM flow_source_seen WHERE source_id = ?", (found.id,))
            tx.note(f"source/{name}", removed=True)
            tx.announce()

    def watch_files(
        self, name: str, pattern: str, *, every: float | timedelta = 5.0, existing: bool = False
    ) -> StreamSource:
        """Have the scheduler look for files: `/data/in/*.csv`, or `s3://bucket/in/*.csv`; a relative one is from here.

        Args:
            name: Of the source: triggers say `file(name)`.
            pattern: Which files.
            every: Seconds between two looks.
            existing: Whether files that are there already count.
        """
        seconds = every.total_seconds() if isinstance(every, timedelta) else every
        address = pattern if "://" in pattern else str(Path.cwd() / Path(pattern).expanduser())
        return self.create_source(name, kind="file", address=address, options={"every": seconds, "existing": existing})
