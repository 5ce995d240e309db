"""Layers of the dual network: numbers as overlapping bumps, gated convolution, exchange, and reading out a crystal."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

__all__ = ["Bumps", "GatedConvolution", "Mean", "Readout"]


class Bumps(nn.Module):
    """Write numbers as Gaussians of their distance to evenly spaced centres; NaN becomes zeros.

    Numbers beyond the first or last centre count as that, so that none but NaN is written as nothing.

    Parameters
    ----------
    low, high : float
        First and last centre, in the unit of the numbers.
    n_bumps : int
        Centres; the width of the Gaussians is their spacing.
    """

    centres: Tensor

    def __init__(self, low: float, high: float, n_bumps: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.linspace(low, high, n_bumps), persistent=False)
        self.steepness = -0.5 * ((n_bumps - 1) / (high - low)) ** 2

    def forward(self, values: Tensor) -> Tensor:
        """Write numbers: shape (n, n_bumps)."""
        inside = values.clamp(self.centres[0], self.centres[-1])
        return torch.exp(self.steepness * (inside[:, None] - self.centres) ** 2).nan_to_num(0.0)


class GatedConvolution(MessagePassing):
    """Add to a node what its neighbours say through gates [1]_.

    The message along an edge is sigmoid(a) silu(b), where a and b are linear in the state of the node, that of the
    neighbour and the edge. Each of the three parts is computed once for each node or edge, not for each pair.

    Parameters
    ----------
    width : int
        Numbers in a state.
    edge_width : int
        Numbers of an edge.
    scale : float
        What the sum of messages is divided by: about the usual number of neighbours.
    dropout : float
        Share of what is added that is set to zero, in training.

    References
    ----------
    .. [1] T. Xie and J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018).
    """

    def __init__(self, width: int, edge_width: int, scale: float, dropout: float) -> None:
        super().__init__(aggr="add")
        self.norm = nn.LayerNorm(width)
        self.of_node = nn.Linear(width, 2 * width)
        self.of_neighbour = nn.Linear(width, 2 * width, bias=False)
        self.of_edge = nn.Linear(edge_width, 2 * width, bias=False)
        self.last = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.scale = scale

    def forward(self, states: Tensor, edge_index: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        """Listen to neighbours: new states, shape (n_nodes, width).

        Parameters
        ----------
        states : float tensor, shape (n_nodes, width)
            Of the nodes.
        edge_index : int tensor, shape (2, n_edges)
            Neighbour and node, as PyTorch Geometric has it.
        edges : float tensor, shape (n_edges, edge_width)
            What is known of each edge.
        weights : float tensor, shape (n_edges,)
            For how many equal edges of the node it stands.
        """
        normal = self.norm(states)
        heard = self.propagate(
            edge_index,
            node=self.of_node(normal),
            neighbour=self.of_neighbour(normal),
            edge=self.of_edge(edges),
            weight=weights[:, None] / self.scale,
        )
        return states + self.dropout(self.last(heard))

    def message(self, node_i: Tensor, neighbour_j: Tensor, edge: Tensor, weight: Tensor) -> Tensor:
        """Say what goes along each edge."""
        gate, value = (node_i + neighbour_j + edge).chunk(2, dim=1)
        return torch.sigmoid(gate) * functional.silu(value) * weight


class Mean(MessagePassing):
    """Mean of other nodes, weighted; zeros where there are none."""

    def __init__(self) -> None:
        super().__init__(aggr="add")

    def forward(self, states: Tensor, edge_index: Tensor, weights: Tensor, n_nodes: int) -> Tensor:
        """Average what the first row of the edges names, for each node of the second: shape (n_nodes, width)."""
        total = scatter(weights, edge_index[1], dim_size=n_nodes)
        share = weights / total.clamp_min(1e-12)[edge_index[1]]
        return self.propagate(edge_index, x=states, share=share[:, None], size=(len(states), n_nodes))

    def message(self, x_j: Tensor, share: Tensor) -> Tensor:
        """Take a share."""
        return x_j * share


class Readout(nn.Module):
    """Describe a crystal by the mean, the greatest and an attended mean of its nodes; zeros where it has none.

    Parameters
    ----------
    width : int
        Numbers in a state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, 1)
        self.width = 3 * width

    def forward(self, states: Tensor, counts: Tensor, crystal: Tensor, n_crystals: int) -> Tensor:
        """Describe crystals: shape (n_crystals, 3 width).

        Parameters
        ----------
        states : float tensor, shape (n_nodes, width)
            Of the nodes.
        counts : float tensor, shape (n_nodes,)
            How many of the cell each stands for.
        crystal : int tensor, shape (n_nodes,)
            The crystal of each.
        n_crystals : int
            How many there are.
        """
        normal = self.norm(states)
        score = self.score(normal)[:, 0]
        highest = scatter(score.detach(), crystal, dim_size=n_crystals, reduce="max")
        weights = torch.stack([counts, counts * torch.exp(score - highest[crystal])], dim=1)
        total = scatter(weights, crystal, dim_size=n_crystals).clamp_min(1e-12)
        shares = weights / total[crystal]
        means = [scatter(normal * shares[:, k : k + 1], crystal, dim_size=n_crystals) for k in (0, 1)]
        return torch.cat([*means, scatter(normal, crystal, dim_size=n_crystals, reduce="max")], dim=1)
