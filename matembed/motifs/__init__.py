"""Structure -> MotifGraph: coordination polyhedra and what they share."""

from matembed.motifs.connectivity import connect
from matembed.motifs.find import ENGINES, Engine, MotifError, find_motifs
from matembed.motifs.graph import Connection, Ligand, Motif, MotifGraph

__all__ = ["ENGINES", "Connection", "Engine", "Ligand", "Motif", "MotifError", "MotifGraph", "connect", "find_motifs"]
