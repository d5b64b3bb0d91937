"""A forked process that runs one function, and what became of it."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

Leave = Callable[[Any], NoReturn]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended: `answer` is what the function returned, `raised` the error's class and sentence."""

    finished: bool = False
    answer: Any = None
    raised: str | None = None
    sentence: str = ""
    signal: int = 0

    def result(self) -> Any:
        """Return the answer; raise ChildFailed where there is none."""
        if not self.finished:
            raise ChildFailed(f"{self.raised}: {self.sentence} (signal {self.signal})")
        return self.answer


class ChildFailed(Exception):
    """A child that should have answered did not."""


def run(function: Callable[[], Any]) -> Outcome:
    """Run `function` in a fork of this process, which has no other threads, and return the outcome.

    The child ends without running any handler or flushing any buffer of its parent.
    """
    return run_until(lambda _: function())


def run_until(function: Callable[[Leave], Any]) -> Outcome:
    """Run `function` in a fork; it may end the process at any depth by calling `leave` with an answer."""
    return _start(function).outcome()


def start(function: Callable[[], Any]) -> "Child":
    """Run `function` in a fork and return at once."""
    return _start(lambda _: function())


@dataclass(frozen=True, slots=True)
class Child:
    """A fork that runs; `pipe` says what it came to."""

    process: int
    pipe: int

    def outcome(self) -> Outcome:
        """Wait for the end and return what the function came to."""
        with os.fdopen(self.pipe, "rb") as pipe:
            said = pipe.read()
        _, status = os.waitpid(self.process, 0)
        if os.WIFSIGNALED(status):
            return Outcome(signal=os.WTERMSIG(status))
        return pickle.loads(said)  # type: ignore[no-any-return]


def _start(function: Callable[[Leave], Any]) -> Child:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        _report(writer, function)
    os.close(writer)
    return Child(process, reader)


def _report(writer: int, function: Callable[[Leave], Any]) -> NoReturn:
    def leave(answer: object) -> NoReturn:
        _say(writer, Outcome(finished=True, answer=answer))

    try:
        leave(function(leave))
    except BaseException as error:  # noqa: BLE001 (whatever it is, the parent judges it)
        _say(writer, Outcome(raised=type(error).__name__, sentence=str(error)))


def _say(writer: int, outcome: Outcome) -> NoReturn:
    said = memoryview(pickle.dumps(outcome))
    while said:
        said = said[os.write(writer, said) :]
    os._exit(0)
