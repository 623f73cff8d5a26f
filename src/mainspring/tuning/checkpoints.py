"""What trials leave for others: values in the store, as artifacts that a trial has made and another one uses."""

from __future__ import annotations

from typing import Any

from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.lineage.types import File
from mainspring.pipelines.runtime import blob_port
from mainspring.pipelines.values import blobs_in, decode, encode

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(client: Any, study_id: str, number: int, value: Any) -> str:
    """Write a value; the id of the artifact.

    Raises:
        InvalidInput: It is of a kind that could only be pickled.
    """
    try:
        tree = encode(value, blob_port(client.pipelines), allow_pickle=False)
    except UnsupportedFormat as error:
        raise InvalidInput(
            f"a checkpoint is bytes, arrays, frames or JSON: {error.message}", hint="give bytes"
        ) from None
    large = [each for each in blobs_in(tree) if not each["inline"]]
    files = [File(f"part-{place}", int(each["size"]), each["digest"]) for place, each in enumerate(large)]
    return str(client.tuning.keep_checkpoint(study_id, number=number, value=tree, files=files))


def load_checkpoint(client: Any, study_id: str, number: int, artifact_id: str) -> Any:
    """Read what was written; the trial has used it then."""
    tree = client.tuning.take_checkpoint(study_id, number=number, artifact_id=artifact_id)
    return decode(tree, blob_port(client.pipelines), allow_pickle=False)
