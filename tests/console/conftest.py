"""Stores as the console meets them, empty and full, and a browser whose requests go straight to the app."""

from __future__ import annotations

import asyncio
import importlib.util
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import mainspring as ms
from mainspring.console.routes import routes


class Element:
    """One element of a parsed page."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: Element | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Element | str] = []

    def walk(self):
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        return [
            each
            for each in self.walk()
            if (not tag or each.tag == tag)
            and all(
                value in each.attributes.get(name, "").split()
                if name == "class_"
                else each.attributes.get(name) == value
                for name, value in attributes.items()
            )
        ]

    @property
    def text(self) -> str:
        return " ".join(
            "".join(child if isinstance(child, str) else f" {child.text} " for child in self.children).split()
        )


class _Tree(HTMLParser):
    VOID = frozenset(
        ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("", {}, None)
        self.problems: list[str] = []

    def handle_starttag(self, tag, attrs):
        element = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        element.attributes.setdefault("class_", element.attributes.get("class", ""))
        self.here.children.append(element)
        if tag not in self.VOID:
            self.here = element

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if self.here.tag != tag:
            self.problems.append(f"</{tag}> closes <{self.here.tag}>")
        if self.here.parent is not None:
            self.here = self.here.parent

    def handle_data(self, data):
        self.here.children.append(data)


def parse(html: str) -> Element:
    tree = _Tree()
    tree.feed(html)
    assert not tree.problems, tree.problems[:3]
    assert tree.here is tree.root, f"<{tree.here.tag}> is never closed"
    return tree.root


class Browser:
    """Asks the console's pages and parses them; counts the operations behind each."""

    def __init__(self, client: ms.Client, *, base: str = "") -> None:
        self.client, self.base = client, base
        inner = routes(client)
        self.app = Starlette(routes=[Mount(base, routes=inner)] if base else inner)
        self.operations: list[str] = []
        backend = client.backend
        original = type(backend).invoke

        def counted(service, operation, arguments):
            if operation.name not in {"tracking.append", "tracking.beat"}:  # the run left open lives in a thread
                self.operations.append(operation.name)
            return original(backend, service, operation, arguments)

        backend.invoke = counted

    def get(self, path: str, **headers: str) -> httpx.Response:
        self.operations.clear()

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as http:
                return await http.get(
                    self.base + path, headers={name.replace("_", "-"): value for name, value in headers.items()}
                )

        return asyncio.run(ask())

    def page(self, path: str) -> Element:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text[-900:]
        return parse(answer.text)


@pytest.fixture
def client(tmp_path):
    with ms.connect(tmp_path) as opened:
        yield opened


@pytest.fixture
def empty(client):
    return Browser(client)


def _filling():
    spec = importlib.util.spec_from_file_location("console_filling", Path(__file__).with_name("filling.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A store with one of everything, and the names in it."""
    with ms.connect(tmp_path_factory.mktemp("filled")) as opened:
        filling = _filling()
        names = filling.fill(opened)
        yield opened, names
        filling.close(opened, names)


@pytest.fixture
def full(filled):
    client, names = filled
    browser = Browser(client)
    browser.names = names
    yield browser
    del client.backend.invoke


@pytest.fixture
def parsed():
    """The parser of pages, for tests that read an answer themselves."""
    return parse


@pytest.fixture
def browser_at():
    """Makes a browser for a client, below a path."""
    opened = []

    def make(client, *, base):
        opened.append(client)
        return Browser(client, base=base)

    yield make
    for client in opened:
        del client.backend.invoke
