"""Where each element stands in the periodic table of 18 columns, lanthanides and actinides in two rows below."""

from functools import lru_cache
from typing import NamedTuple

__all__ = ["Cell", "cells"]


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
