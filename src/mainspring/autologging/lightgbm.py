"""LightGBM: `train`, `cv` and the estimators of its scikit-learn interface."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

from mainspring.autologging.boosting import log_importances, own_params
from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["LightGBMLogger"]


class LightGBMLogger:
    """Parameters, the figures of each iteration while it goes on, importances, the booster."""

    modules = ("lightgbm",)

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap `train`, `cv`, and `fit` of the estimators where scikit-learn is there."""
        patches.function(module.engine, "train", self.train, inside=self.watch)
        patches.function(module.engine, "cv", self.cv)
        models = getattr(module, "LGBMModel", None)
        if models is not None:
            patches.family(models, "fit", self.fit)

    def train(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """A booster."""
        session.params({**dict(call.argument("params") or {}), "num_boost_round": call.argument("num_boost_round")})
        _watch(session, call)
        data = call.argument("train_set")
        raw = getattr(data, "data", None)  # which training lets go of
        booster = yield
        session.tags(estimator="Booster", rows=data.num_data(), columns=data.num_feature())
        _log_booster(session, booster)
        session.model(booster, example=raw, native=lambda folder: booster.save_model(folder / "model.txt"))

    def watch(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """The booster inside of an estimator."""
        _watch(session, call)
        yield

    def fit(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """An estimator."""
        estimator, inputs = call.owner, call.argument("X")
        session.tags(estimator=type(estimator).__name__, rows=getattr(inputs, "shape", ("",))[0])
        session.params(own_params(estimator))
        yield
        booster = estimator.booster_
        _log_booster(session, booster)
        session.model(estimator, example=inputs, native=lambda folder: booster.save_model(folder / "model.txt"))

    def cv(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """A cross-validation: mean and deviation of each iteration."""
        session.params({**dict(call.argument("params") or {}), "nfold": call.argument("nfold")})
        result = yield
        columns = {name: values for name, values in result.items() if isinstance(values, list)}
        for iteration in range(max(map(len, columns.values()), default=0)):
            values = {f"cv/{name}": each[iteration] for name, each in columns.items() if iteration < len(each)}
            session.log(values, step=iteration)


def _watch(session: Session, call: Call) -> None:
    call.replace("callbacks", [*(call.argument("callbacks") or ()), _logs_iterations(session)])


def _logs_iterations(session: Session) -> Callable[[Any], None]:
    def log_iteration(environment: Any) -> None:
        with session.safely():
            found = {f"{each[0]}/{each[1]}": each[2] for each in environment.evaluation_result_list or ()}
            session.log(found, step=environment.iteration)

    log_iteration.order = 5  # type: ignore[attr-defined]  # before early stopping, which ends the others (30)
    return log_iteration


def _log_booster(session: Session, booster: Any) -> None:
    session.log({"best_iteration": max(booster.best_iteration, 0) or None, "trees": booster.num_trees()})
    with session.safely():
        gain, split = (booster.feature_importance(importance_type=kind) for kind in ("gain", "split"))
        log_importances(session, booster.feature_name(), gain=gain, split=split)
