"""How commands take the registry and speak: text for a person, one JSON document for a script."""

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlapi.config import Config

PIPE_WIDTH = 240



def _console(stream: TextIO) -> Console:
    # a pipe has no width of its own, and a table that is folded at 80 columns is no use to grep
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(
        stderr=stream is sys.stderr, soft_wrap=True, width=width, highlight=False, emoji=False, markup=False,
    )


stdout = _console(sys.stdout)
stderr = _console(sys.stderr)


def _registry(_context: click.Context, _parameter: click.Parameter, given: Path | None) -> Path:
    return Config.from_environ().registry if given is None else given


registry_option = click.option(
    "--registry", type=click.Path(path_type=Path, file_okay=False), callback=_registry, metavar="FOLDER",
    help="The registry's folder. Default: MLAPI_REGISTRY, else ./artifacts.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def print_json(value: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def print_table(columns: list[str], rows: list[list[object]]) -> None:
    """Print rows under column names, as they are (no markup); `-` stands for what is empty."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False,
                  show_header=any(columns))  # fmt: skip
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text("-" if cell is None or cell == "" else str(cell)) for cell in row))
    stdout.print(table)


def say(text: str, document: object, *, as_json: bool) -> None:
    """Print `document` where a script asked, else `text`."""
    if as_json:
        print_json(document)
    else:
        stdout.print(text, markup=False)


def human_bytes(count: int) -> str:
    """Return a count of bytes in the largest unit that keeps it above one, such as '3.4 MB'."""
    size, units = float(count), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:  # noqa: PLR2004 (decimal units)
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def _plain(value: Any) -> object:  # noqa: ANN401 (whatever JSON has no form for)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    msg = f"{type(value).__name__} has no JSON form"
    raise TypeError(msg)


