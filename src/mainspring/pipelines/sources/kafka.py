"""Kafka: a consumer group gives each partition to one scheduler; an offset is committed when its event is recorded."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mainspring.kernel.errors import MissingDependency, Unavailable
from mainspring.pipelines.sources.accepting import Message, accept, content_of, note_error
from mainspring.pipelines.sources.checks import address_of
from mainspring.pipelines.types_triggers import StreamSource
from mainspring.store.store import Store

__all__ = ["listen", "settings_of"]

_AT_ONCE = 100
_WAIT_SECONDS = 0.5


def listen(store: Store, source: StreamSource, ending: threading.Event) -> None:
    """Read messages until told to end."""
    try:
        from confluent_kafka import Consumer, KafkaException, TopicPartition
    except ImportError:
        raise MissingDependency("confluent-kafka", extra="streams") from None

    consumer: Any = Consumer(settings_of(source))
    try:
        consumer.subscribe([source.topic])
        note_error(store, source, "")
        while not ending.is_set():
            given = consumer.consume(_AT_ONCE, _WAIT_SECONDS)
            messages = []
            reached: dict[int, int] = {}
            for each in given:
                if (error := each.error()) is not None:
                    if error.fatal() or not error.retriable():
                        raise Unavailable(f"Kafka says of {source.topic}: {error.str()}")
                    continue
                messages.append(_message(each))
                reached[each.partition()] = each.offset() + 1
            accept(store, source, messages)
            if reached:
                offsets = [TopicPartition(source.topic, part, offset) for part, offset in reached.items()]
                consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as error:
        raise Unavailable(f"Kafka of the source {source.name}: {error}") from error
    finally:
        consumer.close()


def settings_of(source: StreamSource) -> dict[str, Any]:
    """What librdkafka is told: of `kafka://host:9092,host:9092?security.protocol=ssl` the rest goes there as it is.

    Example:
        >>> from mainspring.kernel.clock import from_micros
        >>> options = {"group": "", "beginning": True}
        >>> made = StreamSource("w", "s", "kafka", "kafka://a:9092?ssl.ca.location=/ca.pem", "t", options, "1",
        ...                     from_micros(0), "me")
        >>> found = settings_of(made)
        >>> found["bootstrap.servers"], found["group.id"], found["ssl.ca.location"]
        ('a:9092', 'mainspring-s', '/ca.pem')
    """
    parts = urlsplit(address_of(source.address))
    return {
        **dict(parse_qsl(parts.query)),
        "bootstrap.servers": parts.netloc,
        "group.id": source.options["group"] or f"mainspring-{source.name}",
        "auto.offset.reset": "earliest" if source.options["beginning"] else "latest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
    }


def _message(given: Any) -> Message:
    place = f"{given.topic()}:{given.partition()}:{given.offset()}"
    headers = {name: (value or b"").decode(errors="replace") for name, value in given.headers() or []}
    key = (given.key() or b"").decode(errors="replace")
    data = {"topic": given.topic(), "id": place, "key": key, "headers": headers, **content_of(given.value() or b"")}
    return Message(place, data)
