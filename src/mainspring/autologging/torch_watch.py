"""Watching a PyTorch module: the distributions of its gradients and parameters while it is trained."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any
from weakref import WeakSet

from mainspring.kernel.errors import InvalidInput, MainspringError
from mainspring.tracking.media import Histogram

__all__ = ["watch"]

_log = logging.getLogger("mainspring.autologging")

_BINS = 64
_watched: WeakSet[Any] = WeakSet()


def watch(run: Any, model: Any, *, every: int = 100, gradients: bool = True, parameters: bool = True) -> None:
    """Log histograms of every trained parameter and of its gradient at each `every`-th backward pass.

    The counts are made where the tensors are; only they are copied. It ends with the run.

    Args:
        run: The run to log into.
        model: A `torch.nn.Module`.
        every: Backward passes between two looks.
        gradients: Whether to look at the gradients, before an optimizer clips or scales them.
        parameters: Whether to look at the parameters.
    """
    if not hasattr(model, "named_parameters"):
        raise InvalidInput(f"{type(model).__name__} is not a module of PyTorch")
    if every < 1:
        raise InvalidInput(f"every = {every} is not at least 1")
    if model in _watched:
        raise InvalidInput("this module is watched already")
    _watched.add(model)
    watcher = _Watcher(run, every, gradients=gradients, parameters=parameters)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            watcher.follow(name, parameter)


class _Watcher:
    """Counts the backward passes of each parameter and looks at each `every`-th."""

    def __init__(self, run: Any, every: int, *, gradients: bool, parameters: bool) -> None:
        self._run, self._every = run, every
        self._gradients, self._parameters = gradients, parameters
        self._handles: list[Any] = []

    def follow(self, name: str, parameter: Any) -> None:
        passes = 0

        def look(gradient: Any) -> None:
            nonlocal passes
            step, passes = passes, passes + 1
            if step % self._every:
                return
            try:
                if self._gradients:
                    self._run.log_media(_histogram(gradient), f"gradients/{name}", step=step)
                if self._parameters:
                    self._run.log_media(_histogram(parameter), f"parameters/{name}", step=step)
            except (MainspringError, RuntimeError) as error:  # the run has ended, or the tensor has no numbers
                _log.debug("the module is no longer watched: %s", error)
                self._stop()

        self._handles.append(parameter.register_hook(look))

    def _stop(self) -> None:
        while self._handles:
            self._handles.pop().remove()


def _histogram(tensor: Any) -> Histogram:
    import torch

    values = tensor.detach()
    values = (values.to_dense() if values.is_sparse else values).float().flatten()
    finite = values[torch.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
    if not low < high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(finite, bins=_BINS, min=low, max=high)
    width = (high - low) / _BINS
    edges = [low + width * number for number in range(_BINS)] + [high]
    if any(not one < two for one, two in pairwise(edges)):  # narrower than a float can tell
        return Histogram(counts=[int(finite.numel())], edges=[low - abs(low) - 1e-30, high + abs(high) + 1e-30])
    return Histogram(counts=[int(count) for count in counts.tolist()], edges=edges)
