"""An endpoint with a real model, and traffic to it: what tests of monitoring and of the loop drive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier

from mainspring.models.types import Metric
from mainspring.quality.evaluation.types import Importance
from mainspring.serving.dataplane import Call
from mainspring.serving.plane import ServingProcess

START = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def rows(n: int, *, seed: int = 0, shift: float = 0.0, flipped: bool = False) -> tuple[pl.DataFrame, np.ndarray]:
    """Two features, of which the first decides; `shift` moves it, `flipped` turns what it means around."""
    random = np.random.default_rng(seed)
    frame = pl.DataFrame({"x": random.normal(size=n) + shift, "z": random.normal(size=n)})
    chance = 1 / (1 + np.exp(-2 * frame["x"].to_numpy()))
    return frame, (random.random(n) < (1 - chance if flipped else chance)).astype(int)


class Town:
    """One client, one serving process, one endpoint `late`."""

    def __init__(self, client, *, workspace: str = "default") -> None:
        self.client = client
        self.process = ServingProcess(client.backend.store, workspace=workspace)
        self.sent = 0
        self.untold: list[tuple[list[str], list]] = []

    def close(self) -> None:
        self.process.close()

    def learn(
        self,
        *,
        worse: bool = False,
        harmed: bool = False,
        approve: bool = True,
        report: bool = True,
        shift: float = 0.0,
        run_id: str = "",
    ) -> str:
        """Register a model of `late`; the reference. `worse` sees only noise, `harmed` learnt the opposite."""
        frame, label = rows(600, shift=shift)
        data = self.client.data.commit("trips", frame.with_columns(late=pl.Series(label)))
        seen = frame.with_columns(x=pl.lit(0.0)) if worse else frame
        model = LogisticRegression().fit(seen.to_numpy(), 1 - label if harmed else label)
        test, truth = rows(1500, seed=77, shift=shift)
        scores = model.predict_proba(test.to_numpy())[:, 1]
        found = self.client.quality.evaluate(
            "late",
            truth,
            scores,
            replicates=20,
            importances=[Importance("x", 0.1, 0.01), Importance("z", 0.002, 0.001)],
        )
        metrics = {
            name: Metric(each.value, each.low, each.high, 0.95)
            for name in ("auc", "log_loss", "brier")
            if (each := found.evaluation.metrics[name]).value is not None
        }
        version = self.client.models.log_model(
            "late", model, example=frame, metrics=metrics, data=[data.ref], compiled=False, run_id=run_id
        )
        if report:
            self.client.models.attach_report(version.ref, found.ref)
        if approve:
            self.client.models.approve(version.ref)
        return version.ref

    def learn_numbers(self) -> str:
        """Register a regression of `late`."""
        frame, _ = rows(600)
        model = LinearRegression().fit(frame.to_numpy(), 3 * frame["x"].to_numpy())
        data = self.client.data.commit("trips", frame)
        metrics = {"mae": Metric(0.8, 0.77, 0.83, 0.95), "rmse": Metric(1.0, 0.96, 1.04, 0.95)}
        version = self.client.models.log_model(
            "late", model, example=frame, metrics=metrics, data=[data.ref], compiled=False
        )
        self.client.models.approve(version.ref)
        return version.ref

    def learn_three(self) -> str:
        """Register a classifier of three texts."""
        frame, _ = rows(600)
        model = LogisticRegression().fit(frame.to_numpy(), self.three(frame))
        version = self.client.models.log_model(
            "late", model, example=frame, metrics={"accuracy": Metric(0.97)}, compiled=False
        )
        self.client.models.approve(version.ref)
        return version.ref

    def learn_words(self, *, scores: bool) -> str:
        """Register a classifier of two texts, with probabilities or without."""
        frame, label = rows(600)
        model = (LogisticRegression() if scores else RidgeClassifier()).fit(frame.to_numpy(), self.words(label))
        version = self.client.models.log_model(
            "late", model, example=frame, metrics={"accuracy": Metric(0.8), "auc": Metric(0.88)}, compiled=False
        )
        self.client.models.approve(version.ref)
        return version.ref

    @staticmethod
    def words(label: np.ndarray) -> np.ndarray:
        return np.array(["fine", "late"])[label]

    @staticmethod
    def three(frame: pl.DataFrame) -> np.ndarray:
        return np.array(["early", "late", "on time"])[np.digitize(frame["x"].to_numpy(), [-0.5, 0.5])]

    def deploy(self, model: str, **options) -> None:
        self.client.serving.deploy("late", model=model, **options)

    def send(self, n: int, *, at: datetime | None = None, label=None, requests: int = 1, **options) -> list[str]:
        """Ask about `n` rows, a day later each time; the ids of the requests. What came is told by `tell`."""
        asked = []
        for _ in range(requests):
            self.sent += 1
            frame, truth = rows(n // requests, seed=1000 + self.sent, **options)
            self.process.plane.fleet.refresh()
            columns = {name: frame[name].to_numpy() for name in frame.columns}
            moment = at or START + self.sent * DAY
            answer = self.process.plane.infer("late", Call(columns=columns, rows=frame.height, at=moment))
            self.process.plane.shadow.drain()
            truth = truth if label is None else label(frame)
            self.untold.append(([f"{answer.id}-{row}" for row in range(frame.height)], truth.tolist()))
            asked.append(answer.id)
        return asked

    def tell(self, *, share: float = 1.0) -> None:
        """Say what came of everything that was sent."""
        for ids, values in self.untold:
            most = int(len(ids) * share)
            if most:
                self.client.serving.label("late", ids=ids[:most], values=values[:most])
        self.untold.clear()
