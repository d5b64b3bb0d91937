"""`mlapi doctor`."""

import os
import platform
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import click

from mlapi.cli.output import json_option, print_json, print_table, registry_option
from mlapi.config import Config
from mlapi.errors import ConfigError
from mlapi.registry import upkeep
from mlapi.registry.store import LABELS, Store

FLOORS = {"gunicorn": (27, 0, 1), "werkzeug": (3, 1, 6), "flask": (3, 1, 3), "marshmallow": (4, 1, 2), "skops": (0, 16)}
"""The oldest releases without a known fault that matters here."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "warning", "failed"]
    detail: str


@click.command("doctor")
@registry_option
@json_option
@click.pass_context
def command(context: click.Context, registry: Path, as_json: bool) -> None:  # noqa: FBT001 (click passes flags by name)
    """Check this installation and the registry, and say what to do about what is wrong.

    Looks at Python, libraries, settings, the address to listen on, the registry's folder and labels, and
    the files of every version. Exit code 1 where a check failed; warnings do not count.

    \b
    Example:
      mlapi doctor --registry /srv/models
    """
    checks = [*_libraries(), *_settings(), *_folder(registry), *_contents(Store(registry))]
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        print_table(["", "check", "detail"], [[check.state, check.what, check.detail] for check in checks])
    if any(check.state == "failed" for check in checks):
        context.exit(1)


def _libraries() -> Iterator[Check]:
    supported = sys.version_info >= (3, 11)
    yield Check("python", "ok" if supported else "failed", platform.python_version())
    for name, floor in FLOORS.items():
        found = metadata.version(name)
        numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdecimal())
        if numbers >= floor:
            yield Check(name, "ok", found)
        else:
            yield Check(name, "failed", f"{found}; install {'.'.join(map(str, floor))} or newer")
    try:
        yield Check("onnx models", "ok", f"onnxruntime {metadata.version('onnxruntime')}")
    except metadata.PackageNotFoundError:
        yield Check("onnx models", "ok", "not installed; for ONNX models: pip install 'mlapi[onnx]'")


def _settings() -> Iterator[Check]:
    try:
        settings = Config.from_environ()
    except ConfigError as error:
        yield Check("settings", "failed", str(error))
        return
    yield Check("settings", "ok", "every MLAPI_ name is known")
    host, _, port = settings.bind.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            advice = "a server is running there already, or choose another MLAPI_BIND"
            yield Check("address", "warning", f"{settings.bind}: {error.strerror}; {advice}")
            return
    yield Check("address", "ok", f"{settings.bind} is free")


def _folder(registry: Path) -> Iterator[Check]:
    if not registry.is_dir():
        yield Check("registry", "warning", f"{registry} does not exist yet; the first publish makes it, or: mlapi demo")
        return
    mode = registry.stat().st_mode
    if mode & stat.S_IWOTH:
        yield Check("registry", "failed", f"{registry} can be written by everybody; run: chmod o-w {registry}")
    elif not os.access(registry, os.W_OK):
        yield Check("registry", "ok", f"{registry}, read-only for this user: it can serve, not publish")
    else:
        yield Check("registry", "ok", str(registry))


def _contents(store: Store) -> Iterator[Check]:
    for name in store.models():
        versions = store.versions(name)
        problems = [(version, reason) for version in versions if (reason := upkeep.refused(store, name, version))]
        for version, reason in problems:
            advice = f"publish it again, or retire it: mlapi delete {name} {version}"
            yield Check(f"{name} {version}", "failed", f"{reason}; {advice}")
        if not problems:
            yield Check(name, "ok", f"{len(versions)} versions, all files as published")
    for finding in upkeep.damaged_labels(store):
        damaged = "" if finding.version else f"remove {store.folder(finding.name) / LABELS} and "
        advice = f"{damaged}set it again: mlapi label {finding.name} LABEL VERSION"
        yield Check(f"{finding.name} labels", "failed", f"{finding.problem}; {advice}")
