"""The HTTP service: decision paths of models in the background of other programs.

The parts, each of which knows only those before it:

    settings, refusals ─► batching, images, inputs, inference ─► models ─► service     (no HTTP)
        ─► bodies, problems, exchange ─► native, kserve, oip, mlflow, operations, page  (routes)
        ─► keys, security, logs, metrics, tracing ─► app ─► worker, supervisor          (processes)
"""

from .settings import Settings, read_settings

__all__ = ["Settings", "read_settings"]
