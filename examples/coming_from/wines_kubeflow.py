"""Which acidity tells good wines from bad, in Kubeflow Pipelines."""

from kfp import compiler, dsl


@dsl.component(base_image="python:3.11")
def taste(bottles: int) -> list:
    """Acidity and grade of each bottle."""
    return [{"acidity": 30 + 7 * number % 40, "good": 30 + 7 * number % 40 < 48} for number in range(bottles)]


@dsl.component(base_image="python:3.11")
def judge(wines: list, limit: int) -> float:
    """How often "below the limit" is right."""
    return sum((wine["acidity"] < limit) == wine["good"] for wine in wines) / len(wines)


@dsl.component(base_image="python:3.11")
def choose(scores: list, limits: list) -> int:
    """The limit with the best score."""
    return int(max(zip(scores, limits, strict=True))[1])


@dsl.pipeline(name="wines")
def wines(bottles: int = 40) -> int:
    """Taste, judge by several limits in parallel, choose."""
    tasted = taste(bottles=bottles).set_retry(2)
    with dsl.ParallelFor([40, 45, 50, 55]) as limit:
        judged = judge(wines=tasted.output, limit=limit)
    return choose(scores=dsl.Collected(judged.output), limits=[40, 45, 50, 55]).output


if __name__ == "__main__":
    compiler.Compiler().compile(wines, "wines.yaml")
