"""The folder of a saved model: what is in it, how it is written, and how it is checked.

=====================  =============================================================================
``config.json``        schema ``nbdt.model/1``: how the network is built and fed, the class names,
                       score and rule, where the numbers come from, and the size and SHA-256 of the
                       other files
``hierarchy.json``     the tree, schema ``nbdt.hierarchy/1``
``model.safetensors``  the network's own state dict; or, in its place, what the network's library
                       writes, such as ``model.onnx``
=====================  =============================================================================

The input may have files too, such as a tokenizer's.

Reading it never unpickles anything or imports code that a file names.
"""

from nbdt.pretrained.config import SCHEMA, FileRecord, ModelConfig
from nbdt.pretrained.folder import (
    CONFIG,
    HIERARCHY,
    WEIGHTS,
    SavedModel,
    read_model,
    replace_hierarchy,
    write_model,
)
from nbdt.pretrained.weights import load_checkpoint, load_tensors, save_tensors

__all__ = [
    "CONFIG",
    "HIERARCHY",
    "SCHEMA",
    "WEIGHTS",
    "FileRecord",
    "ModelConfig",
    "SavedModel",
    "load_checkpoint",
    "load_tensors",
    "read_model",
    "replace_hierarchy",
    "save_tensors",
    "write_model",
]
