"""A crystal is the same from a record, a structure and arrays, and what is none is refused in one line."""

import numpy as np
import pytest
from pymatgen.core import Structure

from matembed.motifs import Crystal, MotifError, find_motif_arrays, find_motifs

CELL = {"lattice": (4.12 * np.eye(3)).tolist(), "species": ["Cs", "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}


def test_record_structure_and_arrays_give_the_same():
    structure = Structure(CELL["lattice"], CELL["species"], CELL["frac_coords"])
    crystals = [
        Crystal.from_record(CELL),
        Crystal.from_structure(structure),
        Crystal(CELL["lattice"], CELL["frac_coords"], [55, 17]),
    ]
    assert {str(crystal) for crystal in crystals} == {"Crystal(CsCl, 2 sites)"}
    assert {crystal.symbols for crystal in crystals} == {("Cs", "Cl")}
    assert [crystal.volume for crystal in crystals] == pytest.approx([structure.volume] * 3)
    graphs = [find_motifs(crystal) for crystal in (*crystals, structure)]
    assert all(graph == graphs[0] for graph in graphs)
    assert Crystal.from_structure(crystals[0].to_structure()).symbols == ("Cs", "Cl")


def test_species_state_valences_if_all_do():
    ions = CELL | {"species": ["Cs+", "Cl-"]}
    assert Crystal.from_record(ions).valences.tolist() == [1, -1]
    assert find_motifs(Crystal.from_record(ions)).valences == "structure"
    assert Crystal.from_record(CELL | {"species": ["Cs+", "Cl"]}).valences is None
    assert Crystal.from_record(CELL | {"species": ["Fe2.5+", "O2-"]}).valences.tolist() == [2.5, -2]
    decorated = Structure(CELL["lattice"], ["Cs+", "Cl-"], CELL["frac_coords"])
    assert Crystal.from_structure(decorated).valences.tolist() == [1, -1]


def test_deuterium_is_hydrogen():
    assert Crystal.from_record(CELL | {"species": ["D", "T-"]}).symbols == ("H", "H")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"species": [], "frac_coords": []}, "no sites"),
        ({"species": ["Cs"]}, r"frac_coords must have shape \(1, 3\)"),
        ({"species": ["Cs", "Xx"]}, "site 1 holds 'Xx', which is not a chemical element"),
        ({"species": ["Cs", {"element": "Cl", "occu": 0.5}]}, "site 1 holds"),
        ({"species": ["Cs", 17]}, "site 1 holds 17"),
        ({"lattice": [[4, 0, 0], [0, 4, 0]]}, r"shape \(3, 3\)"),
        ({"lattice": "cubic"}, "must be numbers"),
        ({"lattice": None}, "must be numbers|shape"),
        ({"frac_coords": [[0, 0, None], [0.5, 0.5, 0.5]]}, "must be numbers|not finite"),
        ({"frac_coords": [[0, 0, 0], [0.5, float("nan"), 0.5]]}, "not finite"),
        ({"frac_coords": [[0, 0, 0], [1, 2, 3]]}, "sites 0 and 1 are 0 Å apart"),
        ({"frac_coords": [[0, 0, 0], [0.5, 0.5, 1e9]]}, "a million cells away"),
        ({"lattice": (0.1 * np.eye(3)).tolist()}, "too small for 2 atoms"),
        ({"lattice": (1e200 * np.eye(3)).tolist()}, "longer than 1,000,000 Å"),
        ({"species": None}, "'species' must be a list"),
    ],
)
def test_what_is_no_crystal_is_refused_in_one_line(change, reason):
    with pytest.raises(MotifError, match=reason) as caught:
        Crystal.from_record(CELL | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", CELL)
def test_a_missing_key_is_named(key):
    with pytest.raises(MotifError, match=f"no '{key}' in it"):
        Crystal.from_record({name: value for name, value in CELL.items() if name != key})


@pytest.mark.parametrize("numbers", [22, [[55, 17]], [55.5, 17]])
def test_numbers_are_whole_and_one_for_each_site(numbers):
    with pytest.raises(MotifError, match="wanted whole atomic numbers"):
        Crystal(CELL["lattice"], CELL["frac_coords"], numbers)


@pytest.mark.parametrize("number", [0, -1, 119])
def test_numbers_are_those_of_elements(number):
    with pytest.raises(MotifError, match="site 1 holds"):
        Crystal(CELL["lattice"], CELL["frac_coords"], [55, number])


def test_a_thousand_displaced_sites_have_the_shells_of_rock_salt():
    # displaced, no shell is like another
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(10)] * 3, indexing="ij"), -1).reshape(-1, 3)
    numbers = np.where(grid.sum(axis=1) % 2, 11, 17)
    crystal = Crystal(28.2 * np.eye(3), grid / 10 + rng.normal(scale=2e-3, size=grid.shape), numbers)
    arrays = find_motif_arrays(crystal)
    assert arrays.symbols() == ["O:6"] * 500
    assert np.bincount(arrays.n_shared, minlength=3).tolist() == [0, 1500, 3000]
