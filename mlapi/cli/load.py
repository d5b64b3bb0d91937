"""Load on a server: connections that ask the same request again and again, and what they saw."""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0
OK = 200
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Seen:
    """What came back: nanoseconds of every answer that was 200, and all else by what it was."""

    seconds: float = 0.0
    took_ns: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def load(url: str, path: str, body: bytes, connections: int, seconds: float) -> Seen:
    """Return what `connections` saw that each posted `body` to `path` for `seconds`, one after the other.

    A connection that breaks is made anew. Nothing is raised: a server that is not there is an error like any other.
    """
    return asyncio.run(_load(_Caller(url, path, body), connections, seconds))


async def _load(caller: "_Caller", connections: int, seconds: float) -> Seen:
    seen, began = Seen(), time.perf_counter_ns()
    await asyncio.gather(*(caller.ask_until(began + int(seconds * 1e9), seen) for _ in range(connections)))
    seen.seconds = (time.perf_counter_ns() - began) / 1e9
    return seen


class _Caller:
    """Asks one request, HTTP/1.1, on connections that are kept alive."""

    def __init__(self, url: str, path: str, body: bytes) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._secure else 80)
        head = (f"POST {parts.path.rstrip('/')}{path} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
        self._request = head.encode("latin-1") + body

    async def ask_until(self, end: int, seen: Seen) -> None:
        """Ask until `end`, in nanoseconds of the performance counter."""
        while time.perf_counter_ns() < end:
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._secure or None)
            except (OSError, TimeoutError) as error:
                seen.errors[_name(error)] += 1
                await asyncio.sleep(0.05)
                continue
            try:
                await self._ask_on(reader, writer, end, seen)
            except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
                seen.errors[_name(error)] += 1
            finally:
                writer.close()

    async def _ask_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, end: int, seen: Seen,
    ) -> None:
        kept = True
        while kept and (began := time.perf_counter_ns()) < end:
            writer.write(self._request)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                if length is None:
                    msg = "an answer without Content-Length"
                    raise ValueError(msg)
                await reader.readexactly(int(length[1]))
            if (status := int(head[9:12])) == OK:
                seen.took_ns.append(time.perf_counter_ns() - began)
            else:
                seen.errors[f"status {status}"] += 1
            kept = _CLOSE.search(head) is None


def _name(error: BaseException) -> str:
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, EOFError):
        return "the connection broke"
    return getattr(error, "strerror", None) or type(error).__name__
