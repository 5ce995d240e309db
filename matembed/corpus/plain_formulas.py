"""What are the amounts of many formulas at once? Symbols and whole numbers are read in bulk, all else is left out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.corpus.formulas import ELECTRONEGATIVITIES

__all__ = ["SYMBOLS", "PlainFormulas", "read_plain_formulas"]

SYMBOLS: tuple[str, ...] = tuple(sorted(ELECTRONEGATIVITIES))
"""Symbols of the elements in alphabetical order."""

_MAX_DIGITS = 6
_MAX_LENGTH = (2 + _MAX_DIGITS) * len(SYMBOLS)  # of a formula without repeated elements
_UNKNOWN = len(SYMBOLS)
_ELEMENT_BITS, _AMOUNT_BITS = 7, 20  # _UNKNOWN and 999,999 fit

# Row: a capital letter, counted from A. Column: the character after it.
_ELEMENT_IDX = np.full((26, 128), _UNKNOWN)
for _idx, _symbol in enumerate(SYMBOLS):
    _after = [ord(_symbol[1])] if len(_symbol) == 2 else [code for code in range(128) if not chr(code).islower()]
    _ELEMENT_IDX[ord(_symbol[0]) - ord("A"), _after] = _idx


class PlainFormulas(NamedTuple):
    """Elements and amounts of formulas as compressed sparse rows; a formula that is not plain has no entries.

    Attributes
    ----------
    element_idx : int array, shape (n_entries,)
        Positions in `SYMBOLS`, ascending within a formula.
    amounts : float array, shape (n_entries,)
        Amounts as written: whole numbers from 1 to 999,999.
    n_elements : int array, shape (n_formulas,)
        How many entries belong to each formula: those of the first come first.
    """

    element_idx: NDArray[np.int64]
    amounts: NDArray[np.float64]
    n_elements: NDArray[np.int64]


def read_plain_formulas(formulas: Sequence[object]) -> PlainFormulas:
    """Read those formulas that are plain, such as ``SrTiO3``.

    A plain formula is a text of element symbols, none of them twice, each followed by nothing or by a whole number of
    at most six digits that does not begin with 0. One with ``OAc``, which may be acetate, does not count as plain.

    Parameters
    ----------
    formulas : sequence of object, length n_formulas
        Texts; anything else is not plain.

    Returns
    -------
    PlainFormulas
        For plain formulas what `amounts_of` gives, for others nothing.

    See Also
    --------
    matembed.corpus.formulas.amounts_of : Reads a formula of any kind; this is held equal to it.

    Examples
    --------
    >>> plain = read_plain_formulas(["H2O", "Ca(OH)2", "NaCl"])
    >>> [SYMBOLS[idx] for idx in plain.element_idx], plain.amounts, plain.n_elements
    (['H', 'O', 'Cl', 'Na'], array([2., 1., 1., 1.]), array([2, 0, 2]))
    """
    texts = [text if isinstance(text, str) and len(text) <= _MAX_LENGTH else "" for text in formulas]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    ends = np.cumsum(lengths + 1) - 1
    begins = ends - lengths
    # A line each, and some empty ones, so that there is something to look at after the last number.
    # What is not ASCII becomes one question mark a character.
    lines = "\n".join([*texts, "\n" * _MAX_DIGITS]).encode("ascii", "replace")
    chars = np.frombuffer(lines, dtype=np.uint8)
    # Unsigned numbers wrap around: a character before the first of a range comes out far beyond its last.
    capital, small, digit = chars - ord("A") < 26, chars - ord("a") < 26, chars - ord("0") < 10

    fits = capital | digit
    fits[1:] |= small[1:] & capital[:-1]
    fits[ends] = True
    plain = capital[begins]
    plain[np.searchsorted(ends, np.flatnonzero(~fits[: len(chars) - _MAX_DIGITS]))] = False

    at = np.flatnonzero(capital)
    n_elements = np.add.reduceat(capital, begins, dtype=np.int64)
    formula_idx = np.repeat(np.arange(len(texts)), n_elements)
    element_idx = _ELEMENT_IDX[chars[at] - ord("A"), chars[at + 1]]
    acetate = (element_idx == SYMBOLS.index("Ac")) & (chars[at - 1] == ord("O"))
    amounts, readable = _read_numbers(chars, digit, at + 1 + small[at + 1])
    plain[formula_idx[(element_idx == _UNKNOWN) | acetate | ~readable]] = False

    # Formula, element and amount in one integer, so that sorting integers sorts the entries.
    entries = (formula_idx << _ELEMENT_BITS | element_idx) << _AMOUNT_BITS | amounts
    entries.sort(kind="stable")  # formulas are in order already, of which this kind makes use
    elements = entries >> _AMOUNT_BITS
    plain[elements[1:][elements[1:] == elements[:-1]] >> _ELEMENT_BITS] = False
    entries = entries[plain[entries >> (_ELEMENT_BITS + _AMOUNT_BITS)]]
    return PlainFormulas(
        element_idx=(entries >> _AMOUNT_BITS) & ((1 << _ELEMENT_BITS) - 1),
        amounts=(entries & ((1 << _AMOUNT_BITS) - 1)).astype(np.float64),
        n_elements=n_elements * plain,
    )


def _read_numbers(
    chars: NDArray[np.uint8], digit: NDArray[np.bool_], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read the number at each position, 1 where there is none; and tell which begin with 0 or are too long."""
    numbers = np.zeros(len(first), dtype=np.int64)
    inside = digit[first]
    written = inside
    for place in range(_MAX_DIGITS):
        if not inside.any():
            break
        numbers = np.where(inside, 10 * numbers + (chars[first + place] - ord("0")), numbers)
        inside = inside & digit[first + place + 1]
    readable = ~inside & (chars[first] != ord("0"))
    return np.where(written, numbers, 1), readable
