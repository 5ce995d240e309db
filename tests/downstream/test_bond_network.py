import numpy as np
import pytest
from pymatgen.core import Lattice, Molecule, Structure

from matembed.downstream.bond_network import BondNetworkFeaturizer, _find_network
from matembed.motifs import Crystal, MotifError, find_motif_arrays

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
)
DIAMOND = Structure.from_spacegroup("Fd-3m", Lattice.cubic(3.567), ["C"], [[0, 0, 0]])
TEXTBOOK = {"NaCl": SALT, "TiO2": RUTILE, "C": DIAMOND}
FEATURIZER = BondNetworkFeaturizer().fit()
NAMES = FEATURIZER.get_feature_names_out().tolist()


def column(name: str, rule: str = "gordy") -> int:
    return NAMES.index(f"bond_network: {name} by {rule}")


def row(crystal: object) -> np.ndarray:
    return FEATURIZER.transform([crystal])[0]


@pytest.mark.parametrize("name", TEXTBOOK)
def test_rows_do_not_depend_on_cell_order_or_orientation(name: str) -> None:
    crystal, whole = TEXTBOOK[name], row(TEXTBOOK[name])
    assert row(crystal * (2, 1, 1)) == pytest.approx(whole, rel=1e-6)
    assert row(crystal.get_primitive_structure()) == pytest.approx(whole, rel=1e-4)  # pymatgen moves its atoms a little
    order = np.random.default_rng(0).permutation(len(crystal))
    assert row(Structure.from_sites([crystal[idx] for idx in order])) == pytest.approx(whole, rel=1e-6)
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    turned = Structure(crystal.lattice.matrix @ turn, crystal.species, crystal.frac_coords + 0.3)
    assert row(turned) == pytest.approx(whole, rel=1e-5)


def test_layers_that_nothing_joins_have_the_same_moduli_in_any_orientation() -> None:
    layers = Structure(Lattice.tetragonal(4, 12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0]])
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    moduli = row(layers)[9:12]
    assert all(name.startswith("bond_network: log ") for name in NAMES[9:12])
    assert row(Structure(layers.lattice.matrix @ turn, layers.species, layers.frac_coords))[9:12] == pytest.approx(
        moduli, rel=1e-7
    )


def test_a_chain_of_atoms_vibrates_as_in_the_textbook() -> None:
    """A simple cubic lattice of springs without bending: omega^2 = 4 k / m at the edge of the zone, 2 k / m a site."""
    polonium = Structure(Lattice.cubic(3.35), ["Po"], [[0, 0, 0]])
    found = BondNetworkFeaturizer(bending=0).fit().transform([polonium])[0]
    k, mass = 10 / 3.35**3, 210.0  # pymatgen's mass of Po
    assert found[column("max frequency", "cube")] == pytest.approx(1302.79 * np.sqrt(4 * k / mass), rel=1e-3)
    assert found[column("max frequency at gamma", "cube")] == pytest.approx(0, abs=1e-3)
    assert found[column("max site frequency", "cube")] == pytest.approx(1302.79 * np.sqrt(2 * k / mass), rel=1e-3)
    # Bulk modulus: three springs a cell, energy k d^2 strain^2 / 2 each, so K = k / (3 d) for a strain of all lengths.
    assert found[column("log bulk modulus", "cube")] == pytest.approx(np.log10(1000 * k / (3 * 3.35)), abs=1e-4)


def test_a_direction_without_bonds_resists_nothing() -> None:
    """Layers that no bond joins can be pulled apart: the lower bound of the bulk modulus vanishes, so half is left."""
    graphite = Structure.from_spacegroup(
        "P6_3/mmc", Lattice.hexagonal(2.464, 6.711), ["C", "C"], [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]]
    )
    found, cell = row(graphite), _find_network(Crystal.from_structure(graphite))
    assert not np.abs(cell.directions[:, 2]).max() > 1e-6  # all bonds lie in the layers
    voigt = 2 * (10 ** found[column("log bulk modulus", "cube")])
    assert 10 ** found[column("log bulk modulus without relaxation", "cube")] <= voigt < 500
    assert found[column("log bulk modulus")] < row(DIAMOND)[column("log bulk modulus")]


def test_moduli_change_smoothly_as_springs_across_bonds_vanish() -> None:
    for crystal in TEXTBOOK.values():
        rows = [BondNetworkFeaturizer(bending=bending).fit().transform([crystal])[0] for bending in (0, 1e-9, 1e-7)]
        moduli = [number for number, name in enumerate(NAMES) if "modulus" in name]
        np.testing.assert_allclose(rows[1][moduli], rows[0][moduli], atol=1e-2)
        np.testing.assert_allclose(rows[2][moduli], rows[0][moduli], atol=0.1)


def test_any_choice_of_cell_of_a_triclinic_crystal_has_the_same_row() -> None:
    cell = Lattice.from_parameters(5, 6, 7, 80, 95, 105)
    crystal = Structure(cell, ["K", "N", "O", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.4, 0.6, 0.6], [0.6, 0.45, 0.4]])
    for steps in ([[1, 1, 0], [0, 1, 1], [0, 0, 1]], [[1, 0, 0], [2, 1, 0], [0, -1, 1]]):
        again = Structure(
            np.array(steps) @ cell.matrix, crystal.species, crystal.cart_coords, coords_are_cartesian=True
        )
        assert row(again) == pytest.approx(row(crystal), rel=1e-6)


def test_two_masses_on_springs_vibrate_as_in_the_textbook() -> None:
    """CsCl without bending: k / 3 to each of 8 neighbours along an axis, omega^2 = (8 / 3) k (1 / m1 + 1 / m2)."""
    caesium_chloride = Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    bonds = {"cube": 10 / (4.12 * 3**0.5 / 2) ** 3}
    found = BondNetworkFeaturizer(bending=0).fit().transform([caesium_chloride])[0]
    inverse = 1 / 132.905 + 1 / 35.453
    expected = 1302.79 * np.sqrt(8 / 3 * bonds["cube"] * inverse)
    assert found[column("max frequency at gamma", "cube")] == pytest.approx(expected, rel=1e-3)


def test_stiffness_and_mass_act_as_they_should() -> None:
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.431), ["Si"], [[0, 0, 0]])
    for name in ("max frequency", "mean frequency", "max site frequency", "log bulk modulus", "log shear modulus"):
        assert row(DIAMOND)[column(name)] > row(silicon)[column(name)] > 0
    short, long = (row(SALT.copy().apply_strain(strain, inplace=False)) for strain in (-0.02, 0.02))
    frequencies = [column("max frequency", rule) for rule in ("cube", "relative", "gordy")]
    assert (short[frequencies] > long[frequencies]).all()


def test_atoms_that_relax_make_a_crystal_softer() -> None:
    for crystal in TEXTBOOK.values():
        found = row(crystal)
        assert found[column("log bulk modulus")] <= found[column("log bulk modulus without relaxation")] + 1e-9


def test_every_kind_of_crystal_has_the_same_row_and_a_batch_is_its_members() -> None:
    crystal = Crystal.from_structure(RUTILE)
    rows = FEATURIZER.transform([RUTILE, crystal, find_motif_arrays(crystal), SALT])
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])
    assert np.array_equal(rows[3], row(SALT))
    assert rows.shape == (4, FEATURIZER.n_features_out_) == (4, len(NAMES))
    assert FEATURIZER.transform([]).shape == (0, len(NAMES))


def test_what_is_no_crystal_is_named() -> None:
    with pytest.raises(MotifError, match="position 1: a molecule"):
        FEATURIZER.transform([SALT, Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]])])
    with pytest.raises(TypeError, match="position 0"):
        FEATURIZER.transform(["NaCl"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        BondNetworkFeaturizer(bending=2).fit()
