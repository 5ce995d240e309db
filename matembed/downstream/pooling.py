"""Pooling: a bag of tokens and their vectors -> one row of statistics.

A bag is what a material holds: elements with amounts, or motifs with how often they occur. With fractions
f_t = amount_t / sum of amounts and vectors v_t, column by column:

========= =====================================================================================================
statistic definition
========= =====================================================================================================
mean      sum of f_t v_t
std       square root of the sum of f_t (v_t - mean)^2
min, max  smallest and largest v_t, whatever the amounts
range     max - min
sum       sum of amount_t v_t per formula unit
mode      v_t of the token with the largest amount; the mean of them where several tie
========= =====================================================================================================

Bags with the same proportions give the same row, bit for bit, in whatever order their tokens come.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["STATISTICS", "Bags", "Statistic", "pool"]

Statistic = Literal["mean", "std", "min", "max", "range", "sum", "mode"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

_CHUNK = 2**15  # numbers gathered at a time: 256 KiB, which stays in the cache of a core


@dataclass(frozen=True, eq=False)
class Bags:
    """Tokens with amounts, one bag a material, stored as compressed sparse rows.

    Attributes
    ----------
    tokens : tuple of str, length n_tokens
        Every token of any bag, once, sorted.
    token_idx : int array, shape (n_entries,)
        Positions in `tokens`, ascending within a bag.
    amounts : float array, shape (n_entries,)
        Amounts, positive.
    starts : int array, shape (n_bags + 1,)
        Entries of bag i are ``starts[i]`` up to, not including, ``starts[i + 1]``; at least one.
    n_units : float array, shape (n_bags,)
        Formula units that the amounts of a bag add up to.
    """

    tokens: tuple[str, ...]
    token_idx: NDArray[np.intp]
    amounts: NDArray[np.float64]
    starts: NDArray[np.intp]
    n_units: NDArray[np.float64]

    @classmethod
    def from_amounts(cls, amounts: Sequence[Mapping[str, float]], n_units: Sequence[float] | None = None) -> Self:
        """Make bags from mappings.

        Parameters
        ----------
        amounts : sequence of mapping of str to float, length n_bags
            Amount by token; positive, no bag empty.
        n_units : sequence of float, length n_bags, optional
            Formula units of each bag. By default the greatest common divisor of its amounts, or 1 where an
            amount is no integer.

        Returns
        -------
        Bags
            The bags, in the same order.

        Examples
        --------
        >>> bags = Bags.from_amounts([{"Sr": 2, "Ti": 2, "O": 6}])
        >>> bags.tokens, bags.amounts, bags.n_units
        (('O', 'Sr', 'Ti'), array([6., 2., 2.]), array([2.]))
        """
        starts = np.zeros(len(amounts) + 1, dtype=np.intp)
        np.cumsum([len(bag) for bag in amounts], out=starts[1:])
        names = list(chain.from_iterable(amounts))
        values = np.fromiter(chain.from_iterable(bag.values() for bag in amounts), np.float64, len(names))
        tokens = tuple(sorted(set(names)))
        position = {token: idx for idx, token in enumerate(tokens)}
        token_idx = np.fromiter((position[name] for name in names), np.intp, len(names))
        order = np.lexsort((token_idx, np.repeat(np.arange(len(amounts)), np.diff(starts))))
        token_idx, values = token_idx[order], values[order]
        units = _formula_units(values, starts) if n_units is None else np.asarray(n_units, dtype=np.float64)
        return cls(tokens, token_idx, values, starts, units)

    @property
    def bag_idx(self) -> NDArray[np.intp]:
        """Which bag each entry is in, shape (n_entries,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def __len__(self) -> int:
        return len(self.n_units)


def _formula_units(amounts: NDArray[np.float64], starts: NDArray[np.intp]) -> NDArray[np.float64]:
    if len(starts) == 1:
        return np.empty(0)
    integers = np.rint(amounts).astype(np.int64)
    whole = np.logical_and.reduceat(integers == amounts, starts[:-1])
    return np.where(whole, np.gcd.reduceat(integers, starts[:-1]), 1).astype(np.float64)


def pool(bags: Bags, vectors: NDArray[np.floating], statistics: Sequence[Statistic]) -> NDArray[np.float64]:
    """Pool the vectors of each bag.

    Parameters
    ----------
    bags : Bags
        What each material holds.
    vectors : float array, shape (n_tokens, dim)
        A vector for each of ``bags.tokens``.
    statistics : sequence of {"mean", "std", "min", "max", "range", "sum", "mode"}
        What to compute; the module's docstring defines each.

    Returns
    -------
    float64 array, shape (n_bags, len(statistics) * dim)
        All columns of the first statistic, then of the second, and so on.

    Examples
    --------
    >>> bags = Bags.from_amounts([{"H": 2, "O": 1}])
    >>> pool(bags, np.array([[1.0], [4.0]]), ["mean", "range", "sum"])
    array([[2., 3., 6.]])
    """
    table = np.ascontiguousarray(vectors, dtype=np.float64)
    if not len(bags) or not table.shape[1]:
        return np.empty((len(bags), len(statistics) * table.shape[1]))
    entries, first = np.diff(bags.starts), bags.starts[:-1]
    fractions = bags.amounts / np.repeat(np.add.reduceat(bags.amounts, first), entries)
    needed = set(statistics)
    pooled: dict[str, NDArray[np.float64]] = {}
    if needed & {"mean", "std"}:
        pooled["mean"] = _weighted_sum(bags, fractions, table)
    if "std" in needed:
        pooled["std"] = _standard_deviation(bags, fractions, table, pooled["mean"])
    if needed & {"min", "max", "range"}:
        pooled["min"], pooled["max"] = _extremes(bags, table)
    if "range" in needed:
        pooled["range"] = pooled["max"] - pooled["min"]
    if "sum" in needed:
        pooled["sum"] = _weighted_sum(bags, bags.amounts / np.repeat(bags.n_units, entries), table)
    if "mode" in needed:
        # Amounts of a formula are written with few digits: a relative 1e-9 is a tie.
        commonest = bags.amounts >= np.repeat(np.maximum.reduceat(bags.amounts, first), entries) * (1 - 1e-9)
        shares = commonest / np.repeat(np.add.reduceat(commonest, first, dtype=np.float64), entries)
        pooled["mode"] = _weighted_sum(bags, shares, table)
    return pooled[statistics[0]] if len(statistics) == 1 else np.hstack([pooled[name] for name in statistics])


def _weighted_sum(bags: Bags, weights: NDArray[np.float64], table: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = csr_array((weights, bags.token_idx, bags.starts), shape=(len(bags), len(table)))
    return np.asarray(matrix @ table)


def _standard_deviation(
    bags: Bags, fractions: NDArray[np.float64], table: NDArray[np.float64], mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    deviation = np.empty_like(mean)
    for rows, layers in _chunks(bags, table.shape[1]):
        centre, variance = mean[rows], np.zeros((len(rows), table.shape[1]))
        for entry in layers:
            squares = table[bags.token_idx[entry]]
            squares -= centre[: len(entry)]
            squares *= squares
            squares *= fractions[entry, None]
            variance[: len(entry)] += squares
        deviation[rows] = np.sqrt(variance)
    return deviation


def _extremes(bags: Bags, table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    smallest, largest = np.empty((2, len(bags), table.shape[1]))
    for rows, layers in _chunks(bags, table.shape[1]):
        low = table[bags.token_idx[layers[0]]]
        high = low.copy()
        for entry in layers[1:]:
            gathered = table[bags.token_idx[entry]]
            np.minimum(low[: len(entry)], gathered, out=low[: len(entry)])
            np.maximum(high[: len(entry)], gathered, out=high[: len(entry)])
        smallest[rows], largest[rows] = low, high
    return smallest, largest


def _chunks(bags: Bags, dim: int) -> Iterator[tuple[NDArray[np.intp], list[NDArray[np.intp]]]]:
    """Yield bags, longest first, with their layers: the first entry of each, the second of those that have two, ..."""
    sizes = np.diff(bags.starts)
    longest_first = np.argsort(-sizes, kind="stable")
    step = max(1, _CHUNK // dim)
    for start in range(0, len(bags), step):
        rows = longest_first[start : start + step]
        n_rows = [int(np.count_nonzero(sizes[rows] > layer)) for layer in range(sizes[rows[0]])]
        yield rows, [bags.starts[rows[:n]] + layer for layer, n in enumerate(n_rows)]
