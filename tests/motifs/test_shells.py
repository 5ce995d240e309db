"""Shells: cells of every kind have them, by both engines the same, and plateaus reach as far as they should."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed.motifs.shells import choose_ligands, find_shells
from matembed.motifs.voronoi import Facets, voronoi_cell


def random_crystal(rng, n_sites, lattice=None):
    """Atoms at least 1.5 Å apart, about 15 Å³ each."""
    while lattice is None:
        lattice = Lattice((15 * n_sites) ** (1 / 3) * (np.eye(3) + rng.uniform(-0.4, 0.4, size=(3, 3))))
        lattice = lattice if abs(lattice.volume) > 8 * n_sites else None
    sites = [rng.random(3)]
    while len(sites) < n_sites:
        site = rng.random(3)
        if lattice.get_all_distances([site], sites).min() > 1.5:
            sites.append(site)
    return Structure(lattice, rng.choice(["Na", "K", "O", "F"], size=n_sites).tolist(), sites)


def charges(structure):
    return [{"Na": 1.0, "K": 1.0, "O": -2.0, "F": -1.0}[site.specie.symbol] for site in structure]


def places(shell):
    """Offsets with elements, in an order that rounding does not change."""
    rows = zip((shell.offsets.round(6) + 0.0).tolist(), shell.elements, strict=True)
    return sorted((*offset, element) for offset, element in rows)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for site, shell in first.items():
        other = second[site]
        assert places(shell) == places(other)
        assert shell.geometry == other.geometry
        assert shell.csm == pytest.approx(other.csm, abs=1e-8)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ions", [True, False], ids=["ions", "atoms"])
def test_kernels_give_what_the_definition_gives(seed, ions):
    rng = np.random.default_rng(seed)
    structure = random_crystal(rng, 1 + seed)
    valences = charges(structure) if ions else None
    sites = [0, len(structure) - 1] if len(structure) > 1 else [0]
    compiled = find_shells(structure, sites, valences, engine="numba")
    assert_same(compiled, find_shells(structure, sites, valences, engine="numpy"))
    assert ions or compiled


CELLS = {
    "needle": (Lattice.orthorhombic(3, 3, 60), [[0, 0, 0], [0.5, 0.5, 0.02]]),
    "plate": (Lattice.orthorhombic(25, 25, 3), [[0, 0, 0], [0.1, 0, 0.5]]),
    "very oblique": (Lattice([[3, 0, 0], [40, 3, 0], [70, 55, 3]]), [[0, 0, 0]]),
    "one atom": (Lattice.cubic(3), [[0, 0, 0]]),
    "one atom in a void": (Lattice.cubic(100), [[0, 0, 0]]),
    "left-handed": (Lattice([[0, 3, 0], [3.5, 0, 0], [0, 0, 4]]), [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "outside the cell": (Lattice.cubic(4), [[-3.5, 7.25, -1e-17], [12, 0.75, 0.5]]),
}


@pytest.mark.parametrize("cell", CELLS)
def test_cells_of_every_shape_have_shells(cell):
    lattice, frac_coords = CELLS[cell]
    structure = Structure(lattice, ["Na"] * len(frac_coords), frac_coords)
    compiled = find_shells(structure, range(len(structure)), None, engine="numba")
    assert len(compiled) == len(structure)
    assert_same(compiled, find_shells(structure, range(len(structure)), None, engine="numpy"))


def test_an_atom_between_hundreds_of_others_has_a_cell():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    structure = Structure(Lattice.cubic(40), ["Na"] * 301, np.vstack([np.zeros(3), 10 * directions / 40]))
    assert find_shells(structure, [0], None) == {}  # more than 20 ligands
    facets = voronoi_cell(structure.lattice.matrix, structure.frac_coords, 0)
    assert len(choose_ligands(facets, np.full(len(facets.sites), True))) > 100


@pytest.mark.parametrize("seed", range(3))
def test_rotation_translation_order_and_supercell_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    structure = random_crystal(rng, 10)
    expected = find_shells(structure, range(10), charges(structure))
    assert expected
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(10)
    moved = Structure(
        Lattice(structure.lattice.matrix @ rotation),
        [structure[i].specie for i in order],
        structure.frac_coords[order] + rng.random(3) + rng.integers(-2, 3, size=(10, 3)),
    )
    for site, shell in find_shells(moved, range(10), charges(moved)).items():
        assert shell.geometry == expected[order[site]].geometry
        assert shell.csm == pytest.approx(expected[order[site]].csm, abs=1e-8)
        assert places(shell._replace(offsets=shell.offsets @ rotation.T)) == places(expected[order[site]])
    larger = structure * [[1, 1, 0], [0, 2, 1], [1, 0, 1]]
    copies = find_shells(larger, range(len(larger)), charges(larger))
    found = sorted((shell.geometry, round(shell.csm, 6), places(shell)) for shell in copies.values())
    once = sorted((shell.geometry, round(shell.csm, 6), places(shell)) for shell in expected.values())
    assert found == sorted(once * (len(larger) // 10))


@pytest.mark.parametrize("n_sites", [1, 5, 12])
def test_a_voronoi_cell_fills_the_sky_and_the_crystal(n_sites):
    structure = random_crystal(np.random.default_rng(n_sites), n_sites)
    lattice = structure.lattice.matrix
    volume = 0.0
    for site in range(n_sites):
        cell = voronoi_cell(lattice, structure.frac_coords, site)
        assert cell.solid_angles.sum() == pytest.approx(4 * np.pi)
        assert (np.diff(cell.distances) >= 0).all()
        offsets = structure.frac_coords[cell.sites] + cell.images - structure.frac_coords[site]
        assert np.linalg.norm(offsets @ lattice, axis=1) == pytest.approx(cell.distances)
        volume += len(cell.sites)
    assert volume % 2 == 0  # every facet has two sides


def facets(distances, angles):
    n_facets = len(distances)
    zeros = np.zeros(n_facets, dtype=np.intp)
    return Facets(zeros, np.zeros((n_facets, 3), dtype=np.intp), np.array(distances), np.array(angles))


@pytest.mark.parametrize(
    ("distances", "angles", "chosen"),
    [
        ([2.0, 2.7, 2.81, 2.84], [1.0] * 4, [0, 1]),  # 1.35, 1.405: 0.055 on, out
        ([2.0, 2.72, 2.81, 2.84], [1.0] * 4, [0, 1, 2]),  # 1.36, 1.405: chained; 1.42: beyond 1.41
        ([2.0, 2.8, 2.9], [1.0] * 3, [0, 1]),  # 1.4: in
        ([1.0] * 4, [1.0, 0.31, 0.29, 0.27], [0, 1, 2, 3]),  # chained across 0.3
        ([1.0] * 4, [1.0, 0.31, 0.27, 0.25], [0, 1]),  # 0.04 below, out
        ([1.0] * 12, [1.0, *np.arange(0.3, 0.0, -0.0299)], range(10)),  # down to 0.05
        ([1.0, 1.36, 1.405], [1.0, 0.2, 1.0], [0, 2]),  # no ligand, but a step in the plateau of distances
    ],
)
def test_plateaus_reach_across_the_cutoffs(distances, angles, chosen):
    cell = facets(distances, angles)
    assert choose_ligands(cell, np.full(len(distances), True)).tolist() == list(chosen)


def test_neighbours_that_may_not_bond_are_part_of_plateaus():
    cell = facets([1.0, 1.36, 1.405], [1.0, 1.0, 1.0])
    assert choose_ligands(cell, np.array([True, False, True])).tolist() == [0, 2]
