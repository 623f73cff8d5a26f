"""Lightning, under both of its names: a callback in the trainer for as long as it fits."""

from __future__ import annotations

from collections.abc import Generator
from types import ModuleType
from typing import Any

from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["LightningLogger"]

_TRAINER = ("max_epochs", "max_steps", "accumulate_grad_batches", "gradient_clip_val", "precision", "num_devices")


class LightningLogger:
    """The settings of the trainer, the module's hyperparameters, its optimizers, what it logs, its checkpoint."""

    modules = ("lightning.pytorch", "pytorch_lightning")

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap the trainer's `fit`."""
        base = module.callbacks.Callback

        def fit(session: Session, call: Call) -> Generator[None, Any, None]:
            yield from _fit(session, call, base)

        patches.method(module.Trainer, "fit", fit, title=lambda call: type(call.argument("model")).__name__)


def _fit(session: Session, call: Call, base: type) -> Generator[None, Any, None]:
    trainer, module = call.owner, call.argument("model")
    session.tags(estimator=type(module).__name__)
    session.params({name: value for name in _TRAINER if (value := getattr(trainer, name, None)) is not None})
    session.params(dict(getattr(module, "hparams", {}) or {}))
    session.params({"parameters": sum(each.numel() for each in module.parameters())})
    callback = _callback(base, session)
    trainer.callbacks.append(callback)
    try:
        yield
    finally:
        if callback in trainer.callbacks:
            trainer.callbacks.remove(callback)
    session.log({"epochs": trainer.current_epoch, "steps": trainer.global_step})
    if trainer.is_global_zero:
        best = getattr(getattr(trainer, "checkpoint_callback", None), "best_model_path", "")
        session.tags(checkpoint=best)
        session.model(module, native=lambda folder: trainer.save_checkpoint(folder / "model.ckpt"))


def _callback(base: type, session: Session) -> Any:
    class Watch(base):  # type: ignore[misc]  # the class of whichever package is imported
        """Hands on what the module logs."""

        def __init__(self) -> None:
            super().__init__()
            self._of_training: set[str] = set()
            self._validated = False

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            with session.safely():
                for number, optimizer in enumerate(trainer.optimizers):
                    place = "optimizer" if not number else f"optimizer-{number + 1}"
                    settings = {name: value for name, value in optimizer.defaults.items() if value is not None}
                    session.params({f"{place}.{name}": value for name, value in settings.items()})
                    session.params({f"{place}.name": type(optimizer).__name__})

        def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
            if trainer.is_global_zero and trainer.global_step % max(1, trainer.log_every_n_steps) == 0:
                with session.safely():
                    held = trainer.logged_metrics
                    found = {name: held[name] for name in held if not name.endswith("_epoch")}
                    if not self._validated:
                        self._of_training |= set(found)  # later the trainer mixes in those of the last validation
                    values = {name: value for name, value in found.items() if name in self._of_training}
                    session.log(values, step=trainer.global_step)

        def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
            self._validated = self._validated or not trainer.sanity_checking

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # after the validation of the epoch
            if trainer.is_global_zero:
                with session.safely():
                    held = trainer.callback_metrics
                    found = {name.removesuffix("_epoch"): held[name] for name in held if not name.endswith("_step")}
                    session.log({f"epoch/{name}": value for name, value in found.items()}, step=trainer.current_epoch)

    return Watch()
