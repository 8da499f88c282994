"""OpenTelemetry: a span for each request, sent wherever its own OTEL_… variables say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdt.errors import MissingDependencyError

if TYPE_CHECKING:
    from fastapi import FastAPI


def trace(app: FastAPI) -> None:
    """Has requests of an application traced by the tracer provider of the process.

    Raises:
        MissingDependencyError: the instrumentation is not installed.
    """
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    except ImportError:
        raise MissingDependencyError(
            "tracing needs OpenTelemetry: pip install opentelemetry-instrumentation-fastapi "
            "opentelemetry-distro opentelemetry-exporter-otlp."
        ) from None
    FastAPIInstrumentor.instrument_app(app, excluded_urls="livez,readyz,metrics,ping,health")
