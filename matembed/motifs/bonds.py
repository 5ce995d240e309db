"""Which sites of a crystal are bonded: each to the coordination shell around it."""

import numpy as np
from numpy.typing import NDArray

from matembed.motifs.crystal import Crystal
from matembed.motifs.find import find_motif_arrays
from matembed.motifs.shells import choose_ligands
from matembed.motifs.voronoi import voronoi_cell

__all__ = ["shell_bonds"]


def shell_bonds(crystal: Crystal) -> NDArray[np.int64]:
    """List the neighbours in the coordination shell of every site, whatever their charges and number.

    The shell is that of `matembed.motifs.shells.choose_ligands`. Those of more than 20 neighbours, as of La in LaB6,
    make no motif, but bonds.

    Parameters
    ----------
    crystal : Crystal
        The structure.

    Returns
    -------
    int array, shape (n_bonds, 5)
        Site, neighbour and image of the latter, site by site. A bond is listed from each end whose shell holds the
        other.

    Raises
    ------
    MotifError
        If the cell is too flat to find neighbours in.

    Examples
    --------
    >>> crystal = Crystal(4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17])
    >>> np.bincount(shell_bonds(crystal)[:, 0])
    array([14, 14])
    """
    found = find_motif_arrays(crystal, valences="none")
    first = found.ligand_spans[found.environment_starts[:-1]]
    sites = [np.repeat(found.centres, first[:, 1] - first[:, 0])]
    ligands = [found.ligands[start:end] for start, end in first]
    for site in np.setdiff1d(np.arange(len(crystal.numbers)), found.centres).tolist():
        facets = voronoi_cell(crystal.lattice, crystal.frac_coords, site)
        chosen = choose_ligands(facets, np.ones(len(facets.sites), dtype=bool))
        sites.append(np.full(len(chosen), site))
        ligands.append(np.column_stack([facets.sites, facets.images])[chosen])
    bonds = np.column_stack([np.concatenate(sites), np.concatenate([np.empty((0, 4), dtype=np.int64), *ligands])])
    return bonds[np.argsort(bonds[:, 0], kind="stable")].astype(np.int64)
