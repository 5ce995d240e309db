"""Tables that know no chemistry: what an embedding must beat."""

from collections.abc import Sequence

import numpy as np

from matembed.cards import Card
from matembed.embeddings import EmbeddingTable

__all__ = ["one_hot_table", "random_table"]


def one_hot_table(tokens: Sequence[str], *, rest: Sequence[str] = ()) -> EmbeddingTable:
    """Make a table in which every token has a column of its own.

    Mean-pooled, a formula becomes its atomic fractions: what a table must beat.

    Parameters
    ----------
    tokens : sequence of str, length n_tokens
        Unique.
    rest : sequence of str, optional
        Further tokens, which share one more column, the last.

    Returns
    -------
    EmbeddingTable
        The identity matrix; ``dim`` is n_tokens, and one more if there is a rest.

    Examples
    --------
    >>> one_hot_table(["H", "O"]).vectors.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> one_hot_table(["O"], rest=["Po", "At"]).vectors.tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    what = "A column for every token" + (f", and one for {len(rest):,} more" if rest else "")
    vectors = np.eye(len(tokens) + len(rest), len(tokens) + bool(rest), dtype=np.float32)
    vectors[len(tokens) :, -1:] = 1
    return EmbeddingTable((*tokens, *rest), vectors, Card("one_hot", what=f"{what}: no knowledge of chemistry."))


def random_table(tokens: Sequence[str], dim: int, *, seed: int = 0) -> EmbeddingTable:
    """Make a table of random vectors: no knowledge of chemistry, in any number of columns.

    Parameters
    ----------
    tokens : sequence of str, length n_tokens
        Unique.
    dim : int
        Length of each vector.
    seed : int, default 0
        The same seed, tokens and `dim` give the same vectors.

    Returns
    -------
    EmbeddingTable
        Independent standard normal numbers.

    Raises
    ------
    ValueError
        If `dim` is not positive.

    Examples
    --------
    >>> random_table(["H", "O"], 3, seed=1)
    EmbeddingTable('random_3', 2 tokens, dim 3)
    """
    if dim < 1:
        msg = f"dim must be 1 or more, got {dim}"
        raise ValueError(msg)
    vectors = np.random.default_rng(seed).standard_normal((len(tokens), dim))
    card = Card(f"random_{dim}", what="Random vectors: no knowledge of chemistry.", settings={"dim": dim}, seed=seed)
    return EmbeddingTable(tuple(tokens), vectors.astype(np.float32), card)
