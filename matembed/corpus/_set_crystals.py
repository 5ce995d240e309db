"""Crystals and their symmetry as arrays, end to end: what motif graphs, motif tables and tables of symmetry say."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.corpus._motif_stream import MotifChunk
from matembed.corpus.ragged import spans, starts
from matembed.corpus.symmetry import POINT_GROUPS, Symmetry, read_symmetry
from matembed.elements import ATOMIC_NUMBERS
from matembed.motifs.graph import MotifGraph
from matembed.tokens import SHARINGS, parse_token

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Crystals", "Places", "chunk_crystals", "graph_crystals", "graph_places", "table_places"]


class Crystals(NamedTuple):
    """What tokens are made of; positions of sites and motifs are counted on from one crystal to the next."""

    n_sites: NDArray[np.int64]
    numbers: NDArray[np.int64]
    oxidations: NDArray[np.float64]  # NaN where not known
    motif_sites: NDArray[np.int64]
    motif_tokens: Sequence[str]
    csms: NDArray[np.float64]
    bond_motifs: NDArray[np.int64]
    bond_sites: NDArray[np.int64]
    link_sources: NDArray[np.int64]
    link_targets: NDArray[np.int64]
    link_sharings: NDArray[np.int64]


class Places(NamedTuple):
    """Space groups of some crystals, 0 where not known; and of each element the fractions on sites of a point group."""

    space_groups: NDArray[np.int64]
    n_kinds: NDArray[np.int64]
    numbers: NDArray[np.int64]
    point_groups: NDArray[np.int64]
    fractions: NDArray[np.float64]

    def taken(self, rows: NDArray[np.int64]) -> "Places":
        """Take materials, in the order given; where the row is -1, nothing is known."""
        known = rows >= 0
        n_kinds = np.where(known, self.n_kinds[rows], 0)
        places = spans(starts(self.n_kinds)[rows], n_kinds)
        return Places(
            space_groups=np.where(known, self.space_groups[rows], 0),
            n_kinds=n_kinds,
            numbers=self.numbers[places],
            point_groups=self.point_groups[places],
            fractions=self.fractions[places],
        )


def chunk_crystals(chunk: MotifChunk) -> Crystals:
    """Read the crystals of a chunk of motif tables."""
    known = {token: parse_token(token).oxidation for token in set(chunk.site_tokens)}
    return Crystals(
        n_sites=np.bincount(chunk.site_material, minlength=len(chunk.materials)),
        numbers=chunk.site_numbers,
        oxidations=np.array([known[token] for token in chunk.site_tokens], dtype=np.float64),
        motif_sites=chunk.motif_sites,
        motif_tokens=chunk.tokens,
        csms=chunk.csms,
        bond_motifs=chunk.bond_motifs,
        bond_sites=chunk.bond_sites,
        link_sources=chunk.link_sources,
        link_targets=chunk.link_targets,
        link_sharings=chunk.link_sharings,
    )


def graph_crystals(graphs: Sequence[MotifGraph], oxidations: "Sequence[Sequence[float] | None]") -> Crystals:
    """Read motif graphs; oxidation states of all sites where they are known, or of centres alone."""
    n_sites = np.array([one.n_sites for one in graphs], dtype=np.int64)
    n_motifs = np.array([len(one.motifs) for one in graphs], dtype=np.int64)
    n_links = np.array([len(one.connections) for one in graphs], dtype=np.int64)
    motifs = [motif for one in graphs for motif in one.motifs]
    links = np.array(
        [(c.source, c.target, SHARINGS.index(c.sharing)) for one in graphs for c in one.connections], dtype=np.int64
    ).reshape(-1, 3)
    links[:, :2] += np.repeat(starts(n_motifs)[:-1], n_links)[:, None]
    first_sites = np.repeat(starts(n_sites)[:-1], n_motifs)
    sites = np.array([motif.site for motif in motifs], dtype=np.int64) + first_sites
    cns = np.array([len(motif.ligands) for motif in motifs], dtype=np.int64)
    ligands = np.array([site for motif in motifs for site, _ in motif.ligands], dtype=np.int64)
    states = np.full(n_sites.sum(), np.nan)
    for start, graph, known in zip(starts(n_sites)[:-1].tolist(), graphs, oxidations, strict=True):
        if known is not None:
            if len(known) != graph.n_sites:
                msg = f"{graph.formula} has {graph.n_sites} sites, got {len(known)} oxidation states; give one for each"
                raise ValueError(msg)
            states[start : start + graph.n_sites] = known
    of_centres = np.array([motif.oxidation for motif in motifs], dtype=np.float64)
    states[sites] = np.where(np.isnan(of_centres), states[sites], of_centres)
    return Crystals(
        n_sites=n_sites,
        numbers=np.array([ATOMIC_NUMBERS[symbol] for one in graphs for symbol in one.elements], dtype=np.int64),
        oxidations=states,
        motif_sites=sites,
        motif_tokens=[motif.token for motif in motifs],
        csms=np.array([motif.csm for motif in motifs], dtype=np.float64),
        bond_motifs=np.repeat(np.arange(len(motifs)), cns),
        bond_sites=ligands + np.repeat(first_sites, cns),
        link_sources=links[:, 0],
        link_targets=links[:, 1],
        link_sharings=links[:, 2],
    )


def graph_places(graphs: Sequence[MotifGraph], symmetries: Sequence[Symmetry | None]) -> Places:
    """Count the sites of each point group; materials without symmetry have none."""
    n_kinds, rows = [], []
    for graph, found in zip(graphs, symmetries, strict=True):
        groups = () if found is None else found.site_symmetries
        if found is not None and len(groups) != graph.n_sites:
            wrong = f"{graph.formula} has {graph.n_sites} sites, got a symmetry of {len(groups)}"
            msg = f"{wrong}; find it in the same cell"
            raise ValueError(msg)
        places = Counter(zip(graph.elements, groups, strict=False))
        n_kinds.append(len(places))
        rows += [
            (ATOMIC_NUMBERS[symbol], POINT_GROUPS.index(group), n / graph.n_sites)
            for (symbol, group), n in places.items()
        ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Places(
        space_groups=np.array([0 if found is None else found.space_group for found in symmetries], dtype=np.int64),
        n_kinds=np.array(n_kinds, dtype=np.int64),
        numbers=table[:, 0].astype(np.int64),
        point_groups=table[:, 1].astype(np.int64),
        fractions=table[:, 2],
    )


def table_places(symmetry: "str | os.PathLike[str] | pd.DataFrame") -> tuple[dict[str, int], Places]:
    """Read a table of symmetry: the row of each material by its id, and the places of all."""
    import pandas as pd

    table = symmetry if isinstance(symmetry, pd.DataFrame) else read_symmetry(symmetry)
    missing = {"id", "space_group", "elements", "site_symmetries", "fractions"} - set(table.columns)
    if missing or table["id"].duplicated().any():
        wrong = f"no column {min(missing)!r}" if missing else "an id that comes twice"
        msg = f"symmetry must be the folder or the table that symmetry_table made, got one with {wrong}"
        raise ValueError(msg)
    point_groups = {group: code for code, group in enumerate(POINT_GROUPS)}
    numbers = [ATOMIC_NUMBERS[symbol] for listed in table["elements"] for symbol in listed]
    groups = [point_groups[group] for listed in table["site_symmetries"] for group in listed]
    fractions = [fraction for listed in table["fractions"] for fraction in listed]
    places = Places(
        space_groups=table["space_group"].to_numpy(np.int64),
        n_kinds=np.array([len(listed) for listed in table["elements"]], dtype=np.int64),
        numbers=np.array(numbers, dtype=np.int64),
        point_groups=np.array(groups, dtype=np.int64),
        fractions=np.array(fractions, dtype=np.float64),
    )
    return {name: row for row, name in enumerate(table["id"])}, places
