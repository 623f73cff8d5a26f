"""What a flow's decorator says of when it starts, made into schedules and triggers of its deployment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.errors import InvalidInput
from mainspring.pipelines.deployments import ACTIVE
from mainspring.pipelines.types_triggers import Absent, AllOf, AnyOf, Condition, Debounce, On

if TYPE_CHECKING:
    from mainspring.client.client import Client
    from mainspring.pipelines.decorators import Flow

__all__ = ["set_up", "told", "when_of"]

_EVERY = re.compile(r"every\s+(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def told(flow: Flow[..., Any]) -> dict[str, Any]:
    """What the decorator said, as JSON, for whoever looks at the deployment."""
    options = flow.options
    return {
        "schedule": list(_texts(options.schedule)),
        "tz": options.tz,
        "trigger": msgspec.to_builtins(_conditions(options.trigger)),
        "overlap": options.overlap,
        "timeout": options.timeout,
        "retries": options.retries,
    }


def when_of(text: str) -> dict[str, Any]:
    """The words of a schedule as arguments of `pipelines.schedule`: cron fields, `@daily`, or `every 15m`.

    Example:
        >>> when_of("every 15m"), when_of("15 2 * * *")
        ({'every': 900.0}, {'cron': '15 2 * * *'})
    """
    found = _EVERY.fullmatch(text.strip())
    if found:
        return {"every": float(found[1]) * _UNITS[found[2]]}
    if text.strip().startswith("every"):
        raise InvalidInput(f"{text!r} is not an interval", hint="every 30s, every 15m, every 6h, every 1d")
    return {"cron": text}


def set_up(
    client: Client, flow: Flow[..., Any], *, schedule: tuple[str, ...] = (), tz: str = "", deployment: str = ACTIVE
) -> list[str]:
    """Make the schedules and triggers of a deployed flow: those given, or those of its decorator; their names.

    Those that an earlier version had and this one has not are taken away.
    """
    options = flow.options
    made: list[str] = []
    before = {each.name for each in client.pipelines.schedules()}
    texts = schedule or _texts(options.schedule)
    for number, text in enumerate(texts):
        name = flow.name if len(texts) == 1 else f"{flow.name}-{number + 1}"
        client.pipelines.schedule_flow(
            flow,
            name=name,
            tz=tz or options.tz,
            overlap=options.overlap or "skip",
            deployment=deployment,
            pool=options.pool,
            priority=options.priority,
            labels={"deployed": flow.name},
            **when_of(text),
        )
        made.append(f"schedule/{name}")
    conditions = _conditions(options.trigger)
    for number, condition in enumerate(conditions):
        name = flow.name if len(conditions) == 1 else f"{flow.name}-{number + 1}"
        client.pipelines.trigger(
            name,
            flow,
            condition,
            overlap=options.overlap or "allow_all",
            deployment=deployment,
            pool=options.pool,
            priority=options.priority,
            labels={"deployed": flow.name},
        )
        made.append(f"trigger/{name}")
    _take_away(client, flow.name, before, set(made))
    return made


def _take_away(client: Client, flow: str, before: set[str], made: set[str]) -> None:
    for each in client.pipelines.schedules():
        if each.name in before and each.labels.get("deployed") == flow and f"schedule/{each.name}" not in made:
            client.pipelines.unschedule(each.name)
    for trigger in client.pipelines.triggers():
        if trigger.labels.get("deployed") == flow and f"trigger/{trigger.name}" not in made:
            client.pipelines.remove_trigger(trigger.name)


def _texts(schedule: str | tuple[str, ...]) -> tuple[str, ...]:
    return (schedule,) if isinstance(schedule, str) else tuple(schedule)


def _conditions(trigger: Any) -> list[Condition]:
    if trigger is None:
        return []
    found = list(trigger) if isinstance(trigger, list | tuple) else [trigger]
    for each in found:
        if not isinstance(each, On | AnyOf | AllOf | Debounce | Absent):
            raise InvalidInput(f"trigger={each!r} is not a condition", hint='ms.on("dataset.version.created", ...)')
    return found
