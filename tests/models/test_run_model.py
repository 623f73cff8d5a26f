from __future__ import annotations

import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from mainspring.kernel.errors import InvalidInput


@pytest.mark.databases("sqlite")
def test_a_run_registers_what_it_trained(any_client):
    rows = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 10, "y": [0, 0, 1, 1] * 10})
    model = LogisticRegression().fit(rows.select("x").to_pandas(), rows["y"].to_numpy())
    with any_client.tracking.run("exp", source=False) as run:
        run.log({"acc": 0.9, "bad": float("nan"), "system/cpu": 3.0})
        version = run.log_model(model, "line", example=rows.select("x"), tags={"team": "a"})
    assert (version.name, version.version, version.run_id, version.tags) == ("line", 1, run.id, {"team": "a"})
    assert {key: each.value for key, each in version.metrics.items()} == {"acc": 0.9}
    assert run.id in [node.id for node in any_client.lineage.why("model/line@1").nodes]
    assert any_client.models.load("line").predict({"x": rows["x"].to_numpy()})["label"].tolist()[:4] == [0, 0, 1, 1]


@pytest.mark.databases("sqlite")
def test_a_loaded_model_is_asked_with_rows_as_they_are_there(client):
    rows = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 10, "z": [1, 0] * 20, "y": [0, 0, 1, 1] * 10})
    model = LogisticRegression().fit(rows.select("x", "z").to_pandas(), rows["y"].to_numpy())
    client.models.log_model("line", model, example=rows.select("x", "z"))
    expected = model.predict(rows.select("x", "z").to_pandas()).tolist()
    for native in (False, True):
        loaded = client.models.load("line", native=native)
        for each in (rows, rows.to_pandas(), rows.to_dicts(), rows.select("x", "z").to_numpy(), rows.to_dict()):
            assert loaded.predict(each)["label"].tolist() == expected
        with pytest.raises(InvalidInput, match="'z'"):
            loaded.predict(rows.select("x").to_pandas())
        loaded.close()
