"""The ninth floor: policies that turn an alert into a better model, or find that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mainspring.kernel.verbs import verbs as _verbs

__all__ = [
    "episodes",
    "policies",
    "policy",
    "set_policy",
    "stop",
    "watch",
]

if TYPE_CHECKING:
    from mainspring.loop.service import Loops

    _default = cast("Loops", None)
    episodes = _default.episodes
    policies = _default.policies
    policy = _default.policy
    set_policy = _default.set_policy
    stop = _default.stop
    watch = _default.watch
else:
    __getattr__ = _verbs(__name__, __all__)
