"""What a registry says after something went wrong, held against what it may say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlapi.errors import MlapiError
from mlapi.registry.loading import verify
from mlapi.registry.store import Store
from tests.reliability.model import NAME


@dataclass(frozen=True, slots=True)
class State:
    """The live versions and the labels of the one model that the sweeps publish."""

    live: frozenset[int] = frozenset()
    labels: tuple[tuple[str, int], ...] = ()
    taken: frozenset[int] = frozenset()

    @classmethod
    def of(cls, registry: Path) -> "State":
        """Return the state of a registry folder; empty where there is none."""
        store = Store(registry)
        numbers, live = frozenset(store.numbers(NAME)), frozenset(store.versions(NAME))
        return cls(live, tuple(sorted(store.labels(NAME).items())), numbers)


@dataclass(frozen=True, slots=True)
class Promise:
    """What a registry may say: the versions that must be live, those that may be, and the labels allowed."""

    must: frozenset[int] = frozenset()
    may: frozenset[int] = frozenset()
    labels: frozenset[tuple[tuple[str, int], ...]] = field(default_factory=lambda: frozenset([()]))

    @classmethod
    def between(cls, states: Iterable[State]) -> "Promise":
        """Return the promise of work that was not acknowledged: any of these states, or on the way."""
        known = list(states)
        lives = [state.live for state in known]
        return cls(
            frozenset.intersection(*lives), frozenset.union(*lives), frozenset(state.labels for state in known),
        )


def breaches(registry: Path, promise: Promise) -> Iterator[str]:
    """Yield every way in which a registry breaks a promise; a version that is listed must verify."""
    store = Store(registry)
    try:
        state = State.of(registry)
    except MlapiError as error:
        yield f"unreadable: {error}"
        return
    for lost in sorted(promise.must - state.live):
        yield f"lost: version {lost}"
    for extra in sorted(state.live - promise.may):
        yield f"unexpected: version {extra}"
    if state.labels not in promise.labels:
        yield f"lost: the labels are {dict(state.labels)}"
    yield from (f"torn: label '{label}' to version {at}" for label, at in state.labels if at not in state.live)
    for version in sorted(state.live):
        try:
            verify(store, NAME, version)
        except MlapiError as error:
            yield f"torn: {error}"
