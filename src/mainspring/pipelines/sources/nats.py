"""NATS JetStream: a durable consumer gives each message to one scheduler, and again when it is not acknowledged."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from mainspring.kernel.errors import InvalidInput, MissingDependency, Unavailable
from mainspring.pipelines.sources.accepting import Message, accept, content_of, note_error
from mainspring.pipelines.sources.checks import address_of
from mainspring.pipelines.types_triggers import StreamSource
from mainspring.store.store import Store

__all__ = ["listen"]

_AT_ONCE = 100
_WAIT_SECONDS = 1.0
_ACK_SECONDS = 30.0


def listen(store: Store, source: StreamSource, ending: threading.Event) -> None:
    """Fetch messages until told to end; each is acknowledged when its event is recorded."""
    try:
        import nats  # noqa: F401 -- here so that its absence is told before a loop is begun
    except ImportError:
        raise MissingDependency("nats-py", extra="streams") from None
    asyncio.run(_listen(store, source, ending))


async def _listen(store: Store, source: StreamSource, ending: threading.Event) -> None:
    import nats
    from nats.errors import NoServersError
    from nats.errors import TimeoutError as NothingCame
    from nats.js.api import AckPolicy, ConsumerConfig
    from nats.js.errors import NotFoundError

    async def ignore(_: Exception) -> None:
        """Errors of the connection are raised where messages are fetched."""

    try:
        server: Any = await nats.connect(
            address_of(source.address), error_cb=ignore, connect_timeout=5, max_reconnect_attempts=2
        )
    except (NoServersError, OSError) as error:
        raise Unavailable(f"no NATS server answers at the address of the source {source.name}: {error}") from error
    try:
        stream = server.jetstream()
        durable = str(source.options["group"] or f"mainspring-{source.name}").replace(".", "-")
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=_ACK_SECONDS)
        try:
            subscription = await stream.pull_subscribe(
                source.topic, durable=durable, stream=source.options["stream"] or None, config=config
            )
        except NotFoundError as error:
            raise InvalidInput(
                f"no stream of JetStream has the subject {source.topic}: {error}", hint="nats stream add"
            ) from error
        await asyncio.to_thread(note_error, store, source, "")
        while not ending.is_set():
            try:
                given = await subscription.fetch(_AT_ONCE, timeout=_WAIT_SECONDS)
            except (TimeoutError, NothingCame):
                if not server.is_connected:
                    raise Unavailable(f"the NATS server of the source {source.name} is away") from None
                continue
            await asyncio.to_thread(accept, store, source, [_message(each) for each in given])
            for each in given:
                await each.ack()
            await server.flush()
    finally:
        await server.close()


def _message(given: Any) -> Message:
    place = given.metadata
    data = {
        "topic": given.subject,
        "id": f"{place.stream}:{place.sequence.stream}",
        "headers": dict(given.headers or {}),
        **content_of(given.data),
    }
    return Message(data["id"], data)
