"""What a demo showed, as data for a program and as text for a reader."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from nbdt.data.digits import BRIGHTEST
from nbdt.evaluation import AccuracyTable
from nbdt.explain import Explanation
from nbdt.hierarchy import Hierarchy
from nbdt.hierarchy.formats import to_dict

_SHADES = " ░▒▓█"
_WIDTH = 80
_GAP = 3


@dataclass(frozen=True)
class ExplainedDigit:
    """One held-out digit and the explanation of its prediction.

    `remark` says what is special about it, `picture` is the digit in characters, by `drawn`, and
    `image` its file.
    """

    label: int
    label_name: str
    remark: str
    picture: str
    image: Path
    explanation: Explanation

    @property
    def correct(self) -> bool:
        """Whether the tree predicts the digit."""
        return self.explanation.prediction == self.label

    def to_dict(self) -> dict[str, Any]:
        """The digit as values that JSON can hold."""
        return {
            "image": str(self.image),
            "label": self.label,
            "label_name": self.label_name,
            "correct": self.correct,
            "remark": self.remark,
            "explanation": self.explanation.to_dict(),
        }

    def __str__(self) -> str:
        picture = self.picture.splitlines()
        side = len(picture[0])
        # A line breaks before a number, not between it and its "%".
        sentences = [
            line.replace("\u00a0", " ")
            for sentence in str(self.explanation).replace(" %", "\u00a0%").splitlines()
            for line in textwrap.wrap(sentence, _WIDTH - side - _GAP, subsequent_indent="  ")
        ]
        lines = [
            f"{left:{side + _GAP}}{right}".rstrip()
            for left, right in zip_longest(picture, sentences, fillvalue="")
        ]
        title = f"“{self.label_name}”, {self.remark} ({self.image})"
        return "\n".join([title, "", *lines])


@dataclass(frozen=True)
class DemoResult:
    """What a demo did; `str` is for readers, `to_dict` for programs.

    `folder` is the model's, and `images` the folder in it with pictures of held-out digits;
    `parameters` is how many numbers the network learned, from `training_samples` digits. `accuracy`
    is the one on the held-out digits, of which three are `explained`.
    """

    folder: Path
    images: Path
    seed: int
    network: str
    parameters: int
    training_samples: int
    epochs: int
    training_seconds: float
    seconds: float
    hierarchy: Hierarchy
    accuracy: AccuracyTable
    explained: tuple[ExplainedDigit, ...]

    def to_dict(self) -> dict[str, Any]:
        """The result as values that JSON can hold."""
        return {
            "folder": str(self.folder),
            "images": str(self.images),
            "seed": self.seed,
            "network": self.network,
            "parameters": self.parameters,
            "training_samples": self.training_samples,
            "held_out_samples": self.accuracy.samples,
            "epochs": self.epochs,
            "training_seconds": round(self.training_seconds, 3),
            "seconds": round(self.seconds, 3),
            "hierarchy": to_dict(self.hierarchy),
            "accuracy": self.accuracy.to_dict(),
            "explanations": [digit.to_dict() for digit in self.explained],
            # Otherwise `run` raises an error.
            "identical_after_loading": True,
        }

    def __str__(self) -> str:
        held_out = self.accuracy.samples
        all_samples = self.training_samples + held_out
        folder, images = shlex.quote(str(self.folder)), shlex.quote(str(self.images))
        lines = [
            f"Data     {all_samples:,} handwritten digits of 8×8 pixels, from scikit-learn:",
            f"         {self.training_samples:,} to learn from, {held_out:,} held out",
            f"Network  a small CNN with {self.parameters:,} parameters, trained in "
            f"{self.training_seconds:.1f} s",
            f"         ({self.epochs} epochs, seed {self.seed})",
            *_heading("The tree in the network's last layer"),
            str(self.hierarchy),
            *_heading(f"Accuracy on the {held_out:,} held-out digits"),
            str(self.accuracy),
            "",
            "soft: the class with the likeliest path; hard: the likeliest child at each node.",
            "logsumexp: for any trained network; mean: for a network tuned to its tree.",
            *_heading("Three of these digits, explained (soft, logsumexp)"),
            "\n\n".join(map(str, self.explained)),
            *_heading("What you have now"),
            f"A model      {folder}",
            f"Ten digits   {images}",
            "",
            f"The saved model was loaded again and gives all {held_out:,} digits the same",
            "probabilities, to the last bit. Next steps:",
            "",
            f"  nbdt explain {folder} {shlex.quote(str(self.explained[-1].image))}",
            f"  nbdt explain {folder} {images}",
            f"  nbdt tree draw {folder} -o tree.html",
            f"  nbdt serve {folder}",
        ]
        return "\n".join(lines)


def drawn(image: Float[Tensor, "height width"]) -> str:
    """A digit in five shades of characters, two per pixel since characters are tall.

    Example:
        >>> from nbdt.data.digits import load_digits
        >>> print(drawn(load_digits().images[1, 0]).replace(" ", "-"))
        ------▓▓▓▓░░----
        ------▓▓██▒▒----
        ----░░████▒▒----
        --▒▒██████------
        ------████░░----
        ------████▒▒----
        ------████▒▒----
        ------▓▓██▒▒----
    """
    shades = (image / BRIGHTEST * (len(_SHADES) - 1)).round().int().tolist()
    return "\n".join("".join(2 * _SHADES[shade] for shade in row) for row in shades)


def _heading(text: str) -> list[str]:
    return ["", text, "─" * len(text), ""]
