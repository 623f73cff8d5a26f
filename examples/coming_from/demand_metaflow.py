"""Which model of the demand is best, as a FlowSpec of Metaflow."""

from __future__ import annotations

from metaflow import FlowSpec, Parameter, catch, retry, step


class DemandFlow(FlowSpec):
    """Read, fit one model for each window, and pick the best."""

    days = Parameter("days", default=28, type=int, help="how many days to look at")

    @step
    def start(self):
        """The demand, with a weekly rhythm."""
        self.demand = [100 + 10 * (day % 7) + day for day in range(self.days)]
        self.windows = [1, 7, 14]
        self.next(self.fit, foreach="windows")

    @retry(times=2, minutes_between_retries=0)
    @catch(var="failure")
    @step
    def fit(self):
        """The error of saying: as it was so many days ago."""
        self.window = self.input
        self.error = None
        pairs = list(zip(self.demand[self.window :], self.demand, strict=False))
        self.error = sum(abs(now - before) for now, before in pairs) / len(pairs)
        self.next(self.pick)

    @step
    def pick(self, inputs):
        """The window with the least error."""
        fitted = [each for each in inputs if each.error is not None]
        best = min(fitted, key=lambda each: each.error)
        self.window, self.error = best.window, best.error
        self.next(self.end)

    @step
    def end(self):
        """Say it."""
        print(f"best is {self.window} days, off by {self.error:g}")


if __name__ == "__main__":
    DemandFlow()
