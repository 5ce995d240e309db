"""Pictures of scorecards, a colored cell a condition.

Green where it is met, orange where it is broken, yellow where the functional gave no number, grey where it does not
apply.

Energies in the cells are in hartree (mHa for hydrogen), everything else has no unit.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matembed.densities.conditions import CONDITIONS, Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from matembed.densities.scorecards import Scorecard

__all__ = ["draw_one", "draw_several"]

_COLORS = {"pass": "#cfe8dc", "fail": "#f4b183", "no number": "#fff2b3", "not applicable": "#ececec"}
_CELL = 0.58, 0.28  # inches
_DARK, _DIM = "#222222", "#555555"


def draw_one(card: "Scorecard") -> "Figure":
    """Draw conditions from top to bottom, what was wanted beside the number.

    Parameters
    ----------
    card : Scorecard
        Of one functional.

    Returns
    -------
    matplotlib.figure.Figure
        A list.
    """
    levels, titles, end = _places(gap=0.9)
    figure, axes = _canvas(10.2, end, margin=(2.3, 0.5))
    for level, outcome in zip(levels, card.outcomes, strict=True):
        _cell(axes, 0, level, outcome)
        axes.text(-0.12, level + 0.5, outcome.name, ha="right", va="center", size=9, color=_DARK)
        axes.text(1.15, level + 0.5, outcome.wanted, va="center", size=8, color=_DIM)
    for level, title in titles:
        axes.text(-0.12, level - 0.4, title, ha="right", va="center", size=9, weight="bold", color=_DARK)
    axes.text(0, -0.35, f"{card.functional}: {card.summary()}", va="bottom", size=10, weight="bold", color=_DARK)
    return figure


def draw_several(cards: "Sequence[Scorecard]") -> "Figure":
    """Draw functionals from top to bottom, conditions from left to right.

    Parameters
    ----------
    cards : sequence of Scorecard
        At least one.

    Returns
    -------
    matplotlib.figure.Figure
        A table; beside each row how many conditions were met.
    """
    levels, titles, end = _places(gap=0.35)
    longest = max(len(card.functional) for card in cards)
    figure, axes = _canvas(end + 1.6, len(cards), margin=(0.3 + 0.075 * longest, 1.9))
    for row, card in enumerate(cards):
        for level, outcome in zip(levels, card.outcomes, strict=True):
            _cell(axes, level, row, outcome)
        axes.text(levels[0] - 0.12, row + 0.5, card.functional, ha="right", va="center", size=9, color=_DARK)
        met, of = card.n_met
        axes.text(end + 0.12, row + 0.5, f"{met} of {of}", va="center", size=8, color=_DIM)
    for level, condition in zip(levels, CONDITIONS, strict=True):
        axes.text(level + 0.4, -0.2, condition.name, rotation=50, rotation_mode="anchor", size=8.5, color=_DARK)
    for level, title in titles:
        axes.text(level, len(cards) + 0.5, title, va="center", size=9, weight="bold", color=_DARK)
    return figure


def _places(gap: float) -> tuple[list[float], list[tuple[float, str]], float]:
    """Say where every condition is, where every part begins, and where all end; in cells."""
    levels: list[float] = []
    titles: list[tuple[float, str]] = []
    level, part = 0.0, ""
    for condition in CONDITIONS:
        if condition.part != part:
            level, part = level + gap, condition.part
            titles.append((level, part))
        levels.append(level)
        level += 1
    return levels, titles, level


def _canvas(n_across: float, n_down: float, *, margin: tuple[float, float]) -> "tuple[Figure, Axes]":
    """Make a figure whose cells all have one size; margins, at the left and the top, in inches."""
    from matembed.downstream.plots._style import new_figure

    left, top = margin
    width, height = n_across * _CELL[0], n_down * _CELL[1]
    size = left + width, top + height + 0.4
    figure = new_figure(*size)
    figure.set_layout_engine("none")  # sizes are set here
    axes = figure.add_axes((left / size[0], 0.4 / size[1], width / size[0], height / size[1]))
    axes.set(xlim=(0, n_across), ylim=(n_down, 0))
    axes.axis("off")
    return figure, axes


def _cell(axes: "Axes", left: float, top: float, outcome: Outcome) -> None:
    from matplotlib.patches import Rectangle

    color = _COLORS[outcome.verdict]
    axes.add_patch(Rectangle((left, top), 1, 1, facecolor=color, edgecolor="white", linewidth=1.2))
    weight = "bold" if outcome.passed is False else "normal"
    axes.text(left + 0.5, top + 0.52, outcome.number, ha="center", va="center", size=7.5, color=_DARK, weight=weight)
