"""CompositionRegressor and CompositionClassifier: what they cannot tell apart, and what they learn from a table."""

import warnings

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

from matembed.downstream._composition_network import CompositionNetwork, _columns  # noqa: E402

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


def body(*, statistics=False):
    """Make a network of random weights, and of random vectors, that answers as after training."""
    torch.manual_seed(0)
    vectors = element_matrix(random_table([*CATIONS, *ANIONS], 8, seed=1))
    network = CompositionNetwork(
        vectors, train_vectors=False, statistics=statistics, width=16, n_layers=1, n_heads=2, dropout=0.1
    )
    network.meet(read_compositions(FORMULAS))
    return network.eval()


def attended(network, *formulas):
    """Tell what attention makes of each formula, averaged by fractions."""
    with torch.inference_mode():
        return network(read_compositions(formulas))[:, :16].numpy()


def test_elements_hear_each_other():
    """If they did not, each would add the same to any formula."""
    salt, halite, fluoride, chloride = attended(body(), "LiF", "NaCl", "NaF", "LiCl")
    assert np.abs(salt + halite - fluoride - chloride).max() > 0.01


def test_what_an_element_says_depends_on_its_fraction():
    """If it did not, what all say together would be linear in fractions."""
    little, half, much = attended(body(), "LiF3", "LiF", "Li3F")
    assert np.abs(little + much - 2 * half).max() > 0.01


def test_statistics_are_those_of_the_vectors_by_fractions():
    network, compositions = body(statistics=True), read_compositions(["Li3F", "BaO"])
    vectors = network.vectors.weight.numpy()
    lithium, fluorine = vectors[[3, 9]]
    columns = _columns(*network._read(compositions))[0].numpy()
    mean = (3 * lithium + fluorine) / 4
    std = np.sqrt((3 * (lithium - mean) ** 2 + (fluorine - mean) ** 2) / 4)
    both = np.stack([lithium, fluorine])
    expected = np.concatenate([mean, std, both.min(axis=0), both.max(axis=0)])
    np.testing.assert_allclose(columns, expected, atol=1e-6)


def test_statistics_are_read_in_standard_deviations_over_what_is_learned_from():
    network, compositions = body(statistics=True), read_compositions(FORMULAS)
    columns = _columns(*network._read(compositions))
    standard = (columns - network.statistics.centre) * network.statistics.scale
    np.testing.assert_allclose(standard.mean(dim=0), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(dim=0, correction=0), 1, atol=1e-4)
    network.meet(read_compositions(["LiF"] * 3))  # nothing varies
    assert not network.statistics.scale.any()


def test_statistics_alone_are_read_of_half_of_the_formulas_in_training():
    network, formulas = body(statistics=True).train(), read_compositions(["LiF"] * 1000)
    with torch.inference_mode():
        told = network(formulas)
    alone = (told[:, :32] == 0).all(dim=1)
    assert 400 < int(alone.sum()) < 600
    assert told[:, 32:].any(dim=1).all()


def test_elements_of_which_nothing_was_learned_are_named(model, target):
    with pytest.warns(
        UserWarning, match="nothing was learned of U; predictions of materials that hold them are guesses"
    ):
        CompositionRegressor(one_hot_table([*CATIONS, *ANIONS, "U"]), **SMALL).fit(FORMULAS, target).predict(["UO2"])
    learned = CompositionRegressor(me.load("elements"), **SMALL).fit(FORMULAS, target)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(FORMULAS)
        learned.predict(["UO2"])  # its vector is like others


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
    with pytest.raises(ValueError, match="classes must be of one kind, such as all text or all numbers, got 1 and 'a'"):
        CompositionClassifier(TABLE, **SMALL).fit(FORMULAS, [1, "a"] * (len(FORMULAS) // 2))


SALTS = [f"{a}{b}" for a in CATIONS[:4] for b in ANIONS[:3]]
ONE_POSITIVE = np.arange(12) == 5


def draw(seed, labels=None, *, fraction=0.1, formulas=SALTS):
    return inner_split(formulas, fraction, np.random.default_rng([seed, 0]), labels)


def test_what_is_kept_aside_of_numbers_is_what_it_was():
    """Published results depend on these draws."""
    drawn = [draw(seed, fraction=0.3)[1].tolist() for seed in range(4)]
    assert drawn == [[1, 4, 6, 11], [1, 3, 4, 9], [6, 8, 10, 11], [4, 6, 9, 10]]


def test_a_frequent_formula_is_left_to_learn_from():
    formulas = ["C"] * 90 + [f"X{idx}" for idx in range(10)]
    for labels in (None, np.arange(100) % 2):
        for seed in range(20):
            rows, aside = draw(seed, labels, formulas=formulas)
            assert sorted([*rows, *aside]) == list(range(100))
            assert aside.tolist() == list(range(90, 100))


def test_where_no_formula_is_small_enough_the_smallest_is_kept_aside():
    formulas = ["LiF"] * 5 + ["NaF"] * 3 + ["KF"] * 4
    classes = np.array([0] * 5 + [1] * 3 + [0] * 4)  # NaF is the last of its class
    for seed in range(10):
        assert draw(seed, formulas=formulas)[1].tolist() == [5, 6, 7]
        assert draw(seed, classes, formulas=formulas)[1].tolist() == [8, 9, 10, 11]


def test_rows_that_are_all_alike_are_measured_by_those_kept_aside():
    formulas = read_compositions(SALTS).formulas
    seed = next(seed for seed in range(50) if ONE_POSITIVE[draw(seed, formulas=formulas)[1]].any())
    target = np.where(ONE_POSITIVE, 0.2, 0.1)  # the spread of 11 times 0.1 is not 0 but rounding
    model = CompositionRegressor(TABLE, **SMALL, seed=seed).fit(SALTS, target)
    assert float(model.members_[0].scale) == pytest.approx(target.std())
    assert model.predict(SALTS) == pytest.approx(0.1, abs=0.1)


def test_the_default_precision_of_torch_changes_nothing(model, target):
    expected = model.predict(FORMULAS)
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(model.predict(FORMULAS), expected)
        again = CompositionRegressor(TABLE, **SMALL).fit(FORMULAS, target)
        assert np.array_equal(again.predict(FORMULAS), expected)
        assert model.members_[0].body(read_compositions(FORMULAS)).dtype == torch.float32
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_it_learns_where_gradients_are_off(model, target):
    with torch.inference_mode():
        again = CompositionRegressor(TABLE, **SMALL).fit(FORMULAS, target)
    assert np.array_equal(again.predict(FORMULAS), model.predict(FORMULAS))


def test_no_class_is_kept_aside_whole():
    lost = [seed for seed in range(50) if ONE_POSITIVE[draw(seed)[1]].any()]
    assert lost
    for seed in range(50):
        rows, aside = draw(seed, ONE_POSITIVE)
        assert ONE_POSITIVE[rows].any()
        assert len(aside) == 1
        if seed not in lost:
            assert np.array_equal(aside, draw(seed)[1])


def test_a_class_of_two_formulas_stays_on_both_sides():
    labels = np.isin(np.arange(12), (2, 7))
    both = [seed for seed in range(200) if {2, 7} <= set(draw(seed, fraction=0.3)[1].tolist())]
    assert both
    for seed in both:
        rows, aside = draw(seed, labels, fraction=0.3)
        assert (labels[rows].sum(), labels[aside].sum()) == (1, 1)
        assert len(aside) == 4


def test_polymorphs_of_both_classes_stay_together():
    formulas, labels = ["LiF", "LiF", "NaF", "NaF"], np.array([0, 1, 1, 1])
    for seed in range(10):
        rows, aside = draw(seed, labels, formulas=formulas)
        assert (rows.tolist(), aside.tolist()) == ([0, 1], [2, 3])


def test_what_cannot_be_kept_aside_is_told():
    with pytest.raises(ValueError, match=r"validation_fraction=0.99 keeps all 12 formulas aside, .* smaller fraction"):
        draw(0, fraction=0.99)
    with pytest.raises(ValueError, match="all 3 materials have one formula"):
        draw(0, formulas=["LiF"] * 3)
    with pytest.raises(ValueError, match="got 2 formulas, each the only one of a class; pass validation_fraction=0"):
        CompositionClassifier(TABLE, **SMALL).fit(["LiF", "NaF", "NaF"], [True, False, False])


def test_the_only_formula_of_a_class_is_learned_from():
    seed = next(seed for seed in range(50) if ONE_POSITIVE[draw(seed)[1]].any())
    model = CompositionClassifier(TABLE, width=32, n_layers=1, max_epochs=60, batch_size=4, dropout=0, seed=seed)
    told = model.fit(SALTS, ONE_POSITIVE).predict_proba(SALTS)[:, 1]
    assert told.argmax() == ONE_POSITIVE.argmax()


@pytest.mark.parametrize("name", ["train_vectors", "statistics"])
def test_a_switch_is_true_or_false(target, name):
    with pytest.raises(ValueError, match=f"{name} must be true or false, got 'no'"):
        CompositionRegressor(TABLE, **SMALL, **{name: "no"}).fit(FORMULAS, target)


def test_statistics_tell_what_elements_and_fractions_tell(target):
    settings = {"width": 32, "n_layers": 1, "max_epochs": 80, "batch_size": 16, "validation_fraction": 0}
    model = CompositionRegressor(TABLE, **settings, statistics=True).fit(FORMULAS, target)
    error = np.abs(model.predict(FORMULAS) - target).mean()
    assert error < 0.2 * np.abs(target - np.median(target)).mean()
    same = model.predict(["SrSe", "SeSr", "Sr2Se2", "Sr0.5Se0.5"])
    np.testing.assert_allclose(same, same[0], atol=1e-5)
