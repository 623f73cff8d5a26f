from mainspring.importers.dvc import DvcReport, import_dvc
from mainspring.importers.mlflow import import_mlflow
from mainspring.importers.neptune import import_neptune
from mainspring.importers.optuna import import_optuna
from mainspring.importers.trackio import import_trackio
from mainspring.importers.types import ImportReport
from mainspring.importers.wandb import import_wandb

__all__ = [
    "DvcReport",
    "ImportReport",
    "import_dvc",
    "import_mlflow",
    "import_neptune",
    "import_optuna",
    "import_trackio",
    "import_wandb",
]
