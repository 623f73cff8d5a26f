"""The operations of the registry, and what happens on the user's machine around them: saving, compiling, loading."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from mainspring.engines.signature import Signature
from mainspring.kernel.errors import Damaged, InvalidInput, NotFound
from mainspring.kernel.operations import operation
from mainspring.lineage.types import File
from mainspring.models.approvals import refresh
from mainspring.models.loaded import LoadedModel
from mainspring.models.policy import LoadPolicy
from mainspring.models.registering import add_version
from mainspring.models.registry import EXTERNAL, find_version, policy, set_policy
from mainspring.models.service_approvals import ApprovalOperations
from mainspring.models.service_cards import CardOperations
from mainspring.models.service_logged import LoggedOperations
from mainspring.models.service_names import NameOperations
from mainspring.models.service_retention import RetentionOperations
from mainspring.models.service_versions import VersionOperations
from mainspring.models.types import Code, Environment, Manifest, Metric, ModelVersion, VersionStatus
from mainspring.store.service import Storage

__all__ = ["Models"]

_MANIFEST = "manifest.json"
_MLMODEL = "MLmodel"
_MANIFEST_LIMIT = 16 << 20
_PIECE = 1 << 20


class Models(
    NameOperations,
    VersionOperations,
    ApprovalOperations,
    CardOperations,
    RetentionOperations,
    LoggedOperations,
    room="models",
):
    """Models by name and version: registered, approved, aliased, loaded."""

    @operation(permission="models:write", writes=True, resource="name")
    def register(
        self,
        name: str,
        *,
        files: list[File],
        run_id: str = "",
        manifest: Manifest | None = None,
        metrics: dict[str, Metric] = {},  # noqa: B006 -- copied by the operation's request type
        parameters: dict[str, Any] = {},  # noqa: B006
        data: list[str] = [],  # noqa: B006
        code: Code | None = None,
        environment: Environment | None = None,
        description: str = "",
        tags: dict[str, str] = {},  # noqa: B006
        source: str = "",
        status: VersionStatus = "ready",
    ) -> ModelVersion:
        """Register files that were uploaded before as the next version of a model.

        Args:
            name: The model.
            files: What the version consists of; every blob must be in the store. A version that lies elsewhere has
                none, and a source.
            run_id: The run that made it; without one, a run of kind `training` is recorded.
            manifest: What the files are, where none of them is a `manifest.json`.
            metrics: Figures, with intervals where there are any.
            parameters: What it was trained with.
            data: References of the datasets and training sets that the run used, beyond those that it recorded itself.
            code: The code that made it, where the run has recorded none.
            environment: Where that ran, where the run has recorded none.
            description: In words.
            tags: Free labels of the version.
            source: Where it was taken from, or where it lies: a path or a URI.
            status: Whether its files are all there.
        """
        described = self._manifest(files, manifest, source)
        with self.store.write() as tx:
            notes = add_version(
                tx,
                name,
                manifest=described,
                files=files,
                run_id=run_id,
                metrics=metrics,
                parameters=parameters,
                data=data,
                code=code,
                environment=environment,
                description=description,
                tags=tags,
                source=source,
                status=status,
            )
            refresh(tx, notes.digest)
            return find_version(tx, notes.artifact_id)

    @operation(permission="models:read")
    def policy(self) -> LoadPolicy:
        """What this workspace lets its models be made of."""
        with self.store.read() as tx:
            return policy(tx)

    @operation(permission="models:admin", writes=True)
    def set_policy(self, *, pickle: bool = False, trusted: list[str] = []) -> LoadPolicy:  # noqa: B006
        """Say what this workspace lets its models be made of; replaces what was said before."""
        with self.store.write() as tx:
            return set_policy(tx, LoadPolicy(pickle=pickle, trusted=tuple(sorted(set(trusted)))))

    def log_model(
        self,
        name: str,
        model: Any,
        *,
        example: Any = None,
        signature: Signature | None = None,
        run_id: str = "",
        metrics: Mapping[str, Metric | float] | None = None,
        parameters: Mapping[str, Any] | None = None,
        data: Sequence[str] = (),
        classes: Sequence[Any] = (),
        nullable: Sequence[str] = (),
        source: Callable[..., Any] | str | Path | None = None,
        format: str = "",  # noqa: A002 -- the word of the field, and only ever given by name
        description: str = "",
        tags: Mapping[str, str] | None = None,
        compiled: bool = True,
        factory: str = "",
        code_paths: Sequence[str | Path] = (),
    ) -> ModelVersion:
        """Save a fitted model, compile it, measure the parity, upload it and register it as the next version.

        Args:
            name: The model's name in the registry.
            model: A fitted estimator, pipeline or booster (scikit-learn, LightGBM, XGBoost, CatBoost), a network
                (PyTorch, Keras), an ONNX graph, named tensors, or the path of a folder that MLflow wrote.
            example: Real rows of its inputs, the more the better: the signature is read off them, the parity measured.
                A frame of polars or pandas, columns by name, records, an array, a tensor, or texts. Only weights and
                folders of MLflow's do without.
            signature: Instead of the one read off the example.
            run_id: The run that trained it; without one, a run of kind `training` is recorded.
            metrics: Figures, as numbers or with intervals.
            parameters: What it was trained with; the estimator's own, when left out.
            data: References of the datasets it was trained on, beyond those that the run recorded.
            classes: The classes of a booster that classifies.
            nullable: Columns that may lack values although the example has them all.
            source: A function or file of the training code; the running program when left out.
            format: One of `models.formats.format_names()`; chosen by the model's kind when left out.
            description: In words.
            tags: Free labels of the version.
            compiled: Whether to compile to ONNX.
            factory: `module:callable` that makes the module whose weights are saved as safetensors.
            code_paths: Files and folders of your own code that a Python model needs.
        """
        from mainspring.models.formats import SaveOptions
        from mainspring.models.provenance import code as code_of
        from mainspring.models.provenance import environment as environment_here
        from mainspring.models.saving import parameters_of, write

        with tempfile.TemporaryDirectory(prefix="mainspring-model-") as made:
            folder = Path(made)
            write(
                model,
                folder,
                example=example,
                signature=signature,
                nullable=nullable,
                classes=classes,
                format=format,
                policy=self.policy(),
                compiled=compiled,
                options=SaveOptions(factory=factory, code=tuple(Path(each) for each in code_paths)),
            )
            return self.register(
                name,
                files=self._upload(folder),
                run_id=run_id,
                metrics={
                    key: each if isinstance(each, Metric) else Metric(each) for key, each in (metrics or {}).items()
                },
                parameters=dict(parameters_of(model) if parameters is None else parameters),
                data=list(data),
                code=code_of(source),
                environment=environment_here(),
                description=description,
                tags=dict(tags or {}),
            )

    def download(self, ref: str, folder: str | Path) -> ModelVersion:
        """Write the files of a version into a folder, each checked against its digest."""
        version = self.get(ref)
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for file in self.files(version.id):
            path = target / file.path
            if not path.resolve().is_relative_to(target.resolve()):
                raise Damaged(f"{version.ref} names the file {file.path!r}, which is outside of its folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                for piece in self.file(version.id, file.path):
                    out.write(piece)
        return version

    def export(self, ref: str, folder: str | Path, *, format: Literal["mlflow"] = "mlflow") -> ModelVersion:  # noqa: A002
        """Write a version as a model folder of another product's: `mlflow.pyfunc.load_model(folder)` opens it.

        Args:
            ref: `name@3`, `name@champion`, `name` or an artifact's id.
            folder: Where to; a new folder, or an empty one.
            format: Whose folder; MLflow's is the one there is.
        """
        from mainspring.models.format_mlflow import write_mlflow_folder
        from mainspring.models.package import read_manifest

        if format != "mlflow":
            raise InvalidInput(f"nothing is exported as {format!r}", known=["mlflow"])
        with tempfile.TemporaryDirectory(prefix="mainspring-model-") as made:
            version = self.download(ref, made)
            about = {"ref": version.ref, "digest": version.digest}
            write_mlflow_folder(Path(made), read_manifest(Path(made)), Path(folder), metadata=about)
        return version

    def load(self, ref: str, *, native: bool = False) -> LoadedModel:
        """A version ready to answer: `load("flight-delay@champion").predict(frame)`.

        Args:
            ref: `name@3`, `name@champion`, `name` or an artifact's id.
            native: Take the library that trained it, even where the compiled graph is exact.
        """
        from mainspring.models.package import open_package

        with tempfile.TemporaryDirectory(prefix="mainspring-model-") as made:
            self.download(ref, made)
            return LoadedModel(open_package(Path(made), policy=self.policy(), native=native))

    def load_object(self, ref: str) -> Any:
        """The object that was logged: an estimator, a booster, or the bytes of a graph; where the policy allows it."""
        from mainspring.models.formats import load_object
        from mainspring.models.package import read_manifest

        with tempfile.TemporaryDirectory(prefix="mainspring-model-") as made:
            self.download(ref, made)
            return load_object(read_manifest(Path(made)).format, Path(made), policy=self.policy())

    def register_folder(
        self,
        name: str,
        folder: str | Path,
        *,
        run_id: str = "",
        metrics: Mapping[str, Metric | float] | None = None,
        data: Sequence[str] = (),
        description: str = "",
        tags: Mapping[str, str] | None = None,
        source: str = "",
    ) -> ModelVersion:
        """Upload a folder that holds a saved model (ours or MLflow's) and register it as the next version.

        Args:
            name: The model's name in the registry.
            folder: With a `manifest.json` or an `MLmodel` in it.
            run_id: The run that made it.
            metrics: Figures, as numbers or with intervals.
            data: References of the datasets it was trained on.
            description: In words.
            tags: Free labels of the version.
            source: Where it was taken from; the folder, when left out.
        """
        where = Path(folder)
        if not where.is_dir():
            raise NotFound(f"there is no folder {where}")
        return self.register(
            name,
            files=self._upload(where),
            run_id=run_id,
            metrics={key: each if isinstance(each, Metric) else Metric(each) for key, each in (metrics or {}).items()},
            data=list(data),
            description=description,
            tags=dict(tags or {}),
            source=source or str(where),
        )

    def _upload(self, folder: Path) -> list[File]:
        from mainspring.models.package import files_of

        files = files_of(folder)
        storage = Storage(self._backend)
        missing = set(storage.missing([file.digest for file in files]))
        for file in files:
            if file.digest in missing:
                storage.put_blob(_pieces(folder / file.path))
        return files

    def _manifest(self, files: list[File], given: Manifest | None, source: str) -> Manifest:
        """The manifest among the files, or the one given; refuses files that are not all there."""
        if not files and source:
            return given or Manifest(format=EXTERNAL, signature=Signature(inputs=()), files=())
        if not files:
            raise InvalidInput("a model version has at least one file, or a source where it lies")
        paths = [file.path for file in files]
        twice = next((path for path in paths if paths.count(path) > 1), "")
        if twice:
            raise InvalidInput(f"the file {twice!r} is named twice")
        present = self.store.blobs.sizes([file.digest for file in files])
        lost = next((file for file in files if file.digest not in present), None)
        if lost is not None:
            raise NotFound(
                f"the bytes of {lost.path!r} are not in the store", hint="storage.put_blob(body) uploads them"
            )
        inside = next((file for file in files if file.path == _MANIFEST), None)
        if inside is None:
            if given is None and _MLMODEL in paths:
                return self._of_mlflow(files)
            if given is None:
                raise InvalidInput(f"the files have no {_MANIFEST}, and no manifest was given")
            return given
        if inside.size > _MANIFEST_LIMIT:
            raise InvalidInput(f"{_MANIFEST} is larger than {_MANIFEST_LIMIT} bytes")
        try:
            found = msgspec.json.decode(self.store.blobs.get(inside.digest), type=Manifest)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"{_MANIFEST} cannot be read: {error}") from None
        different = [file.path for file in found.files if file not in files]
        if different:
            raise InvalidInput(f"{_MANIFEST} describes {different[0]!r} otherwise than it was uploaded")
        return found

    def _of_mlflow(self, files: list[File]) -> Manifest:
        from mainspring.models.format_mlflow import manifest_of

        digests = {file.path: file.digest for file in files}
        return manifest_of(files, lambda path: self.store.blobs.get(digests[path]))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(_PIECE):
            yield piece
