"""One number per element, on the periodic table."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from matembed.downstream.plots._periodic_table_layout import PALE, add_table_axes, cells, draw_cell, draw_key
from matembed.downstream.plots._style import DIVERGING, SEQUENTIAL, in_house_style, new_figure, set_title, wrap
from matembed.embeddings import EmbeddingTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["periodic_table"]


@in_house_style
def periodic_table(
    values: "EmbeddingTable | Mapping[str, float] | pd.Series",
    *,
    component: int | None = None,
    similar_to: str | None = None,
    title: str | None = None,
    unit: str = "",
    cmap: str | Colormap | None = None,
    show_values: bool = True,
) -> Figure:
    """Draw one number per element as a heatmap of the periodic table.

    Values of both signs get diverging colours centred on 0, others sequential ones. Elements without a value are
    hatched.

    Parameters
    ----------
    values : EmbeddingTable, mapping of str to float, or Series
        One number per element symbol, where None and NaN say that there is none; or a table, together with `component`
        or `similar_to`, of which the element tokens are drawn.
    component : int, optional
        Draw this column of the table, counted from 0.
    similar_to : str, optional
        Draw the cosine similarity to this token of the table, in -1 to 1. Its own cell, when it is an element, is
        outlined and left out of the range of the colours.
    title : str, optional
        By default the name of the table, or none.
    unit : str, default ""
        Unit or name of the values, written beside the colour bar. By default what was asked of the table.
    cmap : str or Colormap, optional
        ``"RdBu_r"`` for values of both signs and ``"viridis"`` for others by default.
    show_values : bool, default True
        Write the number in each cell.

    Returns
    -------
    Figure
        8 inches wide.

    Raises
    ------
    TypeError
        If `values` is neither a table nor keyed by element.
    ValueError
        If there is nothing to draw, a key is no element or comes twice, a value is no finite number, `component` is out
        of range, or a table comes without one of `component` and `similar_to`.
    UnknownTokenError
        If the table has no vector for `similar_to`.

    Examples
    --------
    >>> figure = periodic_table({"Li": 0.98, "C": 2.55, "F": 3.98}, unit="electronegativity (Pauling)")
    >>> [text.get_text() for text in figure.axes[0].texts][6:9]
    ['Li', '3', '0.98']
    """
    if isinstance(values, EmbeddingTable):
        numbers, meaning = _numbers_of_table(values, component, similar_to)
        title = values.card.name if title is None else title
    elif component is not None or similar_to is not None:
        msg = f"component and similar_to are read from an EmbeddingTable; values is a {type(values).__name__}"
        raise ValueError(msg)
    else:
        numbers, meaning = _numbers_of_mapping(values), ""
    scaled = [value for symbol, value in numbers.items() if symbol != similar_to] or list(numbers.values())
    norm = _norm(scaled)
    colors = _colormap(cmap, norm)
    write = _number_format(scaled)

    figure = new_figure(8, 4.6 if title else 4.25)
    axes = add_table_axes(figure)
    for cell in cells():
        value = numbers.get(cell.symbol)
        if value is None:
            draw_cell(axes, cell, PALE, hatched=True)
        else:
            draw_cell(axes, cell, colors(norm(value)), write(value) if show_values else "")
        if cell.symbol == similar_to:
            axes.add_patch(Rectangle((cell.column, cell.row), 0.96, 0.96, fill=False, edgecolor="black", linewidth=2))

    bar_axes = axes.inset_axes((2.7, 1.05, 8.6, 0.32), transform=axes.transData)
    outliers = "max" if max(numbers.values()) > norm.vmax else "neither"  # type: ignore[operator]
    bar = figure.colorbar(ScalarMappable(norm, colors), cax=bar_axes, orientation="horizontal", extend=outliers)
    bar.outline.set_visible(False)
    bar.ax.ticklabel_format(axis="x", useOffset=False)
    bar.ax.tick_params(labelsize=7)
    bar.ax.set_title(wrap(unit or meaning, 58), fontsize=8)
    if any(symbol not in numbers for symbol, *_ in cells()):
        draw_key(axes, 5.9, 2.5, PALE, "no value", hatched=True)
    set_title(figure, title)
    return figure


def _numbers_of_table(
    table: EmbeddingTable, component: int | None, similar_to: str | None
) -> tuple[dict[str, float], str]:
    """Read one number per element off a table, and what it means."""
    known = {cell.symbol for cell in cells()}
    rows = {token: row for row, token in enumerate(table.tokens) if token in known}
    if not rows:
        msg = f"{table!r} has no element token such as 'Fe', so nothing for a periodic table; try embedding_map"
        raise ValueError(msg)
    if (component is None) == (similar_to is None):
        msg = (
            'a table has many numbers per element: pass component=0 for its first column, or similar_to="Fe", not both'
        )
        raise ValueError(msg)
    if similar_to is not None:
        return {symbol: table.similarity(similar_to, symbol) for symbol in rows}, f"cosine similarity to {similar_to}"
    if isinstance(component, bool) or not isinstance(component, int | np.integer) or not 0 <= component < table.dim:
        msg = f"component must be an integer from 0 to {table.dim - 1}, got {component!r}"
        raise ValueError(msg)
    return {symbol: float(table.vectors[row, component]) for symbol, row in rows.items()}, f"component {component}"


def _numbers_of_mapping(values: "Mapping[str, float] | pd.Series") -> dict[str, float]:
    """Check one number per element; None and NaN are left out."""
    if not hasattr(values, "items"):
        msg = f"values must be an EmbeddingTable, or a mapping or Series keyed by element, got {type(values).__name__}"
        raise TypeError(msg)
    pairs = [(str(key), value) for key, value in values.items()]
    known = {cell.symbol for cell in cells()}
    numbers: dict[str, float] = {}
    for symbol, n_times in Counter(symbol for symbol, _ in pairs).items():
        if symbol not in known:
            msg = f"{symbol!r} is not a chemical element; values must be keyed by symbols such as 'Fe'"
            raise ValueError(msg)
        if n_times > 1:
            msg = f"{symbol} has {n_times} values; give one per element, such as their mean"
            raise ValueError(msg)
    for symbol, value in pairs:
        try:
            number = math.nan if value is None else float(value)
        except (TypeError, ValueError) as error:
            msg = f"the value of {symbol} must be a number, got {value!r}"
            raise ValueError(msg) from error
        if math.isinf(number):
            msg = f"the value of {symbol} is infinite; leave it out, or give None to have it hatched"
            raise ValueError(msg)
        if not math.isnan(number):
            numbers[symbol] = number
    if not numbers:
        msg = "no element has a value; there is nothing to draw"
        raise ValueError(msg)
    return numbers


def _norm(values: Sequence[float]) -> Normalize:
    low, high = min(values), max(values)
    if low < 0 < high:
        high = max(-low, high)
        return Normalize(-high, high)
    if low == high:
        return Normalize(low - 0.5, high + 0.5)
    return Normalize(low, high)


def _colormap(cmap: str | Colormap | None, norm: Normalize) -> Colormap:
    if isinstance(cmap, Colormap):
        return cmap
    name = cmap or (DIVERGING if norm.vmin == -norm.vmax else SEQUENTIAL)  # type: ignore[operator]
    if name not in mpl.colormaps:
        msg = f'matplotlib has no colour map {name!r}; choose one such as "viridis", "cividis" or "RdBu_r"'
        raise ValueError(msg)
    return mpl.colormaps[name]


def _number_format(values: Sequence[float]) -> Callable[[float], str]:
    """Choose one number of decimals for all cells, so that they can be compared at a glance."""
    largest = max(map(abs, values))
    if all(value == round(value) for value in values) and largest < 1e6:
        pattern = ".0f"
    elif not 1e-3 <= largest < 1e5:
        pattern = ".1e"
    else:
        magnitude = math.floor(math.log10(largest))
        pattern = f".{max(0, 2 - magnitude) if magnitude >= 0 else 1 - magnitude}f"
    return lambda value: format(value, f"z{pattern}").replace("-", "−")
