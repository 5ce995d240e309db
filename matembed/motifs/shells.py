"""Which neighbours of a site are its ligands, by the plateaus of distance and solid angle."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.elements import SYMBOLS
from matembed.motifs.geometry import LARGEST_CN, nearest_geometry
from matembed.motifs.voronoi import Facets, voronoi_cell

if TYPE_CHECKING:
    from matembed.motifs.crystal import Crystal

__all__ = [
    "ANGLE_CUTOFF",
    "ANGLE_GAP",
    "DISTANCE_CUTOFF",
    "DISTANCE_GAP",
    "MAXIMUM_DISTANCE",
    "MINIMUM_ANGLE",
    "Shell",
    "choose_ligands",
    "facet_offsets",
    "find_shells",
]

# SimplestChemenvStrategy's own cutoffs, relative to the nearest neighbour and the largest solid angle.
DISTANCE_CUTOFF = 1.4
ANGLE_CUTOFF = 0.3
# Neighbours nearer to each other than these are on one plateau: LocalGeometryFinder's presets.
DISTANCE_GAP = 0.05
ANGLE_GAP = 0.03
# No plateau goes on past these. 1.41 just covers the distance cutoff, as the Materials Project's 1.4 does, and makes
# ChemEnv several times faster than its default of 2.0; a chain of distances that runs on past it is cut, which changes
# the label of about 1 site in 100.
MAXIMUM_DISTANCE = 1.41
MINIMUM_ANGLE = 0.05


class Shell(NamedTuple):
    """The ligands of a centre and the geometry they make.

    Attributes
    ----------
    geometry : str
        ChemEnv symbol of the model polyhedron with the lowest csm, or ``"UNKNOWN:n"``.
    csm : float or None
        Continuous symmetry measure against it, 0 to 100.
    offsets : float array, shape (cn, 3)
        From the centre to each ligand, Cartesian, in Å.
    elements : tuple of str, length cn
        Element symbols of the ligands.
    fraction : float
        Share of this environment among those of its centre.
    """

    geometry: str
    csm: float | None
    offsets: NDArray[np.float64]
    elements: tuple[str, ...]
    fraction: float = 1.0


def choose_ligands(facets: Facets, may_bond: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Choose the ligands among the neighbours that share a Voronoi facet with a site.

    Distances are taken relative to the nearest neighbour, solid angles to the largest. A neighbour is in if it is
    within both cutoffs, 1.4 and 0.3, or beyond a cutoff but on the plateau that reaches across it: with distances
    ascending, at most 0.05 after one that is in, and up to 1.41; with angles descending, at most 0.03 below one that
    is in, and down to 0.05. All facets take part in the plateaus, also of neighbours that may not bond.

    Parameters
    ----------
    facets : Facets
        The Voronoi cell, n_facets of them.
    may_bond : bool array, shape (n_facets,)
        Neighbours that may be ligands.

    Returns
    -------
    int array, shape (cn,)
        Positions in `facets`, ascending.

    Examples
    --------
    Of the fourteen neighbours in a body-centred crystal the nearest eight fill most of the sky, and the other six
    still 0.55 of the largest solid angle each.

    >>> cell = voronoi_cell(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 0)
    >>> len(choose_ligands(cell, np.full(14, True)))
    14
    """
    if len(facets.sites) == 0:
        return np.zeros(0, dtype=np.intp)
    distances = facets.distances / facets.distances.min()
    angles = facets.solid_angles / facets.solid_angles.max()
    near = _within(distances, DISTANCE_CUTOFF, DISTANCE_GAP, MAXIMUM_DISTANCE)
    wide = _within(-angles, -ANGLE_CUTOFF, ANGLE_GAP, -MINIMUM_ANGLE)
    return np.flatnonzero(near & wide & may_bond)


def _within(values: NDArray[np.float64], cutoff: float, gap: float, end: float) -> NDArray[np.bool_]:
    """Say which values are up to the cutoff, or on the plateau that reaches across it."""
    order = np.argsort(values, kind="stable")
    n_within = 0
    for value, previous in zip(values[order], values[order[[0, *range(len(order) - 1)]]], strict=True):
        if value > end or (value > cutoff and value - previous > gap):
            break
        n_within += 1
    within = np.zeros(len(values), dtype=bool)
    within[order[:n_within]] = True
    return within


def find_shells(crystal: "Crystal", sites: Sequence[int], charges: NDArray[np.float64]) -> dict[int, list[Shell]]:
    """Find coordination shells and their geometries, as ChemEnv's ``SimplestChemenvStrategy`` [1]_ does.

    Ligands are chosen from the Voronoi cell, see `choose_ligands`; the geometry is the model of lowest csm. This is the
    definition that the compiled kernels are held equal to, about a thousand times slower.

    Parameters
    ----------
    crystal : Crystal
        The structure, n_sites of them.
    sites : sequence of int
        The centres.
    charges : float array, shape (n_sites,)
        Bonds join positive to negative sites; a site of charge 0 may bond to all.

    Returns
    -------
    dict of int to list of Shell
        One shell by site. Sites with no neighbours, or with more than 20, are left out, as ChemEnv does.

    References
    ----------
    .. [1] D. Waroquiers et al., Acta Cryst. B 76, 683 (2020).

    Examples
    --------
    >>> from matembed.motifs import Crystal
    >>> crystal = Crystal(4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17])
    >>> (shell,) = find_shells(crystal, [0], np.array([1.0, -1.0]))[0]
    >>> shell.geometry, shell.elements[:2]
    ('C:8', ('Cl', 'Cl'))
    """
    found = {}
    for site in sites:
        facets = voronoi_cell(crystal.lattice, crystal.frac_coords, site)
        chosen = choose_ligands(facets, charges[site] * charges[facets.sites] <= 0)
        if 0 < len(chosen) <= LARGEST_CN:
            offsets = facet_offsets(crystal, site, facets)[chosen]
            geometry, csm = nearest_geometry(offsets, engine="numpy")
            elements = tuple(SYMBOLS[number] for number in crystal.numbers[facets.sites[chosen]])
            found[site] = [Shell(geometry, csm, offsets, elements)]
    return found


def facet_offsets(crystal: "Crystal", site: int, facets: Facets) -> NDArray[np.float64]:
    """Locate the neighbours behind the facets of a Voronoi cell.

    Parameters
    ----------
    crystal : Crystal
        The structure.
    site : int
        The atom in the cell.
    facets : Facets
        Its cell, n_facets of them.

    Returns
    -------
    float array, shape (n_facets, 3)
        From the atom to each neighbour, Cartesian, in Å.
    """
    steps = crystal.frac_coords[facets.sites] + facets.images - crystal.frac_coords[site]
    return np.asarray(steps @ crystal.lattice, dtype=np.float64)
