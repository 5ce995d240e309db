"""Retrieval: do vectors that are alike have the same label? Ties are never broken by the order of rows."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from matembed.downstream.tasks import read_groups

__all__ = ["cosines", "hit_rates", "retrieval"]

_DECIMALS = 9  # cosines that agree to this are tied
_CHUNK = 2**23  # similarities held at a time: 64 MiB


def retrieval(vectors: ArrayLike, labels: ArrayLike, *, groups: ArrayLike | None = None) -> pd.DataFrame:
    """Rank rows by their cosine similarity to each row in turn, and measure how far up those of the same label are.

    With pooled motif vectors and structure types, this asks whether similar crystals are found without training.
    Pass formulas as `groups`: the same formula has the same elements, and is found by any table.

    Parameters
    ----------
    vectors : array-like, shape (n_rows, n_columns)
        Such as pooled features of crystals. They are centred first.
    labels : array-like, shape (n_rows,)
        Such as structure types.
    groups : array-like, shape (n_rows,), optional
        Rows of the same group as the one in turn are left out of its ranking.

    Returns
    -------
    DataFrame
        One row a score. ``probe``: "precision@1" and "precision@10", the share of the same label among the nearest
        rows, be there ten to find or fewer, and "mean_average_precision"; ``score``, its mean over rows for which
        there is anything to find; ``standard_error`` of that mean; ``n``, the number of these rows; ``chance``, the
        share of the label among all ranked rows, which is the precision of a random order at any rank and the
        average precision of one of many rows. Rows that are tied share the ranks between them.

    Raises
    ------
    ValueError
        If there is no row, lengths differ, a number is not finite, a label is missing, or no row has another of its
        label to find.

    Examples
    --------
    >>> vectors = [[1.0, 0.0], [0.9, 0.1], [-1.0, 0.1], [-0.8, -0.1]]
    >>> retrieval(vectors, ["rutile", "rutile", "spinel", "spinel"])[["probe", "score", "chance"]].round(2)
                        probe  score  chance
    0             precision@1    1.0    0.33
    1            precision@10    0.1    0.33
    2  mean_average_precision    1.0    0.33
    """
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2 or not len(rows) or not np.isfinite(rows).all():
        msg = f"vectors must be a matrix of finite numbers, one row each; got shape {rows.shape}"
        raise ValueError(msg)
    label_of = read_groups(labels, len(rows), name="labels")
    group_of = np.arange(len(rows)) if groups is None else read_groups(groups, len(rows))
    unit = _unit(rows)
    found = []
    step = max(1, _CHUNK // len(rows))
    for start in range(0, len(rows), step):
        queries = np.arange(start, min(start + step, len(rows)))
        similarity = np.round(unit[queries] @ unit.T, _DECIMALS)
        for query, similar in zip(queries, similarity, strict=True):
            ranked = group_of != group_of[query]
            relevant = (label_of == label_of[query])[ranked]
            if relevant.any():
                nearness = similar[ranked]
                precisions = [_hits(nearness, relevant, k) / k for k in (1, 10)]
                found.append((*precisions, _average_precision(nearness, relevant), relevant.mean()))
    if not found:
        msg = f"no label of {len(rows):,} rows is found again outside its group; pass labels that repeat"
        raise ValueError(msg)
    scores = np.array(found)
    names = ["precision@1", "precision@10", "mean_average_precision"]
    spread = scores.std(axis=0, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.full(4, np.nan)
    columns = {"probe": names, "score": scores.mean(axis=0)[:3], "standard_error": spread[:3]}
    return pd.DataFrame({**columns, "n": len(scores), "chance": scores[:, 3].mean()})


def cosines(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Measure the cosine similarity of every pair of rows after centring.

    Parameters
    ----------
    vectors : float array, shape (n_rows, n_columns)
        Any vectors.

    Returns
    -------
    float array, shape (n_rows, n_rows)
        Rounded to 1e-9, so that equal ones are equal; 0 for a row at the centre.

    Examples
    --------
    >>> cosines(np.array([[1.0], [2.0], [6.0]]))
    array([[ 1.,  1., -1.],
           [ 1.,  1., -1.],
           [-1., -1.,  1.]])
    """
    unit = _unit(np.asarray(vectors, dtype=np.float64))
    return np.round(unit @ unit.T, _DECIMALS)


def hit_rates(
    similarity: NDArray[np.float64], relevant: NDArray[np.bool_], allowed: NDArray[np.bool_], k: int | None
) -> NDArray[np.float64]:
    """Measure the share of relevant rows among the k most similar, for each row that has any to find.

    Parameters
    ----------
    similarity : float array, shape (n_rows, n_rows)
        Of each row to the others, in which equal means tied.
    relevant, allowed : bool array, shape (n_rows, n_rows)
        What should be found, and what is ranked at all.
    k : int, optional
        How many; by default as many as are relevant, which is called R-precision.

    Returns
    -------
    float array, shape (n_rows that have any to find,)
        Expected shares, should ties be broken at random. Where fewer than k are ranked, the rest counts as misses.

    Examples
    --------
    >>> similarity = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.2], [0.5, 0.2, 1.0]])
    >>> same = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)
    >>> hit_rates(similarity, same, ~np.eye(3, dtype=bool), 1)
    array([0.5, 1. ])
    """
    rates = []
    for similar, wanted, ranked in zip(similarity, relevant, allowed, strict=True):
        n_wanted = int((wanted & ranked).sum())
        if n_wanted:
            n_nearest = k or n_wanted
            rates.append(_hits(similar[ranked], wanted[ranked], n_nearest) / n_nearest)
    return np.array(rates)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = vectors - vectors.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    negligible = norms <= 1e-12 * np.abs(vectors).max(initial=0) * max(1, vectors.shape[1])
    return np.where(negligible, 0, centred / np.where(negligible, 1, norms))


def _hits(similar: NDArray[np.float64], relevant: NDArray[np.bool_], k: int) -> float:
    """Count the relevant among the k most similar, those tied for the last places by their share."""
    if len(similar) <= k:
        return float(relevant.sum())
    threshold = np.partition(similar, len(similar) - k)[len(similar) - k]
    above, tied = similar > threshold, similar == threshold
    return float(relevant[above].sum() + (k - above.sum()) * relevant[tied].mean())


def _average_precision(similar: NDArray[np.float64], relevant: NDArray[np.bool_]) -> float:
    """Average the precision at each relevant row; tied rows are taken in together."""
    order = np.argsort(-similar, kind="stable")
    ranked = similar[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each set of tied rows
    n_found = np.cumsum(relevant[order])[last]
    new = np.diff(n_found, prepend=0)
    return float((new * n_found / (last + 1)).sum() / n_found[-1])
