"""Settings: read from the environment once, typed, frozen; the only reader of `os.environ`."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from mlapi.errors import ConfigError

PREFIX = "MLAPI_"
ARTIFACTS = Path("artifacts")


def _folder(text: str) -> Path:
    if not text:  # would be the current folder
        raise ValueError(text)
    return Path(text)


def _positive(text: str) -> int:
    if not _is_number(text) or int(text) < 1:
        raise ValueError(text)
    return int(text)


def _whole(text: str) -> int:
    if not _is_number(text):
        raise ValueError(text)
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf") or "_" in text:
        raise ValueError(text)
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1 or "_" in text:
        raise ValueError(text)
    return value


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _switch(text: str) -> str:
    if text.lower() not in {"on", "off"}:
        raise ValueError(text)
    return text.lower()


def _model(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _level(text: str) -> str:
    if text.lower() not in {"debug", "info", "warning", "error"}:
        raise ValueError(text)
    return text.lower()


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (host and colon and _is_number(port) and 0 <= int(port) < 2**16):
        raise ValueError(text)
    return text


def _setting(default: object, read: Callable[[str], object], kind: str, teaches: str) -> Any:  # noqa: ANN401 (dataclasses.field is typed so)
    return field(default=default, metadata={"read": read, "kind": kind, "teaches": teaches})


@dataclass(frozen=True, slots=True)
class Config:
    """All settings; each is the environment variable `MLAPI_<NAME>`."""

    registry: Path = _setting(ARTIFACTS, _folder, "a folder", "the registry that is served")
    bind: str = _setting(
        "127.0.0.1:8000", _address, "HOST:PORT", "the address the server listens on",
    )
    workers: int = _setting(2, _positive, "a whole number >= 1", "worker processes")
    threads: int = _setting(4, _positive, "a whole number >= 1", "request threads in each worker")
    compute_threads: int = _setting(
        1, _positive, "a whole number >= 1", "threads that one prediction may use (OpenMP, BLAS)",
    )
    max_body_bytes: int = _setting(
        64 * 2**20, _positive, "bytes, >= 1", "largest request body, on the wire and inflated",
    )
    max_artifact_bytes: int = _setting(
        8 * 2**30, _positive, "bytes, >= 1", "largest model file that is loaded",
    )
    max_loaded_bytes: int | None = _setting(
        None, _whole, "bytes, or 0 for no limit",
        "memory for models that the workers do not share, over all workers; default: half of the memory there is",
    )
    plans: str = _setting(
        "on", _switch, "on or off", "whether versions answer through their proven plans",
    )
    run_folder: Path | None = _setting(
        None, _folder, "a folder", "where the workers of one server share counters and orders; default: one of its own",
    )
    invocations_model: str | None = _setting(
        None, _model, "NAME, NAME/VERSION or NAME@LABEL", "the model behind /invocations; default: the only one",
    )
    validate_responses: str = _setting(
        "on", _switch, "on or off", "whether answers are checked by their schemas before they leave",
    )
    poll_seconds: float = _setting(
        0.5, _seconds, "seconds > 0", "how often a worker looks for changes in the registry",
    )
    read_seconds: float = _setting(
        10.0, _seconds, "seconds > 0", "time for a request to arrive whole; larger ones get more, at 64 KiB a second",
    )
    write_seconds: float = _setting(
        10.0, _seconds, "seconds > 0", "time for a caller to take in what it does not read",
    )
    request_seconds: float = _setting(
        30.0, _seconds, "seconds > 0", "time for an answer; 504 after it, also while the model is still computing",
    )
    queue: int = _setting(
        64, _positive, "a whole number >= 1", "requests of a worker that may wait for a thread; 503 beyond",
    )
    express: str = _setting(
        "on", _switch, "on or off", "whether plain inference is answered on the worker's event loop",
    )
    exposures: str = _setting(
        "on", _switch, "on or off", "whether requests that a rollout decides are logged in its folder",
    )
    request_log: float = _setting(
        0.0, _share, "a share, 0 to 1", "the share of the requests that is logged whole, for replays; 0 is none",
    )
    graceful_seconds: int = _setting(
        10, _positive, "seconds, >= 1", "time for requests in flight when the server stops",
    )
    log_level: str = _setting(
        "info", _level, "debug, info, warning or error", "the least level that is logged",
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return the settings that `environ` (default: the process's own) asks for.

        Raises ConfigError on an `MLAPI_` name that is none, and on a value that does not fit.
        """
        given = os.environ if environ is None else environ
        known = {PREFIX + setting.name.upper(): setting for setting in fields(cls)}
        values = {}
        for name, text in given.items():
            if not name.startswith(PREFIX):
                continue
            if name not in known:
                raise ConfigError(_unknown(name, list(known)))
            setting = known[name]
            try:
                values[setting.name] = setting.metadata["read"](text)
            except ValueError:
                such = "" if setting.default is None else f", such as {setting.default}"
                raise ConfigError(f"{name} is '{text}'; expected {setting.metadata['kind']}{such}") from None
        return cls(**values)


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name.removeprefix(PREFIX).upper(), [one.removeprefix(PREFIX) for one in known], n=1)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else f"the settings are {', '.join(known)}"
    return f"{name} is not a setting; {hint}"
