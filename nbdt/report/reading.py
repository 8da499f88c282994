"""How to read a report, for who sees one for the first time."""

from __future__ import annotations

from nbdt.report.markup import Markup, element, section

_TERMS = (
    (
        "Tree and decision",
        "The network is read as a tree of its classes: every class is a leaf, every other node "
        "stands for the group of classes under it. An answer is a path from the root down. At each "
        "node the network’s own outputs decide between the children, with a probability for each; "
        "no part of the tree decides by anything else.",
    ),
    (
        "Score",
        "What a node is worth, from the network’s outputs for the classes under it. With logsumexp "
        "it is the evidence for the group as a whole: does anything under this node fit? The "
        "probabilities along a path then multiply to the network’s own. With mean it is the "
        "average of the outputs: a direction of its own in what the network sees, for which the "
        "network has to be tuned.",
    ),
    (
        "Rule",
        "How decisions become an answer. The soft rule answers the class whose whole path is "
        "likeliest; a single decision on it may go against the odds. The hard rule takes the "
        "likeliest child at every node.",
    ),
    (
        "Margin or lead",
        "The score of the child taken less that of its nearest sibling, in the units of the "
        "network’s outputs. Near 0 the decision was close; below 0 it went against the odds.",
    ),
    (
        "Interval",
        "The 95 % interval of a share that was counted: those true shares that the count does not "
        "speak against (Wilson’s score interval, 1927). It is wide where samples are few.",
    ),
    (
        "Expected calibration error",
        "How far the stated probabilities are from how often they were right, on average (Guo et "
        "al., 2017). 0 is what one wants; it is not a test of accuracy.",
    ),
    (
        "Typical samples of a node",
        "Surest: its own samples that took the right child with the largest margin. Barest: with "
        "the smallest. Astray: those that took another child.",
    ),
)


def reading() -> Markup:
    """A paragraph on each of the words that the report uses.

    Example:
        >>> "Wilson" in reading()
        True
    """
    terms = [element("div", element("dt", term), element("dd", text)) for term, text in _TERMS]
    return section("reading", "How to read this report", element("dl", terms, class_="terms"))
