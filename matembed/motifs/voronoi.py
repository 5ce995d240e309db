"""The Voronoi cell of an atom in a crystal: its neighbours, how far they are, and how much of the sky they fill."""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FARTHEST_CORNER", "SHORTER", "SMALLEST_FACET", "Facets", "reduce_lattice", "voronoi_cell"]

# Where more than four bisecting planes meet in a point, rounding makes facets of no size, in steradians.
SMALLEST_FACET = 1e-7
# Next to a void a cell ends here, in Å along each axis: no bond is as long, and the search for neighbours has an end.
FARTHEST_CORNER = 100.0
# A lattice vector is replaced if its square becomes smaller by this share.
SHORTER = 1e-9


class Facets(NamedTuple):
    """The facets of a Voronoi cell, nearest neighbour first.

    Attributes
    ----------
    sites : int array, shape (n_facets,)
        The neighbour behind each facet.
    images : int array, shape (n_facets, 3)
        Which periodic image of it, in lattice vectors.
    distances : float array, shape (n_facets,)
        To the neighbour, in Å.
    solid_angles : float array, shape (n_facets,)
        Of the facet as seen from the atom, in steradians; all facets together fill 4π.
    """

    sites: NDArray[np.intp]
    images: NDArray[np.intp]
    distances: NDArray[np.float64]
    solid_angles: NDArray[np.float64]


def reduce_lattice(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shorten the vectors of a lattice until none is longer than what adding others to it makes.

    Parameters
    ----------
    lattice : float array, shape (3, 3)
        Rows are lattice vectors, in Å.

    Returns
    -------
    float array, shape (3, 3)
        Vectors of the same lattice: each in turn less the nearest multiple of one other, or plus or minus both.

    Examples
    --------
    >>> reduce_lattice(np.array([[3.0, 0, 0], [40, 3, 0], [70, 55, 3]]))
    array([[3., 0., 0.],
           [1., 3., 0.],
           [1., 1., 3.]])
    """
    cell = lattice.copy()
    changed = True
    while changed:
        changed = False
        for row in range(3):
            one, two = (row + 1) % 3, (row + 2) % 3
            for trial in range(6):
                if trial < 2:
                    other = cell[one if trial == 0 else two]
                    shorter = cell[row] - round(cell[row] @ other / (other @ other)) * other
                else:
                    shorter = cell[row] + (2 * (trial % 2) - 1) * cell[one] + (2 * (trial // 4) - 1) * cell[two]
                if shorter @ shorter < (1 - SHORTER) * (cell[row] @ cell[row]):
                    cell[row], changed = shorter, True
    return cell


def voronoi_cell(lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], site: int) -> Facets:
    """Build the Voronoi cell of a site: all points nearer to it than to any other atom.

    Parameters
    ----------
    lattice : float array, shape (3, 3)
        Rows are lattice vectors, in Å.
    frac_coords : float array, shape (n_sites, 3)
        No two atoms in one place.
    site : int
        The atom in the cell.

    Returns
    -------
    Facets
        Those of at least 1e-7 sr; none where all atoms are more than 200 Å away.

    Examples
    --------
    >>> cell = voronoi_cell(3 * np.eye(3), np.zeros((1, 3)), 0)
    >>> cell.distances
    array([3., 3., 3., 3., 3., 3.])
    >>> cell.solid_angles / np.pi
    array([0.667, 0.667, 0.667, 0.667, 0.667, 0.667])
    """
    from scipy.spatial import Voronoi

    radius = 2 * (np.abs(np.linalg.det(lattice)) / len(frac_coords)) ** (1 / 3)
    walls = 2 * FARTHEST_CORNER * np.vstack([np.eye(3), -np.eye(3)])
    while True:
        sites, images, offsets = _nearby(lattice, frac_coords, site, radius)
        diagram = Voronoi(np.vstack([np.zeros(3), offsets, walls]))
        corners = diagram.regions[diagram.point_region[0]]
        # the cell is complete when an atom just outside could not cut its farthest corner off
        if -1 in corners or 2 * np.linalg.norm(diagram.vertices[corners], axis=1).max() > radius:
            radius *= 1.5
            continue
        break
    touching = (diagram.ridge_points == 0).any(axis=1) & (diagram.ridge_points.max(axis=1) <= len(offsets))
    neighbours = diagram.ridge_points[touching].max(axis=1) - 1
    ridges = [diagram.vertices[diagram.ridge_vertices[ridge]] for ridge in np.flatnonzero(touching)]
    solid_angles = np.array([_solid_angle(ridge) for ridge in ridges])
    distances = np.linalg.norm(offsets[neighbours], axis=1)
    order = np.argsort(distances, kind="stable")
    order = order[solid_angles[order] >= SMALLEST_FACET]
    chosen = neighbours[order]
    return Facets(sites[chosen], images[chosen], distances[order], solid_angles[order])


def _nearby(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], site: int, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Site, image and offset of all atoms in a sphere about one, itself left out."""
    cell = reduce_lattice(lattice)
    unit = np.round(lattice @ np.linalg.inv(cell))  # the given vectors, counted in the new ones
    steps = (frac_coords - frac_coords[site]) @ unit
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = np.ceil(radius / heights).astype(int) + 1
    shifts = np.array(list(product(*(range(-n, n + 1) for n in reach))))
    images = shifts[:, None] - np.floor(steps).astype(int)
    offsets = (steps + images) @ cell
    distances = np.linalg.norm(offsets, axis=2)
    distances[(images == 0).all(axis=2) & (np.arange(len(steps)) == site)] = np.inf
    shift, sites = np.nonzero(distances <= radius)
    found = np.round(images[shift, sites] @ np.linalg.inv(unit)).astype(int)
    return sites, found, offsets[shift, sites]


def _solid_angle(polygon: NDArray[np.float64]) -> float:
    """Solid angle of a polygon seen from the origin, as a fan of triangles [1]_.

    References
    ----------
    .. [1] A. Van Oosterom and J. Strackee, IEEE Trans. Biomed. Eng. 30, 125 (1983).
    """
    a, b, c = polygon[:1], polygon[1:-1], polygon[2:]
    length_a, length_b, length_c = (np.linalg.norm(corner, axis=1) for corner in (a, b, c))
    volumes = (a * np.cross(b, c)).sum(axis=1)
    cosines = length_a * length_b * length_c
    cosines = cosines + (a * b).sum(axis=1) * length_c + (b * c).sum(axis=1) * length_a + (a * c).sum(axis=1) * length_b
    return float(2 * np.arctan2(np.abs(volumes), cosines).sum())
