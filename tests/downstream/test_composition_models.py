"""CompositionRegressor and CompositionClassifier: what they cannot tell apart, and what they learn from a table."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict

import matembed as me
from matembed.downstream._property_training import inner_split
from matembed.downstream.baselines import one_hot_table, random_table
from matembed.downstream.composition_models import CompositionClassifier, CompositionRegressor
from matembed.downstream.compositions import read_compositions
from matembed.downstream.element_matrix import element_matrix
from matembed.elements import ATOMIC_NUMBERS

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

CATIONS, ANIONS = ("Li", "Na", "K", "Rb", "Mg", "Ca", "Sr", "Ba"), ("F", "Cl", "Br", "O", "S", "Se")
FORMULAS = [f"{a}{n}{b}{m}" for a in CATIONS for b in ANIONS for n, m in ((1, 1), (2, 1), (1, 3))]
TABLE = one_hot_table([*CATIONS, *ANIONS])
SMALL = {"width": 16, "n_layers": 1, "n_heads": 2, "max_epochs": 3}


@pytest.fixture(scope="module")
def target():
    """Mean atomic number: what elements and fractions tell."""
    compositions = read_compositions(FORMULAS)
    return np.add.reduceat(compositions.numbers * compositions.fractions, compositions.ends[:-1]).astype(float)


@pytest.fixture(scope="module")
def model(target):
    return CompositionRegressor(TABLE, **SMALL).fit(FORMULAS, target)


def test_order_and_scale_of_a_formula_change_nothing(model):
    same = model.predict(["SrSe", "SeSr", "Sr2Se2", "Sr0.5Se0.5"])
    np.testing.assert_allclose(same, same[0], atol=1e-5)
    assert model.predict(["SrSe3"]) != pytest.approx(same[0], abs=1e-3)


def test_a_batch_equals_its_members_one_by_one(model):
    formulas = ["LiF", "NaKRbMgCaSrBaClBrO6", "Ba"]
    alone = np.concatenate([model.predict([formula]) for formula in formulas])
    np.testing.assert_allclose(model.predict(formulas), alone, atol=1e-5)


def test_it_learns_what_elements_and_fractions_tell(target):
    model = CompositionRegressor(TABLE, width=32, n_layers=1, max_epochs=80, batch_size=16, validation_fraction=0)
    error = np.abs(model.fit(FORMULAS, target).predict(FORMULAS) - target).mean()
    assert error < 0.2 * np.abs(target - np.median(target)).mean()


def test_one_seed_the_same_numbers(target):
    fits = [CompositionRegressor(TABLE, **SMALL, seed=seed).fit(FORMULAS, target) for seed in (0, 0, 1)]
    first, again, other = (fit.predict(FORMULAS) for fit in fits)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("train", [False, True])
def test_vectors_are_trained_if_asked_for_and_the_table_never(target, train):
    table = random_table([*CATIONS, *ANIONS], 8, seed=0)
    before = table.vectors.copy()
    model = CompositionRegressor(table, **SMALL, train_vectors=train).fit(FORMULAS, target)
    trained = model.members_[0].body.vectors.weight.numpy()
    assert np.array_equal(trained, element_matrix(table)) != train
    assert np.array_equal(table.vectors, before)


def test_an_element_that_no_training_formula_has_is_known_by_its_vector(target):
    formulas = [formula for formula in FORMULAS if "Rb" not in formula]
    kept = target[[formula in formulas for formula in FORMULAS]]
    model = CompositionRegressor(me.load("elements"), **SMALL).fit(formulas, kept)
    rubidium, potassium, fluorine = model.predict(["RbCl", "KCl", "FCl"])
    assert abs(rubidium - potassium) < abs(rubidium - fluorine)


def test_elements_that_the_table_lacks_are_made_from_others():
    matrix = element_matrix(TABLE)
    assert matrix.shape == (119, len(TABLE))
    assert np.isfinite(matrix).all()
    assert not matrix[0].any()
    assert matrix[ATOMIC_NUMBERS["Cs"]].any()


def test_classes_are_told_apart(target):
    classes = np.where(target > np.median(target), "heavy", "light")
    model = CompositionClassifier(TABLE, width=32, n_layers=1, max_epochs=40, batch_size=16, validation_fraction=0)
    model.fit(FORMULAS, classes)
    assert (model.predict(FORMULAS) == classes).mean() > 0.9
    assert model.classes_.tolist() == ["heavy", "light"]
    np.testing.assert_allclose(model.predict_proba(FORMULAS).sum(axis=1), 1)


def test_it_is_an_estimator_of_scikit_learn(target):
    model = CompositionRegressor(TABLE, **SMALL)
    assert clone(model).get_params() == model.get_params()
    predicted = cross_val_predict(model, np.array(FORMULAS), target, cv=2)
    assert np.isfinite(predicted).all()


def test_targets_that_are_kept_aside_change_no_scale(target):
    rows, aside = inner_split(read_compositions(FORMULAS).formulas, 0.2, np.random.default_rng([7, 0]))
    poisoned = target.copy()
    poisoned[aside] = 1e6
    model = CompositionRegressor(TABLE, **SMALL, seed=7, validation_fraction=0.2).fit(FORMULAS, poisoned)
    assert float(model.members_[0].centre) == pytest.approx(target[rows].mean())


@pytest.mark.parametrize(
    ("elements", "settings", "error", "message"),
    [
        ("elements", {}, TypeError, "elements must be an EmbeddingTable"),
        (TABLE, {"width": 15, "n_heads": 2}, ValueError, "width must be a multiple of n_heads=2, got 15"),
        (TABLE, {"loss": "huber"}, ValueError, "loss must be one of laplace, gaussian"),
        (TABLE, {"max_epochs": 0}, ValueError, "max_epochs must be a whole number"),
        (TABLE, {"validation_fraction": 1.0}, ValueError, "validation_fraction must be a share below 1"),
    ],
)
def test_settings_are_checked_at_the_door(target, elements, settings, error, message):
    with pytest.raises(error, match=message):
        CompositionRegressor(elements, **(SMALL | settings)).fit(FORMULAS, target)


def test_formulas_are_checked_at_the_door(model, target):
    with pytest.raises(ValueError, match="Xx"):
        CompositionRegressor(TABLE, **SMALL).fit([*FORMULAS[:-1], "Xx2O"], target)
    with pytest.raises(ValueError, match="one formula or more"):
        model.predict([])
