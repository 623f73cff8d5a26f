"""What of the working tree a flow needs: the files of its own modules, and of all that these import.

Modules are found by reading imports, not by what happens to be loaded, so that the same tree gives the same files in
every process. What is installed stays out: the environment stands for it.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.kernel.errors import InvalidInput

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow
    from mainspring.store.service import RoomService

__all__ = ["Snapshot", "encoded_params", "snapshot"]

_MOST_FILES = 5000


class Snapshot:
    """The files of a flow, by their paths in the deployment."""

    def __init__(self, address: str, main: str, files: dict[str, Path], sys_path: tuple[str, ...], cwd: str) -> None:
        self.address = address
        self.main = main
        self.files = files
        self.sys_path = sys_path
        self.cwd = cwd


def snapshot(flow: Flow[..., Any], *, include: Iterable[str] = ()) -> Snapshot:
    """The files that `flow` needs.

    Args:
        flow: At the top of a module or of a script.
        include: Patterns of more files beside them, relative to the folder of the flow's top package: `sql/*.sql`.

    Raises:
        InvalidInput: It is defined where no other process can import it, or a pattern leads out of the folder.
    """
    location = flow.location()
    if not location.address:
        raise InvalidInput(
            f"the flow {flow.name} is defined where no other process can import it",
            hint="define it at the top of a module",
        )
    module = location.address.partition(":")[0]
    found: dict[str, Path] = {}
    roots: set[Path] = set()
    if location.main:
        script = Path(location.main)
        found[script.name] = script
        roots.add(script.parent)
        _follow(list(_imports(script, "__main__", is_package=False)), found, roots)
    else:
        _follow([module], found, roots)
    if not found:
        raise InvalidInput(f"the module {module} is installed, or has no source", hint="deploy from the working tree")
    home = Path(location.main).parent if location.main else _root_of(module, found)
    for pattern in include:
        found.update(_matching(home, pattern))
    if len(found) > _MOST_FILES:
        raise InvalidInput(f"a deployment has at most {_MOST_FILES} files, not {len(found)}")
    others = tuple(path for path in location.sys_path if path and Path(path).resolve() not in roots)
    return Snapshot(
        location.address,
        Path(location.main).name if location.main else "",
        dict(sorted(found.items())),
        others,
        location.cwd,
    )


def encoded_params(service: RoomService, flow: Flow[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    """Arguments as runs record them; what hangs on the moment of a run is left to the run."""
    from mainspring.pipelines.runtime import blob_port
    from mainspring.pipelines.values import encode

    return {name: encode(value, blob_port(service)) for name, value in flow.bind(params, late=True).items()}


def _follow(names: list[str], found: dict[str, Path], roots: set[Path]) -> None:
    """Add the files of these modules, of the packages they are in, and of all that they import."""
    seen: set[str] = set()
    while names:
        name = names.pop()
        parent = name.rpartition(".")[0]
        if parent:
            names.append(parent)
        if name in seen:
            continue
        seen.add(name)
        origin = _origin(name)
        if origin is None:
            continue
        path, is_package = origin
        inside = Path(*name.split("."))
        relative = inside / "__init__.py" if is_package else inside.with_suffix(".py")
        found[relative.as_posix()] = path
        roots.add(path.parents[len(relative.parts) - 1].resolve())
        names += [each for each in _imports(path, name, is_package=is_package) if each not in seen]


def _imports(path: Path, name: str, *, is_package: bool) -> Iterator[str]:
    """The names of modules that a file may import, wherever in it: `from a import b` may mean the module a.b."""
    package = name if is_package else name.rpartition(".")[0]
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as Python: {error}") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                whole = ".".join(part for part in (base, node.module or "") if part)
            else:
                whole = node.module or ""
            if whole:
                yield whole
                yield from (f"{whole}.{each.name}" for each in node.names if each.name != "*")


@cache
def _installed() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")})


def _origin(name: str) -> tuple[Path, bool] | None:
    """The file of a module of the user's own, and whether it is a package; None for what is installed."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("mainspring", "__main__"):
        return None
    loaded = sys.modules.get(name)
    try:
        spec = loaded.__spec__ if loaded is not None else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin).resolve()
    if any(path.is_relative_to(folder) for folder in _installed()) or "site-packages" in path.parts:
        return None
    return path, spec.submodule_search_locations is not None


def _root_of(module: str, found: dict[str, Path]) -> Path:
    """The folder of the flow's top package, or that of its module."""
    top = module.partition(".")[0]
    for relative in (f"{top}/__init__.py", f"{top}.py"):
        if relative in found:
            return found[relative].parents[1] if "/" in relative else found[relative].parent
    inside = f"{module.replace('.', '/')}.py"
    return found[inside].parents[inside.count("/")]


def _matching(home: Path, pattern: str) -> dict[str, Path]:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise InvalidInput(f"include: {pattern!r} leads out of {home}", hint="a pattern relative to it")
    matched = {path.relative_to(home).as_posix(): path for path in home.glob(pattern) if path.is_file()}
    if not matched:
        raise InvalidInput(f"include: nothing in {home} matches {pattern!r}")
    return matched
