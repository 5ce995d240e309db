"""Shells and mixtures: cells of every kind have them, by both engines the same, and plateaus reach as they should."""

import numpy as np
import pytest
from numba import njit
from pymatgen.core import Lattice

from matembed.elements import ATOMIC_NUMBERS
from matembed.motifs import STRATEGIES, Crystal, find_motif_arrays
from matembed.motifs._numba import _make_grid, _voronoi_facets
from matembed.motifs.mixtures import neighbour_sets, weigh_sets
from matembed.motifs.shells import choose_ligands
from matembed.motifs.voronoi import Facets, reduce_lattice, voronoi_cell

CHARGES = {"Na": 1.0, "K": 1.0, "O": -2.0, "F": -1.0}


def random_crystal(rng, n_sites):
    """Atoms at least 1.5 Å apart, about 15 Å³ each, with no symmetry."""
    lattice = None
    while lattice is None:
        lattice = Lattice((15 * n_sites) ** (1 / 3) * (np.eye(3) + rng.uniform(-0.4, 0.4, size=(3, 3))))
        lattice = lattice if abs(lattice.volume) > 8 * n_sites else None
    sites = [rng.random(3)]
    while len(sites) < n_sites:
        site = rng.random(3)
        if lattice.get_all_distances([site], sites).min() > 1.5:
            sites.append(site)
    numbers = [ATOMIC_NUMBERS[symbol] for symbol in rng.choice(list(CHARGES), size=n_sites)]
    return Crystal(lattice.matrix, sites, numbers)


def charges(crystal):
    return [CHARGES[symbol] for symbol in crystal.symbols]


def ordered(crystal):
    """Put the atoms in an order of their own, cations first, so that the first are centres."""
    order = np.argsort([-charge for charge in charges(crystal)], kind="stable")
    return Crystal(crystal.lattice, crystal.frac_coords[order], crystal.numbers[order])


def environments(arrays):
    """By site: geometry, csm, fraction and ligands of each environment."""
    symbols = arrays.symbols()
    found = {}
    for row, site in enumerate(arrays.centres.tolist()):
        span = range(arrays.environment_starts[row], arrays.environment_starts[row + 1])
        found[site] = [
            (
                symbols[one],
                float(arrays.csms[one]),
                float(arrays.fractions[one]),
                arrays.ligands[slice(*arrays.ligand_spans[one])].tolist(),
            )
            for one in span
        ]
    return found


def assert_same(first, second, abs_csm=1e-7):
    assert first.keys() == second.keys()
    for site, several in first.items():
        assert [(one[0], one[3]) for one in several] == [(one[0], one[3]) for one in second[site]]
        for one, other in zip(several, second[site], strict=True):
            assert one[1] == pytest.approx(other[1], abs=abs_csm)
            # a fraction moves by about a tenth as much as the csm behind it
            assert one[2] == pytest.approx(other[2], abs=abs_csm)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ions", [True, False], ids=["ions", "atoms"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_kernels_give_what_the_definition_gives(seed, ions, strategy):
    # the definition takes seconds for a mixture of many neighbours, so those are looked for in small crystals
    crystal = ordered(random_crystal(np.random.default_rng(seed), 1 + seed if strategy == "simplest" else 1 + seed % 3))
    valences = charges(crystal) if ions else "none"
    compiled, defined = (
        find_motif_arrays(crystal, engine=engine, strategy=strategy, valences=valences) for engine in ("numba", "numpy")
    )
    assert_same(environments(compiled), environments(defined))
    assert compiled.connections.tolist() == defined.connections.tolist()
    assert compiled.shared.tolist() == defined.shared.tolist()
    assert ions or len(compiled.centres)


CELLS = {
    "needle": (Lattice.orthorhombic(3, 3, 60), [[0, 0, 0], [0.5, 0.5, 0.02]]),
    "plate": (Lattice.orthorhombic(25, 25, 3), [[0, 0, 0], [0.1, 0, 0.5]]),
    "very oblique": (Lattice([[3, 0, 0], [40, 3, 0], [70, 55, 3]]), [[0, 0, 0]]),
    "oblique beyond reason": (Lattice([[3, 0, 0], [500, 3, 0], [100, 900, 3]]), [[0, 0, 0]]),
    "one atom": (Lattice.cubic(3), [[0, 0, 0]]),
    "one atom in a void": (Lattice.cubic(100), [[0, 0, 0]]),
    "left-handed": (Lattice([[0, 3, 0], [3.5, 0, 0], [0, 0, 4]]), [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "outside the cell": (Lattice.cubic(4), [[-3.5, 7.25, -1e-17], [12, 0.75, 0.5]]),
}


@pytest.mark.parametrize("cell", CELLS)
def test_cells_of_every_shape_have_shells(cell):
    lattice, frac_coords = CELLS[cell]
    crystal = Crystal(lattice.matrix, frac_coords, [11] * len(frac_coords))
    compiled, defined = (find_motif_arrays(crystal, engine=engine, valences="none") for engine in ("numba", "numpy"))
    assert compiled.centres.tolist() == list(range(len(frac_coords)))
    assert_same(environments(compiled), environments(defined))
    mixed = find_motif_arrays(crystal, strategy="multi_weights", valences="none")
    assert set(mixed.centres.tolist()) <= set(range(len(frac_coords)))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_an_atom_alone_has_no_shell(engine, strategy):
    crystal = Crystal(1e5 * np.eye(3), [[0, 0, 0], [0, 0, 1e-5]], [55, 17])
    alone = Crystal(1e5 * np.eye(3), [[0, 0, 0]], [55])
    valences = [1.0, -1.0] if strategy == "simplest" else "none"
    found = find_motif_arrays(crystal, engine=engine, strategy=strategy, valences=valences)
    assert found.symbols()[0] == "S:1"
    assert found.csms[0] == pytest.approx(0)
    assert len(find_motif_arrays(alone, engine=engine, strategy=strategy, valences="none").centres) == 0


@njit
def compiled_facets(lattice, frac_coords, site):
    return _voronoi_facets(_make_grid(lattice, frac_coords, 3.0), site)


def test_many_planes_that_cut_a_cell_before_it_is_done_fit_in():
    # neighbours come nearer and nearer from every side, so that each cuts, and later ones cut off what it left
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(900, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    # distances grow by so little that a plane far from all others still cuts
    places = directions * np.linspace(10, 10.4, 900)[:, None]
    apart = np.linalg.norm(places[:, None] - places, axis=2) + np.eye(900)
    kept = [row for row in range(900) if (apart[row, :row] > 0.55).all()]
    crystal = Crystal(60 * np.eye(3), np.vstack([np.zeros(3), places[kept]]) / 60, [11] * (len(kept) + 1))
    facets = voronoi_cell(crystal.lattice, crystal.frac_coords, 0)
    assert len(facets.sites) > 128
    atoms, found = compiled_facets(crystal.lattice, crystal.frac_coords, 0)
    assert sorted(atoms.tolist()) == sorted(facets.sites.tolist())
    assert found[:, 3] == pytest.approx(facets.distances)
    angles = dict(zip(atoms.tolist(), found[:, 4], strict=True))
    assert [angles[site] for site in facets.sites.tolist()] == pytest.approx(facets.solid_angles, abs=1e-9)


def test_a_needle_of_any_length_has_the_shells_of_a_long_one():
    # the definition would take half a minute
    found = [
        find_motif_arrays(Crystal(np.diag([3.0, 3.0, length]), [[0, 0, 0], [0.5, 0.5, 1 / length]], [11, 11]))
        for length in (300.0, 5000.0, 1e6)
    ]
    assert [arrays.symbols() for arrays in found] == [["SBT:8", "SBT:8"]] * 3
    assert found[0].ligands.tolist() == found[2].ligands.tolist()


def test_a_reduced_lattice_is_the_same_lattice():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lattice = rng.normal(size=(3, 3)) * rng.choice([1, 30], size=(3, 1))
        cell = reduce_lattice(lattice)
        steps = lattice @ np.linalg.inv(cell)
        assert steps == pytest.approx(np.round(steps), abs=1e-6)
        assert abs(np.linalg.det(np.round(steps))) == pytest.approx(1)
        lengths = np.linalg.norm(cell, axis=1)
        shortest = np.minimum.outer(lengths, lengths) ** 2
        assert (np.abs(np.triu(cell @ cell.T, 1)) <= (0.5 + 1e-6) * shortest).all()


def test_an_atom_between_hundreds_of_others_has_a_cell():
    height, turn = np.linspace(-1, 1, 302)[1:-1], np.pi * (1 + 5**0.5) * np.arange(300)  # Fibonacci's sphere
    across = np.sqrt(1 - height**2)
    directions = np.column_stack([across * np.cos(turn), across * np.sin(turn), height])
    crystal = Crystal(40 * np.eye(3), np.vstack([np.zeros(3), 10 * directions / 40]), [11] * 301)
    assert 0 not in find_motif_arrays(crystal, valences="none").centres  # more than 20 ligands
    assert len(find_motif_arrays(crystal, strategy="multi_weights", valences="none").centres) > 0
    facets = voronoi_cell(crystal.lattice, crystal.frac_coords, 0)
    assert len(choose_ligands(facets, np.full(len(facets.sites), True))) > 100


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rotation_reflection_translation_order_and_supercell_do_not_matter(seed, strategy):
    rng = np.random.default_rng(seed)
    crystal = random_crystal(rng, 10)
    expected = environments(find_motif_arrays(crystal, strategy=strategy, valences=charges(crystal)))
    assert expected
    motion = np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.choice([-1, 1])
    order, steps = rng.permutation(10), rng.integers(-2, 3, size=(10, 3))
    moved = Crystal(
        crystal.lattice @ motion, crystal.frac_coords[order] + rng.random(3) + steps, crystal.numbers[order]
    )
    found = environments(find_motif_arrays(moved, strategy=strategy, valences=charges(moved)))
    back = {
        int(order[site]): [
            (*one[:3], sorted([int(order[a]), *(np.array(i) + steps[a] - steps[site]).tolist()] for a, *i in one[3]))
            for one in several
        ]
        for site, several in found.items()
    }
    assert_same(back, expected)

    larger = crystal.to_structure() * [[1, 1, 0], [0, 2, 1], [1, 0, 1]]
    times = len(larger) // 10
    copies = Crystal.from_structure(larger)
    found = environments(find_motif_arrays(copies, strategy=strategy, valences=charges(copies)))
    many = sorted([(one[0], round(one[1], 5), round(one[2], 5)) for one in several] for several in found.values())
    once = sorted([(one[0], round(one[1], 5), round(one[2], 5)) for one in several] for several in expected.values())
    assert many == sorted(once * times)


@pytest.mark.parametrize("n_sites", [1, 5, 12])
def test_a_voronoi_cell_fills_the_sky_and_the_crystal(n_sites):
    crystal = random_crystal(np.random.default_rng(n_sites), n_sites)
    n_facets = 0
    for site in range(n_sites):
        cell = voronoi_cell(crystal.lattice, crystal.frac_coords, site)
        assert cell.solid_angles.sum() == pytest.approx(4 * np.pi)
        assert (np.diff(cell.distances) >= 0).all()
        offsets = crystal.frac_coords[cell.sites] + cell.images - crystal.frac_coords[site]
        assert np.linalg.norm(offsets @ crystal.lattice, axis=1) == pytest.approx(cell.distances)
        n_facets += len(cell.sites)
    assert n_facets % 2 == 0  # every facet has two sides


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


def test_every_pair_of_plateaus_gives_a_neighbour_set():
    # distances 1, 1.3, 1.6 and angles 1, 0.5, 0.2: nested, and the last two swapped
    cell = facets([1.0, 1.3, 1.6], [1.0, 0.2, 0.5])
    found = neighbour_sets(cell, np.full(3, True))
    assert {one.members: one.may_be_shell for one in found} == {
        (0,): True,
        (0, 1): True,
        (0, 2): True,
        (0, 1, 2): True,
    }
    # what may not bond competes only
    found = neighbour_sets(cell, np.array([True, False, True]))
    assert {one.members: one.may_be_shell for one in found} == {
        (0,): True,
        (0, 2): True,
        (0, 1): False,
        (0, 1, 2): False,
    }


def test_a_set_gives_way_to_a_larger_one_that_fits_as_well():
    cell = facets([1.0, 1.0, 1.0, 1.3], [1.0, 1.0, 1.0, 0.9])
    sets = neighbour_sets(cell, np.full(4, True))
    assert [len(one.members) for one in sets] == [3, 4]
    assert weigh_sets(sets, [[1.0], [1.2]]).tolist() == [0, 1]  # 0.2 worse with one more: preferred
    assert weigh_sets(sets, [[1.0], [9.0]]).tolist() == [1, 0]  # resembles nothing
    assert weigh_sets(sets, [[9.0], [9.0]]).tolist() == [0, 0]
    mixed = weigh_sets(sets, [[1.0], [3.0]])
    assert mixed.sum() == pytest.approx(1)
    assert 0 < mixed[0] < 1


def test_fractions_of_a_site_add_up_to_one():
    crystal = random_crystal(np.random.default_rng(5), 12)
    arrays = find_motif_arrays(crystal, strategy="multi_weights", valences="none")
    sums = np.add.reduceat(arrays.fractions, arrays.environment_starts[:-1])
    assert sums == pytest.approx(1)
    assert (np.diff(arrays.environment_starts) > 1).any()
