"""Families of tokens with like vectors: on the periodic table, and as a tree."""

from typing import Literal, get_args

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram as place_branches

from matembed.downstream.plots._categories import LEGEND_TITLE, Color, categories_of
from matembed.downstream.plots._checks import check_table
from matembed.downstream.plots._families import FAMILY_PALETTE, Tree, cut_into_families, grow_tree, unit
from matembed.downstream.plots._periodic_table_layout import PALE, add_table_axes, cells, draw_cell, draw_key
from matembed.downstream.plots._style import GREY, in_house_style, new_figure, set_title
from matembed.downstream.plots._token_text import pretty
from matembed.embeddings import EmbeddingTable
from matembed.tokens import Kind

__all__ = ["dendrogram", "element_families"]

_MAX_LEAVES = 150
_ROOM = 5  # elements that the legend names in one line


@in_house_style
def element_families(
    table: EmbeddingTable, *, n_families: int | None = None, legend: bool = True, title: str | None = None
) -> Figure:
    """Colour the periodic table by families of elements with like vectors, and name each element's nearest neighbour.

    Families are the branches of the tree that `dendrogram` draws, cut at one height: Ward's method [1]_ on centred
    vectors of unit length. Families beside each other in the tree have shades of one hue. Nearest neighbours have the
    largest cosine similarity of centred vectors. Nothing but the vectors is used; no group, block or period.

    Parameters
    ----------
    table : EmbeddingTable
        Its element tokens are drawn, three or more of them. Backed-off ones take no part in making families; they are
        hatched, in a pale shade of the family of their nearest neighbour. Elements without a vector are hatched grey.
    n_families : int, optional
        From 2 to 18, and no more than elements. By default one for every six elements, from 2 to 14 of them.
    legend : bool, default True
        Name each family by its elements, or of more than five by the four nearest to its middle.
    title : str, optional
        By default the name of the table.

    Returns
    -------
    Figure
        8 inches wide.

    Raises
    ------
    TypeError
        If `table` is no EmbeddingTable.
    ValueError
        If the table has under three learned elements, their vectors are all the same, or `n_families` is out of range.

    See Also
    --------
    dendrogram : The tree behind the families.
    periodic_table : Colours elements by a number.

    References
    ----------
    .. [1] J. H. Ward, J. Am. Stat. Assoc. 58, 236 (1963).

    Examples
    --------
    >>> from matembed.cards import Card
    >>> vectors = [[1.0, 0.1], [0.9, 0.2], [-1.0, 0.3], [-0.9, 0.4]]
    >>> figure = element_families(EmbeddingTable(("Li", "Na", "F", "Cl"), vectors, Card("demo")))
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text().startswith("→")][:4]
    ['→ Na', '→ Cl', '→ Li', '→ F']
    """
    check_table(table)
    known = {cell.symbol for cell in cells()}
    elements = table.subset([token for token in table.tokens if token in known])
    if not len(elements):
        msg = f"{table!r} has no element token such as 'Fe', so it has no families of them; try embedding_map"
        raise ValueError(msg)
    tree = grow_tree(elements)
    families = cut_into_families(tree, n_families)
    cosines = unit(elements.vectors.astype(np.float64) - tree.centre) @ tree.directions.T
    cosines[[elements.row(token) for token in tree.tokens], np.arange(len(tree.tokens))] = -np.inf  # not to itself
    nearest = dict(zip(elements.tokens, cosines.argmax(axis=1).tolist(), strict=True))
    family_of = dict(zip(tree.tokens, families.tolist(), strict=True))

    title = table.card.name if title is None else title
    figure = new_figure(8, 4.6 if title else 4.25)
    axes = add_table_axes(figure)
    for cell in cells():
        if cell.symbol not in elements:
            draw_cell(axes, cell, PALE, hatched=True)
            continue
        row = nearest[cell.symbol]
        face, made = FAMILY_PALETTE[family_of.get(cell.symbol, families[row])], cell.symbol not in family_of
        draw_cell(axes, cell, _faded(face) if made else face, f"→ {tree.tokens[row]}", hatched=made)
    if legend:
        for idx in range(families.max() + 1):
            column, row = divmod(idx, 6)
            draw_key(axes, 2.3 + 3.25 * column, 0.05 + 0.42 * row, FAMILY_PALETTE[idx], _members(tree, families == idx))
    keys = [(PALE, "no vector")] if len(elements) < len(known) else []
    keys += [("white", "backed off")] if elements.backed_off else []
    for idx, (face, text) in enumerate(keys):
        draw_key(axes, 2.3 + 3.25 * idx, 2.6, face, text, hatched=True)
    axes.text(2.3 + 3.25 * len(keys), 2.75, "→ nearest neighbour", ha="left", va="center", fontsize=7, color=GREY)
    set_title(figure, title)
    return figure


@in_house_style
def dendrogram(
    table: EmbeddingTable,
    *,
    kind: Kind | None = "element",
    color: Literal["family"] | Color = "family",
    n_families: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the tree that joins tokens with like vectors, leaf by leaf from top to bottom.

    The tree is made by Ward's method [1]_ from centred vectors of unit length, its branches turned so that like leaves
    meet [2]_. The further left two branches join, the less alike they are. Backed-off tokens are left out.

    Parameters
    ----------
    table : EmbeddingTable
        The vectors.
    kind : str or None, default "element"
        Draw tokens of this kind, or all of the table: 3 to 150 of them, of which ``table.subset`` makes a choice.
    color : {"family", "block", "group", "geometry", "cn", "element"}
        Colour the branches by families, as `element_families` does, or the leaves as `embedding_map` does.
    n_families : int, optional
        From 2 to 18, and no more than tokens. By default one for every six tokens, from 2 to 14 of them.
    title : str, optional
        By default the name of the table.

    Returns
    -------
    Figure
        8 inches wide; higher for more leaves, up to 18 inches.

    Raises
    ------
    TypeError
        If `table` is no EmbeddingTable.
    ValueError
        If there are under 3 or over 150 tokens, their vectors are all the same, `color` is unknown or does not fit the
        tokens, or `n_families` is out of range or given for another colour.

    See Also
    --------
    similarity_heatmap : All pairs of tokens.

    References
    ----------
    .. [1] J. H. Ward, J. Am. Stat. Assoc. 58, 236 (1963).
    .. [2] Z. Bar-Joseph, D. K. Gifford and T. S. Jaakkola, Bioinformatics 17, S22 (2001).

    Examples
    --------
    >>> from matembed.cards import Card
    >>> vectors = [[1.0, 0.1], [-1.0, 0.3], [0.9, 0.2]]
    >>> figure = dendrogram(EmbeddingTable(("Li", "Cl", "Na"), vectors, Card("demo")))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['Cl', 'Na', 'Li']
    """
    check_table(table)
    if color not in ("family", *get_args(Color)):
        msg = f"color must be one of family, {', '.join(get_args(Color))}, got {color!r}"
        raise ValueError(msg)
    chosen = table.subset(kind=kind)
    if len(chosen) > _MAX_LEAVES:
        few = 'table.subset(table.tokens[:100]) and kind=None, or table.subset(["Fe", ...])'
        msg = f"a dendrogram is readable for 3 to {_MAX_LEAVES} tokens, got {len(chosen):,}; pass {few}"
        raise ValueError(msg)
    if color != "family" and n_families is not None:
        msg = f'n_families={n_families!r} is for color="family", got color={color!r}; leave one of them out'
        raise ValueError(msg)
    tree = grow_tree(chosen)
    n_leaves, order = len(tree.tokens), tree.order
    place = {row: position for position, row in enumerate(order)}
    pitch = float(np.clip(10 / n_leaves, 0.115, 0.2))
    figure = new_figure(8, pitch * n_leaves + 1.0)
    axes = figure.add_subplot(xlabel="distance at which branches join (Ward)", ylim=(n_leaves - 0.4, -0.6))
    if color == "family":
        families = cut_into_families(tree, n_families)
        branch_colors = _branch_colors(tree, families)
        for row, family in enumerate(families):
            axes.plot(
                0,
                place[row],
                "o",
                color=FAMILY_PALETTE[family],
                markersize=min(4.0, 40 * pitch),
                clip_on=False,
                zorder=3,
            )
    else:
        branch_colors = [GREY] * (n_leaves - 1)
        for style in categories_of(tree.tokens, color):
            axes.plot(
                [0] * len(style.rows), [place[row] for row in style.rows], style.marker,
                color=style.color, markersize=4.5, label=style.name, clip_on=False, zorder=3,
            )  # fmt: skip
        figure.legend(loc="outside right upper", title=LEGEND_TITLE[color])
    drawn = place_branches(
        tree.links, no_plot=True, link_color_func=lambda node: branch_colors[node - n_leaves], color_threshold=0
    )
    for places, heights, shade in zip(drawn["icoord"], drawn["dcoord"], drawn["color_list"], strict=True):
        axes.plot(heights, (np.array(places) - 5) / 10, color=shade, linewidth=1.3, solid_joinstyle="miter")
    axes.set_xlim(tree.links[-1, 2] * 1.02, 0)
    axes.yaxis.tick_right()
    names = [pretty(tree.tokens[row]) for row in order]
    axes.set_yticks(range(n_leaves), names, fontsize=min(9.0, 72 * pitch * 0.9), parse_math=False)
    axes.tick_params(axis="y", length=0, pad=5)
    axes.spines["left"].set_visible(False)
    set_title(figure, table.card.name if title is None else title)
    return figure


def _members(tree: Tree, inside: NDArray[np.bool_]) -> str:
    """Name a family by its elements, or those whose directions are nearest to its mean, in the order of the table."""
    symbols = [cell.symbol for cell in cells()]
    rows = np.flatnonzero(inside)
    towards = tree.directions[rows] @ tree.directions[rows].mean(axis=0)
    nearest = rows[np.argsort(-towards, kind="stable")[: _ROOM if len(rows) <= _ROOM else _ROOM - 1]]
    names = sorted((tree.tokens[row] for row in nearest), key=symbols.index)
    rest = len(rows) - len(names)
    return " ".join(names) + (f" + {rest}" if rest else "")


def _branch_colors(tree: Tree, families: NDArray[np.intp]) -> list[str]:
    """Give each join within a family its colour, and those between families grey, in the order of the links."""
    below: list[set[int]] = [{int(family)} for family in families]
    colors = []
    for left, right in tree.links[:, :2].astype(int):
        below.append(below[left] | below[right])
        colors.append(FAMILY_PALETTE[min(below[-1])] if len(below[-1]) == 1 else "#a6a6a6")
    return colors


def _faded(color: str) -> tuple[float, ...]:
    """Mix a colour with white, two to three."""
    return tuple(0.4 * channel + 0.6 for channel in to_rgb(color))
