"""Where samples come from: files of any kind, folders of them, and data sets by name."""

from nbdt.data.catalogue import describe_datasets
from nbdt.data.classes import check_classes
from nbdt.data.folder import ImageFiles, ImageFolder, PixelArray, list_images
from nbdt.data.labelled import Augmentation, LabelledImages, LabelledSamples
from nbdt.data.loading import load_dataset
from nbdt.inputs.image import decode_image, open_image

__all__ = [
    "Augmentation",
    "ImageFiles",
    "ImageFolder",
    "LabelledImages",
    "LabelledSamples",
    "PixelArray",
    "check_classes",
    "decode_image",
    "describe_datasets",
    "list_images",
    "load_dataset",
    "open_image",
]
