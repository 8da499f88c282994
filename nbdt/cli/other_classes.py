"""What a model makes of images that are of none of its classes."""

from __future__ import annotations

from nbdt.cli.inputs import read_tree
from nbdt.cli.labelled import Answered, load_others, load_unlabelled
from nbdt.errors import InputError
from nbdt.evaluation import (
    OutlierCounter,
    OutlierTable,
    SuperclassCounter,
    SuperclassTable,
    nodes_of_unseen,
)
from nbdt.inputs.image import Preprocessing
from nbdt.model import NBDT

Failures = dict[str, str]
"""The images that could not be used, and why."""


class Unknown:
    """Images of no class: how well are they told from those of the model's classes?

    Args:
        network: the model.
        preprocessing: how it takes an image.
        data: a folder of images, or a data set's name.
    """

    def __init__(self, network: NBDT, preprocessing: Preprocessing, data: str) -> None:
        images = load_unlabelled(data, preprocessing)
        self._answered = Answered(network, images, data, "Unknown images")

    def judge(self, known: OutlierCounter) -> tuple[OutlierTable, Failures]:
        """What the scores are worth, given a counter that holds those of known images."""
        for batch in self._answered:
            known.add_unknown(batch.logits)
        return known.table(), self._answered.failures()


class Unseen:
    """Images of classes that the network never saw: do nodes send them the right way?

    Args:
        network: the model.
        preprocessing: how it takes an image.
        data: a folder with a subfolder of images a class, or a data set's name; classes that
            the model has are left out.
        taxonomy: a bundled tree or a file: where the classes belong.

    Raises:
        InputError: the model has all of these classes.
    """

    def __init__(
        self, network: NBDT, preprocessing: Preprocessing, data: str, taxonomy: str
    ) -> None:
        tree, images = read_tree(taxonomy), load_others(data, preprocessing)
        # Folders may be called by a wnid, and have "_" for a "/".
        called = {name.replace("/", "_"): name for name in tree.classes}
        called |= {
            str(tree.attributes(leaf).get("wnid")): name for leaf, name in enumerate(tree.classes)
        }
        names = {name: called.get(name, name) for name in images.classes}
        unseen = [name for name in names if names[name] not in network.classes]
        if not unseen:
            raise InputError(f"{data}: the model has all of these classes; none of them is unseen.")
        classes = [names[name] for name in unseen]
        nodes = nodes_of_unseen(network.hierarchy, tree, classes)
        self._network = network
        self._counted = SuperclassCounter(network.hierarchy, nodes, classes, score=network.score)
        self._answered = Answered(network, images.filter_classes(unseen), data, "Unseen classes")

    def judge(self) -> tuple[SuperclassTable, Failures]:
        """What the nodes decide, at the temperature that the model has by now."""
        for batch in self._answered:
            self._counted.update(self._network.temperature.divide(batch.logits), batch.labels)
        return self._counted.table(), self._answered.failures()
