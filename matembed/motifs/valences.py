"""Which oxidation states the sites of a crystal have."""

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure, Structure

__all__ = ["VALENCE_METHODS", "ValenceMethod", "assign_valences", "likeliest_states", "stated_valences"]

ValenceMethod = Literal["structure", "bond_valence", "composition", "none"]
VALENCE_METHODS: tuple[ValenceMethod, ...] = get_args(ValenceMethod)


def stated_valences(structure: "IStructure") -> list[float] | None:
    """Read the oxidation states that the species of a structure carry.

    Parameters
    ----------
    structure : Structure
        Ordered, n_sites sites.

    Returns
    -------
    list of float, length n_sites, or None
        Oxidation states in units of e; None unless every site has one.
    """
    states = [getattr(site.specie, "oxi_state", None) for site in structure]
    known = [float(state) + 0.0 for state in states if state is not None and math.isfinite(state)]
    return known if len(known) == len(states) else None


def assign_valences(structure: "Structure", method: ValenceMethod) -> list[float] | None:
    """Assign an oxidation state to every site.

    Parameters
    ----------
    structure : Structure
        Ordered, of bare elements, n_sites sites.
    method : {"bond_valence", "composition"}
        Analyse bond valences [1]_ as pymatgen's BVAnalyzer does, with its defaults; or take the likeliest neutral
        states of the formula, one average per element. Other methods assign nothing.

    Returns
    -------
    list of float, length n_sites, or None
        Oxidation states in units of e, cations balancing anions; None where the method has no answer.

    References
    ----------
    .. [1] M. O'Keeffe and N. E. Brese, J. Am. Chem. Soc. 113, 3226 (1991).
    """
    if method == "bond_valence":
        return _of_bonds(structure)
    if method == "composition":
        amounts = structure.composition.reduced_composition.get_el_amt_dict()
        states = likeliest_states({symbol: round(amount) for symbol, amount in amounts.items()})
        return None if states is None else [states[site.specie.symbol] for site in structure]
    return None


def _of_bonds(structure: "Structure") -> list[float] | None:
    from pymatgen.core.bond_valence import BVAnalyzer

    try:
        return [float(valence) for valence in BVAnalyzer().get_valences(structure)]
    except (ArithmeticError, LookupError, TypeError, ValueError):  # ValueError by design, the rest by its edge cases
        return None


def likeliest_states(amounts: Mapping[str, int]) -> dict[str, float] | None:
    """Find the likeliest neutral oxidation states of a formula.

    Atoms of one element may differ, among the states known from the ICSD; the sum over atoms of how common each
    state is there is made as large as neutrality allows. This is the first answer of pymatgen's
    ``Composition.oxi_state_guesses``, found without listing all the others.

    Parameters
    ----------
    amounts : mapping of str to int
        Atoms of each element.

    Returns
    -------
    dict of str to float, or None
        Average oxidation state of each element in units of e; None where there is no neutral combination with
        cations and anions.

    Examples
    --------
    >>> likeliest_states({"Fe": 3, "O": 4})
    {'Fe': 2.6666666666666665, 'O': -2.0}
    >>> likeliest_states({"Ni": 3, "Al": 1}) is None
    True
    """
    found = _balanced(tuple(sorted(amounts.items())))
    return None if found is None else {symbol: found[symbol] for symbol in amounts}


@lru_cache(maxsize=4096)
def _balanced(amounts: tuple[tuple[str, int], ...]) -> dict[str, float] | None:
    reached: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}  # charge: best score, charge of each element
    for symbol, amount in amounts:
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for total, gain in _charges(symbol, amount).items():
            for charge, (score, charges) in reached.items():
                if score + gain > longer.get(charge + total, (-1.0, ()))[0]:
                    longer[charge + total] = (score + gain, (*charges, total))
        reached = longer
    if 0 not in reached or not any(reached[0][1]):
        return None
    return {symbol: charge / amount for (symbol, amount), charge in zip(amounts, reached[0][1], strict=True)}


def _charges(symbol: str, amount: int) -> dict[int, float]:
    """Every total charge that so many atoms of an element can have, and the score of the best way to it."""
    from pymatgen.core.bond_valence import PRIOR_PROB
    from pymatgen.core.periodic_table import Element, Species

    element = Element(symbol)
    known = element.icsd_oxidation_states or element.common_oxidation_states
    states = {int(state): float(PRIOR_PROB.get(Species(symbol, state), 0.0)) for state in known}
    best = {0: 0.0}
    for _ in range(amount):
        longer: defaultdict[int, float] = defaultdict(lambda: -1.0)
        for charge, score in best.items():
            for state, gain in states.items():
                longer[charge + state] = max(longer[charge + state], score + gain)
        best = dict(longer)
    return best
