"""ChemEnv: shells and geometries as pymatgen finds them, the reference for every engine; and motifs in its own form."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.analysis.chemenv.coordination_environments.chemenv_strategies import (
    MultiWeightsChemenvStrategy,
    SimplestChemenvStrategy,
)
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import (
    LocalGeometryFinder,
    symmetry_measure,
)
from pymatgen.analysis.chemenv.coordination_environments.structure_environments import LightStructureEnvironments
from pymatgen.analysis.chemenv.utils.defs_utils import AdditionalConditions
from pymatgen.core.sites import PeriodicSite

from matembed.motifs.shells import ANGLE_CUTOFF, DISTANCE_CUTOFF, MAXIMUM_DISTANCE, Shell

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from matembed.motifs.find import Strategy
    from matembed.motifs.graph import Ligand, MotifGraph

__all__ = ["as_structure_environments", "find_shells"]


def find_shells(
    structure: "Structure", sites: Sequence[int], valences: Sequence[float] | None, *, strategy: "Strategy" = "simplest"
) -> dict[int, list[Shell]]:
    """Find coordination shells and their geometries with pymatgen's ChemEnv [1]_.

    With ``"simplest"`` the settings are those of ``SimplestChemenvStrategy(distance_cutoff=1.4, angle_cutoff=0.3)``,
    with anion-cation bonds only and ``maximum_distance_factor=1.41``; with ``"multi_weights"`` those of
    ``MultiWeightsChemenvStrategy.stats_article_weights_parameters()`` and ChemEnv's defaults.

    Parameters
    ----------
    structure : Structure
        Ordered, of bare elements.
    sites : sequence of int
        The centres.
    valences : sequence of float, length n_sites, or None
        Bonds join positive to negative sites; a site of valence 0, or any where they are None, may bond to all.
    strategy : {"simplest", "multi_weights"}
        One shell for each site, or all environments of fraction above 0, likeliest first.

    Returns
    -------
    dict of int to list of Shell
        By site. Sites with no neighbours, or with more than 20, are left out, as ChemEnv does.

    References
    ----------
    .. [1] D. Waroquiers et al., Acta Cryst. B 76, 683 (2020).
    """
    if strategy == "multi_weights":
        return _mixed(structure, sites, valences)
    finder = _SimplestFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(
        only_indices=list(sites),
        only_cations=False,
        valences="undefined" if valences is None else list(valences),
        additional_conditions=[AdditionalConditions.ONLY_ACB],
        maximum_distance_factor=MAXIMUM_DISTANCE,
    )
    shells: dict[int, list[Shell]] = {}
    for site in sites:
        cn, position = _chosen(environments, site)
        found = environments.ce_list[site][cn][position]
        if found is None:
            continue
        neighbours = environments.neighbors_sets[site][cn][position].neighb_sites
        best = found.minimum_geometry(symmetry_measure_type="csm_wcs_ctwcc")
        csm = None if best is None else float(best[1]["other_symmetry_measures"]["csm_wcs_ctwcc"])
        geometry = f"UNKNOWN:{cn}" if best is None else best[0]
        shells[site] = [_shell(structure, site, neighbours, geometry, csm)]
    return shells


def _shell(
    structure: "Structure", site: int, neighbours: Any, geometry: str, csm: float | None, fraction: float = 1.0
) -> Shell:
    offsets = np.array([neighbour.coords for neighbour in neighbours]) - structure.cart_coords[site]
    return Shell(geometry, csm, offsets, tuple(neighbour.specie.symbol for neighbour in neighbours), fraction)


def _mixed(structure: "Structure", sites: Sequence[int], valences: Sequence[float] | None) -> dict[int, list[Shell]]:
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(
        only_indices=list(sites), only_cations=False, valences="undefined" if valences is None else list(valences)
    )
    strategy = MultiWeightsChemenvStrategy.stats_article_weights_parameters()
    strategy.set_structure_environments(environments)
    shells = {}
    for site in sites:
        found = strategy.get_site_coordination_environments_fractions(
            structure[site], site, np.zeros(3), np.zeros(3), structure[site]
        )
        shells[site] = [
            _shell(
                structure,
                site,
                environments.neighbors_sets[site][one["ce_map"][0]][one["ce_map"][1]].neighb_sites,
                one["ce_symbol"],
                float(one["ce_dict"]["other_symmetry_measures"]["csm_wcs_ctwcc"]),
                float(one["ce_fraction"]),
            )
            for one in found or []
        ]
    return shells


def _chosen(environments: Any, site: int) -> tuple[int, int]:
    """Coordination number and position of the neighbour set that SimplestChemenvStrategy reads."""
    distances = environments.voronoi.neighbors_normalized_distances[site]
    angles = environments.voronoi.neighbors_normalized_angles[site]
    last = (
        sum(group["min"] <= DISTANCE_CUTOFF for group in distances) - 1,
        sum(group["max"] >= ANGLE_CUTOFF for group in angles) - 1,
    )
    return next(
        (cn, position)
        for cn, candidates in environments.neighbors_sets[site].items()
        for position, candidate in enumerate(candidates)
        if any((source["idp"], source["iap"]) == last for source in candidate.sources)
    )


def as_structure_environments(
    graph: "MotifGraph", structure: "Structure", *, valences: Sequence[float] | None = None
) -> LightStructureEnvironments:
    """Hand motifs back as pymatgen's ChemEnv would, so that code written for it goes on from there.

    Parameters
    ----------
    graph : MotifGraph
        What `matembed.find_motifs` found in the structure.
    structure : Structure
        Of pymatgen, n_sites sites.
    valences : sequence of float, length n_sites, optional
        Oxidation states, where the graph was made with given ones; by default they are assigned as they were for it.

    Returns
    -------
    LightStructureEnvironments
        Symbols, csm, fractions and neighbour sets of every motif; None for sites without. There are no permutations,
        which name the vertex of each ligand. The strategy is that of the graph, and ``SimplestChemenvStrategy`` in name
        only where bonds were given.

    Raises
    ------
    ValueError
        If the structure has other sites than the graph.

    Examples
    --------
    >>> from matembed import find_motifs
    >>> from pymatgen.core import Lattice, Structure
    >>> magnesia = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> environments = as_structure_environments(find_motifs(magnesia), magnesia)
    >>> environments.coordination_environments[0][0]["ce_symbol"], len(environments.neighbors_sets[0][0])
    ('O:6', 6)
    """
    symbols = tuple(site.specie.symbol for site in structure)
    if symbols != graph.elements:
        remedy = "pass the structure that it was found in, with its sites in the same order"
        msg = f"the graph is of {graph.formula} with {graph.n_sites} sites, and the structure has others; {remedy}"
        raise ValueError(msg)
    environments: list[Any] = [None] * len(symbols)
    neighbour_sets: list[Any] = [None] * len(symbols)
    neighbours: list[dict[str, Any]] = []
    positions: dict[Ligand, int] = {}
    for motif in graph.motifs:
        environments[motif.site] = [
            {"ce_symbol": one.geometry, "ce_fraction": one.fraction, "csm": one.csm, "permutation": None}
            for one in motif.environments
        ]
        neighbour_sets[motif.site] = []
        for one in motif.environments:
            for ligand in one.ligands:
                if ligand not in positions:
                    positions[ligand] = len(neighbours)
                    atom = structure[ligand.site]
                    place = PeriodicSite(atom.species, atom.frac_coords + ligand.image, structure.lattice)
                    neighbours.append({"site": place, "index": ligand.site, "image_cell": np.array(ligand.image)})
            neighbour_sets[motif.site].append(
                LightStructureEnvironments.NeighborsSet(
                    structure, motif.site, neighbours, [positions[ligand] for ligand in one.ligands]
                )
            )
    mixed = graph.strategy == "multi_weights"
    if valences is None and graph.valences in ("structure", "bond_valence", "composition", "bv_analyzer"):
        from matembed.motifs.crystal import Crystal
        from matembed.motifs.find import oxidation_states

        assigned = oxidation_states(Crystal.from_structure(structure), graph.valences)
        valences = None if assigned is None else assigned.tolist()
    return LightStructureEnvironments(
        strategy=MultiWeightsChemenvStrategy.stats_article_weights_parameters() if mixed else SimplestChemenvStrategy(),
        coordination_environments=environments,
        all_nbs_sites=neighbours,
        neighbors_sets=neighbour_sets,
        structure=structure,
        valences="undefined" if valences is None else list(valences),
        valences_origin=graph.valences,
    )


class _SimplestFinder(LocalGeometryFinder):
    """ChemEnv, but measuring only the neighbour set that is read, and the same each time it runs."""

    def update_nb_set_environments(
        self, se: Any, isite: int, cn: int, inb_set: int, nb_set: Any, recompute: bool = False, optimization: Any = None
    ) -> Any:
        if (cn, inb_set) != _chosen(se, isite):
            return None
        return super().update_nb_set_environments(se, isite, cn, inb_set, nb_set, recompute, optimization)

    def coordination_geometry_symmetry_measures_fallback_random(
        self, coordination_geometry: Any, n_random: int = 10, points_perfect: Any = None, **_: Any
    ) -> Any:
        rng = np.random.default_rng(0)
        permutations = [rng.permutation(coordination_geometry.coordination_number) for _ in range(n_random)]
        measures = []
        for permutation in permutations:
            points = self.local_geometry.points_wcs_ctwcc(permutation=permutation)
            measure = symmetry_measure(points_distorted=points, points_perfect=points_perfect)
            measures.append(measure | {"translation_vector": self.local_geometry.centroid_with_centre})
        to_local = [dict(enumerate(permutation)) for permutation in permutations]
        to_perfect = [{local: perfect for perfect, local in mapping.items()} for mapping in to_local]
        return measures, permutations, ["APPROXIMATE_FALLBACK"] * n_random, to_perfect, to_local
