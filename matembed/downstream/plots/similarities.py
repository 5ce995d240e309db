"""How similar the tokens of a table are, pair by pair."""

from collections.abc import Collection
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from matembed.downstream.plots._checks import check_table
from matembed.downstream.plots._style import DIVERGING, GREY, in_house_style, lay_out, new_figure, set_title
from matembed.downstream.plots._token_text import pretty
from matembed.embeddings import EmbeddingTable

__all__ = ["similarity_heatmap"]

_MAX_TOKENS = 150


@in_house_style
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
    TypeError
        If `table` is no EmbeddingTable.
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

    check_table(table)
    chosen = table if tokens is None else table.subset(tokens)
    n_tokens = len(chosen)
    if not 2 <= n_tokens <= _MAX_TOKENS:
        msg = f"a heatmap is readable for 2 to {_MAX_TOKENS} tokens, got {n_tokens:,}; pass some as tokens=[...]"
        raise ValueError(msg)
    similarity = chosen.similarity_matrix()
    distance = np.maximum(1 - similarity, 0)
    tree = linkage(distance[np.triu_indices(n_tokens, k=1)], method="average", optimal_ordering=True)
    drawn = dendrogram(tree, no_plot=True)
    order = np.array(drawn["leaves"])
    names = [pretty(chosen.tokens[row]) for row in order]

    side = float(np.clip(0.2 * n_tokens, 3, 6.2 if n_tokens <= 100 else 7.5))
    pitch, longest = 72 * side / n_tokens, max(map(len, names))
    staggered = pitch < (6.8 if longest <= 4 else 5.6)
    font_size = min(9.0, pitch * (1.55 if staggered else 0.8))
    label_width = longest * font_size * (1.3 if staggered else 0.62) / 72
    figure = new_figure(1.17 * side + label_width + 1.1, side + label_width + 0.4)
    grid = figure.add_gridspec(1, 2, width_ratios=(0.16, 1), wspace=0.01)
    axes, branches = figure.add_subplot(grid[1]), figure.add_subplot(grid[0])
    shown = similarity[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    limit = np.nanmax(np.abs(shown)) or 1
    colors = mpl.colormaps[DIVERGING].with_extremes(bad="#a6a6a6")
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
        branches.plot(heights, (np.array(places) - 5) / 10, color=GREY, linewidth=0.8, solid_joinstyle="miter")
    branches.set(ylim=axes.get_ylim(), xlim=(max(tree[-1, 2] * 1.03, 1e-9), 0))
    branches.axis("off")
    bar = figure.colorbar(image, ax=axes, shrink=min(1, 3 / side), aspect=16)
    bar.set_label("cosine similarity")
    bar.outline.set_visible(False)
    set_title(figure, table.card.name if title is None else title)
    lay_out(figure)  # says how much room the labels take; what is left is made square
    room = axes.get_window_extent()
    figure.set_figheight(figure.get_figheight() + (room.width - room.height) / figure.dpi)
    return figure
