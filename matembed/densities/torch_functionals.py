"""Textbook functionals as torch functions: exchange of LDA and PBE, correlation of PW92 and PBE.

Atomic units: n in e/bohr^3, sigma in e^2/bohr^8, tau in hartree/bohr^3, energies in hartree.

They are references to test against, and what a learned exchange or correlation is completed by. Arguments are those of
`matembed.densities.functionals`. Constants are those of libxc [1]_; PW92 is its ``pw_mod``.

A spin that is not there (n_down = 0) is no special case: libxc lets it have 1e-12 e/bohr^3 instead. There the
derivative of correlation by n_down has a part without limit, which is left out (only empty orbitals would notice).
Where n is below 1e-30 e/bohr^3 energies are 0, which no total energy notices; libxc stops between 1e-15 and 1e-12.

References
----------
.. [1] S. Lehtola, C. Steigemann, M. J. T. Oliveira, M. A. L. Marques, SoftwareX 7, 1 (2018).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from matembed._optional import import_extra
from matembed.densities.functionals import PW92, PW92_CURVATURE, Family, Kind, TorchCallable

__all__ = ["add", "lda_exchange", "pbe_correlation", "pbe_exchange", "pw92_correlation"]

_LEAST_DENSITY = 1e-30  # e/bohr^3
_LEAST_SHARE = 2.0**-52  # of a spin in the density, times 2
_LDA = -1.5 * (3 / (4 * math.pi)) ** (1 / 3)
_S2 = 1 / (4 * (6 * math.pi**2) ** (2 / 3))  # s^2 of one spin = _S2 * sigma / n^(8/3)
_BETA = 0.06672455060314922
_GAMMA = (1 - math.log(2)) / math.pi**2
_KAPPA = 0.8040
_MU = _BETA * math.pi**2 / 3


def _mark(name: str, kind: Kind, family: Family) -> Callable[[TorchCallable], TorchCallable]:
    def mark(function: TorchCallable) -> TorchCallable:
        function.__dict__.update(name=name, kind=kind, family=family)
        return function

    return mark


@_mark("LDA exchange", "exchange", "LDA")
def lda_exchange(n: Any, sigma: Any, tau: Any) -> Any:  # noqa: ARG001 - as any functional
    """Exchange of the uniform gas, by Dirac [1]_.

    Parameters
    ----------
    n : tensor, shape (2, n_points)
        Spin densities, e/bohr^3.
    sigma, tau : tensor
        Not used.

    Returns
    -------
    tensor, shape (n_points,)
        Energy per volume, hartree/bohr^3.

    References
    ----------
    .. [1] P. A. M. Dirac, Math. Proc. Camb. Philos. Soc. 26, 376 (1930).

    Examples
    --------
    >>> import torch
    >>> one_electron = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    >>> round(lda_exchange(one_electron, None, None).item(), 6)
    -0.930526
    """
    present, safe, cube_root = _present(n)
    torch = import_extra("torch", extra="density")
    return torch.where(present, _LDA * cube_root * safe, 0).sum(dim=0)


@_mark("PBE exchange", "exchange", "GGA")
def pbe_exchange(n: Any, sigma: Any, tau: Any) -> Any:  # noqa: ARG001 - as any functional
    """Exchange of Perdew, Burke and Ernzerhof [1]_.

    Parameters
    ----------
    n : tensor, shape (2, n_points)
        Spin densities, e/bohr^3.
    sigma : tensor, shape (3, n_points)
        Products of their gradients; the first and the last row are used, e^2/bohr^8.
    tau : tensor
        Not used.

    Returns
    -------
    tensor, shape (n_points,)
        Energy per volume, hartree/bohr^3.

    References
    ----------
    .. [1] J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
    """
    torch = import_extra("torch", extra="density")
    present, safe, cube_root = _present(n)
    s2 = _S2 * sigma[::2] / (cube_root * safe) ** 2
    enhancement = 1 + _KAPPA * _MU * s2 / (_KAPPA + _MU * s2)
    return torch.where(present, _LDA * cube_root * safe * enhancement, 0).sum(dim=0)


@_mark("PW92 correlation", "correlation", "LDA")
def pw92_correlation(n: Any, sigma: Any, tau: Any) -> Any:  # noqa: ARG001 - as any functional
    """Correlation of the uniform gas, by Perdew and Wang [1]_.

    Parameters
    ----------
    n : tensor, shape (2, n_points)
        Spin densities, e/bohr^3.
    sigma, tau : tensor
        Not used.

    Returns
    -------
    tensor, shape (n_points,)
        Energy per volume, hartree/bohr^3.

    References
    ----------
    .. [1] J. P. Perdew, Y. Wang, Phys. Rev. B 45, 13244 (1992).
    """
    torch = import_extra("torch", extra="density")
    present, safe, cube_root = _present(n.sum(dim=0))
    return torch.where(present, safe * _pw92(cube_root, _spin(n, present, safe)), 0)


@_mark("PBE correlation", "correlation", "GGA")
def pbe_correlation(n: Any, sigma: Any, tau: Any) -> Any:  # noqa: ARG001 - as any functional
    """Correlation of Perdew, Burke and Ernzerhof [1]_.

    Parameters
    ----------
    n : tensor, shape (2, n_points)
        Spin densities, e/bohr^3.
    sigma : tensor, shape (3, n_points)
        Products of their gradients, e^2/bohr^8.
    tau : tensor
        Not used.

    Returns
    -------
    tensor, shape (n_points,)
        Energy per volume, hartree/bohr^3.

    References
    ----------
    .. [1] J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
    """
    torch = import_extra("torch", extra="density")
    present, safe, cube_root = _present(n.sum(dim=0))
    spin = _spin(n, present, safe)
    uniform = _pw92(cube_root, spin)
    phi2 = (0.5 * (spin.roots**2).sum(dim=0)) ** 2
    phi3_gamma = _GAMMA * phi2**1.5
    squared = sigma[0] + 2 * sigma[1] + sigma[2]
    t2 = (math.pi / 3) ** (1 / 3) / 16 * squared / (phi2 * cube_root * safe**2)
    a_t2 = _BETA / _GAMMA * t2 / torch.expm1(-uniform / phi3_gamma)
    gradient = phi3_gamma * torch.log1p(_BETA / _GAMMA * t2 * (1 + a_t2) / (1 + a_t2 * (1 + a_t2)))
    return torch.where(present, safe * (uniform + gradient), 0)


def add(exchange: TorchCallable, correlation: TorchCallable) -> TorchCallable:
    """Add a torch exchange and a torch correlation.

    Parameters
    ----------
    exchange : callable
        A torch function of n, sigma and tau; if it says its `kind`, this must be "exchange".
    correlation : callable
        A torch function; if it says its `kind`, this must be "correlation".

    Returns
    -------
    callable
        Their sum, with a `name`, `kind` and `family`.

    Raises
    ------
    ValueError
        If one of them is of another kind.

    Examples
    --------
    >>> pbe = add(pbe_exchange, pbe_correlation)
    >>> pbe.name, pbe.kind, pbe.family
    ('PBE exchange + PBE correlation', 'exchange-correlation', 'GGA')
    """
    parts: tuple[tuple[TorchCallable, Kind], ...] = ((exchange, "exchange"), (correlation, "correlation"))
    for function, wanted in parts:
        kind = getattr(function, "kind", wanted)
        if kind != wanted:
            msg = f"wanted {wanted} alone, but {getattr(function, 'name', 'the function')} is {kind}"
            raise ValueError(msg)
    return _Both(exchange, correlation)


class _Both:
    """A sum that can be pickled as far as its parts can."""

    kind: Kind = "exchange-correlation"

    def __init__(self, exchange: TorchCallable, correlation: TorchCallable) -> None:
        self.parts = exchange, correlation
        families: list[Family] = [getattr(part, "family", "MGGA") for part in self.parts]
        self.family: Family = max(families, key=get_args(Family).index)
        kinds = ("exchange", "correlation")
        self.name = " + ".join(getattr(part, "name", kind) for part, kind in zip(self.parts, kinds, strict=True))

    def __call__(self, n: Any, sigma: Any, tau: Any) -> Any:
        exchange, correlation = self.parts
        return exchange(n, sigma, tau) + correlation(n, sigma, tau)


class _Spin(NamedTuple):
    zeta: Any  # (n_up - n_down) / n
    roots: Any  # (2, n_points): cube roots of 1 + zeta and 1 - zeta


def _present(n: Any) -> tuple[Any, Any, Any]:
    """Tell where there is density, and return one that may be divided by and its cube root."""
    torch = import_extra("torch", extra="density")
    present = n > _LEAST_DENSITY
    safe = torch.where(present, n, 1.0)
    return present, safe, safe ** (1 / 3)


def _spin(n: Any, present: Any, total: Any) -> _Spin:
    torch = import_extra("torch", extra="density")
    shares = torch.where(present, 2 * n / total, 1.0)
    shares = torch.where(shares > _LEAST_SHARE, shares, _LEAST_SHARE)
    return _Spin((n[0] - n[1]) / total, shares ** (1 / 3))


def _pw92(cube_root: Any, spin: _Spin) -> Any:
    """Energy per electron: a parametrised logarithm for either polarisation and for what is between."""
    torch = import_extra("torch", extra="density")
    r_s = (3 / (4 * math.pi)) ** (1 / 3) / cube_root
    root = r_s**0.5
    unpolarised, polarised, stiffness = (
        -2 * a * (1 + alpha * r_s) * torch.log1p(0.5 / a / (root * (b1 + root * (b2 + root * (b3 + root * b4)))))
        for a, alpha, b1, b2, b3, b4 in PW92
    )
    f = ((spin.roots**4).sum(dim=0) - 2) / (2 ** (4 / 3) - 2)
    z4 = spin.zeta**4
    return unpolarised + f * (z4 * (polarised - unpolarised) - (1 - z4) * stiffness / PW92_CURVATURE)
