"""What a transformer made of known materials, to answer by the nearest of them too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from matembed.corpus.set_words import WORDS
from matembed.encoders._masking import GEOMETRY_WORDS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Memory"]

# Found on one split of oxides, the first of benchmarks/masked_geometry.py.
_N_NEAREST = 32
_SHARPNESS = 50.0  # of weights, over cosines
_SHARE = 0.5  # of what is remembered, in an answer
_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Memory:
    """States of hidden motifs whose geometries are known.

    Attributes
    ----------
    states : float32 array, shape (n_known, dim)
        Unit vectors.
    answers : float32 array, shape (n_known, n_geometries)
        Shares of the geometries.
    rows : DataFrame, length n_known
        Material, element and oxidation of each.
    """

    states: NDArray[np.float32]
    answers: NDArray[np.float32]
    rows: "pd.DataFrame"

    @classmethod
    def of(cls, states: NDArray[np.float32], answers: NDArray[np.float32], rows: "pd.DataFrame") -> "Memory":
        """Remember answers to what is in these states; those that are not known are left out."""
        known = np.flatnonzero(answers.sum(axis=1) > 0)
        return cls(_unit(states[known]), answers[known], rows.iloc[known].reset_index(drop=True))

    def nearest(self, states: NDArray[np.float32], n: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield, for some rows of states at a time, the places and cosines of the n nearest, nearest first."""
        n = min(n, len(self.states))
        for start in range(0, len(states), _AT_ONCE):
            cosines = _unit(states[start : start + _AT_ONCE]) @ self.states.T
            places = np.argpartition(-cosines, n - 1, axis=1)[:, :n]
            found = np.take_along_axis(cosines, places, axis=1)
            order = np.argsort(-found, axis=1, kind="stable")
            yield np.take_along_axis(places, order, axis=1), np.take_along_axis(found, order, axis=1)

    def listed(self, states: NDArray[np.float32], n: int) -> "pd.DataFrame":
        """List the n nearest of each state, nearest first: names, the geometry that most of its motifs have, cosine."""
        places, cosines = (np.concatenate(parts).ravel() for parts in zip(*self.nearest(states, n), strict=True))
        names = {"material": "known", "element": "known_element", "oxidation": "known_oxidation"}
        table = self.rows.iloc[places].reset_index(drop=True).rename(columns=names)
        best = self.answers[places].argmax(axis=1)
        return table.assign(geometry=[WORDS.words[GEOMETRY_WORDS[place]] for place in best], cosine=cosines)

    def mixed(self, states: NDArray[np.float32], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average the probabilities of a network with the answers of the nearest."""
        remembered = np.zeros((len(states), len(GEOMETRY_WORDS)), dtype=np.float32)
        done = 0
        for places, cosines in self.nearest(states, _N_NEAREST):
            weights = np.exp(_SHARPNESS * (cosines - cosines[:, :1]))
            weights /= weights.sum(axis=1, keepdims=True)
            remembered[done : done + len(places)] = np.einsum("ij,ijk->ik", weights, self.answers[places])
            done += len(places)
        return (1 - _SHARE) * probabilities + _SHARE * remembered


def _unit(states: NDArray[np.float32]) -> NDArray[np.float32]:
    return states / np.linalg.norm(states, axis=1, keepdims=True)
