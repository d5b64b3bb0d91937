"""The files and folders in a folder, as a value."""

from pathlib import Path

Tree = dict[str, "bytes | Tree"]
Frozen = frozenset[tuple[str, "bytes | Frozen"]]


def read_tree(folder: Path) -> Tree:
    """Return a folder's files and folders."""
    return {path.name: read_tree(path) if path.is_dir() else path.read_bytes() for path in sorted(folder.iterdir())}


def write_tree(tree: Tree, folder: Path) -> None:
    """Make a new folder that holds a tree."""
    folder.mkdir()
    for name, content in tree.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            write_tree(content, folder / name)


def frozen(tree: Tree) -> Frozen:
    """Return a tree in a form that can be a key."""
    return frozenset(
        (name, content if isinstance(content, bytes) else frozen(content)) for name, content in tree.items()
    )
