"""Structure -> MotifGraph: coordination polyhedra and what they share."""

from matembed.motifs.connectivity import connect
from matembed.motifs.find import MotifError, find_motifs
from matembed.motifs.graph import Connection, Ligand, Motif, MotifGraph

__all__ = ["Connection", "Ligand", "Motif", "MotifError", "MotifGraph", "connect", "find_motifs"]
