"""The rules of the house that no linter knows, read from the source itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlapi

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlapi"
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]

WRITERS = {"mlapi/registry/durable.py", "mlapi/registry/segments.py"}
READERS_OF_ENVIRON = {"mlapi/config.py"}
FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_EXCL", "O_TMPFILE"}
PATH_CHANGES = {
    "write_text", "write_bytes", "touch", "rename", "unlink", "rmdir", "mkdir", "chmod", "symlink_to", "hardlink_to",
    "link_to", "renames", "removedirs", "makedirs", "rmtree", "move", "copyfile", "copytree", "copy2", "mkdtemp",
    "mkstemp", "NamedTemporaryFile", "TemporaryDirectory", "truncate", "ftruncate", "utime", "fchmod", "chown",
    "mkfifo", "savez", "save", "savez_compressed", "savetxt", "tofile", "to_csv", "to_pickle", "to_parquet",
}  # fmt: skip
OS_CHANGES = {"remove", "link", "symlink", "replace", "rename", "write", "posix_fallocate", "pwrite"}
UNPICKLERS = {"joblib", "pickle", "cPickle", "dill", "cloudpickle", "skops", "onnxruntime", "shelve", "marshal"}
MODULES_THAT_OPEN = {"os", "io", "tarfile", "zipfile", "gzip", "bz2", "lzma", "codecs", "click"}
"""Their `open` takes the path first; that of a path takes the mode first."""
NO_FILES = {"np.savez_compressed(sink, allow_pickle=False, **arrays)", "self.touch()", "self.store.touch()"}
"""Calls that look like writing: to memory, and the store's own that ends in the durable module."""


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def dotted(node: ast.AST) -> str:
    return ast.unparse(node)


def opens_for_writing(call: ast.Call) -> bool:
    """Tell whether a call is an `open` of any kind in a writing mode."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in {"open", "fdopen", "ZipFile", "open_file", "File"}:
        return False
    if any(keyword.arg == "fileobj" for keyword in call.keywords):
        return False
    of_module = isinstance(call.func, ast.Name) or dotted(call.func.value) in MODULES_THAT_OPEN
    modes = [*call.args[of_module:], *(k.value for k in call.keywords if k.arg in {"mode", "flags"})]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return any(re.fullmatch(r"[rbtU]*[wax+][rwabtxU+:|gz]*", text) for text in texts) or any(
        part.attr in FLAGS for mode in modes for part in ast.walk(mode) if isinstance(part, ast.Attribute)
    )


def changes_files(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or dotted(call) in NO_FILES:
        return False
    if any(keyword.arg == "columns" for keyword in call.keywords):
        return False  # a data frame's
    owner, name = dotted(call.func.value), call.func.attr
    if name in OS_CHANGES and owner in {"os", "shutil"}:
        return True
    if name == "replace" and len(call.args) == 1 and not call.keywords and "path" in owner.lower():
        return True
    return name in PATH_CHANGES


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level names of what a module imports, at its top or inside its functions."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WRITERS])
def test_only_the_durable_module_changes_files(name: str) -> None:
    found = [f"{name}:{call.lineno} {dotted(call)[:80]}" for call in calls(ROOT / name)
             if opens_for_writing(call) or changes_files(call)
             if not dotted(call.func).startswith("durable.")]  # fmt: skip
    assert found == []


def test_the_durable_module_is_seen_to_change_files() -> None:
    """The test of the tests: what they look for is found where it is."""
    found = {dotted(call.func).split(".")[-1] for name in WRITERS for call in calls(ROOT / name)
             if opens_for_writing(call) or changes_files(call)}  # fmt: skip
    assert found >= {"open", "rename", "unlink", "rmdir", "mkdir", "chmod", "write"}


@pytest.mark.parametrize(
    "line",
    ["open('x', 'w')", "open('x', mode='ab')", "p.open('x')", "io.open(p, 'r+b')", "os.open(p, os.O_WRONLY)",
     "os.open(p, flags=os.O_CREAT | os.O_EXCL)", "p.write_text('x')", "p.unlink()", "os.remove(p)", "shutil.rmtree(p)",
     "os.replace(a, b)", "path.replace(b)", "tarfile.open(p, 'w:gz')", "zipfile.ZipFile(p, 'w')", "np.savez(p)",
     "tempfile.mkdtemp()", "os.fdopen(f, 'wb')"],
)  # fmt: skip
def test_each_way_of_writing_is_recognised(line: str) -> None:
    [call] = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
    assert opens_for_writing(call) or changes_files(call)


@pytest.mark.parametrize(
    "line", ["open('x')", "open('wax')", "p.open('rb')", "os.open(p, os.O_RDONLY)", "text.replace('a', 'b')",
             "tarfile.open(fileobj=sink, mode='w')", "replace(draft, version=1)", "sys.stdout.write('x')"],
)  # fmt: skip
def test_reading_is_not_taken_for_writing(line: str) -> None:
    [call] = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
    assert not opens_for_writing(call)
    assert not changes_files(call)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in READERS_OF_ENVIRON])
def test_only_the_configuration_reads_the_environment(name: str) -> None:
    words = {dotted(node) for node in ast.walk(tree(ROOT / name)) if isinstance(node, ast.Attribute)}
    words |= {alias.name for node in ast.walk(tree(ROOT / name)) if isinstance(node, ast.ImportFrom)
              and node.module == "os" for alias in node.names}  # fmt: skip
    assert not {"os.environ", "os.environb", "os.getenv", "os.putenv", "environ", "getenv"} & words


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("mlapi/runtimes/")])
def test_only_the_runtimes_unpickle(name: str) -> None:
    assert not UNPICKLERS & set(imported(ROOT / name))


def test_one_module_unpickles() -> None:
    found = {name for name in NAMES if {"joblib", "pickle"} & set(imported(ROOT / name))}
    assert found == {"mlapi/runtimes/pickled.py"}
    called = [dotted(call.func) for name in NAMES for call in calls(ROOT / name)]
    assert [name for name in called if name in {"joblib.load", "pickle.load", "pickle.loads"}] == ["joblib.load"]
    assert not any("allow_pickle=True" in dotted(call) for name in NAMES for call in calls(ROOT / name))


@pytest.mark.parametrize("name", NAMES)
def test_a_module_is_one_idea(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= 300
    assert Path(name).stem not in {"utils", "util", "helpers", "helper", "common", "base", "misc", "core"}


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("__init__.py")])
def test_a_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(tree(ROOT / name))


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("__init__.py")])
def test_a_package_file_holds_no_more_than_a_docstring_and_a_few_names(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= 20


def test_functions_fit_a_screen() -> None:
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in MODULES for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)
    )  # fmt: skip
    assert lengths[len(lengths) // 2] <= 10
    assert lengths[int(len(lengths) * 0.9)] <= 30


def test_the_changelog_begins_with_the_version_or_what_is_not_released() -> None:
    found = [path for path in (ROOT / "docs/CHANGELOG.md", ROOT / "CHANGELOG.md") if path.exists()]
    if not found:
        pytest.skip("there is no changelog yet")
    headings = re.findall(r"^## \[?([^\]\s]+)", found[0].read_text(), re.MULTILINE)
    assert mlapi.__version__ in headings or headings[:1] == ["Unreleased"]
