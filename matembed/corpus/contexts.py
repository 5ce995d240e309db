"""Which sentences does a formula make? Its elements, its elements by amount, or what surrounds each of them."""

from functools import lru_cache
from math import gcd, inf, isnan
from typing import TYPE_CHECKING, Literal, get_args

from matembed.corpus.formulas import ELECTRONEGATIVITIES, ParsedFormula, amounts_of
from matembed.tokens import environment_token

if TYPE_CHECKING:
    from pymatgen.core.composition import Composition

__all__ = ["FORMULA_VIEWS", "FormulaView", "formula_sentences"]

FormulaView = Literal["elements", "amounts", "environments"]
FORMULA_VIEWS: tuple[FormulaView, ...] = get_args(FormulaView)

_MAX_ATOMS = 100
_DECIMALS = 8
_PLACES = sorted((inf if isnan(value) else value, symbol) for symbol, value in ELECTRONEGATIVITIES.items())
_ORDER = {symbol: place for place, (_, symbol) in enumerate(_PLACES)}


def formula_sentences(formula: "str | ParsedFormula | Composition", view: FormulaView) -> list[list[str]]:
    """Turn a formula into sentences of tokens.

    Elements come in order of Pauling electronegativity, lowest first; those without a value (He, Ne, Ar) last.

    Parameters
    ----------
    formula : str, ParsedFormula or pymatgen Composition
        One formula. Only ratios of amounts matter: ``Sr2Ti2O6`` gives what ``SrTiO3`` gives, and so ``O2`` gives
        what ``O`` gives.
    view : {"elements", "amounts", "environments"}
        ``"elements"``: one sentence, each element once. ``"amounts"``: one sentence, each element as often as it
        has atoms. ``"environments"``: for each element one sentence of two tokens, the element and the rest of
        the formula around it [1]_; no sentence for a pure element, which has nothing around it.

    Returns
    -------
    list of list of str
        Sentences.

    Raises
    ------
    ValueError
        If `view` is unknown.
    FormulaError
        If the formula cannot be read.

    See Also
    --------
    matembed.motif_sentences : Sentences from a motif graph.

    Notes
    -----
    Numbers of atoms are the smallest integers in the ratio of the amounts, if they add up to at most 100. If they
    do not (``Fe0.3333Ni0.6667``), they are the first to reproduce every amount to 0.005 atoms, in order of their
    sum (``FeNi2``). If none up to 100 does, 100 atoms are shared out by largest remainder, and every element has
    one at least.

    References
    ----------
    .. [1] Q. Zhou et al., Proc. Natl. Acad. Sci. 115, E6411 (2018), Atom2Vec.

    Examples
    --------
    >>> formula_sentences("Sr2Ti2O6", "elements"), formula_sentences("Sr2Ti2O6", "amounts")
    ([['Sr', 'Ti', 'O']], [['Sr', 'Ti', 'O', 'O', 'O']])
    >>> formula_sentences("Bi2Se3", "environments")
    [['Bi', '(2)Se3'], ['Se', '(3)Bi2']]
    """
    if view not in FORMULA_VIEWS:
        msg = f"unknown view {view!r} of a formula; choose one of {', '.join(FORMULA_VIEWS)}"
        raise ValueError(msg)
    if isinstance(formula, ParsedFormula):  # checked when it was read
        amounts = {element.symbol: amount for element, amount in formula.composition.items()}
    else:
        amounts = amounts_of(formula)
    elements = sorted(amounts, key=_ORDER.__getitem__)
    if view == "elements":
        return [elements]
    if view == "environments" and len(elements) == 1:
        return []
    atoms = dict(zip(elements, _n_atoms(tuple(amounts[element] for element in elements)), strict=True))
    if view == "amounts":
        return [[element for element, n_atoms in atoms.items() for _ in range(n_atoms)]]
    return [
        [element, environment_token(n_atoms, {other: n for other, n in atoms.items() if other != element})]
        for element, n_atoms in atoms.items()
    ]


@lru_cache(maxsize=65536)
def _n_atoms(amounts: tuple[float, ...]) -> tuple[int, ...]:
    """Find the numbers of atoms, at most 100 in all, that stand for amounts."""
    scaled = [round(amount * 10**_DECIMALS) for amount in amounts]
    divisor = gcd(*scaled)
    exact = tuple(amount // divisor for amount in scaled)
    total = sum(exact)
    if total <= _MAX_ATOMS:
        return exact
    # With fewer atoms the rarest element would be more than 0.005 short of its one.
    fewest = max(len(exact), 995 * total // (1000 * min(exact)))
    for n_atoms in range(fewest, _MAX_ATOMS + 1):
        rounded = tuple((2 * amount * n_atoms + total) // (2 * total) for amount in exact)
        if all(
            n > 0 and 200 * abs(amount * n_atoms - n * total) <= total for amount, n in zip(exact, rounded, strict=True)
        ):
            return rounded
    return _shared_out(exact, max(_MAX_ATOMS, len(exact)))


def _shared_out(amounts: tuple[int, ...], n_atoms: int) -> tuple[int, ...]:
    """Share atoms out in proportion to amounts by largest remainder, one at least for each."""
    total = sum(amounts)
    shares = [max(1, amount * n_atoms // total) for amount in amounts]
    while sum(shares) != n_atoms:
        lacking = [amount * n_atoms - share * total for amount, share in zip(amounts, shares, strict=True)]
        if sum(shares) < n_atoms:
            shares[lacking.index(max(lacking))] += 1
        else:
            idx = min((idx for idx, share in enumerate(shares) if share > 1), key=lacking.__getitem__)
            shares[idx] -= 1
    return tuple(shares)
