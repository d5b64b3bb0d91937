"""`mlapi replay`: ask a version what was asked before, offline, as a gate before any traffic."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from mlapi.cli.metric_option import SPAN, UNITS
from mlapi.cli.output import json_option, print_json, registry_option
from mlapi.cli.replay_report import print_passed, print_report
from mlapi.cli.replay_run import MOST_REQUESTS, MOST_SECONDS, run
from mlapi.errors import InvalidRequest, ReplayFailed
from mlapi.inference.faults import quoted
from mlapi.registry.store import Store
from mlapi.rollouts.gate import Limits, broken
from mlapi.rollouts.replay_picture import SERVED, picture

_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@click.command("replay")
@click.argument("name")
@click.argument("version", type=click.IntRange(1))
@click.option("--requests", type=click.IntRange(1), default=MOST_REQUESTS, show_default=True,
              help="Ask so many of the newest requests that were logged.")  # fmt: skip
@click.option("--against", metavar="served|VERSION", default=SERVED, show_default=True,
              help="Compare with what was answered then, or with this version, which is asked too.")  # fmt: skip
@click.option("--since", metavar="SPAN|MOMENT",
              help="Only what was answered since: 90m, 2h, 7d, or a moment such as 2026-11-26T09:00:00Z.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0), default=0.0, show_default=True,
              help="Numbers that differ by more disagree.")  # fmt: skip
@click.option("--max-errors", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="The share of the requests that may have no answer, or one that is not finite.")  # fmt: skip
@click.option("--max-disagreement", type=click.FloatRange(0, 1),
              help="The share of the answers that may disagree. Default: any, versions ought to differ.")  # fmt: skip
@click.option("--max-slower", type=click.FloatRange(0, min_open=True), default=2.0, show_default=True,
              help="How many times as long the median prediction may take.")  # fmt: skip
@click.option("--max-seconds", type=click.FloatRange(0, min_open=True), default=MOST_SECONDS, show_default=True,
              help="How long a request may take, and a tenth of what loading may.")  # fmt: skip
@registry_option
@json_option
def command(
    name: str, version: int, requests: int, against: str, since: str | None, tolerance: float, max_errors: float,
    max_disagreement: float | None, max_slower: float, max_seconds: float, registry: Path, as_json: bool,  # noqa: FBT001 (click passes flags by name)
) -> None:
    """Ask VERSION of NAME the newest requests that a server logged, here and now, and compare the answers.

    Needs no server, but requests that one has logged with MLAPI_REQUEST_LOG. It is a gate: beyond a limit it
    ends with 9. Times are measured here, of both versions in turn, where the version that answered is still there.

    \b
    Examples:
      mlapi replay house-prices 3
      mlapi replay house-prices 3 --requests 5000 --since 7d --against 2
      mlapi replay house-prices 3 --tolerance 500 --max-disagreement 0.2 && mlapi rollout start house-prices 3

    Exit codes: 0 passed; 9 beyond a limit; 3 no such model or version, or no request was logged; 5 the version
    does not load.
    """
    limits = Limits(max_errors, max_disagreement, max_slower)
    begin = 0 if since is None else since_ms(since, time.time())
    found = run(Store(registry), name, version, requests, _version(against), begin, tolerance, max_seconds)
    faults = broken(found, limits)
    if as_json:
        print_json(picture(found, limits, faults))
    else:
        print_report(found, limits)
    if faults:
        raise ReplayFailed(name, version, faults)
    if not as_json:
        print_passed(found)


def since_ms(text: str, now: float) -> int:
    """Return the moment that a span before `now`, in seconds since the epoch, or a moment in text is; milliseconds.

    A moment without a zone is UTC. Raises InvalidRequest.
    """
    span = SPAN.fullmatch(text)
    if span is not None:
        return round((now - float(span["number"]) * UNITS[span["unit"]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        wanted = "a span such as 90m, 2h or 7d, or a moment such as 2026-11-26T09:00:00Z"
        raise InvalidRequest([f"--since: {quoted(text)} is neither; expected {wanted}"]) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _version(text: str) -> int | None:
    if text == SERVED:
        return None
    if _VERSION.fullmatch(text) is None:
        raise InvalidRequest([f"--against: {quoted(text)} is none; expected 'served' or the number of a version"])
    return int(text)
