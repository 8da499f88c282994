"""What stands above and below a drawn tree: the answer and the sample, and the legend."""

from __future__ import annotations

from collections.abc import Iterator

from nbdt.explain import Explanation, percent, promise
from nbdt.hierarchy.text import shorten, wrap
from nbdt.view.folding import Folding, support_legend
from nbdt.view.labels import clean, text_width
from nbdt.view.svg.badge import SMALL, icon
from nbdt.view.svg.drawing import Drawing
from nbdt.view.svg.shapes import Box, Picture, Shape, Stroke, Text

SAMPLE = 84.0
_BIG = 20.0
_GAP = 14.0


def headline(folding: Folding, title: str, sample: str, width: float) -> Drawing:
    """The title, the answer with what is to be said of it, and the sample's picture on the left."""
    shapes: list[Shape] = []
    left = SAMPLE + _GAP if sample else 0.0
    if sample:
        shapes.append(Picture(Box(0, 0, SAMPLE, SAMPLE), sample))
    y = right = 0.0
    for line in _lines(folding.explanation, clean(title), width - left):
        y += line.baseline
        shapes.append(line.moved(left, y - line.baseline))
        right = max(right, left + line.box.width)
        y += 5
    height = max(y, SAMPLE if sample else 0)
    return Drawing(tuple(shapes), max(right, left - _GAP), height + _GAP if height else 0)


def _lines(explanation: Explanation | None, title: str, width: float) -> Iterator[Text]:
    """The lines; the baseline of each is how far it is below the one before."""
    if title:
        big = explanation is None

        def measure(text: str) -> float:
            return text_width(text, _BIG if big else 13, True)

        look, size = ("nb-bold nb-big", _BIG) if big else ("nb-bold nb-muted", 13)
        yield Text(0, size, shorten(title, width, measure), look, size, bold=True)
    if explanation is None:
        return
    answer = f"{clean(explanation.answer_name)}  {percent(explanation.answer_probability)}"
    answer = shorten(answer, width, lambda text: text_width(text, _BIG, True))
    yield Text(0, _BIG, answer, "nb-bold nb-big", _BIG, bold=True)
    for sentence in sentences(explanation):
        for line in wrap(sentence, width, text_width):
            yield Text(0, 15, line, "nb-muted")


def sentences(explanation: Explanation) -> Iterator[str]:
    """What is to be said of an answer beside its name: the network's view and the runner-up."""
    network = clean(explanation.network_prediction_name)
    if explanation.stopped_at is not None:
        likeliest = f"{clean(explanation.prediction_name)} ({percent(explanation.probability)})"
        yield f"Stopped here, too unsure to go on to {likeliest}. The network says {network}."
    else:
        yield "The network agrees." if explanation.agrees else f"The network says {network}."
    if explanation.guarantee is not None:
        yield promise(explanation.guarantee)
    rival = f"{clean(explanation.runner_up_name)} ({percent(explanation.runner_up_probability)})"
    yield f"Runner-up: {rival}; the paths diverge at {clean(explanation.diverges_at_name)}."


def legend(folding: Folding, width: float) -> Drawing:
    """What the signs and numbers in the drawing mean; nothing where there are none."""
    if said := support_legend(folding):
        lines = wrap(said, width, lambda text: text_width(text, SMALL))
        texts = [
            Text(0, 12 + 16 * row, line, "nb-small nb-muted", SMALL)
            for row, line in enumerate(lines)
        ]
        return Drawing(tuple(texts), max(text.box.right for text in texts), 16 * len(lines))
    shapes: list[Shape] = []
    x = y = right = 0.0
    for css, sign, said in _signs(folding):
        wide = 36.0 + text_width(said, SMALL)
        if x and x + wide > width:
            x, y = 0.0, y + 18
        if css:
            line = (("M", (x, y + 8)), ("L", (x + 14, y + 8)))
            shapes.append(Stroke(line, f"nb-edge nb-e-{css}", 4 if css == "path" else 2.2))
        shapes.append(icon(sign, x + 18, y + 8, css))
        shapes.append(Text(x + 33, y + 12, said, "nb-small nb-muted", SMALL))
        x += wide + 16
        right = max(right, x - 16)
    return Drawing(tuple(shapes), right, y + 16 if shapes else 0)


def _signs(folding: Folding) -> Iterator[tuple[str, str, str]]:
    """The look of the line, the sign, and what they mean."""
    roles = {item.role for item in folding.items}
    if folding.explanation is None:
        return
    yield "path", "path", "path; thicker: more likely"
    if "beyond" in roles:
        yield "beyond", "beyond", "not taken (too unsure)"
    if roles & {"rival", "runner_up"}:
        yield "rival", "rival", "toward the runner-up"
    if any(item.differs for item in folding.items):
        yield "", "differs", "not on every path"
