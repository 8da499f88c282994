"""The HTTP service: decision paths of models in the background of other programs.

The parts, each of which knows only those before it:

    settings, errors, logs, metrics
        ─► batching, images, inputs, tensors, inference ─► models ─► service         (no HTTP)
        ─► bodies, forms, negotiation, problems, schemas, openapi, documents, pictures, exchange
        ─► native, kserve, oip, mlflow, operations, page                             (routes)
        ─► keys, security, observation, tracing ─► app                               (around them)
        ─► connections, worker, supervisor                                           (processes)
"""

from .settings import Settings, read_settings

__all__ = ["Settings", "read_settings"]
