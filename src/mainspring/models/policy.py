"""What may be loaded: the workspace's own rule, never the artifact's word.

A model file can name any Python type that it wants made; a list of trusted types that travels with the model would let
a crafted model trust itself. So the list is here, and a workspace's administrator may add to it.
"""

from __future__ import annotations

import msgspec

__all__ = ["VETTED", "LoadPolicy"]

VETTED: tuple[str, ...] = (
    "catboost.core.CatBoost",
    "catboost.core.CatBoostClassifier",
    "catboost.core.CatBoostRanker",
    "catboost.core.CatBoostRegressor",
    "collections.OrderedDict",
    "functools.partial",  # of check_array, in HistGradientBoosting; the function it holds must be trusted too
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRanker",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.sklearn.XGBRanker",
    "xgboost.sklearn.XGBRegressor",
)
"""Types that fitted models of scikit-learn and the boosters consist of, beyond those skops itself vouches for.

Made without their initializers; what their `__setstate__` reads is the boosters' own data.
"""


class LoadPolicy(msgspec.Struct, frozen=True):
    """What a workspace lets its models be made of.

    Example:
        >>> LoadPolicy().pickle
        False
    """

    pickle: bool = False
    """Whether pickles and Python models are loaded, in a child process. They run any code they like."""
    trusted: tuple[str, ...] = ()
    """Full names of types to trust in skops files, beyond `VETTED`; and factories of modules, `module:callable`."""
