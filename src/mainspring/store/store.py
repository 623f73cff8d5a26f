"""The store: one database, one place for bytes, one ledger, one queue, opened together.

A store is a folder, `.mainspring` by default, found upward from the working folder. By itself it holds everything: the
SQLite database and the blobs. Its settings may point the database at PostgreSQL and the bytes at a bucket; the folder
then keeps only what belongs to this machine (spools, caches, anchors).
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

from mainspring.kernel.context import current_action
from mainspring.kernel.errors import InternalError, InvalidInput, NotFound, ReadOnlyStore, StorageFull
from mainspring.kernel.settings import Settings, find_store, read_settings
from mainspring.store.blobs import Blobs
from mainspring.store.buckets import open_bucket
from mainspring.store.database import Database
from mainspring.store.engine import Engine, SqliteEngine
from mainspring.store.ledger import Ledger
from mainspring.store.migrations import migrate
from mainspring.store.queue import Queue
from mainspring.store.transaction import Seal, Transaction

__all__ = ["Store"]

R = TypeVar("R")


class Store:
    """Everything that is kept. Safe to use from many threads and, each with its own `open`, many processes.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with Store.open(folder) as store:
        ...     digest = store.blobs.put(b"hello")
        ...     store.blobs.get(digest)
        b'hello'
    """

    def __init__(self, folder: Path, settings: Settings, database: Database, blobs: Blobs) -> None:
        self.folder = folder
        self.settings = settings
        self.database = database
        self.blobs = blobs
        self.ledger = Ledger(database, folder / "anchors.jsonl")
        self.queue = Queue(database)

    @classmethod
    def open(
        cls, location: str | os.PathLike[str] = "", *, create: bool = True, settings: Settings | None = None
    ) -> Store:
        """Open the store in a folder, making it when it is not there.

        Args:
            location: The store's folder; empty for the one found upward from the working folder.
            create: Whether to make a store where there is none; otherwise `NotFound`.
            settings: Already read settings; read from the folder and the environment otherwise.
        """
        folder = Path(location).expanduser().resolve() if location else find_store()
        if not create and not cls.exists(folder):
            raise NotFound(
                f"there is no store in {folder}", hint="run `mainspring up`, or `mainspring demo` to see one at work"
            )
        _make_folder(folder)
        settings = settings or read_settings(folder)
        database = Database(_engine(folder, settings.database), chain=Ledger.chain)
        try:
            migrate(database)
            blobs = Blobs(open_bucket(settings.blobs or str(folder / "blobs")), database)
        except BaseException:
            database.close()
            raise
        return cls(folder, settings, database, blobs)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is a store in a folder."""
        return (folder / "mainspring.db").exists() or (folder / "config.toml").exists()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent snapshot."""
        with self.database.read() as tx:
            yield tx

    @contextmanager
    def write(self, action: str = "") -> Iterator[Transaction]:
        """A change: serial, durable when the block has ended, with one audit event; gone when the block raises.

        The event is named after the running operation; outside of one, `action` names it. Keep the block short: every
        other writer waits for it, so hash, read files and talk to the network before.
        """
        with self.database.write(self._sealed(action)) as tx:
            yield tx

    @contextmanager
    def bookkeeping(self, *, durable: bool = True) -> Iterator[Transaction]:
        """A write without an audit event: for leases, heartbeats and indexes, which no person changes.

        Where it need not be `durable`, a power cut may take it back; the end of a process never does.
        """
        with self.database.write(durable=durable) as tx:
            yield tx

    def submit(self, change: Callable[[Transaction], R], action: str = "") -> Awaitable[R]:
        """`write` for callers on an event loop; see `Database.submit`."""
        return self.database.submit(change, self._sealed(action))

    def path(self, *parts: str) -> Path:
        """A folder of this machine inside the store (spools, caches), made when needed."""
        folder = self.folder.joinpath(*parts)
        _make_folder(folder)
        return folder

    def close(self) -> None:
        """Anchor the ledger and close the files; a second time does nothing."""
        if self.database.closed:
            return
        try:
            if self.folder.is_dir():  # a temporary folder may be gone before its store: there is nothing to anchor
                self.ledger.anchor()
        finally:
            self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @staticmethod
    def _sealed(action: str) -> Seal:
        name = current_action() or action
        if not name:
            raise InternalError("a change outside an operation must name its action")
        return functools.partial(Ledger.event, action=name)


def _engine(folder: Path, url: str) -> Engine:
    if not url:
        return SqliteEngine(folder)
    if url.startswith(("postgresql://", "postgres://")):
        from mainspring.store.postgres import PostgresEngine

        return PostgresEngine(url)
    raise InvalidInput(
        f"the setting database = {url!r} is not a PostgreSQL URL",
        hint="postgresql://user@host/name, or empty for SQLite",
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFull(f"no space left to make {folder}", hint="free space and repeat the call") from error
        raise ReadOnlyStore(
            f"cannot make the folder {folder}: {error.strerror}", hint="choose another with --store"
        ) from error
