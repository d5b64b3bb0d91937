"""A rollout drawn with letters: line by line."""

from dataclasses import replace
from typing import Any

from mlapi.cli import rollout_drawing
from mlapi.rollouts import transitions
from mlapi.rollouts.decision import Evidence
from mlapi.rollouts.document import Guardrail, Metric, Rollout, Step
from mlapi.rollouts.plan import Plan
from mlapi.rollouts.progress import ArmCounts, Progress
from mlapi.rollouts.statistics import Interval
from mlapi.rollouts.trace import Point
from mlapi.rollouts.transitions import Reason

WHY = Reason("eve", "a try", "2026-11-24T00:00:00Z")
RAILS = (Guardrail("errors", margin=0.25), Guardrail("invalid"), Guardrail("shift", limit=0.5))


def a_rollout(**changes: Any) -> Rollout:
    plan = Plan(steps=(Step(10_000), Step(250_000)), guardrails=RAILS)
    return replace(transitions.start("iris", 1, (1, 2), plan, WHY), id="ro_x", **changes)


def standing(rollout: Rollout, p_srm: float = 0.4) -> Progress:
    arms = {"control": ArmCounts(900, 90, 0, 1, 0, 0, 1.25, 2.5), "candidate": ArmCounts(9, 3, 1, 2, 0, 0, None, None)}
    evidence = Evidence({"errors": 10.0, "invalid": 0.5}, p_srm, Interval(0.1, -0.2, 0.4))
    return Progress(rollout, (), False, arms, evidence, "42 s" if rollout.is_active else "")


def point(difference: float, half: float, units: float = 400.0) -> Point:
    effect = {"difference": difference, "lower": difference - half, "upper": difference + half, "units": units}
    return Point("2026-11-24T00:00:00Z", 0, 10_000, {"control": 9, "candidate": 1}, {}, effect)


def test_a_running_rollout_is_drawn_line_by_line() -> None:
    assert rollout_drawing.lines(standing(a_rollout())) == [
        "iris: version 1 to 2, rollout ro_x",
        "state       running:0",
        "steps       [1%] > 25% > promoted",
        "share       ░░░░░░░░░░░░░░░░░░░░ 1.00%",
        "last change 2026-11-24T00:00:00Z by eve: a try",
        "waits for   42 s",
        "followed by 0 workers, not all at generation 1",
        "",
        "          version requests keys errors invalid slow fell back mean p95 ms",
        "control         1      900   90      1       0    0         0 1.25    2.5",
        "candidate       2        9    3      2       0    0         1    -      -",
        "",
        "errors      ██████████░░░░░░░░░░ e 10, rolls back at 100",
        "invalid     ░░░░░░░░░░░░░░░░░░░░ e 0.5, rolls back at 100",
        "shift       0.1 [-0.2, 0.4], pauses beyond 0.5",
        "sizes       p 0.4, pauses at 0.001",
    ]


def test_the_end_and_wrong_sizes_show() -> None:
    drawn = rollout_drawing.lines(standing(a_rollout(state="promoted", ppm=1_000_000, holds=False), 1e-5))
    assert drawn[1:4] == ["state       promoted, released", "steps       1% > 25% > [promoted]",
                          "share       ████████████████████ 100.00%"]  # fmt: skip
    assert not any(line.startswith("waits for") for line in drawn)
    assert drawn[-1] == "sizes       p 1e-05, pauses at 0.001 (the sizes are wrong)"


def test_a_metric_shows_its_interval_over_time_and_the_units_that_are_missing() -> None:
    metric = Metric("mse", "squared_error", 0.1, direction="down", mode="bounded", max_samples=1000)
    stands = standing(a_rollout(metric=metric))
    assert rollout_drawing.lines(stands)[-1] == "metric      mse, lower is better: no effect yet"
    stands = replace(stands, trace=(point(0.0, 3.0), point(-1.0, 2.0), point(-2.0, 1.0)))
    drawn = rollout_drawing.lines(stands)
    assert drawn[-8:] == [
        "metric      mse, lower is better: -2 [-3, -1], 400 units, 600 more at most",
        "          3 │",
        "            │",
        "            ││",
        "          0 ●│┈",
        "            │●│",
        "            ││●",
        "         -3 │││",
    ]


def test_a_long_trace_keeps_its_ends_and_a_fixed_width() -> None:
    drawn = rollout_drawing.effects([point(float(at), 1.0) for at in range(500)], columns=10)
    assert {len(line) - 12 for line in drawn} <= set(range(11))
    assert drawn[0].endswith("●")
    assert rollout_drawing.effects([]) == []
