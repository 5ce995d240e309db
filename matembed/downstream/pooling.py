"""Pooling: a bag of tokens and their vectors -> one row of statistics.

A bag is what a material holds: elements with amounts, or motifs with how often they occur. With fractions
f_t = amount_t / sum of amounts and vectors v_t, column by column:

=========== ===================================================================================================
statistic   definition
=========== ===================================================================================================
mean        sum of f_t v_t
std         square root of the sum of f_t (v_t - mean)^2
min, max    smallest and largest v_t, whatever the amounts
range       max - min
sum         sum of amount_t v_t per formula unit
mode        v_t of the token with the largest amount; the mean of them where several tie
kernel_mean sum of f_t z(v_t), where z_j(v) = sqrt(2 / dim) cos(w_j v / s + b_j), dim of them
=========== ===================================================================================================

"kernel_mean" is the kernel mean embedding of the bag [1]_ in random Fourier features [2]_: the inner product of two
rows approaches the mean of exp(-|v - v'|^2 / 2 s^2) over all pairs of a token of one and a token of the other, weighted
by fractions. Unlike the mean it tells a bag of two opposites from one of what lies between. Every w_j is drawn from a
standard normal distribution and b_j from 0 to 2 pi, always with the same seed; s is the bandwidth, for tables the root
mean square distance of their vectors. Few columns are a coarse kernel: `matembed.EmbeddingTable.widen` the table first,
to 256 or more. A linear model of motif vectors may gain from it; boosted trees did not
(``benchmarks/motif_vectors.md``).

Bags with the same proportions give the same row, bit for bit, in whatever order their tokens come. Only sum depends
on more, the formula unit, which is the formula as written where an amount is no integer: Fe0.5Ni0.5 has half the sum
of FeNi.

References
----------
.. [1] A. Smola, A. Gretton, L. Song, B. Schölkopf, A Hilbert space embedding for distributions, Algorithmic Learning
   Theory, Lecture Notes in Computer Science 4754, 13 (2007).
.. [2] A. Rahimi, B. Recht, Random features for large-scale kernel machines, Advances in Neural Information Processing
   Systems 20 (2007).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["STATISTICS", "Bags", "Statistic", "pool", "root_mean_square_distance"]

Statistic = Literal["mean", "std", "min", "max", "range", "sum", "mode", "kernel_mean"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)

_ROUNDING = 1e-8  # atoms; an amount this near to an integer is one, as 3.0000000000000004, which is 30 times 0.1
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
            amount is no integer, to 1e-8.

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
        names = list(chain.from_iterable(amounts))
        values = np.fromiter(chain.from_iterable(bag.values() for bag in amounts), np.float64, len(names))
        tokens = tuple(sorted(set(names)))
        position = {token: idx for idx, token in enumerate(tokens)}
        token_idx = np.fromiter((position[name] for name in names), np.intp, len(names))
        bag_idx = np.repeat(np.arange(len(amounts)), [len(bag) for bag in amounts])
        return cls.from_entries(tokens, token_idx, values, bag_idx, n_units)

    @classmethod
    def from_entries(
        cls,
        tokens: Sequence[str],
        token_idx: NDArray[np.intp],
        amounts: NDArray[np.float64],
        bag_idx: NDArray[np.intp],
        n_units: Sequence[float] | None = None,
    ) -> Self:
        """Make bags from arrays.

        Parameters
        ----------
        tokens : sequence of str
            Tokens, sorted; those in no bag are dropped.
        token_idx : int array, shape (n_entries,)
            Position in `tokens` of each entry; once a bag at most.
        amounts : float array, shape (n_entries,)
            Amount of each entry, positive.
        bag_idx : int array, shape (n_entries,)
            Bag of each entry, in any order; from 0 on every bag has one.
        n_units : sequence of float, length n_bags, optional
            As for `from_amounts`.

        Returns
        -------
        Bags
            The bags, by their number.

        Examples
        --------
        >>> bags = Bags.from_entries("CHO", np.array([2, 1]), np.array([1.0, 2.0]), np.array([0, 0]))
        >>> bags.tokens, bags.token_idx, bags.amounts
        (('H', 'O'), array([0, 1]), array([2., 1.]))
        """
        order = np.argsort(bag_idx * len(tokens) + token_idx, kind="stable")  # quick on what is sorted already
        used = np.bincount(token_idx, minlength=len(tokens)) > 0
        starts = np.concatenate(([0], np.cumsum(np.bincount(bag_idx)))).astype(np.intp)
        values = amounts[order]
        units = _formula_units(values, starts) if n_units is None else np.asarray(n_units, dtype=np.float64)
        return cls(tuple(compress(tokens, used)), (np.cumsum(used) - 1)[token_idx[order]], values, starts, units)

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
    near = (integers > 0) & (np.abs(amounts - integers) < _ROUNDING)
    whole = np.logical_and.reduceat(near, starts[:-1])
    return np.where(whole, np.gcd.reduceat(integers, starts[:-1]), 1).astype(np.float64)


def pool(
    bags: Bags, vectors: NDArray[np.floating], statistics: Sequence[Statistic], *, bandwidth: float = 1.0
) -> NDArray[np.float64]:
    """Pool the vectors of each bag.

    Parameters
    ----------
    bags : Bags
        What each material holds.
    vectors : float array, shape (n_tokens, dim)
        A vector for each of ``bags.tokens``.
    statistics : sequence of {"mean", "std", "min", "max", "range", "sum", "mode", "kernel_mean"}
        What to compute; the module's docstring defines each.
    bandwidth : float, default 1.0
        Of "kernel_mean", positive; in the unit of the vectors.

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
    weights: dict[Statistic, NDArray[np.float64]] = {
        name: _weights(bags, name) for name in statistics if name in ("mean", "sum", "mode", "kernel_mean")
    }
    averaged = {name: _random_features(table, bandwidth) if name == "kernel_mean" else table for name in weights}
    if len(statistics) == 1 and weights:
        return _weighted_sum(bags, weights[statistics[0]], averaged[statistics[0]])
    pooled = np.empty((len(bags), len(statistics), table.shape[1]))
    out: dict[Statistic, NDArray[np.float64]] = dict(zip(statistics, pooled.swapaxes(0, 1), strict=True))
    for name in weights:
        out[name][:] = _weighted_sum(bags, weights[name], averaged[name])
    if "std" in out:
        _standard_deviations(bags, table, out)
    if out.keys() & {"min", "max", "range"}:
        _extremes(bags, table, out)
    return pooled.reshape(len(bags), -1)


def root_mean_square_distance(vectors: NDArray[np.floating]) -> float:
    """Tell how far vectors are from each other.

    Parameters
    ----------
    vectors : float array, shape (n_tokens, dim)
        Vectors.

    Returns
    -------
    float
        Over all pairs of two, each vector with itself among them; 1 if all are equal.

    Examples
    --------
    >>> root_mean_square_distance(np.array([[0.0, 0.0], [6.0, 8.0]])) ** 2
    50.0
    """
    return float(np.sqrt(2 * vectors.var(axis=0, dtype=np.float64).sum())) or 1.0


def _random_features(table: NDArray[np.float64], bandwidth: float) -> NDArray[np.float64]:
    """Random Fourier features of a Gaussian kernel."""
    dim = table.shape[1]
    rng = np.random.default_rng(0)
    directions, phases = rng.standard_normal((dim, dim)), rng.uniform(0, 2 * np.pi, dim)
    # As a sparse matrix, so that no row depends on how many others there are.
    angles = np.asarray(csr_array(table) @ (directions / bandwidth))
    return np.asarray(np.sqrt(2 / dim) * np.cos(angles + phases))


def _weights(bags: Bags, statistic: Statistic) -> NDArray[np.float64]:
    """Weight of each entry in a statistic that is a weighted sum."""
    entries, first = np.diff(bags.starts), bags.starts[:-1]
    if statistic == "sum":
        return bags.amounts / np.repeat(bags.n_units, entries)
    amounts = bags.amounts
    if statistic == "mode":
        # Amounts of a formula are written with few digits: a relative 1e-9 is a tie.
        commonest = amounts >= np.repeat(np.maximum.reduceat(amounts, first), entries) * (1 - 1e-9)
        amounts = commonest.astype(np.float64)
    return amounts / np.repeat(np.add.reduceat(amounts, first), entries)


def _weighted_sum(bags: Bags, weights: NDArray[np.float64], table: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = csr_array((weights, bags.token_idx, bags.starts), shape=(len(bags), len(table)))
    return np.asarray(matrix @ table)


def _standard_deviations(bags: Bags, table: NDArray[np.float64], out: Mapping[Statistic, NDArray[np.float64]]) -> None:
    fractions = _weights(bags, "mean")
    mean = out["mean"] if "mean" in out else _weighted_sum(bags, fractions, table)
    for rows, layers in _chunks(bags, table.shape[1]):
        centre, variance = mean[rows], np.zeros((len(rows), table.shape[1]))
        for entry in layers:
            squares = table[bags.token_idx[entry]]
            squares -= centre[: len(entry)]
            squares *= squares
            squares *= fractions[entry, None]
            variance[: len(entry)] += squares
        out["std"][rows] = np.sqrt(variance, out=variance)


def _extremes(bags: Bags, table: NDArray[np.float64], out: Mapping[Statistic, NDArray[np.float64]]) -> None:
    for rows, layers in _chunks(bags, table.shape[1]):
        low = table[bags.token_idx[layers[0]]]
        high = low.copy()
        for entry in layers[1:]:
            gathered = table[bags.token_idx[entry]]
            np.minimum(low[: len(entry)], gathered, out=low[: len(entry)])
            np.maximum(high[: len(entry)], gathered, out=high[: len(entry)])
        if "min" in out:
            out["min"][rows] = low
        if "max" in out:
            out["max"][rows] = high
        if "range" in out:
            out["range"][rows] = high - low


def _chunks(bags: Bags, dim: int) -> Iterator[tuple[NDArray[np.intp], list[NDArray[np.intp]]]]:
    """Yield bags, longest first, with their layers: the first entry of each, the second of those that have two, ..."""
    sizes = np.diff(bags.starts)
    longest_first = np.argsort(-sizes, kind="stable")
    step = max(1, _CHUNK // dim)
    for start in range(0, len(bags), step):
        rows = longest_first[start : start + step]
        n_rows = [int(np.count_nonzero(sizes[rows] > layer)) for layer in range(sizes[rows[0]])]
        yield rows, [bags.starts[rows[:n]] + layer for layer, n in enumerate(n_rows)]
