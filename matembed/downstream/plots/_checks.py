"""What a figure refuses to draw."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed.embeddings import EmbeddingTable

__all__ = ["check_table", "finite_vector"]


def check_table(table: object) -> None:
    """Refuse anything but a table of embeddings."""
    if not isinstance(table, EmbeddingTable):
        how = "matembed.load(name) or EmbeddingTable.read(path)"
        msg = f"table must be an EmbeddingTable, got {type(table).__name__}; read one with {how}"
        raise TypeError(msg)


def finite_vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Read one finite number per sample."""
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
