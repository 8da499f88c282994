"""What spoke for a decision: pixels, words, columns or values of one sample.

    found = attribute(model, sample, explanation.closest)    # any kind of sample
    print(found)                                             # the decision and what spoke for it
    attribute_path(model, sample, explanation)               # one a decision

A decision prefers one child of a node over its siblings. An attribution explains the score of the
child taken minus the score of its nearest sibling. Of pixels, Captum computes how much each one
contributed; `overlay` draws such a map over the picture, and `strip` those of a whole path.
"""

from nbdt.attribution.attribute import attribute, attribute_path
from nbdt.attribution.contributions import Contributions
from nbdt.attribution.difference import Attribution, Attributions
from nbdt.attribution.overlay import on_picture, overlay
from nbdt.attribution.saliency import Saliency, decision_saliency, path_saliency
from nbdt.attribution.strip import strip

__all__ = [
    "Attribution",
    "Attributions",
    "Contributions",
    "Saliency",
    "attribute",
    "attribute_path",
    "decision_saliency",
    "on_picture",
    "overlay",
    "path_saliency",
    "strip",
]
