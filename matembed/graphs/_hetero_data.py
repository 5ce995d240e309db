"""An AtomMotifGraph as PyTorch Geometric's HeteroData."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

if TYPE_CHECKING:
    from matembed.graphs.atom_motif import AtomMotifGraph

__all__ = ["hetero_data"]


def hetero_data(graph: "AtomMotifGraph") -> HeteroData:
    """Write a graph as node types ``"atom"`` and ``"motif"`` and the edges between them.

    Parameters
    ----------
    graph : AtomMotifGraph
        Of one crystal.

    Returns
    -------
    HeteroData
        As `AtomMotifGraph.to_hetero_data` says.
    """
    data = HeteroData()
    atoms, motifs = data["atom"], data["motif"]
    atoms.num_nodes, motifs.num_nodes = len(graph.numbers), len(graph.motif_centres)
    atoms.number, atoms.oxidation = _tensor(graph.numbers), _tensor(graph.oxidations)
    atoms.count = _tensor(graph.atom_counts)
    motifs.geometry, motifs.csm = _tensor(graph.motif_geometries), _tensor(graph.motif_csms)
    motifs.count = _tensor(graph.motif_counts)
    motifs.token = list(graph.motif_names)
    bonds, links = data["atom", "bond", "atom"], data["motif", "connection", "motif"]
    bonds.edge_index = _both_ways(graph.bond_atoms)
    bonds.length, bonds.count = (_twice(one) for one in (graph.bond_lengths, graph.bond_counts))
    if graph.bond_vectors is not None:
        bonds.vector = torch.cat([_tensor(graph.bond_vectors), -_tensor(graph.bond_vectors)])
    links.edge_index = _both_ways(graph.link_motifs)
    links.shared, links.length = (_twice(one) for one in (graph.link_shared, graph.link_lengths))
    links.angle, links.count = (_twice(one) for one in (graph.link_angles, graph.link_counts))
    ligands, centres = data["atom", "ligand", "motif"], data["atom", "centre", "motif"]
    ligands.edge_index = _tensor(graph.ligand_ends[:, ::-1].T)
    ligands.length, ligands.count = _tensor(graph.ligand_lengths), _tensor(graph.ligand_counts)
    centres.edge_index = _tensor(np.stack([graph.motif_centres, np.arange(len(graph.motif_centres))]))
    return data


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    whole = values.dtype.kind in "iu"
    return torch.from_numpy(np.array(values, dtype=np.int64 if whole else np.float32))


def _both_ways(pairs: NDArray[np.int32]) -> torch.Tensor:
    """Neighbour and node, first as they stand, then backwards: shape (2, 2 n_pairs)."""
    return _tensor(np.concatenate([pairs[:, ::-1], pairs]).T)


def _twice(values: NDArray[Any]) -> torch.Tensor:
    return torch.cat([_tensor(values), _tensor(values)])
