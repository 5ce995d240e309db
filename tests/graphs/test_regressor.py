"""AtomMotifRegressor: what may not change a prediction, what each setting hides, and that it learns."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Molecule, Structure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict

import matembed as me
from matembed.downstream._property_training import inner_split
from matembed.downstream.baselines import one_hot_table, random_table
from matembed.graphs import (
    AtomMotifClassifier,
    AtomMotifGraphs,
    AtomMotifRegressor,
    atom_motif_graphs,
    build_graphs,
)

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")
torch.set_num_threads(1)

SMALL = {"width": 16, "n_layers": 2, "max_epochs": 3, "batch_size": 16}
CUBIC = Structure(
    Lattice.cubic(3.905),
    ["Sr", "Ti", "O", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
)
QUARTZ = Structure.from_spacegroup(
    "P3_221", Lattice.hexagonal(4.914, 5.406), ["Si", "O"], [[0.47, 0, 2 / 3], [0.413, 0.267, 0.786]]
)
NEON = Structure(Lattice.cubic(4.43), ["Ne"], [[0, 0, 0]])
TOLERANCE = 2e-5  # float32, sums in another order


@pytest.fixture(scope="module")
def graphs():
    return build_graphs(me.read_prototypes(limit=40), progress=False).graphs


@pytest.fixture(scope="module")
def target(graphs):
    return np.array([graph.bond_lengths.mean() if len(graph.bond_lengths) else 0.0 for graph in graphs])


@pytest.fixture(scope="module", params=[{}, {"branches": "atoms"}, {"coupling": "readout"}], ids=str)
def model(request, graphs, target):
    return AtomMotifRegressor(**SMALL, **request.param).fit(graphs, target)


def predicted(model, *structures, merge=True):
    return model.predict(atom_motif_graphs(list(structures), merge=merge))


def test_merging_changes_the_cost_alone(model):
    crystals = [CUBIC, QUARTZ, CUBIC * (2, 1, 1), NEON]
    np.testing.assert_allclose(predicted(model, *crystals), predicted(model, *crystals, merge=False), atol=TOLERANCE)


@pytest.mark.parametrize("merge", [True, False])
def test_a_supercell_is_the_same_crystal(model, merge):
    for crystal in (CUBIC, QUARTZ):
        one, many = predicted(model, crystal, crystal * (1, 2, 2), merge=merge)
        assert many == pytest.approx(one, abs=TOLERANCE)


@pytest.mark.parametrize("merge", [True, False])
def test_rotation_reflection_and_the_order_of_atoms_change_nothing(model, merge):
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned = Structure(QUARTZ.lattice.matrix @ rotation, QUARTZ.species, QUARTZ.frac_coords)
    mirrored = Structure(-QUARTZ.lattice.matrix @ rotation, QUARTZ.species, QUARTZ.frac_coords)
    moved = QUARTZ.copy()
    moved.translate_sites(range(len(moved)), [0.1, 0.2, 0.3])
    order = rng.permutation(len(QUARTZ)).tolist()
    shuffled = Structure.from_sites([QUARTZ[site] for site in order])
    one, *others = predicted(model, QUARTZ, turned, mirrored, moved, shuffled, merge=merge)
    np.testing.assert_allclose(others, one, atol=TOLERANCE)


def test_a_batch_equals_its_members_one_by_one(model, graphs):
    together = model.predict(graphs[:12])
    alone = np.concatenate([model.predict(graphs[[row]]) for row in range(12)])
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)


def test_a_crystal_without_motifs_or_bonds_works(model, graphs, target):
    boride = next(row for row in me.read_prototypes() if row.id.endswith("UB12")).to_structure()
    without = atom_motif_graphs([boride])
    assert without[0].n_motifs == 0
    among = model.predict(AtomMotifGraphs.concat([graphs[:3], without, graphs[3:5]]))
    assert among[3] == pytest.approx(model.predict(without)[0], abs=TOLERANCE)
    assert np.isfinite(among).all()
    lonely = atom_motif_graphs({"far": NEON}, bonds={"far": []})
    assert lonely[0].n_bonds == 0
    assert np.isfinite(model.predict(lonely)).all()
    twice = AtomMotifGraphs.concat([without, without])
    assert np.isfinite(AtomMotifRegressor(**SMALL, validation_fraction=0).fit(twice, [1.0, 2.0]).predict(twice)).all()


def test_a_displaced_crystal_differs_by_what_merging_rounds_off(model):
    crystal = QUARTZ.copy()
    crystal.perturb(0.01)
    one, other = predicted(model, crystal), predicted(model, crystal, merge=False)
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_tools_of_scikit_learn_take_rows_one_by_one(graphs, target):
    told = cross_val_predict(AtomMotifRegressor(**SMALL), graphs, target, cv=2)
    assert np.isfinite(told).all()
    np.testing.assert_array_equal(
        AtomMotifRegressor(**SMALL).fit(graphs, target).predict(list(graphs[:4])),
        AtomMotifRegressor(**SMALL).fit(list(graphs), target).predict(graphs[:4]),
    )


def test_rows_kept_aside_tell_nothing_but_when_to_stop(graphs, target):
    """Huge targets of rows that are kept aside change no scale, and all polymorphs of a formula are aside together."""
    rows, aside = inner_split(graphs.formulas, 0.3, np.random.default_rng([5, 0]))
    assert not {graphs.formulas[row] for row in rows} & {graphs.formulas[row] for row in aside}
    poisoned = target.copy()
    poisoned[aside] = 1e6
    model = AtomMotifRegressor(**SMALL, seed=5, validation_fraction=0.3).fit(graphs, poisoned)
    assert float(model.members_[0].centre) == pytest.approx(target[rows].mean())
    assert float(model.members_[0].scale) == pytest.approx(target[rows].std())


def test_a_fitted_model_can_be_kept(model, graphs):
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(graphs), model.predict(graphs))


def test_divergence_is_told(graphs, target):
    with pytest.raises(ValueError, match=r"training diverged in epoch 1.*lower learning_rate"):
        AtomMotifRegressor(**(SMALL | {"learning_rate": 1e30, "head_learning_rate": 1e30})).fit(graphs, target)


def test_one_seed_the_same_numbers_and_another_other_ones(graphs, target):
    fits = [AtomMotifRegressor(**SMALL, seed=seed).fit(graphs, target).predict(graphs) for seed in (1, 1, 2)]
    assert np.array_equal(fits[0], fits[1])
    assert not np.allclose(fits[0], fits[2])


def test_structures_are_read_as_graphs_of_them(graphs, target):
    rows = [row.to_structure() for row in list(me.read_prototypes(limit=12))]
    model = AtomMotifRegressor(**SMALL).fit(rows, target[:12])
    np.testing.assert_allclose(model.predict(rows), model.predict(atom_motif_graphs(rows)), atol=TOLERANCE)


def test_without_labels_a_network_cannot_tell_them(graphs, target):
    mixed = graphs.shuffled(seed=3)
    told, hidden = (AtomMotifRegressor(**SMALL, motif_labels=labels).fit(graphs, target) for labels in (True, False))
    assert np.array_equal(hidden.predict(graphs), hidden.predict(mixed))
    assert not np.allclose(told.predict(graphs), told.predict(mixed))


def test_without_connections_a_network_cannot_tell_them(graphs, target):
    told, hidden = (AtomMotifRegressor(**SMALL, connections=heard).fit(graphs, target) for heard in (True, False))
    for name, value in (("link_angles", 90), ("link_lengths", 6), ("link_shared", 2)):
        columns = dict(graphs.columns) | {name: np.full_like(graphs.columns[name], value)}
        other = replace(graphs, columns=columns)
        assert np.array_equal(hidden.predict(graphs), hidden.predict(other))
        assert not np.allclose(told.predict(graphs), told.predict(other))


def test_atoms_alone_have_fewer_weights_and_no_motifs(graphs, target):
    n_weights = {}
    for branches in ("both", "atoms"):
        model = AtomMotifRegressor(**SMALL, branches=branches).fit(graphs, target)
        n_weights[branches] = sum(weight.numel() for weight in model.members_[0].parameters())
    assert n_weights["atoms"] < n_weights["both"]
    assert np.array_equal(model.predict(graphs), model.predict(graphs.shuffled()))


def test_vectors_of_tables_are_heard(graphs, target):
    """The same seed and tokens, with the vectors in another order."""
    tables = {"elements": one_hot_table(["O", "Ti", "Si"]), "motifs": random_table(graphs.names[::2], 8, seed=0)}
    for name, table in tables.items():
        mixed = replace(table, vectors=table.vectors[::-1])
        fits = [AtomMotifRegressor(**SMALL, **{name: one}).fit(graphs, target) for one in (table, mixed)]
        assert not np.allclose(fits[0].predict(graphs), fits[1].predict(graphs))
        assert np.isfinite(predicted(fits[0], CUBIC, QUARTZ)).all()


def test_it_learns_what_bonds_tell(graphs, target):
    model = AtomMotifRegressor(width=32, n_layers=2, max_epochs=60, batch_size=8, dropout=0.0, validation_fraction=0)
    error = np.abs(model.fit(graphs, target).predict(graphs) - target).mean()
    assert error < 0.25 * np.abs(target - np.median(target)).mean()


def test_members_disagree_and_widen_what_is_told(graphs, target):
    pair = AtomMotifRegressor(**SMALL, n_members=2).fit(graphs, target)
    mean, std = pair.predict(graphs, return_std=True)
    both = [member.predict(graphs) for member in pair.members_]
    np.testing.assert_allclose(mean, (both[0][0] + both[1][0]) / 2)
    variance = (both[0][1] ** 2 + both[1][1] ** 2) / 2 + (both[0][0] - both[1][0]) ** 2 / 4
    np.testing.assert_allclose(std, np.sqrt(variance))


def test_classes_are_told_apart(graphs, target):
    classes = np.where(target > np.median(target), "long", "short")
    model = AtomMotifClassifier(width=16, n_layers=1, max_epochs=60, batch_size=8, dropout=0, validation_fraction=0)
    assert (model.fit(graphs, classes).predict(graphs) == classes).mean() > 0.9
    np.testing.assert_allclose(model.predict_proba(graphs).sum(axis=1), 1)


def test_it_is_an_estimator_of_scikit_learn(graphs, target):
    model = AtomMotifRegressor(**SMALL, motif_labels=False)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.predict(graphs)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"branches": "motifs"}, ValueError, "branches must be one of both, atoms, got 'motifs'"),
        ({"coupling": "never"}, ValueError, "coupling must be one of layers, readout"),
        ({"width": 0}, ValueError, "width must be a whole number"),
        ({"dropout": 1}, ValueError, "dropout must be a share below 1"),
        ({"loss": "huber"}, ValueError, "loss must be one of laplace, gaussian"),
        (
            {"elements": "elements"},
            TypeError,
            r"elements must be an EmbeddingTable, such as matembed.load\('elements'\)",
        ),
        ({"device": "tpu"}, ValueError, "device must be"),
        ({"motif_labels": "no"}, ValueError, "motif_labels must be true or false, got 'no'"),
        ({"bonds": {"1": []}}, ValueError, "bonds must be one of shells, crystalnn, got dict; for bonds of your own"),
        ({"motifs": one_hot_table(["TiO6:O:6"]), "branches": "atoms"}, ValueError, "do not read; leave it out"),
    ],
)
def test_settings_are_checked_at_the_door(graphs, target, settings, error, message):
    with pytest.raises(error, match=message):
        AtomMotifRegressor(**(SMALL | settings)).fit(graphs, target)


def test_targets_have_to_fit(graphs, target):
    with pytest.raises(ValueError, match="wanted a target for each"):
        AtomMotifRegressor(**SMALL).fit(graphs, target[:-1])


@pytest.mark.parametrize(
    ("crystals", "message"),
    [
        (["NaCl"], "wanted pymatgen Structures or AtomMotifGraphs, got str 'NaCl'"),
        ([Molecule(["H"], [[0, 0, 0]])], "wanted pymatgen Structures or AtomMotifGraphs, got Molecule Molecule"),
        ([], "wanted one crystal or more, got none"),
        (QUARTZ, "wanted a list"),
    ],
)
def test_crystals_are_checked_at_the_door(model, crystals, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        model.predict(crystals)
    assert len(str(caught.value).splitlines()) == 1


def test_one_graph_is_not_many(model, graphs):
    with pytest.raises(TypeError, match="wanted graphs of many crystals, got one"):
        model.predict(graphs[0])
    with pytest.raises(ValueError, match="got none"):
        model.predict(graphs[[]])


def test_structures_and_graphs_do_not_mix(model, graphs):
    with pytest.raises(TypeError, match="got both: 2 Structures and 1 AtomMotifGraphs; make graphs of all"):
        model.predict([QUARTZ, graphs[0], CUBIC])
    with pytest.raises(TypeError, match="wanted pymatgen Structures or AtomMotifGraphs, got str 'NaCl'"):
        model.predict([graphs[0], QUARTZ, "NaCl"])


@pytest.mark.parametrize(
    ("learned", "asked"),
    [({"bonds": "crystalnn"}, {}), ({}, {"bonds": "crystalnn"}), ({}, {"strategy": "multi_weights"})],
)
def test_graphs_of_other_rules_than_were_learned_from_are_refused(learned, asked):
    model = AtomMotifRegressor(**(SMALL | {"max_epochs": 1}), validation_fraction=0)
    model.fit(atom_motif_graphs([CUBIC, NEON], **learned), [1.0, 2.0])
    with pytest.raises(ValueError, match=r"made alike, got (bonds|strategy) .* learned from .*; make all with one"):
        model.predict(atom_motif_graphs([CUBIC], **asked))
    again = pickle.loads(pickle.dumps(model))
    assert len(again.predict(atom_motif_graphs([CUBIC], **learned))) == 1
    model.fit(atom_motif_graphs([CUBIC, NEON], **asked), [1.0, 2.0])  # anew, from others
    assert len(model.predict(atom_motif_graphs([CUBIC], **asked))) == 1


def test_structures_are_refused_by_a_model_of_other_bonds_and_given_bonds_are_not():
    settings = SMALL | {"max_epochs": 1, "validation_fraction": 0}
    model = AtomMotifRegressor(**settings).fit(atom_motif_graphs([CUBIC, NEON], bonds="crystalnn"), [1.0, 2.0])
    with pytest.raises(ValueError, match="got bonds shells and a model that learned from bonds crystalnn"):
        model.predict([CUBIC])
    assert len(model.set_params(bonds="crystalnn").predict([CUBIC])) == 1
    assert len(model.predict(atom_motif_graphs({"far": NEON}, bonds={"far": []}))) == 1
