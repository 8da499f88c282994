"""An open-loop load generator: requests leave when they are due, whatever became of the others.

A closed loop waits for an answer before it asks again, and so stops to ask just when the service
is slow; here the time of an answer counts from the moment at which its request was to be sent.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Load:
    """What came of a load.

    Attributes:
        seconds: how long each accepted request took, from when it was due.
        statuses: how many answers had each status; 0 stands for a connection that broke.
        wrong: how many accepted answers were not the expected ones.
        lasted: how long all of it took, in seconds.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: int = 0
    lasted: float = 0.0

    @property
    def p50(self) -> float:
        """The median of the accepted, in seconds."""
        return float(np.percentile(self.seconds, 50)) if self.seconds else float("nan")

    @property
    def p99(self) -> float:
        """The 99th percentile of the accepted, in seconds."""
        return float(np.percentile(self.seconds, 99)) if self.seconds else float("nan")

    @property
    def rate(self) -> float:
        """Accepted answers a second."""
        return len(self.seconds) / self.lasted


Check = Callable[[int, dict[str, Any]], bool]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def load(
    address: tuple[str, int], requests: Sequence[bytes], rate: float, seconds: float, check: Check
) -> Load:
    """Sends requests at a fixed rate, in turn, each over a connection that is free.

    Args:
        address: host and port.
        requests: whole HTTP requests that keep the connection alive.
        rate: requests a second.
        seconds: how long to go on.
        check: whether the answer to the request of this index is right.
    """
    # A pause of this process to collect garbage would be counted as the service's.
    gc.collect()
    gc.freeze()
    result = Load()
    free: list[Connection] = []

    async def shoot(index: int, due: float) -> None:
        try:
            reader, writer = _open(free) or await asyncio.open_connection(*address)
            writer.write(requests[index])
            status, body, keeps = await _answer(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            result.statuses[0] = result.statuses.get(0, 0) + 1
            return
        taken = time.perf_counter() - due
        result.statuses[status] = result.statuses.get(status, 0) + 1
        if keeps:
            free.append((reader, writer))
        else:
            writer.close()
        if status == 200:
            result.seconds.append(taken)
            result.wrong += not check(index, json.loads(body))

    start = time.perf_counter()
    tasks = []
    for number in range(round(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(shoot(number % len(requests), due)))
    await asyncio.gather(*tasks)
    result.lasted = time.perf_counter() - start
    gc.unfreeze()
    for _, writer in free:
        writer.close()
    return result


def _open(free: list[Connection]) -> Connection | None:
    """A connection that the service has not closed meanwhile, as it may when one is idle."""
    while free:
        reader, writer = free.pop()
        if not reader.at_eof() and reader.exception() is None:
            return reader, writer
        writer.close()
    return None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    body = await reader.readexactly(int(lines["content-length"]))
    return int(head.split(" ", 2)[1]), body, lines.get("connection") != "close"


def post(path: str, document: object) -> bytes:
    """A whole request with a JSON body."""
    body = json.dumps(document).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
