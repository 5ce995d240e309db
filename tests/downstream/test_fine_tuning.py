"""TransformerRegressor, TransformerClassifier: what they learn, what they are sure of, and what must not matter."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from matembed.corpus.material_sets import MaterialSets  # noqa: E402
from matembed.corpus.set_building import formula_sets, graph_sets  # noqa: E402
from matembed.downstream.fine_tuning import TransformerClassifier, TransformerRegressor, read_sets  # noqa: E402
from matembed.encoders.masked_lm import MaskedLM  # noqa: E402
from matembed.motifs import Motif, MotifGraph  # noqa: E402

SIZES = {"dim": 16, "n_layers": 1, "n_heads": 2, "feed_forward": 32}
SMALL = {**SIZES, "dropout": 0.0, "learning_rate": 0.01, "head_learning_rate": 0.01, "batch_size": 16}
QUICK = {**SMALL, "max_epochs": 3}
# Numbers near 1 in 32 bits, summed in another order: a few times 1e-7.
ROUNDING = 1e-6

CATIONS = {"Li": 1.0, "Na": 0.9, "K": 0.8, "Rb": 0.7, "Cs": 0.6, "Mg": 1.3, "Ca": 1.1, "Sr": 1.0, "Ba": 0.9, "Zn": 1.6}
ANIONS = {"O": 3.5, "S": 2.5, "Se": 2.4, "Te": 2.1}
PAIRS = [(cation, anion, n) for cation in CATIONS for anion in ANIONS for n in (1, 2)]
FORMULAS = [f"{cation}{n}{anion}" for cation, anion, n in PAIRS]
# Differences of electronegativity, which grow with the share of the anion.
GAPS = np.array([2 * (ANIONS[anion] - CATIONS[cation]) / (1 + n) for cation, anion, n in PAIRS])
CLASSES = np.where(np.median(GAPS) < GAPS, "insulator", "conductor")
TEST = np.random.default_rng(0).random(len(FORMULAS)) < 0.25


def polymorph(cation, geometry):
    """A chloride of a cation with motifs of one geometry."""
    cn = int(geometry.partition(":")[2])
    ligands = tuple((1, (image, 0, 0)) for image in range(cn))
    motif = Motif(0, cation, None, geometry, 0.0, ligands, ("Cl",) * cn)
    return MotifGraph(f"{cation}Cl", (cation, "Cl"), (motif,), (), "numba", "simplest", "none")


POLYMORPHS = [polymorph(cation, geometry) for cation in CATIONS for geometry in ("T:4", "O:6")]
OCTAHEDRAL = np.tile([0.0, 1.0], len(CATIONS))


@pytest.fixture(scope="module")
def masked_lm():
    return MaskedLM(**SIZES, epochs=2, batch_tokens=512).fit(formula_sets(FORMULAS))


@pytest.fixture(scope="module")
def pair():
    """Two members that learned from little."""
    return TransformerRegressor(**SMALL, max_epochs=15, n_members=2).fit(FORMULAS, GAPS)


def test_a_rule_of_elements_is_learned_from_formulas():
    formulas = np.array(FORMULAS, dtype=object)
    model = TransformerRegressor(**SMALL, max_epochs=60, patience=60).fit(formulas[~TEST], GAPS[~TEST])
    missed = np.abs(model.predict(formulas[TEST]) - GAPS[TEST]).mean()
    assert missed < np.abs(GAPS - GAPS.mean()).mean() / 4
    losses = [epoch["loss"] for epoch in model.history_[0]]
    assert losses[-1] < losses[0]


def test_what_only_motifs_tell_is_learned_from_motifs():
    sets = graph_sets(POLYMORPHS)
    test = np.arange(len(sets)) >= 16
    model = TransformerRegressor(**SMALL, max_epochs=60, validation_fraction=0)
    predicted = model.fit(sets[~test], OCTAHEDRAL[~test]).predict(sets[test])
    assert np.abs(predicted - OCTAHEDRAL[test]).max() < 0.3
    formulas = formula_sets(sets.formulas)
    predicted = model.fit(formulas[~test], OCTAHEDRAL[~test]).predict(formulas[test])
    assert np.abs(predicted - OCTAHEDRAL[test]).max() >= 0.5


@pytest.mark.parametrize("loss", ["laplace", "gaussian"])
def test_noise_is_told_from_signal(loss):
    """Oxides are measured well, tellurides badly: the standard deviation says so, in the unit of the target."""
    rng = np.random.default_rng(0)
    formulas = ["Li2O", "Na2Te"] * 100
    target = 100 * np.array([1.0, 2.0] * 100) + np.array([5.0, 50.0] * 100) * rng.standard_normal(200)
    model = TransformerRegressor(**SMALL, loss=loss, max_epochs=40, validation_fraction=0).fit(formulas, target)
    predicted, std = model.predict(["Li2O", "Na2Te"], return_std=True)
    # From 100 draws a standard deviation is known to 7 %; a Laplace distribution is not the one they came from.
    assert predicted == pytest.approx([100, 200], abs=20)
    assert std == pytest.approx([5, 50], rel=0.5)


def test_members_that_disagree_are_less_sure(pair):
    (one, two), _ = zip(*(member.predict(read_sets(FORMULAS)) for member in pair.members_), strict=True)
    _, (std_one, std_two) = zip(*(member.predict(read_sets(FORMULAS)) for member in pair.members_), strict=True)
    predicted, std = pair.predict(FORMULAS, return_std=True)
    assert predicted == pytest.approx((one + two) / 2)
    assert std**2 == pytest.approx((std_one**2 + std_two**2) / 2 + (one - two) ** 2 / 4)
    assert (std > 0).all()
    assert (std**2 >= (std_one**2 + std_two**2) / 2).all()
    assert np.abs(one - two).max() > 0


def test_order_and_company_of_rows_do_not_matter(pair):
    order = np.random.default_rng(0).permutation(len(FORMULAS))
    predicted, std = pair.predict(FORMULAS, return_std=True)
    shuffled, shuffled_std = pair.predict(np.array(FORMULAS, dtype=object)[order], return_std=True)
    assert np.abs(shuffled - predicted[order]).max() < ROUNDING * np.abs(predicted).max()
    assert np.abs(shuffled_std - std[order]).max() < ROUNDING * std.max()
    alone = np.array([pair.predict([formula])[0] for formula in FORMULAS[:5]])
    assert np.abs(alone - predicted[:5]).max() < ROUNDING * np.abs(predicted).max()


def test_the_same_seed_gives_the_same_bytes():
    first, again, other = (
        TransformerRegressor(**{**QUICK, "dropout": 0.1}, seed=seed).fit(FORMULAS, GAPS).predict(FORMULAS)
        for seed in (0, 0, 1)
    )
    assert first.tobytes() == again.tobytes()
    assert (first != other).any()


def test_fitting_leaves_the_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    TransformerRegressor(**QUICK).fit(FORMULAS, GAPS)
    assert torch.equal(torch.rand(1), expected)


def test_rows_that_are_only_predicted_change_nothing(pair):
    before = pair.predict(FORMULAS)
    pair.predict(["CsTe", "Fe2O3", "Ti"])
    assert pair.predict(FORMULAS).tobytes() == before.tobytes()


def test_what_is_kept_aside_teaches_nothing_but_when_to_stop():
    from matembed.downstream._property_training import inner_split

    rng = np.random.default_rng([0, 0])  # of the first member, with seed 0
    _, aside = inner_split(formula_sets(FORMULAS).formulas, 0.1, rng)
    assert len(aside) == round(0.1 * len(FORMULAS))
    other = GAPS.copy()
    other[aside] += 1000
    models = [TransformerRegressor(**QUICK).fit(FORMULAS, gaps) for gaps in (GAPS, other)]
    losses = [[epoch["loss"] for epoch in model.history_[0]] for model in models]
    assert losses[0] == losses[1]


def test_polymorphs_are_kept_aside_together():
    from matembed.downstream._property_training import inner_split

    formulas = [graph.formula for graph in POLYMORPHS]
    rows, aside = inner_split(formulas, 0.3, np.random.default_rng(1))
    assert len(aside) == 6
    assert sorted([*rows, *aside]) == list(range(len(formulas)))
    assert not {formulas[row] for row in rows} & {formulas[row] for row in aside}


def test_training_stops_when_nothing_gets_better():
    noise = np.random.default_rng(0).standard_normal(len(FORMULAS))
    model = TransformerRegressor(**SMALL, max_epochs=60, patience=2).fit(FORMULAS, noise)
    errors = [epoch["validation_error"] for epoch in model.history_[0]]
    assert len(errors) < 60
    assert np.argmin(errors) == len(errors) - 3


@pytest.mark.parametrize("freeze", ["none", "body"])
def test_a_pretrained_model_is_a_start_and_stays_as_it_was(masked_lm, freeze):
    before = {name: weight.clone() for name, weight in masked_lm.network_.state_dict().items()}
    model = TransformerRegressor(masked_lm, **{**QUICK, "max_epochs": 10}, freeze=freeze).fit(FORMULAS, GAPS)
    assert all(torch.equal(weight, before[name]) for name, weight in masked_lm.network_.state_dict().items())
    body = model.members_[0].body.transformer.state_dict()
    kept = [torch.equal(weight, before[name]) for name, weight in body.items()]
    assert all(kept) == (freeze == "body")
    losses = [epoch["loss"] for epoch in model.history_[0]]
    assert losses[-1] < losses[0]


def test_a_folder_is_as_good_as_the_model(masked_lm, tmp_path):
    folder = masked_lm.save_pretrained(tmp_path / "model")
    predicted = [
        TransformerRegressor(model, **QUICK).fit(FORMULAS, GAPS).predict(FORMULAS) for model in (masked_lm, folder)
    ]
    assert predicted[0].tobytes() == predicted[1].tobytes()


@pytest.mark.parametrize("estimator", [TransformerRegressor, TransformerClassifier])
def test_motifs_found_in_another_way_than_those_of_the_model_are_told(estimator):
    other = [replace(graph, strategy="multi_weights") for graph in POLYMORPHS]
    told = "by strategy 'simplest', those that the model was trained on by 'multi_weights'"
    with pytest.warns(UserWarning, match=told) as caught:
        model = estimator("crystals", **QUICK, freeze="body").fit(POLYMORPHS, OCTAHEDRAL)
    with pytest.warns(UserWarning, match=told):
        model.predict(graph_sets(POLYMORPHS))
    assert len(caught) == 1
    own = MaskedLM(**SIZES, epochs=1).fit(graph_sets(POLYMORPHS))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="motifs were found")
        model.predict(other)
        model.predict(FORMULAS)
        estimator(own, **QUICK).fit(POLYMORPHS, OCTAHEDRAL).predict(POLYMORPHS)
        estimator(**QUICK).fit(POLYMORPHS, OCTAHEDRAL).predict(other)


@pytest.mark.parametrize("estimator", [TransformerRegressor, TransformerClassifier])
def test_settings_are_kept_and_cloned(estimator, masked_lm):
    model = estimator(masked_lm, dim=32, seed=3)
    assert model.get_params()["model"] is masked_lm
    again = clone(model)
    assert (again.dim, again.seed) == (32, 3)
    assert isinstance(again.model, MaskedLM)
    assert clone(estimator()).get_params() == estimator().get_params()


def test_cross_validation_takes_lists_arrays_and_sets():
    model = TransformerRegressor(**QUICK)
    columns = (
        FORMULAS,
        np.array(FORMULAS, dtype=object),
        pd.Series(FORMULAS),
        formula_sets(FORMULAS, oxidation="balanced"),
    )
    predicted = [cross_val_predict(model, column, GAPS, cv=2) for column in columns]
    assert all(each.tobytes() == predicted[0].tobytes() for each in predicted)
    probabilities = cross_val_predict(TransformerClassifier(**QUICK), FORMULAS, CLASSES, cv=2, method="predict_proba")
    assert probabilities.shape == (len(FORMULAS), 2)


def test_two_classes_are_told_apart():
    formulas = np.array(FORMULAS, dtype=object)
    model = TransformerClassifier(**SMALL, max_epochs=30, n_members=2).fit(formulas[~TEST], CLASSES[~TEST])
    probabilities = model.predict_proba(formulas[TEST])
    assert model.classes_.tolist() == ["conductor", "insulator"]
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert set(model.predict(formulas[TEST])) == {"conductor", "insulator"}
    assert model.score(formulas[TEST], CLASSES[TEST]) > 0.8


def test_materials_of_each_kind_become_sets():
    sets = graph_sets(POLYMORPHS)
    for given in (sets, POLYMORPHS, [sets[row] for row in range(len(sets))]):
        read = read_sets(given)
        assert read.formulas == sets.formulas
        assert read.words.tolist() == sets.words.tolist()
    assert isinstance(read_sets(("NaCl",)), MaterialSets)


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({"model": 3}, TypeError, "model must be a MaskedLM, the folder or name of one, or None"),
        ({"model": MaskedLM()}, NotFittedError, "MaskedLM has learned nothing yet"),
        ({"dim": 10, "n_heads": 3}, ValueError, "dim must be a multiple of n_heads=3, got 10"),
        ({"loss": "huber"}, ValueError, "loss must be one of laplace, gaussian, got 'huber'"),
        ({"freeze": "head"}, ValueError, "freeze must be one of none, body, got 'head'"),
        ({"freeze": "body"}, ValueError, "would keep random weights"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction must be a share below 1"),
        ({"max_epochs": 0}, ValueError, "max_epochs must be a whole number"),
        ({"device": "tpu"}, ValueError, "device must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, error, told):
    with pytest.raises(error, match=told):
        TransformerRegressor(**settings).fit(FORMULAS, GAPS)


def test_targets_that_do_not_fit_are_refused():
    model = TransformerRegressor(**QUICK)
    with pytest.raises(ValueError, match="got 80 materials, 79 targets"):
        model.fit(FORMULAS, GAPS[:-1])
    with pytest.raises(ValueError, match="no target at position 1"):
        model.fit(formula_sets(FORMULAS[:3]), [1.0, np.nan, 2.0])
    with pytest.raises(ValueError, match="takes two classes, got 3"):
        TransformerClassifier(**QUICK).fit(FORMULAS[:3], ["a", "b", "c"])
    with pytest.raises(TypeError, match=r"pass \['NaCl'\] for one"):
        model.fit("NaCl", [1.0])
    with pytest.raises(ValueError, match="pass validation_fraction=0"):
        model.fit(["NaCl"] * 10, np.arange(10.0))
    with pytest.raises(NotFittedError):
        model.predict(FORMULAS)
    with pytest.raises(ValueError, match="wanted one material or more, got none"):
        read_sets([])


def test_elements_that_no_material_held_are_named(masked_lm):
    model = TransformerRegressor(**QUICK).fit(FORMULAS, GAPS)
    with pytest.warns(UserWarning, match="nothing was learned of Hf, Og; predictions of materials that hold them are"):
        model.predict(["LiS", "OgS", "HfS2"])
    alkali = [row for row, formula in enumerate(FORMULAS) if formula.startswith(("Li", "Na"))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        started = TransformerRegressor(masked_lm, max_epochs=2)
        started.fit([FORMULAS[row] for row in alkali], GAPS[alkali]).predict(["ZnTe"])


def test_an_element_that_one_member_met_is_no_guess():
    formulas = [*FORMULAS, "HfO2"]
    model = TransformerRegressor(**QUICK, n_members=3, validation_fraction=0.2, seed=1).fit(formulas, [*GAPS, 1.0])
    met = [member.not_met(read_sets(["HfO2"])) == [] for member in model.members_]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.predict(["HfO2"])
    assert any("Hf" in str(one.message) for one in told) == (not any(met))


def test_sets_in_a_list_are_of_one_material_each():
    sets = formula_sets(FORMULAS)
    with pytest.raises(ValueError, match="wanted sets of one material each in a list, got one of 3; pass"):
        TransformerRegressor(**QUICK).fit([sets[:3], sets[3:6]], [1.0, 2.0])


def test_materials_of_several_kinds_are_refused():
    told = "wanted materials of one kind, got MaterialSets at position 0 and str at position 1; leave this out"
    with pytest.raises(TypeError, match=told):
        read_sets([formula_sets(["NaCl"]), "NaCl"])
    with pytest.raises(TypeError, match="got MotifGraph at position 0 and str at position 2"):
        read_sets([*POLYMORPHS[:2], "NaCl"])


def test_a_formula_that_cannot_be_read_is_named_by_its_position():
    with pytest.raises(ValueError, match="formula at position 1: missing formula"):
        read_sets(["NaCl", np.nan])
    with pytest.raises(ValueError, match="formula at position 2: 'Xx': 'Xx' is not a chemical element"):
        read_sets(["NaCl", "KCl", "Xx"])


def test_charges_of_formulas_are_balanced():
    assert read_sets(["KMnO4"]).describe(0)["words"].to_list()[3:] == ["O ox-2", "K ox+1", "Mn ox+7"]


def test_classes_that_cannot_be_kept_aside_are_refused():
    with pytest.raises(ValueError, match="each the only one of a class; pass validation_fraction=0"):
        TransformerClassifier(**QUICK).fit(["NaCl", "Cu"], ["salt", "metal"])
    model = TransformerClassifier(**QUICK, validation_fraction=0).fit(["NaCl", "Cu"], ["salt", "metal"])
    assert model.classes_.tolist() == ["metal", "salt"]


@pytest.mark.parametrize("goal", ["laplace", "gaussian"])
def test_few_materials_kept_aside_do_not_decide_how_sure_all_are(goal):
    from matembed.downstream._property_network import GOALS

    of_one, of_many = (GOALS[goal].widen(torch.zeros(n, 2), torch.zeros(n)) for n in (1, 10_000))
    assert of_one > 0.9  # predicted to the last digit, by chance
    assert of_many < 0.05
    missed = GOALS[goal].widen(torch.zeros(10_000, 2), torch.full((10_000,), 3.0))
    assert missed == pytest.approx(3.0, rel=0.01)


def test_classifiers_have_to_be_fitted():
    with pytest.raises(NotFittedError):
        TransformerClassifier(**QUICK).predict(["NaCl"])
