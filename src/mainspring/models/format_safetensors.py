"""Weights as safetensors: named tensors and nothing else, so always data.

Weights alone are not a model. With a *factory* (`module:callable`, installed or on the path of whoever loads) the
module is made by it and given the weights; as a name out of a file must not choose what is called, the workspace's
policy has to trust the factory. Without one the weights come back as arrays by name: a PyTorch state dict, parameters
of Flax or JAX (nested dictionaries, joined with dots), or arrays of numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.kernel.hooks import load as load_address
from mainspring.models.formats import Saved, SaveOptions
from mainspring.models.policy import LoadPolicy

__all__ = ["SAFETENSORS"]

_FILE = "model.safetensors"
_FACTORY = "factory.json"


class _Factory(msgspec.Struct):
    factory: str


class _Safetensors:
    isolated = False

    def accepts(self, model: Any) -> bool:
        """Named tensors, nested or not."""
        return isinstance(model, Mapping) and bool(model) and all(_is_tensor(each) for _, each in _flat(model))

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write the tensors, and the name of the factory where there is one."""
        if hasattr(model, "state_dict"):
            if not options.factory:
                raise UnsupportedFormat(
                    f"safetensors holds the weights of this {type(model).__name__}, not what it does with them",
                    hint="name what makes it, factory='my_package.net:make_net', or save model.state_dict()",
                )
            model = model.state_dict()
        if not self.accepts(model):
            raise UnsupportedFormat(f"safetensors holds named tensors, and this is a {type(model).__name__}")
        tensors = dict(_flat(model))
        torch = any(type(each).__module__.partition(".")[0] == "torch" for each in tensors.values())
        _write(tensors, folder / _FILE, torch=torch)
        files = [_FILE]
        if options.factory:
            (folder / _FACTORY).write_bytes(msgspec.json.encode(_Factory(options.factory)))
            files.append(_FACTORY)
        return Saved(tuple(files), ("safetensors", "torch" if torch else "numpy"))

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """Tensors are data; a factory must be trusted by name."""
        named = _factory(folder)
        if named and named not in policy.trusted:
            raise UnsupportedFormat(
                f"the weights belong to what {named} makes, which is not trusted here",
                hint=f"look at what it does; then an administrator may run models.set_policy(trusted=[{named!r}])",
                details={"types": [named]},
            )

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The module with its weights, or the tensors by name where there is no factory."""
        self.check(folder, policy)
        named = _factory(folder)
        if not named:
            return _read(folder / _FILE, torch=False)
        try:
            made = load_address(named)()
        except (ImportError, AttributeError) as error:
            raise Damaged(f"the factory {named} cannot be imported here: {error}") from error
        tensors = _read(folder / _FILE, torch=True)
        try:
            made.load_state_dict(tensors, strict=True)
        except RuntimeError as error:  # how PyTorch says that names or shapes differ
            raise Damaged(f"the weights do not fit what {named} makes: {error}") from error
        return made.eval()


def _factory(folder: Path) -> str:
    path = folder / _FACTORY
    if not path.is_file():
        return ""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Factory).factory
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{_FACTORY} cannot be read: {error}") from error


def _flat(tensors: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tensors.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_tensor(value: Any) -> bool:
    return (
        hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value.dtype, "kind", "") not in ("O", "U", "S")
    )


def _write(tensors: dict[str, Any], path: Path, *, torch: bool) -> None:
    _library()
    if torch:
        from safetensors.torch import save_file as save_torch

        save_torch({name: each.detach().cpu().contiguous().clone() for name, each in tensors.items()}, path)
        return
    import numpy as np
    from safetensors.numpy import save_file

    try:
        save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, path)
    except (KeyError, TypeError, ValueError) as error:
        raise UnsupportedFormat(f"safetensors cannot hold these tensors: {error}") from error


def _read(path: Path, *, torch: bool) -> dict[str, Any]:
    safetensors = _library()
    try:
        if torch:
            from safetensors.torch import load_file as load_torch

            return dict(load_torch(path))
        from safetensors.numpy import load_file

        return dict(load_file(path))
    except (safetensors.SafetensorError, KeyError) as error:  # KeyError: a type that numpy does not have
        raise Damaged(f"{path.name} cannot be read: {error}") from error


def _library() -> Any:
    try:
        import safetensors
    except ImportError:
        raise MissingDependency("safetensors", extra="formats") from None
    return safetensors


SAFETENSORS = _Safetensors()
