"""`mainspring doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import socket
from typing import Any

import click

from mainspring.cli.output import echo_json, json_option
from mainspring.kernel.errors import MainspringError
from mainspring.kernel.settings import find_store, read_settings

__all__ = ["doctor"]

_EXTRAS = {
    "quality": ("numpy", "scipy"),
    "serve": ("onnxruntime", "onnx", "scikit-learn", "skops", "uvloop", "httptools"),
    "tune": ("optuna",),
    "postgres": ("psycopg",),
    "s3": ("obstore",),
    "ray": ("ray",),
    "spark": ("pyspark",),
}


@click.command()
@click.option(
    "--store",
    default="",
    metavar="DIR",
    help="Folder of the store.  [env: MAINSPRING_STORE; default: .mainspring, found upward]",
)
@json_option
def doctor(store: str, *, as_json: bool) -> int:
    """What is installed and healthy; made to be pasted into a report of a problem.

    \b
    mainspring doctor
    """
    findings = [*_software(), *_store(store)]
    if as_json:
        echo_json([{"what": what, "state": state, "detail": detail} for what, state, detail in findings])
    else:
        for what, state, detail in findings:
            mark = click.style(f"{state:<5}", fg={"ok": "green", "warn": "yellow", "bad": "red"}.get(state))
            click.echo(f"{mark} {what:<12} {detail}")
    return 1 if any(state == "bad" for _, state, _ in findings) else 0


def _software() -> list[tuple[str, str, str]]:
    from mainspring.store.sqlite import driver_report, wal_is_safe

    driver = driver_report()
    found = [
        ("mainspring", "ok", _version("mainspring")),
        ("python", "ok", f"{platform.python_version()} on {platform.platform()}"),
        (
            "sqlite",
            "ok" if wal_is_safe() and driver["page_checksums"] else "warn",
            ", ".join(f"{name} {value}" for name, value in driver.items()),
        ),
        ("polars", "ok", _version("polars")),
    ]
    for extra, packages in _EXTRAS.items():
        versions = {package: _version(package) for package in packages}
        missing = [package for package, version in versions.items() if not version]
        if missing:
            found.append((extra, "-", f"without {', '.join(missing)}: pip install 'mainspring[{extra}]'"))
        else:
            found.append((extra, "ok", ", ".join(f"{package} {version}" for package, version in versions.items())))
    return found


def _store(location: str) -> list[tuple[str, str, str]]:
    from mainspring.store.store import Store

    try:
        with Store.open(location, create=False) as store:
            with store.read() as tx:
                events = tx.value("SELECT max(seq) FROM ledger") or 0
            free = shutil.disk_usage(store.folder).free
            state = "ok" if free > 1e9 else "warn"
            return [
                ("store", "ok", f"{store.folder} on {store.database.dialect}, {events} audit events"),
                ("disk", state, f"{free / 1e9:.1f} GB free"),
                ("port", *_port(read_settings(store.folder))),
            ]
    except MainspringError as error:
        state = "-" if error.code == "MS-2001" else "bad"
        return [("store", state, f"{location or find_store()}: {error.message}")]


def _port(settings: Any) -> tuple[str, str]:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        taken = probe.connect_ex((settings.host, settings.port)) == 0
    return ("ok", f"{settings.host}:{settings.port} {'answers' if taken else 'is free'}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
