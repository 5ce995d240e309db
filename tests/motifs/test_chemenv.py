"""Shells and labels are those of pymatgen's ChemEnv, computed site by site without any short cut."""

import gzip
import json
from importlib.resources import files
from itertools import islice

import numpy as np
import pytest
from pymatgen.analysis.chemenv.connectivity.connectivity_finder import ConnectivityFinder
from pymatgen.analysis.chemenv.coordination_environments.chemenv_strategies import (
    MultiWeightsChemenvStrategy,
    SimplestChemenvStrategy,
)
from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import LocalGeometryFinder
from pymatgen.analysis.chemenv.coordination_environments.structure_environments import LightStructureEnvironments
from pymatgen.core import Lattice, Structure

from matembed.motifs import ENGINES, STRATEGIES, find_motifs
from matembed.motifs.valences import assign_valences


@pytest.fixture(scope="module")
def prototypes():
    source = files("pymatgen.analysis") / "prototypes" / "aflow_prototypes.json.gz"
    entries = json.loads(gzip.decompress(source.read_bytes()))
    return {entry["tags"]["mineral"]: entry["snl"] for entry in entries}


def mixed_by_chemenv(structure, valences):
    """Environments above 0.001 of every cation: geometry, csm and fraction, likeliest first."""
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(valences=valences)
    strategy = MultiWeightsChemenvStrategy.stats_article_weights_parameters()
    light = LightStructureEnvironments.from_structure_environments(strategy, environments)
    return {
        site: [(one["ce_symbol"], one["csm"], one["ce_fraction"]) for one in found if one["ce_fraction"] > 1e-3]
        for site, found in enumerate(light.coordination_environments)
        if found
    }


@pytest.mark.parametrize("mineral", ["Spinel", "Zircon", "perturbed Calcite", "perturbed Corundum"])
@pytest.mark.parametrize("engine", ENGINES)
def test_mixtures_are_those_of_chemenv_on_every_site(mineral, engine, prototypes):
    structure = Structure.from_dict(prototypes[mineral.removeprefix("perturbed ")])
    if mineral.startswith("perturbed"):
        structure.perturb(0.3, seed=1)
    valences = assign_valences(structure, "bv_analyzer")
    expected = mixed_by_chemenv(structure, valences)
    graph = find_motifs(structure, engine=engine, strategy="multi_weights", valences=valences)
    assert {motif.site for motif in graph.motifs} == set(expected)
    for motif in graph.motifs:
        found = [(one.geometry, one.csm, one.fraction) for one in motif.environments if one.fraction > 1e-3]
        assert [one[0] for one in found] == [one[0] for one in expected[motif.site]]
        # symmetry holds to 0.001 Å in the crystal, which moves csm by 0.001 and fractions by less
        assert np.array([one[1:] for one in found]) == pytest.approx(
            np.array([one[1:] for one in expected[motif.site]]), abs=2e-3
        )
    assert not mineral.startswith("perturbed") or any(motif.mixture for motif in graph.motifs)


def by_chemenv(structure, valences):
    """Geometry, csm and ligands of every cation, through pymatgen's own strategy and from every site."""
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    environments = finder.compute_structure_environments(valences=valences, maximum_distance_factor=1.41)
    light = LightStructureEnvironments.from_structure_environments(SimplestChemenvStrategy(), environments)
    return {
        site: (
            found[0]["ce_symbol"],
            found[0]["csm"],
            sorted((n["index"], tuple(n["image_cell"].tolist())) for n in shells[0].neighb_indices_and_images),
        )
        for site, (found, shells) in enumerate(zip(light.coordination_environments, light.neighbors_sets, strict=True))
        if found
    }


@pytest.mark.parametrize("mineral", ["Spinel", "quartz (alpha)", "Zircon", "Pyrite", "perturbed Calcite"])
@pytest.mark.parametrize("engine", ENGINES)
def test_motifs_are_those_of_chemenv_on_every_site(mineral, engine, prototypes):
    structure = Structure.from_dict(prototypes[mineral.removeprefix("perturbed ")])
    if mineral.startswith("perturbed"):
        structure.perturb(0.1, seed=0)
    valences = assign_valences(structure, "bond_valence")
    expected = by_chemenv(structure, valences)
    graph = find_motifs(structure, engine=engine)
    assert {motif.site: (motif.geometry, list(motif.ligands)) for motif in graph.motifs} == {
        site: (geometry, ligands) for site, (geometry, _, ligands) in expected.items()
    }
    # symmetry holds to 0.001 Å in the crystal and the csm is rounded to 6 decimals: equal to about 0.001
    assert [m.csm for m in graph.motifs] == pytest.approx([csm for _, csm, _ in expected.values()], abs=2e-3)
    assert len(expected) == sum(valence >= 0 for valence in valences)


def test_shells_without_valences_are_those_of_published_chemenv_bonds(database_structures):
    with gzip.open(database_structures / "mp_chemenv_bonds.jsonl.gz", "rt") as lines:
        bonds = {entry["id"]: {tuple(bond) for bond in entry["bonds"]} for entry in map(json.loads, lines)}
    with gzip.open(database_structures / "mp_nonoxides-00.jsonl.gz", "rt") as lines:
        entries = (entry for entry in map(json.loads, lines) if entry["id"] in bonds and len(entry["species"]) <= 6)
        sample = list(islice(entries, 5))
    for entry in sample:
        structure = Structure(Lattice(entry["lattice"]), entry["species"], entry["frac_coords"])
        found = set()
        for motif in find_motifs(structure, engine="chemenv", valences="none").motifs:
            for site, image in motif.ligands:
                back = tuple(-step for step in image)
                forward = motif.site < site or (motif.site == site and image > back)
                found.add((motif.site, site, *image) if forward else (site, motif.site, *back))
        assert found == bonds[entry["id"]], entry["id"]


def test_a_shell_is_where_its_offsets_say(structure_of):
    from matembed.motifs.chemenv import find_shells

    structure = structure_of("ZnS", "primitive")
    (shell,) = find_shells(structure, [0], [2, -2] if structure[0].specie.symbol == "Zn" else [-2, 2])[0]
    assert shell.geometry == "T:4"
    assert len(set(shell.elements)) == 1
    # a quarter of the body diagonal of zinc blende
    assert np.linalg.norm(shell.offsets, axis=1) == pytest.approx(5.4093 * 3**0.5 / 4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_motifs_handed_back_are_what_chemenv_would_have_made(strategy, structure_of):
    from matembed.motifs.chemenv import as_structure_environments

    structure = structure_of("Al2O3", "primitive")
    structure.perturb(0.25, seed=3)
    valences = [{"Al": 3.0, "O": -2.0}[site.specie.symbol] for site in structure]
    finder = LocalGeometryFinder()
    finder.setup_structure(structure)
    mixed = strategy == "multi_weights"
    environments = finder.compute_structure_environments(
        valences=valences, maximum_distance_factor=2.0 if mixed else 1.41
    )
    theirs = LightStructureEnvironments.from_structure_environments(
        MultiWeightsChemenvStrategy.stats_article_weights_parameters() if mixed else SimplestChemenvStrategy(),
        environments,
    )
    graph = find_motifs(structure, strategy=strategy, valences=valences)
    ours = as_structure_environments(graph, structure, valences=valences)
    assert ours.valences == theirs.valences
    for one, other in zip(ours.coordination_environments, theirs.coordination_environments, strict=True):
        assert (one is None) == (not other)
        for mine, their in zip(one or [], other or [], strict=True):
            assert mine["ce_symbol"] == their["ce_symbol"]
            assert mine["csm"] == pytest.approx(their["csm"], abs=1e-4)
            assert mine["ce_fraction"] == pytest.approx(their["ce_fraction"], abs=1e-4)
    for one, other in zip(ours.neighbors_sets, theirs.neighbors_sets, strict=True):
        for mine, their in zip(one or [], other or [], strict=True):
            places = [sorted(map(tuple, np.round([s.coords for s in nb.neighb_sites], 6))) for nb in (mine, their)]
            assert places[0] == places[1]
    n_edges = [
        len(
            ConnectivityFinder(multiple_environments_choice="TAKE_HIGHEST_FRACTION")
            .get_structure_connectivity(light)
            .environment_subgraph()
            .edges
        )
        for light in (ours, theirs)
    ]
    assert n_edges[0] == n_edges[1] == len(graph.connections)


def test_valences_are_handed_back_as_they_were_assigned(structure_of, graph_of):
    from matembed.motifs.chemenv import as_structure_environments

    environments = as_structure_environments(graph_of("NaCl"), structure_of("NaCl"))
    assert environments.valences == [1.0] * 4 + [-1.0] * 4
    assert environments.valences_origin == "bond_valence"
    assert as_structure_environments(graph_of("Cu"), structure_of("Cu")).valences == "undefined"


def test_another_structure_is_refused(structure_of, graph_of):
    from matembed.motifs.chemenv import as_structure_environments

    with pytest.raises(ValueError, match="the graph is of TiO2 with 6 sites"):
        as_structure_environments(graph_of("TiO2"), structure_of("NaCl"))
