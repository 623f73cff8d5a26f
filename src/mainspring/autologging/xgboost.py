"""XGBoost: `train`, `cv` and the estimators of its scikit-learn interface."""

from __future__ import annotations

from collections.abc import Generator
from types import ModuleType
from typing import Any

from mainspring.autologging.boosting import last_values, log_importances, own_params
from mainspring.autologging.patches import Call, Patches
from mainspring.autologging.sessions import Session

__all__ = ["XGBoostLogger"]

_EXAMPLE = 1000


class XGBoostLogger:
    """Parameters, the figures of each iteration while it goes on, importances, the booster."""

    modules = ("xgboost",)

    def install(self, module: ModuleType, patches: Patches) -> None:
        """Wrap `train`, `cv`, and `fit` of the estimators where scikit-learn is there."""
        patches.function(module.training, "train", self.train, inside=self.watch)
        patches.function(module.training, "cv", self.cv)
        models = getattr(getattr(module, "sklearn", None), "XGBModel", None)
        if models is not None:
            patches.family(models, "fit", self.fit)

    def train(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """A booster."""
        given = call.given()
        session.params({**dict(given.get("params") or {}), "num_boost_round": call.argument("num_boost_round")})
        session.params(_stopping(given))
        data: Any = given.get("dtrain")
        session.tags(estimator="Booster", rows=data.num_row(), columns=data.num_col())
        _watch(session, call)
        booster = yield
        _log_booster(session, booster)
        session.model(booster, example=_rows(data), native=lambda folder: booster.save_model(folder / "model.json"))

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
        _log_booster(session, estimator.get_booster())
        session.model(
            estimator, example=inputs, native=lambda folder: estimator.get_booster().save_model(folder / "model.json")
        )

    def cv(self, session: Session, call: Call) -> Generator[None, Any, None]:
        """A cross-validation: mean and deviation of each iteration."""
        session.params({**dict(call.argument("params") or {}), "num_boost_round": call.argument("num_boost_round")})
        session.params({"nfold": call.argument("nfold")})
        result = yield
        columns = {name: list(result[name]) for name in result}
        for iteration in range(max(map(len, columns.values()), default=0)):
            session.log({f"cv/{name}": values[iteration] for name, values in columns.items()}, step=iteration)


def _watch(session: Session, call: Call) -> None:
    from xgboost.callback import TrainingCallback

    class Watch(TrainingCallback):
        """Logs each iteration."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            with session.safely():
                session.log(last_values(evals_log), step=epoch)
            return False

    call.replace("callbacks", [*(call.argument("callbacks") or ()), Watch()])


def _log_booster(session: Session, booster: Any) -> None:
    stopped = booster.attributes()
    session.log({name: stopped.get(name) and float(stopped[name]) for name in ("best_iteration", "best_score")})
    session.log({"boosted_rounds": booster.num_boosted_rounds()})
    with session.safely():
        gain, weight = (booster.get_score(importance_type=kind) for kind in ("gain", "weight"))
        log_importances(session, gain, gain=gain.values(), weight=[weight.get(name, 0.0) for name in gain])


def _stopping(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in ("early_stopping_rounds", "maximize") if given.get(name) is not None}


def _rows(data: Any) -> Any:
    """The first rows of a matrix that keeps its data, as a frame with the names of its features."""
    try:
        import polars as pl

        first = data.slice(list(range(min(_EXAMPLE, data.num_row())))).get_data().toarray()
        names = data.feature_names or [f"x{number}" for number in range(first.shape[1])]
        return pl.DataFrame(first, schema=list(names), orient="row")
    except Exception:  # noqa: BLE001 -- matrices of iterators and of other devices keep no rows
        return None
