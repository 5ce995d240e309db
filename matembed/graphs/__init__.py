"""Crystals -> dual graphs of atoms and motifs -> properties."""

from matembed.graphs.atom_motif import AtomMotifGraph, AtomMotifGraphs
from matembed.graphs.building import GraphReport, atom_motif_graphs, build_graphs
from matembed.graphs.regressor import AtomMotifClassifier, AtomMotifRegressor
from matembed.graphs.tensors import TensorRegressor

__all__ = [
    "AtomMotifClassifier",
    "AtomMotifGraph",
    "AtomMotifGraphs",
    "AtomMotifRegressor",
    "GraphReport",
    "TensorRegressor",
    "atom_motif_graphs",
    "build_graphs",
]
