"""What trees, explanations and models show as the result of a notebook's cell.

The HTML holds the drawing as an image and the same as text below it. Neither needs scripts or
style sheets, which GitHub removes from notebooks; where images are removed too, their alternative
text says what they show.
"""

from __future__ import annotations

import base64
from typing import Any

from nbdt.display import Bundle
from nbdt.explain import Explanations
from nbdt.model import NBDT
from nbdt.view.assets import templates
from nbdt.view.comparison import Comparison, compare_svg
from nbdt.view.svg import to_svg

# A batch may hold hundreds; of more than these the first are drawn.
MOST_DRAWN = 12


def mimebundle(subject: Any) -> Bundle:
    """What a notebook shows of a tree, explanations, a comparison or a model, by media type.

    Only the text where there is nothing to draw.

    Example:
        >>> import nbdt
        >>> tree = nbdt.Hierarchy([2, 2, -1], ["cat", "dog", "pet"])
        >>> print(mimebundle(tree)["text/plain"])
        pet
        ├─ cat
        └─ dog
    """
    if isinstance(subject, Explanations):
        return _several(subject)
    if isinstance(subject, NBDT):
        tree, network = subject.hierarchy, type(subject.network).__name__
        how = f"score {subject.score}, rule {subject.rule}"
        title = f"NBDT of {network}: {tree.num_classes:,} classes, {how}"
        return _bundle(to_svg(tree, title=title), f"{title}\n{tree}")
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
    page = (
        templates()
        .get_template("notebook.html")
        .render(address=base64.b64encode(svg.encode()).decode("ascii"), text=text, caption=caption)
    )
    return {"text/html": page, "image/svg+xml": svg, "text/plain": text}
