"""Molecules: a calculation of PySCF -> `DensityRecord`. Atomic units."""

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matembed._optional import import_extra
from matembed.densities.averaging import averaged_density, averaging_exponents
from matembed.densities.records import DensityRecord

__all__ = ["record_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_LEAST_DENSITY = 1e-7  # e/bohr^3; thinner points have less than a microhartree of exchange together
_MOST_LOST = 5e-3  # share of the electrons that a grid may lose
_LARGEST_ALPHA = 1e4  # in tails, where nothing depends on it any more
REFERENCES = ("LDA", "PBE", "B88", "TPSS", "SCAN", "r2SCAN")


def record_of(mf: Any, *, name: str = "", n_points: int = 500, grid_level: int = 2) -> DensityRecord:
    """Make the record of a converged calculation.

    Parameters
    ----------
    mf : pyscf.scf.hf.SCF
        Restricted or unrestricted, Hartree-Fock or Kohn-Sham; its orbitals are taken as they are.
    name : str, optional
        By default the symbols of the atoms.
    n_points : int, default 500
        How many points are kept; twice as many where spins differ.
    grid_level : int, default 2
        Of PySCF's integration grid, 0 to 9.

    Returns
    -------
    DensityRecord
        With the exact exchange of these orbitals, their kinetic and Coulomb energies, and what functionals of libxc
        give for their density on the whole grid (``"PBE exchange"`` and the like; that of SCAN, alone of these, changes
        with the grid, by 4 millihartree for neon and 12 for argon).

    Raises
    ------
    ValueError
        If `mf` is not converged, a setting is out of range, or the grid loses one of 200 electrons or more.
    TypeError
        If `mf` is no restricted or unrestricted calculation of PySCF.

    Examples
    --------
    >>> from pyscf import gto, scf
    >>> helium = scf.RHF(gto.M(atom="He", basis="cc-pvdz", verbose=0)).run()
    >>> record = record_of(helium, name="helium")
    >>> record.spin, round(record.n_electrons, 9), round(record.energies["exact_exchange"], 3)
    (0, 2.0, -1.027)
    """
    scf = import_extra("pyscf.scf", extra="density")
    if not isinstance(mf, scf.hf.RHF | scf.rohf.ROHF | scf.uhf.UHF):
        msg = f"wanted a restricted or unrestricted calculation, such as scf.RHF(mol).run(), got {type(mf).__name__}"
        raise TypeError(msg)
    if not mf.converged:
        msg = f"the calculation of {name or mf.mol.atom!r} is not converged; run mf.kernel(), or mf.newton().kernel()"
        raise ValueError(msg)
    if n_points < 1 or grid_level not in range(10):
        msg = f"wanted n_points of 1 or more and grid_level of 0 to 9, got {n_points!r} and {grid_level!r}"
        raise ValueError(msg)
    dft = import_extra("pyscf.dft", extra="density")
    mol, density_matrices = mf.mol, _by_spin(mf.make_rdm1())
    grids = dft.gen_grid.Grids(mol)
    grids.level = grid_level
    grids.prune = dft.gen_grid.treutler_prune  # which uses no Lebedev grid with negative weights, as others do
    grids.build()
    orbitals = dft.numint.eval_ao(mol, grids.coords, deriv=1)
    whole = dft.numint.eval_rho(mol, orbitals, density_matrices.sum(axis=0), xctype="GGA")
    kept = (whole[0] > _LEAST_DENSITY) & (grids.weights > 0)
    coords, weights, whole = grids.coords[kept], grids.weights[kept], whole[:, kept]
    same = mol.spin == 0 and np.allclose(density_matrices[0], density_matrices[1], atol=1e-8)
    channels = [
        _channel(mol, dft.numint.eval_rho(mol, orbitals[:, kept], 2 * matrix, xctype="MGGA"), 2 * matrix, coords)
        for matrix in (density_matrices[:1] if same else density_matrices)
    ]
    n, s, alpha, averaged = (np.array(rows) for rows in zip(*channels, strict=True))
    s_total = _reduced_gradient(whole[0], (whole[1:4] ** 2).sum(axis=0))
    cells = _cells(weights, n, s, alpha, averaged, n_points * len(n))
    found = scf.hf.get_jk(mol, density_matrices)  # whatever mf does, such as density fitting
    coulomb, exchange = found[0].sum(axis=0), -0.5 * np.einsum("sij,sji->", found[1], density_matrices)
    one_electron = mol.intor_symmetric("int1e_kin")
    energies = {
        "exact_exchange": float(exchange),
        "kinetic": float(np.einsum("sij,ji->", density_matrices, one_electron)),
        "coulomb": float(0.5 * np.einsum("ij,ji->", coulomb, density_matrices.sum(axis=0))),
    }
    counted = dft.numint.NumInt()
    for reference in REFERENCES:
        told = counted.nr_uks(mol, grids, f"{reference},", density_matrices)[1]
        energies[f"{reference} exchange"] = float(told)
    return _gathered(cells, weights, (n, s, alpha, averaged), s_total, mol, name or "".join(mol.elements), energies)


def _by_spin(matrices: Any) -> Floats:
    array = np.asarray(matrices)
    return np.array([array / 2, array / 2]) if array.ndim == 2 else array


def _reduced_gradient(n: Floats, sigma: Floats) -> Floats:
    return np.asarray(np.sqrt(sigma) / (2 * (3 * np.pi**2 * n) ** (1 / 3) * n))


def _channel(mol: Any, rho: Floats, matrix: Floats, coords: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Tell n of one spin, and s, alpha and <n>/n of twice that; where there is none, those of the uniform gas."""
    n, sigma, tau = rho[0], (rho[1:4] ** 2).sum(axis=0), rho[-1]
    there = n > _LEAST_DENSITY / 100
    k2 = (3 * np.pi**2 * n[there]) ** (2 / 3)
    s, alpha, averaged = np.zeros_like(n), np.ones_like(n), np.ones_like(n)
    s[there] = _reduced_gradient(n[there], sigma[there])
    indicator = (tau[there] - sigma[there] / (8 * n[there])) / (0.3 * k2 * n[there])
    alpha[there] = np.clip(indicator, 0, _LARGEST_ALPHA)
    exponents = averaging_exponents(n[there], tau[there])
    averaged[there] = averaged_density(mol, matrix, coords[there], exponents) / n[there]
    return np.where(there, n / 2, 0), s, alpha, averaged


# Points -> cells -----------------------------------------------------------------------------------------------------


def _cells(weights: Floats, n: Floats, s: Floats, alpha: Floats, averaged: Floats, n_cells: int) -> Integers:
    """Cut points into cells, each time that which varies most, at the mean of what varies most in it.

    Points weigh by their exchange in the local density approximation, as what varies matters by that.
    """
    energies = (weights * n ** (4 / 3)).sum(axis=0)
    logs = 0.15 * np.log(np.maximum(n, _LEAST_DENSITY / 100))
    bounded = [2 * 0.3 * s**2 / (1 + 0.3 * s**2), (1 - alpha) / (1 + alpha), (averaged - 1) / (averaged + 1)]
    varied = np.vstack([logs, *bounded]).T

    def spread(rows: Integers) -> tuple[float, int, float]:
        share = energies[rows] / energies[rows].sum()
        mean = share @ varied[rows]
        variance = energies[rows] @ (varied[rows] - mean) ** 2
        most = int(variance.argmax())
        return -float(variance[most]), most, float(mean[most])

    everything = np.arange(len(weights))
    first, column, at = spread(everything)
    waiting: list[tuple[float, int, Integers, int, float]] = [(first, 0, everything, column, at)]
    done: list[Integers] = []
    count = 1
    while waiting and len(waiting) + len(done) < n_cells:
        _, _, rows, column, at = heapq.heappop(waiting)
        lower = varied[rows, column] <= at
        if lower.all() or not lower.any():
            done.append(rows)
            continue
        for part in (rows[lower], rows[~lower]):
            heapq.heappush(waiting, (*spread(part)[:1], count, part, *spread(part)[1:]))
            count += 1
    labels = np.empty(len(weights), dtype=np.int64)
    for label, rows in enumerate([*done, *(one[2] for one in waiting)]):
        labels[rows] = label
    return labels


def _gathered(
    cells: Integers,
    weights: Floats,
    columns: tuple[Floats, ...],
    s_total: Floats,
    mol: Any,
    name: str,
    energies: dict[str, float],
) -> DensityRecord:
    """Let one point stand for each cell, with its electrons and its exchange in the local density approximation."""
    n, s, alpha, averaged = columns
    lda = weights * n ** (4 / 3)

    def total(values: Floats) -> Floats:
        return np.array([np.bincount(cells, row) for row in values])

    electrons, exchange = total(weights * n), total(lda)
    counted = electrons.sum() * (2 / len(n))
    if abs(counted / mol.nelectron - 1) > _MOST_LOST:
        msg = f"the grid of {name} holds {counted:.4f} of {mol.nelectron} electrons; take a higher grid_level"
        raise ValueError(msg)
    electrons *= mol.nelectron / counted  # the grid loses or adds a part in a million
    volume = ((electrons ** (4 / 3)).sum(axis=0) / exchange.sum(axis=0)) ** 3

    def mean(values: Floats, neutral: float) -> Floats:
        """Average what a functional depends on smoothly: values x as x / (1 + x)."""
        bounded = np.divide(
            total(lda * values / (1 + values)), exchange, out=np.zeros_like(exchange), where=exchange > 0
        )
        return np.where(exchange > 0, bounded / (1 - bounded), neutral)

    of_both, bounded = lda.sum(axis=0), 0.3 * s_total**2 / (1 + 0.3 * s_total**2)
    whole = np.bincount(cells, of_both * bounded) / np.bincount(cells, of_both)
    return DensityRecord(
        name=name,
        spin=mol.spin,
        weights=volume,
        n=electrons / volume,
        s=np.sqrt(mean(0.3 * s**2, 0) / 0.3),
        alpha=mean(alpha, 1),
        averaged=mean(averaged, 1),
        s_total=np.sqrt(whole / (1 - whole) / 0.3),
        elements=tuple(mol.elements),
        energies=energies,
    )
