"""The operations on logged models: begun, filled, finished, searched, deleted."""

from __future__ import annotations

from collections.abc import Iterator

from mainspring.kernel.errors import InvalidInput, NotFound, nearest
from mainspring.kernel.operations import Download, Upload, operation
from mainspring.models.logged import (
    active_logged,
    add_logged,
    add_params,
    describe_logged,
    files_of_logged,
    find_logged,
    finish_logged,
    measure_logged,
    set_tags,
    used_logged,
)
from mainspring.models.logged_search import search_logged
from mainspring.models.logged_tables import LOGGED_FILES
from mainspring.models.logged_types import (
    DatasetFilter,
    LoggedFile,
    LoggedMetric,
    LoggedModel,
    LoggedOrder,
    LoggedPage,
    LoggedStatus,
)
from mainspring.store.blobs import Blobs
from mainspring.store.service import RoomService
from mainspring.tracking.experiments import find_experiment

__all__ = ["LoggedOperations"]

_LONGEST = 1000
_PIECE = 8 << 20


class LoggedOperations(RoomService):
    """Models as runs wrote them, before they have a name in the registry."""

    @operation(permission="models:write", writes=True)
    def create_logged(
        self,
        name: str = "",
        *,
        experiment: str = "",
        experiment_id: int = 0,
        run_id: str = "",
        type: str = "",  # noqa: A002 -- the word of the field
        params: dict[str, str] = {},  # noqa: B006 -- copied by the operation's request type
        tags: dict[str, str] = {},  # noqa: B006
    ) -> LoggedModel:
        """Begin a logged model; it is pending until `finish_logged`.

        Args:
            name: What it is called, not unique; made up when empty.
            experiment: The experiment by name, or
            experiment_id: by its number.
            run_id: The run that makes it.
            type: What kind of thing it is.
            params: What it was made with; never changed afterwards.
            tags: Free labels.
        """
        with self.store.write() as tx:
            return add_logged(
                tx,
                name,
                experiment=experiment,
                experiment_id=experiment_id,
                run_id=run_id,
                type=type,
                params=params,
                tags=tags,
            )

    @operation(permission="models:write", writes=True, resource="model_id")
    def finish_logged(self, model_id: str, *, status: LoggedStatus = "ready") -> LoggedModel:
        """Say that the files of a logged model are all there, or that it failed."""
        with self.store.write() as tx:
            return finish_logged(tx, model_id, status)

    @operation(permission="models:read", resource="model_id")
    def logged(self, model_id: str, *, deleted: bool = False) -> LoggedModel:
        """A logged model by its id, `m-` and 32 hex digits."""
        with self.store.read() as tx:
            return describe_logged(tx, [find_logged(tx, model_id, deleted=deleted)])[0]

    @operation(permission="models:read")
    def search_logged(
        self,
        query: str = "",
        *,
        experiments: list[str] = [],  # noqa: B006
        experiment_ids: list[int] = [],  # noqa: B006
        datasets: list[DatasetFilter] = [],  # noqa: B006
        order_by: list[LoggedOrder] = [],  # noqa: B006
        limit: int = 100,
        page: str = "",
    ) -> LoggedPage:
        """The logged models that a filter finds.

        Args:
            query: `metrics.auc > 0.8 AND params.depth = '6' AND NOT tags.draft = 'yes'`; fields are name, id,
                type, status, run_id, created, updated, params, tags and metrics.
            experiments: Names of experiments, and
            experiment_ids: numbers of experiments; all when both are empty.
            datasets: On which of these data the figures in the filter were measured.
            order_by: What comes first; a figure may be that on one data. The newest first, where nothing is said.
            limit: At most 1000.
            page: `next_page` of the page before.
        """
        with self.store.read() as tx:
            numbers = [*experiment_ids, *(find_experiment(tx, each).id for each in experiments)]
            return search_logged(
                tx, query, experiments=numbers, datasets=datasets, order_by=order_by, limit=limit, page=page
            )

    @operation(permission="models:write", writes=True, resource="model_id")
    def delete_logged(self, model_id: str) -> None:
        """Delete a logged model; what was registered of it stays."""
        with self.store.write() as tx:
            row = find_logged(tx, model_id)
            tx.execute(
                "UPDATE logged_model SET deleted_at = ?, updated_at = ? WHERE id = ?",
                (tx.now_micros, tx.now_micros, row.id),
            )
            tx.note(f"logged-model/{row.id}", deleted=True)

    @operation(permission="models:write", writes=True, resource="model_id")
    def restore_logged(self, model_id: str) -> LoggedModel:
        """Bring a deleted logged model back."""
        with self.store.write() as tx:
            row = find_logged(tx, model_id, deleted=True)
            tx.execute(
                "UPDATE logged_model SET deleted_at = NULL, updated_at = ? WHERE id = ?", (tx.now_micros, row.id)
            )
            tx.note(f"logged-model/{row.id}", restored=True)
            return describe_logged(tx, [find_logged(tx, row.id)])[0]

    @operation(permission="models:write", writes=True, resource="model_id")
    def tag_logged(self, model_id: str, tags: dict[str, str | None]) -> None:
        """Set tags of a logged model; null takes one away."""
        with self.store.write() as tx:
            set_tags(tx, model_id, tags)

    @operation(permission="models:write", writes=True, resource="model_id")
    def log_logged_params(self, model_id: str, params: dict[str, str]) -> None:
        """Add parameters to a logged model; one that is there cannot be changed."""
        with self.store.write() as tx:
            add_params(tx, model_id, params)

    @operation(permission="models:write", writes=True)
    def measure_logged(self, metrics: list[LoggedMetric]) -> None:
        """Add figures to logged models, each on one data or none; the same one again changes nothing."""
        with self.store.write() as tx:
            measure_logged(tx, metrics)

    @operation(permission="models:write", writes=True, resource="run_id")
    def use_logged(self, run_id: str, model_ids: list[str]) -> None:
        """Say that a run used logged models: an evaluation, a fine-tuning."""
        with self.store.write() as tx:
            used_logged(tx, run_id, model_ids)

    @operation(permission="models:read", resource="model_id")
    def logged_files(self, model_id: str, *, prefix: str = "") -> list[LoggedFile]:
        """The files of a logged model by path, of those that begin with `prefix`."""
        with self.store.read() as tx:
            return files_of_logged(tx, find_logged(tx, model_id, deleted=True).id, prefix)

    @operation(permission="models:read", resource="model_id")
    def read_logged_file(self, model_id: str, *, path: str, start: int = 0, stop: int | None = None) -> Download:
        """The bytes of a file of a logged model, or those from `start` to before `stop`."""
        with self.store.read() as tx:
            held = {each.path: each for each in files_of_logged(tx, find_logged(tx, model_id, deleted=True).id)}
        if path not in held:
            raise NotFound(f"the logged model {model_id} has no file {path!r}", known=nearest(path, held))
        if start < 0 or (stop is not None and stop < start):
            raise InvalidInput(f"bytes {start} to {stop} are no range")
        found = held[path]
        if start == 0 and stop is None:
            return self.store.blobs.open(found.digest)
        return _ranges(self.store.blobs, found.digest, start, found.size if stop is None else min(stop, found.size))

    @operation(permission="models:write", writes=True, resource="model_id")
    def put_logged_file(self, model_id: str, *, path: str, body: Upload) -> LoggedFile:
        """Keep a file with a logged model; one that was kept under the path before is replaced."""
        parts = path.split("/")
        if not path or len(path) > _LONGEST or not path.isprintable() or any(each in ("", ".", "..") for each in parts):
            raise InvalidInput(f"{path!r:.80} is not the path of a file of a model", hint="relative, forward slashes")
        with self.store.read() as tx:
            active_logged(tx, model_id)
        digest, size = self.store.blobs.put_stream(body)
        with self.store.write() as tx:
            row = active_logged(tx, model_id)
            file = LoggedFile(row.id, path, size, digest, tx.now)
            tx.execute("DELETE FROM logged_model_file WHERE model_id = ? AND path = ?", (row.id, path))
            tx.insert(LOGGED_FILES, file)
            tx.note(f"logged-model/{row.id}", file=path, digest=digest)
            return file

    @operation(permission="models:write", writes=True, resource="model_id")
    def delete_logged_file(self, model_id: str, *, path: str) -> None:
        """Take a file off a logged model."""
        with self.store.write() as tx:
            row = active_logged(tx, model_id)
            if not tx.execute("DELETE FROM logged_model_file WHERE model_id = ? AND path = ?", (row.id, path)):
                raise NotFound(f"the logged model {row.id} has no file {path!r}")
            tx.note(f"logged-model/{row.id}", deleted_file=path)


def _ranges(blobs: Blobs, digest: str, start: int, stop: int) -> Iterator[bytes]:
    for place in range(start, stop, _PIECE):
        yield blobs.read_range(digest, place, min(_PIECE, stop - place))
