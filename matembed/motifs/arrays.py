"""MotifArrays: the motifs of a crystal as flat arrays, for tables and streams of many crystals."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.elements import SYMBOLS
from matembed.motifs.connectivity import connect
from matembed.motifs.crystal import Crystal
from matembed.motifs.geometry import model_geometries
from matembed.motifs.graph import Connection, Environment, Ligand, Motif, MotifGraph

__all__ = ["MotifArrays", "pack_environments"]


class MotifArrays(NamedTuple):
    """Motifs and their connections.

    Attributes
    ----------
    crystal : Crystal
        Where they were found.
    oxidations : float array, shape (n_sites,), or None
        Oxidation states in units of e; None where no numbers are known.
    valences : str
        Where oxidation states, or their signs, came from: see `MotifGraph.valences`.
    centres : int array, shape (n_motifs,)
        Site of each motif, ascending.
    environment_starts : int array, shape (n_motifs + 1,)
        Where the environments of each motif start, likeliest first; one each under strategy "simplest".
    geometries : int array, shape (n_environments,)
        Row of each environment's model in `model_geometries`; -1 where no model has so many vertices.
    csms, fractions : float array, shape (n_environments,)
        Continuous symmetry measure, meaningless where there is no model; and fraction, adding to 1 for each motif.
    ligand_spans : int array, shape (n_environments, 2)
        Where the ligands of each environment start and end.
    ligands : int array, shape (n_ligands, 4)
        A site and three steps of its image, sorted within an environment.
    connections : int array, shape (n_connections, 6)
        Source, target, image of the target, and where the shared ligands start; sorted. They are those of the
        likeliest environments.
    shared : int array, shape (n_shared, 4)
        Shared ligands, connection after connection, as seen from the source.
    """

    crystal: Crystal
    oxidations: NDArray[np.float64] | None
    valences: str
    centres: NDArray[np.int64]
    environment_starts: NDArray[np.int64]
    geometries: NDArray[np.int64]
    csms: NDArray[np.float64]
    fractions: NDArray[np.float64]
    ligand_spans: NDArray[np.int64]
    ligands: NDArray[np.int64]
    connections: NDArray[np.int64]
    shared: NDArray[np.int64]

    @property
    def cns(self) -> NDArray[np.int64]:
        """Coordination number of each environment."""
        return np.asarray(self.ligand_spans[:, 1] - self.ligand_spans[:, 0], dtype=np.int64)

    @property
    def n_shared(self) -> NDArray[np.int64]:
        """How many ligands each connection shares."""
        return np.diff(self.connections[:, 5], append=len(self.shared))

    def lengths(self) -> NDArray[np.float64]:
        """Measure how far each ligand is from the centre of its motif.

        Returns
        -------
        float array, shape (n_ligands,)
            Distances in Å, in the order of `ligands`.
        """
        cns = self.cns
        rows = np.arange(cns.sum()) + np.repeat(self.ligand_spans[:, 0] - (np.cumsum(cns) - cns), cns)
        centres = np.repeat(np.repeat(self.centres, np.diff(self.environment_starts)), cns)
        coords, ligands = self.crystal.frac_coords, self.ligands[rows]
        lengths = np.zeros(len(self.ligands))
        lengths[rows] = np.linalg.norm(
            (coords[ligands[:, 0]] + ligands[:, 1:] - coords[centres]) @ self.crystal.lattice, axis=1
        )
        return lengths

    def symbols(self) -> list[str]:
        """Name the geometry of every environment.

        Returns
        -------
        list of str, length n_environments
            ChemEnv symbols, ``"UNKNOWN:n"`` where there is no model.
        """
        known = model_geometries().symbols
        rows = zip(self.geometries.tolist(), self.cns.tolist(), strict=True)
        return [known[row] if row >= 0 else f"UNKNOWN:{cn}" for row, cn in rows]

    def to_graph(self, *, engine: str, strategy: str) -> MotifGraph:
        """Make the motif graph that the arrays describe.

        Parameters
        ----------
        engine, strategy : str
            What found the motifs, and how their neighbours were chosen.

        Returns
        -------
        MotifGraph
            Csm and fractions are rounded to 6 decimals.
        """
        elements = self.crystal.symbols
        oxidations = [None] * len(elements) if self.oxidations is None else self.oxidations.tolist()
        ligands = [Ligand(site, (a, b, c)) for site, a, b, c in self.ligands.tolist()]
        shells = [tuple(ligands[start:end]) for start, end in self.ligand_spans.tolist()]
        environments = [
            Environment(symbol, None if row < 0 else round(csm, 6) + 0.0, round(fraction, 6), shell)
            for symbol, row, csm, fraction, shell in zip(
                self.symbols(),
                self.geometries.tolist(),
                self.csms.tolist(),
                self.fractions.tolist(),
                shells,
                strict=True,
            )
        ]
        starts = self.environment_starts.tolist()
        motifs = []
        for row, site in enumerate(self.centres.tolist()):
            several = tuple(environments[starts[row] : starts[row + 1]])
            first = several[0]
            motifs.append(
                Motif(
                    site=site,
                    element=elements[site],
                    oxidation=oxidations[site],
                    geometry=first.geometry,
                    csm=first.csm,
                    ligands=first.ligands,
                    ligand_elements=tuple([elements[ligand.site] for ligand in first.ligands]),
                    mixture=several if len(several) > 1 else (),
                )
            )
        shared = [Ligand(site, (a, b, c)) for site, a, b, c in self.shared.tolist()]
        ends = [*self.connections[1:, 5].tolist(), len(shared)]
        connections = [
            Connection(source, target, (a, b, c), tuple(shared[start:end]))
            for (source, target, a, b, c, start), end in zip(self.connections.tolist(), ends, strict=False)
        ]
        return MotifGraph(
            formula=self.crystal.reduced_formula,
            elements=elements,
            motifs=tuple(motifs),
            connections=tuple(connections),
            engine=engine,
            strategy=strategy,
            valences=self.valences,
        )


def pack_environments(
    crystal: Crystal,
    oxidations: NDArray[np.float64] | None,
    valences: str,
    environments: Mapping[int, Sequence[Environment]],
    *,
    symmetrise: bool = False,
) -> MotifArrays:
    """Write environments as flat arrays, and connect them by the definition.

    Parameters
    ----------
    crystal : Crystal
        Where they were found.
    oxidations : float array, shape (n_sites,), or None
        Oxidation states in units of e.
    valences : str
        Where they came from.
    environments : mapping of int to sequence of Environment
        By site; sites with none are left out.
    symmetrise : bool, default False
        As in `connect`.

    Returns
    -------
    MotifArrays
        The arrays.
    """
    rows = {symbol: row for row, symbol in enumerate(model_geometries().symbols)}
    found = {site: environments[site] for site in sorted(environments) if environments[site]}
    every = [one for several in found.values() for one in several]
    ends = np.cumsum([0, *(len(one.ligands) for one in every)])
    motifs = [
        Motif(
            site,
            SYMBOLS[crystal.numbers[site]],
            None,
            several[0].geometry,
            several[0].csm,
            several[0].ligands,
            tuple(SYMBOLS[crystal.numbers[ligand.site]] for ligand in several[0].ligands),
        )
        for site, several in found.items()
    ]
    connections = connect(motifs, engine="numpy", symmetrise=symmetrise)
    shared = [(site, *image) for connection in connections for site, image in connection.ligands]
    n_shared = np.cumsum([0, *(len(connection.ligands) for connection in connections)])
    rows_of = [
        (one.source, one.target, *one.image, start) for one, start in zip(connections, n_shared.tolist(), strict=False)
    ]
    return MotifArrays(
        crystal=crystal,
        oxidations=oxidations,
        valences=valences,
        centres=np.array(list(found), dtype=np.int64),
        environment_starts=np.cumsum([0, *(len(several) for several in found.values())]),
        geometries=np.array([rows.get(one.geometry, -1) for one in every], dtype=np.int64),
        csms=np.array([0.0 if one.csm is None else one.csm for one in every], dtype=np.float64),
        fractions=np.array([one.fraction for one in every], dtype=np.float64),
        ligand_spans=np.column_stack([ends[:-1], ends[1:]]),
        ligands=_rows([(site, *image) for one in every for site, image in one.ligands], 4),
        connections=_rows(rows_of, 6),
        shared=_rows(shared, 4),
    )


def _rows(values: Sequence[Sequence[int]], width: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64).reshape(len(values), width)
