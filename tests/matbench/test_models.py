"""Models by name: each learns formulas and structures, and no row is described twice."""

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure
from sklearn.base import BaseEstimator, TransformerMixin

from matembed import Card, EmbeddingTable
from matembed.downstream.baselines import random_table
from matembed.downstream.blends import BlendRegressor
from matembed.downstream.fine_tuning import read_sets
from matembed.elements import SYMBOLS
from matembed.graphs import atom_motif_graphs
from matembed.matbench.models import (
    BASELINES,
    COMPOSITION_MODELS,
    AtomMotifModels,
    RememberedRows,
    baselines_of,
    find_unreadable,
    looks_at,
    named_models,
)
from matembed.matbench.tasks import MatbenchTask

SALTS = [cation + anion for cation in ("Li", "Na", "K", "Rb", "Cs") for anion in ("F", "Cl", "Br", "I")]
LENGTHS = 4 + 0.15 * np.arange(len(SALTS))
CRYSTALS = [
    Structure.from_spacegroup("Fm-3m", Lattice.cubic(length), Composition(one).elements, [[0, 0, 0], [0.5] * 3])
    for one, length in zip(SALTS, LENGTHS, strict=True)
]
QUICK = [*BASELINES, "composition_forest", "ridge", "kernel_ridge", "extra_trees"]


def task_of(inputs, target, kind="regression"):
    ids = [f"s{idx}" for idx in range(len(inputs))]
    return MatbenchTask("salts", tuple(inputs), tuple(ids), target, np.arange(len(inputs)) % 5, kind)


@pytest.mark.parametrize("inputs", [SALTS, CRYSTALS], ids=["formulas", "structures"])
def test_every_model_learns_numbers_and_classes(inputs):
    known = named_models()
    for kind, target in (("regression", LENGTHS), ("classification", LENGTHS > 5.4)):
        task = task_of(inputs, target, kind)
        for name in QUICK:
            model = known[name](task, 3).fit(list(inputs), task.target)
            assert model.predict(inputs[:4]).shape == (4,)
            if kind == "regression" and name != "dummy":
                assert np.abs(model.predict(inputs) - target).mean() < np.abs(target - target.mean()).mean()


def test_the_same_seed_gives_the_same_forest_and_another_one_another():
    task = task_of(SALTS, LENGTHS)
    make = named_models()["random_forest"]
    a, b, c = (make(task, seed).fit(SALTS, LENGTHS).predict(SALTS) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_table_is_for_models_and_never_for_baselines():
    task = task_of(SALTS[::2], LENGTHS[::2])
    with_table, without = named_models(random_table(SYMBOLS[1:100], 5)), named_models()
    for name in QUICK:
        a, b = (known[name](task, 0).fit(SALTS[::2], LENGTHS[::2]).predict(SALTS) for known in (with_table, without))
        assert np.array_equal(a, b) == (name in (*BASELINES, "composition_forest"))


def test_an_element_that_the_table_lacks_gets_the_vector_of_its_neighbours():
    table = EmbeddingTable(("Na", "Cl"), [[1.0, 0.0], [0.0, 1.0]], Card("two"))
    task = task_of(SALTS, LENGTHS)
    assert np.isfinite(named_models(table)["ridge"](task, 0).fit(SALTS, LENGTHS).predict(["KF"])).all()


def test_structures_of_one_composition_differ_for_a_forest_of_structures_alone():
    task = task_of(CRYSTALS, LENGTHS)
    small, large = (CRYSTALS[0].copy() for _ in range(2))
    large.scale_lattice(2 * large.volume)
    known = named_models()
    of_structures = known["random_forest"](task, 0).fit(CRYSTALS, LENGTHS).predict([small, large])
    of_formulas = known["composition_forest"](task, 0).fit(CRYSTALS, LENGTHS).predict([small, large])
    assert of_structures[0] != of_structures[1]
    assert of_formulas[0] == of_formulas[1]


def test_the_baselines_of_a_task_go_by_name():
    for inputs in (SALTS, CRYSTALS):
        assert set(BASELINES) <= set(baselines_of(task_of(inputs, LENGTHS))) <= set(named_models())


def test_a_material_is_described_once():
    asked = []

    class Counting(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            asked.extend(X)
            return np.array([[one.volume] for one in X])

    rows = RememberedRows(Counting())
    first = rows.fit_transform(CRYSTALS[:4])
    again = rows.transform(CRYSTALS[2:6])
    assert np.array_equal(again[:2], first[2:])
    assert len(asked) == 6
    assert np.array_equal(
        rows.transform([CRYSTALS[5], CRYSTALS[0], CRYSTALS[5]])[:, 0], [again[3, 0], first[0, 0], again[3, 0]]
    )


NETWORKS = {
    "transformer": {"dim": 8, "n_layers": 1, "n_heads": 2, "feed_forward": 8},
    "pretrained": {"freeze": "body"},
    "composition_network": {"width": 8, "n_layers": 1, "n_heads": 2},
    "atom_motif": {"width": 8, "n_layers": 1},
}


@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_take_materials_as_they_are(name, kind):
    for module in ("torch", "transformers", "torch_geometric"):
        pytest.importorskip(module)
    for inputs in (SALTS, CRYSTALS):
        task = task_of(inputs, LENGTHS if kind == "regression" else LENGTHS > 5.4, kind)
        if name == "atom_motif" and inputs is SALTS:
            with pytest.raises(ValueError, match="atom_motif reads structures, and salts has formulas"):
                named_models()[name](task, 4)
            continue
        model = named_models()[name](task, 4)
        assert model.seed == 4
        model.set_params(**NETWORKS[name], max_epochs=1)
        assert model.fit(list(inputs), task.target).predict(list(inputs[:3])).shape == (3,)


def test_the_blend_learns_from_formulas_and_structures():
    pytest.importorskip("lightgbm")
    for inputs in (SALTS, CRYSTALS):
        model = named_models()["blend"](task_of(inputs, LENGTHS), 0).fit(list(inputs), LENGTHS)
        assert np.abs(model.predict(list(inputs)) - LENGTHS).mean() < np.abs(LENGTHS - LENGTHS.mean()).mean()


def test_inner_folds_of_the_blend_leave_polymorphs_out_together(monkeypatch):
    told = []

    class Recording(BlendRegressor):
        def fit(self, X, y, *, groups=None):
            told.append(list(groups))
            return self

    monkeypatch.setattr("matembed.matbench.models.BlendRegressor", Recording)
    others = [
        Structure(Lattice.cubic(0.7 * one.lattice.a), one.composition.elements, [[0, 0, 0], [0.5] * 3])
        for one in CRYSTALS
    ]
    for inputs in ([*CRYSTALS, *others], [*SALTS, *(Composition(one * 2).formula for one in SALTS)]):
        target = np.tile(LENGTHS, 2)
        named_models()["blend"](task_of(inputs, target), 0).fit(inputs, target)
        labels = told.pop()
        assert labels[:20] == labels[20:]
        assert len(set(labels)) == 20
    alike = CRYSTALS[:4] * 5
    with pytest.raises(ValueError, match="5 inner folds that keep formulas together need as many of them, got 4 in 20"):
        named_models()["blend"](task_of(alike, LENGTHS), 0)


def test_graphs_are_made_once_and_in_the_order_asked_for(monkeypatch):
    made = []

    def counted(structures, **settings):
        made.extend(structures)
        return atom_motif_graphs(structures, **settings)

    monkeypatch.setattr("matembed.matbench.models.atom_motif_graphs", counted)
    models = AtomMotifModels()
    for rows in ([0, 3, 1], [4, 1, 1, 0, 2], [3]):
        asked = [CRYSTALS[row] for row in rows]
        found, expected = models.read(asked), atom_motif_graphs(asked)
        assert found.formulas == expected.formulas
        for name in expected.columns.keys() - {"motif_tokens"}:  # which count names, and these come as they are met
            assert np.array_equal(found.columns[name], expected.columns[name])
        assert [one.motif_names for one in found] == [one.motif_names for one in expected]
    assert [one.reduced_formula for one in made] == [CRYSTALS[row].reduced_formula for row in (0, 3, 1, 4, 2)]


def test_graphs_that_are_kept_are_those_of_the_same_crystals_settings_and_versions(tmp_path, monkeypatch):
    made = []

    def counted(structures, **settings):
        made.append(len(structures))
        return atom_motif_graphs(structures, **settings)

    def ask(rows):
        """Ask as another run would, and say how many graphs it made."""
        made.clear()
        asked = [crystals[row] for row in rows]
        found = AtomMotifModels(graphs=folder).read(asked)
        for name, expected in atom_motif_graphs(asked).columns.items():
            if name != "motif_tokens":
                assert np.array_equal(found.columns[name], expected)
        assert [one.motif_names for one in found] == [one.motif_names for one in atom_motif_graphs(asked)]
        return sum(made)

    monkeypatch.setattr("matembed.matbench.models.atom_motif_graphs", counted)
    folder, crystals = tmp_path / "kept", [one.copy() for one in CRYSTALS[:5]]
    assert ask([0, 3, 1]) == 3
    assert ask([4, 1, 1, 0, 2]) == 2
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert ask([2, 0, 4, 3, 1]) == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    crystals[2].translate_sites([0], [1e-9, 0, 0])
    crystals[3].add_oxidation_state_by_element({"Li": 1, "I": -1})
    assert ask([0, 2, 3]) == 2
    for name, other in (("strategy", "multi_weights"), ("merge", False)):
        atom_motif_graphs(crystals, **{name: other}).write(folder, overwrite=True)
        assert ask([0, 1]) == 2
    monkeypatch.setattr("matembed.matbench.models.package_versions", lambda: {"matembed": "0.0.1"})
    assert ask([0, 1]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    (folder / "graphs.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="not the file its config"):
        ask([0])


@pytest.mark.parametrize("materials", [CRYSTALS, SALTS], ids=["crystals", "formulas"])
def test_transformers_read_each_material_once(materials, monkeypatch):
    written = []

    def counted(listed):
        written.extend(listed)
        return read_sets(listed)

    monkeypatch.setattr("matembed.matbench.models.read_sets", counted)
    known = named_models()
    for name, rows in (("transformer", [0, 3, 1]), ("pretrained", [4, 1, 1, 0, 2]), ("transformer", [3])):
        asked = [materials[row] for row in rows]
        found, expected = known[name].read(asked), read_sets(asked)
        assert found.formulas == expected.formulas
        for row in range(len(rows)):
            pd.testing.assert_frame_equal(found.describe(row), expected.describe(row))
    assert list(map(id, written)) == [id(materials[row]) for row in (0, 3, 1, 4, 2)]
    with pytest.raises(ValueError, match="wanted one material or more, got none"):
        known["transformer"].read([])


@pytest.mark.parametrize("there", [True, False])
def test_networks_compute_where_they_are_told_to(there, monkeypatch):
    torch, task = pytest.importorskip("torch"), task_of(CRYSTALS, LENGTHS)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    for asked, device in (("cpu", "cpu"), ("auto", "cuda" if there else "cpu"), *([("cuda", "cuda")] if there else [])):
        known = named_models(device=asked)
        for kind in ("regression", "classification"):
            made = [known[name](task_of(CRYSTALS, LENGTHS > 5.4, kind), 0) for name in NETWORKS]
            assert {model.device for model in made} == {device}
    for wrong, told in (("tpu", "device must be"), *([] if there else [("cuda", "needs an accelerator")])):
        with pytest.raises(ValueError, match=told):
            named_models(device=wrong)
    assert {named_models()[name](task, 0).device for name in NETWORKS} == {"cpu"}


def test_atom_motif_takes_the_elements_of_a_table():
    task, elements = task_of(CRYSTALS, LENGTHS), random_table(SYMBOLS[1:100], 5)
    assert named_models()["atom_motif"](task, 0).elements is None
    assert named_models(elements)["atom_motif"](task, 0).elements is elements
    motifs = EmbeddingTable(("NaCl6:O:6",), [[1.0]], Card("shapes"))
    with pytest.raises(ValueError, match=r"atom_motif takes vectors of elements, and .*'shapes'.* has none; leave"):
        named_models(motifs)["atom_motif"](task, 0)


def test_what_models_look_at_is_what_they_cannot_read():
    """A crystal with half an atom has a composition, and one with atoms in one place too."""
    mixed = Structure(Lattice.cubic(4.2), [{"Na": 0.5, "K": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    touching = Structure(Lattice.cubic(4.2), ["Cs", "Cl"], [[0, 0, 0], [0, 0, 0.01]])
    unknown = Structure(Lattice.cubic(4.2), ["X", "Cl"], [[0, 0, 0], [0.5] * 3])
    task = task_of([*CRYSTALS[:5], mixed, touching, unknown], np.arange(8.0))
    assert find_unreadable(task, "nothing") == {}
    assert list(find_unreadable(task, "compositions")) == [7]
    assert list(find_unreadable(task, "structures")) == [5, 6, 7]
    task = task_of([*CRYSTALS, mixed, touching], np.arange(22.0))
    for name in QUICK:
        model = named_models()[name](task.rows(np.arange(20)), 0).fit(list(task.inputs[:20]), LENGTHS)
        looked = looks_at(name, task)
        assert (looked == "compositions") == (name in COMPOSITION_MODELS)
        if looked == "structures":
            with pytest.raises(ValueError, match="disordered"):
                model.predict(task.inputs)
        else:
            assert model.predict(task.inputs).shape == (22,)
    assert {looks_at(name, task_of(SALTS, LENGTHS)) for name in named_models()} == {"nothing", "compositions"}


def test_boosted_trees_need_their_extra_and_no_more():
    pytest.importorskip("lightgbm")
    task = task_of(SALTS, LENGTHS)
    assert named_models()["boosted_trees"](task, 0).fit(SALTS, LENGTHS).predict(SALTS).shape == (20,)
