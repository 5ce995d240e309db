"""Scorecard: which exact conditions a density functional meets, whoever made it.

Atomic units: energies in hartree (mHa where said), r_s in bohr. The conditions are in `matembed.densities.conditions`.

A name of libxc is split into exchange and correlation, which have conditions of their own. A functional that cannot be
split has exchange nevertheless: what ``E_xc[n_g] / g`` goes to as g grows [1]_, taken at g = 1,000,000; and the rest is
its correlation. Conditions that such a limit meets by itself, or is not sharp enough for, are then not applicable.

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
    Family,
    Functional,
    Kind,
    LibxcFunctional,
    SpinPoints,
    TorchCallable,
    as_functional,
    complete,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Scorecard", "draw", "page", "scorecard"]

_STEP, _MISSED = 1e-4, 1e-5  # relative change of an ingredient, and error of a slope of the energy by its logarithm
_HIGH = 1e6  # g; correlation is less than 2e-5 of exchange there, from r_s = 20 bohr on


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
        What it depends on.
    densities : tuple of str
        Names of the real densities it was integrated over.
    outcomes : tuple of Outcome
        One a condition, in the order of `matembed.densities.conditions.CONDITIONS`.
    """

    functional: str
    kind: Kind
    family: Family
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
        return f"Scorecard({self.functional}, {self.family}: {self.summary()}{tail})"

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
        return f"{met} of {of} conditions met"

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
            return cls(**values | {"densities": tuple(values["densities"]), "outcomes": outcomes})
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
            f"{self.family}, {self.kind}. Real densities: {', '.join(self.densities)}.",
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
        `matembed.densities.functionals`. Hybrids are refused: their exact exchange is no function of the three.
    correlation : str, callable or Functional, optional
        To go with a functional that is exchange alone, as in ``attach``.
    kind : {"exchange", "correlation", "exchange-correlation"}, optional
        Of a torch function; by default what it says itself, else "exchange-correlation".
    densities : mapping of str to (weights, SpinPoints), optional
        Real densities; weights are volumes, bohr^3. By default those of atoms, see `matembed.densities.electrons`; of
        records, ``{name: (record.weights, record.points()) for name, record in records.items()}``.

    Returns
    -------
    Scorecard
        An outcome for every condition.

    Raises
    ------
    TypeError
        If the functional or a density is of another type.
    ValueError
        If libxc has no such functional, it is a hybrid, a torch function returns another shape, numbers that are not
        finite or derivatives that are not those of its energy, a weight is negative, or `correlation` goes with what is
        not exchange, or is none itself.

    Examples
    --------
    >>> card = scorecard("PBE")
    >>> card["gradient expansion"].verdict, round(card["local Lieb-Oxford"].measured, 3)
    ('fail', 1.76)
    >>> card
    Scorecard(PBE, GGA: 15 of 20 conditions met; not ...)
    """
    electrons = Electrons.of(default_densities() if densities is None else densities)
    several = complete(functional if kind is None else as_functional(functional, kind=kind), correlation)
    for one in several:
        _check_derivatives(one)
    given, parts = several[0], _parts(several[0])
    split = not isinstance(parts.get("exchange"), _HighDensity)
    if len(several) > 1:
        name = f"{several[0].name.strip(', ')} + {several[1].name.strip(', ')}"
        given = _Sum(several[0], several[1], 1.0, "exchange-correlation", name)
        parts = {"exchange": several[0], "correlation": several[1], "exchange-correlation": given}
    outcomes = tuple(_judged(condition, parts, electrons, split=split) for condition in CONDITIONS)
    known: Kind = "exchange-correlation" if len(parts) > 1 else next(iter(parts))
    return Scorecard(given.name, known, given.family, electrons.names, outcomes)


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
        Green where a condition is met, orange where it is broken, grey where it does not apply.

    Raises
    ------
    ValueError
        If there is none.
    """
    _check_any(scorecards)
    return draw_one(scorecards[0]) if len(scorecards) == 1 else draw_several(scorecards)


@dataclass(frozen=True)
class _HighDensity:
    """Exchange of a functional that does not split: ``E_xc[n_g] / g`` at high density."""

    whole: Functional
    kind: Kind = "exchange"

    @property
    def name(self) -> str:
        return f"exchange of {self.whole.name}"

    @property
    def family(self) -> Family:
        return self.whole.family

    def derivatives(self, points: SpinPoints) -> Derivatives:
        energy, v_n, v_sigma, v_tau = self.whole.derivatives(points.scaled(_HIGH))
        return Derivatives(energy / _HIGH**4, v_n / _HIGH, v_sigma * _HIGH**4, v_tau * _HIGH)


@dataclass(frozen=True)
class _Sum:
    """A functional and `factor` times another."""

    first: Functional
    second: Functional
    factor: float
    kind: Kind
    name: str

    @property
    def family(self) -> Family:
        return max(self.first.family, self.second.family, key=get_args(Family).index)

    def derivatives(self, points: SpinPoints) -> Derivatives:
        pairs = zip(self.first.derivatives(points), self.second.derivatives(points), strict=True)
        return Derivatives(*(first + self.factor * second for first, second in pairs))


def _parts(functional: Functional) -> dict[Kind, Functional]:
    """Take a functional apart, as far as its conditions need it."""
    if isinstance(functional, LibxcFunctional):
        parts = _libxc_parts(functional)
        if parts:
            return parts
    elif functional.kind != "exchange-correlation":
        return {functional.kind: functional}
    exchange = _HighDensity(functional)
    correlation = _Sum(functional, exchange, -1.0, "correlation", f"correlation of {functional.name}")
    return {"exchange": exchange, "correlation": correlation, "exchange-correlation": functional}


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


def _judged(condition: Condition, parts: Mapping[Kind, Functional], electrons: Electrons, *, split: bool) -> Outcome:
    if condition.part not in parts:
        return condition.skip(f"not {condition.part}")
    if split:
        return condition.judge(parts[condition.part], electrons)
    if condition.unsplit == "sum":
        return condition.judge(parts["exchange-correlation"], electrons)
    if condition.unsplit == "skip":
        return condition.skip("exchange is the high-density limit of the sum")
    try:
        outcome = condition.judge(parts[condition.part], electrons)
    except ValueError:  # what is wrong at densities not so high is raised by the conditions of the sum
        outcome = None
    return condition.skip("no numbers at high density") if outcome is None or outcome.measured is None else outcome


def _loud(outcome: Outcome, text: str) -> str:
    return f"**{text}**" if outcome.passed is False else text


def _check_derivatives(functional: Functional) -> None:
    """Refuse derivatives of another shape, or not of the energy; libxc has its own tests."""
    if isinstance(functional, LibxcFunctional):
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
