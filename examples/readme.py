"""The example of README.md, which `docs/generate.py` copies from here and a test runs."""

# python: begin
import polars as pl
import mainspring as ms
from mainspring.tuning import Int
from sklearn.ensemble import HistGradientBoostingClassifier

client = ms.connect()  # the store in this folder; ms.connect("http://...") works the same

# Data: a version is named by its content. Committing the same rows again changes nothing.
flights = pl.DataFrame({"hour": [6, 8, 12, 17, 19, 21] * 50, "distance": [500, 900, 300, 1200, 700, 400] * 50})
flights = flights.with_columns(late=(pl.col("hour") > 15).cast(pl.Int64))
version = client.data.commit("flights", flights, message="the first week")

# Quality: expectations from what is there, then the next rows against them.
suite = client.quality.infer(version.ref, name="flights")
client.quality.save_suite(suite)
print(client.quality.validate(flights.with_columns(hour=pl.col("hour") + 20), suite).verdict)  # failed

# Experiment and model: the run records what it used and what it made.
inputs = flights.select("hour", "distance")
with client.tracking.run("flight-delay", params={"max_iter": 50}) as run:
    run.use(version.ref, role="training-data")
    fitted = HistGradientBoostingClassifier(max_iter=50).fit(inputs.to_numpy(), flights["late"])
    run.log(accuracy=fitted.score(inputs.to_numpy(), flights["late"]))
    model = client.models.log_model("flight-delay", fitted, example=inputs, run_id=run.id)

client.models.approve(model.ref, comment="good enough to start")
client.models.alias("flight-delay", "champion", model.version)
print(client.models.load("flight-delay@champion").predict({"hour": [7, 20], "distance": [800, 800]}))


# Pipelines: functions. A run that is killed goes on where it was, and what is known is not done again.
@ms.step(cache=True)
def accuracy(rows: pl.DataFrame, depth: int) -> float:
    learner, columns = HistGradientBoostingClassifier(max_depth=depth, max_iter=20), rows.drop("late").to_numpy()
    return float(learner.fit(columns, rows["late"]).score(columns, rows["late"]))


@ms.flow
def best_depth(rows: pl.DataFrame, depths: list[int]) -> int:
    return max(depths, key=lambda depth: accuracy(rows, depth))


print(best_depth.run(client, flights, [1, 2, 4]))  # and `mainspring flow list`

# Tuning: an Optuna search of which every trial is a run.
space = {"depth": Int(1, 8)}
found = ms.tune(lambda depth: accuracy(flights, depth), space, trials=5, direction="maximize", name="depth")
print(found.params, found.value)

# Lineage: everything behind it, in one question.
print([node.ref for node in client.lineage.why("model/flight-delay@champion").nodes])
# python: end
