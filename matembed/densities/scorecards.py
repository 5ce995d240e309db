"""Scorecard: which exact conditions a density functional meets, whoever made it.

Atomic units: energies in hartree (mHa where said), r_s in bohr. The conditions are in `matembed.densities.conditions`.

A name of libxc is split into exchange and correlation, which have conditions of their own. A functional that cannot be
split has exchange nevertheless: what ``E_xc[n_g] / g`` goes to as g grows [1]_, at each point extrapolated from where
it has r_s = 1e-7 and 1e-8; and the rest is its correlation. Conditions that such a limit meets by itself, or is not
sharp enough for, are then not applicable.

Hybrids are split in the same way, and their exact exchange goes with their exchange: see `conditions`. Where distances
matter (HSE06) exchange does not scale with the density, so that it has no such limit; and exact exchange is known of
the uniform gas and of hydrogen alone. What that leaves open is not applicable, with the reason.

References
----------
.. [1] M. Levy, J. P. Perdew, Phys. Rev. A 32, 2010 (1985).
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

import numpy as np
import pandas as pd

from matembed.densities._scorecard_figure import draw_one, draw_several
from matembed.densities.conditions import CONDITIONS, Condition, Outcome
from matembed.densities.electrons import Density, Electrons, default_densities
from matembed.densities.functionals import (
    Derivatives,
    Difference,
    ExactShare,
    Family,
    Functional,
    Kind,
    LibxcFunctional,
    LibxcHybrid,
    SpinPoints,
    TorchCallable,
    as_functional,
    complete,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Scorecard", "draw", "page", "scorecard"]

_STEP, _MISSED = 1e-4, 1e-5  # relative change of an ingredient, and error of a slope of the energy by its logarithm
_HIGH = (1e-7, 1e-8)  # r_s; correlation is less than 1e-6 of exchange there, or 1e-5 where it grows as r_s^(-1/2)
_NO_DENSITY = 1e-15  # e/bohr^3, of libxc


@dataclass(frozen=True)
class Scorecard:
    """How a functional does with the exact conditions.

    Attributes
    ----------
    functional : str
        Its name.
    kind : {"exchange", "correlation", "exchange-correlation"}
        What it tells of.
    family : {"LDA", "GGA", "MGGA"}
        What it depends on, exact exchange left out.
    exact : ExactShare
        How much exact exchange it has.
    densities : tuple of str
        Names of the real densities it was integrated over.
    outcomes : tuple of Outcome
        One a condition, in the order of `matembed.densities.conditions.CONDITIONS`.
    """

    functional: str
    kind: Kind
    family: Family
    exact: ExactShare
    densities: tuple[str, ...]
    outcomes: tuple[Outcome, ...]

    def __getitem__(self, condition: str) -> Outcome:
        for outcome in self.outcomes:
            if outcome.name == condition:
                return outcome
        msg = f"no condition {condition!r}; there are {', '.join(repr(one.name) for one in self.outcomes)}"
        raise KeyError(msg)

    def __repr__(self) -> str:
        broken = [one.name for one in self.outcomes if one.passed is False]
        tail = f"; not {', '.join(broken)}" if broken else ""
        return f"Scorecard({self.functional}, {self.ingredients}: {self.summary()}{tail})"

    @property
    def ingredients(self) -> str:
        """Family, and exact exchange if there is any."""
        return self.family + (f" with {self.exact}" if self.exact != ExactShare() else "")

    @property
    def n_met(self) -> tuple[int, int]:
        """How many conditions are met, and of how many that apply."""
        applicable = [one.passed for one in self.outcomes if one.passed is not None]
        return sum(applicable), len(applicable)

    def summary(self) -> str:
        """Say in words how many conditions are met.

        Returns
        -------
        str
            Short.
        """
        met, of = self.n_met
        missing = sum(one.verdict == "no number" for one in self.outcomes)
        return f"{met} of {of} conditions met" + (f", {missing} without number" if missing else "")

    def to_frame(self) -> pd.DataFrame:
        """Make a table.

        Returns
        -------
        pandas.DataFrame
            A row a condition; part, condition, wanted, measured (nan where nothing is), verdict, note and source.
        """
        rows = [
            (one.part, one.name, one.wanted, one.measured, one.verdict, one.note, one.source) for one in self.outcomes
        ]
        columns = ["part", "condition", "wanted", "measured", "verdict", "note", "source"]
        return pd.DataFrame(rows, columns=columns).astype({"measured": "float64"})

    def to_json(self) -> str:
        """Write as JSON, whence `from_json` reads the same.

        Returns
        -------
        str
            An object; `outcomes` is a list of objects. What does not apply is null.
        """
        return json.dumps(asdict(self), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        Scorecard
            The same.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            values = json.loads(text)
            outcomes = tuple(Outcome(**one) for one in values.pop("outcomes"))
            given = {"exact": ExactShare(**values["exact"]), "densities": tuple(values["densities"])}
            return cls(**values | given, outcomes=outcomes)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = f"wanted the JSON of a scorecard, got {text[:60]!r} ({error})"
            raise ValueError(msg) from error

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write JSON to a file.

        Parameters
        ----------
        path : path
            The file; replaced where it exists.
        """
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file that `write` made.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Scorecard
            The same.
        """
        return cls.from_json(Path(path).read_text(encoding="utf-8"))

    def to_markdown(self) -> str:
        """Write a page: what was wanted, what was measured and where.

        Returns
        -------
        str
            Markdown.
        """
        lines = [
            f"# {self.functional}: {self.summary()}",
            "",
            f"{self.ingredients}, {self.kind}. Real densities: {', '.join(self.densities)}.",
            "",
            "| | condition | wanted | measured | verdict | where, or why not |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {one.part} | {one.name} | {one.wanted} | {one.number} | {_loud(one, one.verdict)} | {one.note} |"
            for one in self.outcomes
        ]
        return "\n".join(lines) + "\n"

    def plot(self) -> "Figure":
        """Draw it, as `draw` draws several.

        Returns
        -------
        matplotlib.figure.Figure
            Conditions from top to bottom, each with its number and what was wanted.
        """
        return draw([self])


def scorecard(
    functional: str | TorchCallable | Functional,
    *,
    correlation: str | TorchCallable | Functional | None = None,
    kind: Kind | None = None,
    densities: Mapping[str, Density] | None = None,
) -> Scorecard:
    """Hold a functional to the exact conditions.

    Parameters
    ----------
    functional : str, callable or Functional
        A name of libxc, a torch function of n, sigma and tau, or what has `derivatives`; see
        `matembed.densities.functionals`. Of hybrids exact exchange is added where it is known, see
        `matembed.densities.conditions`.
    correlation : str, callable or Functional, optional
        To go with a functional that is exchange alone, as in ``attach``.
    kind : {"exchange", "correlation", "exchange-correlation"}, optional
        Of a torch function; by default what it says itself, else "exchange-correlation".
    densities : mapping of str to (weights, SpinPoints) or (weights, SpinPoints, exact exchange), optional
        Real densities; weights are volumes, bohr^3, exact exchange, in hartree, is for hybrids alone. By default those
        of atoms, see `matembed.densities.electrons`; of records,
        ``{name: (one.weights, one.points(), one.energies["exact_exchange"]) for name, one in records.items()}``.

    Returns
    -------
    Scorecard
        An outcome for every condition.

    Raises
    ------
    TypeError
        If the functional or a density is of another type.
    ValueError
        If libxc has no such functional, a torch function returns another shape, numbers that are not finite or
        derivatives that are not those of its energy, a weight is negative, or `correlation` goes with what is not
        exchange, or is none itself.

    Examples
    --------
    >>> card = scorecard("PBE")
    >>> card["gradient expansion"].verdict, round(card["local Lieb-Oxford"].measured, 3)
    ('fail', 1.76)
    >>> card
    Scorecard(PBE, GGA: 15 of 20 conditions met; not ...)
    >>> scorecard("PBE0")
    Scorecard(PBE0, GGA with exact exchange 0.25: 15 of 20 conditions met; not ...)
    """
    electrons = Electrons.of(default_densities() if densities is None else densities)
    several = complete(functional if kind is None else as_functional(functional, kind=kind), correlation)
    for one in several:
        _check_derivatives(one)
    taken = _parts(several[0])
    if len(several) > 1:
        name = f"{several[0].name.strip(', ')} + {several[1].name.strip(', ')}"
        taken = _joined(taken.parts["exchange"], several[1], name)
    outcomes = tuple(_judged(condition, taken, electrons) for condition in CONDITIONS)
    given = several[0] if len(several) == 1 else taken.parts["exchange-correlation"]
    exact = getattr(given, "exact", ExactShare())
    return Scorecard(given.name, given.kind, given.family, exact, electrons.names, outcomes)


def page(scorecards: Sequence[Scorecard]) -> str:
    """Write several scorecards as one page: for each part a table, functionals from top to bottom.

    Parameters
    ----------
    scorecards : sequence of Scorecard
        At least one. Of a single one the page is its own `to_markdown`.

    Returns
    -------
    str
        Markdown; numbers of conditions that are broken are bold.

    Raises
    ------
    ValueError
        If there is none.
    """
    _check_any(scorecards)
    if len(scorecards) == 1:
        return scorecards[0].to_markdown()
    blocks = []
    for part in get_args(Kind):
        names = [one.name for one in CONDITIONS if one.part == part]
        rows = [
            f"| {card.functional} | {' | '.join(_loud(card[name], card[name].number) for name in names)} |"
            for card in scorecards
            if any(card[name].passed is not None for name in names)
        ]
        head = f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}"
        blocks.append("\n".join([f"## {part.capitalize()}", "", head, *rows]))
    unmeasured = _unmeasured(scorecards)
    if unmeasured:
        blocks += ["## Without a number", "\n".join(unmeasured)]
    wanted = [f"- {one.name}: {one.wanted}. {one.source}." for one in CONDITIONS]
    return "\n\n".join([*blocks, "## Conditions", "\n".join(wanted)]) + "\n"


def draw(scorecards: Sequence[Scorecard]) -> "Figure":
    """Draw scorecards under each other: a row a functional, a column a condition, the number in the cell.

    Parameters
    ----------
    scorecards : sequence of Scorecard
        At least one. A single one is drawn as a list, with what was wanted.

    Returns
    -------
    matplotlib.figure.Figure
        Green where a condition is met, orange where it is broken, yellow where the functional gave no number, grey
        where the condition does not apply.

    Raises
    ------
    ValueError
        If there is none.
    """
    _check_any(scorecards)
    return draw_one(scorecards[0]) if len(scorecards) == 1 else draw_several(scorecards)


@dataclass(frozen=True)
class _HighDensity:
    """Exchange of a functional that does not split: the limit of ``E_xc[n_g] / g`` at high density.

    Correlation that is finite there leaves a term of 1/g, which two g take away. Each point has its own: so dilute ones
    get far enough, and dense ones not where numbers overflow.
    """

    whole: Functional
    kind: Kind = "exchange"

    @property
    def name(self) -> str:
        return f"exchange of {self.whole.name}"

    @property
    def family(self) -> Family:
        return self.whole.family

    def derivatives(self, points: SpinPoints) -> Derivatives:
        wide, narrow = _HIGH
        pairs = zip(self._at(points, wide), self._at(points, narrow), strict=True)
        return Derivatives(*((wide * second - narrow * first) / (wide - narrow) for first, second in pairs))

    def _at(self, points: SpinPoints, r_s: float) -> Derivatives:
        """Differentiate ``E_xc[n_g] / g``, where each point is scaled to one density."""
        g = (3 / (4 * np.pi * np.maximum(points.n.sum(axis=0), _NO_DENSITY))) ** (1 / 3) / r_s
        dense = SpinPoints(points.n * g**3, points.sigma * g**8, points.tau * g**5)
        energy, v_n, v_sigma, v_tau = self.whole.derivatives(dense)
        return Derivatives(energy / g**4, v_n / g, v_sigma * g**4, v_tau * g)


@dataclass(frozen=True)
class _Sum:
    """Exchange and correlation."""

    first: Functional
    second: Functional
    name: str
    kind: Kind = "exchange-correlation"

    @property
    def family(self) -> Family:
        return max(self.first.family, self.second.family, key=get_args(Family).index)

    @property
    def exact(self) -> ExactShare:
        return getattr(self.first, "exact", ExactShare())

    def derivatives(self, points: SpinPoints) -> Derivatives:
        pairs = zip(self.first.derivatives(points), self.second.derivatives(points), strict=True)
        return Derivatives(*(first + second for first, second in pairs))


@dataclass(frozen=True)
class _WithExact:
    """A function of points that exact exchange goes with, which measures add."""

    rest: Functional
    exact: ExactShare
    name: str
    kind: Kind

    @property
    def family(self) -> Family:
        return self.rest.family

    def derivatives(self, points: SpinPoints) -> Derivatives:
        return self.rest.derivatives(points)


@dataclass(frozen=True)
class _Parts:
    """A functional as its conditions need it: its parts, and how they were told apart."""

    parts: Mapping[Kind, Functional]
    split: bool = True
    ranged: bool = False


def _joined(exchange: Functional, correlation: Functional, name: str) -> _Parts:
    whole = _Sum(exchange, correlation, name)
    return _Parts({"exchange": exchange, "correlation": correlation, "exchange-correlation": whole})


def _parts(functional: Functional) -> _Parts:
    """Take a functional apart, as far as its conditions need it."""
    if isinstance(functional, LibxcHybrid):
        return _parts_of_hybrid(functional)
    if isinstance(functional, LibxcFunctional):
        parts = _libxc_parts(functional)
        if parts:
            return _Parts(parts)
    elif functional.kind != "exchange-correlation":
        return _Parts({functional.kind: functional})
    return _Parts(_by_high_density(functional), split=False)


def _by_high_density(functional: Functional) -> dict[Kind, Functional]:
    exchange = _HighDensity(functional)
    correlation = Difference(functional, exchange, "correlation", f"correlation of {functional.name}")
    return {"exchange": exchange, "correlation": correlation, "exchange-correlation": functional}


def _parts_of_hybrid(functional: LibxcHybrid) -> _Parts:
    exact, name = functional.exact, functional.name
    both = functional.split()
    if both and functional.kind == "exchange":
        return _Parts({"exchange": _WithExact(both[0], exact, name, "exchange")})
    if both:
        return _joined(_WithExact(both[0], exact, name, "exchange"), both[1], name)
    parts = _by_high_density(functional.rest)
    whole = _WithExact(parts["exchange-correlation"], exact, name, "exchange-correlation")
    if exact.ranged:
        return _Parts({"exchange-correlation": whole}, split=False, ranged=True)
    exchange = _WithExact(parts["exchange"], exact, name, "exchange")
    return _Parts({**parts, "exchange": exchange, "exchange-correlation": whole}, split=False)


def _libxc_parts(functional: LibxcFunctional) -> dict[Kind, Functional]:
    """Split by the kinds that libxc gives its functionals; nothing where one of them is exchange and correlation."""
    terms = functional.terms()
    if "XC" in terms:
        return {}
    exchange, correlation = (terms.get(letter) for letter in "XC")
    if not correlation:
        return {"exchange": functional}
    if not exchange:
        return {"correlation": functional}
    return {
        "exchange": LibxcFunctional(f"{exchange},"),
        "correlation": LibxcFunctional(f",{correlation}"),
        "exchange-correlation": functional,
    }


def _judged(condition: Condition, taken: _Parts, electrons: Electrons) -> Outcome:
    parts = taken.parts
    if taken.split:
        if condition.part not in parts:
            return condition.skip(f"not {condition.part}")
        return condition.judge(parts[condition.part], electrons)
    if condition.unsplit == "sum":
        return condition.judge(parts["exchange-correlation"], electrons)
    if taken.ranged and condition.part != "exchange-correlation":
        return condition.skip("exchange and correlation are one, and with a range high densities do not part them")
    if condition.unsplit == "skip":
        return condition.skip("exchange is the high-density limit of the sum")
    try:
        outcome = condition.judge(parts[condition.part], electrons)
    except ValueError:  # what is wrong at densities not so high is raised by the conditions of the sum
        return condition.skip("no numbers at high density")
    return condition.skip("no numbers at high density") if outcome.verdict == "no number" else outcome


def _unmeasured(scorecards: Sequence[Scorecard]) -> list[str]:
    """Say why conditions of parts that a functional has were not measured."""
    lines = []
    for card in scorecards:
        reasons: dict[str, list[str]] = {}
        for one in card.outcomes:
            if one.measured is None and one.note != f"not {one.part}":
                reasons.setdefault(f"{one.verdict}, {one.note}", []).append(one.name)
        lines += [f"- {card.functional}: {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    return lines


def _loud(outcome: Outcome, text: str) -> str:
    return f"**{text}**" if outcome.passed is False else text


def _check_derivatives(functional: Functional) -> None:
    """Refuse derivatives of another shape, or not of the energy; libxc has its own tests."""
    if isinstance(functional, LibxcFunctional | LibxcHybrid):
        return
    points = SpinPoints.unpolarised([0.01, 0.1, 1.0, 10.0], s=[0.3, 0.8, 1.5, 0.6], alpha=[0.7, 0.4, 1.3, 2.1])
    told = functional.derivatives(points)
    rows = {"energy": (len(points),), "v_n": points.n.shape, "v_sigma": points.sigma.shape, "v_tau": points.tau.shape}
    for (name, wanted), one in zip(rows.items(), told, strict=True):
        if np.shape(one) != wanted:
            msg = f"derivatives of {functional.name}: {name} must have shape {wanted}, got {np.shape(one)}"
            raise ValueError(msg)
    for name, slopes in (("n", told.v_n), ("sigma", told.v_sigma), ("tau", told.v_tau)):
        given = getattr(points, name)
        above, below = (
            functional.derivatives(replace(points, **{name: given * (1 + step)})).energy for step in (_STEP, -_STEP)
        )
        found, expected = (above - below) / (2 * _STEP), (slopes * given).sum(axis=0)
        if (np.abs(found - expected) > _MISSED * np.abs(told.energy)).any():
            msg = (
                f"{functional.name}: its derivative by {name} is not that of its energy; detach nothing from the graph"
            )
            raise ValueError(msg)


def _check_any(scorecards: Sequence[Scorecard]) -> None:
    if not scorecards:
        msg = "wanted at least one scorecard, got none"
        raise ValueError(msg)
