"""What a share of exact exchange adds to an energy, where it is known in closed form.

Atomic units: n in e/bohr^3, omega in 1/bohr, energies in hartree.

Exact exchange of the uniform gas is Dirac's; by ``erfc(omega r) / r`` alone it is less, by a factor of omega over the
Fermi wave vector of a spin [1]_. That of the hydrogen atom takes away what its electron repels itself by.

References
----------
.. [1] A. Savin, in Recent Developments and Applications of Modern Density Functional Theory, Elsevier (1996), p. 327.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from matembed.densities.functionals import LDA_EXCHANGE, ExactShare

__all__ = ["SECOND_ORDER", "hydrogen_exchange", "uniform_gas_exchange"]

Floats = NDArray[np.float64]

SECOND_ORDER = 10 / 81
"""Coefficient of s^2 in exact exchange of a slowly varying density, without range."""


def uniform_gas_exchange(share: ExactShare, n: ArrayLike) -> Floats:
    """Exact exchange of uniform gases.

    Parameters
    ----------
    share : ExactShare
        How much of it.
    n : array-like, shape (2, n_points)
        Spin densities, e/bohr^3; 0 or more.

    Returns
    -------
    float64 array, shape (n_points,)
        Hartree/bohr^3.

    Examples
    --------
    >>> f"{uniform_gas_exchange(ExactShare(1, 1), [[0.5], [0.5]])[0]:.6f}"
    '-0.738559'
    """
    doubled = 2 * np.asarray(n, dtype=np.float64)
    per_spin = 0.5 * LDA_EXCHANGE * doubled ** (4 / 3)
    if not share.ranged:
        return np.asarray(share.short * per_spin.sum(axis=0))
    k_fermi = np.maximum((3 * np.pi**2 * doubled) ** (1 / 3), 1e-30)
    short = _short_range(share.omega / (2 * k_fermi))
    return np.asarray(((share.long + (share.short - share.long) * short) * per_spin).sum(axis=0))


def hydrogen_exchange(share: ExactShare, *, n_points: int = 4000) -> float:
    """Exact exchange of the hydrogen atom.

    Parameters
    ----------
    share : ExactShare
        How much of it.
    n_points : int
        Wave vectors that are summed over; for ranges alone.

    Returns
    -------
    float
        Hartree; -5/16 for all of it.

    Examples
    --------
    >>> hydrogen_exchange(ExactShare(1, 1))
    -0.3125
    """
    if not share.ranged:
        return -5 / 16 * share.short
    # the density is 1 / (1 + k^2 / 4)^2 in reciprocal space, and erf(omega r) / r is 4 pi / k^2 exp(-k^2 / 4 omega^2)
    wave, step = np.linspace(0, 60, n_points, retstep=True)
    values = (1 + wave**2 / 4) ** -4 * np.exp(-(wave**2) / (4 * share.omega**2))
    long = step * (values.sum() - values[0] / 2) / np.pi
    return float(-5 / 16 * share.short - (share.long - share.short) * long)


def _short_range(a: Floats) -> Floats:
    """Tell which part of exchange of the uniform gas is at short range; a is omega over twice k_F."""
    few = np.minimum(a, 2.0)
    inverse = np.exp(-1 / (4 * few**2))
    exact = 1 - 8 / 3 * few * (
        np.sqrt(np.pi) * erf(1 / (2 * few)) + (2 * few - 4 * few**3) * inverse - 3 * few + 4 * few**3
    )
    series = 1 / (36 * a**2) - 1 / (960 * a**4) + 1 / (26880 * a**6) - 1 / (829440 * a**8)  # where numbers cancel
    return np.where(a < 2, exact, series)
