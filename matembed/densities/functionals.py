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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matembed._optional import import_extra

__all__ = [
    "CORRELATIONS",
    "LDA_EXCHANGE",
    "PW92",
    "PW92_CURVATURE",
    "Derivatives",
    "Difference",
    "ExactShare",
    "Family",
    "Functional",
    "Kind",
    "LibxcFunctional",
    "LibxcHybrid",
    "SpinPoints",
    "TorchFunctional",
    "as_functional",
    "complete",
    "differentiate",
]

Floats = NDArray[np.float64]
LDA_EXCHANGE = -0.75 * (3 / np.pi) ** (1 / 3)  # hartree bohr; times n^(4/3) the energy per volume
# Perdew and Wang's fit of correlation of the uniform gas, with the digits of its authors' later code (libxc's pw_mod):
# a, alpha_1, beta_1 ... beta_4 of the unpolarised and the polarised gas, and of minus the spin stiffness
PW92 = (
    (0.0310907, 0.21370, 7.5957, 3.5876, 1.6382, 0.49294),
    (0.01554535, 0.20548, 14.1189, 6.1977, 3.3662, 0.62517),
    (0.0168869, 0.11125, 10.357, 3.6231, 0.88026, 0.49671),
)
PW92_CURVATURE = 8 / (9 * (2 ** (4 / 3) - 2))  # second derivative of f(zeta) at 0
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
    def of_gradients(cls, n: ArrayLike, gradients: ArrayLike, tau: ArrayLike) -> Self:
        """Make points from gradients of the density.

        Parameters
        ----------
        n : array-like, shape (2, n_points)
            Spin densities, e/bohr^3; what rounding brought below 0 becomes 0.
        gradients : array-like, shape (2, 3, n_points)
            Theirs, e/bohr^4.
        tau : array-like, shape (2, n_points)
            Kinetic energy densities of either spin, hartree/bohr^3; what rounding brought below 0 becomes 0.

        Returns
        -------
        SpinPoints
            n_points of them.
        """
        up, down = np.asarray(gradients, dtype=np.float64)
        sigma = [(one * other).sum(axis=0) for one, other in ((up, up), (up, down), (down, down))]
        return cls(np.maximum(n, 0), np.array(sigma), np.maximum(tau, 0))

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

    def by_rows(self, gradients: Floats) -> Floats:
        """Tell what the energy changes by with density, gradient and tau of either spin.

        Parameters
        ----------
        gradients : float64 array, shape (2, 3, n_points)
            Of the spin densities, e/bohr^4.

        Returns
        -------
        float64 array, shape (2, 5, n_points)
            Derivatives by n, the three components of its gradient, and tau.
        """
        own, across = self.v_sigma[[0, 2], None], self.v_sigma[1]
        by_gradients = 2 * own * gradients + across * gradients[::-1]
        return np.concatenate([self.v_n[:, None], by_gradients, self.v_tau[:, None]], axis=1)


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
        wrong = _why_not(self.name)
        if not wrong and _is_hybrid(self.name):
            wrong = "a hybrid"
        if wrong:
            msg = f"wanted a function of n, sigma and tau alone, but {self.name!r} is {wrong}"
            raise ValueError(msg)

    def _terms(self) -> list[tuple[str, int, float]]:
        """List what it adds up: libxc's name such as "GGA_X_B88", number, and factor."""
        return _libxc_terms(self.name)

    def terms(self) -> dict[str, str]:
        """Split it as libxc does.

        Returns
        -------
        dict of str to str
            "X", "C" and "XC", those of them that there are, and the sum of their terms in PySCF's words.
        """
        found: dict[str, list[str]] = {}
        for name, number, factor in self._terms():
            found.setdefault(_letter(name), []).append(f"{factor!r}*{number}")
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
class ExactShare:
    """How much exact exchange a functional has, at distances that are short and long.

    Attributes
    ----------
    short, long : float
        Factors of the exact exchange by ``erfc(omega r) / r`` and ``erf(omega r) / r``; the same where there is no
        range.
    omega : float
        1/bohr; 0 where there is no range.
    """

    short: float = 0.0
    long: float = 0.0
    omega: float = 0.0

    @property
    def ranged(self) -> bool:
        """Whether distances matter."""
        return self.short != self.long

    def __str__(self) -> str:
        if self.ranged:
            return f"exact exchange {self.short:.3g} at short and {self.long:.3g} at long range, {self.omega:.3g}/bohr"
        return f"exact exchange {self.short:.3g}"


@dataclass(frozen=True)
class LibxcHybrid:
    """A hybrid functional of libxc: exact exchange, and a function of n, sigma and tau.

    Attributes
    ----------
    name : str
        ``"PBE0"``, ``"HF,PBE"``, ``"0.3*HF+0.7*PBE,PBE"``.

    Raises
    ------
    ValueError
        If libxc has no such functional, it is no hybrid, or what `LibxcFunctional` refuses for another reason.
    """

    name: str

    def __post_init__(self) -> None:
        wrong = _why_not(self.name, exact_alone=True)
        if not wrong and not _is_hybrid(self.name):
            wrong = "none"
        if not wrong and any(re.search("_(CAM|LC)Y_", name) for name, _, _ in _libxc_terms(self.name)):
            wrong = "one whose range is cut by Yukawa's potential"
        if wrong:
            msg = f"wanted a hybrid of exact exchange and a function of n, sigma and tau, but {self.name!r} is {wrong}"
            raise ValueError(msg)

    @property
    def exact(self) -> ExactShare:
        """Its exact exchange."""
        return _exact_share(self.name)

    @property
    def kind(self) -> Kind:
        """What it tells of: exchange, or exchange and correlation."""
        letters = {_letter(name) for name, _, _ in _libxc_terms(self.name)}
        return "exchange" if letters <= {"X"} else "exchange-correlation"

    @property
    def family(self) -> Family:
        """What the rest depends on: n (LDA), sigma too (GGA), tau too (MGGA)."""
        family = _libxc().xc_type(self.name)
        return "LDA" if family == "HF" else family

    def derivatives(self, points: SpinPoints) -> Derivatives:
        """Refuse: exact exchange is no function of points.

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
            f"{self.name!r} is a hybrid, whose exact exchange is no function of n, sigma and tau at {len(points)} "
            "points; take its `rest`"
        )
        raise ValueError(msg)

    @property
    def rest(self) -> Functional:
        """All but its exact exchange."""
        return _Rest(self.name) if _libxc_terms(self.name) else _Nothing()

    def split(self) -> tuple[Functional, Functional] | None:
        """Split the rest into exchange and correlation.

        Returns
        -------
        tuple of Functional or None
            None where libxc has both as one functional whose correlation is not in `CORRELATIONS`.
        """
        exchange: list[str] = []
        correlation: list[str] = []
        terms = _libxc_terms(self.name)
        for name, number, factor in terms:
            known = CORRELATIONS.get(number, {}) if _letter(name) == "XC" else {}
            if _letter(name) == "XC" and not known:
                return None
            (exchange if _letter(name) == "X" else correlation).extend(
                f"{factor * share!r}*{part}" for part, share in (known or {str(number): 1.0}).items()
            )
        second = LibxcFunctional(f",{'+'.join(correlation)}") if correlation else _Nothing("correlation")
        if any(_letter(name) == "XC" for name, _, _ in terms):
            return Difference(self.rest, second, "exchange", f"exchange of {self.name}"), second
        return _Rest(f"{'+'.join(exchange)},") if exchange else _Nothing(), second


_LYP: Mapping[str, float] = {"LYP": 1.0}
_OF_B3LYP: Mapping[str, float] = {"VWN_RPA": 0.19, "LYP": 0.81}
_PBE: Mapping[str, float] = {"PBE": 1.0}
CORRELATIONS: Mapping[int, Mapping[str, float]] = {
    401: {"PW": 0.19, "PW91": 0.81},  # B3PW91
    402: _OF_B3LYP,  # B3LYP
    406: _PBE,  # PBE0
    411: {"VWN_RPA": 0.129, "LYP": 0.871},  # X3LYP
    416: _LYP,  # B1LYP
    427: _PBE,  # HSE03
    428: _PBE,  # HSE06
    433: {"VWN": 0.19, "LYP": 0.81},  # CAM-B3LYP
    436: _LYP,  # BHandHLYP
    457: {"TPSS": 1.0},  # TPSSh
    478: _PBE,  # LC-wPBE
    660: {"R2SCAN": 1.0},  # r2SCAN0
}
"""Correlation of hybrids that libxc has as one functional with exchange, by its number: names, and factors."""


@dataclass(frozen=True)
class Difference:
    """One functional less another.

    Attributes
    ----------
    first, second : Functional
        The one, and what is taken away.
    kind : {"exchange", "correlation", "exchange-correlation"}
        What is left.
    name : str
        For tables and figures.
    """

    first: Functional
    second: Functional
    kind: Kind
    name: str

    @property
    def family(self) -> Family:
        """The higher of both."""
        return max(self.first.family, self.second.family, key=get_args(Family).index)

    def derivatives(self, points: SpinPoints) -> Derivatives:
        """Evaluate both, as any `Functional`.

        Parameters
        ----------
        points : SpinPoints
            Where.

        Returns
        -------
        Derivatives
            One column a point.
        """
        pairs = zip(self.first.derivatives(points), self.second.derivatives(points), strict=True)
        return Derivatives(*(first - second for first, second in pairs))


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
        given = points.n, points.sigma, points.tau
        energy, slopes = differentiate(self.function, given, self.name)
        return Derivatives(energy, *slopes)


def differentiate(function: Callable[..., Any], given: Sequence[Floats], name: str) -> tuple[Floats, list[Floats]]:
    """Evaluate a torch function of points, and differentiate it.

    Parameters
    ----------
    function : callable
        Takes float64 tensors and returns an energy per volume for each point.
    given : sequence of float64 array, each of shape (n_rows, n_points)
        What it takes: spin densities first, then products of their gradients.
    name : str
        For errors.

    Returns
    -------
    energy : float64 array, shape (n_points,)
        Hartree/bohr^3.
    slopes : list of float64 array
        Derivatives, of the shapes of what was given.

    Raises
    ------
    ValueError
        If the function returns another shape, numbers that are not finite, or what torch cannot differentiate.
    """
    torch = import_extra("torch", extra="density")
    n_points = given[0].shape[1]
    tensors = [torch.from_numpy(one.copy()).requires_grad_() for one in given]
    with torch.enable_grad():
        try:
            energy = function(*tensors)
        except RuntimeError as error:
            msg = f"{name} fails on float64 tensors of the CPU: {error}; convert it by .double().cpu()"
            raise ValueError(msg) from error
        if not isinstance(energy, torch.Tensor) or energy.shape != (n_points,):
            got = tuple(energy.shape) if isinstance(energy, torch.Tensor) else type(energy).__name__
            msg = f"{name} must return energies per volume of shape ({n_points},), got {got}"
            raise ValueError(msg)
        if not energy.requires_grad and bool((energy != 0).any()):
            msg = f"{name} returns numbers that torch cannot differentiate; use torch functions, detach nothing"
            raise ValueError(msg)
        found = torch.autograd.grad(energy.sum(), tensors, allow_unused=True) if energy.requires_grad else ()
    slopes = [np.zeros(one.shape) if slope is None else slope.numpy() for one, slope in zip_longest(given, found)]
    values = energy.detach().numpy().astype(np.float64)
    finite = np.isfinite(np.vstack([values, *slopes])).all(axis=0)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        where = f"n = {given[0][:, at].tolist()}, sigma = {given[1][:, at].tolist()}"
        msg = f"{name} or a derivative of it is not finite at {where}; mask what it divides by"
        raise ValueError(msg)
    return values, slopes


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
        hybrid = not _why_not(functional, exact_alone=True) and _is_hybrid(functional)
        return LibxcHybrid(functional) if hybrid else LibxcFunctional(functional)
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


def _libxc_terms(name: str) -> list[tuple[str, int, float]]:
    """List what a functional adds up: libxc's name such as "GGA_X_B88", number, and factor."""
    names = {int(number): known for known, number in _libxc().available_libxc_functionals().items()}
    return [(names[int(number)], int(number), float(factor)) for number, factor in _libxc().parse_xc(name)[1]]


def _exact_share(name: str) -> ExactShare:
    omega, long, short = import_extra("pyscf.dft.numint", extra="density").NumInt().rsh_and_hybrid_coeff(name)
    return ExactShare(float(short), float(long), float(omega) if short != long else 0.0)


def _is_hybrid(name: str) -> bool:
    """Tell whether there is exact exchange; PySCF calls those hybrids too that have a range and none of it."""
    return _exact_share(name) != ExactShare()


def _letter(libxc_name: str) -> str:
    """Tell "X", "C", "XC" or "K" from a name such as "HYB_GGA_XC_B3LYP"."""
    return libxc_name.removeprefix("HYB_").split("_")[1]


def _why_not(name: str, *, exact_alone: bool = False) -> str:
    """Say what a name of libxc is that makes it no energy of n, sigma, tau and perhaps exact exchange; or nothing."""
    libxc = _libxc()
    try:
        terms = _libxc_terms(name)
        return (
            "one of the Laplacian"
            if any(libxc.needs_laplacian(number) for _, number, _ in terms)
            else "one with nonlocal correlation"
            if libxc.is_nlc(name)
            else "one with a dispersion correction, which is no part of it (PySCF has mf.disp)"
            if _DISPERSION.search(name.upper())
            else "a kinetic energy"
            if any(_letter(one) == "K" for one, _, _ in terms)
            else "a potential without an energy, or one of fewer dimensions"
            if any(one in _NO_ENERGY or re.search("_[12]D", one) for one, _, _ in terms)
            else ""
            if terms or (exact_alone and _is_hybrid(name))
            else "a hybrid"
            if _is_hybrid(name)
            else "none"
        )
    except (KeyError, ValueError) as error:
        msg = f"libxc has no functional {name!r}; examples: 'PBE', 'B88,', ',LYP', 'SCAN', 'PBE0'"
        raise ValueError(msg) from error


@dataclass(frozen=True)
class _Rest(LibxcFunctional):
    """What a hybrid has besides exact exchange."""

    def __post_init__(self) -> None:
        pass


@dataclass(frozen=True)
class _Nothing:
    kind: Kind = "exchange"
    name: str = "nothing"
    family: ClassVar[Family] = "LDA"

    def derivatives(self, points: SpinPoints) -> Derivatives:
        n = len(points)
        return Derivatives(np.zeros(n), np.zeros((2, n)), np.zeros((3, n)), np.zeros((2, n)))
