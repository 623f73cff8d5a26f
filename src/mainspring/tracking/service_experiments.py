"""The operations on experiments."""

from __future__ import annotations

from mainspring.kernel.operations import operation
from mainspring.store.service import RoomService
from mainspring.tracking.experiments import (
    add_experiment,
    change_experiment,
    find_experiment,
    set_experiment_status,
)
from mainspring.tracking.types import Experiment

__all__ = ["ExperimentOperations"]


class ExperimentOperations(RoomService):
    """Experiments: made, described, deleted and restored."""

    @operation(permission="tracking:write", writes=True, resource="name")
    def create_experiment(
        self,
        name: str,
        *,
        tags: dict[str, str] = {},  # noqa: B006 -- copied by the operation's request type
        note: str = "",
        location: str = "",
    ) -> Experiment:
        """Make an experiment. A run makes its own when there is none, so this is for what is said about it first.

        Args:
            name: 1 to 500 printable characters.
            tags: Free labels.
            note: In Markdown.
            location: Where files of its runs are said to be kept; they are kept here all the same.
        """
        with self.store.write() as tx:
            return add_experiment(tx, name, tags=tags, note=note, location=location)

    @operation(permission="tracking:read")
    def experiment(self, name: str = "", *, id: int = 0, counted: bool = True) -> Experiment:  # noqa: A002 -- its name
        """One experiment, by its name or by its number; `counted` or without how many runs it has, which is quicker."""
        with self.store.read() as tx:
            return find_experiment(tx, name, number=id, counted=counted)

    @operation(permission="tracking:write", writes=True, resource="name")
    def change_experiment(
        self,
        name: str,
        *,
        rename: str = "",
        note: str | None = None,
        tags: dict[str, str] = {},  # noqa: B006
    ) -> Experiment:
        """Rename an experiment, replace its note, set tags; an empty value takes a tag away."""
        with self.store.write() as tx:
            return change_experiment(tx, find_experiment(tx, name), rename=rename, note=note, tags=tags)

    @operation(permission="tracking:write", writes=True, resource="name")
    def delete_experiment(self, name: str) -> None:
        """Delete an experiment with its runs; `restore_experiment` brings them back."""
        with self.store.write() as tx:
            set_experiment_status(tx, find_experiment(tx, name), "deleted")

    @operation(permission="tracking:write", writes=True, resource="name")
    def restore_experiment(self, name: str) -> None:
        """Bring a deleted experiment back, with the runs that were deleted with it."""
        with self.store.write() as tx:
            set_experiment_status(tx, find_experiment(tx, name), "active")
