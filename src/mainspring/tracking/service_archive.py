"""The operations that turn an experiment into one file, and such a file into an experiment."""

from __future__ import annotations

from mainspring.kernel.operations import Download, Upload, operation
from mainspring.store.service import RoomService
from mainspring.tracking.archive import export_experiment
from mainspring.tracking.archive_reading import import_experiment
from mainspring.tracking.types import Experiment

__all__ = ["ArchiveOperations"]


class ArchiveOperations(RoomService):
    """Experiments as files."""

    @operation(permission="tracking:read")
    def export(self, experiment: str) -> Download:
        """An experiment with all of its runs as one file, a zip: parameters, tags, notes, exact points, files.

        Deleted runs stay out. Artifacts that runs used or made are named, and come along only where they belong to the
        runs alone: the code and the environment.
        """
        return export_experiment(self.store, experiment)

    @operation(permission="tracking:write", writes=True)
    def import_archive(self, body: Upload, *, name: str = "") -> Experiment:
        """Bring in what `export` wrote; every byte is checked first. Bringing it in twice makes nothing twice.

        Args:
            body: The archive.
            name: What the experiment is called here; as in the archive when empty. Runs are added to one that is here.
        """
        return import_experiment(self.store, body, name=name)
