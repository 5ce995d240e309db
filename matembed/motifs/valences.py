"""Which oxidation states the sites of a crystal have."""

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from matembed.elements import SYMBOLS

if TYPE_CHECKING:
    from pymatgen.core.structure import IStructure, Structure

__all__ = [
    "VALENCE_METHODS",
    "ValenceMethod",
    "assign_valences",
    "bond_valences",
    "known_states",
    "likeliest_states",
    "may_balance",
    "rare_states",
    "state_shares",
    "stated_valences",
    "valence_signs",
]

_Rule = Literal["any", "one sign", "rare"]
_Limit = Literal["anion", "all anions", "all cations"]  # an element on average, or each of its atoms
_Limits = tuple[tuple[str, _Limit], ...]
ValenceMethod = Literal["structure", "bond_valence", "composition", "signs", "bv_analyzer", "none"]
VALENCE_METHODS: tuple[ValenceMethod, ...] = get_args(ValenceMethod)

# Bonds reach so far, in Å, and are scaled to those of relaxed structures, which the density functional makes longer;
# a bond e times as weak is longer by the last number, in Å. All as in pymatgen.
RADIUS = 4.0
SCALE = 1.015
SOFTNESS = 0.31
# Sites of an element are alike where their bond valence sums, sorted, follow at smaller steps. Coordinates written
# with six digits move sums by 0.0001. Of 2,187 oxides, 0.0003 or 0.005 in its place changes the answer for 3 each.
ALIKE = 0.002
# Averages are preferred to whole states where the log odds gain more than this by site: then whole states would make,
# for example, Nd2+ of the Nd3+ in NdPd2O4, where Pd has valence 2.5.
SHARED_GAIN = 0.2
# No site is in a state of lower log odds. K2FeO4 has -12, Y in MgO -19; for borides of cobalt, -272 would balance.
LEAST_LIKELY = -20.0
# Log odds that differ by less are equal.
TIE = 1e-9
# Of larger formulas twice the amounts would take minutes.
_MOST_ATOMS = 200
# Log odds that atoms of one element differ in state, as they do for 5 % of the elements of oxides that match an
# experimental entry of the Materials Project, and for 9 % in its other compounds.
_MIXED = math.log(0.1)
# The same, that two states of one element differ by more than 1, beside those that do not: W18O49 has W5+ and W6+,
# though W4+ and W6+ would be 1.7 times as likely, and Sn3O4 has Sn2+ and Sn4+, 6 times as likely as Sn3+ would be.
_APART = math.log(0.25)
# Counted with how often each state is met, so that none is impossible.
_UNSEEN = 0.5
# Formulas that give amounts to two digits balance to this charge.
_ROUNDING = 0.02
# Å³ by atom; nothing is denser.
_SMALLEST_ATOM = 0.01

# Elements that may be anions, the likeliest first.
_ANIONS = (9, 8, 17, 35, 53, 7, 16, 34, 52, 15, 33, 51, 6, 1, 14, 32, 83)
_HYDROGEN, _CARBON, _NITROGEN, _OXYGEN, _FLUORINE = 1, 6, 7, 8, 9
_HALOGENS = (17, 35, 53)
_HALIDES = ((-1, "F"), (-1, "Cl"), (-1, "Br"), (-1, "I"))
# Elements whose compounds are rarely alloys: one of these is the anion where cations have rare states.
_SALT_FORMERS = _ANIONS[:9]
# Mean valence of O, and of other anions, where they are most oxidized: oxides, peroxides, chains of anions.
_LEAST_CHARGES = ((-2.0, -1.0), (-1.0, -1.0), (-0.125, -0.125))


class BondTable(NamedTuple):
    """Bond valence parameters, and how oxidation states are distributed in the ICSD; rows are atomic numbers.

    Attributes
    ----------
    lengths : float array, shape (119, 119)
        Length of a bond of valence 1, in Å; NaN where it is not known.
    directions : float array, shape (119, 119)
        What a bond gives to the first element: 1 where it is the less electronegative, else -1; 0 between equal
        elements and between metals.
    n_states : int array, shape (119,)
        How many oxidation states are known.
    states : int array, shape (119, 10)
        The states, ascending, in units of e.
    means, deviations : float arrays, shape (119, 10)
        Of the bond valence sums of sites in each state.
    log_weights : float array, shape (119, 10)
        Logarithm of how often each state is met, by standard deviation.
    cations, rare_cations : int arrays, shape (119, 2)
        Lowest and highest positive state, of those common and of all; 0 without one.
    anions : int array, shape (119,)
        Lowest state, 0 if it is not negative.
    """

    lengths: NDArray[np.float64]
    directions: NDArray[np.float64]
    n_states: NDArray[np.int64]
    states: NDArray[np.int64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    log_weights: NDArray[np.float64]
    cations: NDArray[np.int64]
    rare_cations: NDArray[np.int64]
    anions: NDArray[np.int64]


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
        Ordered, of bare elements unless the method is "structure", n_sites sites.
    method : {"structure", "bond_valence", "composition", "signs", "bv_analyzer", "none"}
        Read them from the species; find the most probable by `bond_valences`; take the likeliest neutral states of
        the formula, one average per element, by `likeliest_states`; only tell cations, 1, from anions, -1, by
        `valence_signs`; analyse bond valences with pymatgen's BVAnalyzer and its defaults, which takes some hundred
        times as long as "bond_valence"; or assign nothing.

    Returns
    -------
    list of float, length n_sites, or None
        Oxidation states in units of e, cations balancing anions but for "signs" and "structure"; None where the
        method has no answer.
    """
    if method == "structure":
        return stated_valences(structure)
    if method == "bv_analyzer":
        return _of_bv_analyzer(structure)
    if method == "composition":
        amounts = structure.composition.reduced_composition.get_el_amt_dict()
        states = likeliest_states({symbol: round(amount) for symbol, amount in amounts.items()})
        return None if states is None else [states[site.specie.symbol] for site in structure]
    numbers = np.array([site.specie.Z for site in structure], dtype=np.int64)
    if method == "bond_valence":
        valences = bond_valences(structure.lattice.matrix, structure.frac_coords, numbers)
        return None if valences is None else valences.tolist()
    if method == "signs":
        signs = valence_signs(numbers)
        return None if signs is None else signs.astype(np.float64).tolist()
    return None


def bond_valences(
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    numbers: NDArray[np.int64],
    *,
    engine: Literal["numba", "numpy"] = "numba",
) -> NDArray[np.float64] | None:
    """Find the most probable oxidation states that are neutral, from the lengths of bonds.

    The bond valences [1]_ at a site are summed, and the log odds of each oxidation state follow from how such sums
    are distributed in the ICSD, and how often the state is met there, as in pymatgen's BVAnalyzer. The sum of log
    odds over all sites is made as large as neutrality allows, exactly, in one of two ways. *Whole*: sites alike,
    those of an element with the same bond valence sum, have one state, and states of one element differ by 1 at
    most. *Shared*: any average of states, log odds between two states being interpolated. Shared states need a
    gain of 0.2 by site, the same sign as the likeliest state wherever an element has both, and no average of
    states of opposite sign.

    Parameters
    ----------
    lattice : float array, shape (3, 3)
        Lattice vectors in rows, in Å.
    frac_coords : float array, shape (n_sites, 3)
        In lattice vectors, in the cell or not.
    numbers : int array, shape (n_sites,)
        Atomic numbers, 1 to 118.
    engine : {"numba", "numpy"}
        Compiled, or the readable definition it is held equal to.

    Returns
    -------
    float array, shape (n_sites,), or None
        Oxidation states in units of e, which sum to 0. None where no assignment with cations and anions is neutral
        and not absurd, as in most alloys, and where an element is a noble gas or too rare to have parameters.

    Raises
    ------
    ValueError
        If `engine` is unknown.

    See Also
    --------
    valence_signs : Only tells cations from anions, from the composition.

    Notes
    -----
    Tc, Pm, Os, Pt, Au, Po, Ra, Ac, Pa, Np, Pu, Am and Cm have no parameters of their own; others see them as an
    element of about the same size, and whatever their bonds, their known states are nearly equally likely.

    References
    ----------
    .. [1] M. O'Keeffe and N. E. Brese, J. Am. Chem. Soc. 113, 3226 (1991).

    Examples
    --------
    >>> perovskite = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    >>> bond_valences(3.905 * np.eye(3), perovskite, np.array([38, 22, 8, 8, 8]))  # SrTiO3
    array([ 2.,  4., -2., -2., -2.])
    """
    if engine not in ("numba", "numpy"):
        msg = f"engine must be 'numba' or 'numpy', got {engine!r}"
        raise ValueError(msg)
    lattice = np.ascontiguousarray(lattice, dtype=np.float64)
    frac_coords = np.ascontiguousarray(frac_coords, dtype=np.float64)
    numbers = np.ascontiguousarray(numbers, dtype=np.int64)
    table = bond_table()
    if (
        len(numbers) < 2
        or not table.n_states[numbers].all()
        or not abs(_determinant(lattice)) > _SMALLEST_ATOM * len(numbers)
    ):
        return None
    if engine == "numpy":
        return _find_valences(lattice, frac_coords, numbers, table)
    from matembed.motifs._valence_kernels import find_valences

    found = find_valences(lattice, frac_coords, numbers, *table[:7])
    return found if len(found) else None


@lru_cache(maxsize=1)
def bond_table() -> BondTable:
    """Read the parameters that lie beside this file.

    Returns
    -------
    BondTable
        Read-only arrays, for O'Keeffe and Brese's bond lengths and the distributions that pymatgen keeps.
    """
    with np.load(Path(__file__).with_name("bond_valences.npz")) as file:
        read = {name: file[name] for name in file.files}
    r, c, x = read["sizes"], read["softness"], read["electronegativity"]
    lengths = r[:, None] + r - r[:, None] * r * (np.sqrt(c)[:, None] - np.sqrt(c)) ** 2 / (c * r + (c * r)[:, None])
    directions = np.where(x[:, None] < x, 1.0, -1.0)
    directions[~(read["is_anion"][:, None] | read["is_anion"])] = 0.0
    np.fill_diagonal(directions, 0.0)
    n_states = np.bincount(read["ion_numbers"], minlength=len(r))
    shape = (len(r), n_states.max())
    known = np.arange(shape[1]) < n_states[:, None]
    columns: list[NDArray[np.float64]] = []
    for name in ("ion_states", "ion_means", "ion_deviations", "ion_log_weights"):
        column = np.ones(shape)
        column[known] = read[name]
        columns.append(column)
    states, means, deviations, log_weights = columns
    table = BondTable(
        np.ascontiguousarray(lengths),
        directions,
        n_states.astype(np.int64),
        states.astype(np.int64),
        means,
        deviations,
        log_weights,
        read["cations"],
        read["rare_cations"],
        read["anions"],
    )
    for array in table:
        array.flags.writeable = False
    return table


def _determinant(lattice: NDArray[np.float64]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = lattice.tolist()
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _find_valences(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], numbers: NDArray[np.int64], table: BondTable
) -> NDArray[np.float64] | None:
    sums = _bond_sums(lattice, frac_coords, numbers, table)
    groups = _alike(numbers, sums)
    divisor = math.gcd(*map(len, groups))
    kinds = [int(numbers[group[0]]) for group in groups]
    counts = [len(group) // divisor for group in groups]
    odds = [
        {state: float(np.mean(log_odds)) for state, log_odds in _log_odds(sums[group], kind, table).items()}
        for group, kind in zip(groups, kinds, strict=True)
    ]
    whole, whole_odds = _whole(kinds, counts, odds)
    shared, shared_odds = _shared(kinds, counts, odds)
    found = shared if shared_odds > whole_odds + SHARED_GAIN * sum(counts) else whole
    if found is None:
        return None
    valences = np.empty(len(numbers))
    for group, state in zip(groups, found, strict=True):
        valences[group] = state
    return valences


def _bond_sums(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], numbers: NDArray[np.int64], table: BondTable
) -> NDArray[np.float64]:
    """Sum of bond valences at every site, positive at cations."""
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = (np.floor(RADIUS / heights) + 1).astype(int)
    wrapped = frac_coords - np.floor(frac_coords)
    steps = wrapped - wrapped[:, None]
    lengths, directions = table.lengths[np.ix_(numbers, numbers)], table.directions[np.ix_(numbers, numbers)]
    sums = np.zeros(len(numbers))
    for image in itertools.product(*(range(-n, n + 1) for n in reach)):
        distances = np.linalg.norm((steps + image) @ lattice, axis=2)
        bonds = directions * np.exp((lengths - SCALE * distances) / SOFTNESS)
        sums += np.where(distances <= RADIUS, bonds, 0.0).sum(axis=1)
    return sums


def _alike(numbers: NDArray[np.int64], sums: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Sites of each group, in order of atomic number and bond valence sum."""
    order = np.lexsort((sums, numbers))
    differs = (np.diff(numbers[order]) > 0) | (np.diff(sums[order]) > ALIKE)
    return np.split(order, np.flatnonzero(differs) + 1)


def _log_odds(sums: NDArray[np.float64], kind: int, table: BondTable) -> dict[int, NDArray[np.float64]]:
    """Logarithm of the probability of each state at each site, given its bond valence sum."""
    known = slice(table.n_states[kind])
    standard = (sums[:, None] - table.means[kind, known]) / table.deviations[kind, known]
    joint = table.log_weights[kind, known] - 0.5 * standard**2
    likeliest = joint.max(axis=1, keepdims=True)
    odds = joint - likeliest - np.log(np.exp(joint - likeliest).sum(axis=1, keepdims=True))
    return dict(zip(table.states[kind, known].tolist(), odds.T, strict=True))


def _whole(
    kinds: Sequence[int], counts: Sequence[int], odds: Sequence[dict[int, float]]
) -> tuple[tuple[int, ...] | None, float]:
    """Find the most probable neutral states, one a group, that differ by 1 at most within an element."""
    reached: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}  # charge: best log odds, states
    for kind in sorted(set(kinds)):
        members = [group for group, other in enumerate(kinds) if other == kind]
        element: dict[int, tuple[float, tuple[int, ...]]] = {}
        for lower in odds[members[0]]:
            ways: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
            for group in members:
                allowed = {state: odds[group][state] for state in (lower, lower + 1) if state in odds[group]}
                options = {counts[group] * state: (counts[group] * gain, (state,)) for state, gain in allowed.items()}
                ways = _together(ways, options)
            for charge, way in ways.items():
                if way[0] > element.get(charge, (-math.inf,))[0] + TIE:
                    element[charge] = way
        reached = _together(reached, element)
    score, states = reached.get(0, (-math.inf, ()))
    if not states or any(odds[group][state] < LEAST_LIKELY for group, state in enumerate(states)):
        return None, -math.inf
    return states, score


def _together(
    first: Mapping[int, tuple[float, tuple[int, ...]]], second: Mapping[int, tuple[float, tuple[int, ...]]]
) -> dict[int, tuple[float, tuple[int, ...]]]:
    """Best way to every charge that two sets of groups have together; ties go to the lower charge of the first."""
    best: dict[int, tuple[float, tuple[int, ...]]] = {}
    for (charge, (score, states)), (more, (gain, others)) in itertools.product(
        sorted(first.items()), sorted(second.items())
    ):
        if score + gain > best.get(charge + more, (-math.inf,))[0] + TIE:
            best[charge + more] = (score + gain, states + others)
    return best


def _shared(
    kinds: Sequence[int], counts: Sequence[int], odds: Sequence[dict[int, float]]
) -> tuple[list[float] | None, float]:
    """Find the most probable neutral averages: electrons leave wherever that costs least, as from one reservoir."""
    hulls = [_hull(states) for states in odds]
    averages = [float(hull[0]) for hull in hulls]
    charge = float(sum(count * state for count, state in zip(counts, averages, strict=True)))
    steps = sorted(
        ((odds[group][low] - odds[group][high]) / (high - low), group, low, high)
        for group, hull in enumerate(hulls)
        for low, high in itertools.pairwise(hull)
    )
    while steps and charge < 0:
        level = [step for step in steps if step[0] <= steps[0][0] + TIE]
        steps = steps[len(level) :]
        width = sum(counts[group] * (high - low) for _, group, low, high in level)
        share = min(1.0, -charge / width)
        for _, group, low, high in level:
            averages[group] += share * (high - low)
        charge += share * width
    if abs(charge) > TIE:
        return None, -math.inf
    total = 0.0
    for group, (hull, average) in enumerate(zip(hulls, averages, strict=True)):
        high = min((state for state in hull if state >= average - TIE), default=hull[-1])
        low = max((state for state in hull if state <= average + TIE), default=hull[0])
        score = float(np.interp(average, hull, [odds[group][state] for state in hull]))
        likeliest = max(odds[group], key=odds[group].__getitem__)
        torn = any(kind == kinds[group] and other * average < 0 for kind, other in zip(kinds, averages, strict=True))
        if low < 0 < high or score < LEAST_LIKELY or (torn and likeliest * average < 0):
            return None, -math.inf
        total += counts[group] * score
    return averages, total


def _hull(odds: Mapping[int, float]) -> list[int]:
    """States, ascending, whose log odds no average of two others exceeds."""
    hull: list[int] = []
    for state, score in odds.items():
        while len(hull) > 1 and (odds[hull[-1]] - odds[hull[-2]]) * (state - hull[-1]) <= (score - odds[hull[-1]]) * (
            hull[-1] - hull[-2]
        ):
            hull.pop()
        hull.append(state)
    return hull


def valence_signs(numbers: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Tell cations from anions by the composition.

    The first in the list F, O, Cl, Br, I, N, S, Se, Te, P, As, Sb, C, H, Si, Ge, Bi is an anion, elements not listed
    are cations. Others of the list are cations, but halogens, and N beside C or H or without O and F, are anions,
    unless common oxidation states can be neutral only with the opposite, for as few of them as possible and the first
    of the list first. Where nothing is neutral, O may be a peroxide; then anions may form chains; then, with one of
    the first nine as an anion, cations may have rare states.

    Parameters
    ----------
    numbers : int array, shape (n_sites,)
        Atomic numbers, 1 to 118.

    Returns
    -------
    int array, shape (n_sites,), or None
        1 for cations and -1 for anions, the same for all sites of an element; None where there are no anions or no
        cations, as in alloys, or no neutral combination.

    Examples
    --------
    >>> valence_signs(np.array([19, 17, 8, 8, 8, 8]))  # KClO4
    array([ 1,  1, -1, -1, -1, -1])
    >>> valence_signs(np.array([28, 13])) is None
    True
    """
    amounts = np.bincount(numbers)
    kinds = np.flatnonzero(amounts)
    present = amounts[kinds].tolist()
    divisor = math.gcd(*present)
    signs = _signs(tuple(kinds.tolist()), tuple(amount // divisor for amount in present))
    return None if signs is None else signs[numbers]


@lru_cache(maxsize=4096)
def _signs(kinds: tuple[int, ...], amounts: tuple[int, ...]) -> NDArray[np.int64] | None:
    """Sign by atomic number."""
    table = bond_table()
    eligible = [kind for kind in _ANIONS if kind in kinds]
    if len(kinds) < 2 or not eligible:
        return None
    is_nitride = eligible[0] not in (_OXYGEN, _FLUORINE) or _CARBON in kinds or _HYDROGEN in kinds
    anions = (eligible[0], *_HALOGENS, *[_NITROGEN] * is_nitride)
    usual = [-1 if kind in anions else 1 for kind in eligible]
    choices = [
        flipped
        for n_flipped in range(len(eligible))
        for flipped in itertools.combinations(range(1, len(eligible)), n_flipped)
    ]
    states = [table.cations] + [table.rare_cations] * (eligible[0] in _SALT_FORMERS)
    for cations, least, flipped in itertools.product(states, _LEAST_CHARGES, choices):
        signs = dict.fromkeys(kinds, 1)
        for idx, kind in enumerate(eligible):
            signs[kind] = -usual[idx] if idx in flipped else usual[idx]
        ranges = [
            cations[kind] if sign > 0 else (table.anions[kind], least[kind != _OXYGEN]) for kind, sign in signs.items()
        ]
        if set(signs.values()) != {-1, 1} or not all(low for low, _ in ranges):
            continue
        lowest, highest = np.array(amounts) @ np.array(ranges)
        if lowest <= 0 <= highest:
            found = np.zeros(len(table.anions), dtype=np.int64)
            found[list(signs)] = list(signs.values())
            found.flags.writeable = False
            return found
    return None


def _of_bv_analyzer(structure: "Structure") -> list[float] | None:
    from pymatgen.core.bond_valence import BVAnalyzer

    try:
        return [float(valence) for valence in BVAnalyzer().get_valences(structure)]
    except (ArithmeticError, LookupError, TypeError, ValueError):  # ValueError by design, the rest by its edge cases
        return None


def likeliest_states(amounts: Mapping[str, int], charge: int = 0) -> dict[str, float] | None:
    """Find the likeliest oxidation states of a formula, which add up to its charge.

    How often each state of an element is met in the ICSD makes it likely; the product over elements is made as large as
    the charge allows. Atoms of one element may differ: then the geometric mean over them counts, and a tenth of it. The
    first element in the list of `valence_signs` is an anion on average. All hydrogens are alike, and protons if that
    balances, but beside boron.

    Where there is no such answer, twice these amounts are asked, with no element that is both a cation and an anion:
    half the Bi of BaBiO3 is +3 and half +5; of more than 200 atoms this is left out. Then come `rare_states`, beside
    F, O, Cl, Br, I, N, S, Se or Te: Cl in KClO4 is +7, Fe in SrFeO3 +4. O is a peroxide only beside cations in their
    highest states, as in Na2O2. Nitrogen is no cation where its oxygens are too few for the hydrogen and it can be an
    anion, as in (NH4)2SO4.

    Parameters
    ----------
    amounts : mapping of str to int
        Atoms of each element.
    charge : int, default 0
        That of the whole, in units of e: -1 of MnO4-.

    Returns
    -------
    dict of str to float, or None
        Average oxidation state of each element in units of e; None where no combination has the charge.

    See Also
    --------
    state_shares : How many atoms of an element have which state.
    bond_valences : Also knows how long the bonds are.

    Examples
    --------
    >>> likeliest_states({"Fe": 3, "O": 4})
    {'Fe': 2.6666666666666665, 'O': -2.0}
    >>> likeliest_states({"Mn": 1, "O": 4}, charge=-1)
    {'Mn': 7.0, 'O': -2.0}
    >>> likeliest_states({"Ni": 3, "Al": 1}) is None
    True
    """
    unit = math.gcd(charge, *amounts.values())
    smallest = tuple((symbol, amount // unit) for symbol, amount in sorted(amounts.items()))
    charge //= unit
    first = next((SYMBOLS[number] for number in _ANIONS if SYMBOLS[number] in amounts), None)
    limits: _Limits = ()
    if first is not None and len(amounts) > 1:
        limits = ((first, "all anions" if first == "H" else "anion"),)
    found = None
    if "H" in amounts and first != "H" and "B" not in amounts:
        protons: _Limits = (*limits, ("H", "all cations"))
        found = _neutral(smallest, charge, protons)
        if found is None and "N" in amounts:  # half the N of NH4NO2 is -3, half +3
            found = _balanced(tuple((symbol, 2 * n) for symbol, n in smallest), 2 * charge, protons, "any")
        limits = limits if found is None else protons
    found = found or _neutral(smallest, charge, limits)
    if found is not None and _has_ammonium(found, amounts):
        found = _neutral(smallest, charge, (*limits, ("N", "all anions"))) or found
    return None if found is None else {symbol: found[symbol] for symbol in amounts}


def state_shares(amounts: Mapping[str, int], charge: int = 0) -> dict[str, dict[int, float]] | None:
    """Tell which shares of the atoms of each element have which oxidation state, on average `likeliest_states`.

    An element has one state if that is likelier than two, by the shares of states in the ICSD and a tenth for two, as
    in `likeliest_states`. Two states balance with whole numbers of atoms, of the formula or of twice it; they are those
    that differ by 1 if there are such, and else the likeliest: Pb3O4 has Pb2+ and Pb4+.

    Parameters
    ----------
    amounts : mapping of str to int
        Atoms of each element.
    charge : int, default 0
        That of the whole, in units of e.

    Returns
    -------
    dict of str to dict of int to float, or None
        Of each element the states, in units of e, and their shares, which add up to 1. None where no combination has
        the charge, or the mean of an element is no state and not between two, or is that of a chain of anions.

    See Also
    --------
    likeliest_states : Their means.

    Examples
    --------
    >>> state_shares({"Mn": 3, "O": 4})
    {'Mn': {2: 0.333..., 3: 0.666...}, 'O': {-2: 1.0}}
    >>> state_shares({"N": 2, "H": 4, "O": 3})["N"]  # NH4NO3
    {-3: 0.5, 5: 0.5}
    >>> state_shares({"Na": 1, "N": 3}) is None  # an azide
    True
    """
    means = likeliest_states(amounts, charge)
    if means is None:
        return None
    unit = math.gcd(charge, *amounts.values())
    salt = means.get("N") == 0 or _has_ammonium(means, amounts)
    found = {
        symbol: _shares_of(symbol, amounts[symbol] // unit, mean, two=symbol == "N" and salt)
        for symbol, mean in means.items()
    }
    return {symbol: each for symbol, each in found.items() if each} if all(found.values()) else None


def _shares_of(symbol: str, amount: int, mean: float, *, two: bool) -> dict[int, float]:
    """Divide the atoms of an element among states of a mean, in two if there are such; empty if there is no way."""
    odds = _log_shares(symbol, has_rare=False)
    if mean in rare_states(symbol) or (mean in odds and mean < 0):
        return {round(mean): 1.0}
    pairs = []
    for low, high in itertools.combinations(odds, 2):
        share = (mean - low) / (high - low)
        n_atoms, may_cross = 2 * amount * share, two or (mean in odds and symbol != "N")
        whole = abs(n_atoms - round(n_atoms)) < TIE * amount
        if mean >= 0 and 0 < share < 1 and whole and (low > 0 or may_cross):
            score = (1 - share) * odds[low] + share * odds[high] + _MIXED
            pairs.append((score + _APART * (high - low > 1), score, {low: 1 - share, high: share}))
    _, score, best = max(pairs, key=lambda pair: pair[0], default=(0.0, -math.inf, {}))
    alike = mean in odds and not (two and best) and odds[round(mean)] > score
    return {round(mean): 1.0} if alike else best


def _neutral(amounts: tuple[tuple[str, int], ...], charge: int, limits: _Limits) -> dict[str, float] | None:
    """Balance by the first rule that can, but for peroxides beside what could give them electrons."""
    rules: list[tuple[int, _Rule]] = [(1, "any")]
    if sum(amount for _, amount in amounts) <= _MOST_ATOMS:
        rules.append((2, "one sign"))
    if any(SYMBOLS[number] in dict(amounts) for number in _SALT_FORMERS):
        rules.append((1, "rare"))
    for units, rule in rules:
        found = _balanced(tuple((symbol, units * n) for symbol, n in amounts), units * charge, limits, rule)
        if found is not None and not _is_odd_peroxide(found):
            return found
    return None


def _has_ammonium(states: Mapping[str, float], amounts: Mapping[str, int]) -> bool:
    """Tell whether N was made a cation though more H is there than water can hold beside its oxygens."""
    if states.get("N", 0) <= 0 or "H" not in amounts:
        return False
    left = amounts.get("O", 0) - amounts["N"] * (states["N"] + 1) / 2  # three oxygens of a nitrate, two of a nitrite
    return amounts["H"] > 2 * max(left, 0)


def _is_odd_peroxide(states: Mapping[str, float]) -> bool:
    """Tell whether O is less reduced than in oxides beside what could have given it electrons."""
    others = {symbol: state for symbol, state in states.items() if symbol != "O"}
    return states.get("O", -2) > -2 and any(
        state < max((*known_states(symbol), *rare_states(symbol))) and (state, symbol) not in _HALIDES
        for symbol, state in others.items()
    )


@lru_cache(maxsize=4096)
def _balanced(
    amounts: tuple[tuple[str, int], ...], charge: int, limits: _Limits, rule: _Rule
) -> dict[str, float] | None:
    reached: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}  # total: best score, charge of each element
    for symbol, amount in amounts:
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for more, gain in _charges(symbol, amount, rule, dict(limits).get(symbol)).items():
            for total, (score, charges) in reached.items():
                if score + gain > longer.get(total + more, (-math.inf, ()))[0]:
                    longer[total + more] = (score + gain, (*charges, more))
        reached = longer
    _, charges = reached.get(charge, (0.0, ()))
    if not any(charges):
        return None
    return {symbol: each / amount for (symbol, amount), each in zip(amounts, charges, strict=True)}


def known_states(symbol: str) -> tuple[int, ...]:
    """List the oxidation states of an element in the ICSD; where it has none, the common ones.

    Parameters
    ----------
    symbol : str
        Of the element.

    Returns
    -------
    tuple of int
        In units of e.

    Examples
    --------
    >>> known_states("Bi")
    (1, 2, 3, 5)
    """
    from pymatgen.core.periodic_table import Element

    element = Element(symbol)
    return tuple(int(state) for state in element.icsd_oxidation_states or element.common_oxidation_states)


def rare_states(symbol: str) -> tuple[int, ...]:
    """List the oxidation states of an element that pymatgen knows and the ICSD does not.

    Parameters
    ----------
    symbol : str
        Of the element.

    Returns
    -------
    tuple of int
        In units of e; only those above 1 but of F, O, Cl, Br, I, N, S, Se and Te.

    Examples
    --------
    >>> rare_states("Cl"), rare_states("Fe")
    ((1, 2, 3, 4, 5, 6, 7), (4, 5, 6))
    """
    from pymatgen.core.periodic_table import Element

    element = Element(symbol)
    listed = [state for state in element.oxidation_states if state > 1 or element.Z in _SALT_FORMERS]
    return tuple(state for state in listed if state not in known_states(symbol))


def may_balance(amounts: Mapping[str, float]) -> bool:
    """Tell whether a formula can be neutral with cations and anions; fractions of an element may differ in state.

    Parameters
    ----------
    amounts : mapping of str to float
        Amount of each element. Whole ones are atoms, each with a state known from the ICSD; others may have any mean.

    Returns
    -------
    bool
        False for metals, elements and most alloys.

    Examples
    --------
    >>> may_balance({"Li": 0.5, "Co": 1, "O": 2}), may_balance({"Fe": 0.25, "Ni": 0.75})
    (True, False)
    """
    if all(amount == round(amount) for amount in amounts.values()):
        return likeliest_states({symbol: round(amount) for symbol, amount in amounts.items()}) is not None
    states = [known_states(symbol) for symbol in amounts]
    if len(states) < 2 or not all(states):
        return False
    lowest, highest = (
        sum(amount * end(each) for amount, each in zip(amounts.values(), states, strict=True)) for end in (min, max)
    )
    return lowest <= _ROUNDING and highest >= -_ROUNDING


def _charges(symbol: str, amount: int, rule: _Rule, limit: _Limit | None) -> dict[int, float]:
    """Every total charge that so many atoms of an element can have, and the log odds of the best way to it.

    With "one sign", all atoms of any element are cations, or all are anions; with "rare", all have the same state if
    their element has rare ones, else one sign.
    """
    odds = _log_shares(symbol, has_rare=rule == "rare")
    if limit in ("all anions", "all cations"):
        odds = {state: each for state, each in odds.items() if (state > 0) == (limit == "all cations")}
    alike = {amount * state: each for state, each in odds.items()}
    totals: dict[int, float] = {}
    if symbol != "H" and not (rule == "rare" and rare_states(symbol)):
        signs = [odds] if rule == "any" else [{s: odds[s] for s in odds if s * sign > 0} for sign in (1, -1)]
        for states in signs:
            totals |= {total: score / amount + _MIXED for total, score in _totals(states, amount).items()}
    totals |= {total: max(each, totals.get(total, -math.inf)) for total, each in alike.items()}
    return {total: score for total, score in totals.items() if total < 0} if limit == "anion" else totals


@lru_cache(maxsize=512)
def _log_shares(symbol: str, *, has_rare: bool) -> dict[int, float]:
    """Logarithm of how large a share each state has of those that an element has in the ICSD, by pymatgen's counts."""
    from pymatgen.core.bond_valence import PRIOR_PROB
    from pymatgen.core.periodic_table import Species

    states = sorted({*known_states(symbol), *(rare_states(symbol) if has_rare else ())} - {0})
    counts = {state: _UNSEEN + float(PRIOR_PROB.get(Species(symbol, state), 0.0)) for state in states}
    return {state: math.log(count / sum(counts.values())) for state, count in counts.items()}


def _totals(states: Mapping[int, float], amount: int) -> dict[int, float]:
    best = {0: 0.0} if states else {}
    for _ in range(amount):
        longer: defaultdict[int, float] = defaultdict(lambda: -math.inf)
        for charge, score in best.items():
            for state, gain in states.items():
                longer[charge + state] = max(longer[charge + state], score + gain)
        best = dict(longer)
    return best
