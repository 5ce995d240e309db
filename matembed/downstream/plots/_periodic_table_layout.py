"""The periodic table of 18 columns, lanthanides and actinides in two rows below: where cells stand, how they look."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from matembed.downstream.plots._style import GREY

__all__ = ["EDGE", "PALE", "Cell", "add_table_axes", "cells", "draw_cell", "draw_key"]

PALE, EDGE = "#f4f4f4", "#d6d6d6"
_SIDE = 0.96  # of a cell, in widths of a column


class Cell(NamedTuple):
    """An element's place: its left and top edges in widths of a cell, from the corner above hydrogen, downwards."""

    symbol: str
    number: int
    column: float
    row: float


@lru_cache(maxsize=1)
def cells() -> tuple[Cell, ...]:
    """Lay out the 118 elements, in order of atomic number.

    Returns
    -------
    tuple of Cell, length 118
        Columns 0 to 17 and rows 0 to 6; La to Lu and Ac to Lr stand below a gap, under columns 2 to 16.

    Examples
    --------
    >>> cells()[25]
    Cell(symbol='Fe', number=26, column=7, row=3)
    """
    from pymatgen.core.periodic_table import Element

    placed = []
    for number in range(1, 119):
        element = Element.from_Z(number)
        if element.is_lanthanoid or element.is_actinoid:
            first, row = (57, 7.4) if element.is_lanthanoid else (89, 8.4)
            placed.append(Cell(element.symbol, number, number - first + 2, row))
        else:
            placed.append(Cell(element.symbol, number, element.group - 1, element.row - 1))
    return tuple(placed)


def add_table_axes(figure: Figure) -> Axes:
    """Add axes on which a length of 1 is the width of a cell, with what stands in for the two rows below."""
    axes = figure.add_subplot()
    axes.set(xlim=(-0.05, 18.05), ylim=(9.45, -0.05), aspect="equal")
    axes.axis("off")
    for row, span in ((5, "57–71"), (6, "89–103")):
        axes.text(2.48, row + 0.48, span, ha="center", va="center", fontsize=6.5, color=GREY)
    return axes


def draw_cell(axes: Axes, cell: Cell, face: Any, note: str = "", *, hatched: bool = False) -> None:
    """Draw an element: its symbol and number, a note in small type below, on the colour `face`."""
    patch = Rectangle((cell.column, cell.row), _SIDE, _SIDE, facecolor=face, edgecolor=EDGE, linewidth=0.4)
    if hatched:
        patch.set_hatch("////")
    axes.add_patch(patch)
    inside: dict[str, Any] = {"color": GREY if face == PALE else _readable_on(face), "in_layout": False}
    middle = cell.column + _SIDE / 2
    axes.text(middle, cell.row + 0.5, cell.symbol, ha="center", va="center", fontsize=10, **inside)
    axes.text(cell.column + 0.06, cell.row + 0.05, str(cell.number), ha="left", va="top", fontsize=5, **inside)
    if note:
        axes.text(middle, cell.row + 0.92, note, ha="center", va="bottom", fontsize=6, **inside)


def draw_key(axes: Axes, x: float, y: float, face: Any, text: str, *, hatched: bool = False) -> None:
    """Draw a small cell and, to its right, what its colour means."""
    patch = Rectangle((x, y), 0.4, 0.3, facecolor=face, edgecolor=EDGE, linewidth=0.4)
    if hatched:
        patch.set_hatch("////")
    axes.add_patch(patch)
    axes.text(x + 0.55, y + 0.15, text, ha="left", va="center", fontsize=7, color=GREY)


def _readable_on(face: Any) -> str:
    """Choose black or white, whichever has more contrast by the WCAG definition of relative luminance."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(face)]
    luminance = float(np.dot(channels, (0.2126, 0.7152, 0.0722)))
    return "black" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "white"
