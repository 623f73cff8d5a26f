"""Datasets with Git: pointer files beside the data, checkouts that follow the branch, and merges of what is in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mainspring.data.cache import write_checked
from mainspring.data.checkout import check_out
from mainspring.data.git import Repository
from mainspring.data.git_files import ignore, no_longer_ignore, set_attributes
from mainspring.data.machine import open_files
from mainspring.data.merging import merge_trees
from mainspring.data.pointers import (
    SUFFIX,
    Pointer,
    data_of,
    load_pointer,
    pointer_of,
    read_pointer,
    save_pointer,
    write_pointer,
)
from mainspring.data.remote_work import RemoteWork
from mainspring.data.scanning import scan
from mainspring.data.service_folders import FolderWork
from mainspring.data.sources import hash_file
from mainspring.data.tracked import (
    Brought,
    PointerChange,
    State,
    Tracked,
    TrackedState,
    changed_pointers,
    describe_path,
    find_pointers,
    find_repository,
    forget_path,
    remember_path,
    remembered_paths,
    remove_files,
)
from mainspring.data.transfer import receive, send_nodes
from mainspring.data.trees import Tree, build, walk
from mainspring.data.types import Commit, DatasetVersion, Progress, dataset_version
from mainspring.data.versions import with_digest
from mainspring.data.working_copies import WorkingCopy
from mainspring.kernel.errors import Conflict, InvalidInput, MainspringError, NotFound
from mainspring.kernel.hashing import check_digest
from mainspring.kernel.names import check_name
from mainspring.kernel.operations import operation
from mainspring.lineage.types import File

__all__ = ["GitWork"]

_STATES: dict[tuple[bool, bool], State] = {
    (True, True): "clean", (True, False): "behind", (False, True): "edited", (False, False): "diverged",
}  # fmt: skip
"""By whether what is here is what was last checked out, and whether that is what the pointer says."""


class GitWork(FolderWork, RemoteWork):
    """Tracked files and folders."""

    @operation(permission="data:read", resource="name")
    def with_tree(self, name: str, *, tree: str) -> DatasetVersion:
        """The newest version of a dataset with this content; raises `NotFound`."""
        check_name(name)
        check_digest(tree)
        with self.store.read() as tx:
            found = with_digest(tx, name, tree)
        if found is None:
            raise NotFound(f"dataset {name!r} has no version with the content {tree[:12]} here")
        return dataset_version(found)

    def track(
        self,
        path: str | Path,
        *,
        name: str = "",
        message: str = "",
        force: bool = False,
        progress: Progress | None = None,
    ) -> Tracked:
        """Let Git follow a file or folder by a small pointer file beside it; again after each change of the data.

        A version is made of what is there; the pointer `<path>.mainspring` names it, `.gitignore` leaves the data out
        of Git, and `.gitattributes` says how pointers are merged. The version knows Git's commit, branch and path.

        Args:
            path: The file or folder.
            name: The dataset; what the pointer says already, or the path in the repository, by default.
            message: Why, for whoever reads the log.
            force: Track although the pointer changed since the data was checked out.
            progress: Called as `progress(bytes done, bytes in all)`.

        Raises:
            InvalidInput: It lies in no Git repository.
            Conflict: Git has files of it itself, or the pointer moved on while the data stayed behind.
        """
        place = data_of(pointer_of(path))
        repository = find_repository(place)
        below = repository.relative(place)
        if below == "." or below.split("/")[0] in (".git", ".mainspring"):
            raise InvalidInput(f"{place} cannot be tracked", hint="track a file or folder inside of the repository")
        place = repository.top / below
        pointer = pointer_of(place)
        if repository.run("ls-files", "-z", "--", below):
            raise Conflict(f"Git has files of {below} itself", hint=f"git rm -r --quiet --cached {below}")
        known = load_pointer(pointer) if pointer.is_file() else None
        copy = self.working_copies().get(place)
        if known and not force and copy and copy.tree != known.tree and self._found(place)[0] != known.tree:
            raise Conflict(
                f"{pointer.name} changed since {below} was checked out: tracking it would undo that",
                hint=f"mainspring data checkout {below}, or force it",
            )
        facts = {
            **repository.facts(),
            "path": below,
            "remote": _without_secrets(repository.text("remote", "get-url", "origin")),
        }
        version = self.commit(
            name or (known.dataset if known else below),
            place,
            message=message,
            metadata={"git": facts},
            progress=progress,
        )
        self._keep(place, version)
        made = Pointer(version.name, version.digest, version.files, version.size, place.is_file())
        written = {pointer: save_pointer(pointer, made), place.with_name(".gitignore"): ignore(place)}
        written[repository.top / ".gitattributes"] = set_attributes(repository)
        self._ignore_store(repository, written)
        remember_path(repository, below)
        return Tracked(
            below, version, [each.relative_to(repository.top).as_posix() for each, new in written.items() if new]
        )

    def untrack(self, path: str | Path) -> list[str]:
        """Take the pointer of a file or folder away; the data stays. The files that changed, for Git."""
        pointer = pointer_of(path)
        load_pointer(pointer)
        repository = find_repository(pointer)
        pointer = repository.top / repository.relative(pointer)
        pointer.unlink()
        changed = [pointer] + [pointer.with_name(".gitignore")] * no_longer_ignore(data_of(pointer))
        forget_path(repository, describe_path(repository, pointer))
        return [each.relative_to(repository.top).as_posix() for each in changed]

    def tracked(self, paths: Sequence[str | Path] = (), *, folder: str | Path = ".") -> list[TrackedState]:
        """How the tracked files and folders of a Git repository stand, by path; only what may have changed is read.

        Args:
            paths: These, and those below them; all of the repository by default.
            folder: Any folder of the repository.
        """
        repository = find_repository(folder)
        found = []
        for pointer in find_pointers(repository, paths):
            path, place = describe_path(repository, pointer), data_of(pointer)
            try:
                said = load_pointer(pointer)
            except MainspringError as error:
                found.append(TrackedState(path, "", "unreadable", "", "", 0, 0, error.message))
                continue
            here, files, size = self._found(place)
            copy = self.working_copies().get(place)
            was = copy.tree if copy else said.tree
            state: State = "missing" if not here else _STATES[here == was, was == said.tree]
            state = "clean" if here == said.tree else state
            found.append(TrackedState(path, said.dataset, state, said.tree, here, files, size))
        return found

    def checkout_tracked(
        self,
        paths: Sequence[str | Path] = (),
        *,
        folder: str | Path = ".",
        force: bool = False,
        progress: Progress | None = None,
    ) -> list[Brought]:
        """Bring tracked files and folders to what their pointers say: after `git checkout`, a merge, or a clone.

        What is right stays untouched; what the branch does not track any more goes, if nobody edited it. A version that
        is not here is pulled, where a remote is set up.

        Args:
            paths: These, and those below them; all of the repository by default.
            folder: Any folder of the repository.
            force: Replace files that were edited.
            progress: Called as `progress(bytes done, bytes in all)`.

        Raises:
            Conflict: A file that was edited is in the way. Of its folder nothing was written; the others are done.
            NotFound: A version is not in this store.
        """
        repository = find_repository(folder)
        done: list[Brought] = []
        failed: list[MainspringError] = []
        pointers = find_pointers(repository, paths)
        for pointer in pointers:
            try:
                brought = self._bring_tracked(repository, pointer, force=force, progress=progress)
            except MainspringError as error:
                failed.append(error)
                continue
            done += [brought] if brought else []
        if not paths:
            done += self._remove_untracked(repository, {describe_path(repository, each) for each in pointers}, failed)
        if failed:
            first = failed[0]
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            details = {**first.details, "failed": [each.message for each in failed]}
            raise type(first)(f"{first.message}{more}", hint=first.hint, details=details)
        return done

    def tracked_history(self, path: str | Path, *, limit: int = 100) -> list[PointerChange]:
        """The commits of Git that changed a tracked file or folder, newest first, and the version of each."""
        pointer = pointer_of(path)
        repository = find_repository(pointer)
        where = repository.relative(pointer)
        found = []
        for commit in repository.commits("HEAD", paths=[f":(literal,top){where}"])[::-1][:limit]:
            text = repository.text("show", f"{commit.id}:{where}")
            try:
                said = read_pointer(text, where) if text else None
                version = self.with_tree(said.dataset, tree=said.tree).version if said else 0
            except MainspringError:
                said, version = None, 0
            tree = said.tree if said else ""
            found.append(PointerChange(commit.id, commit.author, commit.date, commit.message, tree, version))
        return found

    def push_tracked(self, tip: str, *, folder: str | Path = ".") -> list[str]:
        """Before a push of Git: see to it that the data of its pointers can be got; the versions that were pushed.

        Only the commits count that no remote of Git has yet. Where a remote of ours is set up, it is brought the data.

        Args:
            tip: The commit that is about to be pushed.
            folder: Any folder of the repository.

        Raises:
            NotFound: A pointer names content that this store does not have.
        """
        repository = find_repository(folder)
        versions: dict[str, DatasetVersion] = {}
        for path, text in changed_pointers(repository, tip):
            said = read_pointer(text, path)
            try:
                version = self.with_tree(said.dataset, tree=said.tree)
            except NotFound:
                hint = "commit and track it in the store that the others use, or push with --no-verify"
                message = f"{path} names the content {said.tree[:12]}, which is not in this store: nobody could get it"
                raise NotFound(message, hint=hint) from None
            versions[version.ref] = version
        names = {each.name for each in self.remotes()} if versions else set()
        if "origin" in names or len(names) == 1:
            for version in versions.values():
                self.push(f"{version.name}@{version.version}")
            return list(versions)
        return []

    def merge_pointers(self, base: str, ours: str, theirs: str, *, path: str) -> str:
        """The pointer that two branches come to, from the texts of three pointer files; `base` may be empty.

        Raises:
            Conflict: Both changed the same file of the data, each in its own way; `details["paths"]` names them.
        """
        one, other = read_pointer(ours, path), read_pointer(theirs, path)
        old = read_pointer(base, path) if base.strip() else None
        if one.dataset != other.dataset or one.file or other.file:
            raise Conflict(f"{path} names another dataset, or a single file, on both sides", details={"paths": [path]})
        merged = merge_trees(self.nodes, old.tree if old else "", one.tree, other.tree)
        if merged.collisions:
            shown = ", ".join(merged.collisions[:3])
            raise Conflict(
                f"both sides changed {len(merged.collisions)} files of {data_of(Path(path))}: {shown}",
                hint="git checkout --ours or --theirs the pointer, check it out, mend the data and track it again",
                details={"paths": merged.collisions[:100]},
            )
        if not merged.root:
            raise Conflict(f"nothing is left of {data_of(Path(path))}", details={"paths": []})
        send_nodes(self, self.storage, Tree(merged.root, 0, 0, merged.nodes))
        sources = [self.with_tree(each.dataset, tree=each.tree) for each in (one, other)]
        commit = Commit(
            message=f"Merge of versions {sources[0].version} and {sources[1].version}",
            origin="merge",
            uses=[each.ref for each in sources],
            metadata={"git": {"path": path.removesuffix(SUFFIX)}},
        )
        made = self.record(one.dataset, tree=merged.root, commit=commit)
        return write_pointer(Pointer(made.name, made.digest, made.files, made.size), data_of(Path(path)).name)

    def _bring_tracked(
        self, repository: Repository, pointer: Path, *, force: bool, progress: Progress | None
    ) -> Brought | None:
        """One of them; None when there was nothing to do."""
        said, place = load_pointer(pointer), data_of(pointer)
        below = describe_path(repository, pointer)
        copy = self.working_copies().get(place)
        if place.exists() and not force and copy and copy.tree == said.tree and copy.dataset == said.dataset:
            return None
        version = self._version_of(said)
        base = copy.tree if copy and place.exists() else ""
        if said.file:
            written, removed = self._bring_file(place, said, base=base, force=force, progress=progress), 0
        else:
            if place.is_file():
                raise Conflict(f"{below} is a file here, and a folder in its pointer", hint="move it away")
            with open_files(self.machine_folder()) as files:
                done = check_out(self, files, place, tree=said.tree, base=base, force=force, progress=progress)
            written, removed = done.written, done.removed
        self._keep(place, version)
        remember_path(repository, below)
        return Brought(below, said.dataset, written, removed)

    def _bring_file(self, place: Path, said: Pointer, *, base: str, force: bool, progress: Progress | None) -> int:
        here = self._found(place)[0]
        if here == said.tree:
            return 0
        if here and here != base and not force:
            hint = f"mainspring data track {place.name}, move it away, or force it"
            raise Conflict(f"{place} was edited, and its pointer says another content", hint=hint)
        (file,) = walk(self.nodes, said.tree)
        self.bring([file])
        for _, pieces in receive(self, self.storage, [file], progress=progress):
            write_checked(place, file.digest, pieces)
        return 1

    def _remove_untracked(
        self, repository: Repository, tracked: set[str], failed: list[MainspringError]
    ) -> list[Brought]:
        """What was checked out here and has no pointer on this branch."""
        done = []
        for below in remembered_paths(repository):
            place = repository.top / below
            copy = self.working_copies().get(place)
            if below in tracked:
                continue
            here = self._found(place)[0]
            if here and (copy is None or here != copy.tree):
                failed.append(
                    Conflict(f"{below} was edited, and this branch does not track it: it stays", hint="move it away")
                )
                continue
            paths = [file.path for file in walk(self.nodes, here)] if here and place.is_dir() else []
            count = remove_files(place, paths) if paths else 0
            if here and place.is_file():
                place.unlink()
                count = 1
            self.working_copies().forget(place)
            forget_path(repository, below)
            done += [Brought(below, copy.dataset if copy else "", 0, count)] if count else []
        return done

    def _version_of(self, said: Pointer) -> DatasetVersion:
        """The version that a pointer names, pulled when it is not here."""
        try:
            return self.with_tree(said.dataset, tree=said.tree)
        except NotFound:
            remotes = self.remotes()
        if remotes:
            self.pull(said.dataset)
            return self.with_tree(said.dataset, tree=said.tree)
        hint = f"mainspring data pull {said.dataset} REMOTE, or --url of the server that has it"
        raise NotFound(f"the content {said.tree[:12]} of {said.dataset} is not in this store", hint=hint)

    def _found(self, place: Path) -> tuple[str, int, int]:
        """Root, number of files and bytes of what lies at a place; empty when that is nothing."""
        if place.is_dir():
            copy = self.working_copies().get(place)
            with open_files(self.machine_folder()) as files:
                found = scan(place, files.cache, files.clock, dvc=bool(copy and copy.dvc))
                return (found.root, found.files, found.size) if found else ("", 0, 0)
        if place.is_file():
            digest, size = hash_file(place)
            return build([File(place.name, size, digest)]).root, 1, size
        return "", 0, 0

    def _keep(self, place: Path, version: DatasetVersion) -> None:
        copies = self.working_copies()
        before = copies.get(place)
        dvc = before.dvc if before else False
        copies.keep(
            WorkingCopy(path=str(place), dataset=version.name, version=version.version, tree=version.digest, dvc=dvc)
        )

    def _ignore_store(self, repository: Repository, written: dict[Path, bool]) -> None:
        """A store inside of the working tree is not for Git."""
        store = getattr(self._backend, "store", None)
        folder = Path(store.folder) if store is not None else None
        if folder is not None and folder != repository.top and folder.is_relative_to(repository.top):
            place = folder.with_name(".gitignore")
            written[place] = ignore(folder) or written.get(place, False)


def _without_secrets(url: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", url)
