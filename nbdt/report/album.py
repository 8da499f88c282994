"""The pictures of a report: small, and not more than were asked for."""

from __future__ import annotations

from pathlib import Path

from nbdt.data import LabelledImages
from nbdt.data.sources import ImageFiles
from nbdt.hierarchy.text import one_line
from nbdt.report.markup import Markup, element, name
from nbdt.view.svg.pictures import data_uri

SIZE = 64  # pixels of the page; twice as many are kept for screens that have them


class Album:
    """Gives pictures of samples until there are as many as the report may hold.

    Args:
        data: the samples.
        most: how many pictures there may be.

    Attributes:
        used: how many were given.
        characters: how long they are, all together.

    Example:
        >>> from nbdt.data import load_dataset
        >>> album = Album(load_dataset("digits"), most=1)
        >>> album.address(7)[:21], album.address(8), album.used
        ('data:image/png;base64', None, 1)
    """

    def __init__(self, data: LabelledImages, most: int) -> None:
        self.data = data
        self.most = most
        self.used = self.characters = 0
        self._addresses: dict[int, str] = {}

    @property
    def left(self) -> int:
        """How many more pictures there may be."""
        return self.most - self.used

    def address(self, index: int) -> str | None:
        """The picture of a sample as a ``data:`` address; None when there are enough."""
        if not self.left:
            return None
        if index not in self._addresses:
            self._addresses[index] = data_uri(self.data.image(index), SIZE)
        self.used += 1
        self.characters += len(self._addresses[index])
        return self._addresses[index]

    def thumbnail(self, index: int) -> Markup | None:
        """The picture of a sample as an element; None when there are enough."""
        address = self.address(index)
        if address is None:
            return None
        told = f"{self.class_name(index)}, {self.sample_name(index)}"
        return element("img", src=address, alt=told, title=told, width=SIZE, height=SIZE)

    def captioned(self, index: int) -> Markup | None:
        """The picture of a sample with the name of its class; None when there are enough."""
        picture = self.thumbnail(index)
        if picture is None:
            return None
        return element("figure", picture, element("figcaption", name(self.class_name(index))))

    def class_name(self, index: int) -> str:
        """The name of a sample's class."""
        return one_line(self.data.classes[int(self.data.targets[index])])

    def sample_name(self, index: int) -> str:
        """What a sample is called: its place in the data, and its file if it has one.

        The folders of the file are left out: they say more of a machine than of a sample.
        """
        path = file_of(self.data, index)
        return f"sample {index}" if path is None else one_line(f"sample {index}, {path.name}")


def file_of(data: LabelledImages, index: int) -> Path | None:
    """Where a sample's picture lies; None for those that are in memory."""
    if not isinstance(data.source, ImageFiles):
        return None
    return data.source.paths[int(data.indices[index])]
