"""Which tokens of a table belong together: a tree of their vectors, and the families it is cut into."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, leaves_list, linkage
from threadpoolctl import threadpool_limits

from matembed.embeddings import EmbeddingTable

__all__ = ["FAMILY_PALETTE", "Tree", "cut_into_families", "grow_tree", "unit"]

# Tableau's twenty colours without the greys: families beside each other in the tree have shades of one hue.
FAMILY_PALETTE = (
    "#4E79A7", "#A0CBE8", "#F28E2B", "#FFBE7D", "#59A14F", "#8CD17D", "#B6992D", "#F1CE63", "#499894",
    "#86BCB6", "#E15759", "#FF9D9A", "#D37295", "#FABFD2", "#B07AA1", "#D4A6C8", "#9D7660", "#D7B5A6",
)  # fmt: skip
_PER_FAMILY, _MOST_BY_DEFAULT = 6, 14


class Tree(NamedTuple):
    """Learned tokens, their directions from the mean of them (unit vectors), and the tree that joins these."""

    tokens: tuple[str, ...]
    directions: NDArray[np.float64]
    links: NDArray[np.float64]
    centre: NDArray[np.float64]

    @property
    def order(self) -> list[int]:
        """Rows as they stand along the leaves."""
        return [int(row) for row in leaves_list(self.links)]


def grow_tree(table: EmbeddingTable) -> Tree:
    """Join the learned tokens of a table by Ward's method, like beside like.

    Vectors are centred and brought to unit length, so that squared distances are 2 - 2 cos. Ward's method makes
    families of similar sizes, where average linkage leaves many tokens alone. Backed-off tokens take no part.
    """
    tokens = tuple(token for token in table.tokens if token not in table.backed_off)
    if len(tokens) < 3:
        msg = f"a tree needs 3 learned tokens or more, got {len(tokens)}; take a larger table"
        raise ValueError(msg)
    vectors = table.vectors[[table.row(token) for token in tokens]].astype(np.float64)
    centre = vectors.mean(axis=0)
    if np.ptp(vectors, axis=0).max() == 0:
        msg = f"the vectors of the {len(tokens):,} learned tokens are all the same, so they have no families"
        raise ValueError(msg)
    directions = unit(vectors - centre)
    with threadpool_limits(1):  # another number of threads, another order of sums
        links = linkage(directions, method="ward", optimal_ordering=True)
    return Tree(tokens, directions, links, centre)


def cut_into_families(tree: Tree, n_families: int | None) -> NDArray[np.intp]:
    """Give each token the number of its family, counted from 0 along the leaves.

    By default there is a family for every six tokens, from 2 to 14 of them.
    """
    n_tokens, most = len(tree.tokens), min(len(FAMILY_PALETTE), len(tree.tokens))
    if n_families is None:
        n_families = min(max(n_tokens // _PER_FAMILY, 2), _MOST_BY_DEFAULT)
    if isinstance(n_families, bool) or not isinstance(n_families, int | np.integer) or not 2 <= n_families <= most:
        msg = f"n_families must be an integer from 2 to {most} for {n_tokens:,} learned tokens, got {n_families!r}"
        raise ValueError(msg)
    found = cut_tree(tree.links, n_clusters=[int(n_families)])[:, 0]
    number = {name: idx for idx, name in enumerate(dict.fromkeys(found[tree.order].tolist()))}
    return np.array([number[name] for name in found.tolist()], dtype=np.intp)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each row to unit length; rows of zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)
