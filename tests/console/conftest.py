"""Stores as the console meets them, empty and full, and a browser whose requests go straight to the app."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import sys
import threading
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import mainspring as ms
from mainspring.console.routes import routes
from mainspring.server.app import make_app

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


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


def _filling(name: str = "filling"):
    spec = importlib.util.spec_from_file_location(f"console_{name}", Path(__file__).with_name(f"{name}.py"))
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # its flows and types are looked up there
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


def pytest_configure(config):
    config.addinivalue_line("markers", "browser: drives Chromium")


def pytest_collection_modifyitems(items):
    """Tests that drive a browser need one."""
    missing = pytest.mark.skip(reason=f"no browser at {CHROMIUM}")
    for item in items:
        if item.get_closest_marker("browser") and not CHROMIUM.exists():
            item.add_marker(missing)


@pytest.fixture(scope="module")
def chromium():
    """Of one module: while the driver's loop runs, no other test may run one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def _serving(client):
    """The whole application, API and all, at an address of this machine."""
    import uvicorn

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = uvicorn.Config(make_app(client.backend.store), log_level="warning", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)


@contextmanager
def _tab(chromium, address, problems: list[str]):
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, base_url=address, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None)
    yield page
    context.close()


@pytest.fixture(scope="session")
def address(filled):
    with _serving(filled[0]) as found:
        yield found


@pytest.fixture
def tab(chromium, address):
    """A page of a browser on the store with one of everything; an error in its console fails the test."""
    problems: list[str] = []
    with _tab(chromium, address, problems) as page:
        yield page
    assert not problems, problems


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    """A store with hundreds of runs; `ids` in the order in which they began, `filling` to make more."""
    with ms.connect(tmp_path_factory.mktemp("sweep")) as opened:
        opened.filling = _filling("filling_runs")
        opened.ids = opened.filling.fill(opened)
        with _serving(opened) as opened.served:
            yield opened


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A store of flows, of one module, for a browser answers what it asks; `names` in it, `filling` to make more."""
    with ms.connect(tmp_path_factory.mktemp("shop")) as opened:
        opened.filling = _filling("filling_flows")
        opened.names = opened.filling.fill(opened)
        yield opened


@pytest.fixture
def flows(shop):
    """The pages of `shop`, parsed."""
    browser = Browser(shop)
    browser.names = shop.names
    yield browser
    del shop.backend.invoke


@pytest.fixture
def counter(chromium, shop):
    """A page of a browser on `shop`; an error in its console fails the test."""
    problems: list[str] = []
    with _serving(shop) as served, _tab(chromium, served, problems) as page:
        yield page
    assert not problems, problems


@pytest.fixture
def desk(chromium, sweep):
    """A page of a browser on the store of `sweep`; `desk.problems` must be empty at the end."""
    problems: list[str] = []
    with _tab(chromium, sweep.served, problems) as page:
        page.problems = problems
        yield page
    assert not problems, problems
