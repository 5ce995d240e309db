"""Functionals with one face: names that libxc knows, and torch functions of the density.

Atomic units: n in e/bohr^3, sigma in e^2/bohr^8, tau in hartree/bohr^3, energies in hartree.

A torch functional is any callable ``f(n, sigma, tau) -> energy per volume`` on float64 tensors, whose rows are

======== ============ =========================================================================
argument shape        rows
======== ============ =========================================================================
n        (2, n)       spin densities, up and down
sigma    (3, n)       grad n_up . grad n_up, grad n_up . grad n_down, grad n_down . grad n_down
tau      (2, n)       kinetic energy densities, half the sum of |grad phi|^2 of either spin
returned (n,)         hartree/bohr^3
======== ============ =========================================================================

Potentials are what torch's differentiation gives; so it must be made of torch's functions.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed._optional import import_extra

__all__ = [
    "LDA_EXCHANGE",
    "Derivatives",
    "Family",
    "Functional",
    "Kind",
    "LibxcFunctional",
    "SpinPoints",
    "TorchFunctional",
    "as_functional",
    "complete",
]

Floats = NDArray[np.float64]
LDA_EXCHANGE = -0.75 * (3 / np.pi) ** (1 / 3)  # hartree bohr; times n^(4/3) the energy per volume
Kind = Literal["exchange", "correlation", "exchange-correlation"]
Family = Literal["LDA", "GGA", "MGGA"]
_NO_ENERGY = ("GGA_X_LB", "GGA_X_LBM", "LDA_XC_TIH")  # potentials; libxc ends the process if asked for the energy
_DISPERSION = re.compile(r"-?D[234](BJ|ZERO|M|MBJ|OP|S)?\b|-?VV10")
TorchCallable: TypeAlias = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True, eq=False)
class SpinPoints:
    """The local ingredients of a functional at points of one or more densities; arrays are read-only.

    Attributes
    ----------
    n : float64 array, shape (2, n_points)
        Spin densities, up and down, e/bohr^3; 0 or more.
    sigma : float64 array, shape (3, n_points)
        Products of the gradients of spin densities: up-up, up-down, down-down; e^2/bohr^8.
    tau : float64 array, shape (2, n_points)
        Kinetic energy densities of either spin, hartree/bohr^3; 0 or more.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or a density, its squared gradient or tau is negative.
    """

    n: Floats
    sigma: Floats
    tau: Floats

    def __post_init__(self) -> None:
        for name, n_rows in (("n", 2), ("sigma", 3), ("tau", 2)):
            given = np.array(getattr(self, name), dtype=np.float64)
            if given.ndim != 2 or given.shape[0] != n_rows:
                msg = f"{name} must have shape ({n_rows}, n_points), up and down; got {given.shape}"
                raise ValueError(msg)
            if not np.isfinite(given).all():
                msg = f"{name} must be finite; got {np.count_nonzero(~np.isfinite(given)):,} other values"
                raise ValueError(msg)
            if (given[0] < 0).any() or (given[-1] < 0).any():
                msg = f"{name} must be 0 or more for either spin, got {given.min():g}"
                raise ValueError(msg)
            given.flags.writeable = False
            object.__setattr__(self, name, given)
        if len({self.n.shape[1], self.sigma.shape[1], self.tau.shape[1]}) > 1:
            msg = f"n, sigma and tau must have as many points, got {self.n.shape}, {self.sigma.shape}, {self.tau.shape}"
            raise ValueError(msg)

    @classmethod
    def unpolarised(cls, n: ArrayLike, s: ArrayLike, alpha: ArrayLike) -> Self:
        """Make points with as many electrons of either spin.

        Parameters
        ----------
        n : array-like, shape (n_points,)
            Total densities, e/bohr^3; above 0.
        s : array-like, shape (n_points,)
            Reduced gradients ``|grad n| / (2 k_F n)``, where ``k_F = (3 pi^2 n)^(1/3)``.
        alpha : array-like, shape (n_points,)
            ``(tau - tau_W) / tau_unif``: 0 for one orbital, 1 for the uniform gas.

        Returns
        -------
        SpinPoints
            n_points of them.
        """
        total, reduced, iso = (np.asarray(one, dtype=np.float64) for one in np.broadcast_arrays(n, s, alpha))
        k_fermi = (3 * np.pi**2 * total) ** (1 / 3)
        sigma = (2 * k_fermi * total * reduced) ** 2
        tau = sigma / (8 * total) + iso * 0.3 * k_fermi**2 * total
        return cls(np.tile(total / 2, (2, 1)), np.tile(sigma / 4, (3, 1)), np.tile(tau / 2, (2, 1)))

    def scaled(self, g: float) -> Self:
        """Scale coordinates uniformly: n_g(r) = g^3 n(g r), so that a weight of a point is divided by g^3.

        Parameters
        ----------
        g : float
            Above 0; more than 1 contracts the density.

        Returns
        -------
        SpinPoints
            The same points of the scaled density.
        """
        if not (np.isfinite(g) and g > 0):
            msg = f"g must be a positive number, got {g!r}"
            raise ValueError(msg)
        return type(self)(self.n * g**3, self.sigma * g**8, self.tau * g**5)

    def __len__(self) -> int:
        return int(self.n.shape[1])


class Derivatives(NamedTuple):
    """Energy per volume and what it changes by; names are those of libxc."""

    energy: Floats  # (n_points,), hartree/bohr^3
    v_n: Floats  # (2, n_points), hartree
    v_sigma: Floats  # (3, n_points)
    v_tau: Floats  # (2, n_points), dimensionless


@runtime_checkable
class Functional(Protocol):
    """What all functionals offer, whoever made them."""

    @property
    def name(self) -> str:
        """For tables and figures."""

    @property
    def kind(self) -> Kind:
        """What it tells of: exchange, correlation or both."""

    @property
    def family(self) -> Family:
        """What it depends on: n (LDA), sigma too (GGA), tau too (MGGA)."""

    def derivatives(self, points: SpinPoints) -> Derivatives:
        """Evaluate the energy per volume and its derivatives.

        Parameters
        ----------
        points : SpinPoints
            Where.

        Returns
        -------
        Derivatives
            One column a point; zeros for what the family does not depend on.
        """


@dataclass(frozen=True)
class LibxcFunctional:
    """A functional of libxc [1]_, by the name that PySCF reads.

    Attributes
    ----------
    name : str
        ``"PBE"`` is exchange and correlation, ``"PBE,"`` exchange alone, ``",PBE"`` correlation alone. A name that
        libxc has for one of them alone is that one: ``"B88"`` is ``"B88,"``.

    Raises
    ------
    ValueError
        If libxc has no such functional, or it is no energy that is a function of n, sigma and tau alone: a hybrid, one
        with nonlocal correlation, of the Laplacian or with dispersion, a kinetic energy, a potential, or one of fewer
        dimensions.

    References
    ----------
    .. [1] S. Lehtola, C. Steigemann, M. J. T. Oliveira, M. A. L. Marques, SoftwareX 7, 1 (2018).
    """

    name: str

    def __post_init__(self) -> None:
        libxc = _libxc()
        try:
            numbers = [int(number) for number, _ in libxc.parse_xc(self.name)[1]]
            letters = {name.removeprefix("HYB_").split("_")[1] for name, _, _ in self._terms()}
            wrong = (
                "a hybrid"
                if libxc.is_hybrid_xc(self.name)
                else "one of the Laplacian"
                if any(libxc.needs_laplacian(number) for number in numbers)
                else "one with nonlocal correlation"
                if libxc.is_nlc(self.name)
                else "one with a dispersion correction, which is no part of it (PySCF has mf.disp)"
                if _DISPERSION.search(self.name.upper())
                else "a kinetic energy"
                if "K" in letters
                else "a potential without an energy, or one of fewer dimensions"
                if any(name in _NO_ENERGY or re.search("_[12]D", name) for name, _, _ in self._terms())
                else ""
            )
        except (KeyError, ValueError) as error:
            msg = f"libxc has no functional {self.name!r}; examples: 'PBE', 'B88,', ',LYP', 'SCAN'"
            raise ValueError(msg) from error
        if wrong or not numbers:
            msg = f"wanted a function of n, sigma and tau alone, but {self.name!r} is {wrong or 'none'}"
            raise ValueError(msg)

    def _terms(self) -> list[tuple[str, int, float]]:
        """List what it adds up: libxc's name such as "GGA_X_B88", number, and factor."""
        libxc = _libxc()
        names = {int(number): name for name, number in libxc.available_libxc_functionals().items()}
        return [(names[int(number)], int(number), float(factor)) for number, factor in libxc.parse_xc(self.name)[1]]

    def terms(self) -> dict[str, str]:
        """Split it as libxc does.

        Returns
        -------
        dict of str to str
            "X", "C" and "XC", those of them that there are, and the sum of their terms in PySCF's words.
        """
        found: dict[str, list[str]] = {}
        for name, number, factor in self._terms():
            found.setdefault(name.removeprefix("HYB_").split("_")[1], []).append(f"{factor!r}*{number}")
        return {letter: "+".join(several) for letter, several in found.items()}

    @property
    def kind(self) -> Kind:
        """What it tells of: exchange, correlation or both."""
        letters = set(self.terms())
        return "exchange" if letters == {"X"} else "correlation" if letters == {"C"} else "exchange-correlation"

    @property
    def family(self) -> Family:
        """What it depends on: n (LDA), sigma too (GGA), tau too (MGGA)."""
        family: Family = _libxc().xc_type(self.name)
        return family

    def derivatives(self, points: SpinPoints) -> Derivatives:
        """Evaluate by libxc, as any `Functional`.

        Parameters
        ----------
        points : SpinPoints
            Where.

        Returns
        -------
        Derivatives
            One column a point. Where densities are below libxc's thresholds (1e-15 e/bohr^3 and less) they are 0.
        """
        up = np.sqrt(points.sigma[0])
        along = np.divide(points.sigma[1], up, out=np.zeros_like(up), where=up > 0)
        across = np.sqrt(np.maximum(points.sigma[2] - along**2, 0))
        zeros = np.zeros_like(up)
        rho = np.array(
            [
                [points.n[0], up, zeros, zeros, zeros, points.tau[0]],
                [points.n[1], along, across, zeros, zeros, points.tau[1]],
            ]
        )
        if self.family == "LDA":
            rho = rho[:, 0]
        elif self.family == "GGA":
            rho = rho[:, :4]
        per_electron, first = _libxc().eval_xc(self.name, rho, spin=1, deriv=1)[:2]
        total = points.n.sum(axis=0)
        v_n, v_sigma, _, v_tau = (*first, None, None, None)[:4]
        n_points = len(points)
        return Derivatives(
            np.asarray(per_electron * total),
            np.asarray(v_n).reshape(n_points, 2).T,
            np.zeros((3, n_points)) if v_sigma is None else np.asarray(v_sigma).reshape(n_points, 3).T,
            np.zeros((2, n_points)) if v_tau is None else np.asarray(v_tau).reshape(n_points, 2).T,
        )


@dataclass(frozen=True)
class TorchFunctional:
    """A functional that is a torch function; see the top of this module for its arguments.

    Attributes
    ----------
    function : callable
        ``f(n, sigma, tau) -> energy per volume``, on float64 tensors.
    kind : {"exchange", "correlation", "exchange-correlation"}
        What it tells of.
    family : {"LDA", "GGA", "MGGA"}
        What it depends on.
    name : str
        For tables and figures.

    Raises
    ------
    ValueError
        If kind or family is none of these.

    Examples
    --------
    >>> def slater(n, sigma, tau):
    ...     return LDA_EXCHANGE * 0.5 * ((2 * n) ** (4 / 3)).sum(dim=0)
    >>> points = SpinPoints.unpolarised([0.1, 1.0], s=0, alpha=1)
    >>> told = TorchFunctional(slater, "exchange", "LDA", "Slater").derivatives(points)
    >>> bool(np.allclose(told.energy, LibxcFunctional("LDA,").derivatives(points).energy))
    True
    """

    function: TorchCallable
    kind: Kind
    family: Family = "MGGA"
    name: str = "torch functional"

    def __post_init__(self) -> None:
        for given, several, what in ((self.kind, Kind, "kind"), (self.family, Family, "family")):
            if given not in get_args(several):
                msg = f"{what} must be one of {', '.join(get_args(several))}, got {given!r}"
                raise ValueError(msg)

    def derivatives(self, points: SpinPoints) -> Derivatives:
        """Evaluate, and differentiate by torch, as any `Functional`.

        Parameters
        ----------
        points : SpinPoints
            Where.

        Returns
        -------
        Derivatives
            One column a point.

        Raises
        ------
        ValueError
            If the function returns another shape, or numbers that are not finite.
        """
        torch = import_extra("torch", extra="density")
        given = [torch.from_numpy(one.copy()).requires_grad_() for one in (points.n, points.sigma, points.tau)]
        with torch.enable_grad():
            try:
                energy = self.function(*given)
            except RuntimeError as error:
                msg = f"{self.name} fails on float64 tensors of the CPU: {error}; convert it by .double().cpu()"
                raise ValueError(msg) from error
            if not isinstance(energy, torch.Tensor) or energy.shape != (len(points),):
                got = tuple(energy.shape) if isinstance(energy, torch.Tensor) else type(energy).__name__
                msg = f"{self.name} must return energies per volume of shape ({len(points)},), got {got}"
                raise ValueError(msg)
            if not energy.requires_grad and bool((energy != 0).any()):
                msg = (
                    f"{self.name} returns numbers that torch cannot differentiate; use torch functions, detach nothing"
                )
                raise ValueError(msg)
            slopes = torch.autograd.grad(energy.sum(), given, allow_unused=True) if energy.requires_grad else [None] * 3
        numbers = [
            np.zeros(tuple(one.shape)) if slope is None else slope.numpy()
            for one, slope in zip(given, slopes, strict=True)
        ]
        told = Derivatives(energy.detach().numpy().astype(np.float64), *numbers)
        if not all(np.isfinite(one).all() for one in told):
            at = int(np.flatnonzero(~np.isfinite(np.vstack([told.energy, *told[1:]])).all(axis=0))[0])
            where = f"n = {points.n[:, at].tolist()}, sigma = {points.sigma[:, at].tolist()}"
            msg = f"{self.name} or a derivative of it is not finite at {where}; mask what it divides by"
            raise ValueError(msg)
        return told


def as_functional(functional: "str | TorchCallable | Functional", *, kind: Kind | None = None) -> Functional:
    """Take a functional in any form.

    Parameters
    ----------
    functional : str, callable or Functional
        A name of libxc, a torch function (or module) of n, sigma and tau, or what has `derivatives` already.
    kind : {"exchange", "correlation", "exchange-correlation"}, optional
        Of a torch function; by default its attribute `kind`, else "exchange-correlation". Its family and name are its
        attributes too, else "MGGA" and the name of the function.

    Returns
    -------
    Functional
        With a name, kind and family.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If libxc has no such functional, or `kind` is none of the three.

    Examples
    --------
    >>> as_functional("PBE,").kind, as_functional("SCAN").family
    ('exchange', 'MGGA')
    """
    if isinstance(functional, str):
        return LibxcFunctional(functional)
    if isinstance(functional, Functional):
        return functional
    if not callable(functional):
        msg = f"wanted a name of libxc or a torch function of n, sigma and tau, got {type(functional).__name__}"
        raise TypeError(msg)
    name = getattr(functional, "name", getattr(functional, "__name__", type(functional).__name__))
    known: Kind = getattr(functional, "kind", "exchange-correlation") if kind is None else kind
    return TorchFunctional(functional, known, getattr(functional, "family", "MGGA"), str(name))


def complete(
    functional: "str | TorchCallable | Functional", correlation: "str | TorchCallable | Functional | None"
) -> tuple[Functional, ...]:
    """Join exchange with a correlation, or take what needs none.

    Parameters
    ----------
    functional : str, callable or Functional
        Exchange, or with no `correlation` anything. A torch function that does not say its kind is exchange if there
        is a correlation.
    correlation : str, callable or Functional, optional
        A name without comma stands for its correlation: ``"PBE"`` is ``",PBE"``. ``"none"`` is none.

    Returns
    -------
    tuple of Functional
        One, or exchange and correlation.

    Raises
    ------
    ValueError
        If the two are not exchange and correlation.
    """
    says = isinstance(functional, str | Functional) or hasattr(functional, "kind")
    first = as_functional(functional, kind=None if says or correlation is None else "exchange")
    if correlation is None:
        return (first,)
    if first.kind != "exchange":
        msg = f"correlation completes exchange, but {first.name} is {first.kind}; leave it out, or pass exchange alone"
        raise ValueError(msg)
    if isinstance(correlation, str) and correlation == "none":
        return (first,)
    named = isinstance(correlation, str) and "," not in correlation
    says = isinstance(correlation, str | Functional) or hasattr(correlation, "kind")
    second = as_functional(f",{correlation}" if named else correlation, kind=None if says else "correlation")
    if second.kind != "correlation":
        msg = f"wanted a correlation to complete {first.name}, but {second.name} is {second.kind}"
        raise ValueError(msg)
    return first, second


def _libxc() -> Any:
    return import_extra("pyscf.dft.libxc", extra="density")
