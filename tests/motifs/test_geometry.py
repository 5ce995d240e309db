"""Geometries: every model is found from its own points, motion does not matter, kernels equal their definition."""

import numpy as np
import pytest

from matembed.motifs import Crystal, find_motifs
from matembed.motifs.geometry import MOST_MODELS, centre_and_scale, model_geometries, nearest_geometry, overlap

ENGINES = ("numba", "numpy")
MODELS = model_geometries()
SIZES = [cn for cn in range(1, 21) if MODELS.cn_starts[cn] < MODELS.cn_starts[cn + 1]]


def vertices(row):
    """Vertices of a model as seen from its centre."""
    cn = int(MODELS.symbols[row].split(":")[1])
    return MODELS.points[row, 1 : cn + 1] - MODELS.points[row, 0]


def random_shell(cn, rng):
    """Ligands spread over a sphere by repulsion, then displaced."""
    points = rng.normal(size=(cn, 3))
    for _ in range(100):
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        apart = points[:, None] - points
        cubes = ((apart**2).sum(axis=2) + np.eye(cn)) ** 1.5
        points = points + 0.05 * (apart / cubes[:, :, None]).sum(axis=1)
    return 2.0 * (points + rng.normal(scale=0.1, size=points.shape))


def motion(rng):
    """A rotation or a reflection."""
    return np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.choice([-1, 1])


def test_models_are_those_of_chemenv():
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometries import AllCoordinationGeometries

    every = AllCoordinationGeometries()
    expected = [model for cn in range(1, 21) for model in every.get_implemented_geometries(cn)]
    assert MODELS.symbols == tuple(model.mp_symbol for model in expected)
    for row, model in enumerate(expected):
        points = centre_and_scale(np.array([model.get_central_site(), *model.points], dtype=float))
        assert MODELS.points[row, : len(points)] == pytest.approx(points, abs=1e-12)
        assert not MODELS.points[row, len(points) :].any()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("row", range(len(MODELS.symbols)), ids=MODELS.symbols)
def test_every_model_is_found_from_its_own_points(row, engine):
    rng = np.random.default_rng(row)
    ideal = vertices(row)
    for hand in (1, -1):
        moved = rng.uniform(1.5, 3) * rng.permutation(ideal) @ motion(rng) * hand
        symbol, csm = nearest_geometry(moved, engine=engine)
        assert symbol == MODELS.symbols[row]
        assert csm < 1e-8


@pytest.mark.parametrize("cn", SIZES)
def test_kernels_give_what_the_definition_gives(cn):
    rng = np.random.default_rng(cn)
    for _ in range(3):
        offsets = random_shell(cn, rng)
        compiled = nearest_geometry(offsets, engine="numba")
        defined = nearest_geometry(offsets, engine="numpy")
        assert compiled[0] == defined[0]
        assert compiled[1] == pytest.approx(defined[1], abs=1e-8)


@pytest.mark.parametrize("cn", [cn for cn in SIZES if cn > 1])
def test_motion_size_and_order_do_not_matter(cn):
    rng = np.random.default_rng(cn)
    offsets = random_shell(cn, rng)
    symbol, csm = nearest_geometry(offsets)
    for _ in range(10):
        moved = rng.uniform(0.5, 4) * rng.permutation(offsets) @ motion(rng)
        assert nearest_geometry(moved) == (symbol, pytest.approx(csm, abs=1e-8))


def test_csm_is_never_above_that_of_any_ordering_of_any_model():
    rng = np.random.default_rng(0)
    for cn in SIZES:
        offsets = random_shell(cn, rng)
        _, csm = nearest_geometry(offsets)
        for row in range(MODELS.cn_starts[cn], MODELS.cn_starts[cn + 1]):
            for _ in range(100):
                points = centre_and_scale(np.vstack([np.zeros(3), rng.permutation(offsets)]))
                assert csm <= 100 * (1 - overlap(points, MODELS.points[row, : cn + 1]) ** 2) + 1e-9


def test_csm_is_the_least_squares_misfit():
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometry_finder import symmetry_measure

    rng = np.random.default_rng(0)
    for row in range(1, len(MODELS.symbols)):
        model = MODELS.points[row, : len(vertices(row)) + 1]
        points = centre_and_scale(rng.normal(size=model.shape))
        by_pymatgen = symmetry_measure(points_distorted=points, points_perfect=model)["symmetry_measure"]
        assert 100 * (1 - overlap(points, model) ** 2) == pytest.approx(by_pymatgen, abs=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cn", range(14, 20))
def test_shells_without_a_model_are_unknown(cn, engine):
    offsets = random_shell(cn, np.random.default_rng(cn))
    assert nearest_geometry(offsets, engine=engine) == (f"UNKNOWN:{cn}", None)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cn", [2, 6, 9])
def test_flat_and_straight_shells_have_a_geometry(cn, engine):
    around = 2 * np.pi * np.arange(cn) / cn
    ring = np.column_stack([np.cos(around), np.sin(around), np.zeros(cn)])
    line = np.column_stack([np.arange(1, cn + 1), np.zeros(cn), np.zeros(cn)])
    for offsets in (ring, line):
        symbol, csm = nearest_geometry(offsets, engine=engine)
        assert symbol in MODELS.symbols
        assert 0 <= csm < 100


def test_copies_of_a_shell_by_symmetry_do_not_end_the_search():
    # of this square antiprism, flattened, every fit has sixteen copies; that on SBT:8 is the lowest, but not the first
    square = 3.0 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    diagonal = np.array([[1.5, 1.5, 1], [1.5, -1.5, 1], [-1.5, 1.5, 1], [-1.5, -1.5, 1]])
    offsets = np.vstack([square, diagonal])
    assert nearest_geometry(offsets)[0] == nearest_geometry(offsets, engine="numpy")[0] == "SBT:8"


@pytest.mark.parametrize("cn", [cn for cn in SIZES if 6 < cn < 14])
def test_a_certified_search_agrees_with_many_random_starts(cn):
    rng = np.random.default_rng(cn)
    offsets = random_shell(cn, rng)
    bonds = [(0, site, 0, 0, 0) for site in range(1, cn + 1)]
    crystal = Crystal(60 * np.eye(3), np.vstack([np.zeros(3), offsets]) / 60, [11] + [17] * cn)
    valences = [1.0] + [-1.0] * cn
    (motif,) = find_motifs(crystal, bonds=bonds, valences=valences, search="certified").motifs
    symbol, csm = nearest_geometry(offsets, engine="numpy")
    assert motif.geometry == symbol
    assert motif.csm == pytest.approx(csm, abs=1e-4)


def test_most_models_are_of_one_coordination_number():
    assert np.diff(MODELS.cn_starts).max() == MOST_MODELS


def test_no_two_models_are_nearer_than_their_separation_says():
    from matembed.motifs._numba import largest_overlap

    for cn in (7, 11):
        rows = range(MODELS.cn_starts[cn], MODELS.cn_starts[cn + 1])
        for row in rows:
            for other in range(rows[0], row):
                known = 1 - MODELS.separations[row, other] ** 2 / 2
                points = [np.ascontiguousarray(MODELS.points[one, : cn + 1]) for one in (row, other)]
                assert largest_overlap(*points, known - 1e-6) == pytest.approx(known, abs=1e-6)
