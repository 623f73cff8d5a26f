"""The example of README.md, which `docs/generate.py` copies from here and a test runs."""

# python: begin
import polars as pl
import mainspring as ms
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

# Lineage: everything behind it, in one question.
print([node.ref for node in client.lineage.why("model/flight-delay@champion").nodes])
# python: end
