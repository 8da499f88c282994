"""Batches: in order, full when they can be, and nobody's answer another's."""

import asyncio
import threading

import pytest

from nbdt.server.batching import BatchQueue, Capacity
from nbdt.server.errors import NotReadyError, OverloadedError


def doubled(batch):
    return [2 * question for question in batch]


class Recorder:
    """Answers when it is let to, and remembers its batches."""

    def __init__(self):
        self.batches = []
        self.go_on = threading.Semaphore(0)
        self.started = threading.Semaphore(0)

    def __call__(self, batch):
        self.batches.append(list(batch))
        self.started.release()
        self.go_on.acquire()
        return doubled(batch)


def run(work, answer=doubled, **options):
    async def main():
        queue = BatchQueue(answer, **{"max_rows": 4} | options)
        try:
            return await work(queue)
        finally:
            await queue.close()

    return asyncio.run(main())


async def in_thread(work):
    return await asyncio.get_running_loop().run_in_executor(None, work)


def test_answers_go_to_whom_they_belong():
    async def ask(queue):
        return await asyncio.gather(*(queue.put(n, 1 + n % 4) for n in range(200)))

    assert run(ask) == [2 * n for n in range(200)]


def test_what_comes_while_the_model_works_is_the_next_batch():
    record = Recorder()

    async def ask(queue):
        first = queue.put(0, 1)
        await in_thread(record.started.acquire)
        others = [queue.put(n, rows) for n, rows in ((1, 2), (2, 2), (3, 1), (4, 4))]
        assert queue.waiting_rows == 9
        for _ in range(4):
            record.go_on.release()
        return await asyncio.gather(first, *others)

    assert run(ask, record) == [0, 2, 4, 6, 8]
    assert record.batches == [[0], [1, 2], [3], [4]]


def test_an_idle_queue_waits_for_more_only_as_long_as_it_may():
    record = Recorder()
    record.go_on = threading.Semaphore(10)

    async def ask(queue):
        first = queue.put(0, 1)
        await asyncio.sleep(0.05)
        assert not first.done()
        return await asyncio.gather(first, queue.put(1, 3))  # full now

    assert run(ask, record, wait=60.0) == [0, 2]
    assert record.batches == [[0, 1]]

    async def alone(queue):
        return await queue.put(5, 1)

    assert run(alone, doubled, wait=0.02) == 10


def test_whoever_leaves_is_not_answered_and_takes_no_room():
    record = Recorder()

    async def ask(queue):
        first = queue.put(0, 1)
        await in_thread(record.started.acquire)
        left, stays = queue.put(1, 4), queue.put(2, 4)
        left.cancel()
        assert queue.waiting_rows == 4
        record.go_on.release()
        record.go_on.release()
        return await asyncio.gather(first, stays)

    assert run(ask, record) == [0, 4]
    assert record.batches == [[0], [2]]


def test_leaving_while_the_batch_runs_harms_nobody():
    record = Recorder()

    async def ask(queue):
        first = queue.put(0, 1)
        await in_thread(record.started.acquire)
        first.cancel()
        record.go_on.release()
        record.go_on.release()
        return await queue.put(7, 1)

    assert run(ask, record) == 14


def test_one_question_that_cannot_be_answered_spoils_no_other():
    def fragile(batch):
        if 3 in batch:
            raise ValueError("three")
        return [KeyError("five") if n == 5 else 2 * n for n in batch]

    async def ask(queue):
        return await asyncio.gather(*(queue.put(n, 1) for n in range(8)), return_exceptions=True)

    answers = run(ask, fragile, max_rows=8)
    assert [repr(a) for a in answers] == [
        "0", "2", "4", "ValueError('three')", "8", "KeyError('five')", "12", "14"
    ]  # fmt: skip


def test_closing_answers_what_is_queued_and_takes_no_more():
    async def main():
        queue = BatchQueue(doubled, max_rows=2)
        futures = [queue.put(n, 1) for n in range(9)]
        await queue.close()
        assert [future.result() for future in futures] == [2 * n for n in range(9)]
        with pytest.raises(NotReadyError, match="replaced or stopped"):
            queue.put(1, 1)

    asyncio.run(main())


def test_batches_are_observed():
    seen = []

    async def ask(queue):
        await queue.put(1, 3)

    run(ask, observe=lambda rows, seconds: seen.append((rows, seconds >= 0)))
    assert seen == [(3, True)]


def test_a_question_that_is_a_batch_of_its_own_is_counted_by_its_rows():
    record, seen = Recorder(), []
    record.go_on = threading.Semaphore(10)

    async def ask(queue):
        return await asyncio.gather(
            queue.put(1, 1), queue.put(2, 1, alone=True), queue.put(3, 1), queue.put(4, 2)
        )

    assert run(ask, record, observe=lambda rows, seconds: seen.append(rows)) == [2, 4, 6, 8]
    assert record.batches == [[1], [2], [3, 4]]
    assert seen == [1, 1, 3]


def test_what_cannot_be_counted_is_answered_all_the_same(caplog):
    def full(rows, seconds):
        raise OSError("No space left on device")

    async def ask(queue):
        async with asyncio.timeout(5):
            return [await queue.put(1, 1), await queue.put(2, 1)]

    assert run(ask, observe=full) == [2, 4]
    assert "No space left" in caplog.text


def test_capacity_is_bounded_and_given_back():
    clock = iter([0.0, 2.0, 3.0, 4.0]).__next__
    capacity = Capacity(10, clock)
    with capacity.reserved(6):
        with pytest.raises(OverloadedError, match="6 of 10 rows are taken"):
            capacity.check(5)
        capacity.check(4)
    assert capacity.free == 10
    with capacity.reserved(10), pytest.raises(OverloadedError) as caught:
        capacity.check()
    assert caught.value.retry_after == pytest.approx(10 / 3)  # 6 rows in 2 seconds
    assert capacity.free == 10


def test_when_to_come_again_follows_the_rate_of_busy_seconds():
    now = 0.0
    capacity = Capacity(10, lambda: now)

    def work(rows, seconds):
        nonlocal now
        with capacity.reserved(rows):
            now += seconds

    def retry_after():
        with capacity.reserved(10), pytest.raises(OverloadedError) as caught:
            capacity.check()
        return caught.value.retry_after

    assert retry_after() == 1.0  # nothing is known yet
    capacity = Capacity(10, lambda: now)
    for _ in range(20):
        work(5, 1.0)
        now += 3600.0  # nobody asks
    assert retry_after() == pytest.approx(10 / 5)
    for _ in range(20):
        work(1, 1.0)
    assert retry_after() == pytest.approx(10 / 1, rel=0.1)


def test_capacity_is_given_back_after_an_error():
    capacity = Capacity(2)
    with pytest.raises(KeyError), capacity.reserved(2):
        raise KeyError
    assert capacity.free == 2
