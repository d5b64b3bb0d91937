"""Requests by route and status, and durations in buckets."""

import threading

from mlapi.monitoring.durations import BOUNDS_SECONDS, Durations
from mlapi.monitoring.traffic import DURATIONS, REFUSALS, REQUESTS, Traffic

MS = 1_000_000


def test_requests_are_counted_by_method_route_and_status() -> None:
    traffic = Traffic()
    traffic.answered("POST", "/predict", 200, 1 * MS, 2 * MS)
    traffic.answered("POST", "/predict", 400, 3 * MS)
    traffic.answered("GET", "/predict", 200, 4 * MS)
    traffic.refused(408)
    found = {name: dict(rows) for name, rows in traffic.sections().items()}
    assert found[REQUESTS] == {
        ("POST", "/predict", 200): [2], ("POST", "/predict", 400): [1], ("GET", "/predict", 200): [1],
    }  # fmt: skip
    assert found[DURATIONS]["/predict",][0] == 10 * MS
    assert found[REFUSALS] == {(408,): [1]}


def test_methods_that_callers_make_up_are_one() -> None:
    traffic = Traffic()
    for number in range(100):
        traffic.answered(f"M{number}", "unknown", 405, MS)
    assert dict(traffic.sections()[REQUESTS]) == {("other", "unknown", 405): [100]}


def test_a_duration_falls_into_the_first_bucket_that_is_not_below_it() -> None:
    """As Prometheus has it: `le` is less or equal."""
    durations = Durations()
    for bound in BOUNDS_SECONDS:
        durations.add(round(bound * 1e9))
        durations.add(round(bound * 1e9) + 1, 2)
    assert durations.row()[1:] == [1, *(3 for _ in BOUNDS_SECONDS[1:]), 2]


def test_several_at_once_are_counted_as_one_by_one() -> None:
    for each in ([5, 7, 99], [5, 200_000, 40_000_000_000], [1]):
        together, alone = Durations(), Durations()
        together.add_all(each)
        for ns in each:
            alone.add(ns)
        assert together.row() == alone.row()


def test_threads_that_count_at_once_lose_nothing() -> None:
    traffic = Traffic()

    def work() -> None:
        for _ in range(2000):
            traffic.answered("GET", "/", 200, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(traffic.sections()[REQUESTS]) == {("GET", "/", 200): [8000]}
