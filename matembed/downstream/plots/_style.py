"""How every figure looks: size, colours, markers, titles and layout, whatever the user's settings."""

import io
import textwrap
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib.style
from matplotlib.figure import Figure

__all__ = [
    "DIVERGING",
    "GREY",
    "INK",
    "PALETTE",
    "SEQUENTIAL",
    "color_and_marker",
    "in_house_style",
    "lay_out",
    "new_figure",
    "set_title",
    "with_unit",
    "wrap",
]

INK, GREY = "#222222", "#595959"
SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"
# Okabe and Ito's palette, which colour-blind readers tell apart, without black; similar hues are far apart. Then wine,
# indigo, olive, salmon and brown for what has more categories.
PALETTE = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442"),
    *("#882255", "#332288", "#999933", "#F4A6A6", "#8C510A"),
)
_MARKERS = ("o", "s", "^", "D", "v")

_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_Arguments = ParamSpec("_Arguments")


class _Picture(Figure):
    """A figure that notebooks show although pyplot does not know it, on its own background."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        super().savefig(*args, **{"facecolor": "auto", **kwargs})

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure; lengths in inches."""
    return _Picture(figsize=(width, height), dpi=100, layout="constrained")


def lay_out(figure: Figure) -> None:
    """Run the layout until it rests: tick labels change with the size of their axes, and the axes with them."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        engine.execute(figure)


def in_house_style(draw: Callable[_Arguments, Figure]) -> Callable[_Arguments, Figure]:
    """Shut the user's settings out, and finish the figure before they come back: matplotlib makes ticks late."""

    @wraps(draw)
    def styled(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Figure:
        with matplotlib.style.context(["default", _STYLE]):
            figure = draw(*args, **kwargs)
            lay_out(figure)
        figure.set_layout_engine("none")  # or each drawing would move things by a fraction of a pixel
        return figure

    return styled


def color_and_marker(idx: int) -> tuple[str, str]:
    """Give a category a colour and a marker, so that it is told from its neighbours by either."""
    return PALETTE[idx % len(PALETTE)], _MARKERS[idx % len(_MARKERS)]


def set_title(figure: Figure, title: str | None) -> None:
    """Write a title, if there is one, on as many lines as it needs."""
    if title:
        figure.suptitle(wrap(title, int(10 * figure.get_figwidth())), fontsize=11)


def wrap(text: str, width: int) -> str:
    """Break a text into lines of at most `width` letters."""
    return textwrap.fill(text, width)


def with_unit(label: str, unit: str) -> str:
    """Write the unit of an axis, if it has one, behind its label."""
    return f"{label} ({unit})" if unit else label
