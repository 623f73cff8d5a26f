"""Hugging Face transformers: a callback in the `Trainer` for as long as it trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from types import ModuleType
from typing import Any

from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["TransformersLogger"]

_ALWAYS = (
    "learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps",
    "weight_decay", "warmup_ratio", "warmup_steps", "lr_scheduler_type", "optim", "seed",
)  # fmt: skip
_NEVER = ("token", "logging_dir", "report_to", "callbacks")


class TransformersLogger:
    """The arguments that were set, the model's shape, everything that the trainer logs, the weights."""

    modules = ("transformers.trainer",)

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap `train`."""
        base = module.TrainerCallback

        def train(session: Session, call: Call) -> Generator[None, Any, None]:
            yield from _train(session, call, base)

        patches.method(module.Trainer, "train", train, title=lambda call: type(call.owner.model).__name__)


def _train(session: Session, call: Call, base: type) -> Generator[None, Any, None]:
    trainer = call.owner
    session.tags(estimator=type(trainer.model).__name__)
    session.params(_arguments(trainer.args))
    config = getattr(trainer.model, "config", None)
    if config is not None:
        session.params({f"model.{name}": value for name, value in config.to_diff_dict().items() if _plain(value)})
    session.params({"parameters": sum(each.numel() for each in trainer.model.parameters())})
    watch = _callback(base, session)
    trainer.add_callback(watch)
    try:
        result = yield
    finally:
        trainer.remove_callback(watch)
    session.log({f"result/{name}": value for name, value in result.metrics.items()}, step=result.global_step)
    if trainer.is_world_process_zero():
        session.tags(checkpoint=trainer.state.best_model_checkpoint)
        size = sum(each.numel() * each.element_size() for each in trainer.model.parameters())
        if size > session.options.largest_model:
            session.tags(model=f"not kept: {size} bytes")
        elif hasattr(trainer.model, "save_pretrained"):
            session.model(trainer.model, native=trainer.model.save_pretrained)


def _arguments(arguments: Any) -> dict[str, Any]:
    """Those that matter always, and those that are not what they are without being set."""
    masked = arguments.to_dict()
    found = {}
    for field in dataclasses.fields(arguments):
        value = masked.get(field.name)
        if any(word in field.name for word in _NEVER) or not _plain(value):
            continue
        if field.name in _ALWAYS or value != field.default:
            found[field.name] = value
    return found


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def _callback(base: type, session: Session) -> Any:
    class Watch(base):  # type: ignore[misc]  # the class of whichever version is imported
        """Hands on what the trainer logs."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if state.is_world_process_zero and "train_runtime" not in (logs or {}):  # the end: that is the result
                with session.safely():
                    session.log({_named(name): value for name, value in (logs or {}).items()}, step=state.global_step)

    return Watch()


def _named(name: str) -> str:
    """`eval_loss` as `eval/loss`; of the training, `train/loss`."""
    for prefix in ("eval", "test", "train"):
        if name.startswith(f"{prefix}_"):
            return f"{prefix}/{name.removeprefix(prefix + '_')}"
    return f"train/{name}"
