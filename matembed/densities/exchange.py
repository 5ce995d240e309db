"""EnhancementFactor: exchange functionals that obey exact constraints by their form, learned from exact exchange.

Atomic units. Exchange is that of the uniform gas times a factor that does not change when coordinates are scaled,

    E_x[n] = sum over points of weight * e_LDA(n) * F_x(s, alpha, <n>/n),

and with spin E_x[n_up, n_down] = (E_x[2 n_up] + E_x[2 n_down]) / 2. So uniform scaling and spin scaling hold whatever
is learned, and F_x = 1 at s = 0, alpha = 1, <n>/n = 1: the uniform gas. With a `bound`, 0 < F_x < bound everywhere;
1.804 is what implies the Lieb-Oxford bound on every density [1]_.

What is learned is a Gaussian process [2]_: F_x is that of PBE [1]_ (with that bound in place of 1.804) plus a smooth
function of the ingredients, each brought to a finite range. With a bound the sum is clipped smoothly: where it is well
within the bound it stays what it is, so that what a bound does is done near its ends alone. The function has as many
terms as a pivoted Cholesky factorisation of its kernel needs, and is the most probable one: a linear system of as many
equations as there are records, or with a bound a few of them.

References
----------
.. [1] J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996).
.. [2] K. Bystrom, B. Kozinsky, J. Chem. Theory Comput. 18, 2180 (2022).
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from matembed._atomic import whole_file
from matembed._optional import import_extra
from matembed.densities.averaging import AveragedFunctional
from matembed.densities.functionals import LDA_EXCHANGE
from matembed.densities.records import DensityRecord

__all__ = ["LIEB_OXFORD", "EnhancementFactor"]

Floats = NDArray[np.float64]
LIEB_OXFORD = 1.804  # largest F_x for which the Lieb-Oxford bound holds point by point

_KAPPA, _MU = 0.804, 0.2195149727645171  # of PBE
_SHARPNESS = 8.0  # of the clip: it moves F_x by 0.05 of the bound where that is 0.1 of the bound away
_NEAREST = 1e-9  # to the bound, as a share of it, that F_x of PBE is looked at
_CALM = 5e-3  # noise from which on calculations take as many cycles as with known functionals
_MOST_TERMS = 200
_RESIDUE = 1e-5  # variance of the process that terms may leave out
_STEPS = 30  # of Gauss and Newton, at most; ten are usual
_LEAST_STEP, _SMALL_STEP = 1e-3, 1e-6
_FORMAT = 2


class EnhancementFactor(BaseEstimator):
    """Learn an exchange functional that scales as exchange does.

    What it tells outside what it learned from is extrapolation: of the records of the package, all-electron molecules
    of H to Ar.

    Parameters
    ----------
    averaged : bool, default False
        See the averaged density too, which is not local. It is more exact on given densities. Self-consistent
        calculations want a bound, take some seventy times the CPU time of PBE, and find densities where
        it is less exact: see ``benchmarks/density_scf.md``.
    bound : float, optional
        Keep 0 < F_x < bound; 1.804 implies the Lieb-Oxford bound. By default F_x is free.
    length : float, default 0.5
        Correlation length of the process, where ingredients have ranges of 1 and 2. Shorter ones fit molecules like
        those that were learned from more closely, and others worse.
    noise : float, default 0.002
        How far an energy may be missed, in hartree for the square root of an electron. For self-consistent
        calculations without the averaged density take 0.01 or more: energies of given densities are a tenth worse, and
        F_x bends so little that they converge like those of known functionals.

    Attributes
    ----------
    centres_ : float64 array, shape (n_terms, 2 or 3)
        Where the terms of the process lie.

    See Also
    --------
    matembed.densities.strategies.fit : This and ways to learn scaling in place of building it in.

    Examples
    --------
    >>> from matembed.densities.records import load_records
    >>> records = [record for record in load_records().values() if record.n_electrons < 11]
    >>> model = EnhancementFactor(bound=LIEB_OXFORD).fit(records)
    >>> float(model.factor(s=0, alpha=1))
    1.0
    >>> water = load_records()["H2O"]
    >>> bool(np.isclose(model.predict([water.scaled(3)]), 3 * model.predict([water]), rtol=1e-12))
    True
    """

    def __init__(
        self, *, averaged: bool = False, bound: float | None = None, length: float = 0.5, noise: float = 2e-3
    ) -> None:
        self.averaged = averaged
        self.bound = bound
        self.length = length
        self.noise = noise

    def fit(self, records: Sequence[DensityRecord], energies: ArrayLike | None = None) -> Self:
        """Learn from the exchange of some densities.

        Parameters
        ----------
        records : sequence of DensityRecord
            Densities; one or more.
        energies : array-like, shape (n_records,), optional
            Their exchange, hartree; by default the exact exchange that they hold.

        Returns
        -------
        EnhancementFactor
            This model.

        Raises
        ------
        ValueError
            If a setting is out of range, an energy is missing or not finite, or there are too few records.
        """
        self._check()
        _check_records(records)
        target = _targets(records) if energies is None else np.asarray(energies, dtype=np.float64)
        if target.shape != (len(records),) or not np.isfinite(target).all():
            got = f"shape {target.shape}, {np.count_nonzero(~np.isfinite(target))} of them not finite"
            msg = f"wanted a finite energy for each of {len(records)} records, got {got}"
            raise ValueError(msg)
        rows = _Rows.of(records, averaged=self.averaged)
        self._terms = _Terms.of(rows, self.length)
        columns = self._terms.columns(rows.ingredients)
        noise = self.noise * np.sqrt([record.n_electrons for record in records])
        self._weights = self._solve(rows, columns, target, noise)
        self.centres_ = self._terms.centres
        return self

    def _check(self) -> None:
        if self.bound is not None and not (np.isfinite(self.bound) and self.bound > 1):
            msg = f"bound must be a number more than 1, which is F_x of the uniform gas, got {self.bound!r}"
            raise ValueError(msg)
        for name in ("length", "noise"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                msg = f"{name} must be a positive number, got {value!r}"
                raise ValueError(msg)

    def _prior(self, x: Floats) -> Floats:
        """Tell what F_x is before anything is learned, or what the clip makes that of, from the first ingredient."""
        factor = _prior_factor(x, self.bound)
        return factor if self.bound is None else _unclipped(factor, self.bound, np)

    def _bounded(self, rows: "_Rows", learned: Floats) -> Floats:
        given = self._prior(rows.ingredients[:, 0]) + learned
        return given if self.bound is None else _clipped(given, self.bound)

    def _solve(self, rows: "_Rows", columns: Floats, target: Floats, noise: Floats) -> Floats:
        """Find the most probable weights of terms; a bound, which bends F_x, takes steps of Gauss and Newton."""
        weights = np.zeros(columns.shape[1])
        before = self._prior(rows.ingredients[:, 0])
        factor = self._bounded(rows, columns @ weights)
        for _ in range(1 if self.bound is None else _STEPS):
            slope = np.ones_like(factor) if self.bound is None else _slope(before + columns @ weights, self.bound)
            slopes = rows.energies(slope[:, None] * columns) / noise[:, None]
            missed = (target - rows.energies(factor)) / noise
            aim = missed + slopes @ weights
            change = slopes.T @ np.linalg.solve(slopes @ slopes.T + np.eye(len(aim)), aim) - weights
            cost, share = missed @ missed + weights @ weights, 1.0
            while share > _LEAST_STEP:
                tried = weights + share * change
                factor = self._bounded(rows, columns @ tried)
                left = (target - rows.energies(factor)) / noise
                if self.bound is None or left @ left + tried @ tried <= cost:
                    break
                share /= 2
            weights = tried
            if share * np.abs(change).max() < _SMALL_STEP:
                break
        return weights

    def factor(self, s: ArrayLike, alpha: ArrayLike, averaged: ArrayLike = 1.0) -> Floats:
        """Tell F_x.

        Parameters
        ----------
        s : array-like
            Reduced gradients.
        alpha : array-like
            Iso-orbital indicators.
        averaged : array-like, default 1
            Averaged densities over densities; not looked at unless the model was made so.

        Returns
        -------
        float64 array
            Of their common shape.
        """
        check_is_fitted(self)
        several = np.broadcast_arrays(*(np.asarray(one, dtype=np.float64) for one in (s, alpha, averaged)))
        ingredients = _ingredients(*(one.ravel() for one in several), averaged_too=self.averaged)
        learned = self._terms.columns(ingredients) @ self._weights
        given = self._prior(ingredients[:, 0]) + learned
        return (given if self.bound is None else _clipped(given, self.bound)).reshape(several[0].shape)

    def predict(self, records: Sequence[DensityRecord]) -> Floats:
        """Tell the exchange of densities.

        Parameters
        ----------
        records : sequence of DensityRecord
            One or more.

        Returns
        -------
        float64 array, shape (n_records,)
            Hartree.

        Raises
        ------
        TypeError, ValueError
            If they are no records, or none.
        """
        check_is_fitted(self)
        _check_records(records)
        rows = _Rows.of(records, averaged=self.averaged)
        return rows.energies(self._bounded(rows, self._terms.columns(rows.ingredients) @ self._weights))

    def functional(self, name: str = "learned exchange") -> "LearnedExchange | AveragedFunctional":
        """Make the torch function that `matembed.densities.pyscf_plug.attach` and the scorecard take.

        Parameters
        ----------
        name : str
            For tables and figures.

        Returns
        -------
        LearnedExchange or AveragedFunctional
            ``f(n, sigma, tau) -> energy per volume``, of the family "MGGA". Of a model that sees the averaged density
            what `attach` alone takes.

        Warns
        -----
        UserWarning
            If `noise` is below 0.005: F_x may bend so much that calculations take many cycles. If the averaged density
            is seen and there is no bound: F_x falls below 0 at points, and they may not converge.
        """
        check_is_fitted(self)
        if self.averaged and self.bound is None:
            msg = (
                "without a bound F_x of the averaged density falls below 0; calculations may not converge; fit with one"
            )
            warnings.warn(msg, stacklevel=2)
        elif self.noise < _CALM and not self.averaged:
            msg = f"with noise {self.noise:g} F_x bends much, and calculations may not converge; fit with noise=0.01"
            warnings.warn(msg, stacklevel=2)
        told = LearnedExchange(self._terms.centres, self._terms.mix @ self._weights, self.length, self.bound, name)
        return AveragedFunctional(told, "exchange", name) if self.averaged else told

    # On disk ---------------------------------------------------------------------------------------------------------

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as one safetensors file, with its settings as metadata.

        Parameters
        ----------
        path : path-like
            File to make; one that is there is replaced.

        Returns
        -------
        Path
            The file.
        """
        from safetensors.numpy import save

        check_is_fitted(self)
        arrays = {"centres": self._terms.centres, "mix": self._terms.mix, "weights": self._weights}
        told = {"type": type(self).__name__, "format": str(_FORMAT), "settings": json.dumps(self.get_params())}
        with whole_file(Path(path)) as partial:
            partial.write_bytes(save({name: np.ascontiguousarray(one) for name, one in arrays.items()}, told))
        return Path(path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `write` made.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        EnhancementFactor
            With the same predictions to the last bit.

        Raises
        ------
        ValueError
            If it holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            opened = safe_open(path, "numpy")
        except SafetensorError as error:
            msg = f"{path} is no safetensors file ({error}); pass one that {cls.__name__}.write made"
            raise ValueError(msg) from error
        with opened as file:
            told = file.metadata() or {}
            if (told.get("type"), told.get("format")) != (cls.__name__, str(_FORMAT)):
                found = f"{told.get('type', 'something else')} of format {told.get('format', 'unknown')}"
                msg = f"{path} holds {found}, wanted {cls.__name__} of format {_FORMAT}; fit and write it again"
                raise ValueError(msg)
            centres, mix, weights = (file.get_tensor(name) for name in ("centres", "mix", "weights"))
        model = cls(**json.loads(told["settings"]))
        model._terms = _Terms(centres, mix, model.length)
        model._weights, model.centres_ = weights, centres
        return model


class LearnedExchange:
    """What `EnhancementFactor.functional` makes: exchange as a torch function of n, sigma and tau.

    One that was made of centres with three columns takes the averaged spin densities as fourth argument.

    Attributes
    ----------
    name : str
        For tables and figures.
    kind, family : str
        "exchange" and "MGGA".
    """

    kind, family = "exchange", "MGGA"

    def __init__(self, centres: Floats, weights: Floats, length: float, bound: float | None, name: str) -> None:
        torch = import_extra("torch", extra="density")
        self.name = name
        self._bound, self._length = bound, length
        self._directions = torch.from_numpy(centres.T / length**2)
        self._weights = torch.from_numpy(weights)
        self._of_centres = torch.from_numpy(-0.5 * (centres**2).sum(axis=1) / length**2)

    def __call__(self, n: Any, sigma: Any, tau: Any, averaged: Any = None) -> Any:
        """Tell the energy per volume, hartree/bohr^3, shape (n_points,)."""
        several = [() if averaged is None else (2 * averaged[row],) for row in (0, 1)]
        return 0.5 * sum(
            self._of_one_spin(2 * n[row], 4 * sigma[2 * row], 2 * tau[row], *several[row]) for row in (0, 1)
        )

    def _of_one_spin(self, n: Any, sigma: Any, tau: Any, *averaged: Any) -> Any:
        """Tell the energy per volume of a density without spin."""
        torch = import_extra("torch", extra="density")
        there = n.clamp(min=1e-25)
        k2 = (3 * np.pi**2 * there) ** (2 / 3)
        uniform = 0.3 * k2 * there
        excess = torch.maximum(tau - sigma / (8 * there), -0.5 * uniform)  # of rounding alone it is below 0
        x = 0.3 * sigma / (0.3 * sigma + 4 * k2 * there**2)
        u = 0.5 * (uniform - excess) / (uniform + excess)
        seen = torch.stack([x, u, *((one - there) / (one + there) for one in averaged)], dim=1)
        of_seen = -0.5 * (seen**2).sum(dim=1) / self._length**2
        # Of products of exponentials, which overflow where the length is short, the exponents are added. Where nothing
        # is seen, as in the uniform gas, both are the same numbers.
        both = of_seen[:, None] + self._of_centres
        learned = (torch.exp(seen @ self._directions + both) - torch.exp(both)) @ self._weights
        factor = _prior_factor(x, self._bound)
        if self._bound is None:
            factor = factor + learned
        else:
            sharp = _SHARPNESS * (_unclipped(factor, self._bound, torch) + learned) / self._bound
            ends = (torch.nn.functional.softplus(one, threshold=40) for one in (sharp, sharp - _SHARPNESS))
            factor = self._bound / _SHARPNESS * (next(ends) - next(ends))
        return LDA_EXCHANGE * n ** (4 / 3) * factor


# Rows and terms ------------------------------------------------------------------------------------------------------


def _ingredients(s: Floats, alpha: Floats, averaged: Floats, *, averaged_too: bool) -> Floats:
    """Bring ingredients to finite ranges, with the uniform gas at 0: [0, 1), (-1/2, 1/2] and (-1, 1)."""
    columns = [0.3 * s**2 / (1 + 0.3 * s**2), 0.5 * (1 - alpha) / (1 + alpha)]
    return np.column_stack([*columns, *([(averaged - 1) / (averaged + 1)] if averaged_too else [])])


def _prior_factor(x: Any, bound: float | None) -> Any:
    """Tell F_x of PBE from the first ingredient; with another bound than its own, of its form with that bound."""
    kappa = _KAPPA if bound is None else bound - 1
    return 1 + kappa - kappa * 0.3 * (1 - x) / (0.3 * (1 - x) + _MU / kappa * x)


def _clipped(value: Floats, bound: float) -> Floats:
    """Bring any number between 0 and the bound; those well within stay what they are."""
    sharp = _SHARPNESS * value / bound
    return np.asarray(bound / _SHARPNESS * (np.logaddexp(0, sharp) - np.logaddexp(0, sharp - _SHARPNESS)))


def _slope(value: Floats, bound: float) -> Floats:
    """Differentiate `_clipped`."""
    sharp = _SHARPNESS * value / bound
    return np.asarray(expit(sharp) - expit(sharp - _SHARPNESS))


def _unclipped(factor: Any, bound: float, library: Any) -> Any:
    """Tell what `_clipped` makes F_x of, by NumPy or torch."""
    share = _SHARPNESS * (factor / bound).clip(max=1 - _NEAREST)
    return bound / _SHARPNESS * (library.log(library.expm1(share)) - library.log(-library.expm1(share - _SHARPNESS)))


def _check_records(records: Sequence[DensityRecord]) -> None:
    if isinstance(records, DensityRecord | Mapping):
        msg = f"wanted a list of records, got a {type(records).__name__}; pass list(records.values()), or [record]"
        raise TypeError(msg)
    if not len(records):
        msg = "wanted one or more records, got none"
        raise ValueError(msg)
    wrong = [record for record in records if not isinstance(record, DensityRecord)]
    if wrong:
        msg = f"wanted records, such as densities.load_records() holds, got {wrong[0]!r:.60}"
        raise TypeError(msg)


def _targets(records: Sequence[DensityRecord]) -> Floats:
    lacking = [record.name for record in records if "exact_exchange" not in record.energies]
    if lacking:
        msg = f"{len(lacking)} records have no exact exchange, such as {lacking[0]!r}; pass energies"
        raise ValueError(msg)
    return np.array([record.energies["exact_exchange"] for record in records])


class _Rows:
    """Rows of many records, and the sums over those of each."""

    def __init__(self, ingredients: Floats, uniform: Floats, starts: NDArray[np.int64]) -> None:
        self.ingredients, self.uniform, self.starts = ingredients, uniform, starts

    @classmethod
    def of(cls, records: Sequence[DensityRecord], *, averaged: bool) -> Self:
        parts = [record.exchange_rows() for record in records]
        columns = [_ingredients(part.s, part.alpha, part.averaged, averaged_too=averaged) for part in parts]
        uniform = [LDA_EXCHANGE * part.weights * part.n ** (4 / 3) for part in parts]
        starts = np.cumsum([0, *(len(part.n) for part in parts)])[:-1]
        return cls(np.concatenate(columns), np.concatenate(uniform), starts)

    def energies(self, factor: Floats) -> Floats:
        """Sum exchange over the rows of each record; of several factors in columns, for each."""
        uniform = self.uniform if factor.ndim == 1 else self.uniform[:, None]
        return np.add.reduceat(uniform * factor, self.starts, axis=0)


class _Terms:
    """Functions of the ingredients whose weights are independent and of variance 1 in the process."""

    def __init__(self, centres: Floats, mix: Floats, length: float) -> None:
        self.centres, self.mix, self.length = centres, mix, length

    @classmethod
    def of(cls, rows: _Rows, length: float) -> Self:
        """Choose centres by a pivoted Cholesky factorisation: each time the row that the others tell least of."""
        unknown = 1 - np.exp(-(rows.ingredients**2).sum(axis=1) / length**2)
        chosen: list[int] = []
        factors = np.empty((_MOST_TERMS, len(unknown)))
        while len(chosen) < _MOST_TERMS and unknown.max() > _RESIDUE:
            pivot, n = int(unknown.argmax()), len(chosen)
            row = _kernel(rows.ingredients[[pivot]], rows.ingredients, length)[0]
            factors[n] = (row - factors[:n, pivot] @ factors[:n]) / np.sqrt(unknown[pivot])
            unknown = np.maximum(unknown - factors[n] ** 2, 0)
            unknown[pivot] = 0
            chosen.append(pivot)
        lower = factors[: len(chosen), chosen].T
        mix = solve_triangular(lower, np.eye(len(chosen)), lower=True).T
        return cls(rows.ingredients[chosen], mix, length)

    def columns(self, ingredients: Floats) -> Floats:
        """Evaluate all terms, shape (n_rows, n_terms); they are 0 for the uniform gas."""
        return _kernel(ingredients, self.centres, self.length) @ self.mix


def _kernel(one: Floats, other: Floats, length: float) -> Floats:
    """Tell the covariance of a process whose value for the uniform gas is known."""
    norms = [(rows**2).sum(axis=1) for rows in (one, other)]
    squares = np.maximum(norms[0][:, None] + norms[1] - 2 * one @ other.T, 0)
    at_origin = [np.exp(-0.5 * norm / length**2) for norm in norms]
    return np.asarray(np.exp(-0.5 * squares / length**2) - np.outer(*at_origin))
