"""PyTorch programs as files of PyTorch's own: TorchScript (`.pt`) and `torch.export` (`.pt2`).

Neither is a pickle of the user's classes, but both are programs for a runtime of PyTorch's, read by C++ that its
makers do not call safe for files of strangers. So models of these formats answer from a child process, whatever the
policy says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Damaged, MissingDependency, UnsupportedFormat
from mainspring.models.formats import Saved, SaveOptions, cannot_hold
from mainspring.models.policy import LoadPolicy

__all__ = ["TORCHSCRIPT", "TORCH_EXPORT", "load_exported"]

_LIBRARIES = ("torch", "numpy")


class _TorchScript:
    isolated = True
    _file = "model.pt"

    def accepts(self, model: Any) -> bool:
        """A scripted or traced module."""
        return any(each.__module__.startswith("torch.jit") for each in type(model).__mro__)

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write `model.pt`; a plain module is scripted first."""
        torch = _torch()
        if not isinstance(model, torch.nn.Module):
            raise cannot_hold("torchscript", model)
        try:
            scripted = model if self.accepts(model) else torch.jit.script(model)
            scripted.save(str(folder / self._file))
        except (RuntimeError, TypeError, OSError) as error:  # what the compiler of TorchScript does not know
            raise UnsupportedFormat(
                f"TorchScript cannot hold this {type(model).__name__}: {_last(error)}", hint="format='torch-export'"
            ) from error
        return Saved((self._file,), _LIBRARIES)

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """The child process is the check."""

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The module, on the CPU."""
        torch = _torch()
        try:
            return torch.jit.load(str(folder / self._file), map_location="cpu").eval()
        except (RuntimeError, ValueError) as error:
            raise Damaged(f"{self._file} is not TorchScript that can be read: {_last(error)}") from error


class _TorchExport:
    isolated = True
    _file = "model.pt2"

    def accepts(self, model: Any) -> bool:
        """An exported program, or a module, which is exported."""
        return any(
            f"{each.__module__}.{each.__name__}" == "torch.nn.modules.module.Module"
            or each.__module__.startswith("torch.export")
            for each in type(model).__mro__
        )

    def save(self, model: Any, folder: Path, options: SaveOptions) -> Saved:
        """Write `model.pt2`; a module is exported with the number of rows left open."""
        torch = _torch()
        if not self.accepts(model):
            raise cannot_hold("torch-export", model)
        program = model
        if not type(model).__module__.startswith("torch.export"):
            if not options.inputs:
                raise UnsupportedFormat(
                    "torch.export follows a module through one call, and there are no inputs to call it with",
                    hint="give an example; or format='safetensors' with the factory that makes the module",
                )
            program = self._export(torch, model, options.inputs)
        torch.export.save(program, folder / self._file)
        return Saved((self._file,), _LIBRARIES)

    def check(self, folder: Path, policy: LoadPolicy) -> None:
        """The child process is the check."""

    def load(self, folder: Path, policy: LoadPolicy) -> Any:
        """The exported program's module, on the CPU."""
        return load_exported(folder / self._file)

    @staticmethod
    def _export(torch: Any, model: Any, inputs: tuple[Any, ...]) -> Any:
        import numpy as np

        kind = next((each.dtype for each in model.parameters() if each.is_floating_point()), torch.float32)
        made = [torch.from_numpy(np.array(each)) for each in inputs]
        given = tuple(each.to(kind) if each.is_floating_point() else each for each in made)
        rows = torch.export.Dim("rows", min=1)
        before = model.training
        model.eval()
        try:
            return torch.export.export(model, given, dynamic_shapes=[{0: rows} for _ in given])
        except Exception as error:  # torch.export runs the module's own code
            raise UnsupportedFormat(
                f"torch.export cannot follow this {type(model).__name__}: {_last(error)}",
                hint="format='torchscript', or format='safetensors' with the factory that makes the module",
            ) from error
        finally:
            model.train(before)


def load_exported(path: Path) -> Any:
    """The module of an exported program."""
    torch = _torch()
    try:
        return torch.export.load(path).module()
    except MemoryError:
        raise
    except Exception as error:  # zip, JSON, and PyTorch's own errors share no other base
        raise Damaged(f"{path.name} is not an exported program that can be read: {_last(error)}") from error


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingDependency("torch", extra="frameworks") from None
    return torch


def _last(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


TORCHSCRIPT = _TorchScript()
TORCH_EXPORT = _TorchExport()
