"""The edges of a motif network: the motifs of tables or graphs -> shares and mean csm of each material and motif."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from matembed.corpus.motif_tables import MotifTables
from matembed.encoders._training import check_number
from matembed.motifs import MotifGraph
from matembed.tokens import parse_token

__all__ = ["MotifLevel", "check_settings", "edges_of_graphs", "edges_of_tables", "place_columns"]

MotifLevel = Literal["motif", "species_motif", "geometry"]

_DECIMALS = 6  # mean csm is kept to it

# Motifs in alphabetical order, and starts, motif_idx, shares and csms of `MotifNetwork`.
Edges = tuple[tuple[str, ...], tuple[NDArray[Any], ...]]


def edges_of_tables(tables: MotifTables, n_motifs: NDArray[np.int64], level: MotifLevel) -> Edges:
    """Gather the motifs of tables, of which each material has `n_motifs`."""
    column = "geometry" if level == "geometry" else "token"
    read = [column, "csm", *(["oxidation"] if level == "species_motif" else [])]
    positions: dict[Any, int] = {}
    idx, csms = [], []
    for group in tables.row_groups("motifs", read):
        coded = group[column].combine_chunks().dictionary_encode()
        texts = coded.dictionary.to_pylist()
        codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        if level == "species_motif":
            states = group["oxidation"].to_numpy().astype(np.float64)
            pairs, codes = np.unique(np.column_stack([codes, np.round(states, 2)]), axis=0, return_inverse=True)
            texts = [_with_oxidation(texts[int(code)], state) for code, state in pairs.tolist()]
        here = np.array([positions.setdefault(text, len(positions)) for text in texts], dtype=np.int64)
        idx.append(here[codes.ravel()])
        csms.append(group["csm"].to_numpy().astype(np.float64))
    owner = np.repeat(np.arange(len(n_motifs)), n_motifs)
    joined_idx, joined_csms = np.concatenate([np.zeros(0, np.int64), *idx]), np.concatenate([np.zeros(0), *csms])
    return _edges(owner, joined_idx, joined_csms, list(positions), len(n_motifs))


def _with_oxidation(token: str, oxidation: float) -> str:
    known = None if np.isnan(oxidation) else oxidation + 0.0
    return str(replace(parse_token(token), oxidation=known))


def edges_of_graphs(graphs: Sequence[MotifGraph], level: MotifLevel) -> Edges:
    """Gather the motifs of graphs, one a material."""
    named = {"motif": "token", "species_motif": "species_token", "geometry": "geometry"}[level]
    positions: dict[str, int] = {}
    motifs = [(row, motif) for row, graph in enumerate(graphs) for motif in graph.motifs]
    owner = np.array([row for row, _ in motifs], dtype=np.int64)
    idx = [positions.setdefault(getattr(motif, named), len(positions)) for _, motif in motifs]
    csms = [np.nan if motif.csm is None else motif.csm for _, motif in motifs]
    return _edges(owner, np.array(idx, dtype=np.int64), np.array(csms, dtype=np.float64), list(positions), len(graphs))


def _edges(
    owner: NDArray[np.int64], idx: NDArray[np.int64], csms: NDArray[np.float64], names: Sequence[str], n_materials: int
) -> Edges:
    """Gather the motifs of each material that have one name: of each its material, position in `names` and csm."""
    motifs = sorted(names)
    place = {motif: column for column, motif in enumerate(motifs)}
    columns = np.array([place[name] for name in names], dtype=np.int64)[idx] if names else idx
    keys, edge = np.unique(owner * max(1, len(motifs)) + columns, return_inverse=True)
    counts = np.bincount(edge, minlength=len(keys))
    rows = keys // max(1, len(motifs))
    known = ~np.isnan(csms)
    sums = np.bincount(edge[known], csms[known], len(keys))
    n_known = np.bincount(edge[known], minlength=len(keys))
    means = np.where(n_known > 0, np.round(sums / np.maximum(1, n_known), _DECIMALS), np.nan)
    starts = np.searchsorted(rows, np.arange(n_materials + 1))
    shares = counts / np.bincount(owner, minlength=n_materials)[rows]
    return tuple(motifs), (starts, keys % max(1, len(motifs)), shares, means)


def check_settings(level: object, half_csm: object) -> None:
    """Check the settings that say what a motif is, and how much of its share counts."""
    if level not in get_args(MotifLevel):
        msg = f"level must be {' or '.join(map(repr, get_args(MotifLevel)))}, got {level!r}"
        raise ValueError(msg)
    check_number("half_csm", half_csm, positive=True)


def place_columns(matrix: sparse.csr_array, names: Sequence[str], positions: Mapping[str, int]) -> sparse.csr_array:
    """Move the columns of a matrix to where another keeps those of the same name."""
    columns = np.array([positions.get(name, -1) for name in names], dtype=np.int64)
    known = np.flatnonzero(columns >= 0)
    place = sparse.csr_array((np.ones(len(known)), (known, columns[known])), shape=(len(names), len(positions)))
    return sparse.csr_array(matrix @ place)
