"""Pictures of trees and explanations: text for terminals, DOT, SVG, HTML pages.

Drawings and texts take a `Hierarchy`, an `Explanation` in its tree, or an `Explanation` alone as
its path with the siblings; a page takes a `Hierarchy` and any number of explanations in it. The
functions are pure: they return texts or objects and write no files.
"""

from nbdt.view.comparison import compare_svg
from nbdt.view.dot import render, to_graphviz
from nbdt.view.evidence import attribution_rich, attribution_text
from nbdt.view.folding import Folding, Item, fold
from nbdt.view.html import NodeDetails, Prototype, to_html
from nbdt.view.layout import Layout, layout
from nbdt.view.maps import MapPicture, decision_map, depth_map
from nbdt.view.notebook import Comparison, compare
from nbdt.view.svg import to_svg
from nbdt.view.svg.evidence import attribution_svg
from nbdt.view.svg.tanglegram import tanglegram_svg
from nbdt.view.terminal import to_rich, to_text

__all__ = [
    "Comparison",
    "Folding",
    "Item",
    "Layout",
    "MapPicture",
    "NodeDetails",
    "Prototype",
    "attribution_rich",
    "attribution_svg",
    "attribution_text",
    "compare",
    "compare_svg",
    "decision_map",
    "depth_map",
    "fold",
    "layout",
    "render",
    "tanglegram_svg",
    "to_graphviz",
    "to_html",
    "to_rich",
    "to_svg",
    "to_text",
]
