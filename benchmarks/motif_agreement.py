"""How like the stored answers of ChemEnv: mixtures of environments of 4,741 oxides, every disagreement with its cause.

    pip install .
    python benchmarks/motif_agreement.py REFERENCE --write benchmarks/motif_agreement.md

REFERENCE are crystals with oxidation states and, for each cation, ChemEnv's environments under its strategy
MultiWeights: label, fraction, csm and ligands. They are compared with `find_motif_arrays(strategy="multi_weights")`.
Where the likeliest label differs, or any fraction by more than 0.01, the mixture is worked out again from the
definition with one thing after another as it is in the reference, until its fractions follow. What is then claimed to
be the lowest csm is searched for independently: 3,000 random rotations, each refined by the Hungarian algorithm.
"""

import argparse
import gzip
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matembed.cards import package_versions
from matembed.elements import SYMBOLS
from matembed.motifs import Crystal, find_motif_arrays
from matembed.motifs.arrays import MotifArrays
from matembed.motifs.geometry import all_fits, centre_and_scale, model_geometries, symmetry_measures
from matembed.motifs.mixtures import (
    LARGEST_CSM,
    LARGEST_MIXED_CN,
    _shares,
    neighbour_sets,
    weigh_sets,
)
from matembed.motifs.shells import facet_offsets
from matembed.motifs.voronoi import voronoi_cell

CLEAR = 0.95
EQUAL = 0.01  # fractions
SAME_CSM = 2e-4  # stored to 4 decimals, from coordinates of more decimals than are stored
LOWER = 1e-4

Ligands = tuple[tuple[int, int, int, int], ...]
Mixture = dict[tuple[str, Ligands], tuple[float, float]]  # fraction and csm

CAUSES = {
    "lower": "a csm that is stored, or above 8 and so left out, is not the lowest",
    "competitor": "of a set that competes, ChemEnv finds a csm that is not the lowest",
    "implied": "as if ChemEnv had found no csm below 8 for a set that competes; today it finds the same as matembed",
    "today": "ChemEnv answers otherwise today, as matembed does",
    "exact": "a model that fits exactly, csm 0, is missing in the reference, and its fraction with it",
    "tie": "two labels of nearly equal fraction",
    "missed": "**matembed misses the lowest csm**",
    "unknown": "**unexplained**",
}
PROVABLE = ("lower", "competitor", "implied", "exact")


class Site(NamedTuple):
    """A site where the two differ."""

    material: str
    site: int
    crystal: Crystal
    charges: NDArray[np.float64]
    stored: Mixture
    ours: Mixture


class Claim(NamedTuple):
    """That the csm of a set and a model is lower than the reference has it."""

    symbol: str
    theirs: float | None
    ours: float
    searched: float

    @property
    def proven(self) -> bool:
        """Whether the search finds it too."""
        return self.searched < self.ours + LOWER and (self.theirs is None or self.searched < self.theirs - LOWER)

    def __str__(self) -> str:
        theirs = "none" if self.theirs is None else f"{self.theirs:.2f}"
        return f"{self.symbol} {theirs} → {self.ours:.2f}" + ("" if self.proven else f" (search {self.searched:.2f})")


class Verdict(NamedTuple):
    """Why they differ."""

    cause: str
    claims: list[Claim]


# Mixtures ------------------------------------------------------------------------------------------------------------


def mixtures(found: MotifArrays) -> dict[int, Mixture]:
    """Environments by site."""
    symbols, starts = found.symbols(), found.environment_starts.tolist()
    mixed: dict[int, Mixture] = {}
    for row, site in enumerate(found.centres.tolist()):
        mixed[site] = {}
        for one in range(starts[row], starts[row + 1]):
            first, last = found.ligand_spans[one]
            key = symbols[one], tuple(map(tuple, found.ligands[first:last].tolist()))
            mixed[site][key] = float(found.fractions[one]), float(found.csms[one])
    return mixed


def top(mixture: Mixture) -> tuple[str, float]:
    if not mixture:
        return "none", 0.0
    (symbol, _), (fraction, _) = max(mixture.items(), key=lambda item: item[1][0])
    return symbol, fraction


def largest_difference(one: Mixture, other: Mixture) -> float:
    none = 0.0, 0.0
    return max((abs(one.get(key, none)[0] - other.get(key, none)[0]) for key in {*one, *other}), default=0.0)


class Definition:
    """The neighbour sets of a site, and what mixture they make with given measures."""

    def __init__(self, place: Site) -> None:
        self.place = place
        facets = voronoi_cell(place.crystal.lattice, place.crystal.frac_coords, place.site)
        self.offsets = facet_offsets(place.crystal, place.site, facets)
        self.ligands = list(zip(facets.sites.tolist(), *facets.images.T.tolist(), strict=True))
        may_bond = place.charges[place.site] * place.charges[facets.sites] <= 0
        numbers = place.crystal.numbers
        apart = numbers[facets.sites] != numbers[place.site]
        oxygen = (numbers[facets.sites] == 8) != (numbers[place.site] == 8)
        self.sets = neighbour_sets(facets, may_bond, (apart, apart & may_bond, oxygen))
        self.keys: list[Ligands] = [tuple(sorted(self.ligands[member] for member in one.members)) for one in self.sets]
        self.measures = [
            symmetry_measures(self.points(row)) if len(one.members) <= LARGEST_MIXED_CN else {}
            for row, one in enumerate(self.sets)
        ]

    def points(self, row: int) -> NDArray[np.float64]:
        """From the centre to the members of a set."""
        return self.offsets[list(self.sets[row].members)]

    def mix(self, measures: Sequence[dict[str, float]], rows: Iterable[int], exact: bool = True) -> Mixture:
        """Mixture of some sets; without exact fits, their fraction is lost as it is in the reference."""
        rows = list(rows)
        weights = weigh_sets([self.sets[row] for row in rows], [list(measures[row].values()) for row in rows])
        mixed: Mixture = {}
        for row, weight in zip(rows, weights.tolist(), strict=True):
            csms = measures[row]
            if weight <= 0 or (not exact and min(csms.values()) < LOWER):
                continue
            for (symbol, csm), share in zip(csms.items(), _shares(list(csms.values()), 2).tolist(), strict=True):
                if share > 0:
                    mixed[symbol, self.keys[row]] = weight * share, csm
        return mixed


# Causes --------------------------------------------------------------------------------------------------------------


def explain(place: Site) -> Verdict:
    """Find what makes the definition give the stored mixture."""
    wanted = place.stored
    sites = Definition(place)
    every = range(len(sites.sets))
    if largest_difference(sites.mix(sites.measures, every), wanted) <= EQUAL:
        if largest_difference(place.ours, wanted) <= EQUAL:
            return Verdict("tie", [])
        return Verdict("missed", missed(sites))
    listed = {ligands for _, ligands in wanted}
    theirs = [
        as_stored(wanted, key, csms) if key in listed else csms
        for key, csms in zip(sites.keys, sites.measures, strict=True)
    ]
    in_listed = [row for row in every if sites.keys[row] in listed]
    if largest_difference(sites.mix(theirs, every), wanted) <= EQUAL:
        return Verdict("lower", lower(sites, theirs, in_listed))
    lost = not wanted and any(fits_exactly(sites, row) for row in every)
    if lost or largest_difference(sites.mix(theirs, every, exact=False), wanted) <= EQUAL:
        exact = [row for row in every if sites.keys[row] not in listed and fits_exactly(sites, row)]
        never = [{} if row in exact else csms for row, csms in enumerate(theirs)]
        return Verdict("exact", lower(sites, never, [*in_listed, *exact]))
    today, answer = ask_chemenv(sites)
    if largest_difference(answer, place.ours) <= EQUAL:
        return Verdict("today", [])
    others = [row for row in every if sites.keys[row] not in listed]
    now = [
        {symbol: max(csm, today.get(frozenset(key), {}).get(symbol, csm)) for symbol, csm in csms.items()}
        if row in others
        else csms
        for row, (key, csms) in enumerate(zip(sites.keys, theirs, strict=True))
    ]
    if largest_difference(sites.mix(now, every), wanted) <= EQUAL:
        decisive = [row for row in others if matters(sites, now, row)]
        return Verdict("competitor", lower(sites, now, [*in_listed, *decisive]))
    for left_out in (*([row] for row in others), others):
        rest = [row for row in every if row not in left_out]
        if largest_difference(sites.mix(theirs, rest, exact=False), wanted) <= EQUAL:
            return Verdict(
                "implied", lower(sites, [{} if r in left_out else m for r, m in enumerate(theirs)], left_out)
            )
    return Verdict("unknown", [])


def as_stored(stored: Mixture, ligands: Ligands, csms: dict[str, float]) -> dict[str, float]:
    """Measures of a set that is stored: what is not listed was above 8."""
    found = {}
    for symbol, csm in csms.items():
        listed = stored.get((symbol, ligands))
        if listed is None:
            found[symbol] = csm if csm > LARGEST_CSM else 100.0
        else:
            found[symbol] = csm if abs(csm - listed[1]) < SAME_CSM else listed[1]
    return found


def fits_exactly(sites: Definition, row: int) -> bool:
    return min(sites.measures[row].values(), default=100.0) < LOWER


def matters(sites: Definition, measures: list[dict[str, float]], row: int) -> bool:
    changed = [sites.measures[row] if r == row else m for r, m in enumerate(measures)]
    every = range(len(sites.sets))
    return largest_difference(sites.mix(changed, every), sites.mix(measures, every)) > 1e-3


def lower(sites: Definition, theirs: Sequence[dict[str, float]], rows: Iterable[int]) -> list[Claim]:
    """Claims about sets whose csm is below another, and below 8."""
    claims = []
    for row in rows:
        for symbol, csm in sites.measures[row].items():
            other = theirs[row].get(symbol, 100.0)
            if csm < LARGEST_CSM and csm < other - SAME_CSM:
                claims.append(
                    Claim(symbol, other if other < 100 else None, csm, search(symbol, sites.points(row), csm))
                )
    return sorted(claims, key=lambda claim: claim.ours)


def missed(sites: Definition) -> list[Claim]:
    """Environments with a csm in the arrays above what single calls, or the search, find."""
    claims = []
    ours = sites.place.ours
    mixed = {ligands for _, ligands in ours}
    for row, key in enumerate(sites.keys):
        for symbol, csm in sites.measures[row].items():
            found = ours[symbol, key][1] if (symbol, key) in ours else None
            if key in mixed and csm < LARGEST_CSM - LOWER and (found is None or found > csm + LOWER):
                claims.append(Claim(symbol, found, csm, search(symbol, sites.points(row), csm)))
    return claims


_searched: dict[tuple[Any, ...], float] = {}


def search(symbol: str, offsets: NDArray[np.float64], wanted: float) -> float:
    """Lowest csm on a model of 3,000 starts.

    Shapes that agree to three decimals are searched once, unless the csm wanted is another. If it is not reached,
    30,000 starts are made.
    """
    points = centre_and_scale(np.vstack([np.zeros(3), offsets]))
    shape = symbol, *np.round(np.sort((points @ points.T)[np.triu_indices(len(points))]), 3).tolist()
    models = model_geometries()
    model = models.points[models.symbols.index(symbol), : len(points)]

    def lowest(n_rotations: int) -> float:
        return max(0.0, 100 * (1 - float(all_fits(points, model, n_rotations=n_rotations).max()) ** 2))

    if abs(_searched.get(shape, -1.0) - wanted) > LOWER:
        _searched[shape] = lowest(3_000)
        if _searched[shape] > wanted + LOWER:
            _searched[shape] = lowest(30_000)
    return _searched[shape]


def ask_chemenv(sites: Definition) -> tuple[dict[frozenset[Any], dict[str, float]], Mixture]:
    """Measures of every neighbour set of a site, and its mixture, as ChemEnv finds them today."""
    from pymatgen.analysis.chemenv.coordination_environments.chemenv_strategies import MultiWeightsChemenvStrategy
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import LocalGeometryFinder

    place = sites.place
    structure = place.crystal.to_structure()
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(
        only_indices=[place.site], only_cations=False, valences=place.charges.tolist()
    )
    strategy = MultiWeightsChemenvStrategy.stats_article_weights_parameters()
    strategy.set_structure_environments(environments)

    def ligands(one: Any) -> Ligands:
        return tuple(
            sorted(
                (int(n["index"]), *map(int, np.round(n["site"].frac_coords - structure[int(n["index"])].frac_coords)))
                for n in one.neighb_sites_and_indices
            )
        )

    measures = {}
    for cn, several in environments.neighbors_sets[place.site].items():
        for one, found in zip(several, environments.ce_list[place.site][cn], strict=True):
            if found is not None:
                measures[frozenset(ligands(one))] = {
                    symbol: float(geometry["other_symmetry_measures"]["csm_wcs_ctwcc"])
                    for symbol, geometry in found.coord_geoms.items()
                }
    answer = strategy.get_site_coordination_environments_fractions(
        structure[place.site], place.site, np.zeros(3), np.zeros(3), structure[place.site]
    )
    mixture: Mixture = {}
    for one in answer or []:
        cn, position = one["ce_map"]
        key = one["ce_symbol"], ligands(environments.neighbors_sets[place.site][cn][position])
        mixture[key] = float(one["ce_fraction"]), float(one["ce_dict"]["other_symmetry_measures"]["csm_wcs_ctwcc"])
    return measures, mixture


# The comparison ------------------------------------------------------------------------------------------------------


class Tally(NamedTuple):
    """What is counted over all sites, and the sites that differ."""

    counts: Counter[str]
    differing: list[Site]
    higher: list[tuple[Site, tuple[str, Ligands]]]
    seconds: float


def compare(path: Path) -> Tally:
    counts: Counter[str] = Counter()
    differing: list[Site] = []
    higher = []
    seconds = 0.0
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            start = time.process_time()
            crystal = Crystal.from_record(record)
            found = find_motif_arrays(crystal, strategy="multi_weights", valences=record["valences"])
            seconds += time.process_time() - start
            ours = mixtures(found)
            charges = np.array(record["valences"], dtype=np.float64)
            counts["crystals"] += 1
            for site, environments in record["environments"]:
                stored: Mixture = {
                    (symbol, tuple(sorted(map(tuple, ligands)))): (fraction, csm)
                    for symbol, fraction, csm, ligands in environments
                }
                place = Site(record["id"], site, crystal, charges, stored, ours.get(site, {}))
                differs = count(counts, place)
                if differs:
                    differing.append(place)
                mixed = {ligands for _, ligands in place.ours}
                higher += [
                    (place, key)
                    for key, (_, csm) in stored.items()
                    if key[1] in mixed and place.ours.get(key, (0.0, LARGEST_CSM))[1] > csm + SAME_CSM
                ]
    return Tally(counts, differing, higher, seconds)


def count(counts: Counter[str], place: Site) -> bool:
    """Add a site to the counts; say whether it differs."""
    stored, ours = place.stored, place.ours
    counts["sites"] += 1
    if not stored:
        counts["neither" if not ours else "only ours"] += 1
        return bool(ours)
    same_label = top(stored)[0] == top(ours)[0]
    same_fractions = largest_difference(stored, ours) <= EQUAL
    clear = top(stored)[1] > CLEAR
    counts["labelled"] += 1
    counts["same label"] += same_label
    counts["same fractions"] += same_fractions
    counts["clear"] += clear
    counts["clear, same label"] += clear and same_label
    counts["only theirs"] += not ours
    for key, (_, csm) in stored.items():
        if key in ours:
            counts["environments"] += 1
            counts["csm lower"] += ours[key][1] < csm - SAME_CSM
            counts["csm higher"] += ours[key][1] > csm + SAME_CSM
    return not (same_label and same_fractions)


def signature(place: Site) -> tuple[Any, ...]:
    """Sites of a crystal that differ in the same way are explained once."""
    return place.material, *(
        tuple(sorted((symbol, round(fraction, 2), round(csm, 2)) for (symbol, _), (fraction, csm) in mixture.items()))
        for mixture in (place.stored, place.ours)
    )


class Group(NamedTuple):
    """Sites of a crystal that differ in the same way."""

    place: Site
    sites: list[int]
    verdict: Verdict


def explain_all(differing: list[Site]) -> list[Group]:
    groups: dict[tuple[Any, ...], Group] = {}
    for place in differing:
        key = signature(place)
        if key not in groups:
            groups[key] = Group(place, [], explain(place))
        groups[key].sites.append(place.site)
    return list(groups.values())


# The page ------------------------------------------------------------------------------------------------------------


def page(tally: Tally, groups: list[Group], command: str, seconds: float) -> str:
    counts = tally.counts
    labels = [
        group for group in groups if group.place.stored and top(group.place.stored)[0] != top(group.place.ours)[0]
    ]
    fractions = [
        group
        for group in groups
        if group.place.stored and largest_difference(group.place.stored, group.place.ours) > EQUAL
    ]
    proven = {
        name: sum(
            len(one.sites) for one in labels if shown(one) and (name == "all" or top(one.place.stored)[1] > CLEAR)
        )
        for name in ("all", "clear")
    }
    rows = [
        ("label equal, stored fraction above 0.95", counts["clear, same label"], counts["clear"], "99 %"),
        ("label equal, all labelled sites", counts["same label"], counts["labelled"], "98 %"),
        (
            "equal or provably lower csm, above 0.95",
            counts["clear, same label"] + proven["clear"],
            counts["clear"],
            "99.8 %",
        ),
        ("equal or provably lower csm, all", counts["same label"] + proven["all"], counts["labelled"], "99 %"),
        ("all fractions within 0.01", counts["same fractions"], counts["labelled"], "97 %"),
    ]
    claims = [claim for group in groups for claim in group.verdict.claims if group.verdict.cause in PROVABLE]
    return "\n".join(
        [
            "# Agreement with the stored environments of ChemEnv",
            f"`{command}` printed, in {seconds:,.0f} s of CPU time:",
            "",
            f"{counts['crystals']:,} crystals, {counts['sites']:,} sites; {counts['labelled']:,} have a label in the "
            f"reference. matembed took {1e6 * tally.seconds / counts['sites']:,.0f} µs a site.",
            "",
            *table(
                ["", "sites", "of", "share", "wanted"],
                [[what, f"{n:,}", f"{of:,}", f"{100 * n / of:.2f} %", want] for what, n, of, want in rows],
            ),
            "",
            f"Neither has a label on {counts['neither']:,} sites, only matembed on {counts['only ours']:,}, only the "
            f"reference on {counts['only theirs']:,}. Of {counts['environments']:,} environments that both have, "
            f"label and ligands the same, the csm of matembed is lower by more than {SAME_CSM} on "
            f"{counts['csm lower']:,}, and higher on {counts['csm higher']:,}.",
            "",
            "## Causes",
            "Sites, crystals and distinct ways to differ (symmetry makes many sites equal), by cause. A site has the "
            "first cause that makes the stored fractions follow from the definition, to 0.01.",
            "",
            *table(
                ["cause", "label differs", "a fraction differs", "label in matembed only", "crystals", "ways"],
                [
                    [
                        CAUSES[cause],
                        *(
                            f"{sum(len(one.sites) for one in several if one.verdict.cause == cause):,}"
                            for several in (labels, fractions, [one for one in groups if not one.place.stored])
                        ),
                        f"{len({one.place.material for one in groups if one.verdict.cause == cause}):,}",
                        f"{sum(one.verdict.cause == cause for one in groups):,}",
                    ]
                    for cause in CAUSES
                    if any(one.verdict.cause == cause for one in groups)
                ],
            ),
            "",
            f"The independent search was made on {len(_searched):,} shapes. Of {len(claims):,} claims of a lower csm "
            f"it reached {sum(claim.proven for claim in claims):,}; a claim that it does not reach says what it found.",
            "",
            "## Where the csm of matembed is higher",
            "",
            *higher_table(tally.higher),
            "",
            "## Every disagreement",
            "A row for each way to differ within a crystal. Evidence: label, csm in the reference (none: above 8 or "
            "not there) → csm in matembed; or how many ligands, cations among them, a set has that is not made.",
            "",
            *(line for cause in CAUSES for line in list_of(cause, groups)),
            versions(),
            "",
        ]
    )


def shown(group: Group) -> bool:
    """Say whether a lower csm is behind a disagreement, and proven."""
    cause, claims = group.verdict
    return cause in PROVABLE and any(claim.proven for claim in claims)


def higher_table(higher: list[tuple[Site, tuple[str, Ligands]]]) -> list[str]:
    """Environments of higher csm, or left out as above 8, with what a call for the shape and the search find."""
    found: dict[tuple[str, str, float], tuple[list[int], list[str]]] = {}
    for place, key in higher:
        stored, ours = place.stored[key][1], place.ours.get(key, (0.0, np.inf))[1]
        row = place.material, key[0], round(ours, 3)
        if row not in found:
            ligands = np.array(key[1])
            steps = place.crystal.frac_coords[ligands[:, 0]] + ligands[:, 1:] - place.crystal.frac_coords[place.site]
            offsets = steps @ place.crystal.lattice
            single = symmetry_measures(offsets)[key[0]]
            searched = search(key[0], offsets, single)
            best = min(single, searched)
            why = "missed" if ours > best + LOWER else "coordinates are rounded"
            found[row] = (
                [],
                [f"{stored:.4f}", "none" if ours == np.inf else f"{ours:.4f}", f"{single:.4f}", f"{searched:.4f}", why],
            )
        found[row][0].append(place.site)
    n_sites = sum(len(sites) for sites, (*_, why) in found.values() if why == "missed")
    if not found:
        return ["Nowhere."]
    head = f"By more than {SAME_CSM}, or above 8 and so left out (none). It is missed on {n_sites} sites."
    rows = table(
        ["crystal", "sites", "label", "stored", "matembed", "this shape alone", "search", "why"],
        [
            [material, spans(sites), symbol, *rest]
            for (material, symbol, _), (sites, rest) in sorted(
                found.items(), key=lambda item: item[1][1][-1] != "missed"
            )
        ],
    )
    return [head, "", *rows]


def list_of(cause: str, groups: list[Group]) -> list[str]:
    several = [group for group in groups if group.verdict.cause == cause]
    if not several:
        return []
    rows = []
    for place, sites, verdict in several:
        (one, fraction), (other, share) = top(place.stored), top(place.ours)
        rows.append(
            [
                place.material,
                f"{SYMBOLS[place.crystal.numbers[place.site]]} {spans(sites)}",
                f"{one} {fraction:.3f}",
                f"{other} {share:.3f}",
                f"{largest_difference(place.stored, place.ours):.3f}",
                "; ".join(map(str, verdict.claims[:3])),
            ]
        )
    text = CAUSES[cause].replace("**", "")
    n_sites = sum(len(group.sites) for group in several)
    return [
        f"### {text[0].upper()}{text[1:]}",
        f"{n_sites:,} sites",
        "",
        *table(["crystal", "sites", "stored", "matembed", "largest difference", "evidence"], rows),
        "",
    ]


def spans(sites: Sequence[int]) -> str:
    """Write 3, 4, 5, 9 as 3-5, 9."""
    runs: list[list[int]] = []
    for site in sorted(sites):
        if runs and site == runs[-1][-1] + 1:
            runs[-1].append(site)
        else:
            runs.append([site])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


@cache
def versions() -> str:
    names = ("matembed", "numba", "numpy", "pymatgen", "pymatgen-core", "scipy")
    return ", ".join(f"{name} {version}" for name, version in package_versions(names).items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=Path, help="crystals with environments, as JSON lines")
    parser.add_argument("--write", type=Path, help="where to write the page as Markdown")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # pymatgen's remarks
    find_motif_arrays(Crystal(4.12 * np.eye(3), [[0, 0, 0], [0.5, 0.5, 0.5]], [55, 17]), strategy="multi_weights")
    start = time.process_time()
    tally = compare(options.reference)
    groups = explain_all(tally.differing)
    command = " ".join(["python", *("REFERENCE" if one == str(options.reference) else one for one in sys.argv)])
    text = page(tally, groups, command, time.process_time() - start)
    print(text[: text.index("## Every disagreement")])
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
