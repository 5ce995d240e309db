"""Ragged arrays: where rows of different lengths, laid end to end, start and have their members."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["members", "spans", "starts"]


def starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count up to where each row starts.

    Parameters
    ----------
    lengths : int array, shape (n_rows,)
        Members of each row.

    Returns
    -------
    int array, shape (n_rows + 1,)
        Where each row starts, and where the last ends.

    Examples
    --------
    >>> starts(np.array([2, 0, 3]))
    array([0, 2, 2, 5])
    """
    return np.append(0, np.cumsum(lengths))


def spans(first: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """List the positions of spans, one span after another.

    Parameters
    ----------
    first : int array, shape (n_spans,)
        Where each starts.
    lengths : int array, shape (n_spans,)
        How many positions each has.

    Returns
    -------
    int array, shape (n_positions,)
        The positions.

    Examples
    --------
    >>> spans(np.array([10, 3]), np.array([3, 2]))
    array([10, 11, 12,  3,  4])
    """
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(first - before, lengths)


def members(first: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the members of some rows, one row after another.

    Parameters
    ----------
    first : int array, shape (n_rows + 1,)
        What `starts` counted.
    rows : int array, shape (n_chosen,)
        Rows, in any order.

    Returns
    -------
    positions : int array, shape (n_members,)
        Where the members lie.
    owner : int array, shape (n_members,)
        For each, the place of its row in `rows`.

    Examples
    --------
    >>> members(np.array([0, 2, 2, 5]), np.array([2, 0]))
    (array([2, 3, 4, 0, 1]), array([0, 0, 0, 1, 1]))
    """
    lengths = first[rows + 1] - first[rows]
    return spans(first[rows], lengths), np.repeat(np.arange(len(rows)), lengths)
