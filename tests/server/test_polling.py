"""When the loop looks for the next request before it sleeps."""

from mlapi.server.polling import POLL_NS, STEADY, Polling

CLOSE, FAR = POLL_NS // 4, 10 * POLL_NS


def after(polling: Polling, gaps: list[int]) -> tuple[int, bool]:
    """Ask once after each gap, each answered at once; return the time, and what the last answer was told."""
    now, looks = 10**12, False
    polling.answered(now, 1)
    for gap in gaps:
        now += gap
        polling.came(now)
        looks = polling.answered(now, 1)
    return now, looks


def test_looks_once_requests_are_close_for_a_while() -> None:
    assert after(Polling(), [CLOSE] * (STEADY - 1))[1] is False
    assert after(Polling(), [CLOSE] * STEADY)[1] is True


def test_one_request_that_lets_wait_ends_it() -> None:
    assert after(Polling(), [CLOSE] * 50 + [FAR])[1] is False
    assert after(Polling(), [CLOSE] * 50 + [FAR] + [CLOSE] * (STEADY - 1))[1] is False
    assert after(Polling(), [CLOSE] * 50 + [FAR] + [CLOSE] * STEADY)[1] is True


def test_requests_far_from_each_other_never_cost_a_look() -> None:
    assert after(Polling(), [FAR] * 100)[1] is False


def test_several_at_once_are_load_that_other_processes_share() -> None:
    polling = Polling()
    now, _ = after(polling, [CLOSE] * 50)
    polling.came(now + CLOSE)
    assert polling.answered(now + CLOSE, 2) is False


def test_ends_by_itself_and_starts_anew() -> None:
    polling = Polling()
    now, looks = after(polling, [CLOSE] * STEADY)
    assert looks
    assert polling.goes_on(now + POLL_NS)
    assert not polling.goes_on(now + POLL_NS + 1)
    polling.came(now + CLOSE)
    assert polling.answered(now + CLOSE, 1) is False
