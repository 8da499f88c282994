"""What the service counts and measures, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The service's metrics, in a registry of their own.

    Args:
        shared: whether there are several workers. Each then writes its numbers to files in the
            folder that ``PROMETHEUS_MULTIPROC_DIR`` named when prometheus_client was imported,
            and any of them can sum them up.

    Example:
        >>> metrics = Metrics()
        >>> metrics.batch("digits", rows=3, seconds=0.01)
        >>> b'nbdt_batch_rows_sum{model="digits"} 3.0' in metrics.text()
        True
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Histogram(
            "nbdt_request_seconds",
            "Time from a request's first byte to its answer's last.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "nbdt_batch_rows",
            "Rows that the network was given at once.",
            ("model",),
            buckets=_ROWS,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "nbdt_batch_seconds",
            "Time that the network and the tree took for a batch.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.rejected = Counter(
            "nbdt_rejected_total",
            "Requests that were not answered, by why.",
            ("reason",),
            registry=registry,
        )
        self.reloads = Counter(
            "nbdt_reloads_total",
            "Reloads by what came of them.",
            ("model", "outcome"),
            registry=registry,
        )
        self.queue_rows = Gauge(
            "nbdt_queue_rows",
            "Rows admitted and not answered yet.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.in_flight = Gauge(
            "nbdt_requests_in_flight",
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.generation = Gauge(
            "nbdt_model_generation",
            "How often the model has been loaded by the process that loaded it most.",
            ("model",),
            registry=registry,
            multiprocess_mode="livemax",
        )

    def batch(self, model: str, rows: int, seconds: float) -> None:
        """Counts one batch."""
        self.batch_rows.labels(model).observe(rows)
        self.batch_seconds.labels(model).observe(seconds)

    def text(self) -> bytes:
        """All numbers in Prometheus's text format; of all workers, where there are several."""
        if self._shared:
            together = CollectorRegistry()
            MultiProcessCollector(together)  # type: ignore[no-untyped-call]
            return generate_latest(together)
        return generate_latest(self.registry)
