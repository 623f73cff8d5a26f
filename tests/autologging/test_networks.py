"""The frameworks of networks: each passes the suite. They run with the heavy tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

import mainspring as ms
from mainspring.autologging import autolog
from mainspring.client.client import Client
from mainspring.testing.autolog_suite import AutologSuite, AutologTrainingSuite

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

os.environ.setdefault("KERAS_BACKEND", "torch")

TORCH = """
import torch
torch.manual_seed(0)
X = torch.randn(64, 4)
y = (X[:, :1] > 0).float()
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Sums in one order, so that results can be compared exactly."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tensors() -> tuple[Any, Any]:
    import torch

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    return inputs, (inputs[:, :1] > 0).float()


class TestTorch(AutologSuite):
    framework = "torch"
    entry = "torch.optim:SGD.step"
    params: ClassVar = {"optimizer.name": "SGD", "optimizer.lr": 0.1, "optimizer.momentum": 0.5}
    metrics = ("optimizer/lr",)
    series = "optimizer/lr"
    begins = False
    script = (
        f"{TORCH}\nSWITCH\nimport mainspring\nmodel = torch.nn.Linear(4, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "with mainspring.run('given', source=False):\n    for _ in range(3):\n        optimizer.zero_grad()\n"
        "        torch.nn.functional.mse_loss(model(X), y).backward()\n        optimizer.step()\n"
    )

    def train(self) -> Any:
        import torch

        inputs, target = tensors()
        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
        for _ in range(5):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(inputs), target).backward()
            optimizer.step()
            schedule.step()
        return model.weight.tolist()

    def fail(self) -> Any:
        import torch

        torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=-1)

    def test_rates_are_logged_when_they_change(self, here: Client) -> None:
        autolog("torch")
        found = self.begun(here)
        assert here.tracking.history(found.id, "optimizer/lr").select("step").to_series().to_list() == [0, 2, 4]

    def test_two_optimizers_have_two_places(self, here: Client) -> None:
        autolog("torch")
        with here.tracking.run("given", source=False) as run:
            self.train()
            self.train()
        found = here.tracking.get(run.id)
        assert {"optimizer.lr", "optimizer-2.lr"} <= set(found.params)

    def test_a_watched_module_has_distributions(self, here: Client) -> None:
        import torch

        inputs, target = tensors()
        model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 1))
        with here.tracking.run("given", source=False) as run:
            run.watch(model, every=2)
            for _ in range(5):
                model.zero_grad()
                torch.nn.functional.mse_loss(model(inputs), target).backward()
        torch.nn.functional.mse_loss(model(inputs), target).backward()  # after the run: no harm
        kept = [each for each in here.tracking.files(run.id) if each.key == "gradients/0.weight"]
        assert [each.step for each in kept] == [0, 2, 4]
        assert sum(kept[0].about["counts"]) == 12


class TestLightning(AutologTrainingSuite):
    framework = "lightning"
    entry = "lightning.pytorch:Trainer.fit"
    params: ClassVar = {"max_epochs": 2, "width": 3, "optimizer.name": "Adam", "optimizer.lr": 0.01}
    metrics = ("epoch/loss", "epoch/val_loss", "steps")
    series = "epoch/loss"
    files = ("model/",)
    script = "SWITCH\nfrom test_networks_module import fit\nSWITCH\nfit()\n"

    @pytest.fixture(autouse=True)
    def module(self, place: None, tmp_path: Any) -> None:
        """What the program of the import order imports."""
        (tmp_path / "test_networks_module.py").write_text(LIGHTNING)

    def train(self) -> Any:
        space: dict[str, Any] = {"__name__": "lightning_model"}
        exec(LIGHTNING, space)
        return space["fit"]()

    def fail(self) -> Any:
        space: dict[str, Any] = {"__name__": "lightning_model"}
        exec(LIGHTNING, space)
        space["fit"](broken=True)


LIGHTNING = """
import logging
import torch
import lightning.pytorch as pl
logging.getLogger("lightning.pytorch").setLevel("ERROR")

class Model(pl.LightningModule):
    def __init__(self, width=3, broken=False):
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.Linear(width, 1))

    def training_step(self, batch, index):
        if self.hparams.broken:
            raise ValueError("broken on purpose")
        loss = torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)

def fit(broken=False):
    torch.manual_seed(0)
    X = torch.randn(64, 4)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, (X[:, :1] > 0).float()), batch_size=16)
    model = Model(broken=broken)
    trainer = pl.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
                         enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1)
    assert trainer.fit(model, data, data) is None
    assert not [each for each in trainer.callbacks if type(each).__name__ == "Watch"]
    return model.layers[0].weight.tolist()
"""


class TestKeras(AutologTrainingSuite):
    framework = "keras"
    entry = "keras:Model.fit"
    params: ClassVar = {"epochs": 3, "loss": "mse", "batch_size": 16, "optimizer.name": "sgd"}
    metrics = ("loss", "mae", "val_loss", "learning_rate")
    series = "loss"
    files = ("model/", "architecture.txt")
    script = (
        "import os\nos.environ['KERAS_BACKEND'] = 'torch'\nimport numpy as np\nimport keras\nSWITCH\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])\n"
        "model.compile(optimizer='sgd', loss='mse', metrics=['mae'])\n"
        "X = np.ones((8, 4), 'float32')\nmodel.fit(X, X[:, 0], epochs=2, verbose=0, validation_data=(X, X[:, 0]))\n"
    )

    def train(self) -> Any:
        import keras

        keras.utils.set_random_seed(0)
        inputs, target = (each.numpy() for each in tensors())
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
        history = model.fit(inputs, target, 16, 3, 0, validation_split=0.25)
        return history.history["loss"]

    def fail(self) -> Any:
        import keras

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.fit([[1.0, 2.0, 3.0, 4.0]], [[1.0]], verbose=0)


class TestTransformers(AutologTrainingSuite):
    framework = "transformers"
    entry = "transformers:Trainer.train"
    params: ClassVar = {"learning_rate": 0.01, "max_steps": 4, "model.hidden_size": 8}
    metrics = ("train/loss", "eval/loss", "result/train_loss")
    series = "train/loss"
    files = ("model/config.json", "model/model.safetensors")
    script = "SWITCH\nfrom test_networks_module import fit\nSWITCH\nfit()\n"

    @pytest.fixture(autouse=True)
    def module(self, place: None, tmp_path: Any) -> None:
        """What the program of the import order imports."""
        (tmp_path / "test_networks_module.py").write_text(TRANSFORMERS)

    def train(self) -> Any:
        space: dict[str, Any] = {"__name__": "transformers_model"}
        exec(TRANSFORMERS, space)
        return space["fit"]()

    def fail(self) -> Any:
        space: dict[str, Any] = {"__name__": "transformers_model"}
        exec(TRANSFORMERS, space)
        space["fit"](broken=True)


TRANSFORMERS = """
import tempfile
import torch
import transformers
transformers.logging.set_verbosity_error()

def fit(broken=False):
    transformers.set_seed(0)
    config = transformers.BertConfig(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=8, max_position_embeddings=8)
    model = transformers.BertForSequenceClassification(config)
    rows = [{"input_ids": torch.tensor([i % 16, 1, 2]), "labels": torch.tensor(i % 2)} for i in range(16)]
    if broken:
        rows = [{"input_ids": torch.tensor([99, 1, 2]), "labels": torch.tensor(0)}]
    arguments = transformers.TrainingArguments(
        output_dir=tempfile.mkdtemp(), max_steps=4, logging_steps=1, eval_strategy="steps", eval_steps=2,
        learning_rate=0.01, report_to="none", save_strategy="no", disable_tqdm=True, use_cpu=True)
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows, eval_dataset=rows)
    out = trainer.train()
    assert not [each for each in trainer.callback_handler.callbacks if type(each).__name__ == "Watch"]
    return out.training_loss
"""


def test_everything_at_once(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All frameworks switched on: an estimator inside of another, a trainer over an optimizer, log once."""
    monkeypatch.setenv("MAINSPRING_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MAINSPRING_SPOOL", str(tmp_path / "spool"))
    monkeypatch.chdir(tmp_path)
    ms.autolog()
    try:
        space: dict[str, Any] = {"__name__": "lightning_model"}
        exec(LIGHTNING, space)
        space["fit"]()
    finally:
        ms.autolog(on=False)
    from mainspring.client.default import default_client

    client = default_client()
    (run,) = client.lineage.runs(limit=10)
    assert "optimizer/lr" not in client.tracking.get(run.id).metrics
