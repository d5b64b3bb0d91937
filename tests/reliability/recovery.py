"""What comes after an accident: two hours later, somebody publishes."""

from collections.abc import Iterator
from pathlib import Path

from mlapi.errors import MlapiError
from tests.reliability.model import publish_line
from tests.reliability.operations import age
from tests.reliability.state import Promise, State, breaches


def troubles(registry: Path, taken: frozenset[int]) -> Iterator[tuple[str, str]]:
    """Publish, and yield what is wrong then, each with its kind.

    The publish must work, under a number that was never `taken`; all that was live must still verify;
    and nothing temporary may remain.
    """
    if registry.is_dir():
        for leftover in list(registry.rglob(".tmp-*")):
            age(leftover)
    earlier = State.of(registry)
    try:
        version = publish_line(registry)
    except MlapiError as error:
        yield "later publishes failed", str(error)
        return
    if version in taken | earlier.taken:
        yield "later publishes failed", f"version {version} was given twice"
    grown = earlier.live | {version}
    for fault in breaches(registry, Promise(grown, grown, frozenset([earlier.labels]))):
        yield "later publishes failed", fault
    for leftover in registry.rglob(".tmp-*"):
        yield "left behind", str(leftover.relative_to(registry))
