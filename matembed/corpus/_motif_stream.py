"""Motif tables -> flat arrays, some thousand crystals at a time and whole crystals only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matembed.elements import ATOMIC_NUMBERS
from matembed.tokens import SHARINGS, parse_token

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from matembed.corpus.motif_tables import MotifTables

__all__ = ["MotifChunk", "motif_chunks"]

_CRYSTALS_AT_ONCE = 2_000


@dataclass(frozen=True, eq=False)
class MotifChunk:
    """The sites, motifs, bonds and connections of some crystals, positions counted on from one to the next.

    Attributes
    ----------
    materials : DataFrame, length n_materials
        The rows of ``materials.parquet``.
    site_material : int array, shape (n_sites,)
        Position in `materials`.
    site_numbers : int array, shape (n_sites,)
        Atomic numbers.
    site_tokens : list of str, length n_sites
        Species, or elements where oxidation states are not known.
    motif_sites : int array, shape (n_motifs,)
        Centre of each motif.
    cns : int array, shape (n_motifs,)
        Coordination numbers.
    csms : float array, shape (n_motifs,)
        NaN where no model has so many vertices.
    geometries, tokens : list of str, length n_motifs
        ChemEnv symbol and motif token.
    bond_motifs, bond_sites : int array, shape (n_bonds,)
        Motif and ligand of each bond.
    bond_lengths : float array, shape (n_bonds,)
        In Å.
    link_sources, link_targets, link_sharings : int array, shape (n_connections,)
        Motifs of each connection, and what they share: position in `SHARINGS`.
    """

    materials: "pd.DataFrame"
    site_material: NDArray[np.int64]
    site_numbers: NDArray[np.int64]
    site_tokens: list[str]
    motif_sites: NDArray[np.int64]
    cns: NDArray[np.int64]
    csms: NDArray[np.float64]
    geometries: list[str]
    tokens: list[str]
    bond_motifs: NDArray[np.int64]
    bond_sites: NDArray[np.int64]
    bond_lengths: NDArray[np.float64]
    link_sources: NDArray[np.int64]
    link_targets: NDArray[np.int64]
    link_sharings: NDArray[np.int64]

    def bonds(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """List every bond from either end: a bond to a site that is no centre is also one of that site.

        Returns
        -------
        first, second : int array, shape (n_ends,)
            Sites.
        lengths : float array, shape (n_ends,)
            In Å.
        """
        centres = self.motif_sites[self.bond_motifs]
        centre = np.zeros(len(self.site_numbers), dtype=bool)
        centre[self.motif_sites] = True
        back = ~centre[self.bond_sites]
        first = np.concatenate([centres, self.bond_sites[back]])
        second = np.concatenate([self.bond_sites, centres[back]])
        return first, second, np.concatenate([self.bond_lengths, self.bond_lengths[back]])


def motif_chunks(tables: "MotifTables", *, links: bool = True) -> Iterator[MotifChunk]:
    """Read motif tables a chunk of whole crystals at a time.

    Parameters
    ----------
    tables : MotifTables
        Tables of any strategy; of a site between several environments, the likeliest counts.
    links : bool, default True
        Read connections, which takes most of the time.

    Yields
    ------
    MotifChunk
        In the order of the tables.

    Raises
    ------
    ValueError
        If the tables lack the species of sites, as those of early versions do.
    """
    materials = tables.materials()
    if "sites" not in materials:
        msg = f"{tables.path} has no column 'sites', which early versions did not write; build the tables again"
        raise ValueError(msg)
    n_motifs = materials["n_motifs"].to_numpy(np.int64)
    n_links = materials["n_connections"].to_numpy(np.int64)
    columns = ["site", "geometry", "cn", "csm", "token", "ligands", "lengths"]
    motif_slices = _Slices(tables, "motifs", columns)
    link_slices = _Slices(tables, "connections", ["source", "target", "sharing"]) if links else None
    for start in range(0, len(materials), _CRYSTALS_AT_ONCE):
        rows = slice(start, start + _CRYSTALS_AT_ONCE)
        found = motif_slices.take(int(n_motifs[rows].sum()))
        connections = None if link_slices is None else link_slices.take(int(n_links[rows].sum()))
        yield _chunk(materials.iloc[rows], found, connections)


class _Slices:
    """Rows of a Parquet file in order, as many as are asked for."""

    def __init__(self, tables: "MotifTables", name: str, columns: list[str]) -> None:
        self._groups = tables.row_groups(name, columns)
        self._waiting: pa.Table | None = None

    def take(self, n_rows: int) -> "pa.Table":
        import pyarrow as pa

        while self._waiting is None or len(self._waiting) < n_rows:
            more = next(self._groups)
            self._waiting = more if self._waiting is None else pa.concat_tables([self._waiting, more])
        taken, self._waiting = self._waiting.slice(0, n_rows), self._waiting.slice(n_rows)
        return taken.combine_chunks()


def _chunk(materials: "pd.DataFrame", motifs: "pa.Table", connections: "pa.Table | None") -> MotifChunk:
    listed = [text.split(" ") for text in materials["sites"]]
    n_sites = np.array([len(tokens) for tokens in listed], dtype=np.int64)
    first_site = np.cumsum(n_sites) - n_sites
    site_tokens = [token for tokens in listed for token in tokens]
    numbers = {token: ATOMIC_NUMBERS[str(parse_token(token).element)] for token in set(site_tokens)}
    n_motifs = materials["n_motifs"].to_numpy(np.int64)
    owner = np.repeat(np.arange(len(materials)), n_motifs)
    cns = motifs["cn"].to_numpy().astype(np.int64)
    bond_motifs = np.repeat(np.arange(len(cns)), cns)
    source = target = sharing = np.zeros(0, dtype=np.int64)
    if connections is not None:
        of = np.repeat(np.arange(len(materials)), materials["n_connections"].to_numpy(np.int64))
        first_motif = (np.cumsum(n_motifs) - n_motifs)[of]
        source = connections["source"].to_numpy() + first_motif
        target = connections["target"].to_numpy() + first_motif
        names: dict[str, int] = {name: position for position, name in enumerate(SHARINGS)}
        sharing = _coded(connections["sharing"], names)
    return MotifChunk(
        materials=materials,
        site_material=np.repeat(np.arange(len(materials)), n_sites),
        site_numbers=np.array([numbers[token] for token in site_tokens], dtype=np.int64),
        site_tokens=site_tokens,
        motif_sites=motifs["site"].to_numpy() + first_site[owner],
        cns=cns,
        csms=motifs["csm"].to_numpy().astype(np.float64),
        geometries=motifs["geometry"].to_pylist(),
        tokens=motifs["token"].to_pylist(),
        bond_motifs=bond_motifs,
        bond_sites=_flat(motifs["ligands"]) + first_site[owner[bond_motifs]],
        bond_lengths=_flat(motifs["lengths"]).astype(np.float64),
        link_sources=source,
        link_targets=target,
        link_sharings=sharing,
    )


def _flat(column: "pa.ChunkedArray") -> NDArray[Any]:
    return np.asarray(column.combine_chunks().flatten().to_numpy(zero_copy_only=False))


def _coded(column: "pa.ChunkedArray", names: dict[str, int]) -> NDArray[np.int64]:
    encoded = column.combine_chunks().dictionary_encode()
    positions = np.array([names[name] for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    return np.asarray(positions[encoded.indices.to_numpy()], dtype=np.int64)
