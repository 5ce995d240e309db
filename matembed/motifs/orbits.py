"""Which sites of a crystal are copies of one another, by translation and by symmetry."""

import warnings
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Orbits", "Primitive", "find_orbits", "find_primitive"]

# Stored coordinates carry 4 to 6 decimals, an error of up to 5e-4 Å; looser tolerances take real distortions for
# noise (octahedra tilted by 0.01 Å are a different crystal).
_SYMPREC = 1e-3


class Primitive(NamedTuple):
    """A primitive cell, made of atoms of the given cell as they stand.

    Attributes
    ----------
    lattice : float array, shape (3, 3)
        Rows are lattice vectors in Å, in the orientation of the given cell.
    frac_coords : float array, shape (n_primitive, 3)
        In [0, 1).
    chosen_idx : int array, shape (n_primitive,)
        The site of the given cell behind each atom.
    copied_idx : int array, shape (n_sites,)
        For each site of the given cell, the atom that it is a translated copy of.
    """

    lattice: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    chosen_idx: NDArray[np.intp]
    copied_idx: NDArray[np.intp]


class Orbits(NamedTuple):
    """Sites that symmetry makes equal.

    Attributes
    ----------
    representative_idx : int array, shape (n_sites,)
        For each site, the first site of its orbit.
    rotations : float array, shape (n_sites, 3, 3)
        For each site, what turns the surroundings of its representative into its own:
        ``offsets @ rotations[site]``, for Cartesian row vectors from the centre.
    """

    representative_idx: NDArray[np.intp]
    rotations: NDArray[np.float64]


def find_primitive(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], kinds: Sequence[Hashable]
) -> Primitive:
    """Reduce a cell to a primitive one.

    Atoms are neither moved nor averaged, and the lattice vectors of the given cell are whole sums of the new ones.

    Parameters
    ----------
    lattice : float array, shape (3, 3)
        Rows are lattice vectors, in Å.
    frac_coords : float array, shape (n_sites, 3)
        Fractional coordinates, wrapped or not.
    kinds : sequence, length n_sites
        Sites of different kinds are never copies.

    Returns
    -------
    Primitive
        The given cell itself where no smaller one is found.
    """
    dataset = _dataset(lattice, frac_coords, kinds)
    n_sites = len(frac_coords)
    if dataset is None:
        return Primitive(lattice, frac_coords % 1.0, np.arange(n_sites), np.arange(n_sites))
    _, chosen_idx, copied_idx = np.unique(dataset.mapping_to_primitive, return_index=True, return_inverse=True)
    n_cells = n_sites // len(chosen_idx)
    reduced = np.round(dataset.primitive_lattice @ np.linalg.inv(lattice) * n_cells) / n_cells
    return Primitive(reduced @ lattice, frac_coords[chosen_idx] @ np.linalg.inv(reduced) % 1.0, chosen_idx, copied_idx)


def find_orbits(lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], kinds: Sequence[Hashable]) -> Orbits:
    """Group the sites of a primitive cell into crystallographic orbits.

    Parameters
    ----------
    lattice : float array, shape (3, 3)
        Rows are lattice vectors, in Å.
    frac_coords : float array, shape (n_sites, 3)
        Fractional coordinates, wrapped or not.
    kinds : sequence, length n_sites
        Sites of different kinds are never in one orbit.

    Returns
    -------
    Orbits
        Every site alone where no symmetry is found.
    """
    n_sites = len(frac_coords)
    dataset = _dataset(lattice, frac_coords, kinds)
    if dataset is None:
        return Orbits(np.arange(n_sites), np.broadcast_to(np.eye(3), (n_sites, 3, 3)))
    representative_idx = np.asarray(dataset.equivalent_atoms, dtype=np.intp)
    operations = dataset.rotations.transpose(0, 2, 1)
    cartesian = np.linalg.inv(lattice) @ operations @ lattice
    rotations = np.empty((n_sites, 3, 3))
    for site, representative in enumerate(representative_idx):
        miss = frac_coords[representative] @ operations + dataset.translations - frac_coords[site]
        distances = np.linalg.norm((miss - np.round(miss)) @ lattice, axis=1)
        rotations[site] = cartesian[np.argmin(distances)]
    return Orbits(representative_idx, rotations)


def _dataset(lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], kinds: Sequence[Hashable]) -> Any:
    """Symmetry of a cell as spglib finds it, or None."""
    import spglib

    numbers: dict[Hashable, int] = {}
    for kind in kinds:
        numbers.setdefault(kind, len(numbers) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cell = (lattice.tolist(), frac_coords.tolist(), [numbers[kind] for kind in kinds])
        try:
            return spglib.get_symmetry_dataset(cell, _SYMPREC)
        except Exception:  # where the search fails, older spglib returns None with a warning and newer raises
            return None
