"""AtomMotifNetwork: what a dual network makes of each crystal, as one vector."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from matembed.backoff import back_off
from matembed.downstream.element_matrix import element_matrix
from matembed.elements import SYMBOLS
from matembed.embeddings import EmbeddingTable
from matembed.graphs._layers import Bumps, GatedConvolution, Mean, Readout
from matembed.graphs.atom_motif import AtomMotifGraphs
from matembed.graphs.building import FARTHEST_NEIGHBOUR
from matembed.motifs.geometry import model_geometries

__all__ = ["AtomMotifNetwork", "Batch"]

_OXIDATIONS = (-4.0, 8.0, 13)  # units of e
_BOND_LENGTHS = (0.8, FARTHEST_NEIGHBOUR, 53)  # Å
_LINK_LENGTHS = (2.0, 8.0, 25)  # Å
_ANGLES = (60.0, 180.0, 13)  # degrees
_ALIKE = 3.0  # csm at which a shell and a model are alike by 1/e
_SHAPES = 8  # numbers that shapes are told apart by
_SHARINGS = 3  # corner, edge, face
_NEIGHBOURS = 6.0  # about how many atoms have, and motifs
_SPREAD = 0.5  # of the numbers that a state starts from


class Batch(NamedTuple):
    """Graphs of some crystals as tensors; positions count through all of them."""

    n_crystals: int
    numbers: Tensor
    oxidations: Tensor
    atom_counts: Tensor
    atom_crystals: Tensor
    bond_index: Tensor  # neighbour and atom, both ways
    bond_lengths: Tensor
    bond_weights: Tensor
    bond_vectors: Tensor | None  # from the atom to its neighbour
    motif_centres: Tensor
    motif_counts: Tensor
    motif_crystals: Tensor
    motif_tokens: NDArray[np.int64]
    ligand_index: Tensor  # atom and motif
    ligand_weights: Tensor
    link_index: Tensor
    link_shared: Tensor
    link_lengths: Tensor
    link_angles: Tensor
    link_weights: Tensor
    measure_motifs: Tensor
    measure_geometries: Tensor
    measure_csms: Tensor

    @classmethod
    def of(cls, graphs: AtomMotifGraphs, device: torch.device) -> "Batch":
        """Put graphs on a device."""
        columns, ends = graphs.columns, graphs.ends
        crystals = {table: np.repeat(np.arange(len(graphs)), np.diff(ends[table])) for table in ends}

        def placed(name: str, table: str, other: str) -> NDArray[np.int64]:
            offsets = ends[other][:-1][crystals[table]]
            return columns[name] + (offsets[:, None] if columns[name].ndim == 2 else offsets)

        def floats(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.array(values, dtype=np.float32, order="C")).to(device)

        def integers(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.array(values, dtype=np.int64, order="C")).to(device)

        def both_ways(name: str, table: str, nodes: str, node: str, edge: str) -> tuple[NDArray[np.int64], Any]:
            pairs = placed(name, table, nodes)
            index = np.concatenate([pairs[:, ::-1], pairs]).T
            counts = np.tile(columns[f"{edge}_counts"], 2)
            return index, counts / columns[f"{node}_counts"][index[1]]

        bond_index, bond_weights = both_ways("bond_atoms", "bonds", "atoms", "atom", "bond")
        link_index, link_weights = both_ways("link_motifs", "links", "motifs", "motif", "link")
        vectors = columns.get("bond_vectors")
        ligand_motifs = columns["ligand_ends"][:, 0] + ends["motifs"][:-1][crystals["ligands"]]
        ligand_atoms = columns["ligand_ends"][:, 1] + ends["atoms"][:-1][crystals["ligands"]]
        return cls(
            n_crystals=len(graphs),
            numbers=integers(columns["numbers"]),
            oxidations=floats(columns["oxidations"]),
            atom_counts=floats(columns["atom_counts"]),
            atom_crystals=integers(crystals["atoms"]),
            bond_index=integers(bond_index),
            bond_lengths=floats(np.tile(columns["bond_lengths"], 2)),
            bond_weights=floats(bond_weights),
            bond_vectors=None if vectors is None else floats(np.concatenate([vectors, -vectors])),
            motif_centres=integers(placed("motif_centres", "motifs", "atoms")),
            motif_counts=floats(columns["motif_counts"]),
            motif_crystals=integers(crystals["motifs"]),
            motif_tokens=columns["motif_tokens"],
            ligand_index=integers(np.stack([ligand_atoms, ligand_motifs])),
            ligand_weights=floats(columns["ligand_counts"]),
            link_index=integers(link_index),
            link_shared=integers(np.tile(columns["link_shared"], 2)),
            link_lengths=floats(np.tile(columns["link_lengths"], 2)),
            link_angles=floats(np.tile(columns["link_angles"], 2)),
            link_weights=floats(link_weights),
            measure_motifs=integers(placed("measure_motifs", "measures", "motifs")),
            measure_geometries=integers(columns["measure_geometries"]),
            measure_csms=floats(columns["measure_csms"]),
        )


class AtomMotifNetwork(nn.Module):
    """Read dual graphs: layers of gated convolution on atoms and on motifs, which tell each other after each layer.

    Parameters
    ----------
    width : int
        Numbers in the state of an atom or motif.
    n_layers : int
        Layers of both graphs.
    motifs : bool
        Read the motif graph; else the atoms alone.
    labels : bool
        Tell geometries, csm and tokens of the motifs; else only which atoms they are made of, and connections.
    connections : bool
        Let motifs hear connected ones.
    exchange : bool
        Let atoms and motifs hear each other after every layer; else they meet in the head alone.
    equivariant : bool
        Let atoms have vectors and tensors that turn with the crystal; else scalars alone.
    element_table, motif_table : EmbeddingTable or None
        Vectors to start from; a linear map of them is added to what is learned of each element, or of the geometry.
    dropout : float
        Share of numbers set to zero in training.
    """

    def __init__(
        self,
        *,
        width: int,
        n_layers: int,
        motifs: bool,
        labels: bool,
        connections: bool,
        exchange: bool,
        equivariant: bool,
        element_table: EmbeddingTable | None,
        motif_table: EmbeddingTable | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.elements = _ElementStates(width, element_table)
        self.bond_lengths = Bumps(*_BOND_LENGTHS)
        self.atoms = atom_branch(equivariant, width, n_layers, dropout)
        self.read_atoms = Readout(width)
        self.width = self.read_atoms.width
        self.motifs = _MotifBranch(width, n_layers, labels, connections, motif_table, dropout) if motifs else None
        self.exchange = nn.ModuleList(_Exchange(width) for _ in range(n_layers)) if motifs and exchange else None
        if motifs:
            self.first_look = _ToMotifs(width)
            self.read_motifs = Readout(width)
            self.width += self.read_motifs.width

    def forward(self, graphs: AtomMotifGraphs) -> Tensor:
        """Describe crystals: shape (n_crystals, width)."""
        batch, atoms, _, motifs = self.states(graphs)
        read = self.read_atoms(atoms, batch.atom_counts, batch.atom_crystals, batch.n_crystals)
        if motifs is None:
            return read
        of_motifs = self.read_motifs(motifs, batch.motif_counts, batch.motif_crystals, batch.n_crystals)
        return torch.cat([read, of_motifs], dim=1)

    def meet(self, graphs: AtomMotifGraphs) -> None:
        """Note which elements there are to learn of."""
        numbers = np.unique(graphs.columns["numbers"]).astype(np.int64)
        self.elements.met[torch.from_numpy(numbers).to(self.elements.met.device)] = True

    def not_met(self, graphs: AtomMotifGraphs) -> list[str]:
        """List the elements that no crystal held in training, if no vector of one that was points to the same side."""
        known = self.elements.met[:, 0]
        if self.elements.known:
            vectors = self.elements.vectors
            known = known | (vectors @ vectors[known].T > 0).any(dim=1)
        return [SYMBOLS[number] for number in np.unique(graphs.columns["numbers"]) if not known[number]]

    def states(self, graphs: AtomMotifGraphs) -> tuple[Batch, Tensor, Any, Tensor | None]:
        """Read graphs: the last states of atoms, what goes in directions, and the last states of motifs."""
        batch = Batch.of(graphs, self.bond_lengths.centres.device)
        atoms = self.elements(batch)
        bonds = self.bond_lengths(batch.bond_lengths)
        directed = self.atoms.start(atoms, batch)
        if self.motifs is None:
            for layer in range(self.n_layers):
                atoms, directed = self.atoms.layer(layer, atoms, directed, bonds, batch)
            return batch, atoms, directed, None
        motifs = self.first_look(atoms, batch) + self.motifs.states(batch, graphs.names)
        links = self.motifs.links(batch)
        for layer, connect in enumerate(self.motifs.layers):
            atoms, directed = self.atoms.layer(layer, atoms, directed, bonds, batch)
            motifs = connect(motifs, batch.link_index, links, batch.link_weights)
            if self.exchange is not None:
                atoms, motifs = self.exchange[layer](atoms, motifs, batch)
        return batch, atoms, directed, motifs


def atom_branch(equivariant: bool, width: int, n_layers: int, dropout: float) -> Any:
    """Make the layers of the atom graph, of either kind."""
    if not equivariant:
        return _InvariantAtoms(width, n_layers, dropout)
    from matembed.graphs._equivariant import EquivariantAtoms

    return EquivariantAtoms(width, n_layers, _BOND_LENGTHS[2], _NEIGHBOURS, dropout)


class _InvariantAtoms(nn.Module):
    """The atom graph: layers of `GatedConvolution`, which know no directions."""

    def __init__(self, width: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            GatedConvolution(width, _BOND_LENGTHS[2], _NEIGHBOURS, dropout) for _ in range(n_layers)
        )

    def start(self, atoms: Tensor, batch: Batch) -> None:
        """Nothing goes in directions."""

    def layer(self, layer: int, atoms: Tensor, directed: None, edges: Tensor, batch: Batch) -> tuple[Tensor, None]:
        """Let atoms hear their neighbours."""
        return self.layers[layer](atoms, batch.bond_index, edges, batch.bond_weights), directed


class _ElementStates(nn.Module):
    """The state an atom starts from: its element, and its oxidation state.

    What is learned of an element counts if it was met in training; until then it is noise.
    """

    vectors: Tensor
    met: Tensor

    def __init__(self, width: int, table: EmbeddingTable | None) -> None:
        super().__init__()
        self.learned = nn.Embedding(len(SYMBOLS), width)
        nn.init.normal_(self.learned.weight, std=_SPREAD)
        self.register_buffer("met", torch.zeros(len(SYMBOLS), 1, dtype=torch.bool))
        self.oxidations = Bumps(*_OXIDATIONS)
        self.of_oxidation = nn.Linear(_OXIDATIONS[2], width, bias=False)
        self.known = table is not None
        if table is not None:
            self.register_buffer("vectors", torch.from_numpy(element_matrix(table)))
            self.of_vector = nn.Linear(table.dim, width)
            nn.init.normal_(self.of_vector.weight, std=_SPREAD)  # vectors have about length 1

    def forward(self, batch: Batch) -> Tensor:
        learned = self.learned(batch.numbers) * self.met[batch.numbers]
        states = learned + self.of_oxidation(self.oxidations(batch.oxidations))
        return states + self.of_vector(self.vectors)[batch.numbers] if self.known else states


class _MotifBranch(nn.Module):
    """The motif graph: what motifs start from, and the layers that join them."""

    def __init__(
        self, width: int, n_layers: int, labels: bool, connections: bool, table: EmbeddingTable | None, dropout: float
    ) -> None:
        super().__init__()
        self.width, self.labels = width, labels
        if labels:
            likenesses = nn.Linear(len(model_geometries().symbols), _SHAPES)
            nn.init.normal_(likenesses.weight, std=_SPREAD)
            self.shape = nn.Sequential(likenesses, nn.Linear(_SHAPES, width))
        self.known = _MotifVectors(table, width) if labels and table is not None else None
        self.link_lengths, self.link_angles = Bumps(*_LINK_LENGTHS), Bumps(*_ANGLES)
        edge_width = _SHARINGS + _LINK_LENGTHS[2] + _ANGLES[2]
        self.layers = nn.ModuleList(
            GatedConvolution(width, edge_width, _NEIGHBOURS, dropout) if connections else _Alone(width)
            for _ in range(n_layers)
        )

    def states(self, batch: Batch, names: tuple[str, ...]) -> Tensor:
        """Tell what is known of each motif itself: shape (n_motifs, width)."""
        if not self.labels:
            return self.link_lengths.centres.new_zeros(len(batch.motif_centres), self.width)
        alike = batch.measure_csms.new_zeros(len(batch.motif_centres), len(model_geometries().symbols))
        alike[batch.measure_motifs, batch.measure_geometries] = torch.exp(-batch.measure_csms / _ALIKE)
        told = self.shape(alike)
        return told if self.known is None else told + self.known(batch.motif_tokens, names)

    def links(self, batch: Batch) -> Tensor:
        """Tell what is known of each connection: shape (n_links, edge_width)."""
        sharing = nn.functional.one_hot(batch.link_shared.clamp(1, _SHARINGS) - 1, _SHARINGS)
        parts = [sharing, self.link_lengths(batch.link_lengths), self.link_angles(batch.link_angles)]
        return torch.cat(parts, dim=1)


class _MotifVectors(nn.Module):
    """A linear map of the vectors of motifs in a table, and of those made for motifs that it lacks."""

    def __init__(self, table: EmbeddingTable, width: int) -> None:
        super().__init__()
        self.table = table
        self.found: dict[str, NDArray[np.float32]] = {}
        self.map = nn.Linear(table.dim, width)
        self.length = float(np.sqrt((table.vectors.astype(np.float64) ** 2).sum(axis=1).mean())) or 1.0
        nn.init.normal_(self.map.weight, std=_SPREAD)

    def forward(self, tokens: NDArray[np.int64], names: tuple[str, ...]) -> Tensor:
        asked = [names[token] for token in tokens.tolist()]
        unknown = sorted({name for name in asked if name not in self.found})
        if unknown:
            made = back_off(self.table, unknown)
            rows = {token: row for row, token in enumerate(made.tokens)}
            self.found |= {name: made.vectors[rows[name]] for name in unknown}
        vectors = np.array([self.found[name] for name in asked], dtype=np.float32).reshape(len(asked), self.table.dim)
        return self.map(torch.from_numpy(vectors / self.length).to(self.map.weight.device))


class _Alone(nn.Module):
    """Change a state by itself: a layer for motifs that do not hear each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        parts = nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        self.change = nn.Sequential(*parts)

    def forward(self, states: Tensor, *_: Tensor) -> Tensor:
        return states + self.change(states)


class _ToMotifs(nn.Module):
    """What a motif hears of its atoms: its centre and the mean of its ligands."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.of_centre, self.of_ligands = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.mean = Mean()

    def forward(self, atoms: Tensor, batch: Batch) -> Tensor:
        normal = self.norm(atoms)
        ligands = self.mean(normal, batch.ligand_index, batch.ligand_weights, len(batch.motif_centres))
        return self.of_centre(normal[batch.motif_centres]) + self.of_ligands(ligands)


class _Exchange(nn.Module):
    """Atoms and motifs tell each other: a motif its centre and ligands, an atom the motifs it is in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_motifs = _ToMotifs(width)
        self.norm = nn.LayerNorm(width)
        self.to_centre, self.to_ligands = nn.Linear(width, width), nn.Linear(width, width)
        self.mean = Mean()

    def forward(self, atoms: Tensor, motifs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        heard = motifs + self.to_motifs(atoms, batch)
        normal = self.norm(motifs)
        to_atoms = batch.ligand_index.flip(0)
        atoms = atoms + self.to_ligands(self.mean(normal, to_atoms, batch.ligand_weights, len(atoms)))
        return atoms.index_add(0, batch.motif_centres, self.to_centre(normal)), heard
