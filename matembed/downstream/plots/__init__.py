"""Figures: what a table of embeddings, a set of predictions or a benchmark looks like.

Every function returns a :class:`matplotlib.figure.Figure` in one plain style, whatever the user's matplotlib settings,
and touches neither pyplot nor a display. Notebooks show the figure; ``figure.savefig(path)`` writes it.
"""

from matembed.downstream.plots.attention import attention_map
from matembed.downstream.plots.elements import periodic_table
from matembed.downstream.plots.families import dendrogram, element_families
from matembed.downstream.plots.maps import embedding_map
from matembed.downstream.plots.scores import learning_curve, parity
from matembed.downstream.plots.similarities import similarity_heatmap

__all__ = [
    "attention_map",
    "dendrogram",
    "element_families",
    "embedding_map",
    "learning_curve",
    "parity",
    "periodic_table",
    "similarity_heatmap",
]
