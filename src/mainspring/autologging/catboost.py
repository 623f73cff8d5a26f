"""CatBoost: the estimators and `train`, which fits one."""

from __future__ import annotations

from collections.abc import Generator
from types import ModuleType
from typing import Any

from mainspring.autologging.boosting import last_values, log_importances
from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["CatBoostLogger"]


class CatBoostLogger:
    """Parameters, the figures of each iteration while it goes on (on a GPU at the end), importances, the model."""

    modules = ("catboost",)

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap `fit` of all estimators."""
        patches.family(module.CatBoost, "fit", self.fit)

    def fit(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """One training."""
        estimator, inputs = call.owner, call.argument("X")
        session.tags(estimator=type(estimator).__name__, rows=getattr(inputs, "shape", ("",))[0])
        session.params(estimator.get_params())
        on_cpu = str(estimator.get_params().get("task_type", "CPU")).upper() == "CPU"
        if on_cpu:
            call.replace("callbacks", [*(call.argument("callbacks") or ()), _Watch(session)])
        yield
        if not on_cpu:
            _log_history(session, estimator.get_evals_result())
        session.log({"trees": estimator.tree_count_, "best_iteration": estimator.get_best_iteration()})
        for data, best in estimator.get_best_score().items():
            session.log({f"best/{data}/{name}": value for name, value in best.items()})
        session.params({"learned.learning_rate": estimator.learning_rate_})
        with session.safely():
            log_importances(session, estimator.feature_names_, importance=estimator.get_feature_importance())
        session.model(estimator, example=inputs, native=lambda folder: estimator.save_model(str(folder / "model.cbm")))


class _Watch:
    """Logs each iteration."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def after_iteration(self, info: Any) -> bool:
        with self._session.safely():
            self._session.log(last_values(info.metrics or {}), step=info.iteration - 1)
        return True


def _log_history(session: Session, history: Any) -> None:
    for data, metrics in history.items():
        for name, values in metrics.items():
            for iteration, value in enumerate(values):
                session.log({f"{data}/{name}": value}, step=iteration)
