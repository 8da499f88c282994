"""A model over many samples: the only loop that answers them, `answers`.

An engine decides where batches are worked on; `local` does it here, one after the other.
"""

from nbdt.run.batch import Forward, Part, Work, forward, forward_with_inputs_of, local
from nbdt.run.loop import BLOCK, Block, Engine, Run, answers

__all__ = [
    "BLOCK",
    "Block",
    "Engine",
    "Forward",
    "Part",
    "Run",
    "Work",
    "answers",
    "forward",
    "forward_with_inputs_of",
    "local",
]
