"""Which pixels made a decision: maps of single decisions, drawn over the picture.

    saliency = decision_saliency(model, x, explanation.path[0])    # needs the extra [attribution]
    overlay(saliency, image)                                       # a Pillow image
    strip(path_saliency(model, x, explanation), image)             # one picture for the whole path

A decision prefers one child of a node over its siblings. A map explains the score of the child
taken minus the score of its nearest sibling: Captum computes how much each pixel contributed.
"""

from nbdt.attribution.overlay import on_picture, overlay
from nbdt.attribution.saliency import Saliency, decision_saliency, path_saliency
from nbdt.attribution.strip import strip

__all__ = [
    "Saliency",
    "decision_saliency",
    "on_picture",
    "overlay",
    "path_saliency",
    "strip",
]
