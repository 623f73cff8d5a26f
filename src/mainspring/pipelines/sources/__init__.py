"""What is listened to outside: files and streams of messages, each made into one event."""

from __future__ import annotations

__all__: list[str] = []
