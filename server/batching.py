"""Dynamic batching: a bounded queue whose batches a function answers in its own thread.

Nothing here knows what a row or a model is: a batch is a list of questions.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import NotReadyError, OverloadedError
from .logs import logger

Q = TypeVar("Q")
A = TypeVar("A")

# Over how many seconds, roughly, the rate of answers is measured.
_MEMORY = 5.0

# The answer to a question, or why there is none.
Answers = Sequence[A | Exception]


class Capacity:
    """How many rows may be in flight at once, from admission to answer."""

    def __init__(self, rows: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows = rows
        self.used = 0
        self._clock = clock
        # For Retry-After: recently finished rows, and the seconds that they took.
        self._done = 0.0
        self._busy = 0.0
        self._since = 0.0

    @property
    def free(self) -> int:
        """How many more rows fit."""
        return self.rows - self.used

    def check(self, rows: int = 1) -> None:
        """Raises an OverloadedError if fewer rows are free."""
        if rows > self.free:
            raise OverloadedError(
                f"{self.used} of {self.rows} rows are taken; try again later.",
                retry_after=self.used * self._busy / self._done if self._done else 1.0,
            )

    @contextmanager
    def reserved(self, rows: int) -> Iterator[None]:
        """Reserves room for rows while the block runs; raises as `check` does."""
        self.check(rows)
        if not self.used:
            self._since = self._clock()  # idle time says nothing about the rate
        self.used += rows
        try:
            yield
        finally:
            self.used -= rows
            self._count(rows)

    def _count(self, rows: int) -> None:
        """Adds finished rows to those of the last busy seconds."""
        passed = self._clock() - self._since
        self._since += passed
        decay = math.exp(-passed / _MEMORY)
        self._done = self._done * decay + rows
        self._busy = self._busy * decay + passed


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Q, A]):
    question: Q
    rows: int
    cost: int
    since: float
    future: asyncio.Future[A]


class BatchQueue(Generic[Q, A]):
    """Gives questions to a function in batches, first come, first served.

    A batch takes the waiting questions, in order, as long as they fit; those whose client has left
    are dropped. While one batch is computed, the next one is collected.

    Args:
        answer: gives one answer, or an exception, for each question of a batch. It is called in
            one thread, never twice at the same time. If it raises, it gets each question of the
            batch alone, so that a bad one does not fail the others.
        max_rows: the most rows of a batch.
        wait: how many seconds an idle queue waits for more rows.
        name: of the thread.
        observe: called after each batch with its rows and seconds.

    Example:
        >>> async def ask():
        ...     queue = BatchQueue(lambda batch: [2 * n for n in batch], max_rows=8)
        ...     answers = await asyncio.gather(*(queue.put(n, 1) for n in range(3)))
        ...     await queue.close()
        ...     return answers
        >>> asyncio.run(ask())
        [0, 2, 4]
    """

    def __init__(
        self,
        answer: Callable[[list[Q]], Answers[A]],
        *,
        max_rows: int,
        wait: float = 0.0,
        name: str = "batches",
        observe: Callable[[int, float], None] = lambda rows, seconds: None,
    ) -> None:
        self.max_rows = max_rows
        self._answer = answer
        self._wait = wait
        self._observe = observe
        self._waiting: deque[_Waiting[Q, A]] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._task = asyncio.create_task(self._work(), name=name)

    @property
    def waiting_rows(self) -> int:
        """How many rows wait for a batch."""
        return sum(one.rows for one in self._waiting if not one.future.done())

    @property
    def _waiting_cost(self) -> int:
        return sum(one.cost for one in self._waiting if not one.future.done())

    def put(self, question: Q, rows: int, *, alone: bool = False) -> asyncio.Future[A]:
        """Queues a question of so many rows; `alone` makes it a batch of its own.

        The future gives its answer; canceling it withdraws the question. A closed queue raises a
        `NotReadyError`.
        """
        assert 1 <= rows <= self.max_rows, "a question must fit into a batch"
        if self._closing:
            raise NotReadyError("the model is being replaced or stopped; try again.")
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        cost = self.max_rows if alone else rows
        self._waiting.append(_Waiting(question, rows, cost, time.monotonic(), future))
        self._arrived.set()
        return future

    async def close(self) -> None:
        """Accepts no more questions, answers those that are queued, and ends the thread."""
        self._closing = True
        self._arrived.set()
        await self._task
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            if not self._closing:
                await self._gather()
            batch = self._next_batch()
            if batch:
                await self._put(batch)
            elif self._closing:
                return

    async def _gather(self) -> None:
        """Waits until a batch is full, or its first question has waited long enough."""
        while self._waiting and self._waiting_cost < self.max_rows and not self._closing:
            left = self._waiting[0].since + self._wait - time.monotonic()
            if left <= 0:
                return
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._arrived.wait()

    def _next_batch(self) -> list[_Waiting[Q, A]]:
        batch: list[_Waiting[Q, A]] = []
        room = self.max_rows
        while self._waiting and (self._waiting[0].future.done() or self._waiting[0].cost <= room):
            one = self._waiting.popleft()
            if not one.future.done():
                batch.append(one)
                room -= one.cost
        if not self._waiting and not self._closing:
            self._arrived.clear()
        return batch

    async def _put(self, batch: list[_Waiting[Q, A]]) -> None:
        start = time.monotonic()
        questions = [one.question for one in batch]
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self._thread, self._answered, questions)
        try:
            self._observe(sum(one.rows for one in batch), time.monotonic() - start)
        except Exception:  # an error in counting, as on a full disk, must not stop the queue
            logger.exception("a batch was answered, but could not be counted")
        for one, answer in zip(batch, answers, strict=True):
            if one.future.done():
                continue  # the client has left meanwhile
            if isinstance(answer, Exception):
                one.future.set_exception(answer)
            else:
                one.future.set_result(answer)

    def _answered(self, questions: list[Q]) -> Answers[A]:
        try:
            answers = self._answer(questions)
            assert len(answers) == len(questions), "every question has one answer"
            return answers
        except Exception as error:
            if len(questions) == 1:
                return [error]
            return [answer for question in questions for answer in self._answered([question])]
