"""Oxidation states balance, agree with pymatgen, and are found for large formulas too."""

import pytest
from pymatgen.core import Composition, Structure

from matembed.motifs.valences import assign_valences, likeliest_states, stated_valences

FORMULAS = ["Fe3O4", "KMnO4", "NaFe(SO4)2", "Pb3O4", "K3Nb8O21", "LiCoO2", "NH4NO3", "Bi2Se3", "V4OF11", "FeS2", "CaC2"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_states_are_the_first_guess_of_pymatgen(formula):
    composition = Composition(formula)
    amounts = dict(sorted(composition.get_el_amt_dict().items()))
    guesses = Composition(amounts).oxi_state_guesses()
    states = likeliest_states({symbol: int(amount) for symbol, amount in amounts.items()})
    assert states == pytest.approx(guesses[0])
    assert sum(states[symbol] * amount for symbol, amount in amounts.items()) == pytest.approx(0)


@pytest.mark.parametrize("formula", ["Cu", "O2", "NiAl", "Cu3Au", "LaHfMg30O32"])
def test_what_does_not_balance_has_no_states(formula):
    amounts = Composition(formula).get_el_amt_dict()
    assert likeliest_states({symbol: int(amount) for symbol, amount in amounts.items()}) is None


def test_large_formulas_do_not_blow_up():
    # pymatgen lists the combinations of states of 48 carbons, which does not end
    states = likeliest_states({"C": 48, "N": 20, "H": 120, "O": 60, "S": 12, "Fe": 11, "P": 9})
    assert states is not None
    assert (states["O"], states["Fe"] > 0) == (-2, True)


def test_stated_valences_are_those_of_the_species(structure_of):
    structure = structure_of("NaCl", "primitive")
    assert stated_valences(structure) is None
    structure.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    assert stated_valences(structure) == [float(site.specie.oxi_state) for site in structure]
    partly = Structure(structure.lattice, [structure[0].specie, "Cl"], structure.frac_coords)
    assert stated_valences(partly) is None


@pytest.mark.parametrize("method", ["bond_valence", "composition"])
def test_assigned_valences_balance(method, structure_of):
    valences = assign_valences(structure_of("Al2O3", "primitive"), method)
    assert sorted(valences) == [-2] * 6 + [3] * 4


@pytest.mark.parametrize("method", ["bond_valence", "composition", "none"])
def test_an_alloy_has_no_valences(method, structure_of):
    assert assign_valences(structure_of("NiAl"), method) is None
