import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed import Motif, MotifGraph, find_motifs, read_prototypes
from matembed.downstream.features import StructureFeaturizer
from matembed.downstream.motif_batch import MotifBatch, element_properties, network_dimensions
from matembed.downstream.motif_blocks import BLOCKS, MEASURED_BLOCKS, block_columns, describe_motifs
from matembed.motifs import Crystal, MotifArrays, find_motif_arrays

LABELS = tuple(block for block in BLOCKS if block not in MEASURED_BLOCKS)
# Rutile, corundum, spinel, perovskite, quartz, fluorite, calcite, garnet, hexagonal metal, Laves phase, ...
EVERY_NTH = 12


@pytest.fixture(scope="module")
def prototypes() -> dict[str, Structure]:
    rows = list(read_prototypes())[::EVERY_NTH]
    return {row.id: row.to_structure() for row in rows if len(row.to_structure()) <= 40}


def row_of(structure: object, *blocks: str) -> dict[str, float]:
    blocks = blocks or BLOCKS
    values = StructureFeaturizer(blocks=blocks).fit_transform([structure])[0]
    return dict(zip(block_columns(blocks), values.tolist(), strict=True))


@pytest.fixture(scope="module")
def perovskite() -> Structure:
    return Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.905), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    )


@pytest.fixture(scope="module")
def rutile() -> Structure:
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]
    )


# Laws ---------------------------------------------------------------------------------------------------------


def written_otherwise(structure: Structure, how: str, seed: int = 0) -> Structure:
    rng = np.random.default_rng(seed)
    if how == "supercell":
        return structure.make_supercell([2, 1, 1], in_place=False)
    if how == "sheared cell":
        return structure.make_supercell([[1, 0, 1], [0, 1, 0], [0, 1, 1]], to_unit_cell=False, in_place=False)
    if how == "site order":
        return Structure.from_sites([structure[n] for n in rng.permutation(len(structure))])
    if how == "shift":
        return Structure(structure.lattice, structure.species, structure.frac_coords + rng.random(3))
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return Structure(structure.lattice.matrix @ rotation, structure.species, structure.frac_coords)


@pytest.mark.parametrize("how", ["supercell", "sheared cell", "site order", "shift", "rotation"])
def test_a_row_describes_the_crystal_not_how_it_is_written(how: str, prototypes: dict[str, Structure]) -> None:
    featurizer = StructureFeaturizer(blocks=BLOCKS).fit()
    rows = featurizer.transform(list(prototypes.values()))
    others = featurizer.transform([written_otherwise(structure, how) for structure in prototypes.values()])
    # Means are sums in another order: rounding, far below 1e-9.
    np.testing.assert_allclose(others, rows, rtol=1e-9, atol=1e-9)
    assert np.isfinite(rows).all()


def test_graphs_arrays_crystals_and_structures_give_the_same_row(prototypes: dict[str, Structure]) -> None:
    featurizer = StructureFeaturizer(blocks=LABELS).fit()
    crystals = [Crystal.from_structure(structure) for structure in prototypes.values()]
    rows = featurizer.transform(crystals)
    for others in (
        list(prototypes.values()),
        [find_motif_arrays(crystal) for crystal in crystals],
        [find_motifs(crystal) for crystal in crystals],
    ):
        assert np.array_equal(featurizer.transform(others), rows)


def test_a_batch_equals_its_members_one_by_one(prototypes: dict[str, Structure]) -> None:
    found = [find_motif_arrays(Crystal.from_structure(structure)) for structure in prototypes.values()]
    featurizer = StructureFeaturizer(blocks=BLOCKS).fit()
    alone = np.vstack([featurizer.transform([one]) for one in found])
    assert np.array_equal(featurizer.transform(found), alone)


def test_columns_are_named_once_and_none_is_missing(prototypes: dict[str, Structure]) -> None:
    for block in BLOCKS:
        names = block_columns([block])
        assert len(set(names)) == len(names)
        assert all(name.startswith(f"{block}: ") for name in names)
        found = [find_motif_arrays(Crystal.from_structure(structure)) for structure in prototypes.values()]
        assert describe_motifs(MotifBatch.from_found(found), [block]).shape == (len(prototypes), len(names))


def test_labels_do_not_know_lengths(perovskite: Structure) -> None:
    larger = perovskite.copy()
    larger.scale_lattice(perovskite.volume * 1.1)
    rows = [
        row_of(find_motif_arrays(Crystal.from_structure(one), valences=[2, 4, -2, -2, -2]), *LABELS)
        for one in (perovskite, larger)
    ]
    assert rows[0] == pytest.approx(rows[1], abs=1e-9)


def test_crystals_without_motifs_are_finite_and_flagged() -> None:
    bare = MotifGraph("TiO2", ("Ti", "O", "O"), (), (), "numba", "simplest", "none")
    row = row_of(bare, *LABELS)
    assert {name for name, value in row.items() if value} == {f"{block}: without motifs" for block in LABELS}


def test_measured_blocks_of_crystals_without_motifs_are_finite() -> None:
    argon = find_motif_arrays(Crystal(np.eye(3) * 5, [[0, 0, 0]], [18]), valences=[-1.0])
    assert len(argon.centres) == 0
    assert np.isfinite(StructureFeaturizer(blocks=MEASURED_BLOCKS).fit_transform([argon])).all()


def test_one_crystal_is_no_column(perovskite: Structure) -> None:
    found = find_motif_arrays(Crystal.from_structure(perovskite))
    with pytest.raises(TypeError, match=r"got MotifArrays .*; put them in a list"):
        StructureFeaturizer().fit_transform(found)


# By hand ------------------------------------------------------------------------------------------------------


def test_perovskite(perovskite: Structure) -> None:
    row = row_of(perovskite)
    assert row["geometries: O:6"] == row["geometries: C:12"] == 0.5
    assert (row["geometries: min cn"], row["geometries: max cn"]) == (6, 12)
    assert row["centres: cn of lightest centre"] == row["centres: cn of 3d centres"] == 6
    assert row["centres: cn of alkaline earth centres"] == row["centres: cn of largest centre"] == 12
    assert row["centres: octahedral share of 3d centres"] == 1
    assert row["centres: mean centres per ligand"] == 6  # two Ti and four Sr
    # 2 x 4/6 + 4 x 2/12 = 2: Pauling's second rule holds.
    assert row["centres: mean strength per ligand"] == pytest.approx(2)
    assert row["centres: mean |strength - valence| per ligand"] == pytest.approx(0, abs=1e-12)
    assert row["centres: d electrons"] == 0
    assert row["centres: share of d0 octahedra"] == 0.5
    assert row["connections: corner links of d-block centres"] == row["connections: like links of d-block centres"] == 6
    assert row["connections: face links of d-block centres"] == 8  # with Sr
    assert row["connections: share of dimension 3"] == 1
    assert row["connections: mean dimension of one d-block element"] == 3
    assert row["size: volume per atom"] == pytest.approx(3.905**3 / 5)
    assert row["size: density"] == pytest.approx(perovskite.density, rel=1e-4)  # atomic masses have 5 digits
    assert row["bond_lengths: min d"] == pytest.approx(3.905 / 2)
    assert row["centres: bonds per atom"] == 18 / 5
    assert row["bond_physics: min d of the lightest atom"] == pytest.approx(3.905 / 2)


def test_rutile_shares_edges_in_chains(rutile: Structure) -> None:
    row = row_of(rutile, "connections")
    assert row["connections: mean corner links"] == 8
    assert row["connections: mean edge links"] == 2
    assert row["connections: O:6 corner O:6"] == 8
    assert row["connections: O:6 edge O:6"] == 2
    assert row["connections: share of corner links"] == 0.8
    assert row["connections: mean dimension"] == 3
    assert row["connections: mean dimension by edges and faces"] == 1
    assert row["connections: share of isolated motifs"] == 0


def octahedron(element: str, oxidation: float) -> MotifGraph:
    motif = Motif(0, element, oxidation, "O:6", 1.0, tuple((n, (0, 0, 0)) for n in range(1, 7)), ("O",) * 6)
    return MotifGraph("X", (element, *["O"] * 6), (motif,), (), "numba", "simplest", "given")


@pytest.mark.parametrize(
    ("element", "oxidation", "n_d", "stabilisation", "jahn_teller"),
    [("Ti", 4, 0, 0, 0), ("Cr", 3, 3, -1.2, 0), ("Mn", 3, 4, -0.6, 1), ("Cu", 2, 9, -0.6, 1), ("Zn", 2, 10, 0, 0)],
)
def test_d_electrons_in_octahedra(element, oxidation, n_d, stabilisation, jahn_teller) -> None:
    row = row_of(octahedron(element, oxidation), "centres")
    assert row["centres: d electrons"] == n_d
    assert row["centres: ligand field stabilisation"] == pytest.approx(stabilisation)
    assert row["centres: share of Jahn-Teller octahedra"] == jahn_teller


def test_lone_pairs() -> None:
    shares = [
        row_of(octahedron(*one), "centres")["centres: share of lone pairs"] for one in (("Sn", 2), ("Sn", 4), ("Bi", 3))
    ]
    assert shares == [1, 0, 1]


def test_terminal_ligands() -> None:
    row = row_of(octahedron("S", 6), "centres")
    assert row["centres: share of terminal ligands"] == 1
    assert row["centres: mean strength per ligand"] == 1


@pytest.mark.parametrize(
    ("links", "images", "dimensions"),
    [
        ([], [], [0, 0]),
        ([(0, 1)], [(0, 0, 0)], [0, 0]),
        ([(0, 1), (0, 1)], [(0, 0, 0), (0, 0, 1)], [1, 1]),
        ([(0, 0), (0, 0)], [(1, 0, 0), (1, 1, 0)], [2, 0]),
        ([(0, 0), (0, 0)], [(1, 1, 0), (2, 2, 0)], [1, 0]),  # one direction, twice
        ([(0, 0), (0, 1), (0, 1), (1, 1)], [(1, 0, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1)], [3, 3]),
    ],
)
def test_the_dimension_of_networks(links, images, dimensions) -> None:
    as_rows = np.array(links, dtype=np.int64).reshape(-1, 2), np.array(images, dtype=np.int64).reshape(-1, 3)
    assert network_dimensions(2, *as_rows).tolist() == dimensions


def test_dimensions_are_the_rank_of_the_cycles_found_by_walking() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        n_motifs, n_links = rng.integers(1, 9), rng.integers(1, 12)
        links = np.sort(rng.integers(0, n_motifs, (n_links, 2)), axis=1)
        images = rng.integers(-1, 2, (n_links, 3)) * rng.integers(0, 2, 3)
        assert network_dimensions(n_motifs, links, images).tolist() == walked(n_motifs, links, images)


def walked(n_motifs: int, links: np.ndarray, images: np.ndarray) -> list[int]:
    steps = [(a, b, image) for (a, b), image in zip(links, images, strict=True)]
    steps += [(b, a, -image) for a, b, image in steps]
    dimensions = [0] * n_motifs
    for start in range(n_motifs):
        cells, waiting, cycles = {start: np.zeros(3, dtype=int)}, [start], [np.zeros(3, dtype=int)]
        while waiting:
            here = waiting.pop()
            for a, b, image in steps:
                if a == here and b not in cells:
                    cells[b] = cells[here] + image
                    waiting.append(b)
                elif a == here:
                    cycles.append(cells[here] + image - cells[b])
        dimensions[start] = int(np.linalg.matrix_rank(np.array(cycles)))
    return dimensions


def test_every_element_has_every_property() -> None:
    properties = element_properties()
    for values in properties:
        assert len(values) == 119
        assert not values.flags.writeable
    for values in properties[:3]:
        assert (values[1:] > 0).all()
    assert properties.radius[[1, 8, 22]].tolist() == pytest.approx([0.31, 0.66, 1.6])  # Cordero, table 2


def test_of_a_mixture_the_likeliest_environment_counts(perovskite: Structure) -> None:
    mixed = find_motif_arrays(Crystal.from_structure(perovskite), strategy="multi_weights")
    assert isinstance(mixed, MotifArrays)
    row = row_of(mixed, "geometries")
    assert row["geometries: O:6"] + row["geometries: C:12"] == 1
