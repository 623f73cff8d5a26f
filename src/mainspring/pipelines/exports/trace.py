"""Tracing: a flow's body is called once with values that are not known, and the calls of its steps become a graph.

A body that needs to know a value has no such graph; it is *dynamic*, and its export runs it whole, in one container.

A step whose result nobody uses is called for its effect: it runs after everything that the body called before it, and
everything called after it waits for it. Other steps wait for what they are given, and for nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn, get_origin

import msgspec

from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.pipelines import runtime
from mainspring.pipelines.decorators import Flow, Step
from mainspring.pipelines.exports.graph import Graph, How, Node, Parameter, used_by
from mainspring.pipelines.exports.parameters import address_of, crons_of, is_spread, parameters_of, result_type
from mainspring.pipelines.exports.symbols import DynamicBody, Symbol, Watch
from mainspring.pipelines.handles import Handle
from mainspring.pipelines.spreading import each, spread, whole
from mainspring.pipelines.values import encode

__all__ = ["trace"]

_MOST_CALLS = 5_000
_EACH_OF = "mainspring.pipelines.exports.portable:each_of"
_EACH: Any = type(each(()))
_WHOLE: Any = type(whole(()))


def trace(flow: Flow[..., Any], *, cron: str = "", tz: str = "") -> Graph:
    """The graph of a flow.

    Args:
        flow: A flow at the top of a module.
        cron: When it starts; its own schedule by default.
        tz: The zone of the fields; the flow's own, or UTC, by default.

    Raises:
        InvalidInput: The flow, or a step that it calls, cannot be run by a container of its own.
    """
    graph = Graph(
        flow=flow.name,
        address=address_of(flow, what="flow"),
        parameters=parameters_of(flow),
        crons=crons_of(flow, cron),
        tz=tz or flow.options.tz,
        overlap=flow.options.overlap or "skip",
        timeout=flow.options.timeout,
        title=(flow.function.__doc__ or "").strip().partition("\n")[0],
    )
    if flow.is_async:
        return msgspec.structs.replace(graph, dynamic="it is an async function")
    tracer = _Tracer(graph.parameters)
    try:
        returned = tracer.run(flow)
    except DynamicBody as stopped:
        tracer.stopped = tracer.stopped or str(stopped)
    except MainspringError:
        raise
    except Exception as error:
        if not tracer.stopped:
            raise InvalidInput(
                f"the body of the flow {flow.name} raised {type(error).__name__}: {error}",
                hint="the export calls it once, with values that are not known: does it run?",
            ) from error
    if tracer.stopped:
        return msgspec.structs.replace(graph, dynamic=tracer.stopped)
    result = tracer.node_of(returned)
    nodes = _ordered(tracer.nodes, tracer.beside, result)
    return msgspec.structs.replace(graph, nodes=nodes, result=result, notes=tuple(dict.fromkeys(tracer.notes)))


class _Constants:
    """Refuses what is too large to stand in a file that people read."""

    def put(self, data: bytes, /) -> str:
        raise InvalidInput(
            f"a step is given a constant of {len(data)} bytes, which is too large for the exported file",
            hint="let a step read or make it, and give its result on",
        )

    def get(self, digest: str, /) -> bytes:
        raise NotImplementedError


class _Tracer:
    """Stands where the session of a run stands, and answers calls of steps with symbols."""

    def __init__(self, parameters: tuple[Parameter, ...]) -> None:
        self._parameters = parameters
        self.nodes: list[Node] = []
        self.beside: set[str] = set()
        self.notes: list[str] = []
        self.stopped = ""
        self._watch = Watch()
        self._names: dict[str, int] = {}

    def run(self, flow: Flow[..., Any]) -> Any:
        guard = self._watch.guard
        given = {
            each.name: Symbol({"$": "parameter", "name": each.name}, f"the parameter {each.name}", guard)
            for each in self._parameters
        }
        token = runtime._current.set((self, None))  # type: ignore[arg-type]  # noqa: SLF001 -- a tracer stands in for a session
        try:
            return self.watched(flow.function, (), given)
        finally:
            runtime._current.reset(token)  # noqa: SLF001

    def watched(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._watch.body(function):
            return function(*args, **kwargs)

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbol:
        return self._add(step, args, kwargs)

    def submit(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Handle[Any]:
        done: Handle[Any] = Handle()
        done.set_result(self._add(step, args, kwargs))
        self.beside.add(self.nodes[-1].name)
        return done

    def map_over(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbol:
        """A map, of what is known and of what is not."""
        with self._watch.away():
            shared = dict(enumerate(args)) | kwargs
            items: list[Any] = []
            for place, value in shared.items():
                if (column := self._column(step, value)) is not None:
                    tag = {"$": "item", "of": len(items)}
                    shared[place] = Symbol(tag, f"an item of {step.name}.map", self._watch.guard)
                    items.append(column)
                elif isinstance(value, _WHOLE):
                    shared[place] = value.value
        if not items:
            raise InvalidInput(
                f"{step.name}.map: no argument is a list, a tuple, a range or an iterator",
                hint="write ms.each(...) around what is to be spread",
            )
        if len({len(each) for each in items if type(each) is list}) > 1:
            raise InvalidInput(f"{step.name}.map: what is spread is not equally long")
        given = tuple(shared[place] for place in range(len(args)))
        return self._add(step, given, {name: shared[name] for name in kwargs}, items=tuple(items))

    def _column(self, step: Step[..., Any], value: Any) -> Any:
        """What is spread over the calls of a map: a list, or the symbol of one; None for what every call is given."""
        inner = value.items if isinstance(value, _EACH) else value
        while isinstance(inner, Handle):
            inner = inner.result()
        if type(inner) is not Symbol:
            found = _spread_alone(value)
            written = self._written(found)
            later = any(used_by(written, "result")) or any(used_by(written, "parameter"))
            return self._listed(found, step.name) if later else found
        if isinstance(value, _EACH):
            return self._listed(inner, step.name)
        tag = object.__getattribute__(inner, "_tag")
        if tag["$"] == "result":
            hint = object.__getattribute__(inner, "_hint")
            spreads = is_spread(hint)
            if not spreads:
                return self._undecided(step, inner) if spreads is None else None
            return inner if list in (hint, get_origin(hint)) and "part" not in tag else self._listed(inner, tag["node"])
        kind = next(each.kind for each in self._parameters if each.name == tag["name"])
        return (
            self._listed(inner, tag["name"])
            if kind == "list"
            else self._undecided(step, inner)
            if kind == "json"
            else None
        )

    def _undecided(self, step: Step[..., Any], symbol: Symbol) -> NoReturn:
        words = object.__getattribute__(symbol, "_words")
        raise self._stop(
            DynamicBody(
                f"{step.name}.map is given {words}, which may be a list or not: annotate it, or write ms.each(...) or"
                " ms.whole(...) around it"
            )
        )

    def _listed(self, value: Any, name: str) -> Symbol:
        """The parts of something that is no result of a step, or no list: a node of its own makes them."""
        name = self._name(f"{name}-items")
        self.nodes.append(Node(name=name, step=_EACH_OF, arguments={"value": self._written(value)}))
        return Symbol({"$": "result", "node": name}, f"the parts of {name}", self._watch.guard, list)

    def nested(self, flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if flow.is_async:
            raise self._stop(DynamicBody(f"it calls {flow.name}, an async function"))
        given = flow.signature.bind_partial(*args, **kwargs).arguments
        if late := [each.name for each in parameters_of(flow) if each.fires and each.name not in given]:
            raise self._stop(DynamicBody(f"it calls {flow.name} without {late[0]}, which is the moment of the run"))
        return self.watched(flow.function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        raise self._stop(DynamicBody(f"the body uses {name.strip('_')}, which only a run of ours knows"))

    def node_of(self, value: Any) -> str:
        """The node whose result a value is, or an empty text."""
        if type(value) is not Symbol:
            return ""
        tag = object.__getattribute__(value, "_tag")
        return str(tag["node"]) if tag["$"] == "result" and "part" not in tag else ""

    def _add(
        self,
        step: Step[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        items: tuple[Any, ...] = (),
    ) -> Symbol:
        if len(self.nodes) >= _MOST_CALLS:
            raise self._stop(DynamicBody(f"the body calls steps more than {_MOST_CALLS} times"))
        try:
            self._watch.check_callers()
        except DynamicBody as stopped:
            raise self._stop(stopped) from None
        address, how = address_of(step, what="step"), self._how(step)
        with self._watch.away():
            try:
                bound = step.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise InvalidInput(f"step {step.name}: {error}") from None
            arguments = {name: self._written(value) for name, value in bound.arguments.items()}
            mapped = tuple(self._written(each) for each in items)
        code = ""
        if how.cache and not (code := step.code().digest):
            self.notes.append(f"{step.name} is not cached: its code cannot be digested")
            how = msgspec.structs.replace(how, cache=False)
        node = Node(name=self._name(step.name), step=address, arguments=arguments, items=mapped, how=how, code=code)
        self.nodes.append(node)
        words = f"the results of {node.name}" if items else f"the result of {node.name}"
        return Symbol(
            {"$": "result", "node": node.name}, words, self._watch.guard, list if items else result_type(step)
        )

    def _written(self, value: Any) -> Any:
        def known(part: Any) -> Any:
            if type(part) is Symbol:
                return object.__getattribute__(part, "_tag")
            return known(part.result()) if isinstance(part, Handle) else None

        return encode(value, _Constants(), known=known)

    def _name(self, name: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "step"
        if base[0].isdigit():
            base = f"step-{base}"
        self._names[base] = count = self._names.get(base, 0) + 1
        return base if count == 1 else f"{base}-{count}"

    def _stop(self, stopped: DynamicBody) -> DynamicBody:
        self.stopped = self.stopped or str(stopped)
        return stopped

    def _how(self, step: Step[..., Any]) -> How:
        options = step.options
        if options.where == "ray":
            raise InvalidInput(
                f"step {step.name} runs on Ray, which an exported container does not have",
                hint=f'call {step.name}.using(where="auto") in the flow that is exported',
            )
        if env := getattr(options, "env", ""):
            self.notes.append(f"{step.name}: its image must have what {env} locks")
        if limits := getattr(options, "limits", ()):
            self.notes.append(f"{step.name}: the limits {', '.join(limits)} are not known outside of Mainspring")
        fallback = getattr(options, "fallback", msgspec.UNSET)
        return How(
            retries=options.retries,
            delay=options.delay,
            timeout=options.timeout,
            cpu=getattr(options, "cpu", 0.0),
            memory=options.memory,
            gpu=getattr(options, "gpu", 0.0),
            cache=options.cache,
            cache_ttl=getattr(options, "cache_ttl", 0.0),
            image=getattr(options, "image", ""),
            secrets=tuple(getattr(options, "secrets", ())),
            priority=getattr(options, "priority", 0),
            falls_back=fallback is not msgspec.UNSET,
            picks_errors=options.retry_on != (Exception,),
            allow_pickle=options.allow_pickle,
        )


def _spread_alone(value: Any) -> list[Any] | None:
    """What a map makes of an argument that is known: its items, or None when every call is given it as it is."""
    try:
        return spread((value,), {}).columns[0]
    except InvalidInput:
        if isinstance(value, _EACH):
            raise
        return None


def _ordered(nodes: list[Node], beside: set[str], result: str) -> tuple[Node, ...]:
    """The nodes with what each waits for, without what follows from the rest."""
    number = {node.name: place for place, node in enumerate(nodes)}
    needs = [{number[tag["node"]] for tag in used_by([node.arguments, list(node.items)], "result")} for node in nodes]
    used = set().union(*needs) | ({number[result]} if result else set())
    before: list[int] = []  # for each node, a bit for everything that is finished when it begins
    ordered, barrier = [], -1
    for place, node in enumerate(nodes):
        wanted = set(needs[place])
        if barrier >= 0:
            wanted.add(barrier)
        if place not in used:
            wanted |= set(range(barrier + 1, place))
            barrier = barrier if node.name in beside else place
        covered = 0
        for one in wanted:
            covered |= before[one]
        least = sorted(one for one in wanted if not covered >> one & 1)
        before.append(covered | sum(1 << one for one in wanted))
        ordered.append(msgspec.structs.replace(node, after=tuple(nodes[one].name for one in least)))
    return tuple(ordered)
