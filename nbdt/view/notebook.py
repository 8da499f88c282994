"""What trees, explanations and models show as the result of a notebook's cell.

The HTML holds the drawing as an image and the same as text below it. Neither needs scripts or
style sheets, which GitHub removes from notebooks; where images are removed too, their alternative
text says what they show.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbdt.attribution import Attribution, Attributions
from nbdt.display import Bundle, Displayed
from nbdt.errors import InputError
from nbdt.explain import Explanations
from nbdt.hierarchy.text import one_line
from nbdt.model import NBDT
from nbdt.view.assets import templates
from nbdt.view.comparison import Subject, compare_svg, folding_of, with_differences
from nbdt.view.evidence import attribution_text
from nbdt.view.svg import to_svg
from nbdt.view.svg.evidence import attribution_svg
from nbdt.view.svg.pictures import Picturable

# A batch may hold hundreds; of more than these the first are drawn.
MOST_DRAWN = 12


@dataclass(frozen=True, slots=True)
class Comparison(Displayed):
    """Explanations of one sample beside each other; `compare` makes it, a notebook draws it."""

    subjects: tuple[Subject, ...]
    titles: tuple[str, ...]
    image: Picturable | None = None

    def to_svg(self, width: int = 960) -> str:
        """The drawing as an SVG text; see `nbdt.view.compare_svg`."""
        images = [self.image] * len(self.subjects)
        return compare_svg(
            self.subjects, titles=self.titles, images=images, same_sample=True, width=width
        )

    def __str__(self) -> str:
        lines = []
        foldings = with_differences(list(map(folding_of, self.subjects)))
        for title, folding in zip(self.titles, foldings, strict=True):
            own = [item.name for item in folding.items if item.differs]
            differs = f"\n≠ not on every path: {', '.join(own)}" if own else ""
            lines.append(f"{one_line(title)}\n{folding.explanation}{differs}")
        return "\n\n".join(lines)


def compare(
    *subjects: Subject, titles: Sequence[str] | None = None, image: Picturable | None = None
) -> Comparison:
    """The same sample, explained in several ways: by two rules, two trees, two networks.

    In a notebook the explanations are drawn side by side, and ≠ marks each node that one path
    passes and another does not; `print` gives it as text.

    Args:
        subjects: two or more, each an explanation or a pair (tree, explanation). Where all have
            trees, two nodes are the same if they hold the same classes; else, if they have the
            same name.
        titles: what each is called; by default its rule and score.
        image: the sample.

    Example:
        >>> import torch
        >>> from nbdt import NBDT, Hierarchy
        >>> tree = Hierarchy([3, 3, 4, 4, -1], ["cat", "dog", "car", "animal", "thing"])
        >>> model = NBDT(torch.nn.Identity(), tree)
        >>> logits = torch.tensor([[2.0, 2.0, 2.2]])
        >>> soft, hard = (model.explain(logits, rule=rule)[0] for rule in ("soft", "hard"))
        >>> print(compare(soft, hard))
        rule soft, score logsumexp
        Predicted car (38 %); the network agrees.
        ...
        ≠ not on every path: animal, cat
    """
    if len(subjects) < 2:
        raise InputError(f"a comparison needs at least two explanations, got {len(subjects)}.")
    explanations = [folding_of(subject).explanation for subject in subjects]
    named = [f"rule {one.rule}, score {one.score}" for one in explanations if one is not None]
    if titles is not None and len(titles) != len(subjects):
        raise InputError(f"titles needs {len(subjects)} entries; got {len(titles)}.")
    return Comparison(subjects, tuple(named if titles is None else titles), image)


def mimebundle(subject: Any) -> Bundle:
    """What a notebook shows of a tree, explanations, a comparison or a model, by media type.

    Only the text where there is nothing to draw.
    """
    if isinstance(subject, Explanations):
        return _several(subject)
    if isinstance(subject, NBDT):
        tree, network = subject.hierarchy, type(subject.network).__name__
        how = f"score {subject.score}, rule {subject.rule}"
        title = f"NBDT of {network}: {tree.num_classes:,} classes, {how}"
        return _bundle(to_svg(tree, title=title), f"{title}\n{tree}")
    if isinstance(subject, Attribution) or (isinstance(subject, Attributions) and subject):
        return _bundle(attribution_svg(subject), attribution_text(subject))
    if isinstance(subject, Attributions):
        return {"text/plain": "no decisions"}
    if isinstance(subject, Comparison):
        return _bundle(subject.to_svg(), str(subject))
    return _bundle(to_svg(subject), str(subject))


def _several(explanations: Explanations) -> Bundle:
    if len(explanations) < 2:
        return mimebundle(explanations[0]) if explanations else {"text/plain": "no explanations"}
    drawn = explanations[:MOST_DRAWN]
    titles = [f"sample {index}" for index in range(len(drawn))]
    texts = [f"{title}\n{one}" for title, one in zip(titles, drawn, strict=True)]
    rest = len(explanations) - len(drawn)
    more = f"and {rest:,} more" if rest else ""
    return _bundle(
        compare_svg(drawn, titles=titles), "\n\n".join([*texts, *filter(None, [more])]), more
    )


def _bundle(svg: str, text: str, caption: str = "") -> Bundle:
    address = base64.b64encode(svg.encode()).decode("ascii")
    template = templates().get_template("notebook.html")
    page = template.render(address=address, text=text, caption=caption)
    return {"text/html": page, "image/svg+xml": svg, "text/plain": text}
