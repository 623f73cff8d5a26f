"""Keras 3, on any of its backends: a callback in `fit`."""

from __future__ import annotations

from collections.abc import Generator
from types import ModuleType
from typing import Any

from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["KerasLogger"]

_FIT = ("batch_size", "epochs", "steps_per_epoch", "validation_split", "shuffle", "initial_epoch")


class KerasLogger:
    """The settings of `fit`, the optimizer, the loss, the figures of each epoch, the architecture, the model."""

    modules = ("keras",)

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap `fit`."""
        callbacks = module.callbacks

        def fit(session: Session, call: Call) -> Generator[None, Any, None]:
            yield from _fit(session, call, callbacks)

        patches.method(module.Model, "fit", fit)


def _fit(session: Session, call: Call, callbacks: ModuleType) -> Generator[None, Any, None]:
    model = call.owner
    session.tags(estimator=type(model).__name__)
    session.params({name: value for name in _FIT if (value := call.argument(name)) is not None})
    session.params({"loss": model.loss})
    with session.safely():
        optimizer = model.optimizer.get_config()
        session.params({f"optimizer.{name}": value for name, value in optimizer.items() if value is not None})
    watch = _callback(callbacks.Callback, session)
    given = call.argument("callbacks")
    if isinstance(given, callbacks.CallbackList):
        given.append(watch)
    else:
        several = isinstance(given, list | tuple)
        call.replace("callbacks", [*(given if several else [given] if given is not None else ()), watch])
    yield
    session.params({"parameters": model.count_params()})
    with session.safely():
        lines: list[str] = []
        model.summary(print_fn=lambda line, **_: lines.append(str(line)))
        session.text("\n".join(lines), "architecture.txt")
    session.model(model, native=lambda folder: model.save(folder / "model.keras"))


def _callback(base: type, session: Session) -> Any:
    class Watch(base):  # type: ignore[misc]  # Keras ships no types
        """Logs each epoch."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            with session.safely():
                rate = getattr(self.model.optimizer, "learning_rate", None)
                session.log({**(logs or {}), "learning_rate": _value(rate)}, step=epoch)

    return Watch()


def _value(rate: Any) -> Any:
    """The rate as it is now: a variable of any backend, or nothing for what cannot be read."""
    try:
        return float(rate)
    except (TypeError, ValueError):
        return None
