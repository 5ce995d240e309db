"""Copies by translation and symmetry are found, and only those."""

import numpy as np
import pytest

from matembed.motifs.orbits import find_orbits, find_primitive


def arrays(structure):
    return structure.lattice.matrix, structure.frac_coords, [site.specie.symbol for site in structure]


@pytest.mark.parametrize(("name", "n_primitive"), [("NaCl", 2), ("TiO2", 6), ("Al2O3", 10), ("Cu", 1)])
@pytest.mark.parametrize("cell", ["primitive", "conventional", "supercell", "sheared"])
def test_a_primitive_cell_rebuilds_the_crystal(name, n_primitive, cell, structure_of):
    structure = structure_of(name, cell)
    lattice, frac_coords, kinds = arrays(structure)
    primitive = find_primitive(lattice, frac_coords, kinds)
    assert len(primitive.frac_coords) == n_primitive
    assert abs(np.linalg.det(primitive.lattice)) * len(structure) == pytest.approx(structure.volume * n_primitive)
    assert [kinds[i] for i in primitive.chosen_idx[primitive.copied_idx]] == kinds
    steps = structure.cart_coords @ np.linalg.inv(primitive.lattice) - primitive.frac_coords[primitive.copied_idx]
    assert steps == pytest.approx(np.round(steps), abs=1e-9)


def test_kinds_keep_atoms_apart(structure_of):
    lattice, frac_coords, _ = arrays(structure_of("Cu"))
    assert len(find_primitive(lattice, frac_coords, ["a", "a", "a", "a"]).chosen_idx) == 1
    assert len(find_primitive(lattice, frac_coords, ["a", "a", "a", "b"]).chosen_idx) == 4
    orbits = find_orbits(lattice, frac_coords, ["a", "a", "a", "b"])
    assert orbits.representative_idx.tolist() == [0, 0, 0, 3]


@pytest.mark.parametrize("name", ["TiO2", "Al2O3", "BaNiO3"])
def test_rotations_carry_surroundings_over(name, structure_of):
    structure = structure_of(name, "primitive")
    orbits = find_orbits(*arrays(structure))
    assert len(set(orbits.representative_idx.tolist())) == len(structure.elements)
    for site, representative in enumerate(orbits.representative_idx):
        near = structure.get_neighbors(structure[representative], 3.5)
        offsets = np.array([n.coords for n in near]) - structure[representative].coords
        own = structure.get_neighbors(structure[site], 3.5)
        own_offsets = np.array([n.coords for n in own]) - structure[site].coords
        gaps = np.linalg.norm((offsets @ orbits.rotations[site])[:, None] - own_offsets, axis=2)
        assert gaps.min(axis=1) == pytest.approx(0, abs=1e-3)  # the tolerance of the symmetry search
        assert len(near) == len(own)


def test_without_symmetry_every_site_is_alone():
    rng = np.random.default_rng(0)
    frac_coords = rng.random((4, 3))
    lattice = np.diag([5.0, 6.0, 7.0]) + 0.3 * rng.random((3, 3))
    primitive = find_primitive(lattice, frac_coords, "abcd")
    assert primitive.copied_idx.tolist() == [0, 1, 2, 3]
    assert find_orbits(lattice, frac_coords, "abcd").representative_idx.tolist() == [0, 1, 2, 3]


def test_a_cell_whose_symmetry_cannot_be_found_is_taken_as_it_is():
    coincident = np.zeros((2, 3))
    primitive = find_primitive(np.eye(3), coincident, ["a", "a"])
    assert primitive.chosen_idx.tolist() == primitive.copied_idx.tolist() == [0, 1]
    assert find_orbits(np.eye(3), coincident, ["a", "a"]).representative_idx.tolist() == [0, 1]
