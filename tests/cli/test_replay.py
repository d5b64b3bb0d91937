"""`mlapi replay` and `mlapi rollout start --replay`: a gate on logged requests: limits, words, exit codes."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result
from sklearn.linear_model import LinearRegression

import mlapi
from mlapi.cli.main import exit_code
from mlapi.cli.replay import since_ms
from mlapi.errors import InvalidRequest, MlapiError
from mlapi.inference.values import InferenceEvent, Target
from mlapi.registry import loading
from mlapi.registry.loading import LoadedModel
from mlapi.registry.store import Store
from mlapi.rollouts.request_log import RequestLog, folder_of

Run = Callable[..., Result]
Document = Callable[..., Any]
NOW = 1_800_000_000


@pytest.fixture
def logged(registry: Path, houses: pd.DataFrame) -> Path:
    """Log 20 requests that version 1 of 'prices' answered, one a second; versions 3 and 4 are others."""
    store = Store(registry)
    loaded = loading.load(store, "prices", 1)
    moments = iter(range(NOW, NOW + 100))
    log = RequestLog(store, 1.0, lambda: next(moments) * 10**9, lambda: 0.0)
    for row in range(20):
        inputs = {"size": houses["size"].to_numpy()[row : row + 1], "rooms": houses["rooms"].to_numpy()[row : row + 1],
                  "city": houses["city"].to_numpy(dtype=object)[row : row + 1]}  # fmt: skip
        outputs = loaded.predict(inputs, ("predict",))
        log.observe(InferenceEvent(Target("prices"), 1, 1, 1, 1_000_000, 1, outputs, None, inputs=inputs))
    log.flush()
    numbers = houses[["size", "rooms"]]
    mlapi.publish(LinearRegression().fit(numbers, houses["price"]), "prices", sample=numbers, registry=registry)
    return registry


def failure(done: Result) -> tuple[int, str]:
    assert isinstance(done.exception, MlapiError), done.output
    return exit_code(done.exception), str(done.exception)


@pytest.mark.usefixtures("logged")
def test_a_version_like_the_one_that_answered_passes(run: Run) -> None:
    done = run("replay", "prices", "2", "--max-disagreement", "0", "--tolerance", "1e-6")
    assert done.exception is None, done.output
    assert "version 2 was asked 20 logged requests (20 rows) of 2027-01-15T08:00:00Z" in done.stdout
    assert "answered by version 1 (20)" in done.stdout
    assert done.stdout.endswith("version 2 of model 'prices' passed the replay\n")


@pytest.mark.usefixtures("logged")
def test_one_that_takes_other_columns_fails_with_the_reason_and_nine(run: Run) -> None:
    done = run("replay", "prices", "3", "--requests", "5")
    code, sentence = failure(done)
    assert code == 9
    assert sentence == (
        "version 3 of model 'prices' did not pass the replay: 5 of 5 requests failed (100.00%), 5 of them without "
        "an answer; at most 0.00% may (--max-errors)"
    )
    assert "no answer to 5: SignatureMismatch: input 'city' is unknown" in done.stdout
    assert run("replay", "prices", "3", "--max-errors", "1").exception is None


@pytest.mark.usefixtures("logged")
def test_one_that_does_not_come_back_is_given_up_and_has_not_passed(
    run: Run, houses: pd.DataFrame, monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, answer = threading.Event(), LoadedModel.predict

    def hanging(loaded: LoadedModel, inputs: Any, outputs: Any) -> Any:
        if inputs["size"].tolist() == [houses["size"][2]]:
            over.wait(60)
        return answer(loaded, inputs, outputs)

    monkeypatch.setattr(LoadedModel, "predict", hanging)
    try:
        code, sentence = failure(run("replay", "prices", "2", "--max-seconds", "2"))
    finally:
        over.set()
    assert code == 9
    assert sentence == (
        "version 2 of model 'prices' did not pass the replay: "
        "request 3 of 20 took longer than 2 s (--max-seconds) and was given up"
    )


@pytest.mark.usefixtures("logged")
def test_a_version_that_does_not_get_loaded_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(LoadedModel, "prove", lambda _: over.wait(60))
    try:
        code, sentence = failure(run("replay", "prices", "2", "--max-seconds", "0.1"))
    finally:
        over.set()
    assert (code, sentence.partition(": ")[2]) == (
        9, "to load version 2 took longer than 1 s (--max-seconds) and was given up",
    )


HANGING = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from mlapi.cli.main import main
from mlapi.registry.loading import LoadedModel

LoadedModel.predict = lambda *_: ThreadPoolExecutor(1).submit(threading.Event().wait).result()
sys.argv = ["mlapi", "replay", "prices", "2", "--max-seconds", "0.5", "--registry", sys.argv[1]]
main()
"""


def test_the_process_ends_though_a_thread_that_python_would_wait_for_hangs(logged: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING, str(logged)], capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 9, done.stderr
    assert "request 1 of 20 took longer than 0.5 s" in done.stderr


@pytest.mark.usefixtures("logged")
def test_a_model_that_ends_the_process_has_not_passed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadedModel, "predict", lambda *_: sys.exit(0))
    code, sentence = failure(run("replay", "prices", "2"))
    assert (code, sentence.partition(": ")[2]) == (9, "it raised SystemExit")
    code, sentence = failure(run("rollout", "start", "prices", "2", "--replay", "10"))
    assert (code, sentence.partition(": ")[2]) == (9, "it raised SystemExit; nothing was started")


@pytest.mark.usefixtures("logged")
def test_the_document_says_what_the_text_says(document: Document) -> None:
    told = document("replay", "prices", "2", "--requests", "8", "--tolerance", "1e-6")
    assert (told["model"], told["version"], told["against"], told["passed"]) == ("prices", "2", "served", True)
    assert (told["requests"], told["disagreement"]["count"], told["timed_here"]) == (8, 0, 8)
    assert (told["first"], told["last"]) == ("2027-01-15T08:00:12Z", "2027-01-15T08:00:19Z")


@pytest.mark.usefixtures("logged")
def test_it_may_be_compared_with_a_version_and_limited_in_time(document: Document) -> None:
    told = document("replay", "prices", "2", "--against", "1", "--since", "2027-01-15T08:00:15Z")
    assert (told["against"], told["requests"]) == ("1", 5)


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["9"], 3, "no version '9'"), (["2", "--against", "9"], 3, "no version '9'"),
    (["2", "--since", "2028-01-01"], 3, "no request of model 'prices' was logged since 2028-01-01T00:00:00Z; let a "),
    (["2", "--since", "yesterday"], 4, "expected a span such as 90m"),
    (["2", "--against", "newest"], 4, "expected 'served' or the number of a version"),
])  # fmt: skip
def test_what_cannot_be_replayed_is_said_in_a_sentence(run: Run, arguments: list[str], code: int, words: str) -> None:
    found, sentence = failure(run("replay", "prices", *arguments))
    assert found == code
    assert words in sentence


def test_a_model_without_a_log_passes_no_gate(run: Run) -> None:
    for command in (["replay", "prices", "2"], ["rollout", "start", "prices", "2", "--replay", "10"]):
        code, sentence = failure(run(*command))
        assert code == 3
        assert "no request of model 'prices' was logged; let a server with MLAPI_REQUEST_LOG=0.1" in sentence
    assert failure(run("replay", "other", "1"))[0] == 3


def test_damaged_lines_are_counted_and_left_out(document: Document, logged: Path) -> None:
    other = folder_of(Store(logged), "prices") / "other-1.jsonl"
    other.write_text(f'{{"t":{NOW}999,"v":1,"n":1}}\n{{"dropped": 7}}\n')
    told = document("replay", "prices", "2")
    assert (told["requests"], told["unreadable"], told["dropped"]) == (20, 1, 7)


@pytest.mark.usefixtures("logged")
def test_a_rollout_starts_where_the_replay_passes(run: Run, document: Document) -> None:
    started = document("rollout", "start", "prices", "2", "--replay", "10")
    assert (started["state"], started["replay"]["passed"], started["replay"]["requests"]) == ("running", True, 10)
    run("rollout", "abort", "prices")
    again = run("rollout", "start", "prices", "2", "--replay", "10").stdout
    assert again.startswith("version 2 of model 'prices' passed the replay\nprices: rollout ro_")


@pytest.mark.usefixtures("logged")
def test_no_rollout_starts_where_it_fails(run: Run) -> None:
    done = run("rollout", "start", "prices", "3", "--replay", "10")
    code, sentence = failure(done)
    assert code == 9
    assert sentence.endswith("may (--max-errors); nothing was started")
    assert "no answer to 10" in done.stdout
    assert failure(run("rollout", "status", "prices"))[0] == 3
    assert '"passed": false' in run("rollout", "start", "prices", "3", "--replay", "10", "--json").stdout


@pytest.mark.parametrize(("text", "milliseconds"), [
    ("90m", 1_799_994_600_000), ("0.5s", 1_799_999_999_500), ("7d", 1_799_395_200_000),
    ("2027-01-15T08:00:00Z", 1_800_000_000_000), ("2027-01-15T08:00:00", 1_800_000_000_000),
    ("2027-01-15T10:00:00+02:00", 1_800_000_000_000), ("2027-01-15", 1_799_971_200_000),
])  # fmt: skip
def test_since_is_a_span_or_a_moment(text: str, milliseconds: int) -> None:
    assert since_ms(text, NOW) == milliseconds


@pytest.mark.parametrize("text", ["", "-2h", "2 h", "h", "soon", "2027-13-01"])
def test_since_is_nothing_else(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--since"):
        since_ms(text, NOW)
