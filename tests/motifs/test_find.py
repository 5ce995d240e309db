"""find_motifs gives the textbook's coordination, for every choice of cell, and refuses what is no crystal."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Molecule, Structure

from matembed.motifs import ENGINES, SEARCHES, MotifError, MotifGraph, find_motifs

CELLS = ("primitive", "conventional", "supercell", "sheared")
TEXTBOOK = {  # crystal: (centre, motif, neighbours by shared corner, edge, face)
    "NaCl": ("Na", "NaCl6:O:6", 6, 12, 0),
    "SrTiO3": ("Ti", "TiO6:O:6", 6, 0, 0),
    "TiO2": ("Ti", "TiO6:O:6", 8, 2, 0),
    "ZnS": ("Zn", "ZnS4:T:4", 12, 0, 0),
    "CaF2": ("Ca", "CaF8:C:8", 0, 12, 0),
    "BaNiO3": ("Ni", "NiO6:O:6", 0, 0, 2),
    "Al2O3": ("Al", "AlO6:O:6", 9, 3, 1),
    "NiAs": ("Ni", "NiAs6:O:6", 12, 6, 2),
}
ANIONS = {"Cl", "O", "S", "F", "As"}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", TEXTBOOK)
@pytest.mark.parametrize("engine", ENGINES)
def test_textbook_table_holds_in_every_cell(name, cell, engine, graph_of):
    centre, token, corner, edge, face = TEXTBOOK[name]
    graph = graph_of(name, cell, engine)
    assert graph.engine == engine
    centres = [idx for idx, motif in enumerate(graph.motifs) if motif.element == centre]
    assert len(centres) == graph.elements.count(centre)
    for idx in centres:
        shared = Counter(sharing for sharing, other in graph.neighbours(idx) if graph.motifs[other].element == centre)
        assert graph.motifs[idx].token == token
        assert (shared["corner"], shared["edge"], shared["face"]) == (corner, edge, face)


@pytest.mark.parametrize("name", TEXTBOOK)
def test_centres_are_the_cations(name, graph_of):
    graph = graph_of(name)
    assert graph.valences == "bond_valence"
    assert [motif.site for motif in graph.motifs] == [i for i, e in enumerate(graph.elements) if e not in ANIONS]
    assert all(motif.oxidation > 0 for motif in graph.motifs)
    assert {element for motif in graph.motifs for element in motif.ligand_elements} <= ANIONS


@pytest.mark.parametrize("name", [*TEXTBOOK, "Cu", "NiAl"])
def test_a_supercell_multiplies_motifs_and_changes_nothing_else(name, graph_of):
    primitive = graph_of(name, "primitive")
    for cell in CELLS[1:]:
        graph = graph_of(name, cell)
        times = graph.n_sites // primitive.n_sites
        assert len(graph.motifs) == times * len(primitive.motifs)
        assert len(graph.connections) == times * len(primitive.connections)
        assert graph.per_formula_unit() == primitive.per_formula_unit()
        assert {m.oxidation for m in graph.motifs} == {m.oxidation for m in primitive.motifs}


@pytest.mark.parametrize("name", ["TiO2", "BaNiO3", "Al2O3"])
def test_rotation_site_order_and_origin_do_not_matter(name, structure_of, graph_of):
    original, expected = structure_of(name), graph_of(name)
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(original))
    frac_coords = original.frac_coords[order] + rng.random(3) + rng.integers(-2, 3, size=(len(order), 3))
    lattice = Lattice(original.lattice.matrix @ rotation)
    graph = find_motifs(Structure(lattice, [original[i].specie for i in order], frac_coords))
    assert graph.per_formula_unit() == expected.per_formula_unit()
    tokens = {motif.site: motif.species_token for motif in expected.motifs}
    assert {order[motif.site]: motif.species_token for motif in graph.motifs} == tokens


@pytest.mark.parametrize("cell", ["primitive", "sheared"])
def test_images_refer_to_coordinates_as_they_stand(cell, structure_of):
    wrapped = structure_of("TiO2", cell)
    steps = np.random.default_rng(1).integers(-2, 3, size=(len(wrapped), 3))
    assert steps.any()
    moved = Structure(wrapped.lattice, wrapped.species, wrapped.frac_coords + steps)
    for structure in (wrapped, moved):
        for motif in find_motifs(structure).motifs:
            places = [structure.frac_coords[site] + image for site, image in motif.ligands]
            offsets = (np.array(places) - structure.frac_coords[motif.site]) @ structure.lattice.matrix
            # rutile: four Ti-O of 1.949 Å, two of 1.980 Å
            assert np.sort(np.linalg.norm(offsets, axis=1)) == pytest.approx([1.949] * 4 + [1.980] * 2, abs=1e-3)
            assert list(motif.ligands) == sorted(motif.ligands)
            assert motif.ligand_elements == ("O",) * 6


@pytest.mark.parametrize("engine", ["chemenv", "numba"])
def test_the_same_bytes_in_another_process(engine, structure_of, graph_of):
    script = (
        "import sys; from pymatgen.core import Structure; from matembed.motifs import find_motifs;"
        f"print(find_motifs(Structure.from_str(sys.stdin.read(), fmt='json'), engine={engine!r}).to_json())"
    )
    # the twelvefold shell of Ba is one that ChemEnv searches with random permutations
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input=structure_of("BaNiO3").to(fmt="json"),
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == graph_of("BaNiO3", engine=engine).to_json()


class TestValences:
    def test_metals_have_motifs_on_all_sites(self, graph_of):
        copper, alloy = graph_of("Cu"), graph_of("NiAl")
        assert copper.valences == alloy.valences == "none"
        assert [motif.token for motif in copper.motifs] == ["CuCu12:C:12"] * 4
        assert [(motif.token, motif.csm) for motif in alloy.motifs] == [
            ("NiAl8Ni6:UNKNOWN:14", None),
            ("AlAl6Ni8:UNKNOWN:14", None),
        ]

    def test_composition_answers_where_bond_valence_has_no_parameters(self):
        fluorite = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Xe", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]])
        graph = find_motifs(fluorite)
        assert graph.valences == "composition"
        assert {motif.species_token for motif in graph.motifs} == {"Xe4+O8:C:8"}

    def test_signs_answer_where_no_numbers_are_known(self):
        fluorite = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.33), ["K", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]])
        graph = find_motifs(fluorite)
        assert graph.valences == "signs"
        assert [(m.token, m.oxidation) for m in graph.motifs] == [("KO8:C:8", None)] * 4
        assert graph.connections

    def test_the_formula_answers_where_no_bond_has_parameters(self):
        fluorite = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.33), ["Bk", "O"], [[0, 0, 0], [0.25, 0.25, 0.25]])
        graph = find_motifs(fluorite)
        assert graph.valences == "composition"
        assert [(m.token, m.oxidation) for m in graph.motifs] == [("BkO8:C:8", 4)] * 4

    def test_species_of_the_structure_come_first(self, structure_of):
        structure = structure_of("NaCl")
        structure.add_oxidation_state_by_element({"Na": -1, "Cl": 1})
        graph = find_motifs(structure)
        assert (graph.valences, graph.elements, graph.formula) == ("structure", ("Na",) * 4 + ("Cl",) * 4, "NaCl")
        assert {motif.species_token for motif in graph.motifs} == {"Cl+Na6:O:6"}

    def test_a_method_can_be_asked_for(self, structure_of):
        decorated = structure_of("NaCl", "primitive")
        decorated.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
        for method, n_motifs in (
            ("structure", 1),
            ("bond_valence", 1),
            ("composition", 1),
            ("signs", 1),
            ("bv_analyzer", 1),
            ("none", 2),
        ):
            graph = find_motifs(decorated, valences=method)
            assert (graph.valences, len(graph.motifs)) == (method, n_motifs)

    def test_a_method_without_an_answer_is_refused(self, structure_of):
        for method in ("structure", "bond_valence", "composition", "signs", "bv_analyzer"):
            with pytest.raises(MotifError, match=f"valences='{method}' yields no oxidation states for AlNi"):
                find_motifs(structure_of("NiAl"), valences=method)

    @pytest.mark.parametrize("kind", [list, tuple, np.array])
    def test_given_valences_are_kept(self, kind, structure_of):
        graph = find_motifs(structure_of("NaCl"), valences=kind([-1, -1, -1, -1, 1, 1, 1, 1]))
        assert graph.valences == "given"
        assert [(motif.element, motif.oxidation) for motif in graph.motifs] == [("Cl", 1.0)] * 4

    def test_sites_that_differ_only_in_valence_are_told_apart(self, structure_of):
        structure = structure_of("TiO2")
        titanium = [i for i, site in enumerate(structure) if site.specie.symbol == "Ti"]
        valences = [-2.0] * len(structure)
        valences[titanium[0]], valences[titanium[1]] = 3, 5
        graph = find_motifs(structure, valences=valences)
        assert [motif.oxidation for motif in graph.motifs] == [3.0, 5.0]
        assert graph.per_formula_unit() == find_motifs(structure).per_formula_unit()

    def test_a_site_of_valence_zero_is_a_centre_that_bonds_to_all(self, structure_of):
        graph = find_motifs(structure_of("NiAl"), valences=[0, 0])
        assert [motif.token for motif in graph.motifs] == ["NiAl8Ni6:UNKNOWN:14", "AlAl6Ni8:UNKNOWN:14"]

    def test_no_cation_no_motif(self, structure_of):
        graph = find_motifs(structure_of("NaCl", "primitive"), valences=[-1, -1])
        assert graph.motifs == graph.connections == ()

    @pytest.mark.parametrize("valences", [[1], [1, -1, 0], [1, float("nan")], [1, float("inf")], "guess", ""])
    def test_bad_values_are_refused(self, valences, structure_of):
        with pytest.raises(ValueError, match="valences must be"):
            find_motifs(structure_of("NaCl", "primitive"), valences=valences)

    @pytest.mark.parametrize("valences", [3, [None, None], ["a", "b"]])
    def test_bad_types_are_refused(self, valences, structure_of):
        with pytest.raises(TypeError, match="valences must be"):
            find_motifs(structure_of("NaCl", "primitive"), valences=valences)


CUBE = Lattice.cubic(4)
UNSOUND = {
    "no sites": (Structure(CUBE, [], []), "no sites"),
    "partial occupancy": (Structure(CUBE, [{"Na": 0.5}], [[0, 0, 0]]), "site 0 is disordered"),
    "mixed occupancy": (Structure(CUBE, ["Cl", {"Na": 0.5, "K": 0.5}], [[0, 0, 0], [0.5] * 3]), "site 1 is disordered"),
    "dummy atom": (Structure(CUBE, ["Na", DummySpecies("X")], [[0, 0, 0], [0.5] * 3]), "not a chemical element"),
    "coordinate is nan": (Structure(CUBE, ["Na"], [[0, float("nan"), 0]]), "not finite"),
    "coordinate is infinite": (Structure(CUBE, ["Na"], [[0, float("inf"), 0]]), "not finite"),
    "lattice is nan": (Structure(np.full((3, 3), np.nan), ["Na"], [[0, 0, 0]]), "not finite"),
    "lattice is zero": (Structure(np.zeros((3, 3)), ["Na"], [[0, 0, 0]]), "too small for 1 atoms"),
    "lattice is flat": (Structure([[4, 0, 0], [0, 4, 0], [4, 4, 1e-9]], ["Na"], [[0, 0, 0]]), "too small"),
    "atoms coincide": (Structure(CUBE, ["Na", "Cl"], [[0, 0, 0], [0, 0, 1]]), "sites 0 and 1 are 0 Å apart"),
    "atoms nearly coincide": (Structure(CUBE, ["Na", "Cl"], [[0, 0, 0.01], [0, 0, 0.99]]), "0.08 Å apart"),
    "an atom meets its own image": (Structure(Lattice.orthorhombic(0.4, 9, 9), ["Na"], [[0, 0, 0]]), "0.4 Å apart"),
    "slab": (Structure(Lattice.cubic(4, pbc=(True, True, False)), ["Na"], [[0, 0, 0]]), "not periodic in three"),
    "molecule": (Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]]), "molecule"),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_unsound_structures_are_refused_with_a_reason_of_one_line(case):
    structure, reason = UNSOUND[case]
    with pytest.raises(MotifError, match=reason) as caught:
        find_motifs(structure)
    assert "\n" not in str(caught.value)


def test_a_void_is_refused_by_chemenv_alone():
    argon = Structure(Lattice.cubic(100), ["Ar"], [[0, 0, 0]])
    assert {motif.token for motif in find_motifs(argon, engine="numba").motifs} == {"ArAr6:O:6"}
    with pytest.raises(MotifError, match="ChemEnv could not find") as caught:
        find_motifs(argon, engine="chemenv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("thing", ["POSCAR", None, {"sites": []}])
def test_what_is_no_structure_is_refused(thing):
    with pytest.raises(TypeError, match="pymatgen Structure is wanted"):
        find_motifs(thing)


@pytest.mark.parametrize(
    "option",
    [
        {"engine": "crystalnn"},
        {"strategy": "most"},
        {"search": "slow"},
        {"search": "certified", "engine": "numpy"},
        {"search": "certified", "strategy": "multi_weights"},
        {"bonds": [(0, 4, 0, 0, 0)], "engine": "chemenv"},
        {"bonds": [(0, 4, 0, 0, 0)], "strategy": "multi_weights"},
    ],
)
def test_unknown_options_are_refused(option, structure_of):
    with pytest.raises(ValueError, match=r"must be|goes with|leave out one of them"):
        find_motifs(structure_of("NaCl"), **option)


class TestBonds:
    """Neighbours found by other means."""

    def test_bonds_of_a_graph_give_its_motifs(self, graph_of, structure_of):
        for name in ("TiO2", "Al2O3", "SrTiO3"):
            expected = graph_of(name)
            bonds = [(motif.site, site, *image) for motif in expected.motifs for site, image in motif.ligands]
            for engine in ("numba", "numpy"):
                graph = find_motifs(structure_of(name), bonds=bonds, engine=engine)
                assert graph.strategy == "bonds"
                assert graph.connections == expected.connections
                for motif, other in zip(graph.motifs, expected.motifs, strict=True):
                    assert (motif.site, motif.token, motif.ligands) == (other.site, other.token, other.ligands)
                    assert motif.csm == pytest.approx(other.csm, abs=2e-3)  # symmetry holds to 0.001 Å

    def test_a_structure_graph_is_read(self, structure_of):
        from pymatgen.analysis.graphs import StructureGraph
        from pymatgen.core.local_env import CrystalNN

        structure = structure_of("TiO2")
        graph = find_motifs(structure, bonds=StructureGraph.from_local_env_strategy(structure, CrystalNN()))
        assert [motif.token for motif in graph.motifs] == ["TiO6:O:6"] * 2
        everywhere = find_motifs(
            structure, bonds=StructureGraph.from_local_env_strategy(structure, CrystalNN()), valences="none"
        )
        assert [motif.token for motif in everywhere.motifs] == ["TiO6:O:6"] * 2 + ["OTi3:TL:3"] * 4

    def test_a_graph_of_another_structure_is_refused(self, structure_of):
        from pymatgen.analysis.graphs import StructureGraph

        with pytest.raises(ValueError, match="of other sites than NaCl"):
            find_motifs(structure_of("NaCl"), bonds=StructureGraph.from_empty_graph(structure_of("TiO2")))

    def test_bonds_between_like_charges_are_left_out(self, structure_of):
        # a square of Cl around Na, and a bond from Na to Na
        bonds = [(0, site, 0, 0, 0) for site in (4, 5, 6, 7)] + [(0, 1, 0, 0, 0)]
        valences = [1] * 4 + [-1] * 4
        (motif,) = find_motifs(structure_of("NaCl"), bonds=bonds, valences=valences).motifs
        assert motif.cn == 4
        everywhere = find_motifs(structure_of("NaCl"), bonds=bonds, valences="none").motifs
        assert [motif.cn for motif in everywhere] == [5, 1, 1, 1, 1, 1]

    def test_no_bonds_no_motifs(self, structure_of):
        assert find_motifs(structure_of("NaCl"), bonds=[]).motifs == ()

    @pytest.mark.parametrize(
        ("bonds", "error", "reason"),
        [
            ([(0, 8, 0, 0, 0)], ValueError, "names site 8, but there are 8 sites"),
            ([(-1, 4, 0, 0, 0)], ValueError, "names site -1"),
            ([(2, 2, 0, 0, 0)], ValueError, "joins site 2 to itself"),
            ([(0, 1)], TypeError, "five integers"),
            ([(0, 4, 0.5, 0, 0)], TypeError, "five integers"),
            ([(0, 4, float("inf"), 0, 0)], TypeError, "five integers"),
            ("CrystalNN", TypeError, "five integers"),
            (3, TypeError, "five integers"),
        ],
    )
    def test_bad_bonds_are_refused(self, bonds, error, reason, structure_of):
        with pytest.raises(error, match=reason):
            find_motifs(structure_of("NaCl"), bonds=bonds)


def test_a_mixed_site_has_its_environments_beside_it(structure_of):
    structure = structure_of("Al2O3")
    structure.perturb(0.25, seed=3)
    graph = find_motifs(structure, strategy="multi_weights")
    assert graph.strategy == "multi_weights"
    mixed = [motif for motif in graph.motifs if motif.mixture]
    assert mixed
    for motif in graph.motifs:
        first = motif.environments[0]
        assert (first.geometry, first.csm, first.ligands) == (motif.geometry, motif.csm, motif.ligands)
        assert sum(one.fraction for one in motif.environments) == pytest.approx(1, abs=1e-5)
        fractions = [one.fraction for one in motif.environments]
        assert fractions == sorted(fractions, reverse=True)
    assert MotifGraph.from_dict(graph.to_dict()) == graph


def test_a_certified_search_finds_nothing_better_here(structure_of):
    structure = structure_of("CaF2", "primitive")
    structure.perturb(0.2, seed=0)
    fast, certified = (find_motifs(structure, search=search) for search in SEARCHES)
    assert certified == fast


@pytest.mark.parametrize(
    ("structure", "token"),
    [
        (Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.07), ["Li", "D"], [[0, 0, 0], [0.5] * 3]), "LiH6:O:6"),
        (Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.26), ["Ar"], [[0, 0, 0]]), "ArAr12:C:12"),
        (Structure(Lattice.cubic(3.359), ["Po"], [[0, 0, 0]]), "PoPo6:O:6"),
    ],
    ids=["deuterium", "noble gas", "one atom"],
)
def test_unusual_crystals_work(structure, token):
    assert {motif.token for motif in find_motifs(structure).motifs} == {token}
