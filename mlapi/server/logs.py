"""Logs as JSON lines on standard error: one object an event, never a payload."""

from typing import Any

DATE = "%Y-%m-%dT%H:%M:%S%z"


def configuration(level: str) -> dict[str, Any]:
    """Return the `logging.config` dictionary for mlapi and gunicorn; `level` is mlapi's least level."""
    quiet = "INFO" if level == "debug" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger", "process": "pid"},
                "datefmt": DATE,
                "json_ensure_ascii": True,
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "mlapi": {"level": level.upper(), "handlers": ["stderr"], "propagate": False},
            "gunicorn.error": {"level": quiet, "handlers": ["stderr"], "propagate": False},
        },
    }
