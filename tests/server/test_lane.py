"""Which requests the lane answers together, and when."""

from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from mlapi.server.lane import MOST_TOGETHER, Lane


class Turns:
    """Runs what was called soon, as a loop does between two looks at its sockets."""

    def __init__(self) -> None:
        self._soon: deque[Callable[[], None]] = deque()

    def call_soon(self, what: Callable[[], None]) -> None:
        self._soon.append(what)

    def turn(self) -> int:
        """Run what was called before this turn; return how much that was."""
        count = len(self._soon)
        for _ in range(count):
            self._soon.popleft()()
        return count


class Echo:
    """Answers each request with its own name, None for those that start with a dash; keeps what came together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

        self.told: list[list[bytes]] = []

    def answered(self, waiting: Sequence[Any], *, draining: bool) -> list[Any]:
        assert not draining
        self.batches.append([one.name for one in waiting])
        return [None if one.name.startswith("-") else SimpleNamespace(response=one.name.encode()) for one in waiting]

    def tell(self, replies: Sequence[Any]) -> None:
        self.told.append([reply.response for reply in replies])


class Scene:
    """A lane with all that it stands on."""

    def __init__(self) -> None:
        self.turns, self.echo, self.left = Turns(), Echo(), list[str]()
        self.got: list[bytes] = []
        threads: Any = SimpleNamespace(is_idle=True)
        loop: Any = self.turns
        echo: Any = self.echo
        self.lane = Lane(loop, echo, threads, lambda one: self.left.append(one.name))  # type: ignore[attr-defined]

    def ask(self, name: str, then: str | None = None) -> None:
        """Ask; `then` waits behind it on the same connection."""

        def answer(response: bytes, *, keep: bool) -> None:
            assert keep
            self.got.append(response)
            if then is not None:
                self.ask(then)

        one: Any = SimpleNamespace(
            name=name, begun=0, head=SimpleNamespace(keeps=True), connection=SimpleNamespace(answer=answer),
        )
        self.lane.take(one)

    def rest(self) -> None:
        """Let the loop turn until nothing is left to do."""
        for _ in range(100):
            if not self.turns.turn():
                return
        pytest.fail("the loop never comes to rest")


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_one_alone_is_answered_at_the_next_turn(scene: Scene) -> None:
    scene.ask("a")
    scene.turns.turn()
    assert scene.got == [b"a"]


def test_who_asks_while_others_wait_is_answered_with_them(scene: Scene) -> None:
    scene.ask("a")
    scene.ask("b")
    scene.turns.turn()
    assert scene.got == []
    scene.ask("c")  # came at the second look
    scene.turns.turn()
    assert scene.got == [b"a", b"b", b"c"]
    assert scene.echo.batches == [["a", "b", "c"]]


def test_what_the_application_must_answer_leaves(scene: Scene) -> None:
    for name in ("a", "-b", "c"):
        scene.ask(name)
    scene.rest()
    assert scene.got == [b"a", b"c"]
    assert scene.left == ["-b"]


def test_observers_are_told_after_the_loop_could_send_the_answers(scene: Scene) -> None:
    for name in ("a", "-b", "c"):
        scene.ask(name)
    while not scene.got:
        scene.turns.turn()
    assert scene.echo.told == []
    scene.turns.turn()
    assert scene.echo.told == [[b"a", b"c"]]


def test_a_request_behind_another_is_answered_after_it(scene: Scene) -> None:
    scene.ask("a", then="b")
    scene.rest()
    assert scene.got == [b"a", b"b"]
    scene.ask("c")
    scene.rest()
    assert scene.got == [b"a", b"b", b"c"]


def test_many_are_answered_in_order_and_not_all_at_once(scene: Scene) -> None:
    names = [str(number) for number in range(2 * MOST_TOGETHER + 5)]
    for name in names:
        scene.ask(name)
    scene.rest()
    assert scene.got == [name.encode() for name in names]
    assert list(map(len, scene.echo.batches)) == [MOST_TOGETHER, MOST_TOGETHER, 5]
