"""Settings: each is read from its variable, refused in a sentence, and unknown names are refused too."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from mlapi.config import Config
from mlapi.errors import ConfigError

READ: list[tuple[str, str, Any]] = [
    ("registry", "/srv/models", Path("/srv/models")), ("registry", "models", Path("models")),
    ("bind", "0.0.0.0:80", "0.0.0.0:80"), ("bind", "[::1]:8000", "[::1]:8000"), ("bind", "localhost:0", "localhost:0"),
    ("workers", "1", 1), ("threads", "32", 32), ("compute_threads", "8", 8), ("max_body_bytes", "1", 1),
    ("max_artifact_bytes", "1073741824", 2**30), ("max_loaded_bytes", "0", 0), ("max_loaded_bytes", "4096", 4096),
    ("validate_responses", "off", "off"), ("validate_responses", "ON", "on"),
    ("poll_seconds", "0.25", 0.25), ("poll_seconds", "3", 3.0),
    ("run_folder", "/run/m", Path("/run/m")), ("invocations_model", "iris@stable", "iris@stable"),
    ("read_seconds", "2.5", 2.5), ("write_seconds", "60", 60.0), ("request_seconds", "5", 5.0), ("queue", "8", 8),
    ("express", "off", "off"), ("express", "ON", "on"), ("exposures", "off", "off"),
    ("request_log", "0", 0.0), ("request_log", "0.25", 0.25), ("request_log", "1", 1.0),
    ("graceful_seconds", "30", 30), ("log_level", "debug", "debug"), ("log_level", "WARNING", "warning"),
    ("plans", "off", "off"), ("plans", "ON", "on"),
]  # fmt: skip

WHOLE = ("workers", "threads", "compute_threads", "max_body_bytes", "max_artifact_bytes", "graceful_seconds", "queue")
SECONDS = ("poll_seconds", "read_seconds", "write_seconds", "request_seconds")
REFUSED = [
    *((name, text) for name in WHOLE for text in ("0", "-1", "", "two", "1.0", "1_0", "1e3", " 1", "٣", "9" * 5000)),
    *(("max_loaded_bytes", text) for text in ("", "-1", "off", "1.0", "1_0", "٣", "9" * 5000)),
    *((name, text) for name in SECONDS
      for text in ("0", "-0.5", "", "fast", "nan", "inf", "-inf", "1e999", "1_0.5")),
    *((name, text) for name in ("express", "exposures") for text in ("", "yes", "1", "true", "on ")),
    *(("request_log", text) for text in ("", "-0.1", "1.1", "on", "nan", "inf", "0_1")),
    *(("bind", text) for text in ("", "8000", ":8000", "localhost", "localhost:", "localhost:http", "localhost:65536",
                                  "localhost:-1", "localhost:٨٠", "localhost:8_0")),
    *(("log_level", text) for text in ("", "loud", "warn", "10", "info ")),
    *(("validate_responses", text) for text in ("", "yes", "0", "1", "false", " on")),
    ("registry", ""), ("run_folder", ""), ("invocations_model", ""),
    *(("plans", text) for text in ("", "yes", "1", "off ")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "value"), READ)
def test_a_setting_is_read_from_its_variable(name: str, text: str, value: Any) -> None:
    config = Config.from_environ({f"MLAPI_{name.upper()}": text})
    assert getattr(config, name) == value
    assert type(getattr(config, name)) is type(value) or isinstance(value, Path)


def test_every_setting_is_read_by_this_test() -> None:
    assert {name for name, _, _ in READ} == {name for name, _ in REFUSED} == {field.name for field in fields(Config)}


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_with_what_would(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Config.from_environ({f"MLAPI_{name.upper()}": text})
    default = getattr(Config(), name)
    assert str(refusal.value).startswith(f"MLAPI_{name.upper()} is '{text}'; expected ")
    assert default is None or str(refusal.value).endswith(f", such as {default}")


def test_every_default_is_a_value_that_its_variable_takes() -> None:
    default = Config()
    given = {field.name: getattr(default, field.name) for field in fields(Config)}
    environ = {f"MLAPI_{name.upper()}": str(value) for name, value in given.items() if value is not None}
    assert Config.from_environ(environ) == default == Config.from_environ({})


@pytest.mark.parametrize(("name", "sentence"), [
    ("MLAPI_WORKER", "MLAPI_WORKER is not a setting; did you mean MLAPI_WORKERS?"),
    ("MLAPI_MAX_BODY", "MLAPI_MAX_BODY is not a setting; did you mean MLAPI_MAX_BODY_BYTES?"),
    ("MLAPI_workers", "MLAPI_workers is not a setting; did you mean MLAPI_WORKERS?"),
])  # fmt: skip
def test_a_variable_that_is_no_setting_is_refused_with_the_nearest(name: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Config.from_environ({name: "1"})
    assert str(refusal.value) == sentence


def test_a_variable_like_no_setting_is_answered_with_all_of_them() -> None:
    with pytest.raises(ConfigError, match=r"^MLAPI_ is not a setting; ") as refusal:
        Config.from_environ({"MLAPI_": "1"})
    assert "MLAPI_REGISTRY" in str(refusal.value)


def test_variables_of_others_are_left_alone() -> None:
    assert Config.from_environ({"PATH": "/bin", "MLAPIX": "1", "XMLAPI_WORKERS": "9"}) == Config()


def test_the_environment_of_the_process_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLAPI_THREADS", "7")
    assert Config.from_environ().threads == 7


def test_settings_do_not_change_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().workers = 3  # type: ignore[misc]
