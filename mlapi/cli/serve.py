"""`mlapi serve`."""

import errno
import os
import sys
from pathlib import Path

import click

from mlapi.cli.output import registry_option
from mlapi.config import Config
from mlapi.errors import RegistryError


@click.command("serve")
@registry_option
@click.option("--bind", metavar="HOST:PORT", help="Where to listen. Default: MLAPI_BIND, else 127.0.0.1:8000.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes. Default: MLAPI_WORKERS, else 2.")
@click.option("--threads", type=click.IntRange(1), help="Request threads a worker. Default: MLAPI_THREADS, else 4.")
def command(registry: Path, bind: str | None, workers: int | None, threads: int | None) -> None:
    """Serve every version in the registry over REST, behind gunicorn.

    \b
    Examples:
      mlapi serve
      mlapi serve --registry /srv/models --bind 0.0.0.0:8000 --workers 4

    \b
    What is published, labelled or deleted while it runs is served so within a second; no restart.
    All settings: mlapi config. Logs are JSON lines on standard error. Ctrl-C stops it gracefully.
    The same server without this command:
      gunicorn 'mlapi.app:create_app()' -c python:mlapi.server.settings
    """
    Config.from_environ()  # a setting that is wrong is said here, in one line, before gunicorn starts
    _refuse_unreadable(registry)  # so is a registry that this user may not read
    arguments = ["mlapi.app:create_app()", "-c", "python:mlapi.server.settings", "-e", f"MLAPI_REGISTRY={registry}"]
    for option, value in (("--bind", bind), ("--workers", workers), ("--threads", threads)):
        if value is not None:
            arguments += [option, str(value)]
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *arguments])  # noqa: S606 (no shell is the point)


def _refuse_unreadable(registry: Path) -> None:
    """Raise RegistryError where the registry, or a model's folder in it, may not be read; it may be missing.

    Looks for itself, since the registry's own modules would take numpy and half a second to say the same.
    """
    for folder in (registry, *(registry.iterdir() if os.access(registry, os.R_OK | os.X_OK) else ())):
        if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
            raise RegistryError(f"the folder {folder.name} cannot be read: {os.strerror(errno.EACCES)}")
