"""Columns: sets of tokens as arrays, material after material and token after token."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed.corpus.ragged import spans, starts

__all__ = ["Columns", "frozen"]


def frozen(values: ArrayLike, dtype: type) -> NDArray[Any]:
    """View values as an array that cannot be written to."""
    array: NDArray[Any] = np.asarray(values, dtype=dtype).view()
    array.flags.writeable = False
    return array


class Columns(NamedTuple):
    """Sets of tokens, end to end; how many tokens each material has, and how many words each token."""

    n_tokens: NDArray[np.int64]
    kinds: NDArray[np.int8]
    amounts: NDArray[np.floating]
    csms: NDArray[np.float32]
    n_words: NDArray[np.int64]
    words: NDArray[np.int32]
    weights: NDArray[np.float32]
    groups: NDArray[np.int16]

    @classmethod
    def joined(cls, parts: "Iterable[Columns]") -> "Columns":
        """Put materials together, one part after another."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def taken(self, materials: NDArray[np.int64]) -> "Columns":
        """Take materials, in the order given."""
        n_tokens = self.n_tokens[materials]
        return self.picked(spans(starts(self.n_tokens)[materials], n_tokens), n_tokens)

    def picked(self, tokens: NDArray[np.int64], n_tokens: NDArray[np.int64]) -> "Columns":
        """Pick tokens, in the order given, and say how many each material has now."""
        n_words = self.n_words[tokens]
        rows = spans(starts(self.n_words)[tokens], n_words)
        return Columns(
            n_tokens=n_tokens,
            kinds=self.kinds[tokens],
            amounts=self.amounts[tokens],
            csms=self.csms[tokens],
            n_words=n_words,
            words=self.words[rows],
            weights=self.weights[rows],
            groups=self.groups[rows],
        )
