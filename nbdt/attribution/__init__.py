"""Which pixels made a decision: maps of single decisions, drawn over the picture.

    saliency = decision_saliency(model, x, explanation.path[0])    # needs the extra [saliency]
    overlay(saliency, image)                                       # a Pillow image
    strip(path_saliency(model, x, explanation), image)             # one picture for the whole path

A decision prefers one child of a node over its siblings. What is explained is the score of the
child taken minus that of its nearest sibling; Captum says how much each pixel contributed to it.
"""

from nbdt.attribution.attribution import decision_saliency, path_saliency
from nbdt.attribution.overlay import overlay
from nbdt.attribution.placement import on_picture
from nbdt.attribution.result import Saliency
from nbdt.attribution.strip import strip

__all__ = [
    "Saliency",
    "decision_saliency",
    "on_picture",
    "overlay",
    "path_saliency",
    "strip",
]
