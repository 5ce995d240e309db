"""Which neighbours of a site are its ligands, by the plateaus of distance and solid angle."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.motifs.geometry import LARGEST_CN, model_geometries, nearest_geometry
from matembed.motifs.voronoi import Facets, voronoi_cell

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

__all__ = [
    "ANGLE_CUTOFF",
    "ANGLE_GAP",
    "DISTANCE_CUTOFF",
    "DISTANCE_GAP",
    "MAXIMUM_DISTANCE",
    "MINIMUM_ANGLE",
    "Shell",
    "choose_ligands",
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
    """

    geometry: str
    csm: float | None
    offsets: NDArray[np.float64]
    elements: tuple[str, ...]


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


def find_shells(
    structure: "Structure",
    sites: Sequence[int],
    valences: Sequence[float] | None,
    *,
    engine: Literal["numba", "numpy"] = "numba",
) -> dict[int, Shell]:
    """Find coordination shells and their geometries, as ChemEnv's ``SimplestChemenvStrategy`` [1]_ does.

    Ligands are chosen from the Voronoi cell, see `choose_ligands`; the geometry is the model of lowest csm.

    Parameters
    ----------
    structure : Structure
        Ordered, of bare elements, no two atoms in one place.
    sites : sequence of int
        The centres.
    valences : sequence of float, length n_sites, or None
        Bonds join positive to negative sites; a site of valence 0, or any where they are None, may bond to all.
    engine : {"numba", "numpy"}
        Compiled, or the readable definition that it is held equal to, about a thousand times slower.

    Returns
    -------
    dict of int to Shell
        By site. Sites with no neighbours, or with more than 20, are left out, as ChemEnv does.

    References
    ----------
    .. [1] D. Waroquiers et al., Acta Cryst. B 76, 683 (2020).

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> shell = find_shells(salt, [0], [1, 1, 1, 1, -1, -1, -1, -1])[0]
    >>> shell.geometry, shell.elements
    ('O:6', ('Cl', 'Cl', 'Cl', 'Cl', 'Cl', 'Cl'))
    """
    # copies, since numba compiles once more for arrays that cannot be written to
    lattice = np.array(structure.lattice.matrix, dtype=np.float64, order="C")
    frac_coords = np.array(structure.frac_coords, dtype=np.float64, order="C")
    charges = np.zeros(len(frac_coords)) if valences is None else np.asarray(valences, dtype=np.float64)
    symbols = [site.specie.symbol for site in structure]
    find = _compiled if engine == "numba" else _defined
    return {
        site: Shell(geometry, csm, offsets, tuple(symbols[ligand] for ligand in ligands))
        for site, (geometry, csm, offsets, ligands) in find(lattice, frac_coords, charges, sites).items()
    }


_Found = dict[int, tuple[str, float | None, NDArray[np.float64], list[int]]]


def _defined(
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    charges: NDArray[np.float64],
    sites: Sequence[int],
) -> _Found:
    found: _Found = {}
    for site in sites:
        facets = voronoi_cell(lattice, frac_coords, site)
        chosen = choose_ligands(facets, charges[site] * charges[facets.sites] <= 0)
        if not 0 < len(chosen) <= LARGEST_CN:
            continue
        ligands, images = facets.sites[chosen], facets.images[chosen]
        offsets = (frac_coords[ligands] + images - frac_coords[site]) @ lattice
        geometry, csm = nearest_geometry(offsets, engine="numpy")
        found[site] = (geometry, csm, offsets, ligands.tolist())
    return found


def _compiled(
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    charges: NDArray[np.float64],
    sites: Sequence[int],
) -> _Found:
    from matembed.motifs._numba import find_all

    models = model_geometries()
    signs = np.sign(charges).astype(np.int64)
    cns, ligands, offsets, nearest, csms = find_all(
        lattice, frac_coords, signs, np.array(sites, dtype=np.int64), *models[1:]
    )
    found: _Found = {}
    for row, site in enumerate(sites):
        cn = int(cns[row])
        if not 0 < cn <= LARGEST_CN:
            continue
        known = nearest[row] >= 0
        geometry = models.symbols[nearest[row]] if known else f"UNKNOWN:{cn}"
        found[site] = (geometry, float(csms[row]) if known else None, offsets[row, :cn], ligands[row, :cn].tolist())
    return found
