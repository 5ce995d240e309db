"""Where was a text first seen? Told of very many, in sixteen bytes of memory each."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["FirstRows"]


class FirstRows:
    """The row of each text's first appearance, by a hash of 64 bits.

    Among 100 million texts, two share a hash once in some 4,000 times; the later of them then passes for the earlier.
    Hashes are kept in sorted runs, each at least twice as long as the next, so that adding n texts takes n log n steps.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []

    def add(self, texts: Sequence[str], rows: Sequence[int]) -> list[int]:
        """Add texts that are met in these rows; return the row where each was first, its own if it is new."""
        data = b"".join(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
        hashes, place, inverse = np.unique(np.frombuffer(data, dtype="<u8"), return_index=True, return_inverse=True)
        first = np.asarray(rows, dtype=np.int64)[place]
        new = np.ones(len(hashes), dtype=bool)
        for known, known_rows in self._runs:
            at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            old = known[at] == hashes
            first[old] = known_rows[at[old]]
            new &= ~old
        if new.any():
            self._runs.append((hashes[new], first[new]))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            both = [np.concatenate(pair) for pair in zip(*self._runs[-2:], strict=True)]
            order = np.argsort(both[0], kind="stable")
            self._runs[-2:] = [(both[0][order], both[1][order])]
        return [int(row) for row in first[inverse]]
