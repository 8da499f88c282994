"""Images made small and put into a text, as a ``data:`` address."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import replace

from PIL import Image

from nbdt.errors import InputError
from nbdt.hierarchy.lookup import Node, described, node_ids
from nbdt.inputs.image import to_mode
from nbdt.view.folding import Folding
from nbdt.view.labels import clean
from nbdt.view.svg.badge import THUMBNAIL

Picturable = Image.Image | str
"""An image, or its ``data:image/…`` address."""

ClassPictures = Mapping[int, Picturable] | Mapping[str, Picturable] | Mapping[Node, Picturable]
"""Pictures of classes, by the leaf or its name."""

_ADDRESS = re.compile(r"data:image/(png|jpeg|gif|webp|avif|svg\+xml)[;,][!-~]*")


def data_uri(image: Picturable, size: int) -> str:
    """The image as a ``data:`` address, small enough to be sharp at `size` pixels.

    A PIL image is made smaller or, when tiny, larger with its pixels kept square; a
    ``data:image/…`` address is checked and passed on.
    """
    if isinstance(image, str):
        if not _ADDRESS.fullmatch(image):
            raise InputError(
                "an image given as text must be a data:image/… address, so that nothing is "
                f"fetched from elsewhere; got {image[:60]!r}."
            )
        return image
    if not isinstance(image, Image.Image):
        raise InputError(
            f"an image must be a PIL image or a data:image/… address, got {type(image).__name__}."
        )
    if min(image.size) == 0:
        raise InputError(f"an image needs pixels, got one of {image.width} × {image.height}.")
    # Twice as many pixels as it is drawn with, for screens that have them.
    scale = 2 * size / max(image.size)
    target = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Pillow cuts off what 16 bits hold beyond 8, where the network sees the upper ones.
    deep = image.mode[0] in "IF"
    clear = not deep and (image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info)
    image = image.convert("RGBA") if clear else to_mode(image, "RGB")
    tiny = max(image.size) <= size
    image = image.resize(target, Image.Resampling.NEAREST if tiny else Image.Resampling.LANCZOS)
    kind = "png" if tiny or clear else "jpeg"
    written = io.BytesIO()
    image.save(written, kind, optimize=kind == "png", quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode()}"


def pictured(folding: Folding, images: ClassPictures | None) -> Folding:
    """What is drawn, with the images of classes; those of unknown classes are left out.

    Only an explanation without its tree leaves classes unknown.
    """
    if images is None:
        return folding
    if not isinstance(images, Mapping):
        raise InputError(
            "images must be a dictionary from classes to their pictures, got "
            f"{type(images).__name__}."
        )
    small: dict[Node, str] = {key: data_uri(one, int(THUMBNAIL)) for key, one in images.items()}
    tree = folding.tree
    if tree is None:
        by_name = {clean(node): uri for node, uri in small.items() if isinstance(node, str)}
        uris = {one.node: small.get(one.node) or by_name.get(one.name) for one in folding.items}
    else:
        leaves = node_ids(tree, small)
        for leaf in leaves:
            if not tree.is_leaf(leaf):
                raise InputError(
                    f"images must be of classes, by leaf or name; {described(tree, leaf)} is a "
                    "group."
                )
        uris = dict(zip(leaves, small.values(), strict=True))
    items = (
        replace(item, uri=uris.get(item.node) or "") if item.kind == "class" else item
        for item in folding.items
    )
    return replace(folding, items=tuple(items))
