"""A disk that may lose power: what is certain, what is pending, and every folder that may be found afterwards.

Two readings of what a file system promises (Pillai et al., OSDI 2014):

- strict: content that was not synced may be missing, half there or there; each folder entry that was not
  synced may be missing, in any combination. A rename within a folder happens or does not.
- ordered: entries change in order, as in a metadata journal, and any sync commits all before it; content
  that was not synced may be missing, half there or there.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from tests.reliability.trace import Event
from tests.reliability.tree import Tree

Semantics = Literal["strict", "ordered"]
EXHAUSTIVE = 2**12
Change = dict[str, int | None]
_ROOT = 0


@dataclass(slots=True)
class File:
    """Content that is certain, and content as written."""

    synced: bytes = b""
    written: bytes = b""

    def outcomes(self) -> list[bytes]:
        """Return what may be found: as synced, half of what came after, or all."""
        half = self.written[: (len(self.synced) + len(self.written) + 1) // 2]
        return sorted({self.synced, half, self.written})


@dataclass(slots=True)
class Folder:
    """Entries that are certain, and changes of entries that are pending, in order."""

    synced: dict[str, int] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def entries(self, chosen: Iterable[Change] | None = None) -> dict[str, int]:
        """Return the entries after the chosen pending changes; after all of them by default."""
        found: dict[str, int | None] = dict(self.synced)
        for change in self.pending if chosen is None else chosen:
            found.update(change)
        return {name: node for name, node in found.items() if node is not None}


class Volume:
    """A folder's tree of files, with what would survive a power loss."""

    def __init__(self, tree: Tree) -> None:
        self.nodes: list[File | Folder] = [Folder()]
        self._fill(_ROOT, tree)

    def play(self, event: Event) -> None:
        """Do what the event did."""
        getattr(self, f"_{event.name}")(event)

    def losses(self, limit: int) -> Iterator[Tree]:
        """Yield the trees that a loss of power may leave, strictly read: all, or `limit` of them drawn by seed."""
        folders = [node for node in self.nodes if isinstance(node, Folder) and node.pending]
        files = [node for node in self.nodes if isinstance(node, File) and node.synced != node.written]
        options: list[Sequence[object]] = [[False, True]] * sum(len(folder.pending) for folder in folders)
        options += [list(file.outcomes()) for file in files]
        for choice in _choices(options, limit):
            picked = iter(choice)
            entries = {
                id(folder): folder.entries([change for change in folder.pending if next(picked)]) for folder in folders
            }
            contents: dict[int, object] = {id(file): next(picked) for file in files}
            yield self._tree(_ROOT, entries, contents)

    def contents(self, later: "Volume", limit: int) -> Iterator[Tree]:
        """Yield the trees with these entries, whole, and the content as it may be found at a `later` time."""
        files = [
            (node, found) for node, found in zip(self.nodes, later.nodes, strict=False)
            if isinstance(node, File) and isinstance(found, File)
        ]
        for choice in _choices([list(found.outcomes()) for _, found in files], limit):
            yield self._tree(_ROOT, {}, {id(node): data for (node, _), data in zip(files, choice, strict=True)})

    def _fill(self, at: int, tree: Tree) -> None:
        folder = self.nodes[at]
        assert isinstance(folder, Folder)
        for name, content in tree.items():
            folder.synced[name] = len(self.nodes)
            if isinstance(content, bytes):
                self.nodes.append(File(content, content))
            else:
                self.nodes.append(Folder())
                self._fill(folder.synced[name], content)

    def _tree(self, at: int, entries: dict[int, dict[str, int]], contents: dict[int, object]) -> Tree:
        folder = self.nodes[at]
        assert isinstance(folder, Folder)
        found: Tree = {}
        for name, number in entries.get(id(folder), folder.entries()).items():
            node = self.nodes[number]
            if isinstance(node, Folder):
                found[name] = self._tree(number, entries, contents)
            else:
                content = contents.get(id(node), node.written)
                assert isinstance(content, bytes)
                found[name] = content
        return found

    def _find(self, path: PurePath) -> tuple[int, File | Folder]:
        number = _ROOT
        for part in path.parts:
            folder = self.nodes[number]
            assert isinstance(folder, Folder)
            number = folder.entries()[part]
        return number, self.nodes[number]

    def _change(self, path: PurePath, change: Change) -> None:
        _, folder = self._find(path.parent)
        assert isinstance(folder, Folder)
        folder.pending.append(change)

    def _create(self, event: Event) -> None:
        self._change(event.path, {event.path.name: len(self.nodes)})
        self.nodes.append(File())

    def _mkdir(self, event: Event) -> None:
        self._change(event.path, {event.path.name: len(self.nodes)})
        self.nodes.append(Folder())

    def _write(self, event: Event) -> None:
        _, file = self._find(event.path)
        assert isinstance(file, File)
        file.written += event.data

    def _fsync(self, event: Event) -> None:
        _, node = self._find(event.path)
        if isinstance(node, File):
            node.synced = node.written
        else:
            node.synced, node.pending = node.entries(), []

    def _rename(self, event: Event) -> None:
        assert event.target is not None
        number, _ = self._find(event.path)
        if event.target.parent == event.path.parent:
            self._change(event.path, {event.path.name: None, event.target.name: number})
        else:
            self._change(event.target, {event.target.name: number})
            self._change(event.path, {event.path.name: None})

    def _unlink(self, event: Event) -> None:
        self._change(event.path, {event.path.name: None})

    _rmdir = _unlink

    def _appear(self, event: Event) -> None:
        """Another process made a folder, and synced it."""
        _, parent = self._find(event.path.parent)
        assert isinstance(parent, Folder)
        parent.synced[event.path.name] = len(self.nodes)
        self.nodes.append(Folder())
        self._fill(parent.synced[event.path.name], event.tree)


def losses(base: Tree, events: Sequence[Event], semantics: Semantics, limit: int = EXHAUSTIVE) -> Iterator[Tree]:
    """Yield the trees that a loss of power may leave after `events`, done to a tree that was certain.

    All of them where they are at most `limit`, else a seeded sample of so many.
    """
    volume = Volume(base)
    committed = 0
    for count, event in enumerate(events, 1):
        volume.play(event)
        if event.name == "fsync":
            committed = count
    if semantics == "strict":
        yield from volume.losses(limit)
        return
    for kept in range(committed, len(events) + 1):
        earlier = Volume(base)
        for event in events[:kept]:
            earlier.play(event)
        yield from earlier.contents(volume, limit)


def _choices(options: Sequence[Sequence[object]], limit: int) -> Iterator[tuple[object, ...]]:
    """Yield all combinations, or where they are more than `limit`: the extremes and a seeded sample."""
    count = 1
    for option in options:
        count *= len(option)
    if count <= limit:
        yield from itertools.product(*options)
        return
    yield tuple(option[0] for option in options)
    yield tuple(option[-1] for option in options)
    draw = random.Random(count)  # noqa: S311 (a sample, not a secret)
    for _ in range(limit - 2):
        yield tuple(draw.choice(option) for option in options)
