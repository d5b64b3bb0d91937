"""Keeping a registry tidy: what can be freed, and what is wrong with it."""

import time
from dataclasses import dataclass

from mlapi.errors import RegistryError, VersionRefused
from mlapi.registry import durable, loading
from mlapi.registry.store import TOMBSTONE, Store

GRACE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Freed:
    """What a collection removed."""

    versions: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where; `version` is None for what concerns the whole model."""

    name: str
    version: int | None
    problem: str


def collect_garbage(store: Store, older_than: float = GRACE_SECONDS) -> Freed:
    """Remove the files of versions retired, and the leftovers of writers killed, `older_than` seconds ago.

    The grace is for readers: a worker that is loading a version when it is retired still finds its
    files. The number of a retired version stays taken by its tombstone. Raises StorageFailed.
    """
    versions = freed = 0
    with durable.storage("collecting garbage"):
        if not store.root.is_dir():
            return Freed(0, 0)
        freed += durable.collect(store.root, older_than)
        for name in store.folders():
            folder = store.folder(name)
            freed += durable.collect(folder, older_than)
            for number in store.retired(name):
                tombstone = folder / str(number) / TOMBSTONE
                if time.time() - tombstone.stat().st_mtime >= older_than:
                    count = durable.empty(tombstone.parent, TOMBSTONE)
                    versions, freed = versions + (count > 0), freed + count
    return Freed(versions, freed)


def refused(store: Store, name: str, version: int) -> str | None:
    """Return why the files of a version would be refused, or None: manifest, size and digest, no parsing."""
    try:
        loading.check(store, name, version)
    except VersionRefused as error:
        return error.reason
    return None


def damaged_labels(store: Store) -> list[Finding]:
    """Return the labels that cannot be read or point to no version."""
    findings = []
    for name in store.models():
        try:
            labels = store.labels(name)
        except RegistryError as error:
            findings.append(Finding(name, None, str(error)))
            continue
        known = store.versions(name)
        findings += [Finding(name, version, f"label '{label}' points to version {version}, which is not there")
                     for label, version in labels.items() if version not in known]  # fmt: skip
    return findings
