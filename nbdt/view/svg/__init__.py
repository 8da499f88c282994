"""A tree or an explanation as an SVG drawing, laid out in Python.

The drawings stand alone, hold their style sheet and their images, fetch nothing, run nothing, and
have no ids, so that any number of them can be put into one page.
"""

from nbdt.view.svg.frame import to_svg
from nbdt.view.svg.pictures import data_uri

__all__ = ["data_uri", "to_svg"]
