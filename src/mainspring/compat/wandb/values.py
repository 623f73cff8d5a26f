"""`wandb.config` and `wandb.summary`: mappings whose entries are attributes, too, and that tell what was set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mainspring.compat.wandb.errors import Error

__all__ = ["Config", "Summary"]


class _Values:
    """A mapping with attributes; `on_change` is told every entry that is set."""

    def __init__(self, on_change: Callable[[dict[str, Any]], None]) -> None:
        object.__setattr__(self, "_entries", {})
        object.__setattr__(self, "_on_change", on_change)

    def _set(self, entries: Mapping[str, Any]) -> None:
        named = {str(key): value for key, value in entries.items()}
        self._entries.update(named)
        self._on_change(named)

    def keys(self) -> list[str]:
        """The names."""
        return list(self._entries)

    def values(self) -> list[Any]:
        """The values."""
        return list(self._entries.values())

    def items(self) -> list[tuple[str, Any]]:
        """Names and values."""
        return list(self._entries.items())

    def get(self, key: str, default: Any = None) -> Any:
        """A value, or `default`."""
        return self._entries.get(key, default)

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return dict(self._entries)

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._set({key: value})

    def __getattr__(self, key: str) -> Any:
        try:
            return self._entries[key]
        except KeyError:
            raise AttributeError(f"there is no {key!r} in {type(self).__name__.lower()}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self._set({key: value})

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return repr(self._entries)


class Config(_Values):
    """What a run was configured with: parameters of the run."""

    def update(self, entries: Any = None, allow_val_change: bool | None = None, **more: Any) -> None:  # noqa: FBT001 -- as W&B declares it
        """Set several: a mapping, a namespace of argparse, or anything with `vars`."""
        found = {**_entries_of(entries), **more}
        if not allow_val_change:
            changed = [key for key, value in found.items() if key in self._entries and self._entries[key] != value]
            if changed and allow_val_change is False:
                raise Error(f"the value of {changed[0]!r} is set already; config.update(..., allow_val_change=True)")
        self._set(found)

    def setdefaults(self, entries: Any) -> None:
        """Set those that are not set."""
        self._set({key: value for key, value in _entries_of(entries).items() if key not in self._entries})


class Summary(_Values):
    """The last word on a run: the latest value of every metric, unless something was put in its place."""

    def update(self, entries: Mapping[str, Any]) -> None:
        """Set several."""
        self._set(entries)

    def logged(self, entries: Mapping[str, Any]) -> None:
        """Follow what was logged; nobody has to be told, the store knows."""
        self._entries.update(entries)


def _entries_of(entries: Any) -> dict[str, Any]:
    if entries is None:
        return {}
    return dict(entries) if isinstance(entries, Mapping | _Values) else dict(vars(entries))
