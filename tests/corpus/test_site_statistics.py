"""Statistics of sites: what is averaged, and that no choice of cell changes it."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed import build_motif_tables, count_sites


def perovskite():
    return Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    )


def salt(length=5.64):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(length), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def metal():
    return Structure(Lattice.cubic(2.88), ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    def make(structures):
        return build_motif_tables(structures, tmp_path_factory.mktemp("tables") / "motifs", progress=False)

    return make


def rows(statistics):
    return {
        (statistics.formulas[formula], element): dict(zip(statistics.names, values, strict=True)) | {"x": fraction}
        for formula, element, fraction, values in zip(
            statistics.formula_idx, statistics.elements, statistics.fractions, statistics.values, strict=True
        )
    }


def test_values_of_textbook_crystals(build):
    found = rows(count_sites(build([perovskite(), salt(), metal()])))
    assert set(found) == {
        *(("SrTiO3", element) for element in ("Sr", "Ti", "O")),
        *(("NaCl", element) for element in ("Na", "Cl")),
        *(("AlNi", element) for element in ("Al", "Ni")),
    }
    ti, cl = found["SrTiO3", "Ti"], found["NaCl", "Cl"]
    assert ti["coordination number"] == 6
    assert ti["oxidation state"] == 4
    assert ti["share of O:6"] == 1
    assert ti["x"] == pytest.approx(0.2)
    assert np.exp(ti["log of the mean bond length in Å"]) == pytest.approx(3.905 / 2)
    assert np.exp(ti["log of the volume per atom in Å^3"]) == pytest.approx(3.905**3 / 5)
    assert (cl["share of anions"], cl["share of cations"], cl["coordination number"]) == (1, 0, 6)
    assert np.isnan(cl["continuous symmetry measure"])  # no motif has it for a centre
    assert np.isnan(found["AlNi", "Al"]["oxidation state"])
    assert found["AlNi", "Al"]["share of cations"] == found["AlNi", "Al"]["share of anions"] == 0


def test_a_cation_without_anions_around_it_is_no_anion(build):
    places = [[0.5, 0.5, 0], [0, 0, 0], [0.5, 0.5, 0.5]]
    antiperovskite = Structure.from_spacegroup("Pm-3m", Lattice.cubic(4.55), ["Sc", "Tl", "C"], places)
    found = rows(count_sites(build([antiperovskite])))  # thallium has 12 neighbours, all of them scandium
    thallium, carbon = found["Sc3TlC", "Tl"], found["Sc3TlC", "C"]
    assert thallium["oxidation state"] == 1
    assert np.isnan(thallium["coordination number"])
    assert (thallium["share of cations"], thallium["share of anions"]) == (1, 0)
    assert (carbon["share of cations"], carbon["share of anions"]) == (0, 1)


def test_no_choice_of_cell_changes_them(build):
    cells = [perovskite(), salt(), metal()]
    larger = [cell.copy().make_supercell([2, 1, 1], in_place=False) for cell in cells]
    first, second = rows(count_sites(build(cells))), rows(count_sites(build(larger)))
    assert first.keys() == second.keys()
    for key, values in first.items():
        assert list(second[key].values()) == pytest.approx(list(values.values()), nan_ok=True, abs=1e-6), key


def test_shapes_of_all_sites(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("all") / "motifs"
    around = build_motif_tables([salt(), perovskite()], folder, valences="none", progress=False)
    found = rows(count_sites(build([salt(), perovskite()]), all_sites=around))
    cl = found["NaCl", "Cl"]
    assert cl["share of O:6"] == 1  # an anion has a shape now
    assert cl["continuous symmetry measure"] == pytest.approx(0, abs=1e-6)
    assert (cl["oxidation state"], cl["share of anions"]) == (-1, 1)
    with pytest.raises(ValueError, match="all_sites must hold the same crystals"):
        count_sites(build([perovskite(), salt()]), all_sites=around)


def test_entries_of_a_formula_count_alike(build):
    found = rows(count_sites(build([salt(5.6), salt(6.0)])))
    mean = (np.log(2.8) + np.log(3.0)) / 2
    assert found["NaCl", "Na"]["log of the mean bond length in Å"] == pytest.approx(mean, abs=1e-6)


def test_excluded_formulas_and_elements_are_left_out(build):
    tables = build([perovskite(), salt()])
    assert count_sites(tables, exclude=["NaCl"]).formulas == ("SrTiO3",)
    with pytest.raises(ValueError, match="none of 2 materials is left"):
        count_sites(tables, exclude=["NaCl", "SrTiO3"])
