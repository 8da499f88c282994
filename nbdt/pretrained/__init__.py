"""The folder of a saved model: what is in it, how it is written, and how it is checked.

=====================  =============================================================================
``config.json``        schema ``nbdt.model/1``: how the network is built and fed, the class names,
                       score and rule, where the numbers come from, and the size and SHA-256 of the
                       other files
``hierarchy.json``     the tree, schema ``nbdt.hierarchy/1``
``model.safetensors``  the network's own state dict; or, in its place, what the network's library
                       writes, such as ``model.onnx``
``config.sha256``      the SHA-256 of ``config.json``, so that every byte of the folder is covered:
                       an accident is found, while against attackers that hash is compared with one
                       from elsewhere (``nbdt verify --expect``)
=====================  =============================================================================

The input may have files too, such as a tokenizer's. Commands and users put `BESIDE` files there,
such as ``calibration.json``. What the config does not list is never read and never deleted.

Reading it never unpickles anything or imports code that a file names.
"""

from nbdt.pretrained.config import SCHEMA, FileRecord, ModelConfig
from nbdt.pretrained.folder import (
    CONFIG,
    HIERARCHY,
    SEAL,
    WEIGHTS,
    SavedModel,
    own_arguments,
    put_beside,
    read_model,
    replace_hierarchy,
    reseal,
    write_model,
)
from nbdt.pretrained.swap import read_whole
from nbdt.pretrained.weights import load_checkpoint, load_tensors, save_tensors

__all__ = [
    "CONFIG",
    "HIERARCHY",
    "SCHEMA",
    "SEAL",
    "WEIGHTS",
    "FileRecord",
    "ModelConfig",
    "SavedModel",
    "load_checkpoint",
    "load_tensors",
    "own_arguments",
    "put_beside",
    "read_model",
    "read_whole",
    "replace_hierarchy",
    "reseal",
    "save_tensors",
    "write_model",
]
