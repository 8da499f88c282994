"""The outline of a page, however deep the tree."""

import pytest
import torch

from nbdt.explain import explain_logits
from nbdt.hierarchy import Hierarchy
from nbdt.rules import TreeLayout
from nbdt.view.html import to_html
from tests.browser.test_page import DESKTOP, PHONE

pytestmark = pytest.mark.browser


def chain(classes):
    """A tree as deep as it has classes, as single linkage gives them."""
    above = [classes if leaf < 2 else classes + leaf - 1 for leaf in range(classes)]
    above += [classes + step + 1 for step in range(classes - 2)]
    return Hierarchy([*above, -1], [f"class {leaf}" for leaf in range(classes)])


# Of each line that is in view: its name, its level, the room of its name, and its indentation.
LINES = """(outline) => {
    const edge = outline.getBoundingClientRect();
    return [...outline.querySelectorAll(".line")].filter((line) => {
        const box = line.getBoundingClientRect();
        return box.top >= edge.top && box.bottom <= edge.bottom;
    }).map((line) => {
        const name = line.querySelector(".name").getBoundingClientRect();
        const indent = line.querySelector(".indent");
        return [line.title, Number(line.ariaLevel), Math.min(name.right, edge.right) - name.left,
            indent.getBoundingClientRect().width, indent.textContent];
    });
}"""


@pytest.mark.parametrize("width", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("classes", [20, 300])
def test_names_can_be_read_however_deep_the_tree(opened, width, classes):
    tree = chain(classes)
    levels = {tree.name(v): tree.depth(v) + 1 for v in range(len(tree))}
    logits = torch.zeros(1, classes)
    logits[0, 0] = 9
    with opened(to_html(tree, explain_logits(logits, TreeLayout(tree))), width=width) as page:
        page.get_by_role("button", name="Unfold all").click()
        numbers = set()
        for place in (0, 0.5, 1):
            page.get_by_role("tree").evaluate(
                """async (one, place) => {
                    one.scrollTop = place * one.scrollHeight;
                    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                }""",
                place,
            )
            lines = page.get_by_role("tree").evaluate(LINES)
            assert len(lines) > 10
            for title, level, room, indent, said in lines:
                assert level == levels[title]
                assert room > 50
                assert said in ("", f"level {level}")
                assert said or indent >= 5 * (level - 1) - 0.1
                numbers.add(said)
        assert (len(numbers) > 1) == (classes == 300)
