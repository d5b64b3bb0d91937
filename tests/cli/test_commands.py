"""Every command: help with an example, JSON for scripts, text for people, one line for an error."""

import json
import os
import shlex
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mlapi import __version__
from mlapi.cli.main import COMMANDS, cli
from mlapi.errors import (
    InvalidName,
    LabelNotFound,
    ModelNotFound,
    PublishRefused,
    VersionInUse,
    VersionNotFound,
    VersionRefused,
)
from mlapi.registry.store import Store

Run = Callable[..., Result]
Document = Callable[..., Any]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert f"mlapi {name}" in done.stdout.split("Example", 1)[1]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"serve", "rollout", "shadow"}])
def test_every_command_but_serve_speaks_json(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert "--json" in [option for parameter in command.params for option in parameter.opts]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"config", "rollout", "shadow"}])
def test_every_command_on_a_registry_takes_it_as_an_option(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert "--registry" in [option for parameter in command.params for option in parameter.opts]


def test_the_help_of_all_lists_each_command_and_exit_code() -> None:
    text = CliRunner().invoke(cli, ["--help"]).stdout
    for name, line in COMMANDS.items():
        assert f"  {name} " in text
        assert line in text
    for code in range(9):
        assert f"{code} " in text.split("Exit codes:")[1]


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(cli, ["--version"]).stdout.split()[-1] == __version__


def test_a_command_that_is_none_is_wrong_usage() -> None:
    assert CliRunner().invoke(cli, ["pulbish"]).exit_code == 2


# -- list, show, card ---------------------------------------------------------------------------


def test_list_shows_versions_labels_and_states(run: Run, document: Document) -> None:
    rows = document("list")
    assert [(row["name"], row["version"], row["labels"], row["state"]) for row in rows] == [
        ("iris", 1, [], "ok"), ("prices", 1, ["stable"], "ok"), ("prices", 2, [], "ok"),
    ]  # fmt: skip
    assert rows[1]["metrics"] == {"r2": 0.5}
    lines = run("list").stdout.splitlines()
    assert lines[0].split()[:4] == ["model", "version", "labels", "state"]
    assert lines[2].split()[:4] == ["prices", "1", "stable", "ok"]
    assert len(document("list", "prices")) == 2


def test_list_says_what_is_refused_and_why(run: Run, document: Document, registry: Path) -> None:
    damage(registry / "prices/2/card.md", b"x")
    row = document("list", "prices")[1]
    assert row["state"] == "refused"
    assert row["reason"].startswith("'card.md' has 1 bytes; the manifest says ")
    assert f"refused: {row['reason']}" in run("list").stdout
    assert document("list", "--verify")[2]["reason"] == row["reason"]
    assert run("list").exit_code == 0


def test_an_empty_registry_says_how_to_begin(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["list", "--registry", str(tmp_path / "none")])
    assert "publish some: mlapi demo" in done.stdout
    assert json.loads(CliRunner().invoke(cli, ["list", "--json", "--registry", str(tmp_path / "none")]).stdout) == []
    assert not (tmp_path / "none").exists()


def test_show_tells_all_of_a_version(run: Run, document: Document) -> None:
    shown = document("show", "prices", "1")
    assert (shown["version"], shown["labels"], shown["note"], shown["runtime"]) == (1, ["stable"], "first", "joblib")
    assert [one["name"] for one in shown["signature"]["inputs"]] == ["size", "rooms", "city"]
    text = run("show", "prices", "1").stdout
    for part in ("stable", "r2 0.5", "model.joblib", "a, b; others refused", "0 to 19", "in memory"):
        assert part in text
    assert document("show", "prices")["version"] == 2
    assert "features in order: petal, sepal" in run("show", "iris").stdout


def test_texts_are_printed_as_they_are(run: Run) -> None:
    """Neither markup nor emoji of the terminal library: a note is the publisher's."""
    for text in (run("show", "prices").stdout, run("card", "prices").stdout):
        assert "[bold]second[/] :heart: [/x]" in text
    assert ":heart:, [b]x[/b]" in run("show", "iris").stdout


def test_card_prints_what_was_written_at_publish(run: Run, document: Document, registry: Path) -> None:
    written = (registry / "prices/1/card.md").read_text()
    assert run("card", "prices", "1").stdout == written
    assert document("card", "prices", "1") == {"name": "prices", "version": 1, "card": written}
    damage(registry / "prices/1/card.md", written.replace("first", "worst").encode())
    assert isinstance(run("card", "prices", "1").exception, VersionRefused)


@pytest.mark.parametrize("command", ["show", "card"])
def test_what_is_not_there_is_not_found(run: Run, command: str) -> None:
    assert isinstance(run(command, "price").exception, ModelNotFound)
    assert isinstance(run(command, "prices", "9").exception, VersionNotFound)
    assert isinstance(run(command, "../prices").exception, InvalidName)
    assert run(command, "prices", "0").exit_code == 2


# -- verify, label, delete, gc ------------------------------------------------------------------


def damage(path: Path, data: bytes) -> None:
    path.parent.chmod(0o755)
    path.unlink()
    path.write_bytes(data)


def test_verify_passes_what_is_as_published(run: Run, document: Document) -> None:
    assert [row["ok"] for row in document("verify")] == [True, True, True]
    assert document("verify", "prices", "2") == [{"name": "prices", "version": 2, "ok": True, "reason": None}]
    assert run("verify").exit_code == 0
    assert run("verify").stdout.splitlines()[1].split() == ["iris", "1", "ok"]


def test_verify_fails_with_the_reason(run: Run, document: Document, registry: Path) -> None:
    damage(registry / "prices/1/model.joblib", b"x")
    assert [row["ok"] for row in document("verify")] == [True, False, True]
    done = run("verify")
    assert done.exit_code == 5
    assert "'model.joblib' has 1 bytes" in done.stdout
    assert run("verify", "prices", "2").exit_code == 0
    assert isinstance(run("verify", "prices", "3").exception, VersionNotFound)


def test_label_moves_and_tells_from_where(run: Run, document: Document, registry: Path) -> None:
    moved = document("label", "prices", "stable", "2")
    assert moved == {"name": "prices", "label": "stable", "version": 2, "before": 1}
    assert run("label", "prices", "stable", "1").stdout == "prices: stable -> 1 (was 2)\n"
    assert run("label", "prices", "canary", "2").stdout == "prices: canary -> 2\n"
    assert Store(registry).labels("prices") == {"canary": 2, "stable": 1}
    assert document("unlabel", "prices", "canary") == {"name": "prices", "label": "canary"}
    assert Store(registry).labels("prices") == {"stable": 1}


def test_a_label_points_only_to_a_version_that_loads(run: Run, registry: Path) -> None:
    damage(registry / "prices/2/model.joblib", b"x")
    assert isinstance(run("label", "prices", "stable", "2").exception, VersionRefused)
    assert isinstance(run("label", "prices", "stable", "9").exception, VersionNotFound)
    assert isinstance(run("label", "prices", "7", "1").exception, InvalidName)
    assert Store(registry).labels("prices") == {"stable": 1}


def test_unlabel_of_what_is_no_label_is_one_printable_line(run: Run) -> None:
    assert isinstance(run("unlabel", "prices", "best").exception, LabelNotFound)
    for name in ("a\nb", "\x1b[31m"):
        error = run("unlabel", "prices", name).exception
        assert isinstance(error, InvalidName)
        assert str(error).isprintable()


def test_delete_retires_what_no_label_holds(run: Run, document: Document, registry: Path) -> None:
    assert isinstance(run("delete", "prices", "1", "--yes").exception, VersionInUse)
    assert document("delete", "prices", "2", "--yes") == {"name": "prices", "version": 2}
    assert Store(registry).versions("prices") == (1,)
    assert isinstance(run("delete", "prices", "2", "--yes").exception, VersionNotFound)


@pytest.mark.parametrize(("said", "left"), [("n\n", (1, 2)), ("", (1, 2)), ("y\n", (1,))])
def test_delete_asks_first(run: Run, registry: Path, said: str, left: tuple[int, ...]) -> None:
    done = run("delete", "prices", "2", stdin=said)
    assert "Retire version 2 of prices for good?" in done.stderr
    assert Store(registry).versions("prices") == left


def test_gc_frees_after_the_grace(run: Run, document: Document, registry: Path) -> None:
    run("delete", "prices", "2", "--yes")
    assert document("gc") == {"versions": 0, "bytes": 0}
    freed = document("gc", "--older-than", "0")
    assert freed["versions"] == 1
    assert freed["bytes"] > 1000
    assert run("gc").stdout == "freed 0 B of 0 retired versions\n"
    assert not (registry / "prices/2/model.joblib").exists()
    assert run("gc", "--older-than", "-1").exit_code == 2


def test_gc_removes_requests_that_were_logged_long_ago(run: Run, document: Document, registry: Path) -> None:
    folder = registry / "prices" / "requests"
    folder.mkdir()
    for name, days in (("a-1.jsonl", 31), ("b-1.jsonl", 29)):
        (folder / name).write_bytes(b"x" * 1000)
        os.utime(folder / name, (0, (folder / name).stat().st_mtime - days * 86400))
    assert run("gc").stdout == "freed 0 B of 0 retired versions and 1.0 kB of logged requests\n"
    assert [path.name for path in folder.iterdir()] == ["b-1.jsonl"]
    assert document("gc")["bytes"] == 0


# -- export, import -----------------------------------------------------------------------------


def test_a_version_is_exported_and_imported(run: Run, document: Document, tmp_path: Path) -> None:
    path = tmp_path / "p.tar"
    sent = document("export", "prices", "1", str(path))
    assert (sent["bytes"], sent["file"]) == (path.stat().st_size, str(path))
    assert document("import", str(path)) == {"name": "prices", "version": 3}
    assert document("import", str(path), "--name", "copy") == {"name": "copy", "version": 1}
    with tarfile.open(path) as tar:
        assert "manifest.json" in tar.getnames()
    assert run("export", "prices", "1", str(path)).stdout.startswith(f"wrote {path} (")


def test_a_foreign_file_is_not_imported(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(b"hello")
    assert isinstance(run("import", str(path)).exception, PublishRefused)
    assert run("import", str(tmp_path / "none.tar")).exit_code == 2


# -- publish ------------------------------------------------------------------------------------


def test_publish_prints_the_signature_it_inferred(run: Run, model_file: Path, rows_file: Path) -> None:
    done = run("publish", "prices", str(model_file), "--sample", str(rows_file), "--target", "price")
    assert done.exception is None, done.exception
    lines = done.stdout.splitlines()
    assert lines[0].startswith("published prices version 3 (")
    assert [line.split()[:3] for line in lines[2:5]] == [
        ["in", "size", "FP64"], ["in", "rooms", "INT64"], ["in", "city", "BYTES"],
    ]  # fmt: skip
    assert "a, b; others refused" in lines[4]
    assert lines[-1].startswith("serve it: mlapi serve --registry ")


def test_publish_keeps_what_it_is_told(document: Document, model_file: Path, rows_file: Path) -> None:
    told = document(
        "publish", "new", str(model_file), "--sample", str(rows_file), "--metric", "f1=0.91", "--metric", "auc=1e-1",
        "--note", "n\nm", "--intended-use", "u", "--limit", "a", "--limit", "b", "--unseen", "accept",
    )  # fmt: skip
    assert (told["metrics"], told["note"], told["limits"]) == ({"f1": 0.91, "auc": 0.1}, "n\nm", ["a", "b"])
    assert told["signature"]["inputs"][2]["unseen"] == "accept"
    assert told["version"] == 1


def test_publish_without_a_sample_says_so(run: Run, model_file: Path) -> None:
    error = run("publish", "prices", str(model_file)).exception
    assert isinstance(error, PublishRefused)
    assert "a sample is needed to infer the signature" in str(error)
    assert "--sample rows.csv" in str(error)


@pytest.mark.parametrize("metric", ["f1", "f1=", "f1=high", "=", "0.9"])
def test_a_metric_that_is_none_is_wrong_usage(run: Run, model_file: Path, rows_file: Path, metric: str) -> None:
    done = run("publish", "prices", str(model_file), "--sample", str(rows_file), "--metric", metric)
    assert done.exit_code == 2
    assert "expected NAME=NUMBER, such as f1=0.91" in done.stderr


@pytest.mark.parametrize("metric", ["f1=nan", "f1=inf"])
def test_a_metric_that_is_not_finite_is_refused(run: Run, model_file: Path, rows_file: Path, metric: str) -> None:
    error = run("publish", "prices", str(model_file), "--sample", str(rows_file), "--metric", metric).exception
    assert isinstance(error, PublishRefused)


def test_publish_of_a_target_that_is_not_there_names_the_nearest(run: Run, model_file: Path, rows_file: Path) -> None:
    error = run("publish", "prices", str(model_file), "--sample", str(rows_file), "--target", "prise").exception
    assert "did you mean 'price'" in str(error)


# -- config, doctor -----------------------------------------------------------------------------


def test_config_shows_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLAPI_WORKERS", "7")
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(cli, ["config", "--json"]).stdout)}
    assert (rows["MLAPI_WORKERS"]["value"], rows["MLAPI_WORKERS"]["default"]) == (7, 2)
    assert rows["MLAPI_REGISTRY"]["value"] == "artifacts"
    assert "MLAPI_WORKERS" in CliRunner().invoke(cli, ["config"]).stdout


def test_doctor_finds_nothing_wrong(run: Run, document: Document) -> None:
    checks = {check["what"]: check for check in document("doctor")}
    assert {checks[name]["state"] for name in ("python", "settings", "registry", "prices", "iris")} == {"ok"}
    assert checks["prices"]["detail"] == "2 versions, all files as published"
    assert run("doctor").exit_code == 0


def test_doctor_finds_damage_and_its_advice_helps(run: Run, document: Document, registry: Path) -> None:
    damage(registry / "prices/2/card.md", b"x")
    (registry / "iris/labels.json").write_bytes(b"{")
    assert run("doctor").exit_code == 1
    failed = {check["what"]: check["detail"] for check in document("doctor") if check["state"] == "failed"}
    assert "mlapi delete prices 2" in failed["prices 2"]
    assert f"remove {registry / 'iris/labels.json'} and set it again: mlapi label iris" in failed["iris labels"]
    assert run(*shlex.split("delete prices 2 --yes")).exception is None
    (registry / "iris/labels.json").unlink()
    assert run("label", "iris", "stable", "1").exception is None
    assert run("doctor").exit_code == 0


def test_doctor_finds_a_folder_that_all_may_write_and_a_wrong_setting(
    run: Run, document: Document, registry: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.chmod(0o777)
    monkeypatch.setenv("MLAPI_WORKERS", "many")
    failed = {check["what"]: check["detail"] for check in document("doctor") if check["state"] == "failed"}
    assert f"chmod o-w {registry}" in failed["registry"]
    assert "MLAPI_WORKERS is 'many'" in failed["settings"]
    registry.chmod(0o755)
    monkeypatch.delenv("MLAPI_WORKERS")
    assert run("doctor").exit_code == 0
