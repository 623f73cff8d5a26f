"""What may be loaded: the workspace's own rule, never the artifact's word.

A model file can name any Python type that it wants made; a list of trusted types that travels with the model would let
a crafted model trust itself. So the list is here, and a workspace's administrator may add to it.
"""

from __future__ import annotations

import msgspec

__all__ = ["VETTED", "LoadPolicy"]

VETTED: tuple[str, ...] = (
    "collections.OrderedDict",
    "functools.partial",  # of check_array, in HistGradientBoosting; the function it holds must be trusted too
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
"""Types that fitted scikit-learn and LightGBM models consist of, beyond those skops itself vouches for."""


class LoadPolicy(msgspec.Struct, frozen=True):
    """What a workspace lets its models be made of.

    Example:
        >>> LoadPolicy().pickle
        False
    """

    pickle: bool = False
    """Whether pickles are loaded. A pickle runs any code it likes as it is read."""
    trusted: tuple[str, ...] = ()
    """Full names of types to trust in skops files, beyond `VETTED`."""
