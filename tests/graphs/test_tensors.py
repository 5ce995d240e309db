"""The equivariant branch: scalars stay and tensors turn with a crystal, inverted or not."""

import copy

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

import matembed as me
from matembed.graphs import AtomMotifRegressor, TensorRegressor, atom_motif_graphs

torch = pytest.importorskip("torch")
pytest.importorskip("e3nn")
torch.set_num_threads(1)
from matembed.graphs._equivariant import EquivariantConvolution  # noqa: E402

SMALL = {"width": 8, "n_layers": 2, "max_epochs": 4, "validation_fraction": 0}
QUARTZ = Structure.from_spacegroup(
    "P3_221", Lattice.hexagonal(4.914, 5.406), ["Si", "O"], [[0.47, 0, 2 / 3], [0.413, 0.267, 0.786]]
)
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]
)
SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
COPPER = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
LOW = Structure(
    Lattice.from_parameters(5, 6, 7, 80, 95, 105),
    ["K", "N", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.4, 0.6, 0.6], [0.6, 0.45, 0.4]],
)
CRYSTALS = [QUARTZ, RUTILE, SALT, COPPER, LOW]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def graphs():
    return atom_motif_graphs(CRYSTALS, merge=False)


def second_moments(graphs):
    """Sum bonds as tensors: what a network of one layer could tell."""
    return np.stack([np.einsum("bi,bj->ij", g.bond_vectors, g.bond_vectors) / g.n_atoms for g in graphs])


@pytest.fixture(scope="module")
def model(graphs):
    return TensorRegressor(**SMALL).fit(graphs, second_moments(graphs))


def turned(structure: Structure, rotation: np.ndarray) -> Structure:
    return Structure(structure.lattice.matrix @ rotation.T, structure.species, structure.frac_coords)


def rotations():
    rng = np.random.default_rng(0)
    proper = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(3)]
    return [*proper, -np.eye(3), -proper[0]]


def test_tensors_turn_with_the_crystal(model, graphs):
    told = model.predict(graphs)
    for rotation in rotations():
        again = model.predict([turned(crystal, rotation) for crystal in CRYSTALS])
        np.testing.assert_allclose(again, rotation @ told @ rotation.T, atol=TOLERANCE * np.abs(told).max())


@pytest.mark.parametrize("branches", ["atoms", "both"])
def test_scalars_do_not_change(graphs, branches):
    target = np.arange(len(graphs), dtype=float)
    settings = SMALL | {"max_epochs": 60, "learning_rate": 0.02, "atom_layers": "equivariant", "branches": branches}
    model = AtomMotifRegressor(**settings).fit(graphs, target)
    told = model.predict(graphs)
    blind = copy.deepcopy(model)
    for convolution in blind.members_[0].modules():
        if isinstance(convolution, EquivariantConvolution):
            torch.nn.init.zeros_(convolution.last.weight)
    assert np.abs(blind.predict(graphs) - told).max() > 0.01  # what is told depends on directions
    for rotation in rotations():
        again = model.predict([turned(crystal, rotation) for crystal in CRYSTALS])
        np.testing.assert_allclose(again, told, atol=TOLERANCE)
    one, many = model.predict([LOW, LOW * (1, 2, 1)])
    assert many == pytest.approx(one, abs=2 * TOLERANCE)
    alone = np.concatenate([model.predict(graphs[[row]]) for row in range(len(graphs))])
    np.testing.assert_allclose(told, alone, atol=2 * TOLERANCE)


def test_tensors_have_the_symmetry_of_their_crystal(model, graphs):
    quartz, rutile, salt, copper, low = model.predict(graphs)
    for cubic in (salt, copper):
        np.testing.assert_allclose(cubic, np.trace(cubic) / 3 * np.eye(3), atol=1e-4)
    for uniaxial in (quartz, rutile):
        np.testing.assert_allclose(uniaxial, np.diag(np.diag(uniaxial)), atol=1e-4)
        assert uniaxial[0, 0] == pytest.approx(uniaxial[1, 1], abs=1e-4)
    np.testing.assert_allclose(low, low.T)
    assert np.abs(low - np.diag(np.diag(low))).max() > 1e-3


def test_directions_are_learned(graphs):
    target = second_moments(graphs)
    model = TensorRegressor(
        width=8, n_layers=1, max_epochs=400, patience=400, dropout=0, validation_fraction=0, batch_size=5
    )
    missed = np.linalg.norm(model.fit(graphs, target).predict(graphs) - target, axis=(1, 2)).mean()
    isotropic = np.trace(target, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    assert missed < 0.5 * np.linalg.norm(isotropic - target, axis=(1, 2)).mean()


def test_directions_tell_what_lengths_do_not(graphs):
    """A square and a tetrahedron of equal bonds are told apart."""
    cell = Lattice.cubic(12)
    square = [[0, 0, 0], [0.14, 0, 0], [-0.14, 0, 0], [0, 0.14, 0], [0, -0.14, 0]]
    tetrahedron = [[0, 0, 0], *(0.14 / 3**0.5 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]))]
    species = ["Ni", "Cl", "Cl", "Cl", "Cl"]
    bonds = {"square": [[0, k, 0, 0, 0] for k in range(1, 5)], "tetrahedron": [[0, k, 0, 0, 0] for k in range(1, 5)]}
    shapes = {"square": Structure(cell, species, square), "tetrahedron": Structure(cell, species, tetrahedron)}
    both = atom_motif_graphs(shapes, bonds=bonds, merge=False)
    settings = {"width": 8, "n_layers": 2, "max_epochs": 200, "validation_fraction": 0, "branches": "atoms"}
    blind = AtomMotifRegressor(**settings).fit(both, [0.0, 1.0]).predict(both)
    seeing = AtomMotifRegressor(**settings, atom_layers="equivariant").fit(both, [0.0, 1.0]).predict(both)
    assert abs(blind[1] - blind[0]) < 1e-4
    assert seeing[1] - seeing[0] > 0.5


def test_merged_graphs_are_refused(model):
    merged = atom_motif_graphs(CRYSTALS)
    for one in (model, AtomMotifRegressor(**SMALL, atom_layers="equivariant")):
        with pytest.raises(ValueError, match="use merge=False"):
            one.fit(merged, np.zeros((5, 3, 3)) if one is model else np.arange(5))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (np.zeros((5, 3)), r"wanted tensors of shape \(5, 3, 3\)"),
        (
            [["a"]] * 5,
            r"wanted tensors of shape \(5, 3, 3\), one a crystal, got what is no array of numbers: could not",
        ),
        ([np.eye(3)] * 4 + [np.eye(2)], "got what is no array of numbers: "),
        (np.where(np.arange(45) == 20, np.nan, 1.0).reshape(5, 3, 3), "must be finite; that at position 2 is not"),
        (np.arange(45.0).reshape(5, 3, 3), "tensors must be symmetric; that at position 0 is not"),
    ],
)
def test_targets_have_to_be_symmetric_tensors(graphs, tensors, message):
    with pytest.raises(ValueError, match=message):
        TensorRegressor(**SMALL).fit(graphs, tensors)


def test_an_isotropic_part_is_added_to_what_is_told(graphs):
    target = second_moments(graphs)
    far = target + 1000 * np.eye(3)
    told, again = (TensorRegressor(**SMALL).fit(graphs, tensors).predict(graphs) for tensors in (target, far))
    np.testing.assert_allclose(again, told + 1000 * np.eye(3), atol=1e-3 * np.abs(target).max())


def test_tensors_that_do_not_fit_are_refused(model, graphs):
    with pytest.raises(ValueError, match="all tensors are the same"):
        TensorRegressor(**SMALL).fit(graphs, np.tile(np.eye(3), (5, 1, 1)))
    with pytest.raises(ValueError, match=r"wanted tensors of shape \(5, 3, 3\), one a crystal, got shape \(1, 3, 3\)"):
        model.score(graphs, second_moments(graphs)[:1])


def test_tensors_cannot_be_read_off_motifs(graphs):
    settings = SMALL | {"max_epochs": 1, "coupling": "readout"}
    with pytest.raises(ValueError, match=r"coupling='readout' keeps motifs from atoms, .*; use coupling='layers'"):
        TensorRegressor(**settings).fit(graphs, second_moments(graphs))
    atoms = TensorRegressor(**settings, branches="atoms").fit(graphs, second_moments(graphs))
    assert np.isfinite(atoms.predict(graphs)).all()


def test_members_disagree(model, graphs):
    pair = TensorRegressor(**SMALL | {"max_epochs": 1}, n_members=2).fit(graphs, second_moments(graphs))
    told, std = pair.predict(graphs, return_std=True)
    assert np.array_equal(told, pair.predict(graphs))
    both = []
    for member in pair.members_:
        alone = copy.copy(pair)
        alone.members_ = [member]
        both.append(alone.predict(graphs))
    np.testing.assert_allclose(told, (both[0] + both[1]) / 2)
    np.testing.assert_allclose(std, np.abs(both[0] - both[1]) / 2)
    assert std.max() > 0
    with pytest.raises(ValueError, match="is one over members, and there is one; fit with n_members=2 or more"):
        model.predict(graphs, return_std=True)


@pytest.mark.parametrize("kind", ["tensors", "scalars"])
def test_atoms_without_bonds_have_no_directions(graphs, kind):
    if kind == "tensors":
        model = TensorRegressor(**SMALL).fit(graphs, second_moments(graphs))
    else:
        model = AtomMotifRegressor(**SMALL, atom_layers="equivariant").fit(graphs, np.arange(5.0))
    lone = Structure(Lattice.tetragonal(20, 25), ["Cu"], [[0, 0, 0]])
    beside = Structure(Lattice.cubic(30), ["Cu", "O", "N"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.538]])
    crystals = atom_motif_graphs([lone, QUARTZ, beside], merge=False)
    assert [graph.n_bonds for graph in crystals] == [0, graphs[0].n_bonds, 1]
    told = model.predict(crystals)
    alone = np.concatenate([model.predict(crystals[[row]]) for row in range(3)])
    assert np.isfinite(told).all()
    np.testing.assert_allclose(told, alone, atol=2 * TOLERANCE * np.abs(told).max())
    if kind == "tensors":
        np.testing.assert_allclose(told[0], np.trace(told[0]) / 3 * np.eye(3), atol=1e-6)


def test_crystals_are_read_as_structures_are(model):
    assert np.array_equal(model.predict([me.Crystal.from_structure(one) for one in CRYSTALS]), model.predict(CRYSTALS))


def test_graphs_of_other_bonds_than_were_learned_from_are_refused(model):
    with pytest.raises(ValueError, match="got bonds crystalnn and a model that learned from bonds shells; make all"):
        model.predict(atom_motif_graphs([SALT], bonds="crystalnn", merge=False))
