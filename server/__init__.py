"""The HTTP service: decision paths of models in the background of other programs.

The parts, each of which knows only those before it:

    settings, logs, errors, observation, batching, rows, parsing, inference, models, service
        ─► exchange, answers, openapi ─► protocols, page                             (HTTP)
        ─► keys, app                                                                 (around it)
        ─► worker, supervisor                                                        (processes)
"""

from .settings import Settings, read_settings

__all__ = ["Settings", "read_settings"]
