"""Schemathesis over a whole document: every operation with cases that fit it and cases that do not, all tallied."""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance

Case = schemathesis.Case
Check = Callable[..., Any]
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
JSON = "application/json"
TOKEN = re.compile(rb"[:,\[](NaN|-?Infinity)[,\]}]")


@dataclass
class Campaign:
    """What was sent and answered: requests by operation and mode, statuses by the same, and what was wrong.

    `tokens` are the operations that answered NaN or an infinity as V1 writes it.
    """

    checks: list[Check]
    requests: Counter[tuple[str, GenerationMode]] = field(default_factory=Counter)
    statuses: Counter[tuple[str, GenerationMode, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def run(
        self, operation: Any, mode: GenerationMode, count: int, fit: Callable[[Case], None] | None = None,
        more: tuple[Check, ...] = (), **given_parts: Any,
    ) -> None:
        """Send up to `count` cases of an operation, changed by `fit`; judge the answers by the checks and `more`."""

        @settings(
            max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode, **given_parts))
        def send(case: Case) -> None:
            if fit is not None:
                fit(case)
            self._judge(case, mode, [*self.checks, *more])

        with contextlib.suppress(Unsatisfiable):  # there is no such case; `sent` tells of it
            send()

    def count(self, low: int, high: int) -> int:
        """Return how many answers had a status from `low` to below `high`."""
        return sum(times for (_, _, status), times in self.statuses.items() if low <= status < high)

    def sent(self, mode: GenerationMode) -> set[str]:
        """Return the operations that were sent at least one case of a mode."""
        return {label for label, of_mode in self.requests if of_mode == mode}

    def _judge(self, case: Case, mode: GenerationMode, checks: list[Check]) -> None:
        response = case.call(headers={"Accept-Encoding": "identity"})
        label = case.operation.label
        self.requests[label, mode] += 1
        self.statuses[label, mode, response.status_code] += 1
        if response.status_code >= 400:
            self._judge_error(f"{label} {response.status_code}", response)
        if TOKEN.search(response.content):  # V1's bare tokens, which no reader of JSON Schema takes
            self.tokens.add(label)
            checks = [check for check in checks if check is not response_schema_conformance]
        try:
            case.validate_response(response, checks=checks)
        except (Failure, FailureGroup) as failure:
            detail = [str(each) for each in getattr(failure, "exceptions", [failure])]
            self.wrong.append(f"{label} {mode} {response.status_code}: {detail} {response.content[:200]!r}")

    def _judge_error(self, what: str, response: Any) -> None:
        if response.headers["content-type"] != [JSON]:
            self.wrong.append(f"{what}: {response.headers['content-type']}")
            return
        sentence = json.loads(response.content).get("error")
        if not isinstance(sentence, str) or not sentence or "Traceback" in sentence:
            self.wrong.append(f"{what}: {response.content[:200]!r}")


def scalars(parameters: Any) -> dict[str, Any]:
    """Return the values of generated parameters that the protocol has a place for, and none that mean something."""
    plain = parameters if isinstance(parameters, Mapping) else {}
    return {f"x-{name}": value for name, value in plain.items() if isinstance(value, str | int | float | bool)}


def flat(data: Any) -> list[Any]:
    """Return the values of nested generated data."""
    if not isinstance(data, list):
        return [data]
    return [value for inner in data for value in flat(inner)]


def near_zero(value: Any, limit: float = 1e6) -> Any:
    """Return a body whose numbers no estimator overflows on: what a schema cannot promise for a model."""
    if isinstance(value, dict):
        return {name: near_zero(inner, limit) for name, inner in value.items()}
    if isinstance(value, list):
        return [near_zero(inner, limit) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return type(value)(max(-limit, min(limit, value)))
