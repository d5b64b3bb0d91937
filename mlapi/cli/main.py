"""`mlapi`: the group of commands, and the frame that turns exceptions into lines and exit codes."""

import contextlib
import os
import sys
from importlib import import_module

import click

from mlapi import __version__
from mlapi.cli.output import stderr
from mlapi.errors import (
    ConfigError,
    InvalidName,
    InvalidRequest,
    MlapiError,
    ModelNotReady,
    NotFound,
    PublishRefused,
    ReplayFailed,
    RolloutConflict,
    ServerUnreachable,
    StorageFailed,
    TrainingError,
    VersionInUse,
    VersionRefused,
)

COMMANDS = {
    "train": "Learn a model from a CSV file and publish it.",
    "demo": "Publish the demo models.",
    "publish": "Publish a trained model file as the next version.",
    "serve": "Serve the registry over REST.",
    "predict": "Ask a running server, or the registry itself, for predictions.",
    "bench": "Measure how fast a version is served.",
    "list": "List models, versions, labels and what is refused.",
    "show": "Show one version: signature, metrics, files, memory.",
    "card": "Show the model card of a version.",
    "verify": "Re-hash versions and replay their golden rows.",
    "label": "Point a label to a version.",
    "unlabel": "Remove a label.",
    "rollout": "Move traffic from one version to the next, step by step.",
    "outcome": "Tell what came of predictions.",
    "shadow": "Ask a version copies of the requests, and compare.",
    "replay": "Ask a version logged requests, before any traffic.",
    "delete": "Retire a version.",
    "gc": "Free the bytes of retired versions and killed publishers.",
    "export": "Write a version into one archive file.",
    "import": "Publish a version from an archive file.",
    "config": "Show the settings in force.",
    "doctor": "Check this installation and the registry.",
}
"""Every command with its line of help; each lives in a module of its own, loaded when it runs."""

EXIT_CODES: tuple[tuple[type[MlapiError], int], ...] = (
    (ConfigError, 2),
    (InvalidName, 2),
    (NotFound, 3),
    (InvalidRequest, 4),
    (PublishRefused, 4),
    (TrainingError, 4),
    (VersionRefused, 5),
    (ModelNotReady, 5),
    (VersionInUse, 6),
    (RolloutConflict, 6),
    (StorageFailed, 7),
    (ServerUnreachable, 8),
    (ReplayFailed, 9),
    (MlapiError, 1),
)
"""Exit codes by exception class, first match; 2 is also click's code for a wrong command line."""

_MODULES = {"import": "import_archive", "export": "export_archive", "list": "list_models", "gc": "garbage",
            "card": "show_card", "config": "show_config"}  # fmt: skip


class _Lazy(click.Group):
    """Imports a command's module when it is asked for, so that `mlapi list` needs no scikit-learn."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"mlapi.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's signature)
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mlapi")
def cli() -> None:
    """Publish trained models, serve them by name and version, move traffic safely.

    \b
    First steps:
      mlapi demo                                  publish the demo models into ./artifacts
      mlapi serve                                 serve ./artifacts on 127.0.0.1:8000
      mlapi publish churn model.joblib --sample rows.csv
      mlapi train sales.csv --target price --name house-prices

    \b
    Exit codes: 0 done; 1 failed; 2 wrong usage, name or setting; 3 not found; 4 input refused;
    5 version refused or not ready; 6 version in use, or a rollout; 7 storage failed; 8 server unreachable;
    9 a replay failed.
    """


def main() -> None:
    """Run the command line and exit: the console script `mlapi`."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        sys.exit(0)
    except MlapiError as error:
        stderr.print(f"mlapi: {error}", style="red", markup=False, soft_wrap=True)
        if isinstance(error, ReplayFailed) and error.hangs:  # Python would wait for the threads of the model
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(exit_code(error))
        sys.exit(exit_code(error))
    except OSError as error:  # a folder that may not be read, a disk that fails
        where = f"'{error.filename}': " if error.filename else ""
        stderr.print(f"mlapi: {where}{error.strerror or error}", style="red", markup=False, soft_wrap=True)
        sys.exit(exit_code(StorageFailed("", error)))
    sys.exit(code if isinstance(code, int) else 0)


def exit_code(error: MlapiError) -> int:
    """Return the exit code of an exception, by the first class in EXIT_CODES that it is one of."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
