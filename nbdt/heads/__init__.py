"""Where the classes of a trained classifier stand: the rows of its last linear layer.

A *head* is that layer: a `torch.nn.Linear`, or a convolution with a 1×1 kernel, with one output
row a class (or a single row, the logit of the second of two classes). `find_head` finds it in a
network or a fitted scikit-learn classifier, `check_classifier` says when a network is no
classifier of one class among many, and `induce` clusters the rows into a tree.
"""

from nbdt.heads.find import check_classifier, find_head
from nbdt.heads.head import Head
from nbdt.heads.source import induce

__all__ = ["Head", "check_classifier", "find_head", "induce"]
