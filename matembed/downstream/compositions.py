"""Compositions: many formulas as elements and fractions in columns, as networks read them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matembed.corpus.ragged import members, starts
from matembed.downstream.materials import Column, read_amounts
from matembed.elements import ATOMIC_NUMBERS

__all__ = ["Compositions", "read_compositions"]


@dataclass(frozen=True, eq=False)
class Compositions:
    """Formulas in columns; ``compositions[rows]`` are those of some rows.

    Attributes
    ----------
    formulas : tuple of str, length n_formulas
        Atomic numbers and fractions as text, a name for grouping: equal for ``"Sr2Ti2O6"`` and ``"SrTiO3"``.
    ends : int64 array, shape (n_formulas + 1,)
        Where the elements of each start.
    numbers : int64 array, shape (n_elements,)
        Atomic numbers, ascending within a formula.
    fractions : float32 array, shape (n_elements,)
        Above 0, adding to 1 within a formula.
    """

    formulas: tuple[str, ...]
    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]
    fractions: NDArray[np.float32]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many elements each formula has, shape (n_formulas,)."""
        return np.diff(self.ends)

    def __len__(self) -> int:
        return len(self.formulas)

    def __getitem__(self, rows: NDArray[np.int64]) -> Self:
        places, _ = members(self.ends, rows)
        formulas = tuple(self.formulas[row] for row in rows.tolist())
        return type(self)(formulas, starts(self.sizes[rows]), self.numbers[places], self.fractions[places])

    def padded(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Write formulas as rows of equal length.

        Returns
        -------
        numbers : int64 array, shape (n_formulas, longest)
            Atomic numbers, 0 where a formula has ended.
        fractions : float32 array, shape (n_formulas, longest)
            Their fractions, 0 where a formula has ended.
        """
        present = np.arange(self.sizes.max(initial=1)) < self.sizes[:, None]
        numbers, fractions = np.zeros(present.shape, dtype=np.int64), np.zeros(present.shape, dtype=np.float32)
        numbers[present], fractions[present] = self.numbers, self.fractions
        return numbers, fractions


def read_compositions(column: Column) -> Compositions:
    """Read a column of formulas.

    Parameters
    ----------
    column : sequence of formulas, Structures or Crystals, length n_formulas
        As `matembed.downstream.materials.read_amounts` reads them.

    Returns
    -------
    Compositions
        In the order given.

    Raises
    ------
    TypeError
        If it is no column.
    ValueError
        If a formula cannot be read, or there are none.

    Examples
    --------
    >>> read_compositions(["SrTiO3", "NaCl"]).padded()[0].tolist()
    [[8, 22, 38], [11, 17, 0]]
    """
    formulas, sizes, numbers, fractions = [], [], [], []
    for amounts in read_amounts(column):
        found = sorted((ATOMIC_NUMBERS[symbol], amount) for symbol, amount in amounts.items())
        whole = sum(amount for _, amount in found)
        shares = [amount / whole for _, amount in found]
        formulas.append(" ".join(f"{number}:{share:.6f}" for (number, _), share in zip(found, shares, strict=True)))
        sizes.append(len(found))
        numbers += [number for number, _ in found]
        fractions += shares
    if not formulas:
        msg = "wanted one formula or more, got none; nothing can be learned or told"
        raise ValueError(msg)
    return Compositions(
        tuple(formulas),
        starts(np.array(sizes)),
        np.array(numbers, dtype=np.int64),
        np.array(fractions, dtype=np.float32),
    )
