"""What the conditions measure: a number for a functional, and where it was found.

Atomic units: r_s in bohr, n in e/bohr^3, sigma in e^2/bohr^8, tau in hartree/bohr^3, energies in hartree.

F_x is the exchange energy per volume over that of the uniform gas of the same density, ``-0.7386 n^(4/3)``; eps_c the
correlation energy per electron; ``n_g(r) = g^3 n(g r)`` the density whose coordinates are scaled by g.

A functional may say by an attribute `exact`, an `ExactShare`, which exact exchange goes with what it evaluates. Exact
exchange obeys every condition of exchange. So it is added where it is known: of the uniform gas, of a slowly varying
density, of hydrogen, of densities that come with it. It changes nothing where a condition compares energies that it
scales alike; and where points are asked for a bound, it is taken to be as large as the bound lets it, or to be 0 where
a functional takes some of it away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed.densities.electrons import HYDROGEN_REPULSION, Electrons, hydrogen, slater_exchange
from matembed.densities.exact_exchange import SECOND_ORDER
from matembed.densities.exact_exchange import hydrogen_exchange as exact_of_hydrogen
from matembed.densities.exact_exchange import uniform_gas_exchange as exact_of_gas
from matembed.densities.functionals import PW92, PW92_CURVATURE, ExactShare, Functional, SpinPoints

Floats = NDArray[np.float64]
_FACTORS = (0.1, 0.2, 0.5, 2.0, 5.0, 10.0)  # g
_RADII = np.geomspace(0.01, 20, 12)  # r_s
_GRADIENTS = np.linspace(0, 8, 17)  # s
_ALPHAS = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5)


class Measurement(NamedTuple):
    """A number, and where it was found."""

    value: float
    where: str


class NotApplicableError(Exception):
    """A condition says nothing of a functional; the message says why."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Points at all combinations of r_s, zeta, s and alpha.

    Attributes
    ----------
    points : SpinPoints
        n_points of them.
    variables : mapping of str to float64 array, each of shape (n_points,)
        r_s (bohr), zeta, s and alpha of every point.
    """

    points: SpinPoints
    variables: Mapping[str, Floats]

    @classmethod
    def of(cls, r_s: ArrayLike, zeta: ArrayLike, s: ArrayLike, alpha: ArrayLike) -> Self:
        """Make all combinations; zeta has no gradient, and alpha is the same for either spin.

        Parameters
        ----------
        r_s : array-like
            Radii of a sphere that holds one electron, bohr; above 0.
        zeta : array-like
            Spin polarisations ``(n_up - n_down) / n``, from -1 to 1.
        s : array-like
            Reduced gradients ``|grad n| / (2 k_F n)``, where ``k_F = (3 pi^2 n)^(1/3)``.
        alpha : array-like
            ``(tau - tau_W) / tau_unif`` of either spin.

        Returns
        -------
        Grid
            As many points as the product of the lengths.

        Examples
        --------
        >>> len(Grid.of([1, 2], [0], [0, 1, 2], [0, 1]).points)
        12
        """
        given = [np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (r_s, zeta, s, alpha)]
        radius, spin, reduced, iso = (one.ravel() for one in np.meshgrid(*given, indexing="ij"))
        total = 3 / (4 * np.pi * radius**3)
        share = np.array([(1 + spin) / 2, (1 - spin) / 2])
        square = (2 * (3 * np.pi**2 * total) ** (1 / 3) * total * reduced) ** 2
        sigma = square * np.array([share[0] ** 2, share[0] * share[1], share[1] ** 2])
        tau = share * square / (8 * total) + iso * 0.3 * (6 * np.pi**2) ** (2 / 3) * (share * total) ** (5 / 3)
        return cls(SpinPoints(share * total, sigma, tau), {"r_s": radius, "zeta": spin, "s": reduced, "alpha": iso})

    def name(self, at: int) -> str:
        """Tell a point in words.

        Parameters
        ----------
        at : int
            Which.

        Returns
        -------
        str
            Its variables.
        """
        return ", ".join(f"{name} = {values[at]:.3g}" for name, values in self.variables.items())


def uniform_gas_correlation(r_s: ArrayLike, zeta: ArrayLike) -> Floats:
    """Correlation energy of the uniform gas, as Perdew and Wang fitted it to Monte Carlo energies [1]_.

    Parameters
    ----------
    r_s : array-like
        Radii of a sphere that holds one electron, bohr; above 0.
    zeta : array-like
        Spin polarisations, from -1 to 1.

    Returns
    -------
    float64 array
        Hartree per electron.

    References
    ----------
    .. [1] J. P. Perdew, Y. Wang, Phys. Rev. B 45, 13244 (1992), with the digits of its authors' later code.

    Examples
    --------
    >>> f"{uniform_gas_correlation(1.0, 0.0):.6f}"
    '-0.059774'
    """
    radius, spin = np.broadcast_arrays(np.asarray(r_s, dtype=np.float64), np.asarray(zeta, dtype=np.float64))
    root = np.sqrt(radius)

    def fit(a: float, a1: float, b1: float, b2: float, b3: float, b4: float) -> Floats:
        series = 2 * a * (b1 * root + b2 * radius + b3 * radius * root + b4 * radius**2)
        return np.asarray(-2 * a * (1 + a1 * radius) * np.log1p(1 / series))

    none, full, minus_stiffness = (fit(*constants) for constants in PW92)
    f = ((1 + spin) ** (4 / 3) + (1 - spin) ** (4 / 3) - 2) / (2 ** (4 / 3) - 2)
    return np.asarray(none - minus_stiffness * f / PW92_CURVATURE * (1 - spin**4) + (full - none) * f * spin**4)


# Exchange


def scaling(exchange: Functional) -> Measurement:
    """Largest change of F_x when coordinates are scaled, g from 0.1 to 10."""
    told = _said(exchange, "exact exchange scales")
    grid = _grid((0, 0.5))
    slater = slater_exchange(grid.points)
    kept = exchange.derivatives(grid.points).energy / slater
    changes = [exchange.derivatives(grid.points.scaled(g)).energy / (slater * g**4) - kept for g in _FACTORS]
    return _largest(np.abs(changes).max(axis=0), grid.name, told)


def scaling_derivatives(exchange: Functional) -> Measurement:
    """Largest ``|3 n e_n + 8 sigma e_sigma + 5 tau e_tau - 4 e|``, over exchange of the uniform gas."""
    told = _said(exchange, "exact exchange scales")
    grid, spins = _grid((0, 0.5)), _random_spins()
    on_grid = _largest(np.abs(_scaling_slope(exchange, grid.points) / slater_exchange(grid.points)), grid.name, told)
    on_spins = _largest(np.abs(_scaling_slope(exchange, spins) / slater_exchange(spins)), _random_name, told)
    return on_grid if on_grid.value > on_spins.value else on_spins


def uniform_gas_exchange(exchange: Functional) -> Measurement:
    """Largest relative error for uniform gases, zeta 0, 0.5 and 1."""
    gas = Grid.of(_RADII, (0, 0.5, 1), 0, 1)
    zeta = gas.variables["zeta"]
    polarised = ((1 + zeta) ** (4 / 3) + (1 - zeta) ** (4 / 3)) / 2
    exact = slater_exchange(gas.points) * polarised
    energy = exchange.derivatives(gas.points).energy + exact_of_gas(_exact(exchange), gas.points.n)
    return _largest(np.abs(energy / exact - 1), gas.name, _said(exchange, "exact exchange added", ranged=True))


def enhancement(exchange: Functional, *, bound: float) -> Measurement:
    """Largest F_x of densities without spin; of exact exchange the bound is taken, or 0 where its share is negative."""
    share = _exact(exchange).short
    told = _said(exchange, f"exact exchange counts as {bound if share > 0 else 0:.4g}")
    grid = _grid((0,))
    factor = exchange.derivatives(grid.points).energy / slater_exchange(grid.points)
    return _largest(factor + max(share, 0) * bound, grid.name, told)


def least_enhancement(exchange: Functional) -> Measurement:
    """Smallest F_x."""
    share = _exact(exchange)
    if min(share.short, share.long) < 0:
        msg = "no bound at points of exact exchange that is taken away"
        raise NotApplicableError(msg)
    grid = _grid((0, 0.5, 0.9))
    told = _said(exchange, "without exact exchange, which is never above 0", ranged=True)
    return _least(exchange.derivatives(grid.points).energy / slater_exchange(grid.points), grid.name, told)


def real_enhancement(functional: Functional, electrons: Electrons) -> Measurement:
    """Largest energy of a density, over that of exchange of the uniform gas."""
    energies = electrons.energies(functional) + _exact_of(functional, electrons)
    return _largest(energies / electrons.slater(), electrons.names.__getitem__, _added(functional))


def spin_scaling(exchange: Functional) -> Measurement:
    """Largest ``|e[n_up, n_down] - (e[2 n_up] + e[2 n_down]) / 2|``, over exchange of the uniform gas."""
    spins = _random_spins()
    doubled = [
        SpinPoints(*(np.tile(rows[spin], (len(rows), 1)) for rows in (spins.n, spins.sigma, spins.tau)))
        for spin in (0, -1)
    ]
    up, down = (exchange.derivatives(points).energy for points in doubled)
    errors = exchange.derivatives(spins).energy - (up + down) / 2
    told = _said(exchange, "exact exchange obeys it", ranged=True)
    return _largest(np.abs(errors / slater_exchange(spins)), _random_name, told)


def gradient_expansion(exchange: Functional) -> Measurement:
    """Coefficient of s^2 in F_x of a slowly varying density.

    Its tau is that of the gradient expansion too, so that ``alpha = 1 - (40/27) s^2 + (20/9) q``, with the reduced
    Laplacian q; integrated by parts, ``n^(4/3) q`` is ``n^(4/3) s^2 / 3``. To second order the integral is therefore
    that along ``alpha = 1 - (20/27) s^2``, where the limit of ``(F_x - 1) / s^2`` is the coefficient.
    """
    told = _said(exchange, "exact exchange added")
    s = np.array([0, 0.01, 0.02])
    points = SpinPoints.unpolarised(np.full(3, 3 / (4 * np.pi)), s, 1 - 20 / 27 * s**2)
    ratio = exchange.derivatives(points).energy / slater_exchange(points)
    first, second = (ratio[1:] - ratio[0]) / s[1:] ** 2
    found = (4 * first - second) / 3  # terms of s^4 cancel; rounding is 1e-11
    return Measurement(float(found + SECOND_ORDER * _exact(exchange).short), f"r_s = 1{told}")


def hydrogen_exchange(exchange: Functional) -> Measurement:
    """Exchange and Hartree's energy of hydrogen, mHa."""
    return _in_hydrogen(exchange, HYDROGEN_REPULSION)


# Correlation


def correlation_sign(correlation: Functional) -> Measurement:
    """Largest eps_c, hartree."""
    grid = _grid((0, 0.5, 0.9))
    return _largest(correlation.derivatives(grid.points).energy / grid.points.n.sum(axis=0), grid.name)


def real_correlation_sign(correlation: Functional, electrons: Electrons) -> Measurement:
    """Largest correlation energy of a density, hartree."""
    return _largest(electrons.energies(correlation), electrons.names.__getitem__)


def scaling_inequality(correlation: Functional) -> Measurement:
    """Smallest ``-d(r_s eps_c) / d r_s`` at constant zeta, s and alpha, hartree."""
    told = _said(correlation, "exact exchange scales")
    grid = _grid((0, 0.5, 0.9))
    return _least(_scaling_slope(correlation, grid.points) / grid.points.n.sum(axis=0), grid.name, told)


def real_scaling_inequality(correlation: Functional, electrons: Electrons) -> Measurement:
    """Smallest ``E_c[n_g] / g - E_c[n]`` for g above 1, and of its negative below 1, hartree."""
    told = _said(correlation, "exact exchange scales")
    kept = electrons.energies(correlation)
    gains = [np.sign(g - 1) * (electrons.energies(correlation, g) / g - kept) for g in _FACTORS]
    return _least(np.min(gains, axis=0), electrons.names.__getitem__, told)


def high_density(correlation: Functional, electrons: Electrons) -> Measurement:
    """Largest ``E_c[n_10000] / E_c[n_1000]``; 1 for densities whose correlation is below a micro-hartree."""
    high, higher = (electrons.energies(correlation, g) for g in (1e3, 1e4))
    none = np.maximum(np.abs(high), np.abs(higher)) < 1e-6
    return _largest(np.where(none, 1.0, higher / high), electrons.names.__getitem__)


def uniform_gas_correlation_error(correlation: Functional) -> Measurement:
    """Largest relative difference from the uniform gas."""
    gas = Grid.of((0.1, 0.5, 1, 2, 5, 10, 20), (0, 0.5, 1), 0, 1)
    exact = uniform_gas_correlation(gas.variables["r_s"], gas.variables["zeta"]) * gas.points.n.sum(axis=0)
    return _largest(np.abs(correlation.derivatives(gas.points).energy / exact - 1), gas.name)


def hydrogen_correlation(correlation: Functional) -> Measurement:
    """Correlation energy of hydrogen, mHa."""
    return _in_hydrogen(correlation, 0.0)


# Both


def high_density_exchange(functional: Functional, electrons: Electrons) -> Measurement:
    """Largest relative change of ``E_xc[n_g] / g`` from g = 100,000 to 1,000,000."""
    exact = _exact_of(functional, electrons)  # of any g, over g
    first, second = (electrons.energies(functional, g) / g + exact for g in (1e5, 1e6))
    return _largest(np.abs(second / first - 1), electrons.names.__getitem__, _added(functional))


def one_electron(functional: Functional) -> Measurement:
    """Exchange, correlation and Hartree's energy of hydrogen, mHa."""
    return _in_hydrogen(functional, HYDROGEN_REPULSION)


# What they share


@lru_cache(maxsize=4)
def _grid(zeta: tuple[float, ...]) -> Grid:
    return Grid.of(_RADII, zeta, _GRADIENTS, _ALPHAS)


@lru_cache(maxsize=1)
def _random_spins(n_points: int = 2000) -> SpinPoints:
    """Make points whose spins have nothing to do with each other; one in ten has none down."""
    draw = np.random.default_rng(0)
    n = np.exp(draw.uniform(np.log(1e-4), np.log(1e3), (2, n_points)))
    n[1, ::10] = 0
    reduced, iso = draw.uniform(0, 5, (2, n_points)), draw.uniform(0, 4, (2, n_points))
    # of a spin: s and alpha of twice its density, without spin
    k_fermi = (6 * np.pi**2 * n) ** (1 / 3)
    gradient = 2 * k_fermi * n * reduced
    sigma = np.array([gradient[0] ** 2, draw.uniform(-1, 1, n_points) * gradient.prod(axis=0), gradient[1] ** 2])
    tau_w = np.divide(gradient**2, 8 * n, out=np.zeros_like(n), where=n > 0)
    return SpinPoints(n, sigma, tau_w + iso * 0.3 * k_fermi**2 * n)


def _random_name(at: int) -> str:
    n = _random_spins().n[:, at]
    return f"n_up = {n[0]:.3g}, n_down = {n[1]:.3g}"


def _scaling_slope(functional: Functional, points: SpinPoints) -> Floats:
    """``d(E[n_g] / g) / dg`` at g = 1, per volume: 0 for exchange, 0 or more for correlation."""
    energy, v_n, v_sigma, v_tau = functional.derivatives(points)
    from_n, from_sigma, from_tau = (
        factor * (given * slopes).sum(axis=0)
        for factor, given, slopes in ((3, points.n, v_n), (8, points.sigma, v_sigma), (5, points.tau, v_tau))
    )
    return np.asarray(from_n + from_sigma + from_tau - 4 * energy)


def _in_hydrogen(functional: Functional, more: float) -> Measurement:
    energy = Electrons.of({"H": hydrogen()}).energies(functional)[0] + exact_of_hydrogen(_exact(functional))
    return Measurement(1000 * float(energy + more), f"H{_added(functional)}")


def _largest(values: Floats, name: Callable[[int], str], told: str = "") -> Measurement:
    at = int(np.argmax(values))  # nan, where there is one
    return Measurement(float(values[at]), name(at) + told)


def _least(values: Floats, name: Callable[[int], str], told: str = "") -> Measurement:
    at = int(np.argmin(values))  # nan, where there is one
    return Measurement(float(values[at]), name(at) + told)


# Exact exchange ------------------------------------------------------------------------------------------------------


def _exact(functional: Functional) -> ExactShare:
    share: ExactShare = getattr(functional, "exact", ExactShare())
    return share


def _said(functional: Functional, words: str, *, ranged: bool = False) -> str:
    """Say what was done about exact exchange, if there is any; refuse one of a range unless that is no matter."""
    share = _exact(functional)
    if share.ranged and not ranged:
        msg = f"no closed form of exact exchange with a range of {share.omega:.3g}/bohr"
        raise NotApplicableError(msg)
    return f"; {words}" if share != ExactShare() else ""


def _added(functional: Functional) -> str:
    return _said(functional, "exact exchange added", ranged=True)


def _exact_of(functional: Functional, electrons: Electrons) -> Floats:
    """Exact exchange of real densities, hartree."""
    share = _exact(functional)
    if share == ExactShare():
        return np.zeros(len(electrons.names))
    if share.ranged:
        msg = f"exact exchange with a range of {share.omega:.3g}/bohr is not known of these densities"
        raise NotApplicableError(msg)
    if electrons.exact_exchange is None:
        msg = "exact exchange of these densities is not given"
        raise NotApplicableError(msg)
    return share.short * electrons.exact_exchange
