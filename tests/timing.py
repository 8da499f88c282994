"""How long something takes, measured so that a busy machine does not fail a test."""

import sys
import time
from collections.abc import Callable


def cpu_seconds(job: Callable[[], object], times: int = 5) -> float:
    """The least processor time of several runs of `job`, without what measuring coverage costs.

    Others on the machine only ever make a run longer: they empty its caches. The least is nearest
    to what the job takes by itself.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return min(_once(job) for _ in range(times))
    finally:
        sys.settrace(tracer)


def _once(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start
