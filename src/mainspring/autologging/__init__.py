"""Automatic logging: what frameworks train becomes runs, without a line at the training.

scikit-learn, XGBoost, LightGBM, CatBoost, PyTorch, Lightning, Keras, transformers, statsmodels; others by entry points.
"""

from __future__ import annotations

from mainspring.autologging.protocol import AutoLogger, Options
from mainspring.autologging.sessions import last_run
from mainspring.autologging.switch import autolog, frameworks

__all__ = ["AutoLogger", "Options", "autolog", "frameworks", "last_run"]
