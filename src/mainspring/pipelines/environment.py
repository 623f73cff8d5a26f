"""What is installed: the part of a step's key that is not its code and not its inputs."""

from __future__ import annotations

import functools
import platform
import sys
from importlib.metadata import distributions

from mainspring.kernel.hashing import digest_value
from mainspring.pipelines.types import Environment

__all__ = ["current_environment"]


@functools.cache
def current_environment() -> Environment:
    """The Python version, the platform and every installed distribution; read once per process."""
    packages = {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"{sys.platform}-{platform.machine()}",
    }
    for found in distributions():
        name = found.metadata["Name"]
        if name:
            packages[name.lower().replace("_", "-")] = found.version
    return Environment(digest=digest_value("environment", packages), packages=dict(sorted(packages.items())))
