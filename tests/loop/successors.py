"""A flow that makes successors of `late`, as a test wants them."""

from __future__ import annotations

from typing import Any

from mainspring.pipelines import current_step, flow, step

TOWN: list[Any] = []
"""The town that they are made for, in this process."""


@step
def make(kind: str) -> str:
    running = current_step()
    return TOWN[-1].learn(
        worse=kind == "worse", harmed=kind == "harmed", approve=False, run_id=running.step_id if running else ""
    )


@flow
def successor(endpoint: str, until: str, kind: str = "good") -> Any:
    """`good`, `harmed`, `worse` make such models; `refused` a good one that the gate refuses; the others go wrong."""
    if kind == "raises":
        raise ValueError(f"no data before {until}")
    answers: dict[str, Any] = {
        "nothing": None,
        "unsure": {"model": "late@1", "passed": "no"},
        "unknown": {"model": "late@99", "passed": True},
        "itself": {"model": "late@1", "passed": True, "reason": "it is good"},
    }
    if kind in answers:
        return answers[kind]
    model = make(kind)
    passed = kind != "refused"
    return {"model": model, "passed": passed, "reason": "auc rose" if passed else "auc fell"}
