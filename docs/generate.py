"""Write docs/reference/ from the code: errors, settings, operations, command line, hooks, names; and README's example.

    python docs/generate.py            write the pages
    python docs/generate.py --check    say which are out of date, and change nothing

What can be read from the code is never typed by hand; tests/repository/test_documentation.py holds the pages to it.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
HEAD = "<!-- Written by docs/generate.py; change the code, not this page. -->\n\n"

ERRORS = """\
# Errors

Every error of Mainspring is one of these, on every surface: as an exception in Python, as JSON over HTTP, as a line of
the command line. Each carries `code`, `message`, `hint` (what to do next), `known` (the nearest valid names) and
`details`, and survives pickle and JSON.

"""
SETTINGS = """\
# Settings

Each value comes from the default, then `config.toml` in the store's folder, then the environment, then a flag: the last
that says something wins. The store itself is `MAINSPRING_STORE`, else the folder `.mainspring` found upward from the
working folder. `mainspring config` shows the values in force and where each came from.

"""
OPERATIONS = """\
# Operations

An operation is declared once, as a method of a room's service. The same declaration is the call in Python, the route
over HTTP, the permission that is asked for and the name in the audit log. One that writes is audited.

Over HTTP each is `POST /api/v1/<room>/<verb>` with its arguments as a JSON object; one that only reads answers `GET`
with query parameters too. `/openapi.json` describes them all.
"""
PYTHON = """\
# Python

The public names. `import mainspring as ms` is the front door; a room's names are for who builds on it.
"""


def cell(text: str) -> str:
    """Text fit for a table's cell: one line, no bars."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Text as code fit for a table's cell, or nothing."""
    return f"`{cell(text)}`" if text.strip() else ""


def first_line(thing: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def attribute_docs(module: Any) -> dict[str, str]:
    """The text under each top-level assignment of a module."""
    found: dict[str, str] = {}
    name = ""
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            name = target.id if isinstance(target, ast.Name) else ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = str(node.value.value)
            name = ""
        else:
            name = ""
    return found


def errors() -> str:
    """Every error code."""
    from mainspring.kernel import errors as module

    def below(cls: type) -> Iterator[type]:
        for child in sorted(cls.__subclasses__(), key=lambda each: each.code):
            if child.__module__ == module.__name__:
                yield child
                yield from below(child)

    found = [module.MainspringError, *below(module.MainspringError)]
    from mainspring.cli.output import exit_code_of
    from mainspring.client.statuses import status_of

    rows = []
    for each in found:
        error = each.__new__(each)  # the two tables ask for its class only
        numbers = (str(status_of(error)), str(exit_code_of(error)))
        rows.append(
            (code(each.code), code(each.__name__), code(each.__mro__[1].__name__), *numbers, cell(first_line(each)))
        )
    return ERRORS + table(("code", "error", "is a", "HTTP", "exit", "meaning"), rows)


def settings() -> str:
    """Every setting."""
    from mainspring.kernel.settings import describe_settings

    rows = [
        (code(each.name), code(f"MAINSPRING_{each.name.upper()}"), code(repr(each.value)), cell(each.description))
        for each in describe_settings(Path("no-such-folder"), environ={})
    ]
    return SETTINGS + table(("setting", "environment", "default", "meaning"), rows)


def services() -> list[type]:
    """The service of every room, by name."""
    from mainspring.kernel.hooks import ROOMS, load

    return sorted((load(room.service) for room in ROOMS if room.service), key=lambda service: service.room)


def signature(function: Any) -> str:
    """A signature as it is written, without `self`."""
    whole = inspect.signature(function)
    shown = [
        each.replace(annotation=plain(each.annotation)) for name, each in whole.parameters.items() if name != "self"
    ]
    text = str(whole.replace(parameters=shown, return_annotation=plain(whole.return_annotation)))
    return re.sub(r" object at 0x[0-9a-f]+", "", text)


def plain(annotation: Any) -> Any:
    """An annotation that prints as it was written, for `inspect` would put a text in quotation marks."""
    return _Written(annotation) if isinstance(annotation, str) else annotation


class _Written:
    """Something whose `repr` is a given text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def composed_methods(service: type) -> Iterator[tuple[str, Any]]:
    """The public methods of a service that are not operations."""
    for name in sorted(vars(service)):
        each = getattr(service, name)
        if not name.startswith("_") and inspect.isfunction(each) and not hasattr(each, "operation"):
            yield name, each


def operations() -> str:
    """Every operation of every room."""
    from mainspring.kernel.operations import operations_of

    parts = [OPERATIONS]
    for service in services():
        parts.append(f"\n## {service.room}\n\n{cell(first_line(service))}\n\n")
        rows = []
        for each in operations_of(service):
            route = f"{'POST' if each.writes or each.upload else 'GET, POST'} /api/v1/{each.room}/{each.verb}"
            rows.append(
                (code(each.name + signature(each.function)), cell(each.summary), code(route), code(each.permission))
            )
        parts.append(table(("operation", "what it does", "route", "permission"), rows))
        if composed := list(composed_methods(service)):
            parts.append("\nComposed of these, on the caller's machine:\n\n")
            methods = [
                (code(f"{service.room}.{name}{signature(each)}"), cell(first_line(each))) for name, each in composed
            ]
            parts.append(table(("method", "what it does"), methods))
    return "".join(parts)


def command_line() -> str:
    """Every command, as its own help says it."""
    parts = ["# Command line\n\nWhat each command says with `--help`.\n"]
    parts += [f"\n## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in walk()]
    return "".join(parts)


def groups() -> dict[str, str]:
    """Every command and the address of its module."""
    from mainspring.cli.app import GROUPS

    return GROUPS


def walk(command: Any = None, parent: Any = None) -> Iterator[Any]:
    """The context of a command and of all below it, in order; of the whole command line by default."""
    import click

    from mainspring.cli.app import cli

    command = command or cli
    if command.hidden:
        return
    name = command.name if parent else "mainspring"
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        **{"terminal_width": 100, "max_content_width": 100} | command.context_settings,
    )
    yield context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            if child := command.get_command(context, each):
                yield from walk(child, context)


def hooks() -> str:
    """Every place where Mainspring is extended."""
    from mainspring.kernel import hooks as module

    documented = attribute_docs(module)
    parts = [f"# Hooks\n\n{inspect.getdoc(module)}\n"]
    for name, value in vars(module).items():
        if isinstance(value, dict) and name.isupper():
            parts.append(
                f"\n## {name}\n\n{documented.get(name, '').strip()}\n\nEntry points: `mainspring.{name.lower()}`.\n\n"
            )
            if value:
                parts.append(table(("name", "built in"), [(code(key), code(str(item))) for key, item in value.items()]))
    return "".join(parts)


def floors() -> list[list[str]]:
    """The rooms on each floor, ground floor first, as the import linter enforces them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    return [[name.strip(" ()") for name in layer.split("|")] for layer in reversed(contracts[0]["layers"])]


def exists(module: str) -> bool:
    """Whether a module of the product is there."""
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None


def python() -> str:
    """Public names of the package and of every room."""
    parts = [PYTHON]
    rooms = [f"mainspring.{name}" for floor in floors() for name in floor]
    for name in ["mainspring", *rooms]:
        if not exists(name):
            continue
        module = importlib.import_module(name)
        rows = [public_name(module, each) for each in getattr(module, "__all__", ())]
        parts.append(f"\n## {name}\n\n{cell(first_line(module))}\n\n")
        if rows:
            parts.append(table(("name", "what it is"), rows))
    return "".join(parts)


def public_name(module: Any, name: str) -> tuple[str, str]:
    """A row about one public name."""
    value = getattr(module, name)
    if inspect.isclass(value):
        return code(f"class {name}"), cell(first_line(value))
    if inspect.isfunction(value):
        return code(name + signature(value)), cell(first_line(value))
    return code(name), cell(first_line(value) if inspect.ismodule(value) or inspect.isroutine(value) else "")


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    made: dict[str, Callable[[], str]] = {
        "errors": errors,
        "settings": settings,
        "operations": operations,
        "hooks": hooks,
        "python": python,
    }
    if all(exists(address.partition(":")[0]) for address in groups().values()):
        made["cli"] = command_line
    written = {DOCS / "reference" / f"{name}.md": HEAD + body().rstrip() + "\n" for name, body in made.items()}
    return written | {ROOT / "README.md": readme()}


def readme() -> str:
    """README.md with the example of examples/readme.py in its place."""
    text = (ROOT / "README.md").read_text("utf-8")
    program = (ROOT / "examples" / "readme.py").read_text("utf-8")
    example = re.search(r"# python: begin\n(.*)# python: end", program, re.DOTALL)
    place = r"(<!-- python: begin -->\n).*(<!-- python: end -->)"
    if example is None or not re.search(place, text, re.DOTALL):
        raise SystemExit("the marks `python: begin` and `python: end` are gone from README.md or examples/readme.py")
    shown = f"```python\n{example[1]}```\n"
    return re.sub(place, lambda marks: marks[1] + shown + marks[2], text, flags=re.DOTALL)


def stale() -> list[str]:
    """The pages that do not say what the code says now."""
    return [path.name for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Write or check."""
    if arguments == ["--check"]:
        wrong = stale()
        print("\n".join(f"{name} is out of date: run python docs/generate.py" for name in wrong))
        return len(wrong)
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
