"""The card of a step that runs, on its way to the store: at once, and then at most twice a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.kernel.clock import monotonic
from mainspring.kernel.errors import MainspringError
from mainspring.pipelines.ticking import TICK_SECONDS, Ticking, begin_ticking
from mainspring.pipelines.types_cards import PartKind, Shown
from mainspring.trust.redaction import active, redacted, redacted_tree

if TYPE_CHECKING:
    from mainspring.pipelines.context import StepContext
    from mainspring.pipelines.service import Pipelines

__all__ = ["Live"]


class _Pending(msgspec.Struct):
    kind: PartKind
    title: str
    content: dict[str, Any]
    data: bytes
    media_type: str


class Live:
    """What one try of a step shows. Used by the threads of the step.

    Of a part that is shown again and again only what is there when it is sent is stored: a progress bar of a million
    steps writes two rows a second, and so does a plot that is drawn anew.
    """

    def __init__(self, service: Callable[[], Pipelines], context: StepContext) -> None:
        self._service = service
        self._context = context
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._watched: dict[int, tuple[str, Callable[[], dict[str, Any]]]] = {}
        self._seen: dict[int, dict[str, Any]] = {}
        self._count = 0
        self._sent_at = -TICK_SECONDS
        self._fresh = True
        self._ticking: Ticking | None = None

    def place(self) -> int:
        """A new place on the card."""
        with self._lock:
            self._count += 1
            return self._count - 1

    def put(
        self,
        number: int,
        kind: PartKind,
        title: str,
        content: dict[str, Any],
        *,
        data: bytes = b"",
        media_type: str = "",
    ) -> None:
        """Show a part at a place. `data` becomes a blob when it is sent."""
        with self._lock:
            self._pending[number] = _Pending(kind, title, content, data, media_type)
            due = monotonic() - self._sent_at >= TICK_SECONDS
            if self._ticking is None:
                self._ticking = begin_ticking(self.send)
        if due:
            with suppress(MainspringError):  # it stays pending, and is tried again
                self.send()

    def watch(self, number: int, title: str, content: Callable[[], dict[str, Any]]) -> None:
        """Show a bar at a place, asked for how far it is whenever something is sent."""
        with self._lock:
            self._watched[number] = (title, content)
        self.put(number, "progress", title, content())

    def send(self) -> None:
        """Send what is pending, and how far bars are that have moved."""
        with self._sending:
            with self._lock:
                pending, self._pending = self._pending, {}
                self._sent_at = monotonic()
                for number, (title, ask) in self._watched.items():
                    content = ask()
                    if content["done"] != self._seen.get(number, {}).get("done"):
                        self._seen[number] = content
                        pending[number] = _Pending("progress", title, content, b"", "")
            if not pending:
                return
            try:
                parts = [self._shown(number, each) for number, each in pending.items()]
                where = self._context
                self._service().show_parts(
                    where.run_id, attempt=where.run_attempt, step_id=where.step_id, parts=parts, fresh=self._fresh
                )
                self._fresh = False
            except MainspringError:
                with self._lock:
                    self._pending = pending | self._pending
                raise

    def close(self) -> None:
        """Send the rest. What cannot be sent is given up: a card is no reason for a step to fail."""
        if self._ticking is not None:
            self._ticking.end()
        with suppress(MainspringError):
            self.send()

    def _shown(self, number: int, each: _Pending) -> Shown:
        content = each.content
        if each.data:
            from mainspring.pipelines.runtime import blob_port

            data = each.data
            if active() and each.media_type.startswith(("text/", "image/svg", "application/json")):
                data = redacted(data.decode(errors="replace")).encode(errors="replace")
            digest = blob_port(self._service()).put(data)
            content = {**content, "media_type": each.media_type, "size": len(data), "digest": digest}
        return Shown(number, each.kind, redacted(each.title), redacted_tree(content))
