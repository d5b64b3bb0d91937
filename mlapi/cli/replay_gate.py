"""The gate before a rollout: no version starts one that fails its replay."""

from typing import Any

from mlapi.cli.output import print_json
from mlapi.cli.replay_report import print_passed, print_report
from mlapi.cli.replay_run import run
from mlapi.errors import ReplayFailed
from mlapi.registry.store import Store
from mlapi.rollouts.gate import Limits, broken
from mlapi.rollouts.replay_picture import picture

NOTHING_STARTED = "nothing was started"


def require_passed(store: Store, name: str, version: int, requests: int, *, as_json: bool) -> dict[str, Any]:
    """Return the replay of the newest `requests` as a document; within the usual limits, else ReplayFailed.

    The report is printed where it failed, one line where it passed; the document only where it failed.
    """
    limits = Limits()
    try:
        found = run(store, name, version, requests)
    except ReplayFailed as error:
        raise ReplayFailed(name, version, (*error.faults, NOTHING_STARTED), hangs=error.hangs) from error
    faults = broken(found, limits)
    document = picture(found, limits, faults)
    if faults:
        if as_json:
            print_json({"replay": document})
        else:
            print_report(found, limits)
        raise ReplayFailed(name, version, (*faults, NOTHING_STARTED))
    if not as_json:
        print_passed(found)
    return document
