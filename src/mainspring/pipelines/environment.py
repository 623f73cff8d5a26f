"""What is installed: the part of a step's key that is not its code and not its inputs."""

from __future__ import annotations

import functools
import platform
import sys
from importlib.metadata import Distribution, distributions
from pathlib import PurePath

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
        name, version = _named(found)
        if name:
            packages[name.lower().replace("_", "-")] = version
    return Environment(digest=digest_value("environment", packages), packages=dict(sorted(packages.items())))


def _named(found: Distribution) -> tuple[str, str]:
    """Name and version, from the name of the folder: reading hundreds of files takes a quarter of a second."""
    folder = PurePath(str(getattr(found, "_path", "")))
    name, dash, version = folder.stem.partition("-")
    if folder.suffix == ".dist-info" and dash and "-" not in version:
        return name, version
    return found.metadata["Name"] or "", found.version
