"""The report: the outcome in a sentence, every number that was seen, and no way in for a script."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mlapi.rollouts import decision, document, report, transitions
from mlapi.rollouts.charts import Line, chart
from mlapi.rollouts.counters import Tally
from mlapi.rollouts.document import Metric, Rollout
from mlapi.rollouts.progress import ArmCounts, Progress
from mlapi.rollouts.trace import Point
from mlapi.rollouts.transitions import Reason

Running = Callable[..., Rollout]
ARM = ArmCounts(100, 90, 1, 2, 3, 4, 0.5, 12.5)


def standing(rollout: Rollout, *effects: dict[str, float]) -> Progress:
    when = "2026-11-25T00:00:00Z"
    trace = tuple(Point(when, 0, 10_000, {}, {"e_errors": 2.0**at}, one) for at, one in enumerate(effects))
    evidence = decision.weigh(rollout, Tally(), 1)
    return Progress(rollout, (), True, {"control": ARM, "candidate": ARM}, evidence, "5 s", trace)


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_needs_nothing_and_what_people_write_is_text(running: Running) -> None:
    evil = Reason('<script src="x">', "</td><img src=x onerror=alert(1)>", "2026-11-24T00:00:00Z")
    rollout = replace(running(10_000, metric=Metric("<b>clicks", "binary", 0.01)), model="<i>m")
    stands = standing(transitions.pause(rollout, evil), {"difference": 0.1, "lower": 0.0, "upper": 0.2})
    page = report.html(report.of(stands))
    tags = Tags(page).seen
    assert not {tag for tag, _ in tags} & {"script", "img", "link", "iframe", "b", "i"}
    names = {name for _, attributes in tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name in {"src", "href"}}
    assert "url(" not in page
    assert "&lt;img src=x" in page


def test_the_effect_is_drawn_with_its_interval_over_all_looks(running: Running) -> None:
    looks = [{}, {"difference": 0.1, "lower": -0.1, "upper": 0.3}, {"difference": 0.2, "lower": 0.1, "upper": 0.3}]
    made = report.of(standing(running(10_000, metric=Metric("clicks", "binary", 0.01)), *looks))
    (section,) = (one for one in made.sections if "clicks" in one.heading)
    (points,) = re.findall(r'<polyline class="line0" points="([^"]+)"', section.drawing)
    assert len(points.split()) == 2
    (band,) = re.findall(r'<polygon class="band0" points="([^"]+)"', section.drawing)
    assert len(band.split()) == 4
    assert ["difference", "0.2"] in [list(row) for row in section.rows]


def test_text_and_page_tell_the_same(running: Running) -> None:
    made = report.of(standing(running(10_000, 500_000)))
    text, page = report.text(made), report.html(made)
    for section in made.sections:
        assert f"## {section.heading}" in text
        assert section.heading in page
    assert "| ▶ 0 | 1.00% |" in text


@pytest.mark.parametrize(("state", "said"), [
    (document.PROMOTED, "Version 2 was promoted: because."),
    (document.ROLLED_BACK, "Version 2 was rolled back: because."),
    (document.ABORTED, "The rollout was aborted by test: because."),
    (document.PAUSED, "The rollout is paused: because."),
    (document.RUNNING, "Version 2 gets 0.01 of the requests; it waits for 5 s."),
])  # fmt: skip
def test_the_outcome_is_one_sentence(running: Running, state: str, said: str) -> None:
    assert report.sentence(standing(replace(running(10_000), state=state))) == said


def test_a_chart_without_values_is_nothing_and_one_value_is_drawn() -> None:
    assert chart([Line("x", [None, None])], "t") == ""
    assert "<polyline" in chart([Line("x", [5.0])], "t", 5.0)
    heights = chart([Line("x", [1.0, 10.0, 100.0])], "t", logarithmic=True)
    (points,) = re.findall(r'points="([^"]+)"', heights)
    first, second, third = (float(point.split(",")[1]) for point in points.split())
    assert first - second == pytest.approx(second - third, abs=0.2)
