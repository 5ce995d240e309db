"""PySCF's integrator of functionals, made to evaluate others than libxc's; imported where PySCF is there.

Atomic units. A calculation holds one as ``mf._numint``; as it holds functionals and no closures, it can be copied and
pickled as far as they can.
"""

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pyscf.dft.numint import NumInt

from matembed.densities.averaging import AveragedFunctional, energy_and_potential
from matembed.densities.functionals import Family, Functional, LibxcFunctional, SpinPoints

__all__ = ["AveragingIntegrator", "LocalIntegrator"]

Floats = NDArray[np.float64]

_FAMILIES: tuple[Family, ...] = get_args(Family)
_N_ROWS = {"LDA": 1, "GGA": 4, "MGGA": 5}  # of PySCF's rho: density, its gradient, tau
_LAPLACIAN = 4  # its row, where there are six
_LEAST_DENSITY = 1e-15  # e/bohr^3; no functional but libxc's is asked below, which moves no energy


class LocalIntegrator(NumInt):
    """Integrates functions of n, its gradient and tau."""

    def __init__(self, parts: tuple[Functional, ...]) -> None:
        super().__init__()
        self.parts = parts
        self.family: Family = max((part.family for part in parts), key=_FAMILIES.index, default="LDA")

    def _xc_type(self, *_: Any, **__: Any) -> Family:
        return self.family

    def eval_xc_eff(self, xc_code: str, rho: Any, deriv: int = 1, **_: Any) -> list[Any]:
        """Evaluate as PySCF wants it: energies per electron, and derivatives by each row of `rho`."""
        if xc_code:
            msg = f"mf.xc became {xc_code!r} after attach; attach the functional you want, or make a new calculation"
            raise ValueError(msg)
        if deriv > 1:
            msg = "an attached functional has no second derivatives; newton, stability, Hessians and TDDFT need them"
            raise NotImplementedError(msg)
        given = np.asarray(rho, dtype=np.float64)
        polarised = given.ndim == (2 if self.family == "LDA" else 3)
        spins = given.reshape(1 + polarised, -1, given.shape[-1])
        if spins.shape[1] > _N_ROWS["MGGA"]:
            spins = np.delete(spins, _LAPLACIAN, axis=1)
        energy = np.zeros(given.shape[-1])
        potential = np.zeros((len(spins), _N_ROWS[self.family], given.shape[-1]))
        for part in self.parts:
            n_rows = _N_ROWS[part.family]
            of_part = _libxc_part if isinstance(part, LibxcFunctional) else _other_part
            part_energy, part_potential = of_part(part, spins[:, :n_rows])
            energy += part_energy
            potential[:, :n_rows] += part_potential
        total = spins[:, 0].sum(axis=0)
        per_electron = np.divide(energy, total, out=np.zeros_like(total), where=total > 0)
        return [per_electron, potential if polarised else potential[0], None, None]


class AveragingIntegrator(NumInt):
    """Integrates functionals of the averaged density, and local ones beside them."""

    def __init__(self, averaged: tuple[AveragedFunctional, ...], local: tuple[Functional, ...]) -> None:
        super().__init__()
        self.averaged = averaged
        self.local = LocalIntegrator(local)

    def _xc_type(self, *_: Any, **__: Any) -> Family:
        return "MGGA"

    def eval_xc_eff(self, *_: Any, **__: Any) -> list[Any]:
        """Refuse: this is how PySCF asks for forces and second derivatives."""
        msg = "a functional of the averaged density has energies and potentials alone: no forces, no second derivatives"
        raise NotImplementedError(msg)

    def nr_rks(self, mol: Any, grids: Any, xc_code: str, dms: Any, *args: Any, **settings: Any) -> tuple[Any, Any, Any]:
        """Tell electrons, energy and potential of a closed shell, as PySCF does."""
        told = self.local.nr_rks(mol, grids, xc_code, dms, *args, **settings)
        return self._with_averaged(told, mol, grids, np.asarray(dms)[None] / 2)

    def nr_uks(self, mol: Any, grids: Any, xc_code: str, dms: Any, *args: Any, **settings: Any) -> tuple[Any, Any, Any]:
        """Tell electrons, energy and potentials of spin up and down, as PySCF does."""
        told = self.local.nr_uks(mol, grids, xc_code, dms, *args, **settings)
        return self._with_averaged(told, mol, grids, np.asarray(dms))

    def _with_averaged(self, told: Any, mol: Any, grids: Any, matrices: Floats) -> tuple[Any, Any, Any]:
        if matrices.ndim != 3:
            msg = "a functional of the averaged density takes one calculation at a time"
            raise NotImplementedError(msg)
        n_electrons, energy, potential = told
        for functional in self.averaged:
            more, change = energy_and_potential(functional, mol, grids, matrices)
            energy, potential = energy + more, potential + change.reshape(np.shape(potential))
        return n_electrons, energy, potential


def _libxc_part(part: Functional, spins: Floats) -> tuple[Floats, Floats]:
    """Energy per volume, and its derivative by each number of ``spins``."""
    rho = spins[:, 0] if part.family == "LDA" else spins
    told = NumInt().eval_xc_eff(part.name, rho if len(spins) == 2 else rho[0], deriv=1, xctype=part.family)
    return told[0] * spins[:, 0].sum(axis=0), told[1].reshape(spins.shape)


def _other_part(part: Functional, spins: Floats) -> tuple[Floats, Floats]:
    """Energy per volume, and its derivative by each number of ``spins``."""
    present = spins[:, 0].sum(axis=0) > _LEAST_DENSITY
    rho = spins[..., present] if len(spins) == 2 else np.repeat(spins[..., present] / 2, 2, axis=0)
    n_points = rho.shape[-1]
    gradient = rho[:, 1:4] if part.family != "LDA" else np.zeros((2, 3, n_points))
    tau = rho[:, 4] if part.family == "MGGA" else np.zeros((2, n_points))
    told = part.derivatives(SpinPoints.of_gradients(rho[:, 0], gradient, tau))
    for unused, slopes in (("tau", told.v_tau), ("sigma", told.v_sigma))[: 2 - _FAMILIES.index(part.family)]:
        if slopes.any():
            msg = f"{part.name} says that it is of family {part.family}, but depends on {unused}; correct its `family`"
            raise ValueError(msg)
    potential = told.by_rows(gradient)[:, : rho.shape[1]]
    energy, everywhere = np.zeros(len(present)), np.zeros(spins.shape)
    energy[present] = told.energy
    everywhere[..., present] = potential if len(spins) == 2 else potential.mean(axis=0, keepdims=True)
    return energy, everywhere
