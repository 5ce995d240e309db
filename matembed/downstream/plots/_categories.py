"""Which tokens of a map share a colour, and what the legend calls them."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from matembed.downstream.plots._style import PALETTE, color_and_marker, wrap
from matembed.downstream.plots._token_text import geometry_name, parts_of
from matembed.tokens import Kind

__all__ = ["DENSE", "LEGEND_TITLE", "OTHER", "Category", "Color", "categories_of", "color_for"]

Color = Literal["block", "group", "geometry", "cn", "element"]
OTHER = "other"
DENSE = 2000  # tokens; a map of more has small points, and more colours in place of shapes
LEGEND_TITLE = {
    "block": "block",
    "group": "group",
    "geometry": "geometry",
    "cn": "coordination\nnumber",
    "element": "element",
}
_MAX_CATEGORIES, _MAX_DENSE = 7, 12
_LEGEND_ORDER = ("s", "p", "d", "f", *map(str, range(1, 19)), "La–Lu", "Ac–Lr")
_COLOR_OF_KIND: dict[Kind | None, Color] = {
    "element": "block",
    "species": "block",
    "motif": "geometry",
    "geometry": "cn",
}


class Category(NamedTuple):
    """Points of one legend entry."""

    name: str
    rows: list[int]
    color: str
    marker: str


def color_for(tokens: Sequence[str], color: Color | None) -> Color | None:
    """Choose what colours suit the tokens, if any do, unless one is asked for."""
    if color is None:
        kinds = Counter(None if parts is None else parts.kind for parts in map(parts_of, tokens))
        return _COLOR_OF_KIND.get(kinds.most_common(1)[0][0])
    if color not in get_args(Color):
        msg = f"color must be one of {', '.join(get_args(Color))}, or None for what suits the tokens, got {color!r}"
        raise ValueError(msg)
    return color


def categories_of(tokens: Sequence[str], color: Color | None) -> list[Category]:
    """Group rows by what colours them, in the order of the legend; what has no category comes last."""
    if color is None:
        return [Category("tokens", list(range(len(tokens))), *color_and_marker(0))]
    rows: dict[str, list[int]] = {}
    for row, token in enumerate(tokens):
        rows.setdefault(_category_name(token, color), []).append(row)
    names = [name for name in rows if name != OTHER]
    if not names:
        msg = f"color={color!r} fits no token of this table, such as {tokens[0]!r}; choose another or leave it out"
        raise ValueError(msg)
    if color in ("geometry", "element"):
        names.sort(key=lambda name: (-len(rows[name]), name))
        n_named = _MAX_DENSE if len(tokens) > DENSE else _MAX_CATEGORIES
        names, rare = names[:n_named], names[n_named:]
        rows[OTHER] = [row for name in (*rare, OTHER) for row in rows.get(name, ())]
    else:
        names.sort(key=int if color == "cn" else _LEGEND_ORDER.index)
    legend = {name: _with_geometry_name(name) if color == "geometry" else name for name in names}
    looks = [color_and_marker(idx) for idx in range(len(names))]
    if len(tokens) > DENSE and len(names) > len(PALETTE):  # numbers or groups; no shape would tell a repeated colour
        shades = mpl.colormaps["turbo"](np.linspace(0, 1, len(names)))
        looks = [(to_hex(shade), marker) for shade, (_, marker) in zip(shades, looks, strict=True)]
    categories = [Category(legend[name], rows[name], *look) for name, look in zip(names, looks, strict=True)]
    return [*categories, Category(OTHER, rows[OTHER], "#c8c8c8", "o")] if rows.get(OTHER) else categories


def _category_name(token: str, color: Color) -> str:
    from pymatgen.core.periodic_table import Element

    parts = parts_of(token)
    if parts is None:
        return OTHER
    if color == "geometry":
        return parts.geometry or OTHER
    if color == "cn":
        return OTHER if parts.cn is None else str(parts.cn)
    if parts.element is None or color == "element":
        return parts.element or OTHER
    element = Element(parts.element)
    if color == "block":
        return "s" if parts.element == "He" else element.block  # pymatgen counts helium among the p block
    if element.is_lanthanoid or element.is_actinoid:
        return "La–Lu" if element.is_lanthanoid else "Ac–Lr"
    return str(element.group)


def _with_geometry_name(symbol: str) -> str:
    """Spell a ChemEnv symbol out, as far as ChemEnv knows it: "O:6 octahedron"."""
    name = geometry_name(symbol)
    return symbol if name is None else wrap(f"{symbol} {name}", 30)
