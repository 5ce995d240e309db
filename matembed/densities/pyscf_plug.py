"""Run PySCF with a learned functional, and refuse one whose potential is not the derivative of its energy.

Atomic units: energies in hartree, lengths in bohr (but PySCF reads geometries in Å unless told).

>>> from pyscf import dft, gto
>>> from matembed.densities.torch_functionals import pbe_exchange
>>> mf = dft.RKS(gto.M(atom="He 0 0 0", basis="6-31g", verbose=0))
>>> energy = attach(mf, pbe_exchange, correlation="PBE").kernel()
>>> round(float(energy), 6)
-2.884456

All that PySCF makes of energies, potentials and nuclear gradients works: ``mf.kernel()``, ``mf.nuc_grad_method()``, and
geometry optimisation by ``pyscf.geomopt.geometric_solver.optimize(mf)`` or ``pyscf.geomopt.berny_solver.optimize(mf)``,
which need geomeTRIC or pyberny. What needs second derivatives (``mf.newton()``, ``mf.stability()``, Hessians, TDDFT)
raises an error. A functional of the averaged density (`matembed.densities.averaging`) has energies and potentials, and
no forces; its integrals take tens of times the CPU time of a local functional. Calculations can be copied and pickled
as far as their functionals can: torch functions that a module defines, and all of this package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matembed._optional import import_extra
from matembed.densities.averaging import AveragedFunctional
from matembed.densities.functionals import Functional, LibxcHybrid, TorchCallable, complete

__all__ = ["PotentialCheck", "attach", "check_potential"]

Floats = NDArray[np.float64]

_STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_STENCIL = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))  # central differences, error of order step^6
_AGREE = 1e-10  # relative; of slopes of two steps
_MIXED_IN = 0.1  # share of electrons spread over all orbitals alike, so that no density vanishes
_LEAST_OVERLAP = 1e-6  # of a combination of basis functions that is kept


@dataclass(frozen=True)
class PotentialCheck:
    """How far a potential is from the derivative of its energy, along one change of the density matrix.

    Attributes
    ----------
    relative_error : float
        ``|found - expected| / |found|``.
    found : float
        Slope of the exchange-correlation energy by finite differences, hartree.
    expected : float
        ``tr(V dD)``, summed over spins, hartree.
    """

    relative_error: float
    found: float
    expected: float


def attach(
    mf: Any,
    functional: str | TorchCallable | Functional,
    correlation: str | TorchCallable | Functional | None = None,
    *,
    tolerance: float = 1e-8,
) -> Any:
    """Make a Kohn-Sham calculation of PySCF use a functional: a torch function, or a name of libxc.

    Parameters
    ----------
    mf : pyscf.dft.RKS, UKS or ROKS
        A molecule's calculation; it is changed. What it converged to before is forgotten, and so is ``mf.xc`` with all
        that this name meant: exact exchange, dispersion. Where an error is raised it stays as it was.
    functional : str, callable or Functional
        Anything that `as_functional` takes but hybrids: exchange and correlation, or exchange alone. Or an
        `AveragedFunctional`, such as what `EnhancementFactor.functional` makes of a model of the averaged density.
    correlation : str, callable or Functional, optional
        What completes an exchange. A name without comma stands for its correlation: ``"PBE"`` is ``",PBE"``.
        ``"none"`` says that exchange alone is meant.
    tolerance : float
        Largest relative error of the potential, see `check_potential`. Infinite lets any pass.

    Returns
    -------
    pyscf.dft.RKS, UKS or ROKS
        The same object.

    Raises
    ------
    TypeError
        If `mf` is no Kohn-Sham calculation of a molecule, or a functional is nothing that can be one.
    ValueError
        If the parts do not make one exchange and one correlation, libxc has no such functional, it is a hybrid, a torch
        function returns another shape or numbers that are not finite, or its potential is wrong.

    See Also
    --------
    check_potential : What is checked, and what it costs.

    Notes
    -----
    PySCF's own way (``mf.define_xc_``) takes derivatives as a list, drops those that are None and cuts the rest to
    length: a list with zeros for the Laplacian loses the derivative by tau, and no error is raised. Here derivatives by
    density, gradient and tau are handed over as PySCF's integrator uses them. Set the functional by this function
    alone: a later change of ``mf.xc`` raises an error.

    Examples
    --------
    >>> from pyscf import dft, gto
    >>> from matembed.densities.torch_functionals import pbe_correlation
    >>> lithium = dft.UKS(gto.M(atom="Li 0 0 0", basis="6-31g", spin=1, verbose=0))
    >>> round(float(attach(lithium, "PBE,", correlation=pbe_correlation).kernel()), 5)
    -7.45974
    """
    _check_molecular(mf)
    parts = _parts(functional, correlation)
    before = mf.xc, mf._numint
    # for libxc an empty name is nothing, which neither is a hybrid nor has nonlocal correlation
    mf.xc, mf._numint = "", _integrator(parts)
    try:
        check_potential(mf, tolerance=tolerance)
    except Exception:
        mf.xc, mf._numint = before
        raise
    mf.to_gks = _no_generalised
    mf.converged, mf.e_tot, mf.mo_energy, mf.mo_coeff, mf.mo_occ = False, 0.0, None, None, None
    return mf


def check_potential(mf: Any, *, tolerance: float = 1e-8, n_points: int = 2000, seed: int = 0) -> PotentialCheck:
    """Hold the potential of a Kohn-Sham calculation against finite differences of its energy.

    The density matrix D (from the guess, with a tenth of electrons spread evenly over all orbitals) is changed by
    ``dD = A R A'``, where ``A A' = D`` and R is a random positive matrix, of either spin, so that densities stay
    positive at every point. The slope of the energy, by central differences of sixth order, must be ``tr(V dD)``.

    Parameters
    ----------
    mf : pyscf.dft.RKS, UKS or ROKS
        Any calculation, whether `attach` made it or not; it is not changed and need not have run.
    tolerance : float
        Largest relative error that is right.
    n_points : int
        Of the coarsest grid of the molecule so many points are taken, at most.
    seed : int
        Of R and of the choice of points.

    Returns
    -------
    PotentialCheck
        The error and what was compared.

    Raises
    ------
    TypeError
        If `mf` is no Kohn-Sham calculation of a molecule.
    ValueError
        If the potential is wrong, or `n_points` is less than 1.

    Notes
    -----
    The step is the largest of 1e-2 to 1e-6 whose slope the next confirms, so that a functional with kinks passes too.
    Right potentials have errors of 1e-15 to 1e-13 (SCAN, and functionals with kinks, up to 1e-10). The energy is
    evaluated 13 times or a few more, at few points: 0.05 to 0.1 CPU seconds for molecules of two or three atoms, 0.3
    for benzene with 126 basis functions and a small network.
    """
    _check_molecular(mf)
    if n_points < 1:
        msg = f"n_points must be 1 or more, got {n_points}"
        raise ValueError(msg)
    unrestricted, guess = _spin_resolved(mf), np.array(mf.get_init_guess(key="minao"))
    integrate = mf._numint.nr_uks if unrestricted else mf._numint.nr_rks
    rng = np.random.default_rng(seed)
    matrices, changes = _random_changes(mf.get_ovlp(), guess.reshape(-1, *guess.shape[-2:]), rng)
    grids = _few_points(mf.mol, n_points, rng)

    def exchange_correlation(step: float) -> tuple[float, Floats]:
        changed = matrices + step * changes
        _, energy, potential = integrate(mf.mol, grids, mf.xc, changed if unrestricted else changed[0])
        return float(energy), potential

    expected = float((exchange_correlation(0)[1] * changes).sum())
    found = _slope(lambda step: exchange_correlation(step)[0])
    error = abs(found - expected) / max(abs(found), np.finfo(float).tiny)
    if not error <= tolerance:
        msg = (
            f"the potential is not the derivative of the energy: along a change of the density the energy changes by "
            f"{found:.10g} hartree, the potential says {expected:.10g} (relative error {error:.1e}, at most "
            f"{tolerance:.0e}); compute in float64 by torch functions alone, and detach nothing from the graph"
        )
        raise ValueError(msg)
    return PotentialCheck(error, found, expected)


def _check_molecular(mf: Any) -> None:
    dft, scf = (import_extra(f"pyscf.{name}", extra="density") for name in ("dft", "scf"))
    if not isinstance(mf, dft.rks.KohnShamDFT) or not isinstance(mf, scf.hf.SCF):
        msg = f"wanted a Kohn-Sham calculation of PySCF, such as pyscf.dft.RKS(mol), got {type(mf).__name__}"
        raise TypeError(msg)
    if not isinstance(mf, scf.hf.RHF | scf.rohf.ROHF | scf.uhf.UHF) or hasattr(mf, "cell"):
        msg = f"wanted RKS, UKS or ROKS of a molecule, got {type(mf).__module__}.{type(mf).__name__}"
        raise TypeError(msg)


def _no_generalised(*_: Any, **__: Any) -> None:
    """Stand in for ``to_gks``, which would keep the empty name and lose the functional."""
    msg = "an attached functional is one of spin up and down, and has no generalised form"
    raise NotImplementedError(msg)


def _spin_resolved(mf: Any) -> bool:
    scf = import_extra("pyscf.scf", extra="density")
    return isinstance(mf, scf.uhf.UHF | scf.rohf.ROHF)


def _parts(
    functional: str | TorchCallable | Functional, correlation: str | TorchCallable | Functional | None
) -> tuple[Functional, ...]:
    parts = complete(functional, correlation)
    hybrid = next((part for part in parts if isinstance(part, LibxcHybrid)), None)
    if hybrid:
        msg = (
            f"{hybrid.name!r} is a hybrid, which PySCF runs by itself (mf.xc = {hybrid.name!r}); pass one that is none"
        )
        raise ValueError(msg)
    if parts[0].kind == "correlation":
        msg = f"{parts[0].name} is correlation alone; pass an exchange first, and it as `correlation`"
        raise ValueError(msg)
    if parts[0].kind == "exchange" and correlation is None:
        msg = f"{parts[0].name} is exchange alone; pass correlation='PBE' or another, or 'none' if you mean it"
        raise ValueError(msg)
    return parts


def _integrator(parts: tuple[Functional, ...]) -> Any:
    import_extra("pyscf.dft.numint", extra="density")
    from matembed.densities._integrator import AveragingIntegrator, LocalIntegrator

    averaged = tuple(part for part in parts if isinstance(part, AveragedFunctional))
    local = tuple(part for part in parts if not isinstance(part, AveragedFunctional))
    return AveragingIntegrator(averaged, local) if averaged else LocalIntegrator(local)


def _few_points(mol: Any, n_points: int, rng: np.random.Generator) -> Any:
    grids = import_extra("pyscf.dft.gen_grid", extra="density").Grids(mol)
    grids.level = 0
    grids.build()
    chosen = np.sort(rng.permutation(len(grids.weights))[:n_points])
    grids.coords, grids.weights, grids.non0tab = grids.coords[chosen], grids.weights[chosen], None
    return grids


def _random_changes(overlap: Floats, guess: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return density matrices without empty orbitals, and changes of them; both of the shape of the guess."""
    lengths, directions = np.linalg.eigh(overlap)
    kept = lengths > _LEAST_OVERLAP
    to_orbitals = directions[:, kept] * np.sqrt(lengths[kept])
    orbitals = directions[:, kept] / np.sqrt(lengths[kept])
    n_orbitals = orbitals.shape[1]
    matrices, changes = [], []
    for one in guess:
        occupied = to_orbitals.T @ one @ to_orbitals
        spread = np.eye(n_orbitals) * max(np.trace(occupied), 1) / n_orbitals
        root = orbitals @ np.linalg.cholesky((1 - _MIXED_IN) * occupied + _MIXED_IN * spread)
        random = rng.normal(size=(n_orbitals, n_orbitals))
        random = random @ random.T
        matrices.append(root @ root.T)
        changes.append(root @ random @ root.T / np.linalg.norm(random, 2))
    return np.array(matrices), np.array(changes)


def _slope(energy: Callable[[float], float]) -> float:
    """Slope at 0, by the step whose result the next step changes least."""
    slopes: list[float] = []
    gaps: list[float] = []
    for step in _STEPS:
        slopes.append(sum(weight * (energy(k * step) - energy(-k * step)) for k, weight in _STENCIL) / step)
        if len(slopes) > 1:
            gaps.append(abs(slopes[-1] - slopes[-2]))
            if gaps[-1] <= _AGREE * abs(slopes[-1]):
                return slopes[-2]
    return slopes[int(np.argmin(gaps)) + 1]
