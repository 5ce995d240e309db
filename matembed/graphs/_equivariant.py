"""An E(3)-equivariant atom branch: scalars, and vectors and symmetric traceless tensors that turn with a crystal.

Vectors are odd and tensors even under inversion. Each layer is one of the invariant branch and, beside it, one of
tensor field networks [1]_ as e3nn [2]_ has them, with weights that hear the length of a bond and the scalars of both
its atoms.

References
----------
.. [1] N. Thomas et al., arXiv:1802.08219 (2018).
.. [2] M. Geiger and T. Smidt, arXiv:2207.09453 (2022).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from e3nn import get_optimization_defaults, o3, set_optimization_defaults
from torch import Tensor, nn
from torch_geometric.utils import scatter

from matembed.graphs._layers import GatedConvolution

__all__ = ["EquivariantAtoms", "EquivariantConvolution", "TensorReadout", "directed_irreps", "symmetric_basis"]

if TYPE_CHECKING:
    from matembed.graphs._network import AtomMotifNetwork, Batch
    from matembed.graphs.atom_motif import AtomMotifGraphs

_DIRECTIONS = o3.Irreps("0e + 1o + 2e")
_SCALAR = o3.Irrep("0e")


@contextmanager
def _plain() -> Iterator[None]:
    """Make e3nn's modules without TorchScript, which is deprecated and does not copy."""
    before = get_optimization_defaults()["jit_script_fx"]
    set_optimization_defaults(jit_script_fx=False)
    try:
        yield
    finally:
        set_optimization_defaults(jit_script_fx=before)


def directed_irreps(width: int) -> o3.Irreps:
    """Say how many vectors and tensors go with so many scalars: a half and a quarter."""
    return o3.Irreps(f"{max(1, width // 2)}x1o + {max(1, width // 4)}x2e")


class EquivariantConvolution(nn.Module):
    """Add to an atom what its neighbours say, as `GatedConvolution` does, and what they say in directions.

    What directions tell scalars comes in with weights that start at zero: untrained, scalars are as without directions.

    Parameters
    ----------
    width : int
        Scalars of a state; it has half as many vectors and a quarter as many tensors.
    edge_width : int
        Numbers of an edge.
    scale : float
        What sums of messages are divided by: about the usual number of neighbours.
    dropout : float
        Share of what is added to scalars that is set to zero, in training.
    """

    def __init__(self, width: int, edge_width: int, scale: float, dropout: float) -> None:
        super().__init__()
        directed = directed_irreps(width)
        before = o3.Irreps(f"{width}x0e") + directed
        between: list[tuple[int, o3.Irrep]] = []
        paths = []
        for first, (_, ir_first) in enumerate(before):
            for second, (_, ir_second) in enumerate(_DIRECTIONS):
                for ir in ir_first * ir_second:
                    if ir in _DIRECTIONS and (ir_first, ir_second) != (_SCALAR, _SCALAR):
                        paths.append((first, second, len(between), "uvu", True))
                        between.append((before[first].mul, ir))
        self.undirected = GatedConvolution(width, edge_width, scale, dropout)
        self.product = o3.TensorProduct(
            before, _DIRECTIONS, o3.Irreps(between), paths, shared_weights=False, internal_weights=False
        )
        n_gates = sum(many for many, _ in directed)
        self.mix = o3.Linear(o3.Irreps(between), o3.Irreps(f"{width + n_gates}x0e") + directed)
        self.keep = o3.Linear(directed, directed)
        self.norm = nn.LayerNorm(width)
        self.of_node, self.of_neighbour = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.of_edge = nn.Linear(edge_width, width, bias=False)
        self.weigh = nn.Linear(width, self.product.weight_numel)
        nn.init.normal_(self.weigh.weight, std=2 / math.sqrt(width))  # e3nn expects weights of about 1
        self.last = nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.dropout = nn.Dropout(dropout)
        self.gates = o3.ElementwiseTensorProduct(f"{n_gates}x0e", directed)
        self.width, self.n_gates, self.scale, self.directed = width, n_gates, scale, directed

    def forward(
        self,
        scalars: Tensor,
        directed: Tensor,
        edge_index: Tensor,
        edges: Tensor,
        directions: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Listen to neighbours: new scalars and directed numbers of each atom.

        Parameters
        ----------
        scalars : float tensor, shape (n_atoms, width)
            Of the atoms.
        directed : float tensor, shape (n_atoms, numbers of vectors and tensors)
            Of the atoms.
        edge_index : int tensor, shape (2, n_edges)
            Neighbour and atom.
        edges : float tensor, shape (n_edges, edge_width)
            What is known of each edge.
        directions : float tensor, shape (n_edges, 9)
            Spherical harmonics of the direction from the atom to its neighbour.
        weights : float tensor, shape (n_edges,)
            For how many equal edges of the atom it stands.
        """
        neighbour, atom = edge_index
        normal, bounded = self.norm(scalars), self._bounded(directed)
        told = self.of_edge(edges) + self.of_node(normal)[atom] + self.of_neighbour(normal)[neighbour]
        by_edge = self.weigh(nn.functional.silu(told)) * weights[:, None]
        messages = self.product(torch.cat([normal, bounded], dim=1)[neighbour], directions, by_edge)
        heard = self.mix(scatter(messages, atom, dim_size=len(scalars)) / self.scale)
        new, gates, turned = heard.split([self.width, self.n_gates, directed.shape[1]], dim=1)
        scalars = self.undirected(scalars, edge_index, edges, weights)
        scalars = scalars + self.dropout(self.last(nn.functional.silu(new)))
        return scalars, self.keep(bounded) + self.gates(torch.sigmoid(gates), turned)

    def _bounded(self, directed: Tensor) -> Tensor:
        """Shrink the vectors of each atom together to lengths of about 1, if they are longer; and its tensors."""
        parts = directed.split([many * ir.dim for many, ir in self.directed], dim=1)
        return torch.cat([part / torch.sqrt(1 + part.square().mean(dim=1, keepdim=True)) for part in parts], dim=1)


class EquivariantAtoms(nn.Module):
    """The atom graph: layers of `EquivariantConvolution`.

    Parameters
    ----------
    width, n_layers : int
        Scalars of a state; layers.
    edge_width : int
        Numbers of an edge.
    scale, dropout : float
        As in `EquivariantConvolution`.
    """

    def __init__(self, width: int, n_layers: int, edge_width: int, scale: float, dropout: float) -> None:
        super().__init__()
        with _plain():
            layers = [EquivariantConvolution(width, edge_width, scale, dropout) for _ in range(n_layers)]
            self.harmonics = o3.SphericalHarmonics(_DIRECTIONS, normalize=True, normalization="component")
        self.layers = nn.ModuleList(layers)
        self.n_directed = directed_irreps(width).dim

    def start(self, atoms: Tensor, batch: "Batch") -> tuple[Tensor, Tensor]:
        """Give atoms directed numbers, zeros, and bonds the harmonics of their directions."""
        if batch.bond_vectors is None:
            msg = "an equivariant network reads the directions of bonds; make graphs with merge=False"
            raise ValueError(msg)
        directions = self.harmonics(batch.bond_vectors)
        return atoms.new_zeros(len(atoms), self.n_directed), directions

    def layer(
        self, layer: int, atoms: Tensor, directed: tuple[Tensor, Tensor], edges: Tensor, batch: "Batch"
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Let atoms hear their neighbours."""
        numbers, directions = directed
        atoms, numbers = self.layers[layer](atoms, numbers, batch.bond_index, edges, directions, batch.bond_weights)
        return atoms, (numbers, directions)


class TensorReadout(nn.Module):
    """Read symmetric tensors of rank 2 off crystals: the mean of what their atoms tell.

    Parameters
    ----------
    network : AtomMotifNetwork
        With an equivariant atom branch.
    width : int
        Scalars of a state.
    """

    def __init__(self, network: "AtomMotifNetwork", width: int) -> None:
        super().__init__()
        self.network = network
        self.norm = nn.LayerNorm(width)
        with _plain():
            self.read = o3.Linear(o3.Irreps(f"{width}x0e") + directed_irreps(width), "0e + 2e")

    def forward(self, graphs: "AtomMotifGraphs") -> Tensor:
        """Tell the trace part and the five others: shape (n_crystals, 6), amounts of `symmetric_basis`."""
        batch, atoms, (directed, _), _ = self.network.states(graphs)
        told = self.read(torch.cat([self.norm(atoms), directed], dim=1)) * batch.atom_counts[:, None]
        total = scatter(batch.atom_counts, batch.atom_crystals, dim_size=batch.n_crystals)
        return scatter(told, batch.atom_crystals, dim_size=batch.n_crystals) / total[:, None]

    def meet(self, graphs: "AtomMotifGraphs") -> None:
        """Note which elements there are to learn of."""
        self.network.meet(graphs)

    def not_met(self, graphs: "AtomMotifGraphs") -> list[str]:
        """List the elements that no crystal held in training, if no vector of one that was points to the same side."""
        return self.network.not_met(graphs)


def symmetric_basis() -> Tensor:
    """Return the tensors that `TensorReadout` tells amounts of: shape (6, 3, 3), orthonormal, first the isotropic."""
    with _plain():
        return o3.ReducedTensorProducts("ij=ji", i="1o").change_of_basis
