"""Vectors of materials from their motif network: what is folded in changes nothing; what is written is read again."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Molecule, Structure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline

from matembed import Crystal, MotifError, find_motifs
from matembed.downstream import network_embedding as module
from matembed.downstream.motif_network import motif_network
from matembed.downstream.network_embedding import MotifNetworkFeaturizer, NetworkEmbedding
from matembed.motifs import find_motif_arrays

PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def perovskite(a, b, edge):
    return Structure(Lattice.cubic(edge), [a, b, "O", "O", "O"], PEROVSKITE)


def rock_salt(metal, anion, edge):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride(metal, edge):
    return Structure(Lattice.cubic(edge), [metal, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


STRUCTURES = {
    "SrTiO3": perovskite("Sr", "Ti", 3.905),
    "BaTiO3": perovskite("Ba", "Ti", 4.0),
    "SrZrO3": perovskite("Sr", "Zr", 4.1),
    "BaZrO3": perovskite("Ba", "Zr", 4.2),
    "MgO": rock_salt("Mg", "O", 4.2),
    "CaO": rock_salt("Ca", "O", 4.8),
    "MgS": rock_salt("Mg", "S", 5.2),
    "CsCl": caesium_chloride("Cs", 4.1),
    "TlCl": caesium_chloride("Tl", 3.9),
}
GRAPHS = {name: find_motifs(structure) for name, structure in STRUCTURES.items()}
NAMES, COLUMN = list(GRAPHS), list(GRAPHS.values())
OTHERS = [
    rock_salt("Sr", "O", 5.1),
    perovskite("Ca", "Ti", 3.85),
    Structure.from_spacegroup("F-43m", Lattice.cubic(5.41), ["Zn", "S"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
]
TARGETS = np.arange(9.0)
LEVELS = ("motif", "species_motif", "geometry")
ROUNDING = 1e-6  # float32 of sums whose order may differ


def without_motifs():
    """A graph of a crystal in which no motif was found."""
    graph = GRAPHS["MgO"]
    return type(graph)(graph.formula, graph.elements, (), (), graph.engine, graph.strategy, graph.valences)


@pytest.fixture(scope="module")
def network():
    return motif_network(COLUMN, ids=NAMES)


@pytest.fixture(scope="module")
def learned(network):
    return network.embedding(4)


# Vectors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("parts", [True, False])
def test_folding_a_material_in_gives_its_own_vector(level, parts):
    network = motif_network(COLUMN, level=level)
    learned = network.embedding(5, parts=parts)
    assert learned.vectors.shape == (len(network), learned.dim)
    np.testing.assert_allclose(learned.transform(network), learned.vectors, atol=ROUNDING)
    np.testing.assert_allclose(learned.transform(COLUMN), learned.vectors, atol=ROUNDING)
    one_by_one = [learned.transform([graph])[0] for graph in COLUMN]
    np.testing.assert_allclose(one_by_one, learned.vectors, atol=ROUNDING)


def test_motifs_of_structures_are_found_as_those_of_the_network_were():
    every = motif_network(list(STRUCTURES.values()), valences="none")
    assert any(motif.startswith("O") for motif in every.motifs)
    learned = every.embedding(4)
    np.testing.assert_allclose(learned.transform(list(STRUCTURES.values())), learned.vectors, atol=ROUNDING)


def test_held_out_materials_change_nothing(network):
    others = [name for name in NAMES if name != "BaZrO3"]
    learned = network.subset(others).embedding(4)
    without = motif_network([GRAPHS[name] for name in others], ids=others).embedding(4)
    np.testing.assert_array_equal(learned.vectors, without.vectors)
    assert np.abs(learned.transform([GRAPHS["BaZrO3"]])).max() > 0.1  # by its parts: BaO12 and ZrO6 are met once


def test_what_is_folded_in_changes_nothing(network):
    learned = network.embedding(4)
    before = [getattr(learned, name).tobytes() for name in ("vectors", "rarities", "axes")]
    rows = learned.transform(OTHERS)
    assert [getattr(learned, name).tobytes() for name in ("vectors", "rarities", "axes")] == before
    np.testing.assert_array_equal(learned.transform(OTHERS), rows)
    np.testing.assert_allclose(learned.transform([*COLUMN, *OTHERS])[len(COLUMN) :], rows, atol=ROUNDING)


@pytest.mark.parametrize("level", LEVELS)
def test_supercell_and_order_of_sites_change_no_vector(level):
    single = STRUCTURES["SrTiO3"].copy()
    single.translate_sites([1], [0.02, 0, 0], to_unit_cell=False)
    turned = Structure.from_sites([single[site] for site in (4, 1, 3, 0, 2)])
    vectors = motif_network(COLUMN, level=level).embedding(4).transform([single, single * (2, 1, 3), turned])
    np.testing.assert_allclose(vectors[1:], [vectors[0]] * 2, atol=ROUNDING)


def test_full_rank_keeps_the_cosines(network):
    vectors = network.embedding(100, parts=False, min_materials=1).vectors.astype(np.float64)
    rows = (network.weights() * network.rarities).toarray()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors @ vectors.T, rows @ rows.T, atol=1e-6)


def test_large_networks_have_the_vectors_of_small_ones(monkeypatch, network):
    whole = network.embedding(2)
    monkeypatch.setattr(module, "_DENSE", 1)
    np.testing.assert_allclose(np.abs(network.embedding(2).vectors), np.abs(whole.vectors), atol=1e-5)


def test_the_same_bytes_again_and_signs_are_fixed(network, learned):
    assert learned.vectors.tobytes() == network.embedding(4).vectors.tobytes()
    assert (learned.axes[np.abs(learned.axes).argmax(axis=0), np.arange(learned.dim)] > 0).all()
    assert list(learned.to_frame().index) == NAMES
    assert not learned.vectors.flags.writeable


def test_a_crystal_without_motifs_has_zeros():
    learned = motif_network([*COLUMN, without_motifs()]).embedding(2)
    assert not learned.vectors[-1].any()
    assert not learned.transform([without_motifs()]).any()


# On disk -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [True, False])
def test_written_and_read_is_the_same(tmp_path, parts):
    network = motif_network(list(STRUCTURES.values()), level="species_motif", half_csm=2, valences="composition")
    learned = network.embedding(np.int64(4), parts=parts)
    folder = learned.write(tmp_path / "vectors")
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "nodes.json",
        "vectors.safetensors",
    }
    again = NetworkEmbedding.read(folder)
    assert repr(again) == repr(learned)
    assert (again.ids, again.nodes, again.level, again.half_csm) == (learned.ids, learned.nodes, "species_motif", 2.0)
    assert again.card == learned.card
    for name in ("vectors", "rarities", "axes"):
        assert getattr(again, name).dtype == getattr(learned, name).dtype
        assert getattr(again, name).tobytes() == getattr(learned, name).tobytes()
    assert again.transform(OTHERS).tobytes() == learned.transform(OTHERS).tobytes()
    same = again.write(tmp_path / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (same / path.name).read_bytes()


def test_only_vectors_are_overwritten(network, learned, tmp_path):
    folder = learned.write(tmp_path / "vectors")
    with pytest.raises(FileExistsError, match="already exists"):
        learned.write(folder)
    assert NetworkEmbedding.read(network.embedding(2).write(folder, overwrite=True)).dim == 2
    network.write(tmp_path / "network")
    with pytest.raises(FileExistsError, match="holds something other than NetworkEmbedding"):
        learned.write(tmp_path / "network", overwrite=True)


@pytest.mark.parametrize("name", ["nodes.json", "vectors.safetensors"])
def test_a_changed_or_missing_file_is_refused(learned, tmp_path, name):
    file = learned.write(tmp_path / "vectors") / name
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    with pytest.raises(ValueError, match=f"{name} is not the file its config.json names by SHA-256"):
        NetworkEmbedding.read(file.parent)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
        NetworkEmbedding.read(file.parent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "MotifNetwork"}, "holds a MotifNetwork, not a NetworkEmbedding"),
        ({"schema": 2}, "has format 2; this matembed reads format 1"),
        ({"level": "site"}, "not the config of a network embedding: level must be"),
        ({"half_csm": "4"}, "not the config of a network embedding: half_csm must be"),
        ({"card": {"name": "other", "sha256": {"../other": ""}}}, "not the config of a network embedding: sha256"),
    ],
)
def test_another_folder_is_refused(learned, tmp_path, change, message):
    config = learned.write(tmp_path / "vectors") / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        NetworkEmbedding.read(config.parent)


def test_a_network_is_no_embedding(network, tmp_path):
    with pytest.raises(ValueError, match="holds a MotifNetwork, not a NetworkEmbedding"):
        NetworkEmbedding.read(network.write(tmp_path / "network"))
    with pytest.raises(FileNotFoundError, match="no folder of a network embedding"):
        NetworkEmbedding.read(tmp_path / "nothing")


# Featurizer ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{}, {"level": "species_motif", "half_csm": 2.0}, {"parts": False}, {"valences": "none", "min_materials": 3}],
)
def test_rows_are_those_of_the_network_of_the_training_crystals(settings):
    kept = {name: value for name, value in settings.items() if name in ("parts", "min_materials")}
    others = {name: value for name, value in settings.items() if name not in kept}
    structures = list(STRUCTURES.values())
    expected = motif_network(structures, **others).embedding(3, **kept)
    featurizer = MotifNetworkFeaturizer(dim=3, **settings).fit(structures)
    np.testing.assert_array_equal(featurizer.embedding_.vectors, expected.vectors)
    np.testing.assert_array_equal(featurizer.transform(OTHERS), expected.transform(OTHERS))
    np.testing.assert_allclose(featurizer.transform(structures), expected.vectors, atol=ROUNDING)
    np.testing.assert_array_equal(clone(featurizer).fit_transform(structures), expected.vectors)
    assert featurizer.n_features_out_ == expected.dim == 3


def test_settings_are_stored_untouched_and_a_clone_and_a_pickle_give_the_same_rows():
    settings = {
        "dim": 3,
        "level": "geometry",
        "parts": False,
        "min_materials": 1,
        "half_csm": 2,
        "engine": "numpy",
        "strategy": "simplest",
        "valences": "none",
    }
    featurizer = MotifNetworkFeaturizer(**settings)
    assert featurizer.get_params() == settings
    rows = featurizer.fit(COLUMN).transform(OTHERS)
    assert featurizer.get_params() == settings
    assert not hasattr(clone(featurizer), "embedding_")
    np.testing.assert_array_equal(clone(featurizer).fit(COLUMN).transform(OTHERS), rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(featurizer)).transform(OTHERS), rows)


def test_every_kind_of_crystal_and_of_column_has_the_same_rows():
    featurizer = MotifNetworkFeaturizer(dim=4).fit(COLUMN)
    rows = featurizer.transform(OTHERS)
    crystals = [Crystal.from_structure(structure) for structure in OTHERS]
    array = np.empty((3, 1), dtype=object)
    array[:, 0] = OTHERS
    graphs = [find_motifs(structure) for structure in OTHERS]
    arrays = [find_motif_arrays(crystal) for crystal in crystals]
    for column in (crystals, arrays, graphs, tuple(OTHERS), array, array[:, 0], pd.Series(OTHERS)):
        np.testing.assert_array_equal(featurizer.transform(column), rows)
    np.testing.assert_array_equal(
        MotifNetworkFeaturizer(dim=4).fit(list(STRUCTURES.values())).embedding_.vectors, featurizer.embedding_.vectors
    )


def test_columns_are_named_and_the_index_kept():
    featurizer = MotifNetworkFeaturizer(dim=2).set_output(transform="pandas")
    frame = featurizer.fit(COLUMN).transform(pd.Series(OTHERS, index=["a", "b", "c"]))
    assert list(frame.columns) == list(featurizer.get_feature_names_out())
    assert list(frame.columns) == ["motif_network: axis 0", "motif_network: axis 1"]
    assert list(frame.index) == ["a", "b", "c"]
    assert featurizer.fit_transform(pd.Series(COLUMN, index=NAMES)).index.tolist() == NAMES


def test_fewer_columns_where_the_rank_is_smaller():
    featurizer = MotifNetworkFeaturizer().fit(COLUMN)
    assert featurizer.n_features_out_ == featurizer.embedding_.dim < len(COLUMN) + 1
    assert len(featurizer.get_feature_names_out()) == featurizer.transform(OTHERS).shape[1]


def test_held_out_folds_do_not_enter():
    """Each fold knows its training crystals alone: other held-out crystals and other targets leave it as it is."""
    model = make_pipeline(MotifNetworkFeaturizer(dim=3), Ridge())
    for train, test in KFold(3).split(COLUMN):
        alone = MotifNetworkFeaturizer(dim=3).fit([COLUMN[row] for row in train]).embedding_
        poisoned = [OTHERS[row % 3] if row in test else graph for row, graph in enumerate(COLUMN)]
        for crystals, targets in ((COLUMN, TARGETS), (poisoned, TARGETS[::-1])):
            scored = cross_validate(model, crystals, targets, cv=[(train, test)], return_estimator=True)
            embedding = scored["estimator"][0][0].embedding_
            assert embedding.nodes == alone.nodes
            for name in ("vectors", "rarities", "axes"):
                np.testing.assert_array_equal(getattr(embedding, name), getattr(alone, name))


def test_in_cross_validation():
    model = make_pipeline(MotifNetworkFeaturizer(dim=3), Ridge())
    folds = KFold(3, shuffle=True, random_state=0)
    predicted = cross_val_predict(model, COLUMN, TARGETS, cv=folds)
    for train, test in folds.split(COLUMN):
        embedding = motif_network([COLUMN[row] for row in train]).embedding(3)
        ridge = Ridge().fit(embedding.vectors, TARGETS[train])
        by_hand = ridge.predict(embedding.transform([COLUMN[row] for row in test]))
        np.testing.assert_allclose(predicted[test], by_hand, rtol=1e-5)  # predictions are of float32 rows


def test_a_second_fit_forgets_the_first():
    featurizer = MotifNetworkFeaturizer(dim=3)
    rows = featurizer.fit(COLUMN).transform(OTHERS)
    featurizer.fit(OTHERS + COLUMN[:2])
    np.testing.assert_array_equal(featurizer.fit(COLUMN).transform(OTHERS), rows)


def test_what_is_not_known_has_zeros_and_an_empty_column_no_rows():
    plain = MotifNetworkFeaturizer(dim=4, parts=False).fit(COLUMN)
    assert not plain.transform([OTHERS[0]]).any()  # the training crystals have no SrO6
    assert MotifNetworkFeaturizer(dim=4).fit(COLUMN).transform([OTHERS[0]]).any()  # but octahedra, Sr and O
    assert not plain.transform([without_motifs()]).any()
    assert plain.transform([]).shape == (0, plain.n_features_out_)
    assert MotifNetworkFeaturizer(dim=4).fit(COLUMN).transform([]).shape == (0, 4)


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda network: network.embedding(0), "dim must be a whole number"),
        (lambda network: network.embedding(min_materials=2.5), "min_materials must be a whole number"),
        (lambda network: network.embedding(min_materials=10), "10 or more of 9 materials"),
        (
            lambda network: network.embedding(2).transform(motif_network([GRAPHS["MgO"]], half_csm=1)),
            "wanted a network of level 'motif' and half_csm 4",
        ),
        (lambda network: replace(network.embedding(2), ids=NAMES[:1] * 9), "ids must be unique"),
        (lambda network: replace(network.embedding(2), ids=NAMES[1:]), r"vectors of shape \(8, 2\), got \(9, 2\)"),
        (lambda network: replace(network.embedding(2), rarities=[1.0]), "a rarity and a row of axes for each of"),
        (lambda network: replace(network.embedding(2), nodes=[[], []]), "nodes of 1 or 4 kinds, got 2"),
        (lambda network: replace(network.embedding(2), half_csm=np.nan), "half_csm must be a finite number"),
        (lambda network: MotifNetworkFeaturizer(dim=0).fit(COLUMN), "dim must be a whole number"),
        (lambda network: MotifNetworkFeaturizer(min_materials=0).fit(COLUMN), "min_materials must be a whole number"),
        (lambda network: MotifNetworkFeaturizer(level="site").fit(COLUMN), "level must be 'motif' or"),
        (lambda network: MotifNetworkFeaturizer(half_csm=0).fit(COLUMN), "half_csm must be a finite number"),
        (lambda network: MotifNetworkFeaturizer().fit([]), "of 0 materials have tells them apart"),
        (lambda network: MotifNetworkFeaturizer().fit([without_motifs()] * 2), "of 2 materials have tells them apart"),
    ],
)
def test_bad_input_is_said_in_one_line(network, call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call(network)
    assert "\n" not in str(raised.value)


def test_settings_are_checked_before_motifs_are_found():
    for settings in ({"dim": 0}, {"level": "site"}, {"half_csm": -1}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            MotifNetworkFeaturizer(**settings).fit(["no structure"])


def test_what_is_no_crystal_is_named_by_its_position(network):
    featurizer = MotifNetworkFeaturizer(dim=2).fit(COLUMN)
    molecule = Molecule(["H", "H"], [[0, 0, 0], [0, 0, 0.74]])
    for call in (featurizer.fit, featurizer.transform):
        with pytest.raises(MotifError, match="structure at position 1: a molecule"):
            call([COLUMN[0], molecule])
        with pytest.raises(TypeError, match="structure at position 0"):
            call(["NaCl"])
        for no_column in (STRUCTURES["MgO"], GRAPHS["MgO"], network):
            with pytest.raises(TypeError, match="wanted a list, array, Series or single column of structures"):
                call(no_column)


def test_unfitted_is_an_error():
    for call in (lambda new: new.transform(COLUMN), lambda new: new.get_feature_names_out()):
        with pytest.raises(NotFittedError):
            call(MotifNetworkFeaturizer())
