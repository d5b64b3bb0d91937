"""`make bench`: what it writes of given runs, what it refuses, and one short run of all of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "serving.py"


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False, timeout=300,
    )


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import report  # noqa: PLC0415 (a module of the folder above)

    return report


def run(repeat: int, rate: float, **other: Any) -> dict[str, Any]:
    return {
        "repeat": repeat, "model": "M1", "workload": "c1", "system": "a", "requests_per_second": rate,
        "rows_per_second": rate, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_us_per_request": 300.0, "others": 0.1, "broken": 0,
        **other,
    }  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "started": "2026-11-24 12:00", "workers": 1, "repeats": 3, "seconds": 3, "server_core": "0", "load_core": "1",
        "machine": {"cpu": "<X & Y>", "cpus": 2, "kernel": "6.1", "python": "3.11"}, "versions": {"mlapi": "0.1"},
        "models": {"M1": "linear"}, "workloads": {"c1": [1, 1]},
        "runs": [run(0, 10.0), run(0, 5000.0, system="b"), run(1, 30.0, broken=2), run(1, 7000.0, system="b"),
                 run(2, 20.0), run(2, 6000.0, system="b")],
    }  # fmt: skip


def test_a_row_is_the_median_and_the_spread_of_its_repeats(report: Any, document: dict[str, Any]) -> None:
    first, second = report.summary(document["runs"])
    assert (first["requests_per_second"], first["least"], first["most"], first["broken"]) == (20.0, 10.0, 30.0, 2)
    assert (second["system"], second["requests_per_second"]) == ("b", 6000.0)


def test_the_top_of_a_profile_adds_up_what_functions_take_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import flame  # noqa: PLC0415 (see report)

    stacks = "main (m.py:1);read (r.py:7) 3\nmain (m.py:2);read (r.py:9) 2\nmain (m.py:2) 4\nx (<x>:3) 1"
    assert flame.top(stacks, 2) == [("read (r.py)", 0.5), ("main (m.py)", 0.4)]


def test_the_table_has_a_line_a_system_and_names_the_machine(report: Any, document: dict[str, Any]) -> None:
    lines = report.markdown(document).splitlines()
    assert "<X & Y> (2 cores)" in lines[0]
    assert "1 worker, 3 repeats of 3 s" in lines[1]
    assert "| a | 20.0 | 10.0 to 30.0 | 1.00 | 2.00 | 300 | 0.10 |" in lines
    assert "| b | 6,000 | 5,000 to 7,000 | 1.00 | 2.00 | 300 | 0.10 |" in lines


def test_the_drawing_has_a_bar_a_system_on_a_logarithmic_axis(report: Any, document: dict[str, Any]) -> None:
    picture = ET.fromstring(report.drawing(document))  # noqa: S314 (made a line above)
    widths = [bar.attrib["width"] for bar in picture if bar.tag.endswith("rect")]
    bars = [float(width) for width in widths if not width.endswith("%")]
    assert len(bars) == 2
    axis = 3.0  # powers of ten from 10 to 10,000
    assert bars[1] - bars[0] == pytest.approx((report.WIDTH - report.LEFT - report.RIGHT) * 2.4771 / axis, rel=1e-3)


@pytest.mark.parametrize(("option", "sentence"), [
    (("--models", "M9"), "unknown models: M9; there are M1, M2, M3, M4, M5"),
    (("--workloads", "c1,x"), "unknown workloads: x; there are c1, c8, c64, b100, b10k"),
])
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_name_that_is_none_is_refused_before_anything_starts(option: tuple[str, str], sentence: str) -> None:
    done = bench(*option)
    assert done.returncode == 1
    assert done.stderr.strip() == sentence


@pytest.mark.server
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_short_run_judges_every_answer_and_writes_three_files(tmp_path: Path) -> None:
    done = bench("--models", "M2", "--workloads", "c1", "--repeats", "1", "--seconds", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    runs = json.loads((tmp_path / "serving.json").read_text())["runs"]
    assert len(runs) == 5
    assert all(one["requests"] > 0 and one["refused"] == 0 for one in runs)
    assert (tmp_path / "serving.md").read_text() in done.stdout
    assert (tmp_path / "serving.svg").read_text().startswith("<svg")


def test_without_wrk_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    done = bench("--quick")
    assert done.returncode == 1
    assert done.stderr.startswith("this benchmark needs wrk: apt-get install wrk.")
