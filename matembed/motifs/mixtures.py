"""Which coordination environments a site has where it is between several, and in what fractions."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.elements import SYMBOLS
from matembed.motifs.geometry import symmetry_measures
from matembed.motifs.shells import ANGLE_GAP, DISTANCE_GAP, MINIMUM_ANGLE, Shell, facet_offsets
from matembed.motifs.voronoi import Facets, voronoi_cell

if TYPE_CHECKING:
    from matembed.motifs.crystal import Crystal

__all__ = [
    "ANGLE_BOUNDS",
    "DISTANCE_BOUNDS",
    "LARGEST_CSM",
    "LARGEST_MIXED_CN",
    "NeighbourSet",
    "find_mixed_shells",
    "neighbour_sets",
    "weigh_sets",
]

# MultiWeightsChemenvStrategy.stats_article_weights_parameters(). Neighbours beyond the upper bound of distance, which
# is also ChemEnv's own maximum_distance_factor, are not looked at.
DISTANCE_BOUNDS = (1.15, 2.0)
ANGLE_BOUNDS = (0.05, 0.75)
LARGEST_CSM = 8.0
# The one model with more vertices, DD:20, ChemEnv fits by ten random orderings, and so does not find.
LARGEST_MIXED_CN = 13


class NeighbourSet(NamedTuple):
    """Neighbours that some pair of plateaus, of distance and of solid angle, sets apart.

    Attributes
    ----------
    members : tuple of int
        Positions in the facets of the Voronoi cell.
    may_be_shell : bool
        Whether all members may bond, and a rectangle of cutoffs that gives the set meets the surface of plausible
        cutoffs. Other sets only compete.
    """

    members: tuple[int, ...]
    may_be_shell: bool


def neighbour_sets(
    facets: Facets, may_bond: NDArray[np.bool_], competing: Sequence[NDArray[np.bool_]] = ()
) -> list[NeighbourSet]:
    """List the neighbour sets of a site.

    Plateaus are those of `choose_ligands`: groups of distances, ascending, that a gap of more than 0.05 ends, up to
    2.0 times the nearest; and of solid angles, descending, that a gap of more than 0.03 ends, down to 0.05 of the
    largest. Each plateau of distance with each plateau of angle gives the neighbours up to both: once all of them, once
    those that may bond.

    Parameters
    ----------
    facets : Facets
        The Voronoi cell, n_facets of them.
    may_bond : bool array, shape (n_facets,)
        Neighbours that may be ligands.
    competing : sequence of bool array, shape (n_facets,)
        More choices of neighbours, the sets of which only compete.

    Returns
    -------
    list of NeighbourSet
        Each set once, none empty.

    Examples
    --------
    >>> from matembed.motifs.voronoi import voronoi_cell
    >>> cell = voronoi_cell(2.87 * np.eye(3), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 0)
    >>> [len(one.members) for one in neighbour_sets(cell, np.full(14, True))]
    [8, 14]
    """
    if len(facets.sites) == 0:
        return []
    distances = facets.distances / facets.distances.min()
    angles = facets.solid_angles / facets.solid_angles.max()
    near = _plateaus(distances, DISTANCE_GAP, DISTANCE_BOUNDS[1])
    wide = _plateaus(-angles, ANGLE_GAP, -MINIMUM_ANGLE)
    far_ends = [distances[group[0]] for group in near[1:]] + [DISTANCE_BOUNDS[1]]
    narrow_ends = [angles[group[0]] for group in wide[1:]] + [MINIMUM_ANGLE]
    found: dict[tuple[int, ...], bool] = {}
    within: set[int] = set()
    for group, far in zip(near, far_ends, strict=True):
        within |= set(group)
        seen: set[int] = set()
        for other, narrow in zip(wide, narrow_ends, strict=True):
            seen |= set(other)
            every = tuple(sorted(within & seen))
            allowed = tuple(facet for facet in every if may_bond[facet])
            crosses = _crosses(distances[group[0]], far, narrow, angles[other[0]])
            found[allowed] = found.get(allowed, False) or crosses
            for choice in (np.full(len(may_bond), True), *competing):
                found.setdefault(tuple(facet for facet in every if choice[facet]), False)
    return [NeighbourSet(members, shell) for members, shell in found.items() if members]


def _plateaus(values: NDArray[np.float64], gap: float, end: float) -> list[list[int]]:
    """Group values, ascending, at gaps; what is past the end is left out."""
    order = [int(idx) for idx in np.argsort(values, kind="stable") if values[idx] <= end]
    groups: list[list[int]] = []
    for idx in order:
        if groups and values[idx] - values[groups[-1][-1]] <= gap:
            groups[-1].append(idx)
        else:
            groups.append([idx])
    return groups


def _crosses(near: float, far: float, narrow: float, wide: float) -> bool:
    """Say whether a rectangle of cutoffs meets the surface between two quarters of ellipses.

    Both curves fall from the corner of shortest distance and widest angle to that of longest and narrowest; the lower
    one bends towards the origin.
    """
    (shortest, longest), (narrowest, widest) = DISTANCE_BOUNDS, ANGLE_BOUNDS
    if far <= shortest or near >= longest:
        return False
    at_far = (longest - min(far, longest)) / (longest - shortest)
    at_near = (max(near, shortest) - shortest) / (longest - shortest)
    lower = widest - (widest - narrowest) * math.sqrt(1 - at_far**2)
    upper = narrowest + (widest - narrowest) * math.sqrt(1 - at_near**2)
    return wide > lower and narrow < upper


def _shares(csms: Sequence[float], power: int) -> NDArray[np.float64]:
    """Weights of geometries of one set, summing to 1; one that fits without error takes all."""
    values = np.array(csms, dtype=np.float64)
    if values.min() < 1e-10:
        return np.asarray(np.arange(len(values)) == values.argmin(), dtype=np.float64)
    share = np.minimum(values / LARGEST_CSM, 1)
    weights = (share - 1) ** 2 / share**power
    return np.asarray(weights / max(weights.sum(), 1e-300), dtype=np.float64)


def weigh_sets(sets: Sequence[NeighbourSet], csms: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Weigh the neighbour sets of a site against each other.

    The effective csm of a set is the mean over its geometries below 8, weighted by ``(x - 1)^2 / x`` with
    ``x = csm / 8``, or 100 where there is none. A set that may be the shell weighs ``(x - 1)^2 exp(-x)``, times the
    least, over all sets with more neighbours, of a smooth step in how much higher their effective csm is: from 0 at
    ``0.25 + 0.25 n`` to 1 at ``5 + 0.25 n`` for n more neighbours, up to 12.

    Parameters
    ----------
    sets : sequence of NeighbourSet, length n_sets
        From `neighbour_sets`.
    csms : sequence of sequence of float, length n_sets
        For each set, the csm of every geometry of its coordination number.

    Returns
    -------
    float array, shape (n_sets,)
        Fractions that add up to 1; all 0 where no set qualifies.
    """
    effective = []
    for values in csms:
        low = [csm for csm in values if csm <= LARGEST_CSM]
        effective.append(float(np.dot(_shares(low, 1), low)) if low else 100.0)
    weights = np.zeros(len(sets))
    for row, one in enumerate(sets):
        if not one.may_be_shell:
            continue
        share = min(effective[row] / LARGEST_CSM, 1.0)
        preferred = [
            _smooth_step(csm - effective[row], min(len(other.members) - len(one.members), 12))
            for other, csm in zip(sets, effective, strict=True)
            if len(other.members) > len(one.members)
        ]
        weights[row] = (share - 1) ** 2 * math.exp(-share) * min(preferred, default=1.0)
    total = weights.sum()
    return weights / total if total > 1e-9 else np.zeros(len(sets))


def _smooth_step(difference: float, more: int) -> float:
    share = min(max((difference - 0.25 - 0.25 * more) / 4.75, 0.0), 1.0)
    return share**3 * (share * (share * 6 - 15) + 10)


def find_mixed_shells(crystal: "Crystal", sites: Sequence[int], charges: NDArray[np.float64]) -> dict[int, list[Shell]]:
    """Find the environments of sites and their fractions, as ChemEnv's ``MultiWeightsChemenvStrategy`` [1]_ does.

    The settings are those of its ``stats_article_weights_parameters()``. Within a neighbour set, geometries of csm
    below 8 share by ``(x - 1)^2 / x^2`` with ``x = csm / 8``; the weights of sets are those of `weigh_sets`.

    Parameters
    ----------
    crystal : Crystal
        The structure, n_sites of them.
    sites : sequence of int
        The centres.
    charges : float array, shape (n_sites,)
        Bonds join positive to negative sites; a site of charge 0 may bond to all.

    Returns
    -------
    dict of int to list of Shell
        By site, likeliest first; sites whose neighbours resemble no model are left out.

    References
    ----------
    .. [1] D. Waroquiers et al., Acta Cryst. B 76, 683 (2020).
    """
    found = {}
    for site in sites:
        facets = voronoi_cell(crystal.lattice, crystal.frac_coords, site)
        offsets = facet_offsets(crystal, site, facets)
        may_bond = charges[site] * charges[facets.sites] <= 0
        sets = neighbour_sets(facets, may_bond, _competing(crystal.numbers, site, facets, may_bond))
        measures = [
            symmetry_measures(offsets[list(one.members)], engine="numpy")
            if len(one.members) <= LARGEST_MIXED_CN
            else {}
            for one in sets
        ]
        weights = weigh_sets(sets, [list(csms.values()) for csms in measures])
        shells = []
        for one, weight, csms in zip(sets, weights, measures, strict=True):
            members = list(one.members)
            elements = tuple(SYMBOLS[number] for number in crystal.numbers[facets.sites[members]])
            shares = _shares(list(csms.values()), 2) if weight > 0 else np.zeros(0)
            for (geometry, csm), share in zip(csms.items(), shares, strict=False):
                if share > 0:
                    shells.append(Shell(geometry, csm, offsets[members], elements, float(weight * share)))
        if shells:
            found[site] = sorted(shells, key=lambda shell: -shell.fraction)
    return found


def _competing(
    numbers: NDArray[np.int64], site: int, facets: Facets, may_bond: NDArray[np.bool_]
) -> list[NDArray[np.bool_]]:
    """Choose neighbours by ChemEnv's other conditions: of another element, those that may bond, to or from oxygen."""
    unlike = numbers[facets.sites] != numbers[site]
    return [unlike, unlike & may_bond, (numbers[facets.sites] == 8) != (numbers[site] == 8)]
