"""The averaged density: what it is, and how energies that depend on it change with the density matrix.

Atomic units. The averaged density about a point r is

    <n>(r) = integral of n(r') (a / pi)^(3/2) exp(-a |r - r'|^2),   a = B (k_F^2 + k_tau^2) / 2,

with the Fermi wave vector k_F = (3 pi^2 n)^(1/3), and k_tau^2 = 10/3 tau/n, which is k_F^2 for the uniform gas: the
Gaussian is as wide as electrons there are long. Averaged densities are the oldest nonlocal ingredient of functionals
[1]_; with a width that scales as the density does [2]_ the ratio <n>/n does not change under uniform scaling. Exchange
sees twice each spin density, so that either spin has its own width.

In a basis it is ``<n>(r) = sum_ij D_ij G_ij(r, a)``, of three-center overlap integrals G that are exact. An energy
``E = sum_g w_g e(n, grad n, tau, <n>)`` on points r_g changes with the density matrix D through the local ingredients,
through G, and through the width that n and tau at the point give:

    dE/dD_ij = local potential of (v_n + v_a da/dn, v_grad, v_tau + v_a da/dtau) + sum_g w_g v_<n> G_ij(r_g, a_g),
    v_a = v_<n> d<n>/da,    d<n>/da = sum_ij D_ij (3 G_ij / (2 a) - R_ij),

where v_x is the derivative of e by x, and R_ij is G_ij with |r - r'|^2 under the integral. So both kinds of integrals
are made once, a block of points at a time, and energy and potential are those of one quadrature.

References
----------
.. [1] O. Gunnarsson, M. Jonson, B. I. Lundqvist, Phys. Rev. B 20, 3136 (1979).
.. [2] K. Bystrom, B. Kozinsky, J. Chem. Theory Comput. 18, 2180 (2022).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed._optional import import_extra
from matembed.densities.functionals import (
    Derivatives,
    Family,
    Kind,
    SpinPoints,
    differentiate,
)

__all__ = ["AVERAGING", "AveragedFunctional", "averaged_density", "averaging_exponents", "energy_and_potential"]

Floats = NDArray[np.float64]

AVERAGING = 1.0  # B
_LEAST_DENSITY = 1e-10  # e/bohr^3 of a spin; thinner points have a nanohartree of exchange together, and <n> = n
_MOST_INTEGRALS = 5_000_000  # three-center integrals of a kind held at once, 40 MB


@dataclass(frozen=True)
class AveragedFunctional:
    """A torch function that sees the averaged density too; `attach` takes it, and nothing that has points alone.

    Attributes
    ----------
    function : callable
        ``f(n, sigma, tau, averaged) -> energy per volume``, on float64 tensors as in `matembed.densities.functionals`;
        `averaged`, shape (2, n_points), has the averaged density of either spin, e/bohr^3.
    kind : {"exchange", "correlation", "exchange-correlation"}
        What it tells of.
    name : str
        For tables and figures.
    """

    function: Callable[[Any, Any, Any, Any], Any]
    kind: Kind = "exchange"
    name: str = "functional of the averaged density"
    family: ClassVar[Family] = "MGGA"

    def derivatives(self, points: SpinPoints) -> Derivatives:
        """Refuse: points do not know the density about them.

        Parameters
        ----------
        points : SpinPoints
            Where.

        Raises
        ------
        ValueError
            Always.
        """
        msg = (
            f"{self.name} sees the averaged density, which is no function of n, sigma and tau at {len(points)} points; "
            "attach it to a calculation, or fit one with averaged=False"
        )
        raise ValueError(msg)


def averaging_exponents(n: Any, tau: Any) -> Any:
    """Tell how narrow the Gaussian is that averages a density without spin.

    Parameters
    ----------
    n : array or tensor
        Densities, e/bohr^3; above 0.
    tau : array or tensor
        Kinetic energy densities, hartree/bohr^3.

    Returns
    -------
    array or tensor
        Exponents a, 1/bohr^2.
    """
    return 0.5 * AVERAGING * ((3 * np.pi**2 * n) ** (2 / 3) + 10 / 3 * tau / n)


def averaged_density(mol: Any, density_matrix: Floats, coords: Floats, exponents: Floats) -> Floats:
    """Average a density with a normalised Gaussian about each point, analytically.

    Parameters
    ----------
    mol : pyscf.gto.Mole
        With the basis of the density matrix.
    density_matrix : float64 array, shape (n_basis, n_basis)
        Symmetric.
    coords : float64 array, shape (n_points, 3)
        Points, bohr.
    exponents : float64 array, shape (n_points,)
        Of the Gaussian at each, 1/bohr^2; above 0.

    Returns
    -------
    float64 array, shape (n_points,)
        e/bohr^3.
    """
    packed, step = _packed(density_matrix), _block(mol)
    blocks = [slice(start, start + step) for start in range(0, len(exponents), step)]
    found = [packed @ _overlaps(mol, coords[some], exponents[some]) for some in blocks]
    return np.concatenate([np.zeros(0), *found])


def energy_and_potential(
    functional: AveragedFunctional, mol: Any, grids: Any, matrices: Floats
) -> tuple[float, Floats]:
    """Integrate a functional of the averaged density, and its exact derivative by the density matrices.

    Parameters
    ----------
    functional : AveragedFunctional
        What is integrated.
    mol : pyscf.gto.Mole
        With the basis of the matrices.
    grids : pyscf.dft.gen_grid.Grids
        Built.
    matrices : float64 array, shape (n_spins, n_basis, n_basis)
        Density matrices of spin up and down; or one, where both are the same. Symmetric.

    Returns
    -------
    energy : float
        Hartree.
    potential : float64 array, shape (n_spins, n_basis, n_basis)
        Derivative by the matrix of each spin; where both are the same, by that of either.
    """
    lib, numint = (import_extra(f"pyscf.{name}", extra="density") for name in ("lib", "dft.numint"))
    energy, potential, step = 0.0, np.zeros_like(matrices), _block(mol)
    for start in range(0, len(grids.weights), step):
        coords, weights = (given[start : start + step] for given in (grids.coords, grids.weights))
        orbitals = numint.eval_ao(mol, coords, deriv=1)
        rho = np.array([numint.eval_rho(mol, orbitals, one, None, "MGGA", 1, False) for one in matrices])
        averages = [_average(mol, matrix, coords, *one[[0, 4]]) for matrix, one in zip(matrices, rho, strict=True)]
        per_volume, slopes, of_averaged = _derivatives(functional, rho, averages)
        energy += float(weights @ per_volume)
        for spin, average in enumerate(averages):
            given = weights * slopes[spin]
            half = np.einsum("xgi,xg->gi", orbitals, given[:4] * np.array([[0.5], [1], [1], [1]]))
            of_spin = orbitals[0].T @ half
            of_spin += sum(0.25 * one.T @ (given[4][:, None] * one) for one in orbitals[1:4])
            potential[spin] += of_spin + of_spin.T
            shares = weights[average.there] * of_averaged[spin, average.there]
            potential[spin] += lib.unpack_tril(average.overlaps @ shares)
    return energy, potential


class _Average(NamedTuple):
    """The averaged density of one spin at some points, and what it changes by."""

    there: NDArray[np.bool_]  # (n_points,)
    overlaps: Floats  # (n_pairs, n_there): G
    exponents: Floats  # (n_points,); 1 where there is nothing
    values: Floats  # (n_points,)
    slopes: Floats  # (n_points,): by the exponent


def _average(mol: Any, matrix: Floats, coords: Floats, n: Floats, tau: Floats) -> _Average:
    there = n > _LEAST_DENSITY
    exponents, values, slopes = np.ones_like(n), np.zeros_like(n), np.zeros_like(n)
    exponents[there] = averaging_exponents(2 * n[there], 2 * tau[there])
    packed = _packed(matrix)
    overlaps = _overlaps(mol, coords[there], exponents[there])
    values[there] = packed @ overlaps
    slopes[there] = 1.5 * values[there] / exponents[there]
    slopes[there] -= packed @ _overlaps(mol, coords[there], exponents[there], "int3c1e_r2_origk")
    return _Average(there, overlaps, exponents, values, slopes)


def _derivatives(
    functional: AveragedFunctional, rho: Floats, averages: list[_Average]
) -> tuple[Floats, Floats, Floats]:
    """Energies per volume (n_points,), what they change by with n, its gradient and tau, and with the averages."""
    torch = import_extra("torch", extra="density")
    both = np.array([rho[0], rho[-1]])
    points = SpinPoints.of_gradients(both[:, 0], both[:, 1:4], both[:, 4])
    there, exponents, values, slopes = (
        torch.from_numpy(np.array([getattr(averages[row], name) for row in (0, -1)]))
        for name in ("there", "exponents", "values", "slopes")
    )

    def energies(n: Any, sigma: Any, tau: Any, moved: Any) -> Any:
        widths = averaging_exponents(2 * torch.where(there, n, 1.0), 2 * tau)
        averaged = values + moved + slopes * (widths - exponents)  # to first order, which is all that is asked for
        return functional.function(n, sigma, tau, torch.where(there, averaged, n))

    given = points.n, points.sigma, points.tau, np.zeros(points.n.shape)
    per_volume, (*local, of_averaged) = differentiate(energies, given, functional.name)
    return per_volume, Derivatives(per_volume, *local).by_rows(both[:, 1:4]), of_averaged


# Integrals -----------------------------------------------------------------------------------------------------------


def _block(mol: Any) -> int:
    return max(100, _MOST_INTEGRALS // (mol.nao * (mol.nao + 1) // 2))


def _packed(matrix: Floats) -> Floats:
    """Pack the lower half, so that its product with that of a symmetric matrix is the trace of both."""
    doubled = matrix + matrix.T - np.diag(matrix.diagonal())
    return np.asarray(doubled[np.tril_indices(len(matrix))])


def _overlaps(mol: Any, coords: Floats, exponents: Floats, kind: str = "int3c1e") -> Floats:
    """Integrate pairs of basis functions with a normalised Gaussian at each point, shape (n_pairs, n_points)."""
    gto, df = (import_extra(f"pyscf.{name}", extra="density") for name in ("gto", "df"))
    gaussians = gto.fakemol_for_charges(coords, exponents)
    gaussians.cart = mol.cart
    found: Floats = df.incore.aux_e2(mol, gaussians, intor=kind, aosym="s2ij", comp=1)
    return found
