"""A trained model beside its run: as the registry keeps models where it can, in the framework's own form otherwise."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.autologging.protocol import Options
from mainspring.kernel.errors import MainspringError
from mainspring.models.service import Models

if TYPE_CHECKING:
    import polars as pl

    from mainspring.tracking.run import ActiveRun

__all__ = ["example_of", "keep_model"]

_ROWS = 1000
_FOLDER = "model"


def keep_model(
    run: ActiveRun,
    model: Any,
    *,
    options: Options,
    example: Any = None,
    native: Callable[[Path], Any] | None = None,
    prefix: str = "",
) -> bool:
    """Keep a model under `model/` of its run; whether it was kept.

    With an example of its inputs it is written as the registry writes models: signature, example and manifest, so that
    `models.register(name, files=..., run_id=...)` needs no upload. Otherwise `native(folder)` writes it.

    Args:
        run: The run.
        model: The trained object.
        options: Whether and how.
        example: Some of its inputs: a frame, an array.
        native: Writes the model into a folder.
        prefix: Before the folder's name.
    """
    if not options.models:
        return False
    registry = Models(run._tracking._backend)  # noqa: SLF001 -- another service at the same place
    rows = example_of(example)
    if rows is not None and options.register:
        version = registry.log_model(options.register, model, example=rows, run_id=run.id)
        run.tags({f"{prefix}autolog.model": version.ref})
        return True
    with tempfile.TemporaryDirectory(prefix="mainspring-model-") as made:
        folder = Path(made) / _FOLDER
        folder.mkdir()
        if not (rows is not None and _packed(registry, model, folder, rows)):
            for path in folder.iterdir():
                path.unlink()
            if native is None:
                run.tags({f"{prefix}autolog.model": "not kept: no form that is safe to load"})
                return False
            native(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size > options.largest_model:
            run.tags({f"{prefix}autolog.model": f"not kept: {size} bytes"})
            return False
        run.log_folder(folder, name=f"{prefix}{_FOLDER}")
    return True


def _packed(registry: Models, model: Any, folder: Path, rows: pl.DataFrame) -> bool:
    """Whether the registry has a form for this model, written into the folder."""
    from mainspring.models.saving import write

    try:
        write(
            model,
            folder,
            example=rows,
            signature=None,
            nullable=(),
            classes=(),
            format="",
            policy=registry.policy(),
            compiled=False,
        )
    except (MainspringError, TypeError, ValueError, AttributeError):
        return False
    return True


def example_of(inputs: Any) -> pl.DataFrame | None:
    """The first rows of a table of inputs; None when it is no table of plain columns."""
    import polars as pl

    if inputs is None:
        return None
    try:
        if isinstance(inputs, pl.DataFrame):
            return inputs.head(_ROWS)
        if hasattr(inputs, "iloc"):
            frame = inputs.iloc[:_ROWS].reset_index(drop=True)
            return pl.from_pandas(frame.rename(columns=str)) if hasattr(frame, "columns") else None
        if hasattr(inputs, "toarray"):
            return None  # sparse: thousands of columns
        import numpy as np

        array = np.asarray(inputs)
        if array.ndim != 2 or array.dtype.kind not in "biuf":
            return None
        return pl.DataFrame(array[:_ROWS], schema=[f"x{number}" for number in range(array.shape[1])], orient="row")
    except (TypeError, ValueError, pl.exceptions.PolarsError, ImportError):
        return None
