"""Whose turn it is to be replaced: of workers whose threads are stuck, one leaves at a time.

A new worker takes seconds to start on a busy machine; were all replaced at once, nobody would answer a probe meanwhile.
"""

import socket


class Turns:
    """One turn, shared by the processes that are forked after it was made: a byte, for one of them to receive."""

    def __init__(self) -> None:
        self._giving, self._taking = socket.socketpair()
        self._taking.setblocking(False)  # noqa: FBT003 (the socket module takes it by position only)
        self.give()

    def take(self) -> bool:
        """Tell whether the turn was free; from now on it is this process's, also when it has ended."""
        try:
            return bool(self._taking.recv(1))
        except BlockingIOError:
            return False

    def give(self) -> None:
        """Make the turn free, as the worker does that has come instead of another; it stays one however often."""
        while self.take():
            pass
        self._giving.send(b".")
