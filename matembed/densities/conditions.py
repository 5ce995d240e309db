"""Conditions that the exact functional meets, each judged by one number.

Atomic units: r_s in bohr, n in e/bohr^3, energies in hartree; energies of hydrogen in mHa.

Local conditions are measured on a grid of r_s (0.01 to 20 bohr), zeta (0, 0.5, 0.9), s (0 to 8) and alpha (0 to 5), and
at random spin densities; global ones on densities of atoms or molecules. A local condition is sufficient for the global
one, not necessary: a functional that breaks it at large s may hold for every molecule.

F_x is the exchange energy per volume over that of the uniform gas of the same density, ``-0.7386 n^(4/3)``; eps_c the
correlation energy per electron; ``n_g(r) = g^3 n(g r)`` the density whose coordinates are scaled by g.

Of hybrids the exact exchange is added where it is known in closed form or comes with the densities, and left out where
it obeys the condition by itself; bounds on F_x at points count it as large as they let it be, or as 0 where its share
is negative, so that they imply what they do for others. Notes say which.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from matembed.densities import _measures as measures
from matembed.densities._measures import Measurement, NotApplicableError
from matembed.densities.electrons import Electrons
from matembed.densities.functionals import Functional, Kind

__all__ = ["CONDITIONS", "Condition", "Outcome", "Verdict"]


Verdict = Literal["pass", "fail", "no number", "not applicable"]


@dataclass(frozen=True)
class Outcome:
    """A condition, as a functional meets it or not.

    Attributes
    ----------
    part : {"exchange", "correlation", "exchange-correlation"}
        Of the functional.
    name : str
        Of the condition.
    wanted : str
        In words, with the tolerance and the unit.
    measured : float or None
        None where there is no number.
    verdict : {"pass", "fail", "no number", "not applicable"}
        "no number" where the functional gave one that is not finite, such as 0/0.
    note : str
        Where the number was found and what was done about exact exchange, or why there is none.
    source : str
        The paper.
    """

    part: Kind
    name: str
    wanted: str
    measured: float | None
    verdict: Verdict
    note: str
    source: str

    @property
    def passed(self) -> bool | None:
        """Whether it is met; None where nothing was measured."""
        return {"pass": True, "fail": False}.get(self.verdict)

    @property
    def number(self) -> str:
        """What was measured, short enough for a cell of a table."""
        if self.measured is None:
            return "none" if self.verdict == "no number" else "–"
        if self.measured and not 1e-3 <= abs(self.measured) < 1e3:
            return f"{self.measured:.0e}".replace("e-0", "e-").replace("e+0", "e")
        return f"{self.measured:#.3g}".rstrip(".") if self.measured else "0"


@dataclass(frozen=True)
class Condition:
    """What is measured, and between which numbers it must be.

    Attributes
    ----------
    part : {"exchange", "correlation", "exchange-correlation"}
        Of the functional.
    name : str
        Short; no two have the same.
    wanted : str
        In words, with the tolerance and the unit.
    on : {"points", "hydrogen", "densities"}
        What it is measured on: a grid or random points, the hydrogen atom, or given densities.
    measure : callable
        ``measure(functional) -> Measurement``, or ``measure(functional, electrons)`` on densities.
    low, high : float
        It is met where the number is in between, ends included.
    source : str
        The paper.
    unsplit : {"limit", "sum", "skip"}
        What is measured of a functional that does not split: its high-density limit (or the rest), the functional at
        the densities as they are, or nothing, where such a limit tells nothing.
    """

    part: Kind
    name: str
    wanted: str
    on: Literal["points", "hydrogen", "densities"]
    measure: Callable[..., Measurement]
    low: float
    high: float
    source: str
    unsplit: Literal["limit", "sum", "skip"] = "limit"

    def judge(self, functional: Functional, electrons: Electrons) -> Outcome:
        """Measure a functional.

        Parameters
        ----------
        functional : Functional
            Its part that the condition is about; with an attribute `exact` where exact exchange goes with it.
        electrons : Electrons
            Real densities.

        Returns
        -------
        Outcome
            The number and the verdict.
        """
        try:
            # infinity and nan are told, not warned of
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                value, where = self.measure(*((functional, electrons) if self.on == "densities" else (functional,)))
        except NotApplicableError as reason:
            return self.skip(str(reason))
        if not np.isfinite(value):
            return self._outcome(None, "no number", f"not finite at {where}")
        return self._outcome(value, "pass" if self.low <= value <= self.high else "fail", where)

    def skip(self, reason: str) -> Outcome:
        """Say why it does not apply.

        Parameters
        ----------
        reason : str
            Short.

        Returns
        -------
        Outcome
            Without number.
        """
        return self._outcome(None, "not applicable", reason)

    def _outcome(self, measured: float | None, verdict: Verdict, note: str) -> Outcome:
        return Outcome(self.part, self.name, self.wanted, measured, verdict, note, self.source)


_LEVY = "M. Levy, J. P. Perdew, Phys. Rev. A 32, 2010 (1985)"
_LIEB = "E. H. Lieb, S. Oxford, Int. J. Quantum Chem. 19, 427 (1981)"
_ZUNGER = "J. P. Perdew, A. Zunger, Phys. Rev. B 23, 5048 (1981)"

# Tolerances are above what libxc's floors on small densities, gradients and tau leave (2e-6 of exchange, where a spin
# is empty or tau is 0 at r_s = 200; 5e-7 hartree of correlation) and what coefficients published with six digits leave;
# below what any functional known to break a condition is off by.
CONDITIONS: tuple[Condition, ...] = (
    Condition(
        "exchange",
        "coordinate scaling",
        "F_x of n_g as of n for g from 0.1 to 10, within 1e-5",
        "points",
        measures.scaling,
        0,
        1e-5,
        _LEVY,
        unsplit="skip",
    ),
    Condition(
        "exchange",
        "scaling identity",
        "3 n e_n + 8 sigma e_sigma + 5 tau e_tau = 4 e, within 1e-5 of the uniform gas",
        "points",
        measures.scaling_derivatives,
        0,
        1e-5,
        _LEVY,
        unsplit="skip",
    ),
    Condition(
        "exchange",
        "uniform gas exchange",
        "relative error at most 1e-4",
        "points",
        measures.uniform_gas_exchange,
        0,
        1e-4,
        "W. Kohn, L. J. Sham, Phys. Rev. 140, A1133 (1965)",
    ),
    Condition(
        "exchange",
        "spin scaling",
        "E_x[n_up, n_down] = (E_x[2 n_up] + E_x[2 n_down]) / 2, within 1e-4 of the uniform gas",
        "points",
        measures.spin_scaling,
        0,
        1e-4,
        "G. L. Oliver, J. P. Perdew, Phys. Rev. A 20, 397 (1979)",
    ),
    Condition(
        "exchange",
        "gradient expansion",
        "F_x = 1 + (10/81) s^2 to second order: 0.1235 within 0.0005",
        "points",
        measures.gradient_expansion,
        10 / 81 - 5e-4,  # published parameters give it to 0.0001
        10 / 81 + 5e-4,
        "P. S. Svendsen, U. von Barth, Phys. Rev. B 54, 17402 (1996)",
        unsplit="skip",
    ),
    Condition(
        "exchange",
        "non-positive exchange",
        "F_x at least 0, within 1e-6",
        "points",
        measures.least_enhancement,
        -1e-6,  # a high-density limit that is 0 is so to rounding
        np.inf,
        _LEVY,
    ),
    Condition(
        "exchange",
        "local Lieb-Oxford",
        "F_x at most 1.804",
        "points",
        partial(measures.enhancement, bound=1.804),
        -np.inf,
        1.804 * (1 + 1e-6),  # 1 + kappa of RPBE, reached to rounding
        "J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996)",
    ),
    Condition(
        "exchange",
        "tight Lieb-Oxford",
        "F_x at most 1.174, proven for two electrons",
        "points",
        partial(measures.enhancement, bound=1.174),
        -np.inf,
        1.174 * (1 + 1e-6),  # reached by SCAN
        "J. P. Perdew, A. Ruzsinszky, J. Sun, K. Burke, J. Chem. Phys. 140, 18A533 (2014)",
    ),
    Condition(
        "exchange",
        "global Lieb-Oxford of exchange",
        "E_x at most 2.273 times that of the uniform gas",
        "densities",
        measures.real_enhancement,
        -np.inf,
        2.273,
        _LIEB,
    ),
    Condition(
        "exchange",
        "hydrogen exchange",
        "E_x + U = 0, within 0.02 mHa",
        "hydrogen",
        measures.hydrogen_exchange,
        -0.02,
        0.02,
        _ZUNGER,
    ),
    Condition(
        "correlation",
        "uniform gas correlation",
        "relative error at most 0.03",
        "points",
        measures.uniform_gas_correlation_error,
        0,
        0.03,  # fits to the same Monte Carlo energies (Perdew-Zunger's, Vosko-Wilk-Nusair's) differ by as much
        "J. P. Perdew, Y. Wang, Phys. Rev. B 45, 13244 (1992)",
    ),
    Condition(
        "correlation",
        "local non-positive correlation",
        "eps_c at most 0, within 1e-6 Ha",
        "points",
        measures.correlation_sign,
        -np.inf,
        1e-6,
        _LEVY,
    ),
    Condition(
        "correlation",
        "global non-positive correlation",
        "E_c at most 0, within 1e-6 Ha",
        "densities",
        measures.real_correlation_sign,
        -np.inf,
        1e-6,
        _LEVY,
    ),
    Condition(
        "correlation",
        "local scaling inequality",
        "-d(r_s eps_c)/dr_s at least 0, within 1e-6 Ha",
        "points",
        measures.scaling_inequality,
        -1e-6,
        np.inf,
        _LEVY,
        unsplit="sum",  # exchange that scales adds nothing
    ),
    Condition(
        "correlation",
        "global scaling inequality",
        "E_c[n_g] at least g E_c[n] for g above 1, at most below 1: gain at least 0, within 1e-6 Ha",
        "densities",
        measures.real_scaling_inequality,
        -1e-6,
        np.inf,
        _LEVY,
        unsplit="sum",  # exchange that scales adds nothing
    ),
    Condition(
        "correlation",
        "high-density limit",
        "E_c[n_g] finite: from g = 1,000 to 10,000 at most 1.1 times",
        "densities",
        measures.high_density,
        -np.inf,
        1.1,  # that of the uniform gas, which grows as ln g, is 1.3 times; finite ones that are slow 1.04
        "M. Levy, Phys. Rev. A 43, 4637 (1991)",
    ),
    Condition(
        "correlation",
        "hydrogen correlation",
        "E_c = 0, within 0.02 mHa",
        "hydrogen",
        measures.hydrogen_correlation,
        -0.02,
        0.02,
        _ZUNGER,
    ),
    Condition(
        "exchange-correlation",
        "high-density exchange",
        "E_xc[n_g] / g settles: g = 100,000 and 1,000,000 alike within 0.001",
        "densities",
        measures.high_density_exchange,
        0,
        1e-3,  # correlation is up to 1e-4 of exchange there
        _LEVY,
    ),
    Condition(
        "exchange-correlation",
        "global Lieb-Oxford",
        "E_xc at most 2.273 times exchange of the uniform gas",
        "densities",
        measures.real_enhancement,
        -np.inf,
        2.273,
        _LIEB,
        unsplit="sum",
    ),
    Condition(
        "exchange-correlation",
        "one-electron self-interaction",
        "E_x + E_c + U of hydrogen = 0, within 0.02 mHa",
        "hydrogen",
        measures.one_electron,
        -0.02,
        0.02,
        _ZUNGER,
        unsplit="sum",
    ),
)
