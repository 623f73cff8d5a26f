"""What a flow wants done when a run of it has ended: `@flow(on_failure=..., on_success=...)`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainspring.pipelines.decorators import Flow
    from mainspring.pipelines.types import FlowRun

__all__ = ["call_hook"]

_log = logging.getLogger(__name__)


def call_hook(flow: Flow[..., Any], run: FlowRun) -> None:
    """Call what the flow has for the end of this run; an error there is logged, and changes nothing of the run."""
    hook = {"failed": flow.options.on_failure, "finished": flow.options.on_success}.get(run.state)
    if hook is None:
        return
    try:
        hook(run)
    except Exception:  # noqa: BLE001 -- the user's own function may raise anything
        _log.exception("what %s does when a run has %s raised an error", flow.name, run.state)
