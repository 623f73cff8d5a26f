"""The `MLmodel` of a folder that MLflow wrote, as a manifest of ours; and which of its flavors is data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mainspring.kernel.errors import InvalidInput, UnsupportedFormat
from mainspring.lineage.types import File
from mainspring.models.mlflow_signature import from_mlflow
from mainspring.models.types import Manifest

__all__ = ["MLMODEL", "data_flavor", "flavor_file", "manifest_of", "read_mlmodel"]

MLMODEL = "MLmodel"
_LIMIT = 4 << 20
_VERSIONS = {
    "catboost": ("catboost_version", "catboost"),
    "keras": ("keras_version", "keras"),
    "lightgbm": ("lgb_version", "lightgbm"),
    "onnx": ("onnx_version", "onnx"),
    "pytorch": ("pytorch_version", "torch"),
    "sklearn": ("sklearn_version", "scikit-learn"),
    "statsmodels": ("statsmodels_version", "statsmodels"),
    "tensorflow": ("keras_version", "keras"),
    "transformers": ("transformers_version", "transformers"),
    "xgboost": ("xgb_version", "xgboost"),
}
"""Flavor -> where it says which version wrote it, and the distribution."""


def manifest_of(files: Sequence[File], read: Callable[[str], bytes]) -> Manifest:
    """The manifest of a folder with an `MLmodel`.

    Args:
        files: What is in the folder, by paths relative to it.
        read: Gives the bytes of one of them.

    Raises:
        InvalidInput: There is no `MLmodel`, or it cannot be read.
    """
    found = next((file for file in files if file.path == MLMODEL), None)
    if found is None:
        raise InvalidInput(f"the files have no {MLMODEL}")
    if found.size > _LIMIT:
        raise InvalidInput(f"the {MLMODEL} is larger than {_LIMIT} bytes")
    told = read_mlmodel(read(MLMODEL))
    flavors: dict[str, Any] = told["flavors"]
    libraries = {
        distribution: str(flavors[name][key])
        for name, (key, distribution) in _VERSIONS.items()
        if isinstance(flavors.get(name), Mapping) and flavors[name].get(key)
    }
    if told.get("mlflow_version"):
        libraries["mlflow"] = str(told["mlflow_version"])
    return Manifest(
        format="mlflow",
        signature=from_mlflow(told.get("signature")),
        files=tuple(files),
        libraries=libraries,
        details={"flavors": sorted(flavors), **{key: told[key] for key in _KEPT if told.get(key)}},
    )


_KEPT = ("model_uuid", "model_id", "run_id", "utc_time_created", "metadata")


def read_mlmodel(text: bytes) -> dict[str, Any]:
    """An `MLmodel` as a dictionary; `InvalidInput` for what is none.

    The reader is the one in Python: the one in C ends the process on a list nested too deeply.
    """
    import yaml

    try:
        told = yaml.load(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the {MLMODEL} cannot be read: {str(error).partition(chr(10))[0]}") from None
    if not isinstance(told, dict) or not isinstance(told.get("flavors"), dict):
        raise InvalidInput(f"the {MLMODEL} names no flavors")
    if not isinstance(told.get("signature"), dict | None):
        raise InvalidInput(f"the signature of the {MLMODEL} is not a mapping")
    found: dict[str, Any] = _plain(told)
    return found


def _plain(value: Any) -> Any:
    """YAML reads dates where JSON has none."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def flavor_file(folder: Path, flavor: Mapping[str, Any], *keys: str) -> Path:
    """The file that a flavor names, inside of the folder."""
    named = next((str(flavor[key]) for key in keys if flavor.get(key)), "")
    path = folder / named
    if not named or not path.resolve().is_relative_to(folder.resolve()) or not path.exists():
        raise UnsupportedFormat(f"the {MLMODEL} names the data {named!r}, which is not in the folder")
    return path


def data_flavor(folder: Path) -> str:
    """The flavor of a folder whose payload is data that its own library reads; empty where every flavor is a program.

    `xgboost`, `lightgbm`, `catboost`, `onnx`, or `sklearn` where it was saved by skops.
    """
    flavors = read_mlmodel((folder / MLMODEL).read_bytes())["flavors"]
    for name in ("onnx", "catboost", "xgboost", "lightgbm", "sklearn"):
        flavor = flavors.get(name)
        if isinstance(flavor, Mapping) and _is_data(name, flavor):
            return name
    return ""


def _is_data(name: str, flavor: Mapping[str, Any]) -> bool:
    data = str(flavor.get("data", ""))
    if name == "sklearn":
        return bool(flavor.get("serialization_format") == "skops")
    if name == "lightgbm":
        return data.endswith((".lgb", ".txt", ".skops"))
    if name == "xgboost":
        return data.endswith((".xgb", ".ubj", ".json"))
    if name == "catboost":
        return bool(flavor.get("save_format", "cbm") == "cbm")
    return name == "onnx"
