"""MotifBatch: the motifs of many crystals as flat arrays, with the sums over each crystal that features are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matembed.elements import ATOMIC_NUMBERS, SYMBOLS
from matembed.motifs import MotifArrays, MotifGraph
from matembed.motifs.geometry import LARGEST_CN, model_geometries

__all__ = ["Elements", "MotifBatch", "Segments", "element_properties", "geometry_codes", "network_dimensions"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CSM_DECIMALS = 6  # those of a Motif: graphs and arrays give the same row


class Elements(NamedTuple):
    """Properties of the elements, each an array by atomic number; position 0 is empty.

    Attributes
    ----------
    electronegativity : float array, shape (119,)
        Pauling's.
    mass : float array, shape (119,)
        In u.
    radius : float array, shape (119,)
        Covalent, in Å.
    group, period : float array, shape (119,)
        Of the periodic table; lanthanides and actinides are in group 3.
    block : str array, shape (119,)
        ``"s"``, ``"p"``, ``"d"`` or ``"f"``.
    anion_valence : float array, shape (119,)
        Electrons taken up to reach a noble gas: 1 for H and halogens, 2 for chalcogens, ..., 4 for group 14; else 0.
    """

    electronegativity: Floats
    mass: Floats
    radius: Floats
    group: Floats
    period: Floats
    block: NDArray[np.str_]
    anion_valence: Floats


@lru_cache(maxsize=1)
def element_properties() -> Elements:
    """Take the properties of the elements from pymatgen.

    Where pymatgen knows none (electronegativity of He, Ne, Ar and beyond Lr; radii beyond Cm), an element has that of
    the next lighter element that has one.

    Returns
    -------
    Elements
        Read-only arrays; radii are those of ref. [1]_.

    References
    ----------
    .. [1] B. Cordero et al., Dalton Trans. 2832 (2008).

    Examples
    --------
    >>> properties = element_properties()
    >>> properties.electronegativity[[8, 10]].tolist(), properties.anion_valence[[1, 8, 22]].tolist()
    ([3.44, 3.98], [1.0, 2.0, 0.0])
    """
    import warnings

    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius
    from pymatgen.core.periodic_table import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen's remarks on missing electronegativities
        elements = [Element(symbol) for symbol in SYMBOLS[1:]]
        electronegativity = [one.X for one in elements]
    radius = [CovalentRadius.radius.get(one.symbol, np.nan) for one in elements]
    group = np.array([one.group for one in elements], dtype=np.float64)
    valence = np.where(group >= 14, 18 - group, 0)
    valence[0] = 1
    found = Elements(
        electronegativity=_filled(electronegativity),
        mass=_filled([float(one.atomic_mass) for one in elements]),
        radius=_filled(radius),
        group=np.concatenate(([0.0], group)),
        period=np.array([0.0, *(one.row for one in elements)]),
        block=np.array(["", *(one.block for one in elements)]),
        anion_valence=np.concatenate(([0.0], valence)),
    )
    for values in found:
        values.setflags(write=False)
    return found


def _filled(values: Sequence[float]) -> Floats:
    """Put an empty position 0 before the values, and the one before in place of each that is missing."""
    array = np.array([0.0, *values])
    known = np.where(np.isfinite(array), np.arange(len(array)), 0)
    return np.asarray(array[np.maximum.accumulate(known)])


@lru_cache(maxsize=1)
def geometry_codes() -> dict[str, int]:
    """Give every geometry a number: ChemEnv's models in their order, then ``"UNKNOWN:n"`` by its n.

    Returns
    -------
    dict of str to int
        Code by symbol, from 0 on.

    Examples
    --------
    >>> codes = geometry_codes()
    >>> codes["UNKNOWN:14"] - codes["UNKNOWN:12"]
    2
    """
    symbols = model_geometries().symbols
    return {symbol: code for code, symbol in enumerate((*symbols, *(f"UNKNOWN:{cn}" for cn in range(LARGEST_CN + 1))))}


class Segments:
    """Entries of an array that belong to crystals, and statistics over those of each crystal.

    Parameters
    ----------
    idx : int array, shape (n_entries,)
        Crystal of each entry.
    n_crystals : int
        How many crystals there are; some may have no entry.

    Examples
    --------
    >>> segments = Segments(np.array([0, 0, 2]), 3)
    >>> segments.mean(np.array([1.0, 3.0, 5.0]))
    array([2., 0., 5.])
    """

    def __init__(self, idx: Integers, n_crystals: int) -> None:
        self.idx, self.n_crystals = idx, n_crystals
        ascending = len(idx) == 0 or bool((idx[1:] >= idx[:-1]).all())
        self._order = None if ascending else np.argsort(idx, kind="stable")
        self.counts = np.bincount(idx, minlength=n_crystals)
        self.filled = np.flatnonzero(self.counts)
        self._starts = (np.cumsum(self.counts) - self.counts)[self.filled]

    def total(self, values: Floats) -> Floats:
        """Sum over the entries of each crystal."""
        return np.bincount(self.idx, weights=values, minlength=self.n_crystals).astype(np.float64, copy=False)

    def mean(self, values: Floats, weights: "Floats | NDArray[np.bool_] | None" = None) -> Floats:
        """Take the mean over the entries of each crystal, 0 where there are none or weights add to 0."""
        if weights is None:
            return self.total(values) / np.maximum(self.counts, 1)
        weight = self.total(np.asarray(weights, dtype=np.float64))
        return np.divide(self.total(values * weights), weight, out=np.zeros(self.n_crystals), where=weight > 0)

    def least(self, values: Floats) -> Floats:
        """Find the smallest entry of each crystal, 0 where there are none."""
        return self._extreme(np.minimum, values)

    def most(self, values: Floats) -> Floats:
        """Find the largest entry of each crystal, 0 where there are none."""
        return self._extreme(np.maximum, values)

    def _extreme(self, which: np.ufunc, values: Floats) -> Floats:
        out = np.zeros(self.n_crystals)
        if len(self.filled):
            out[self.filled] = which.reduceat(values if self._order is None else values[self._order], self._starts)
        return out

    def std(self, values: Floats) -> Floats:
        """Take the standard deviation over the entries of each crystal, 0 where there are none."""
        return np.sqrt(self.mean((values - self.mean(values)[self.idx]) ** 2))

    def four(self, name: str, values: Floats) -> dict[str, Floats]:
        """Take mean, std, min and max over the entries of each crystal, by name."""
        return {
            f"mean {name}": self.mean(values),
            f"std {name}": self.std(values),
            f"min {name}": self.least(values),
            f"max {name}": self.most(values),
        }


@dataclass(frozen=True, eq=False)
class MotifBatch:
    """The motifs of many crystals as flat arrays, one crystal after another.

    Of a site with several environments, the likeliest counts.

    Attributes
    ----------
    n_crystals : int
        How many crystals there are.
    site_crystal_idx, site_numbers : int array, shape (n_sites,)
        Crystal and atomic number of each site.
    crystal_idx, numbers : int array, shape (n_motifs,)
        Crystal, and atomic number of the centre, of each motif.
    oxidations : float array, shape (n_motifs,)
        Of the centre, in units of e; NaN where it is not known.
    geometries, cns : int array, shape (n_motifs,)
        Code in `geometry_codes`, and coordination number.
    csms : float array, shape (n_motifs,)
        Continuous symmetry measure, rounded to 6 decimals; 0 where there is no model.
    ligand_motifs, ligand_sites : int array, shape (n_ligands,)
        Motif that each ligand belongs to, ascending, and its site.
    links : int array, shape (n_links, 2)
        Motifs that share ligands.
    link_images : int array, shape (n_links, 3)
        Image of the second of them.
    n_shared : int array, shape (n_links,)
        Ligands shared.
    volumes : float array, shape (n_crystals,), or None
        In Å^3; None unless known of every crystal.
    lengths : float array, shape (n_ligands,), or None
        Distances of the ligands from their centres, in Å; None unless known of every crystal.
    """

    n_crystals: int
    site_crystal_idx: Integers
    site_numbers: Integers
    crystal_idx: Integers
    numbers: Integers
    oxidations: Floats
    geometries: Integers
    cns: Integers
    csms: Floats
    ligand_motifs: Integers
    ligand_sites: Integers
    links: Integers
    link_images: Integers
    n_shared: Integers
    volumes: Floats | None = None
    lengths: Floats | None = None

    @classmethod
    def from_found(cls, found: Sequence[MotifArrays | MotifGraph], *, lengths: bool = True) -> Self:
        """Put the motifs of crystals one after another.

        Parameters
        ----------
        found : sequence of MotifArrays or MotifGraph, length n_crystals
            Graphs know no volumes and lengths.
        lengths : bool, default True
            Whether to measure volumes and lengths where they are known.

        Returns
        -------
        MotifBatch
            The batch.
        """
        parts = [_of_graph(one) if isinstance(one, MotifGraph) else _of_arrays(one, lengths) for one in found]
        n_sites = np.array([len(part.site_numbers) for part in parts], dtype=np.int64)
        n_motifs = np.array([len(part.numbers) for part in parts], dtype=np.int64)
        n_links = np.array([len(part.n_shared) for part in parts], dtype=np.int64)
        n_ligands = np.array([len(part.ligand_sites) for part in parts], dtype=np.int64)
        crystals = np.arange(len(parts))
        cns = _joined([part.cns for part in parts])
        measured = all(part.lengths is not None for part in parts)
        return cls(
            n_crystals=len(parts),
            site_crystal_idx=np.repeat(crystals, n_sites),
            site_numbers=_joined([part.site_numbers for part in parts]),
            crystal_idx=np.repeat(crystals, n_motifs),
            numbers=_joined([part.numbers for part in parts]),
            oxidations=_joined([part.oxidations for part in parts], np.float64),
            geometries=_joined([part.geometries for part in parts]),
            cns=cns,
            csms=np.round(_joined([part.csms for part in parts], np.float64), _CSM_DECIMALS),
            ligand_motifs=np.repeat(np.arange(len(cns)), cns),
            ligand_sites=_joined([part.ligand_sites for part in parts])
            + np.repeat(np.cumsum(n_sites) - n_sites, n_ligands),
            links=_joined([part.links for part in parts], width=2)
            + np.repeat(np.cumsum(n_motifs) - n_motifs, n_links)[:, None],
            link_images=_joined([part.link_images for part in parts], width=3),
            n_shared=_joined([part.n_shared for part in parts]),
            volumes=np.array([part.volume for part in parts], dtype=np.float64) if measured else None,
            lengths=_joined([part.lengths for part in parts if part.lengths is not None], np.float64)
            if measured
            else None,
        )

    @cached_property
    def motifs(self) -> Segments:
        """Motifs by crystal."""
        return Segments(self.crystal_idx, self.n_crystals)

    @cached_property
    def bonds(self) -> Segments:
        """Ligands of all motifs, which are bonds, by crystal."""
        return Segments(self.crystal_idx[self.ligand_motifs], self.n_crystals)

    @cached_property
    def ends(self) -> tuple[Integers, Integers, Integers]:
        """Both ends of every link: the motif, the one it is linked to, and how many ligands they share."""
        near = self.links.T.ravel()
        far = self.links[:, ::-1].T.ravel()
        return near, far, np.concatenate((self.n_shared, self.n_shared))

    def per_motif(self, values: Floats, motifs: Integers) -> Floats:
        """Sum values over the entries of each motif.

        Parameters
        ----------
        values : float array, shape (n_entries,)
            What to sum.
        motifs : int array, shape (n_entries,)
            Motif of each entry.

        Returns
        -------
        float array, shape (n_motifs,)
            Sums.
        """
        return np.bincount(motifs, weights=values, minlength=len(self.numbers)).astype(np.float64, copy=False)


class _Part(NamedTuple):
    """One crystal of a batch; sites and motifs are counted from 0."""

    site_numbers: Integers
    numbers: Integers
    oxidations: Floats
    geometries: Integers
    cns: Integers
    csms: Floats
    ligand_sites: Integers
    links: Integers
    link_images: Integers
    n_shared: Integers
    volume: float = np.nan
    lengths: Floats | None = None


def _of_arrays(found: MotifArrays, lengths: bool) -> _Part:
    first = found.environment_starts[:-1]
    spans = found.ligand_spans[first]
    cns = spans[:, 1] - spans[:, 0]
    rows = np.arange(cns.sum()) + np.repeat(spans[:, 0] - (np.cumsum(cns) - cns), cns)
    known = found.geometries[first]
    numbers, centres = found.crystal.numbers, found.centres
    return _Part(
        site_numbers=numbers,
        numbers=numbers[centres],
        oxidations=np.full(len(centres), np.nan) if found.oxidations is None else found.oxidations[centres],
        geometries=np.where(known >= 0, known, len(model_geometries().symbols) + cns),
        cns=cns,
        csms=np.where(known >= 0, found.csms[first], 0.0),
        ligand_sites=found.ligands[rows, 0],
        links=found.connections[:, :2],
        link_images=found.connections[:, 2:5],
        n_shared=found.n_shared,
        volume=found.crystal.volume,
        lengths=found.lengths()[rows] if lengths else None,
    )


def _of_graph(graph: MotifGraph) -> _Part:
    codes, motifs, connections = geometry_codes(), graph.motifs, graph.connections
    return _Part(
        site_numbers=np.array([ATOMIC_NUMBERS[symbol] for symbol in graph.elements], dtype=np.int64),
        numbers=np.array([ATOMIC_NUMBERS[one.element] for one in motifs], dtype=np.int64),
        oxidations=np.array([np.nan if one.oxidation is None else one.oxidation for one in motifs], dtype=np.float64),
        geometries=np.array([codes[one.geometry] for one in motifs], dtype=np.int64),
        cns=np.array([one.cn for one in motifs], dtype=np.int64),
        csms=np.array([one.csm or 0.0 for one in motifs], dtype=np.float64),
        ligand_sites=np.array([site for one in motifs for site, _ in one.ligands], dtype=np.int64),
        links=np.array([(one.source, one.target) for one in connections], dtype=np.int64).reshape(-1, 2),
        link_images=np.array([one.image for one in connections], dtype=np.int64).reshape(-1, 3),
        n_shared=np.array([len(one.ligands) for one in connections], dtype=np.int64),
    )


def _joined(arrays: Sequence[NDArray], dtype: type = np.int64, width: int | None = None) -> NDArray:
    empty: NDArray = np.empty(0 if width is None else (0, width), dtype=dtype)
    return np.concatenate([empty, *arrays]).astype(dtype, copy=False)


def network_dimensions(n_motifs: int, links: Integers, images: Integers) -> Integers:
    """Find in how many directions the network that each motif belongs to extends without end.

    A walk through a network that returns to the motif it began with, in another cell, is a direction; the dimension is
    how many of them are independent.

    Parameters
    ----------
    n_motifs : int
        How many motifs there are, of one crystal or many.
    links : int array, shape (n_links, 2)
        Motifs that are linked.
    images : int array, shape (n_links, 3)
        Image of the second, as seen from the first.

    Returns
    -------
    int array, shape (n_motifs,)
        0 for a motif alone or a finite cluster, 1 for a chain, 2 for a layer, 3 for a framework.

    Examples
    --------
    >>> network_dimensions(2, np.array([[0, 0], [0, 0]]), np.array([[0, 0, 1], [0, 1, 1]])).tolist()
    [2, 0]
    """
    if not len(links):
        return np.zeros(n_motifs, dtype=np.int64)
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    near = np.concatenate((links[:, 0], links[:, 1]))
    far = np.concatenate((links[:, 1], links[:, 0]))
    steps = np.concatenate((images, -images))
    joined = csr_array((np.ones(len(near), dtype=np.int8), (near, far)), shape=(n_motifs, n_motifs))
    n_networks, labels = connected_components(joined, directed=False)
    network = labels.astype(np.int64)
    # One search through all networks, from an extra node that is joined to the first motif of each.
    roots = np.unique(network, return_index=True)[1]
    edges = (np.concatenate((near, np.full(n_networks, n_motifs))), np.concatenate((far, roots)))
    tree = csr_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(n_motifs + 1, n_motifs + 1))
    parent = breadth_first_order(tree, n_motifs, directed=True)[1][:n_motifs].astype(np.int64)
    children = np.flatnonzero(parent < n_motifs)
    parent[roots] = roots
    # The cell of every motif, walking there along the tree: the step from its parent, then doubling the way up.
    key = near * n_motifs + far
    order = np.argsort(key, kind="stable")
    cell = np.zeros((n_motifs, 3), dtype=np.int64)
    cell[children] = steps[order[np.searchsorted(key[order], parent[children] * n_motifs + children)]]
    while (parent != parent[parent]).any():
        cell += cell[parent]
        parent = parent[parent]
    cycles = cell[links[:, 0]] + images - cell[links[:, 1]]
    return _ranks(cycles, network[links[:, 0]], n_networks)[network]


def _ranks(vectors: Integers, group: Integers, n_groups: int) -> Integers:
    """Rank of the integer vectors of each group, in exact arithmetic."""
    ranks = np.zeros(n_groups, dtype=np.int64)
    moving = vectors.any(axis=1)
    vectors, group = vectors[moving], group[moving]
    axis, normal = np.zeros((2, n_groups, 3), dtype=np.int64)
    axis[group] = vectors  # any one of each group
    normals = np.cross(axis[group], vectors)
    in_plane = normals.any(axis=1)
    normal[group[in_plane]] = normals[in_plane]
    out_of_plane = (normal[group] * vectors).sum(axis=1) != 0
    ranks[group], ranks[group[in_plane]], ranks[group[out_of_plane]] = 1, 2, 3
    return ranks
