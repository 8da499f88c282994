"""`Service`: models, queues and limits together, independent of HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from .batching import BatchQueue, Capacity
from .errors import DeadlineError, NotReadyError, TooLargeError
from .inference import Answer, Question
from .logs import logger
from .models import Registry, Reload, ServedModel
from .observation import Metrics
from .parsing import ParsedRequest, check_rows
from .settings import Settings

T = TypeVar("T")
Asked = TypeVar("Asked", bound=ParsedRequest)


class ModelQueue:
    """A model with its queue, which stays open until its requests are answered."""

    def __init__(self, served: ServedModel, settings: Settings, metrics: Metrics) -> None:
        self.served = served
        self.queue = BatchQueue[Question, Answer](
            served.infer,
            max_rows=settings.batch_rows,
            wait=settings.batch_wait,
            name=f"model-{served.name}",
            observe=lambda rows, seconds: metrics.batch(served.name, rows, seconds),
        )
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keeps the queue open while the block runs."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def retire(self) -> None:
        """Closes the queue once nobody uses it any more."""
        await self._idle.wait()
        await self.queue.close()

    async def ask(self, question: Question) -> Answer:
        """The answer to one question, asked in parts that fit in a batch."""
        size = self.queue.max_rows
        parts = [
            replace(question, rows=question.rows[start : start + size], first=start)
            for start in range(0, len(question.rows), size)
        ]
        # Attributions take many times as long as an answer, so they are batched alone.
        futures = [self.queue.put(part, len(part.rows), alone=part.attribution) for part in parts]
        try:
            return Answer.joined(await asyncio.gather(*futures))
        finally:
            for future in futures:
                future.cancel()


class Service:
    """Answers requests with the models of a registry.

    `capacity` counts the rows in flight; while `draining`, no more requests should be sent.
    """

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.registry = Registry(settings)
        self.capacity = Capacity(settings.capacity_rows)
        self.draining = False
        self._queues: dict[str, ModelQueue] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._loaded = False
        # Files and JSON are decoded outside the event loop.
        self._decoders = ThreadPoolExecutor(settings.decode_threads, "decode")
        # Loading takes seconds, and must not delay images.
        self._loader = ThreadPoolExecutor(1, "load")

    @property
    def ready(self) -> bool:
        """Whether requests should be sent to it."""
        return self._loaded and not self.draining

    async def start(self) -> None:
        """Loads the models; raises an NBDTError if one cannot be loaded."""
        await self._in_loader(self.registry.load)
        self._open_queues()
        self._loaded = True

    async def stop(self) -> None:
        """Answers what is queued, and ends all threads."""
        self.draining = True
        await asyncio.gather(*(queue.retire() for queue in self._queues.values()), *self._retiring)
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._loader.shutdown(wait=False, cancel_futures=True)

    async def reload(self) -> list[Reload]:
        """Reloads the models that have changed; see `Registry.reload`.

        Earlier requests are answered by the model that they were sent to.
        """
        outcomes = await self._in_loader(self.registry.reload)
        self._open_queues()
        for one in outcomes:
            self.metrics.reloads.labels(one.name, one.outcome).inc()
            kept = one.outcome in ("kept", "failed")
            fields = {"model": one.name, "outcome": one.outcome, "reason": one.reason}
            logger.log(
                logging.WARNING if kept else logging.INFO,
                "model kept as it was" if one.outcome == "kept" else f"model {one.outcome}",
                extra={"fields": fields},
            )
        return outcomes

    def model(self, name: str) -> ServedModel:
        """The model of that name; raises NotReadyError while loading, NotFoundError if unknown."""
        self.check_ready()
        return self.registry.get(name)

    def check_ready(self) -> None:
        """Raises a NotReadyError while the models are loading."""
        if not self._loaded:
            raise NotReadyError("the models are loading; try again soon.")

    async def answer(
        self, name: str, parse: Callable[[ServedModel], Asked], *, seconds: float | None = None
    ) -> tuple[ServedModel, Asked, Answer]:
        """The model of that name, the parsed request, and its answer; canceling frees its rows.

        `parse` is called in a thread, with the model. `seconds` is the time limit; at most, and by
        default, the deadline of the settings.

        Raises:
            OverloadedError: there is no room for so many rows.
            DeadlineError: it took too long.
            InputError: the model does not take the rows.
        """
        served = self.model(name)
        queue = self._queue(served)
        limit = min(seconds or self.settings.deadline, self.settings.deadline)
        try:
            async with asyncio.timeout(limit):
                with queue.used():
                    asked = await self.in_decoder(lambda: parse(served))
                    count = len(asked.sources)
                    if asked.attribution and count > 1:
                        raise TooLargeError(f"attribution is computed for one row, got {count}.")
                    check_rows(count, self.settings.request_rows)
                    with self.capacity.reserved(count), self._counted(count):
                        rows, notes = await self.in_decoder(
                            lambda: served.read.with_notes(asked.sources)
                        )
                        rule = asked.rule or served.model.rule
                        question = Question(
                            rows, rule, asked.explain, asked.attribution, at=asked.at
                        )
                        found = replace(await queue.ask(question), notes=notes)
                        return served, asked, found
        except TimeoutError:
            raise DeadlineError(f"the answer was not ready within {limit:g} s.") from None

    async def in_decoder(self, work: Callable[[], T]) -> T:
        """Runs some work in a thread, where it does not block other requests."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    async def _in_loader(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._loader, work)

    @contextmanager
    def _counted(self, rows: int) -> Iterator[None]:
        self.metrics.queue_rows.inc(rows)
        try:
            yield
        finally:
            self.metrics.queue_rows.dec(rows)

    def _open_queues(self) -> None:
        for name in self.registry.names:
            self._queue(self.registry.get(name))

    def _queue(self, served: ServedModel) -> ModelQueue:
        """The queue of a model as it is in the registry now, which may be newer than its queue.

        While other models are being loaded, the first request for a new one opens its queue, and
        retires the one that it replaces.
        """
        name = served.name
        old = self._queues.get(name)
        if old is not None and old.served is served:
            return old
        self._queues[name] = queue = ModelQueue(served, self.settings, self.metrics)
        self.metrics.generation.labels(name).set(served.generation)
        if old is not None:
            task = asyncio.create_task(old.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return queue
