"""A table of elements as a matrix by atomic number, as networks look vectors up."""

import numpy as np
from numpy.typing import NDArray

from matembed.backoff import back_off
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable

__all__ = ["element_matrix"]


def element_matrix(table: EmbeddingTable) -> NDArray[np.float32]:
    """Look up every element.

    Parameters
    ----------
    table : EmbeddingTable
        Of elements, or from which vectors of elements can be made: see `matembed.back_off`.

    Returns
    -------
    float32 array, shape (119, dim)
        By atomic number; position 0 is zeros. Columns have mean 0 over the elements that the table has, and the lengths
        of these vectors a mean square of 1, so that a network learns as fast from tables of any width. Other elements
        have what `back_off` makes for them.

    Raises
    ------
    ValueError
        If the table has no token to make vectors of elements from.

    Examples
    --------
    >>> from matembed.downstream.baselines import one_hot_table
    >>> matrix = element_matrix(one_hot_table(["Na", "K", "Cl"]))
    >>> matrix.shape, float((matrix[[11, 19, 17]] ** 2).sum(axis=1).mean().round(6))
    ((119, 3), 1.0)
    """
    rows = {token: row for row, token in enumerate(table.tokens)}
    learned = [rows[symbol] for symbol in SYMBOLS[1:] if symbol in rows]
    unknown = [symbol for symbol in SYMBOLS[1:] if symbol not in rows]
    made = back_off(table, unknown) if unknown else table
    rows_made = {token: row for row, token in enumerate(made.tokens)}
    vectors = np.array(
        [table.vectors[rows[symbol]] if symbol in rows else made.vectors[rows_made[symbol]] for symbol in SYMBOLS[1:]],
        dtype=np.float64,
    )
    measure = table.vectors[learned].astype(np.float64) if learned else vectors
    matrix = np.zeros((len(SYMBOLS), table.dim), dtype=np.float32)
    centred = measure - measure.mean(axis=0)
    matrix[1:] = (vectors - measure.mean(axis=0)) / (np.sqrt((centred**2).sum(axis=1).mean()) or 1.0)
    return matrix
