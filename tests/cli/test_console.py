"""The console script itself: exit codes, one line for an error, and what it does not import."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Console = Callable[..., subprocess.CompletedProcess[str]]
NOBODY = 65534


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the one line of an error."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("mlapi: ")
    return line


def test_0_is_done_and_the_answer_is_on_standard_output(console: Console, registry: Path) -> None:
    done = console("list", "--registry", str(registry))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("prices") == 2


def test_the_registry_is_that_of_the_environment_or_of_the_folder(console: Console, registry: Path) -> None:
    assert "prices" in console("list", environ={"MLAPI_REGISTRY": str(registry)}).stdout
    assert "no models in artifacts" in console("list").stdout


def test_2_is_wrong_usage_a_wrong_name_or_a_wrong_setting(console: Console, registry: Path) -> None:
    assert console("list", "--nonsense").returncode == 2
    assert console("show").returncode == 2
    assert "cannot name a model" in refused(console("show", "../x", "--registry", str(registry)), 2)
    assert "MLAPI_NOPE is not a setting" in refused(console("list", environ={"MLAPI_NOPE": "1"}), 2)


def test_3_is_not_found(console: Console, registry: Path) -> None:
    line = refused(console("show", "price", "--registry", str(registry)), 3)
    assert line == "mlapi: model 'price' is unknown; did you mean 'prices'?"


def test_4_is_input_refused(console: Console, registry: Path, model_file: Path) -> None:
    assert "a sample is needed" in refused(console("publish", "m", str(model_file), "--registry", str(registry)), 4)
    rows = '[{"size": 1}]'
    done = console("predict", "prices", "-", "--local", "--registry", str(registry), input=rows)
    assert "2 faults: (1)" in refused(done, 4)


def test_5_is_a_version_that_is_refused(console: Console, registry: Path) -> None:
    path = registry / "prices/1/card.md"
    path.parent.chmod(0o755)
    path.chmod(0o644)
    path.write_text("x")
    assert "version 1 of model 'prices' is refused: 'card.md' has 1 bytes" in refused(
        console("card", "prices", "1", "--registry", str(registry)), 5,
    )
    assert console("verify", "--registry", str(registry)).returncode == 5


def test_6_is_a_version_in_use(console: Console, registry: Path) -> None:
    assert "carries the label stable" in refused(
        console("delete", "prices", "1", "--yes", "--registry", str(registry)), 6,
    )


def test_7_is_a_full_disk(console: Console, registry: Path) -> None:
    """A limit of no bytes a file fails every write, as a full disk does."""
    done = console(
        "unlabel", "prices", "stable", "--registry", str(registry),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    assert refused(done, 7) == "mlapi: changing the labels of 'prices' failed: File too large"
    assert not list(registry.rglob(".tmp-*"))


def test_7_is_a_registry_that_is_no_folder(console: Console, tmp_path: Path, model_file: Path, rows_file: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = console(
        "publish", "prices", str(model_file), "--sample", str(rows_file), "--target", "price",
        "--registry", str(tmp_path / "file" / "registry"),
    )  # fmt: skip
    assert refused(done, 7) == "mlapi: publishing 'prices' failed: Not a directory"


def without_rights(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who owns nothing; root alone can become one, others own the registry they test."""
    code = f"""
import os, sys
import mlapi.cli.list_models, mlapi.cli.unlabel
from mlapi.cli.main import main
os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
main()
"""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_7_is_a_registry_that_may_only_be_read_or_not_even_that(registry: Path) -> None:
    for parent in registry.parents[:3]:
        parent.chmod(0o755)
    assert without_rights("list", "--registry", str(registry)).returncode == 0
    line = refused(without_rights("unlabel", "prices", "stable", "--registry", str(registry)), 7)
    assert line == "mlapi: changing the labels of 'prices' failed: Permission denied"
    (registry / "prices").chmod(0o700)
    line = refused(without_rights("list", "--registry", str(registry)), 1)
    assert line == "mlapi: the folder prices cannot be read: Permission denied"


def test_8_is_a_server_that_does_not_answer(console: Console, rows_file: Path) -> None:
    for url in ("http://127.0.0.1:1", "http://no host", "nonsense", "http://[::1"):
        line = refused(console("predict", "prices", str(rows_file), "--url", url), 8)
        assert "is 'mlapi serve' running there?" in line


def test_an_error_is_one_line_however_long_it_is(console: Console, registry: Path) -> None:
    line = refused(console("show", "x" * 5000 + "\n\x1b[31m", "--registry", str(registry)), 2)
    assert len(line) < 300
    assert line.isprintable()


def test_a_reader_that_has_seen_enough_is_no_error(registry: Path) -> None:
    command = f"{sys.executable} -m mlapi.cli list --json --registry {registry} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[\n", "")


@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "--json"], ["show", "prices"], ["config"], ["doctor"], ["label", "--help"],
                  ["publish", "--help"], ["predict", "--help"], ["train", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_commands_that_need_no_model_import_no_model_libraries(registry: Path, arguments: list[str]) -> None:
    code = """
import sys
from mlapi.cli.main import cli
cli.main(sys.argv[1:], standalone_mode=False)
print(sorted({"sklearn", "pandas", "scipy", "skops", "onnxruntime"} & set(sys.modules)), file=sys.stderr)
"""
    environ = {**os.environ, "MLAPI_REGISTRY": str(registry)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False, env=environ,
    )
    assert done.stderr.splitlines() == ["[]"]
