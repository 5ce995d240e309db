"""Structure -> MotifGraph: coordination polyhedra and what they share."""

from matembed.motifs.arrays import MotifArrays
from matembed.motifs.connectivity import connect
from matembed.motifs.crystal import Crystal, MotifError
from matembed.motifs.find import (
    ENGINES,
    SEARCHES,
    STRATEGIES,
    Engine,
    Search,
    Strategy,
    find_motif_arrays,
    find_motifs,
)
from matembed.motifs.geometry import nearest_geometry, symmetry_measures
from matembed.motifs.graph import Connection, Environment, Ligand, Motif, MotifGraph

__all__ = [
    "ENGINES",
    "SEARCHES",
    "STRATEGIES",
    "Connection",
    "Crystal",
    "Engine",
    "Environment",
    "Ligand",
    "Motif",
    "MotifArrays",
    "MotifError",
    "MotifGraph",
    "Search",
    "Strategy",
    "connect",
    "find_motif_arrays",
    "find_motifs",
    "nearest_geometry",
    "symmetry_measures",
]
