"""Validates manifests against the schemas of Kubernetes, strictly: ask_kubernetes.py VERSION FILE..."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import kubernetes_validate
import yaml


def main(version, *files):
    facts = {}
    for file in files:
        try:
            kubernetes_validate.validate(yaml.safe_load(Path(file).read_text()), version, strict=True)
            facts[Path(file).name] = ""
        except kubernetes_validate.ValidationError as error:
            facts[Path(file).name] = str(error)
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
