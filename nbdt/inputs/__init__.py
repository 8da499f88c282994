"""What a sample is, and how samples become a classifier's input: one module per kind."""

from nbdt.inputs.array import ArrayInput
from nbdt.inputs.base import Input, Source
from nbdt.inputs.image import Preprocessing, decode_image, open_image, to_mode
from nbdt.inputs.parts import Parts, Preview
from nbdt.inputs.table import TableInput
from nbdt.inputs.text import TextInput

__all__ = [
    "ArrayInput",
    "Input",
    "Parts",
    "Preprocessing",
    "Preview",
    "Source",
    "TableInput",
    "TextInput",
    "decode_image",
    "open_image",
    "to_mode",
]
