"""`benchmarks/mixed.py`: its table, how answers are judged, what it refuses, and one short run without peers."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "mixed.py"
ENVIRONMENT = Path(sys.prefix)


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False, timeout=300,
    )


@pytest.fixture
def houses(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import houses  # noqa: PLC0415 (a module of the folder above)

    return houses


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import mixed  # noqa: PLC0415 (a module of the folder above)

    return mixed


def test_a_house_has_six_numbers_and_four_texts_and_is_the_same_every_time(houses: Any) -> None:
    table = houses.table(50)
    assert [kind.kind in "if" for kind in table.dtypes] == [True] * 6 + [False] * 4
    assert table.equals(houses.table(50))
    assert not table.equals(houses.table(50, (1,)))


@pytest.mark.parametrize("model", ["ridge", "boosting"])
def test_a_pipeline_learns_what_houses_cost(houses: Any, model: str) -> None:
    unseen = houses.table(500, (1,))
    assert houses.fitted(model).score(unseen, houses.price(unseen)) > 0.9


def test_a_request_names_its_columns_and_is_judged_by_the_pipeline(houses: Any, mixed: Any) -> None:
    pipeline = houses.fitted("ridge")
    asked = mixed.request(pipeline, 2, "MLflow dataframe_records")
    rows = json.loads(asked.body)["dataframe_records"]
    assert [list(row) for row in rows] == [[*houses.NUMBERS, *houses.TEXTS]] * 2
    right = pipeline.predict(houses.table(2, (houses.SEED, 2))).tolist()
    assert asked.right(json.dumps({"predictions": right}).encode(), {})
    assert not asked.right(json.dumps({"predictions": right[::-1]}).encode(), {})
    assert not asked.right(json.dumps({"predictions": right[:1]}).encode(), {})


def test_it_says_how_many_times_the_requests_of_each_other_system_are_answered(mixed: Any) -> None:
    rows = [{"workload": "c8", "system": name, "requests_per_second": rate}
            for name, rate in (("mlapi V1 JSON", 5000.0), ("KServe V1 JSON", 400.0))]  # fmt: skip
    assert mixed.ratios(rows) == "\nc8: mlapi V1 JSON answers 12.5 times the requests of KServe V1 JSON.\n"


def test_an_environment_tells_its_versions(mixed: Any) -> None:
    found = mixed.peer_versions("joblib", ENVIRONMENT, version("scikit-learn"))
    assert found == {"joblib": version("joblib"), "joblib's pandas": version("pandas")}


@pytest.mark.parametrize(("name", "venv", "learn", "sentence"), [
    ("mlflow", Path("/nowhere"), "1.0", "/nowhere is no environment with mlflow, scikit-learn and pandas: "),
    ("no-such-server", ENVIRONMENT, "1.0", "is no environment with no-such-server, scikit-learn and pandas: "),
    ("joblib", ENVIRONMENT, "0.1", "the same pipeline needs 0.1, as here"),
])  # fmt: skip
def test_an_environment_that_cannot_serve_the_same_pipeline_is_refused(
    mixed: Any, name: str, venv: Path, learn: str, sentence: str,
) -> None:
    with pytest.raises(SystemExit) as refused:
        mixed.peer_versions(name, venv, learn)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("name", ["mlflow", "kserve"])
def test_each_peer_has_its_server(mixed: Any, name: str) -> None:
    assert name in mixed.PEERS
    assert mixed.peer_script(name).is_file()


@pytest.mark.parametrize(("options", "sentence"), [
    (("--peer", "mlserver=x"), "--peer mlserver=x: expected NAME=VENV with a NAME of mlflow, kserve"),
    (("--peer", "mlflow"), "--peer mlflow: expected NAME=VENV with a NAME of mlflow, kserve"),
    (("--workloads", "c8,c9"), "unknown workloads: c9; there are c8, b100c8"),
])  # fmt: skip
def test_options_that_mean_nothing_are_refused_before_anything_starts(options: tuple[str, str], sentence: str) -> None:
    done = bench(*options)
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.server
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_without_peers_it_measures_mlapi_alone_and_writes_two_files(tmp_path: Path) -> None:
    done = bench("--repeats", "1", "--seconds", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    runs = json.loads((tmp_path / "mixed.json").read_text())["runs"]
    assert [(run["workload"], run["system"]) for run in runs] == [
        (workload, system) for workload in ("c8", "b100c8") for system in ("mlapi V1 JSON", "mlapi dataframe_records")
    ]
    assert all(run["requests"] > 0 and run["refused"] == 0 for run in runs)
    assert (tmp_path / "mixed.md").read_text() in done.stdout
