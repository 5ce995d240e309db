"""Voxels: a density on a cubic grid that holds every electron, at any scale.

Atomic units. A density that is sampled at the centres of voxels loses and gains electrons: near a nucleus it changes
by orders of magnitude within one. Here the electrons of every point of an atom-centred quadrature [1]_ are put into
the eight voxels about it, in shares that are linear in the distance ("cloud in cell"), so that their number is that of
the quadrature whatever the size of a voxel. Points outside the cube go to the voxels at its faces.

References
----------
.. [1] A. D. Becke, J. Chem. Phys. 88, 2547 (1988).
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matembed._optional import import_extra

__all__ = ["electron_points", "voxels"]

Floats = NDArray[np.float64]


def electron_points(mf: Any, *, grid_level: int = 2) -> tuple[Floats, Floats]:
    """Tell where the electrons of a converged calculation are.

    Parameters
    ----------
    mf : pyscf.scf.hf.SCF
        Restricted or unrestricted.
    grid_level : int, default 2
        Of PySCF's integration grid, 0 to 9.

    Returns
    -------
    coords : float64 array, shape (n_points, 3)
        Bohr, about the centre of the nuclear charge.
    electrons : float64 array, shape (n_points,)
        Weight times density of each point, 0 or more; scaled, by about one part in a million, to add up to the number
        of electrons.

    Raises
    ------
    ValueError
        If `mf` is not converged.
    """
    if not mf.converged:
        msg = "the calculation is not converged; run mf.kernel(), or mf.newton().kernel()"
        raise ValueError(msg)
    dft = import_extra("pyscf.dft", extra="density")
    grids = dft.gen_grid.Grids(mf.mol)
    grids.level = grid_level
    grids.prune = dft.gen_grid.treutler_prune  # which uses no Lebedev grid with negative weights, as others do
    grids.build()
    matrices = np.asarray(mf.make_rdm1())
    whole = matrices.sum(axis=0) if matrices.ndim == 3 else matrices
    n = dft.numint.eval_rho(mf.mol, dft.numint.eval_ao(mf.mol, grids.coords), whole)
    electrons = grids.weights * n
    charges = mf.mol.atom_charges()
    centre = charges @ mf.mol.atom_coords() / charges.sum()
    return grids.coords - centre, electrons * (mf.mol.nelectron / electrons.sum())


def voxels(coords: Floats, electrons: Floats, *, n_voxels: int = 32, width: float = 40.0, g: float = 1.0) -> Floats:
    """Put electrons into voxels.

    Parameters
    ----------
    coords : float64 array, shape (n_points, 3)
        Bohr; the cube is about the origin.
    electrons : float64 array, shape (n_points,)
        Of each point.
    n_voxels : int, default 32
        Along each edge; 2 or more.
    width : float, default 40
        Edge of the cube, bohr.
    g : float, default 1
        Scale: the density is g^3 n(g r), so that points move to ``coords / g``.

    Returns
    -------
    float64 array, shape (n_voxels, n_voxels, n_voxels)
        Electrons in each voxel, which add up to ``electrons.sum()`` for every g; over the volume of a voxel, densities.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, electrons are negative, or a setting is out of range.

    Examples
    --------
    >>> cube = voxels(np.array([[0.1, 0.2, 0.3], [9.0, 0.0, 0.0]]), np.array([1.5, 0.5]), n_voxels=4, width=8, g=0.5)
    >>> cube.shape, float(cube.sum())
    ((4, 4, 4), 2.0)
    """
    points, share = np.asarray(coords, dtype=np.float64), np.asarray(electrons, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or share.shape != points.shape[:1]:
        msg = f"wanted coords of shape (n_points, 3) and as many electrons, got {points.shape} and {share.shape}"
        raise ValueError(msg)
    if not (np.isfinite(points).all() and np.isfinite(share).all() and (share >= 0).all()):
        msg = "coords must be finite and electrons finite and 0 or more; leave other points out"
        raise ValueError(msg)
    if n_voxels < 2 or not (np.isfinite([width, g]).all() and width > 0 and g > 0):
        msg = f"wanted n_voxels of 2 or more and positive width and g, got {n_voxels!r}, {width!r} and {g!r}"
        raise ValueError(msg)
    place = np.clip(points / g / (width / n_voxels) + (n_voxels - 1) / 2, 0, n_voxels - 1)
    lower = np.minimum(place.astype(np.int64), n_voxels - 2)
    beyond = place - lower
    cube = np.zeros(n_voxels**3)
    for corner in product((0, 1), repeat=3):
        shares = np.prod(np.where(corner, beyond, 1 - beyond), axis=1)
        idx = np.ravel_multi_index(tuple((lower + corner).T), (n_voxels,) * 3)
        cube += np.bincount(idx, share * shares, len(cube))
    return cube.reshape((n_voxels,) * 3)
