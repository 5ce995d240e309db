"""Controls: motifs in the wrong crystals, and the size of a cell alone. What motif features must beat."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymatgen.core.structure import IStructure

from matembed.motifs import MotifGraph

__all__ = ["cell_sizes", "shuffled_motifs"]


def shuffled_motifs(graphs: Sequence[MotifGraph], *, seed: int = 0) -> list[MotifGraph]:
    """Exchange motifs at random among all centres of the same element.

    Every motif is moved whole: geometry, ligands, csm and oxidation state of its centre. Compositions, the number of
    motifs of each element in a crystal and the frequencies of motifs stay; which crystal has which is lost.

    Parameters
    ----------
    graphs : sequence of MotifGraph
        A whole data set.
    seed : int, default 0
        Of the exchange.

    Returns
    -------
    list of MotifGraph
        In the order given. Only the kinds of their motifs mean something: connections are left as they were.

    Examples
    --------
    >>> from matembed import find_motifs
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = find_motifs(Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]))
    >>> [(motif.element, motif.cn) for motif in shuffled_motifs([salt])[0].motifs]
    [('Na', 6), ('Na', 6), ('Na', 6), ('Na', 6)]
    """
    motifs = [motif for graph in graphs for motif in graph.motifs]
    centres = np.array([motif.element for motif in motifs])
    origin, rng = np.arange(len(motifs)), np.random.default_rng(seed)
    for element in np.unique(centres):
        same = np.flatnonzero(centres == element)
        origin[same] = rng.permutation(same)
    moved = iter([motifs[idx] for idx in origin])
    return [replace(graph, motifs=tuple(islice(moved, len(graph.motifs)))) for graph in graphs]


def cell_sizes(materials: Sequence[Any], graphs: Sequence[MotifGraph]) -> NDArray[np.float64]:
    """Say how large the cell of each crystal is: a control of leaks, never a feature to use.

    Parameters
    ----------
    materials : sequence
        Structures, or anything else.
    graphs : sequence of MotifGraph, length n_materials
        Their motifs.

    Returns
    -------
    float array, shape (n_materials, n_columns)
        Of structures the number of sites, the volume per atom in Å³ and the density in g/cm³; else, since a motif graph
        has no coordinates, the numbers of motifs and of connections. All but volume and density depend on the cell that
        was given, and so on who wrote the file.
    """
    if all(isinstance(material, IStructure) for material in materials):
        return np.array([[len(one), one.volume / len(one), float(one.density)] for one in materials])
    return np.array([[len(graph.motifs), len(graph.connections)] for graph in graphs], dtype=np.float64)
