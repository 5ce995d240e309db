"""A column of materials: read the formulas or structures of a list, array, Series or DataFrame."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.composition import Composition

from matembed.corpus.formulas import FormulaError, amounts_of
from matembed.corpus.plain_formulas import SYMBOLS, read_plain_formulas
from matembed.downstream.pooling import Bags
from matembed.motifs import Crystal, Engine, MotifArrays, MotifError, MotifGraph, Strategy, find_motif_arrays

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Column", "as_graph", "as_list", "read_amounts", "read_bags", "read_graphs", "read_motifs"]

Column: TypeAlias = "Sequence[Any] | NDArray[Any] | pd.Series | pd.DataFrame"


def as_list(column: Column, what: str) -> list[Any]:
    """Turn a column into a list.

    Parameters
    ----------
    column : list, tuple, 1-D array, Series, or array or DataFrame of one column
        The column.
    what : str
        What it should hold, for the error message: ``"formulas"``.

    Returns
    -------
    list
        Its entries, in order.

    Raises
    ------
    TypeError
        If it is a single entry, or something without an order.
    ValueError
        If it has more than one column.

    Examples
    --------
    >>> as_list(np.array([["NaCl"], ["MgO"]]), "formulas")
    ['NaCl', 'MgO']
    >>> as_list("NaCl", "formulas")
    Traceback (most recent call last):
        ...
    TypeError: wanted a list, array, Series or single column of formulas, got str 'NaCl'; pass ['NaCl'] for one
    """
    if isinstance(column, (list, tuple)) and not isinstance(column, MotifArrays):
        return list(column)
    if getattr(column, "ndim", None) in (1, 2):
        entries = np.asarray(column, dtype=object)
        if entries.ndim == 2 and entries.shape[1] != 1:
            msg = f"wanted a single column of {what}, got {entries.shape[1]}; pass one, such as frame['formula']"
            raise ValueError(msg)
        return list(entries.ravel())
    got = f"{type(column).__name__} {column!r:.60}".replace("\n", " ")
    remedy = f"pass [{column!r}] for one" if isinstance(column, str) else "put them in a list"
    msg = f"wanted a list, array, Series or single column of {what}, got {got}; {remedy}"
    raise TypeError(msg)


def read_amounts(column: Column) -> list[dict[str, float]]:
    """Read a column of formulas.

    Parameters
    ----------
    column : sequence of formulas, length n_formulas
        Text, pymatgen Composition, or mapping of element symbol to amount; of a Structure or Crystal, the composition
        is read.

    Returns
    -------
    list of dict of str to float, length n_formulas
        Amount by element symbol, as written. Equal formulas share a dict: not to be changed.

    Raises
    ------
    TypeError
        If it is no column.
    FormulaError
        If a formula cannot be read; the message begins with its position, counted from 0.

    Examples
    --------
    >>> read_amounts(["H2O", {"Na": 1, "Cl": 1}])
    [{'H': 2.0, 'O': 1.0}, {'Na': 1.0, 'Cl': 1.0}]
    """
    return [_amounts_at(position, formula) for position, formula in enumerate(as_list(column, "formulas"))]


def read_bags(column: Column) -> Bags:
    """Read a column of formulas for pooling: what `read_amounts` reads, as arrays and many times faster.

    Parameters
    ----------
    column : sequence of formulas, length n_formulas
        As for `read_amounts`.

    Returns
    -------
    Bags
        One a formula; their tokens are element symbols.

    Raises
    ------
    TypeError
        If it is no column.
    FormulaError
        If a formula cannot be read; the message begins with its position, counted from 0.

    Examples
    --------
    >>> bags = read_bags(["H2O", "Ca(OH)2"])
    >>> bags.tokens, bags.amounts, bags.starts
    (('Ca', 'H', 'O'), array([2., 1., 1., 2., 2.]), array([0, 2, 5]))
    """
    formulas = as_list(column, "formulas")
    plain = read_plain_formulas(formulas)
    others = np.flatnonzero(plain.n_elements == 0)
    read = [_amounts_at(position, formulas[position]) for position in others.tolist()]
    symbols = [_ELEMENT_IDX[symbol] for amounts in read for symbol in amounts]
    values = [value for amounts in read for value in amounts.values()]
    positions = np.arange(len(formulas))
    return Bags.from_entries(
        SYMBOLS,
        np.concatenate((plain.element_idx, np.array(symbols, dtype=np.int64))),
        np.concatenate((plain.amounts, np.array(values, dtype=np.float64))),
        np.concatenate((np.repeat(positions, plain.n_elements), np.repeat(others, [len(amounts) for amounts in read]))),
    )


def _amounts_at(position: int, formula: object) -> dict[str, float]:
    try:
        if isinstance(formula, str):
            return _read_text(formula)
        formula = Counter(formula.symbols) if isinstance(formula, Crystal) else getattr(formula, "composition", formula)
        return amounts_of(_composition(formula) if isinstance(formula, Mapping) else formula)
    except FormulaError as error:
        msg = f"formula at position {position}: {error}"
        raise FormulaError(msg) from error


# Cross-validation and searches over settings read the same formulas again and again.
_read_text = lru_cache(maxsize=2**15)(amounts_of)
_ELEMENT_IDX = {symbol: idx for idx, symbol in enumerate(SYMBOLS)}


def _composition(amounts: Mapping[Any, float]) -> Composition:
    try:
        return Composition(amounts)
    except (TypeError, ValueError) as error:
        msg = f"{amounts!r:.80} does not map elements to positive numbers: {error}"
        raise FormulaError(msg) from error


def read_graphs(column: Column, **settings: Any) -> list[MotifGraph]:
    """Find the motifs of a column of structures, as graphs.

    Parameters
    ----------
    column : sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_structures
        Structures; graphs are kept as they are.
    **settings : object
        Passed to `matembed.find_motifs`.

    Returns
    -------
    list of MotifGraph, length n_structures
        One a structure.

    Raises
    ------
    TypeError
        If it is no column, or an entry is no structure.
    MotifError
        If the motifs of a structure cannot be found; the message begins with its position, counted from 0.
    """
    return [as_graph(found, **settings) for found in read_motifs(column, **settings)]


def read_motifs(column: Column, *, first: int = 0, **settings: Any) -> list[MotifArrays | MotifGraph]:
    """Find the motifs of a column of structures, as arrays: what `read_graphs` finds, without an object a motif.

    Parameters
    ----------
    column : sequence of Structure, Crystal, MotifArrays or MotifGraph, length n_structures
        Structures; arrays and graphs are kept as they are.
    first : int, default 0
        Position of the first entry, for error messages.
    **settings : object
        Passed to `matembed.motifs.find_motif_arrays`.

    Returns
    -------
    list of MotifArrays or MotifGraph, length n_structures
        One a structure.

    Raises
    ------
    TypeError
        If it is no column, or an entry is no structure.
    MotifError
        If the motifs of a structure cannot be found; the message begins with its position, counted from 0.
    """
    found: list[MotifArrays | MotifGraph] = []
    for position, entry in enumerate(as_list(column, "structures"), start=first):
        if isinstance(entry, MotifArrays | MotifGraph):
            found.append(entry)
            continue
        try:
            crystal = entry if isinstance(entry, Crystal) else Crystal.from_structure(entry)
            found.append(find_motif_arrays(crystal, **settings))
        except (MotifError, TypeError) as error:
            msg = f"structure at position {position}: {error}"
            raise type(error)(msg) from error
    return found


def as_graph(
    found: MotifArrays | MotifGraph, *, engine: Engine = "numba", strategy: Strategy = "simplest", **_: object
) -> MotifGraph:
    """Make a graph of motifs; a graph is kept as it is.

    Parameters
    ----------
    found : MotifArrays or MotifGraph
        The motifs of a crystal.
    engine, strategy : str
        What found them.
    **_ : object
        Other settings, of which a graph keeps none.

    Returns
    -------
    MotifGraph
        The graph.
    """
    return found if isinstance(found, MotifGraph) else found.to_graph(engine=engine, strategy=strategy)
