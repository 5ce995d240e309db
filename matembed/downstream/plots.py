"""Figures: what a table of embeddings, a set of predictions or a benchmark looks like.

Every function returns a :class:`matplotlib.figure.Figure` in one plain style, whatever the user's matplotlib settings,
and touches neither pyplot nor a display. Notebooks show the figure; ``figure.savefig(path)`` writes it.
"""

import io
import math
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, get_args

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from matembed._optional import import_extra
from matembed.downstream._periodic_table_layout import cells
from matembed.embeddings import EmbeddingTable
from matembed.tokens import Kind, Token, kind_of, parse_token, species_token

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["embedding_map", "learning_curve", "parity", "periodic_table", "similarity_heatmap"]

Method = Literal["pca", "tsne", "umap"]
Color = Literal["block", "group", "geometry", "cn", "element"]

_STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_INK, _GREY, _PALE = "#222222", "#595959", "#f4f4f4"
# Okabe and Ito's palette, which colour-blind readers tell apart, without black; similar hues are far apart.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_MARKERS = ("o", "s", "^", "D", "v")
_SEQUENTIAL, _DIVERGING = "viridis", "RdBu_r"
_MAX_CATEGORIES = 9
_MAX_HEATMAP_TOKENS = 150
_DENSE = 1000
_MAX_UNIT = 16  # letters; a longer unit stands on the axes only
# Labels of a map: how many "auto" writes, where they may stand, how many points one may cover, up to
# how many are written larger, and after how many without room to stop.
_N_LABELS = 40
_DIRECTIONS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)], dtype=np.float64)
_REACHES = np.array([0, 9, 20, 32])  # typographic points
_MAX_COVERED = 2
_FEW, _GIVE_UP = 30, 100
_Arguments = ParamSpec("_Arguments")


class _Picture(Figure):
    """A figure that notebooks show although pyplot does not know it, on its own background."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        super().savefig(*args, **{"facecolor": "auto", **kwargs})

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    return _Picture(figsize=(width, height), dpi=100, layout="constrained")


def _lay_out(figure: Figure) -> None:
    """Run the layout until it rests: tick labels change with the size of their axes, and the axes with them."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        engine.execute(figure)


def _in_house_style(draw: Callable[_Arguments, Figure]) -> Callable[_Arguments, Figure]:
    """Shut the user's settings out, and finish the figure before they come back: matplotlib makes ticks late."""

    @wraps(draw)
    def styled(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Figure:
        with matplotlib.style.context(["default", _STYLE]):
            figure = draw(*args, **kwargs)
            _lay_out(figure)
        figure.set_layout_engine("none")  # or each drawing would move things by a fraction of a pixel
        return figure

    return styled


@_in_house_style
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
    ValueError
        If there is nothing to draw, a key is no element or comes twice, a value is no finite number, `component` is out
        of range, or a table comes without one of `component` and `similar_to`.
    UnknownTokenError
        If the table has no vector for `similar_to`.

    Examples
    --------
    >>> figure = periodic_table({"Li": 0.98, "C": 2.55, "F": 3.98}, unit="electronegativity (Pauling)")
    >>> [text.get_text() for text in figure.axes[0].texts][:3]
    ['H', '1', 'He']
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

    figure = _figure(8, 4.6 if title else 4.25)
    axes = figure.add_subplot()
    axes.set(xlim=(-0.05, 18.05), ylim=(9.45, -0.05), aspect="equal")
    axes.axis("off")
    for symbol, number, column, row in cells():
        value = numbers.get(symbol)
        face = _PALE if value is None else colors(norm(value))
        cell = Rectangle((column, row), 0.96, 0.96, facecolor=face, edgecolor="#d6d6d6", linewidth=0.4)
        if value is None:
            cell.set_hatch("////")
        axes.add_patch(cell)
        inside: dict[str, Any] = {"color": _GREY if value is None else _readable_on(face), "in_layout": False}
        middle = column + 0.48
        axes.text(middle, row + 0.5, symbol, ha="center", va="center", fontsize=10, **inside)
        axes.text(column + 0.06, row + 0.05, str(number), ha="left", va="top", fontsize=5, **inside)
        if show_values and value is not None:
            axes.text(middle, row + 0.92, write(value), ha="center", va="bottom", fontsize=6, **inside)
        if symbol == similar_to:
            axes.add_patch(Rectangle((column, row), 0.96, 0.96, fill=False, edgecolor="black", linewidth=2))
    for row, span in ((5, "57–71"), (6, "89–103")):
        axes.text(2.48, row + 0.48, span, ha="center", va="center", fontsize=6.5, color=_GREY)

    bar_axes = axes.inset_axes((2.7, 1.05, 8.6, 0.32), transform=axes.transData)
    outliers = "max" if max(numbers.values()) > norm.vmax else "neither"  # type: ignore[operator]
    bar = figure.colorbar(ScalarMappable(norm, colors), cax=bar_axes, orientation="horizontal", extend=outliers)
    bar.outline.set_visible(False)
    bar.ax.ticklabel_format(axis="x", useOffset=False)
    bar.ax.tick_params(labelsize=7)
    bar.ax.set_title(_wrap(unit or meaning, 58), fontsize=8)
    if any(symbol not in numbers for symbol, *_ in cells()):
        axes.add_patch(
            Rectangle((5.9, 2.5), 0.4, 0.3, facecolor=_PALE, edgecolor="#d6d6d6", linewidth=0.4, hatch="////")
        )
        axes.text(6.45, 2.65, "no value", ha="left", va="center", fontsize=7, color=_GREY)
    _set_title(figure, title)
    return figure


@_in_house_style
def embedding_map(
    table: EmbeddingTable,
    *,
    method: Method = "pca",
    color: Color | None = None,
    labels: Literal["auto"] | bool | Collection[str] = "auto",
    seed: int = 0,
    title: str | None = None,
) -> Figure:
    """Draw a table as a map: one point per token, near each other when their vectors are.

    The two axes of a map have the same scale. PCA shows the two directions in which the vectors differ most; t-SNE [1]_
    and UMAP [2]_ keep neighbours by cosine similarity, and distances between their clusters mean little.

    Parameters
    ----------
    table : EmbeddingTable
        Three tokens or more (five for "tsne" and "umap"), ``dim`` 2 or more.
    method : {"pca", "tsne", "umap"}
        Principal components of the vectors as they are; t-SNE of perplexity 30 (less for under 91 tokens); UMAP of 15
        neighbours, for which the extra ``viz`` must be installed.
    color : {"block", "group", "geometry", "cn", "element"}, optional
        Block or group of the element (of a motif: of its centre); ChemEnv geometry, coordination number or centre of a
        motif. The commonest nine geometries or elements get their own colour. By default block for elements and
        species, geometry for motifs, coordination number for geometries, and one colour for anything else.
    labels : "auto", bool, or collection of str
        Write the first 40 tokens (and every element) of the table, as many as there is room for, none, or these. Labels
        never overlap: those without room are left out, the last ones first.
    seed : int, default 0
        Seed of t-SNE and UMAP.
    title : str, optional
        By default the name of the table.

    Returns
    -------
    Figure
        8 inches wide.

    Raises
    ------
    ValueError
        If the table is too small or its vectors are all the same, or `method`, `color` or `labels` is unknown or does
        not fit the tokens.
    UnknownTokenError
        If a token of `labels` is not in the table.
    ImportError
        If `method` is "umap" and umap-learn is not installed.

    References
    ----------
    .. [1] L. van der Maaten and G. Hinton, J. Mach. Learn. Res. 9, 2579 (2008).
    .. [2] L. McInnes, J. Healy and J. Melville, arXiv:1802.03426 (2018).

    Examples
    --------
    >>> from matembed.cards import Card
    >>> table = EmbeddingTable(("Li", "Na", "Cl"), [[1.0, 0.1], [0.9, 0.2], [-1.0, 0.3]], Card("demo"))
    >>> embedding_map(table).axes[0].get_xlabel()
    'PC 1 (100 %)'
    """
    wanted = _tokens_to_label(table, labels)
    points, axis_labels = _map_points(table, method, seed)
    color = _color_for(table.tokens, color)
    categories = _categories(table.tokens, color)

    figure = _figure(8, 6)
    axes = figure.add_subplot(xlabel=axis_labels[0], ylabel=axis_labels[1])
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.08)
    if method != "pca":
        axes.set(xticks=[], yticks=[])
    size = float(np.clip(4000 / len(table), 8, 30))
    for style in categories:
        axes.scatter(
            points[style.rows, 0],
            points[style.rows, 1],
            s=size,
            c=[style.color],
            marker=style.marker,
            edgecolors=_INK,
            linewidths=0.3,
            label=style.name,
            zorder=2 if style.name == "other" else 3,
        )
    if color is not None:
        legend = figure.legend(loc="outside right upper", title=_LEGEND_TITLE[color])
        for handle in legend.legend_handles:
            handle.set_sizes([30])  # type: ignore[union-attr]
    _set_title(figure, table.card.name if title is None else title)
    _lay_out(figure)  # says how wide the axes are; their height is made to fit the points
    room, extent = axes.get_window_extent(), np.ptp(points, axis=0)
    height = np.clip(room.width * extent[1] / extent[0], 350, 600)
    figure.set_figheight(figure.get_figheight() + float(height - room.height) / figure.dpi)
    _lay_out(figure)
    figure.set_layout_engine("none")  # or the places found for labels would move
    _place_labels(axes, points, [(table.row(token), _pretty(token)) for token in wanted], clearance=math.sqrt(size) / 2)
    return figure


@_in_house_style
def similarity_heatmap(
    table: EmbeddingTable, *, tokens: Collection[str] | None = None, title: str | None = None
) -> Figure:
    """Draw the cosine similarities of all pairs of tokens, beside the tree that groups them.

    Rows and columns have the same order: that of an average-linkage tree of 1 - similarity, its branches turned so that
    similar neighbours meet [1]_. The colours, centred on 0, span the similarities of different tokens; the diagonal,
    1 by definition, is grey.

    Parameters
    ----------
    table : EmbeddingTable
        The vectors.
    tokens : collection of str, optional
        The 2 to 150 tokens to compare. All by default.
    title : str, optional
        By default the name of the table.

    Returns
    -------
    Figure
        5 to 12 inches wide.

    Raises
    ------
    ValueError
        If there are fewer than 2 or more than 150 tokens.
    UnknownTokenError
        If the table has no vector for a token.

    References
    ----------
    .. [1] Z. Bar-Joseph, D. K. Gifford and T. S. Jaakkola, Bioinformatics 17, S22 (2001).

    Examples
    --------
    >>> from matembed.cards import Card
    >>> table = EmbeddingTable(("Li", "Cl", "Na"), [[1.0, 0.1], [-1.0, 0.3], [0.9, 0.2]], Card("demo"))
    >>> [label.get_text() for label in similarity_heatmap(table).axes[0].get_yticklabels()]
    ['Cl', 'Na', 'Li']
    """
    from scipy.cluster.hierarchy import dendrogram, linkage

    chosen = table if tokens is None else table.subset(tokens)
    n_tokens = len(chosen)
    if not 2 <= n_tokens <= _MAX_HEATMAP_TOKENS:
        msg = (
            f"a heatmap is readable for 2 to {_MAX_HEATMAP_TOKENS} tokens, got {n_tokens:,}; pass some as tokens=[...]"
        )
        raise ValueError(msg)
    similarity = chosen.similarity_matrix()
    distance = np.maximum(1 - similarity, 0)
    tree = linkage(distance[np.triu_indices(n_tokens, k=1)], method="average", optimal_ordering=True)
    drawn = dendrogram(tree, no_plot=True)
    order = np.array(drawn["leaves"])
    names = [_pretty(chosen.tokens[row]) for row in order]

    side = float(np.clip(0.2 * n_tokens, 3, 6.2 if n_tokens <= 100 else 7.5))
    pitch, longest = 72 * side / n_tokens, max(map(len, names))
    staggered = pitch < (6.8 if longest <= 4 else 5.6)
    font_size = min(9.0, pitch * (1.55 if staggered else 0.8))
    label_width = longest * font_size * (1.3 if staggered else 0.62) / 72
    figure = _figure(1.17 * side + label_width + 1.1, side + label_width + 0.4)
    grid = figure.add_gridspec(1, 2, width_ratios=(0.16, 1), wspace=0.01)
    axes, branches = figure.add_subplot(grid[1]), figure.add_subplot(grid[0])
    shown = similarity[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    limit = np.nanmax(np.abs(shown)) or 1
    colors = mpl.colormaps[_DIVERGING].with_extremes(bad="#a6a6a6")
    image = axes.imshow(shown, cmap=colors, norm=Normalize(-limit, limit), interpolation="nearest", aspect="auto")
    axes.spines[:].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        positions = range(n_tokens)
        text: dict[str, Any] = {"fontsize": font_size, "parse_math": False, "rotation": 90 if axis is axes.xaxis else 0}
        if staggered:  # labels in two columns have twice the room
            axis.set_ticks(positions[::2], names[::2], **text)
            axis.set_ticks(positions[1::2], names[1::2], minor=True, **text)
            inner = max(map(len, names[::2])) * font_size * 0.65
            axis.set_tick_params(which="minor", length=inner + 8, width=0.3, color="#bbbbbb", pad=1)
        else:
            axis.set_ticks(positions, names, **text)
        axis.set_tick_params(which="major", length=2, width=0.5, pad=2)
    axes.yaxis.tick_right()

    for places, heights in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        branches.plot(heights, (np.array(places) - 5) / 10, color=_GREY, linewidth=0.8, solid_joinstyle="miter")
    branches.set(ylim=axes.get_ylim(), xlim=(max(tree[-1, 2] * 1.03, 1e-9), 0))
    branches.axis("off")
    bar = figure.colorbar(image, ax=axes, shrink=min(1, 3 / side), aspect=16)
    bar.set_label("cosine similarity")
    bar.outline.set_visible(False)
    _set_title(figure, table.card.name if title is None else title)
    _lay_out(figure)  # says how much room the labels take; what is left is made square
    room = axes.get_window_extent()
    figure.set_figheight(figure.get_figheight() + (room.width - room.height) / figure.dpi)
    return figure


@_in_house_style
def parity(
    target: ArrayLike, predicted: ArrayLike, *, unit: str = "", label: str = "property", title: str = ""
) -> Figure:
    """Draw predictions against the truth, with the line on which both are equal and the scores.

    Parameters
    ----------
    target : array-like of float, shape (n_samples,)
        True values.
    predicted : array-like of float, shape (n_samples,)
        Predictions, in the same order and unit.
    unit : str, default ""
        Unit of both.
    label : str, default "property"
        Name of the property.
    title : str, default ""
        Title of the figure.

    Returns
    -------
    Figure
        Mean absolute error (MAE), root mean square error (RMSE), coefficient of determination (R², where the targets
        differ) and number of samples stand in a corner. Over 1,000 samples are drawn as densities.

    Raises
    ------
    ValueError
        If there is no sample, the lengths differ, or a value is not a finite number.

    Examples
    --------
    >>> figure = parity([0.0, 1.0, 2.0], [0.5, 1.0, 2.0], unit="eV", label="band gap")
    >>> figure.axes[0].texts[0].get_text().splitlines()[0]
    'MAE = 0.167 eV'
    """
    truth, guess = _finite_vector(target, "target"), _finite_vector(predicted, "predicted")
    if len(truth) != len(guess):
        msg = f"target and predicted must have one value per sample each, got {len(truth):,} and {len(guess):,}"
        raise ValueError(msg)
    if not len(truth):
        msg = "target and predicted are empty; there is nothing to draw"
        raise ValueError(msg)
    error = guess - truth
    spread = float(np.sum((truth - truth.mean()) ** 2))
    r2 = _plain(1 - float(np.sum(error**2)) / spread) if spread > 0 else "undefined"
    measured = f" {unit}" if 0 < len(unit) <= _MAX_UNIT else ""
    scores = (
        f"MAE = {_plain(float(np.abs(error).mean()))}{measured}\n"
        f"RMSE = {_plain(math.sqrt(float(np.mean(error**2))))}{measured}\n"
        f"R² = {r2}\n"
        f"n = {len(truth):,}"
    )
    low, high = float(min(truth.min(), guess.min())), float(max(truth.max(), guess.max()))
    margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    low, high = low - margin, high + margin

    figure = _figure(5.6 if len(truth) > _DENSE else 5, 4.8)
    axes = figure.add_subplot(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(_wrap(_with_unit(f"true {label}", unit), 45))
    axes.set_ylabel(_wrap(_with_unit(f"predicted {label}", unit), 45))
    if len(truth) > _DENSE:
        bins = axes.hexbin(
            truth, guess, gridsize=55, extent=(low, high, low, high), mincnt=1, cmap=_SEQUENTIAL, norm=LogNorm()
        )
        bins.set_linewidth(0.1)
        bar = figure.colorbar(bins, ax=axes, shrink=0.8, aspect=25, ticks=LogLocator(subs=(1, 2, 5)), format="%d")
        bar.set_label("samples")
        bar.outline.set_visible(False)
    else:
        axes.scatter(truth, guess, s=14, color=_PALETTE[0], alpha=0.75 if len(truth) < 200 else 0.4, linewidths=0)
    axes.axline((low, low), (high, high), color=_INK, linewidth=0.9, linestyle="--")
    place = (np.column_stack([truth, guess]) - low) / (high - low)
    n_above, n_below = (
        int(np.sum((corner < (0.4, 0.3)).all(axis=1))) for corner in (abs(place - (0, 1)), abs(place - (1, 0)))
    )
    above = n_above <= n_below  # the box stands in the emptier corner off the line
    axes.annotate(
        scores,
        (0, 1) if above else (1, 0),
        (8, -8) if above else (-8, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left" if above else "right",
        va="top" if above else "bottom",
        fontsize=8.5,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "#cccccc", "alpha": 0.9},
    )
    _set_title(figure, title)
    return figure


@_in_house_style
def learning_curve(
    scores: "pd.DataFrame | Mapping[str, Sequence[Any]]",
    *,
    score: str = "mae",
    unit: str = "",
    label: str | None = None,
    title: str = "",
) -> Figure:
    """Draw an error against the number of training samples, one line per feature set.

    Points are means over the rows (folds) of the same features and size; bars are standard errors of these means. Both
    axes are logarithmic, as errors tend to fall with a power of the size [1]_; the score axis is linear for ``"r2"``
    and for scores that reach 0.

    Parameters
    ----------
    scores : DataFrame, or mapping of columns
        One row per fitted model, with columns ``features`` (name of the feature set), ``n_train`` (samples trained on)
        and `score`.
    score : str, default "mae"
        Column to draw.
    unit : str, default ""
        Unit of the score.
    label : str, optional
        Name of the score; `score` in capitals by default.
    title : str, default ""
        Title of the figure.

    Returns
    -------
    Figure
        8 inches wide. The legend has the order of the lines at their right ends.

    Raises
    ------
    ValueError
        If a column is missing, there is no row, or a number is not finite or a size not positive.

    References
    ----------
    .. [1] C. Cortes et al., Adv. Neural Inf. Process. Syst. 6, 327 (1994).

    Examples
    --------
    >>> rows = {"features": ["a", "a", "b", "b"], "n_train": [10, 100, 10, 100], "mae": [0.9, 0.3, 0.8, 0.5]}
    >>> [text.get_text() for text in learning_curve(rows, unit="eV").legends[0].get_texts()]
    ['b', 'a']
    """
    import pandas as pd

    frame = pd.DataFrame(scores)
    missing = [column for column in ("features", "n_train", score) if column not in frame]
    if missing:
        msg = f"scores needs the columns features, n_train and {score}; missing: {', '.join(missing)}"
        raise ValueError(msg)
    if frame.empty:
        msg = "scores has no row; there is nothing to draw"
        raise ValueError(msg)
    sizes = _finite_vector(frame["n_train"], "n_train")
    if sizes.min() <= 0:
        msg = f"n_train must be 1 or more, got {sizes.min():g}"
        raise ValueError(msg)
    clean = pd.DataFrame({"features": frame["features"].astype(str).to_numpy(), "n_train": sizes})
    clean["score"] = _finite_vector(frame[score], score)
    points = clean.groupby(["features", "n_train"], sort=True)["score"].agg(["mean", "sem"]).reset_index()
    last = points.groupby("features")["mean"].last().sort_values(ascending=False, kind="stable")

    figure = _figure(8, 4.6)
    axes = figure.add_subplot(xscale="log", xlim=(sizes.min() / 1.15, sizes.max() * 1.15), xlabel="training samples")
    axes.set_ylabel(_wrap(_with_unit(label or {"r2": "R²"}.get(score, score.upper()), unit), 50))
    style_of = {name: _style(idx) for idx, name in enumerate(dict.fromkeys(clean["features"]))}
    for name in last.index:
        line = points[points["features"] == name]
        color, marker = style_of[name]
        axes.errorbar(
            line["n_train"],
            line["mean"],
            yerr=line["sem"].fillna(0),
            label=_wrap(name, 30),
            color=color,
            marker=marker,
            markersize=5,
            linewidth=1.4,
            capsize=2.5,
            elinewidth=1,
        )
    half_bars = points["sem"].fillna(0)
    low, high = float((points["mean"] - half_bars).min()), float((points["mean"] + half_bars).max())
    if score != "r2" and low > 0:
        axes.set(yscale="log", ylim=(low / 1.15, high * 1.15))
        axes.yaxis.set_major_locator(
            LogLocator(subs=(1, 2, 5)) if high / low > 8 else MaxNLocator(6, steps=[1, 2, 5, 10])
        )
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ticks = _spaced(sizes)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside right upper", title="features")
    _set_title(figure, title)
    return figure


# --- text -------------------------------------------------------------------------------------------------------------

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789.+-", "⁰¹²³⁴⁵⁶⁷⁸⁹·⁺⁻")


def _pretty(token: str) -> str:
    """Write a token as chemists do: TiO₆ O:6 for TiO6:O:6, Ti⁴⁺ for Ti4+."""
    parts = _parts(token)
    if parts is None or parts.element is None:
        return token
    charge = "" if parts.oxidation is None else species_token(parts.element, parts.oxidation)[len(parts.element) :]
    centre = parts.element + charge.translate(_SUPERSCRIPTS)
    if parts.kind != "motif":
        return centre
    ligands = "".join(symbol + ("" if amount == 1 else f"{amount:g}") for symbol, amount in parts.ligands)
    return f"{centre}{ligands.translate(_SUBSCRIPTS)} {parts.geometry}"


def _parts(token: str) -> Token | None:
    try:
        return parse_token(token)
    except ValueError:
        return None


def _wrap(text: str, width: int) -> str:
    return textwrap.fill(text, width)


def _with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def _set_title(figure: Figure, title: str | None) -> None:
    if title:
        figure.suptitle(_wrap(title, int(10 * figure.get_figwidth())), fontsize=11)


def _spaced(sizes: NDArray[np.float64]) -> list[float]:
    """Leave out sizes whose labels would touch on a logarithmic axis, the largest never."""
    kept: list[float] = []
    unique = np.unique(sizes)[::-1]
    for size in unique.tolist():
        if not kept or math.log(kept[-1] / size) >= math.log(unique[0] / unique[-1]) / 12:
            kept.append(size)
    return kept


def _plain(value: float) -> str:
    """Write three significant digits, without an exponent for everyday sizes."""
    if value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


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


def _finite_vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        vector = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be numbers: {error}"
        raise ValueError(msg) from error
    if vector.ndim != 1:
        msg = f"{name} must have one dimension, got shape {vector.shape}"
        raise ValueError(msg)
    bad = np.flatnonzero(~np.isfinite(vector))
    if len(bad):
        msg = f"{name} has {len(bad):,} values that are not finite, the first at {bad[0]}; leave such samples out"
        raise ValueError(msg)
    return vector


# --- values of elements -----------------------------------------------------------------------------------------------


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


# --- colours ----------------------------------------------------------------------------------------------------------


class _Category(NamedTuple):
    """Points of one legend entry."""

    name: str
    rows: list[int]
    color: str
    marker: str


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
    name = cmap or (_DIVERGING if norm.vmin == -norm.vmax else _SEQUENTIAL)  # type: ignore[operator]
    if name not in mpl.colormaps:
        msg = f'matplotlib has no colour map {name!r}; choose one such as "viridis", "cividis" or "RdBu_r"'
        raise ValueError(msg)
    return mpl.colormaps[name]


def _readable_on(face: Any) -> str:
    """Choose black or white, whichever has more contrast by the WCAG definition of relative luminance."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(face)]
    luminance = float(np.dot(channels, (0.2126, 0.7152, 0.0722)))
    return "black" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "white"


def _style(idx: int) -> tuple[str, str]:
    """Give a category a colour and a marker, so that it is told from its neighbours by either."""
    return _PALETTE[idx % len(_PALETTE)], _MARKERS[idx % len(_MARKERS)]


# --- what a map shows -------------------------------------------------------------------------------------------------

_OTHER = "other"
_LEGEND_ORDER = ("s", "p", "d", "f", *map(str, range(1, 19)), "La–Lu", "Ac–Lr")
_LEGEND_TITLE = {
    "block": "block",
    "group": "group",
    "geometry": "geometry",
    "cn": "coordination\nnumber",
    "element": "element",
}
_COLOR_OF_KIND: dict[Kind | None, Color] = {
    "element": "block",
    "species": "block",
    "motif": "geometry",
    "geometry": "cn",
}


def _map_points(table: EmbeddingTable, method: Method, seed: int) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Bring the vectors to two dimensions: points of shape (n_tokens, 2) and the names of the two axes."""
    if method not in get_args(Method):
        msg = f'method must be "pca", "tsne" or "umap", got {method!r}'
        raise ValueError(msg)
    fewest = 3 if method == "pca" else 5
    if len(table) < fewest or table.dim < 2:
        msg = f"a {method} map needs {fewest} tokens or more and dim 2 or more, got {len(table)} and dim {table.dim}"
        raise ValueError(msg)
    vectors = table.vectors.astype(np.float64)
    if np.ptp(vectors, axis=0).max() == 0:
        msg = "all vectors of the table are the same; there is nothing to map"
        raise ValueError(msg)
    if method == "pca":
        from sklearn.decomposition import PCA

        pca = PCA(n_components=2, svd_solver="full")
        points = pca.fit_transform(vectors)
        first, second = (
            f"PC {idx} ({100 * share:.0f} %)" for idx, share in enumerate(pca.explained_variance_ratio_, 1)
        )
        return points, (first, second)
    if method == "tsne":
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits

        tsne = TSNE(perplexity=min(30, (len(table) - 1) / 3), metric="cosine", init="pca", random_state=seed, n_jobs=1)
        with threadpool_limits(1):  # more threads slow so few points down, most of all on a busy machine
            return tsne.fit_transform(vectors).astype(np.float64), ("t-SNE 1", "t-SNE 2")
    umap = import_extra("umap", extra="viz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes on its start from few neighbours and on single threads
        reducer = umap.UMAP(
            n_neighbors=min(15, len(table) - 1), metric="cosine", init="pca", random_state=seed, n_jobs=1
        )
        return reducer.fit_transform(vectors).astype(np.float64), ("UMAP 1", "UMAP 2")


def _color_for(tokens: Sequence[str], color: Color | None) -> Color | None:
    """Choose what colours suit the tokens, if any do, unless one is asked for."""
    if color is None:
        kinds = Counter(None if parts is None else parts.kind for parts in map(_parts, tokens))
        return _COLOR_OF_KIND.get(kinds.most_common(1)[0][0])
    if color not in get_args(Color):
        msg = f"color must be one of {', '.join(get_args(Color))}, or None for what suits the tokens, got {color!r}"
        raise ValueError(msg)
    return color


def _categories(tokens: Sequence[str], color: Color | None) -> list[_Category]:
    """Group rows by what colours them, in the order of the legend; what has no category comes last."""
    if color is None:
        return [_Category("tokens", list(range(len(tokens))), *_style(0))]
    rows: dict[str, list[int]] = {}
    for row, token in enumerate(tokens):
        rows.setdefault(_category_name(token, color), []).append(row)
    names = [name for name in rows if name != _OTHER]
    if not names:
        msg = f"color={color!r} fits no token of this table, such as {tokens[0]!r}; choose another or leave it out"
        raise ValueError(msg)
    if color in ("geometry", "element"):
        names.sort(key=lambda name: (-len(rows[name]), name))
        names, rare = names[:_MAX_CATEGORIES], names[_MAX_CATEGORIES:]
        rows[_OTHER] = [row for name in (*rare, _OTHER) for row in rows.get(name, ())]
    else:
        names.sort(key=int if color == "cn" else _LEGEND_ORDER.index)
    legend = {name: _with_geometry_name(name) if color == "geometry" else name for name in names}
    categories = [_Category(legend[name], rows[name], *_style(idx)) for idx, name in enumerate(names)]
    return [*categories, _Category(_OTHER, rows[_OTHER], "#c8c8c8", "o")] if rows.get(_OTHER) else categories


def _category_name(token: str, color: Color) -> str:
    from pymatgen.core.periodic_table import Element

    parts = _parts(token)
    if parts is None:
        return _OTHER
    if color == "geometry":
        return parts.geometry or _OTHER
    if color == "cn":
        return _OTHER if parts.cn is None else str(parts.cn)
    if parts.element is None or color == "element":
        return parts.element or _OTHER
    element = Element(parts.element)
    if color == "block":
        return "s" if parts.element == "He" else element.block  # pymatgen counts helium among the p block
    if element.is_lanthanoid or element.is_actinoid:
        return "La–Lu" if element.is_lanthanoid else "Ac–Lr"
    return str(element.group)


def _with_geometry_name(symbol: str) -> str:
    """Spell a ChemEnv symbol out, as far as ChemEnv knows it: "O:6 octahedron"."""
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometries import AllCoordinationGeometries

    try:
        name = AllCoordinationGeometries().get_geometry_from_mp_symbol(symbol).name
    except LookupError:
        return symbol
    return _wrap(f"{symbol} {name.partition(' - ')[0].lower()}", 30)


# --- labels that do not overlap ---------------------------------------------------------------------------------------


def _tokens_to_label(table: EmbeddingTable, labels: Literal["auto"] | bool | Collection[str]) -> list[str]:
    if isinstance(labels, bool):
        return list(table.tokens) if labels else []
    if not isinstance(labels, str):
        return [table.tokens[table.row(token)] for token in dict.fromkeys(labels)]
    if labels != "auto":
        msg = f'labels must be "auto", True, False or a collection of tokens, got {labels!r}'
        raise ValueError(msg)
    return [token for row, token in enumerate(table.tokens) if row < _N_LABELS or kind_of(token) == "element"]


def _place_labels(
    axes: Axes, points: NDArray[np.float64], wanted: Sequence[tuple[int, str]], *, clearance: float
) -> None:
    """Write (row, text) beside the points, the first ones first, where they meet no label before them.

    A label takes the place that covers the fewest points, near its own if possible, else at the end of a thin line.
    Places are measured in pixels on the finished layout; `clearance` is the radius of a point in typographic points.
    """
    pixel = axes.figure.dpi / 72
    gap = (clearance + 1.2) * pixel
    anchors = axes.transData.transform(points)
    frame = np.array(axes.get_window_extent().extents)
    taken, obstacles, leaders, n_failed = np.empty((0, 4)), anchors, [], 0
    for row, name in wanted:
        label = axes.annotate(
            name,
            points[row],
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8.5 if len(wanted) <= _FEW else 7,
            color=_INK,
            parse_math=False,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "alpha": 0.7, "linewidth": 0},
        )
        label.set_in_layout(False)
        half = np.array(label.get_window_extent().size) / 2 + 0.5
        reach = gap + np.repeat(_REACHES * pixel, len(_DIRECTIONS))
        toward = np.tile(_DIRECTIONS, (len(_REACHES), 1))
        step = toward / np.linalg.norm(toward, axis=1, keepdims=True) * reach[:, None] + toward * half
        centres = anchors[row] + step
        boxes = np.hstack([centres - half, centres + half])
        tips = np.clip(anchors[row], boxes[:, :2], boxes[:, 2:])
        lines = anchors[row] + np.linspace(0, 1, 9)[:, None, None] * (tips - anchors[row])

        others = np.delete(obstacles, row, axis=0)
        n_covered = _inside(others, np.hstack([centres - half - gap, centres + half + gap])).sum(axis=1)
        cost = (
            n_covered
            + 0.03 * np.repeat(_REACHES, len(_DIRECTIONS))
            + 0.01 * np.tile(range(len(_DIRECTIONS)), len(_REACHES))
        )
        cost[(boxes[:, :2] < frame[:2]).any(axis=1) | (boxes[:, 2:] > frame[2:]).any(axis=1)] = np.inf
        apart = (boxes[:, None, :2] >= taken[:, 2:]) | (boxes[:, None, 2:] <= taken[:, :2])
        cost[~np.all(apart.any(axis=2), axis=1)] = np.inf
        crossed = _inside(lines.reshape(-1, 2), taken).reshape(len(taken), *lines.shape[:2])
        cost[crossed.any(axis=(0, 1))] = np.inf
        best = int(np.argmin(cost))
        if cost[best] > _MAX_COVERED:
            label.remove()
            n_failed += 1
            if n_failed == _GIVE_UP:
                break
            continue
        label.set_position(tuple(step[best] / pixel))
        taken = np.vstack([taken, boxes[best]])
        if best >= len(_DIRECTIONS):
            leaders.append(axes.transData.inverted().transform([anchors[row], tips[best]]))
            obstacles = np.vstack([obstacles, lines[1:, best]])
    if leaders:
        axes.add_collection(LineCollection(leaders, colors="#8c8c8c", linewidths=0.5, zorder=1.5), autolim=False)


def _inside(points: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points lie in which boxes (left, bottom, right, top): bool array, shape (n_boxes, n_points)."""
    beyond_lower = (points > boxes[:, None, :2]).all(axis=2)
    return np.asarray(beyond_lower & (points < boxes[:, None, 2:]).all(axis=2))
