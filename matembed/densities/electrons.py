"""Real densities to integrate a functional over; by default those of atoms.

Atomic units: r in bohr, n in e/bohr^3, sigma in e^2/bohr^8, tau in hartree/bohr^3, energies in hartree.

Atoms whose shells are closed or half filled are spherical: points along one ray, each with the volume of its shell,
hold all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed._optional import import_extra
from matembed.densities.functionals import LDA_EXCHANGE, Functional, SpinPoints

__all__ = ["HYDROGEN_REPULSION", "Density", "Electrons", "default_densities", "hydrogen", "slater_exchange"]

Floats = NDArray[np.float64]
Density: TypeAlias = tuple[ArrayLike, SpinPoints] | tuple[ArrayLike, SpinPoints, float]
"""Weights of points, bohr^3, shape (n_points,), what the density is there, and if known its exact exchange, hartree."""

HYDROGEN_REPULSION = 5 / 16
"""Hartree's energy of the electron of hydrogen with itself, hartree; its exact exchange energy is as much below 0."""

_UNPAIRED = {"He": 0, "Be": 0, "N": 3, "Ne": 0, "Ar": 0}
_BASIS = "def2-tzvp"
_LEAST_DENSITY = 1e-12  # e/bohr^3; the electrons left out are fewer than 1e-9


@dataclass(frozen=True, eq=False)
class Electrons:
    """Real densities, one after another.

    Attributes
    ----------
    names : tuple of str, length n_densities
        Such as symbols of atoms.
    weights : float64 array, shape (n_points,)
        Volumes, bohr^3; 0 or more.
    points : SpinPoints
        n_points of them.
    starts : int64 array, shape (n_densities,)
        Where each density begins.
    exact_exchange : float64 array, shape (n_densities,), or None
        Hartree; None unless all are known.
    """

    names: tuple[str, ...]
    weights: Floats
    points: SpinPoints
    starts: NDArray[np.int64]
    exact_exchange: Floats | None = None

    @classmethod
    def of(cls, densities: Mapping[str, Density]) -> Self:
        """Join densities.

        Parameters
        ----------
        densities : mapping of str to (weights, SpinPoints) or (weights, SpinPoints, exact exchange)
            By name; weights are volumes, bohr^3, exact exchange is in hartree.

        Returns
        -------
        Electrons
            All, in their order.

        Raises
        ------
        TypeError
            If they are no mapping, or a density is no such pair.
        ValueError
            If there is none, a weight is negative or not finite, there are not as many as points, no electron, or exact
            exchange that is not below 0.
        """
        if not isinstance(densities, Mapping):
            msg = f"densities must map names to (weights, SpinPoints), got {type(densities).__name__}"
            raise TypeError(msg)
        if not densities:
            msg = "densities must hold at least one density; leave them out for those of atoms"
            raise ValueError(msg)
        several = [_checked(name, density) for name, density in densities.items()]
        weights, points, exact = zip(*several, strict=True)
        joined = (np.concatenate([getattr(one, what) for one in points], axis=1) for what in ("n", "sigma", "tau"))
        starts = np.cumsum([0, *(len(one) for one in points[:-1])])
        known = None if None in exact else np.array(exact, dtype=np.float64)
        return cls(tuple(densities), np.concatenate(weights), SpinPoints(*joined), starts, known)

    def energies(self, functional: Functional, g: float = 1.0) -> Floats:
        """Integrate a functional.

        Parameters
        ----------
        functional : Functional
            Any.
        g : float
            Coordinates of the densities are scaled by it first.

        Returns
        -------
        float64 array, shape (n_densities,)
            Hartree.
        """
        return self._sum(functional.derivatives(self.points.scaled(g)).energy / g**3)

    def slater(self) -> Floats:
        """Integrate the exchange energy of the unpolarised gas of the same density, ``-0.7386 n^(4/3)``.

        Returns
        -------
        float64 array, shape (n_densities,)
            Hartree.
        """
        return self._sum(slater_exchange(self.points))

    def _sum(self, per_volume: Floats) -> Floats:
        return np.add.reduceat(self.weights * per_volume, self.starts)


def slater_exchange(points: SpinPoints) -> Floats:
    """Exchange energy of the unpolarised uniform gas of the same density, ``-0.7386 n^(4/3)``.

    Parameters
    ----------
    points : SpinPoints
        n_points of them.

    Returns
    -------
    float64 array, shape (n_points,)
        Hartree/bohr^3.
    """
    return np.asarray(LDA_EXCHANGE * points.n.sum(axis=0) ** (4 / 3))


def hydrogen(*, n_points: int = 160) -> tuple[Floats, SpinPoints]:
    """Make the density of the hydrogen atom, ``exp(-2 r) / pi``, all of one spin.

    Parameters
    ----------
    n_points : int
        Distances from the nucleus, at least 20.

    Returns
    -------
    weights : float64 array, shape (n_points,)
        Volumes of shells, bohr^3.
    points : SpinPoints
        The density there.

    Raises
    ------
    ValueError
        If `n_points` is too small.

    Examples
    --------
    >>> weights, points = hydrogen()
    >>> f"{weights @ points.n.sum(axis=0):.8f}"
    '1.00000000'
    """
    if n_points < 20:
        msg = f"n_points must be at least 20, got {n_points}"
        raise ValueError(msg)
    radii, weights = _radial(n_points, 14.0)
    n = np.exp(-2 * radii) / np.pi
    none = np.zeros_like(n)
    sigma = 4 * n**2
    return weights, SpinPoints(np.array([n, none]), np.array([sigma, none, none]), np.array([sigma / (8 * n), none]))


@lru_cache(maxsize=1)
def default_densities() -> Mapping[str, Density]:
    """Compute densities of hydrogen, and of He, Be, N, Ne and Ar by PySCF (Hartree-Fock, def2-TZVP).

    Returns
    -------
    mapping of str to (weights, SpinPoints, exact exchange)
        By symbol; computed once, then kept.

    Examples
    --------
    >>> weights, points, exact_exchange = default_densities()["Ne"]
    >>> f"{weights @ points.n.sum(axis=0):.6f}, {exact_exchange:.3f}"
    '10.000000, -12.110'
    """
    atoms = {symbol: _hartree_fock(symbol, unpaired) for symbol, unpaired in _UNPAIRED.items()}
    return MappingProxyType({"H": (*hydrogen(), -HYDROGEN_REPULSION), **atoms})


def _hartree_fock(symbol: str, unpaired: int, n_points: int = 160) -> Density:
    gto, scf, numint = (import_extra(f"pyscf.{name}", extra="density") for name in ("gto", "scf", "dft.numint"))
    atom = gto.M(atom=symbol, spin=unpaired, basis=_BASIS, verbose=0)
    field: Any = scf.UHF(atom).run()
    radii, weights = _radial(n_points, 30.0)
    orbitals = numint.eval_ao(atom, np.outer(radii, [0.0, 0.0, 1.0]), deriv=1)
    matrices = field.make_rdm1()
    exact_exchange = float(-0.5 * np.einsum("sij,sji->", field.get_k(), matrices))
    up, down = (numint.eval_rho(atom, orbitals, one, xctype="MGGA", with_lapl=False) for one in matrices)
    kept = up[0] + down[0] > _LEAST_DENSITY
    up, down = up[:, kept], down[:, kept]
    sigma = [(one[1:4] * other[1:4]).sum(axis=0) for one, other in ((up, up), (up, down), (down, down))]
    # rounding must not bring tau below von Weizsaecker's of either spin, which one orbital has
    tau = [np.maximum(one[4], square / (8 * one[0])) for one, square in ((up, sigma[0]), (down, sigma[2]))]
    return weights[kept], SpinPoints(np.array([up[0], down[0]]), np.array(sigma), np.array(tau)), exact_exchange


def _radial(n_points: int, longest: float) -> tuple[Floats, Floats]:
    """Make distances even in ln r, and volumes of their shells: exact beyond all powers where both ends vanish."""
    logs, step = np.linspace(np.log(1e-5), np.log(longest), n_points, retstep=True)
    radii = np.exp(logs)
    return radii, 4 * np.pi * radii**3 * step


def _checked(name: str, density: Density) -> tuple[Floats, SpinPoints, float | None]:
    if not (isinstance(density, tuple) and len(density) in (2, 3) and isinstance(density[1], SpinPoints)):
        msg = f"the density {name!r} must be (weights, SpinPoints) or with exact exchange, got {type(density).__name__}"
        raise TypeError(msg)
    weights, points = np.asarray(density[0], dtype=np.float64), density[1]
    exact = float(density[2]) if len(density) == 3 else None
    if exact is not None and not -np.inf < exact < 0:
        msg = f"exact exchange must be below 0 hartree, that of the density {name!r} is {exact:g}"
        raise ValueError(msg)
    if weights.shape != (len(points),):
        msg = f"the density {name!r} has {len(points)} points and weights of shape {weights.shape}"
        raise ValueError(msg)
    wrong = np.count_nonzero(~(np.isfinite(weights) & (weights >= 0)))
    if wrong:
        msg = f"weights must be finite and 0 or more; the density {name!r} has {wrong:,} others"
        raise ValueError(msg)
    if not weights @ points.n.sum(axis=0) > 0:
        msg = f"the density {name!r} holds no electron"
        raise ValueError(msg)
    return weights, points, exact
