"""A table of embeddings as a map of points."""

import math
import warnings
from collections.abc import Collection
from typing import Any, Literal, get_args

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from matembed._optional import import_extra
from matembed.downstream.plots._categories import DENSE, LEGEND_TITLE, OTHER, Color, categories_of, color_for
from matembed.downstream.plots._checks import check_table
from matembed.downstream.plots._labels import place_labels, tokens_to_label
from matembed.downstream.plots._style import INK, in_house_style, lay_out, new_figure, set_title
from matembed.downstream.plots._token_text import pretty
from matembed.embeddings import EmbeddingTable

__all__ = ["Method", "check_map", "embedding_map", "map_points"]

Method = Literal["pca", "tsne", "umap"]


@in_house_style
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
    and UMAP [2]_ keep neighbours by cosine similarity, and distances between their clusters mean little. Large maps, of
    over 2,000 tokens, have small points (rasterised in SVG and PDF) and say how many share a colour.

    Parameters
    ----------
    table : EmbeddingTable
        Three tokens or more (five for "tsne" and "umap"), ``dim`` 2 or more.
    method : {"pca", "tsne", "umap"}
        Principal components of the vectors as they are; t-SNE of perplexity 30 (less for under 91 tokens); UMAP of 15
        neighbours (more spread out in a large map), for which the extra ``viz`` must be installed.
    color : {"block", "group", "geometry", "cn", "element"}, optional
        Block or group of the element (of a motif: of its centre); ChemEnv geometry, coordination number or centre of a
        motif. The commonest seven geometries or elements, in a large map twelve, get their own colour; there, more than
        twelve groups or numbers run from blue through green to red. By default block for elements and species, geometry
        for motifs, coordination number for geometries, and one colour for anything else.
    labels : "auto", bool, or collection of str
        Write the first 40 tokens (and every element) of the table, or the first three of each colour in a large map; as
        many as there is room for; none; or these. Labels never overlap: those without room are left out, the last ones
        first.
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
    TypeError
        If `table` is no EmbeddingTable.
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
    check_table(table)
    check_map(table, method)
    color = color_for(table.tokens, color)
    categories = categories_of(table.tokens, color)
    wanted = tokens_to_label(table, labels, categories)
    points, axis_labels = map_points(table, method, seed)

    figure = new_figure(8, 6)
    axes = figure.add_subplot(xlabel=axis_labels[0], ylabel=axis_labels[1])
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.08)
    if method != "pca":
        axes.set(xticks=[], yticks=[])
    dense = len(table) > DENSE
    size = float(np.clip(4000 / len(table), 8, 30)) if not dense else float(np.clip(30_000 / len(table), 1, 6))
    look: dict[str, Any] = {"linewidths": 0, "rasterized": True} if dense else {"edgecolors": INK, "linewidths": 0.3}
    for style in categories:
        axes.scatter(
            points[style.rows, 0],
            points[style.rows, 1],
            s=size,
            c=[style.color],
            marker="o" if dense else style.marker,
            label=f"{style.name} ({len(style.rows):,})" if dense else style.name,
            zorder=2 if style.name == OTHER else 3,
            **look,
        )
    if color is not None:
        legend = figure.legend(loc="outside right upper", title=LEGEND_TITLE[color])
        for handle in legend.legend_handles:
            handle.set_sizes([30])  # type: ignore[union-attr]
    set_title(figure, table.card.name if title is None else title)
    lay_out(figure)  # says how wide the axes are; their height is made to fit the points
    room, extent = axes.get_window_extent(), np.ptp(points, axis=0)
    height = np.clip(room.width * extent[1] / extent[0], 350, 600)
    figure.set_figheight(figure.get_figheight() + float(height - room.height) / figure.dpi)
    lay_out(figure)
    figure.set_layout_engine("none")  # or the places found for labels would move
    place_labels(axes, points, [(table.row(token), pretty(token)) for token in wanted], clearance=math.sqrt(size) / 2)
    return figure


def check_map(table: EmbeddingTable, method: Method) -> None:
    """Refuse what no map can be made of, before time is spent on it."""
    if method not in get_args(Method):
        msg = f'method must be "pca", "tsne" or "umap", got {method!r}'
        raise ValueError(msg)
    fewest = 3 if method == "pca" else 5
    if len(table) < fewest or table.dim < 2:
        msg = f"a {method} map needs {fewest} tokens or more and dim 2 or more, got {len(table)} and dim {table.dim}"
        raise ValueError(msg)
    if np.ptp(table.vectors, axis=0).max() == 0:
        msg = "all vectors of the table are the same; there is nothing to map"
        raise ValueError(msg)


def map_points(table: EmbeddingTable, method: Method, seed: int) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Bring the vectors to two dimensions: points of shape (n_tokens, 2) and the names of the two axes."""
    vectors = table.vectors.astype(np.float64)
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

        tsne = TSNE(
            perplexity=min(30, (len(table) - 1) / 3),
            max_iter=600 if len(table) > DENSE else 1000,
            metric="cosine",
            init="pca",
            random_state=seed,
            n_jobs=1,
        )
        with threadpool_limits(1):  # more threads slow so few points down, most of all on a busy machine
            return tsne.fit_transform(vectors).astype(np.float64), ("t-SNE 1", "t-SNE 2")
    umap = import_extra("umap", extra="viz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes on its start from few neighbours and on single threads
        reducer = umap.UMAP(
            n_neighbors=min(15, len(table) - 1),
            min_dist=0.5 if len(table) > DENSE else 0.1,
            n_epochs=200 if len(table) > DENSE else None,
            metric="cosine",
            init="pca",
            random_state=seed,
            n_jobs=1,
        )
        return reducer.fit_transform(vectors).astype(np.float64), ("UMAP 1", "UMAP 2")
