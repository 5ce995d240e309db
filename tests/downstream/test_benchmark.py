import itertools
import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.core.periodic_table import Element
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from matembed import (
    Card,
    Connection,
    EmbeddingTable,
    FormulaError,
    FormulaFeaturizer,
    Motif,
    MotifGraph,
    UnknownTokenError,
)
from matembed.corpus.contexts import formula_sentences
from matembed.downstream import feature_sets
from matembed.downstream.baselines import one_hot_table, random_table
from matembed.downstream.benchmark import evaluate
from matembed.downstream.controls import shuffled_motifs
from matembed.downstream.models import MODELS
from matembed.downstream.tasks import read_labelled
from matembed.encoders import ContextSVD

CATIONS = ["Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Zn", "Al", "Ga", "In"]
ANIONS = ["O", "S", "Se", "F", "Cl", "Br"]
AMOUNTS = [(1, 1), (2, 1), (1, 2), (2, 3)]
FORMULAS = [f"{c}{n}{a}{m}" for c, a, (n, m) in itertools.product(CATIONS, ANIONS, AMOUNTS)]
COMPOSITIONS = [Composition(formula) for formula in FORMULAS]
ELECTRONEGATIVITY = np.array([composition.average_electroneg for composition in COMPOSITIONS])
IONIC = np.array([composition.average_electroneg > 2.3 for composition in COMPOSITIONS])

CHEMISTRY = EmbeddingTable(
    tuple(CATIONS + ANIONS),
    [[Element(symbol).X, Element(symbol).row, Element(symbol).group] for symbol in CATIONS + ANIONS],
    Card("chemistry"),
)


def test_everything_is_scored_on_the_same_rows_and_folds() -> None:
    evaluation = evaluate(
        {"chemistry": CHEMISTRY, "other": one_hot_table(CATIONS + ANIONS)}, FORMULAS, ELECTRONEGATIVITY
    )
    scores = evaluation.scores
    assert scores["features"].drop_duplicates().tolist() == [
        "chemistry",
        "other",
        "one_hot_elements",
        "random_elements_3",
        "random_elements_19",
        "dummy",
    ]
    for _, rows in scores.groupby(["features", "draw"]):
        assert rows["fold"].tolist() == [0, 1, 2, 3, 4]
        assert rows["n_test"].sum() == len(FORMULAS)
        assert (rows["n_train"] + rows["n_test"] == len(FORMULAS)).all()
    random = scores[scores["features"] == "random_elements_3"]
    assert random.groupby("draw").size().tolist() == [5, 5, 5]
    assert (scores["kind"] == "table").sum() == 10


def test_scores_are_those_of_the_predictions() -> None:
    evaluation = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_random=1)
    predictions, scores = evaluation.predictions, evaluation.scores
    assert predictions["row"].tolist() == list(range(len(FORMULAS)))
    assert predictions["target"].tolist() == ELECTRONEGATIVITY.tolist()
    for _, row in scores.iterrows():
        tested = predictions[predictions["fold"] == row["fold"]]
        target, predicted = tested["target"], tested[row["features"]]
        # The same formulas, summed in another order.
        assert row["mae"] == pytest.approx(mean_absolute_error(target, predicted), rel=1e-12)
        assert row["rmse"] == pytest.approx(root_mean_squared_error(target, predicted), rel=1e-12)
        assert row["r2"] == pytest.approx(r2_score(target, predicted), abs=1e-12)


def test_a_fold_is_predicted_by_the_other_folds_alone() -> None:
    folds = np.arange(len(FORMULAS)) % 3
    rng = np.random.default_rng(0)
    plain = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, folds=folds, n_random=1).predictions
    spoilt = np.where(folds == 1, rng.permutation(ELECTRONEGATIVITY) + 50, ELECTRONEGATIVITY)
    other = evaluate(CHEMISTRY, FORMULAS, spoilt, folds=folds, n_random=1).predictions
    for features in ("chemistry", "one_hot_elements", "random_elements_3", "dummy"):
        assert np.array_equal(plain[features][folds == 1], other[features][folds == 1])
        assert not np.allclose(plain[features][folds != 1], other[features][folds != 1])


def test_shuffled_targets_cannot_be_predicted() -> None:
    shuffled = np.random.default_rng(1).permutation(ELECTRONEGATIVITY)
    summary = evaluate(CHEMISTRY, FORMULAS, shuffled, splits="formula").summary()
    # With 312 rows and nothing to learn, R2 scatters about zero by less than 0.1.
    assert summary["r2"].max() < 0.1


def test_a_table_that_knows_the_answer_beats_the_baselines() -> None:
    cations = [str(max(composition, key=lambda element: -element.X)) for composition in COMPOSITIONS]
    evaluation = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, groups=cations)
    summary = evaluation.summary()
    assert summary.index[0] == "chemistry"  # one-hot knows nothing of a cation that it never met
    assert summary.loc["chemistry", "vs_one_hot_elements"] < -3 * summary.loc["chemistry", "vs_one_hot_elements_se"]


def test_the_dummy_predicts_the_training_mean() -> None:
    predictions = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_random=1).predictions
    for fold, rows in predictions.groupby("fold"):
        trained_on = predictions.loc[predictions["fold"] != fold, "target"]
        np.testing.assert_allclose(rows["dummy"], trained_on.mean(), rtol=1e-12)  # summed in another order


def test_same_arguments_same_bytes_and_another_seed_other_folds() -> None:
    first, again, other = (evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, seed=seed) for seed in (3, 3, 4))
    assert first.scores.to_csv() == again.scores.to_csv()
    assert first.predictions.to_csv() == again.predictions.to_csv()
    assert first.settings == again.settings
    assert first.predictions["fold"].tolist() != other.predictions["fold"].tolist()
    assert first.predictions["random_elements_3.0"].tolist() != other.predictions["random_elements_3.0"].tolist()


def test_the_frame_of_materials_and_its_index_do_not_matter() -> None:
    index = np.random.default_rng(0).permutation(len(FORMULAS))
    series = evaluate(CHEMISTRY, pd.Series(FORMULAS, index), pd.Series(ELECTRONEGATIVITY, index), n_random=1)
    listed = evaluate(CHEMISTRY, FORMULAS, list(ELECTRONEGATIVITY), n_random=1)
    assert series.predictions.equals(listed.predictions)


# Splits. ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_formulas_are_kept_in_one_fold_however_they_are_written(task: str) -> None:
    written = [*FORMULAS, *(f"{a}{2 * m}{c}{2 * n}" for c, a, (n, m) in itertools.product(CATIONS, ANIONS, AMOUNTS))]
    target = np.tile(ELECTRONEGATIVITY if task == "regression" else IONIC, 2)
    predictions = evaluate(CHEMISTRY, written, target, splits="formula", n_random=1).predictions
    folds = predictions["fold"].to_numpy()
    assert np.array_equal(folds[: len(FORMULAS)], folds[len(FORMULAS) :])
    assert len(set(folds)) == 5


@pytest.mark.parametrize("target", [ELECTRONEGATIVITY, IONIC], ids=["regression", "classification"])
def test_chemical_systems_are_kept_in_one_fold(target: np.ndarray) -> None:
    predictions = evaluate(CHEMISTRY, FORMULAS, target, splits="chemical_system", n_random=1).predictions
    systems = pd.Series([composition.chemical_system for composition in COMPOSITIONS])
    assert (predictions["fold"].groupby(systems).nunique() == 1).all()
    assert predictions["fold"].nunique() == 5


def test_groups_of_ones_own_are_kept_in_one_fold() -> None:
    groups = [formula[:2] for formula in FORMULAS]
    evaluation = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, groups=groups, n_random=1)
    assert (evaluation.predictions["fold"].groupby(pd.Series(groups)).nunique() == 1).all()
    assert evaluation.settings["splits"] == "groups"


def test_official_folds_are_respected() -> None:
    folds = pd.Series(np.random.default_rng(0).integers(10, 14, len(FORMULAS)))
    evaluation = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, folds=folds, n_random=1)
    assert evaluation.predictions["fold"].tolist() == folds.tolist()
    assert evaluation.settings["n_splits"] == 4


def test_random_folds_of_a_classification_are_stratified() -> None:
    predictions = evaluate(CHEMISTRY, FORMULAS, IONIC, n_random=1).predictions
    shares = predictions["target"].groupby(predictions["fold"]).mean()
    assert shares.max() - shares.min() < 1 / 30  # 62 rows a fold: at most a row or two apart


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_splits": 1}, "n_splits must be from 2 to the number of materials, 312; got 1"),
        ({"n_splits": 400}, "n_splits must be from 2 to the number of materials, 312; got 400"),
        ({"n_splits": 100, "splits": "chemical_system"}, "number of chemical systems, 78; got 100"),
        ({"splits": "structure"}, "splits must be one of random, formula, chemical_system; got 'structure'"),
        ({"folds": [0] * 312}, "two different ones at least; got 312 of type int64, 1 different"),
        ({"folds": [0, 1]}, "folds must hold an integer for each of 312 materials"),
        ({"folds": [0.5] * 312}, "folds must hold an integer"),
        ({"groups": ["a", "b"]}, "groups must hold a label for each of 312 materials, got 2"),
        ({"groups": ["a"] * 312, "folds": [0] * 312}, "pass groups or folds, not both"),
        ({"n_random": 0}, "n_random must be 1 or more, got 0"),
        ({"pooling": "median"}, "pooling must be one or more of"),
        ({"on_missing": "drop"}, "on_missing must be one of"),
        ({"task": "ranking"}, "task must be one of auto, regression, classification; got 'ranking'"),
        ({"task": "classification"}, "a classification takes two classes, got 2.."),
        ({"max_train": 0}, "max_train must be 1 or more, or None for all rows; got 0"),
        ({"max_test": -1}, "max_test must be 1 or more, or None for all rows; got -1"),
        ({"model": RandomForestClassifier()}, "the task is a regression: pass a regressor as model"),
    ],
)
def test_wrong_settings_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, **arguments)


def test_classes_of_two_kinds_are_refused() -> None:
    named = [1, "a"] * (len(FORMULAS) // 2)
    with pytest.raises(ValueError, match="classes must be of one kind, such as all text or all numbers, got 1 and 'a'"):
        evaluate(CHEMISTRY, FORMULAS, named)


def test_a_class_too_small_for_the_folds_is_refused() -> None:
    target = np.arange(len(FORMULAS)) < 3
    with pytest.raises(ValueError, match="the smaller class has 3 materials; n_splits must not be more, got 5"):
        evaluate(CHEMISTRY, FORMULAS, target)
    with pytest.raises(ValueError, match="fold 0 has one class among its train rows"):
        evaluate(CHEMISTRY, FORMULAS, target, folds=np.arange(len(FORMULAS)) // 3 % 2)


# Materials and targets. ---------------------------------------------------------------------------------------


def test_a_missing_target_is_named_by_its_position() -> None:
    target = pd.Series(ELECTRONEGATIVITY).mask(lambda values: values.index.isin([3, 7]))
    with pytest.raises(ValueError, match=r"no target at positions 3, 7 \(2 of 312\); leave these materials out"):
        evaluate(CHEMISTRY, FORMULAS, target)
    with pytest.raises(ValueError, match="the target is not finite at position 0; leave"):
        evaluate(CHEMISTRY, FORMULAS, [np.inf, *ELECTRONEGATIVITY[1:]])


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("8", "a regression takes numbers, got '8' at position 0"),
        (True, "a regression takes numbers, got True at position 0"),
        ([1.0], r"wanted a number or a class for each material, got \[1.0\] at position 0"),
        (1 + 2j, r"wanted a number or a class for each material, got \(1\+2j\) at position 0"),
        (-1e200, "the target is 1e[+]100 or larger at position 0"),
    ],
)
def test_a_target_that_is_no_number_is_named(first: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(CHEMISTRY, FORMULAS, [first, *ELECTRONEGATIVITY[1:]], task="regression")


def test_materials_and_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="got 312 materials, 2 targets"):
        evaluate(CHEMISTRY, FORMULAS, [1.0, 2.0])
    with pytest.raises(ValueError, match="got 0 materials, 0 targets"):
        evaluate(CHEMISTRY, [], [])
    with pytest.raises(ValueError, match="different indexes"):
        evaluate(CHEMISTRY, pd.Series(FORMULAS), pd.Series(ELECTRONEGATIVITY, index=range(1, 313)))
    with pytest.raises(ValueError, match="all 312 targets are 1; there is nothing to predict"):
        evaluate(CHEMISTRY, FORMULAS, [1.0] * 312)
    with pytest.raises(FormulaError, match="formula at position 1: "):
        evaluate(CHEMISTRY, ["NaCl", "Xx", "KCl"], [1.0, 2.0, 3.0])


def test_wrong_kinds_are_refused() -> None:
    with pytest.raises(
        TypeError, match="tables must be an EmbeddingTable or a mapping of names to them, got 'mat2vec'"
    ):
        evaluate("mat2vec", FORMULAS, ELECTRONEGATIVITY)
    with pytest.raises(ValueError, match="tables is empty"):
        evaluate({}, FORMULAS, ELECTRONEGATIVITY)
    with pytest.raises(TypeError, match="wanted a list, array, Series or single column of materials, got str 'NaCl'"):
        evaluate(CHEMISTRY, "NaCl", [1.0])
    with pytest.raises(TypeError, match="model must be a scikit-learn estimator"):
        evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, model=RidgeCV)
    with pytest.raises(ValueError, match="no table can go by the name 'one_hot_elements'"):
        evaluate({"one_hot_elements": CHEMISTRY}, FORMULAS, ELECTRONEGATIVITY)


def test_missing_elements_are_refused_or_counted() -> None:
    partial = CHEMISTRY.subset([token for token in CHEMISTRY if token != "Cs"])
    with pytest.raises(UnknownTokenError, match=r"table 'partial': no vector for Cs in CsO .*and in 23 more of 312"):
        evaluate({"partial": partial}, FORMULAS, ELECTRONEGATIVITY)
    evaluation = evaluate({"partial": partial, "all": CHEMISTRY}, FORMULAS, ELECTRONEGATIVITY, on_missing="neighbours")
    assert evaluation.summary()["n_missing"].to_dict() == {
        "partial": 24,
        "all": 0,
        "one_hot_elements": 0,
        "random_elements_3": 0,
        "dummy": 0,
    }


def test_nan_rows_need_a_model_that_takes_them() -> None:
    partial = CHEMISTRY.subset([token for token in CHEMISTRY if token != "Cs"])
    with pytest.raises(ValueError, match="pass a model that takes NaN, or another on_missing"):
        evaluate(partial, FORMULAS, ELECTRONEGATIVITY, on_missing="nan")
    trees = HistGradientBoostingRegressor(max_iter=5, random_state=0)
    summary = evaluate(partial, FORMULAS, ELECTRONEGATIVITY, on_missing="nan", model=trees, n_random=1).summary()
    assert np.isfinite(summary["mae"]).all()


# Tasks, models and results. -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", [IONIC, IONIC.astype(float), np.where(IONIC, "yes", "no")], ids=["bool", "0/1", "str"]
)
def test_a_classification_is_recognised_and_scored(target: np.ndarray) -> None:
    evaluation = evaluate(CHEMISTRY, FORMULAS, target, n_random=1)
    assert evaluation.settings["task"] == "classification"
    assert evaluation.settings["classes"] == sorted(set(target.tolist()))
    predictions = evaluation.predictions
    for _, row in evaluation.scores.iterrows():
        tested = (predictions["fold"] == row["fold"]).to_numpy()
        assert row["roc_auc"] == roc_auc_score(IONIC[tested], predictions[row["features"]][tested])
    summary = evaluation.summary()
    assert summary.index[0] == "chemistry"
    assert summary.loc["dummy", "roc_auc"] == 0.5
    assert summary.loc["dummy", "balanced_accuracy"] == 0.5


@pytest.mark.parametrize(
    ("pair", "task"),
    [((0, 1), "classification"), ((1.0, 0.0), "classification"), ((1, 2), "regression"), ((0.0, 1.5), "regression")],
)
def test_two_numbers_are_classes_only_if_they_are_0_and_1(pair: tuple, task: str) -> None:
    target = [pair[idx % 2] for idx in range(len(FORMULAS))]
    assert evaluate(CHEMISTRY, FORMULAS, target, n_splits=2, n_random=1).settings["task"] == task


def test_a_classifier_of_probabilities() -> None:
    forest = RandomForestClassifier(10, random_state=0)
    evaluation = evaluate(CHEMISTRY, FORMULAS, IONIC, model=forest, n_random=1)
    assert evaluation.predictions["chemistry"].between(0, 1).all()
    assert not hasattr(forest, "classes_")  # a clone was fitted


def test_a_model_of_ones_own_is_used_for_all_features() -> None:
    summary = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, model=DummyRegressor(strategy="median")).summary()
    used = summary.drop(index="dummy")
    assert used["mae"].nunique() == 1


def test_means_of_any_independent_vectors_are_alike_in_a_linear_model() -> None:
    tables = {"random": random_table(CATIONS + ANIONS, 40, seed=9)}
    evaluation = evaluate(tables, FORMULAS, ELECTRONEGATIVITY, pooling="mean", model=LinearRegression(), n_random=1)
    predictions = evaluation.predictions
    # The same column space: equal but for the rounding of a least squares solution.
    np.testing.assert_allclose(predictions["random"], predictions["one_hot_elements"], atol=1e-6)


def test_a_column_that_is_constant_in_training_does_no_harm() -> None:
    vectors = np.column_stack(
        [CHEMISTRY.vectors, [1e-6 if token == "K" else float(token == "Cs") for token in CHEMISTRY]]
    )
    table = EmbeddingTable(CHEMISTRY.tokens, vectors, Card("spiked"))
    folds = np.array(["Cs" in formula for formula in FORMULAS], dtype=int)
    evaluation = evaluate(table, FORMULAS, ELECTRONEGATIVITY, folds=folds, n_random=1)
    assert evaluation.predictions["spiked"].between(0, 4).all()


@pytest.mark.parametrize(
    "salts",
    [
        ["NaBr", "RbBr", "LiBr", "CsCl", "MgO", "KF"],  # a column of vectors with 1e-16 for some, 1 for others
        ["KCl", "NaCl", "LiF", "MgS", "CsCl", "NaBr"],  # ... with 1e-32
    ],
)
def test_vectors_that_are_zero_but_for_rounding_do_no_harm(salts: list[str]) -> None:
    sentences = [sentence for salt in salts for sentence in formula_sentences(salt, "elements")]
    table = ContextSVD(dim=8).fit(sentences).embeddings()
    target = [1.0, 2.0, 3.0, 4.0, 5.0, 6.5]
    for seed in range(3):
        evaluation = evaluate(table, salts, target, splits="formula", n_splits=3, seed=seed)
        # No feature leaves its training range, so no prediction goes far beyond the targets.
        assert evaluation.predictions[table.card.name].between(-10, 20).all()


@pytest.mark.parametrize(
    "target", [[1.0, 2.0, 4.0, 8.0, 9.0, 7.0], [True, False, True, False, True, False]], ids=["numbers", "classes"]
)
def test_where_columns_vary_by_rounding_alone_one_number_is_predicted(target: list) -> None:
    table = EmbeddingTable(("Na", "K", "Cl", "Cs"), [[0.1], [0.1], [0.1], [0.7]], Card("alike"))
    formulas = ["Na2Cl3", "KCl6", "Na3K7Cl", "NaCl9", "CsCl", "Cs2Cl"]
    pooled = FormulaFeaturizer(table, pooling=("mean", "std")).fit_transform(formulas)
    assert (np.ptp(pooled[:4], axis=0) > 0).all()  # rounding differs from formula to formula
    predictions = evaluate(table, formulas, target, folds=[0, 0, 0, 0, 1, 1], n_random=1).predictions
    tested = predictions[predictions["fold"] == 1]
    assert tested["alike"].nunique() == 1
    if predictions["target"].dtype == float:
        np.testing.assert_allclose(tested["alike"], np.mean(target[:4]), rtol=1e-12)  # summed in another order


def test_summary_by_hand() -> None:
    evaluation = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_splits=4)
    scores, summary = evaluation.scores, evaluation.summary(against="random_elements_3")
    own = scores.loc[scores["features"] == "chemistry", "mae"].to_numpy()
    draws = scores[scores["features"] == "random_elements_3"].pivot(index="fold", columns="draw", values="mae")
    difference = own - draws.mean(axis=1).to_numpy()
    row = summary.loc["chemistry"]
    assert row["mae"] == pytest.approx(own.mean())
    assert row["mae_se"] == pytest.approx(own.std(ddof=1) / 2)
    assert row["vs_random_elements_3"] == pytest.approx(difference.mean())
    assert row["vs_random_elements_3_se"] == pytest.approx(difference.std(ddof=1) / 2)
    assert summary.loc["random_elements_3", "vs_random_elements_3"] == 0
    assert summary["mae"].is_monotonic_increasing
    with pytest.raises(ValueError, match=r"against must be one of chemistry, .*; got 'magpie'"):
        evaluation.summary(against="magpie")


def test_norm_is_the_error_as_a_share_of_that_of_the_dummy() -> None:
    scores = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_random=1).scores.set_index(["features", "fold"])
    assert (scores["norm"].xs("dummy") == 1).all()
    shares = scores["mae"].xs("chemistry") / scores["mae"].xs("dummy")
    np.testing.assert_allclose(scores["norm"].xs("chemistry"), shares, rtol=1e-12)  # summed in another order
    evaluation = evaluate(CHEMISTRY, FORMULAS, IONIC, n_random=1)
    np.testing.assert_allclose(evaluation.scores["norm"], 2 * (1 - evaluation.scores["roc_auc"]))
    summary = evaluation.summary()
    assert summary.loc["dummy", "norm"] == 1
    assert summary.loc["chemistry", "norm"] == pytest.approx(2 * (1 - summary.loc["chemistry", "roc_auc"]))


@pytest.mark.parametrize("target", [ELECTRONEGATIVITY, IONIC], ids=["regression", "classification"])
@pytest.mark.parametrize("model", MODELS)
def test_models_by_name_beat_the_dummy_and_repeat(model: str, target: np.ndarray) -> None:
    arguments = {"model": model, "n_random": 1, "n_splits": 2, "max_train": 100, "max_test": 60}
    evaluation = evaluate(CHEMISTRY, FORMULAS, target, **arguments)
    assert evaluation.summary().loc["chemistry", "norm"] < 0.8
    assert evaluation.settings["model"] == model
    assert evaluation.predictions.equals(evaluate(CHEMISTRY, FORMULAS, target, **arguments).predictions)


def test_ridge_is_the_default() -> None:
    default = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_random=1)
    assert default.scores.equals(evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_random=1, model="ridge").scores)
    with pytest.raises(ValueError, match=r"model must be a scikit-learn estimator or one of ridge, .*; got 'svm'"):
        evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, model="svm")


class Listener(LinearRegression):
    """Remembers the targets that every copy was trained on."""

    heard: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.heard.append(tuple(y))
        return super().fit(X, y)


def test_caps_draw_the_same_rows_for_every_table_and_are_recorded() -> None:
    Listener.heard.clear()
    tables = {"chemistry": CHEMISTRY, "other": one_hot_table(CATIONS + ANIONS)}
    arguments = {"max_train": 50, "max_test": 20, "model": Listener(), "n_random": 1}
    evaluation = evaluate(tables, FORMULAS, np.arange(312.0), **arguments)
    heard = np.array(Listener.heard).reshape(5, 5, 50)  # feature sets, folds, rows
    assert (heard == heard[0]).all()
    assert (evaluation.scores["n_train"] == 50).all()
    assert (evaluation.scores["n_test"] == 20).all()
    assert (evaluation.settings["max_train"], evaluation.settings["max_test"]) == (50, 20)
    predictions = evaluation.predictions
    tested = predictions["chemistry"].notna()
    assert tested.groupby(predictions["fold"]).sum().tolist() == [20] * 5
    assert predictions["dummy"].notna().equals(tested)
    for fold in range(5):
        assert set(heard[0, fold]).isdisjoint(predictions.loc[predictions["fold"] == fold, "target"])
    assert isinstance(evaluation.plot(), Figure)
    assert not evaluate(tables, FORMULAS, np.arange(312.0), seed=1, **arguments).predictions.equals(predictions)


def test_caps_above_the_rows_change_nothing() -> None:
    plain = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_random=1).scores
    assert plain.equals(
        evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, n_random=1, max_train=999, max_test=999).scores
    )


def test_caps_that_leave_one_class_are_refused() -> None:
    with pytest.raises(ValueError, match="one class among its train rows; use fewer folds, other splits, or more rows"):
        evaluate(CHEMISTRY, FORMULAS, IONIC, max_train=1)


def test_settings_and_plot() -> None:
    evaluation = evaluate(CHEMISTRY, FORMULAS, ELECTRONEGATIVITY, pooling="mean", seed=5, n_random=1)
    assert evaluation.settings["pooling"] == ["mean"]
    assert evaluation.settings["seed"] == 5
    assert evaluation.settings["tables"] == {"chemistry": {"card": "chemistry", "n_tokens": 19, "dim": 3}}
    assert repr(evaluation).startswith("Evaluation(regression, 312 materials, 5 folds (random); best: ")
    assert pickle.loads(pickle.dumps(evaluation)).settings == evaluation.settings
    assert isinstance(evaluation.plot(unit="eV", label="electronegativity"), Figure)
    assert isinstance(evaluation.plot("one_hot_elements"), Figure)
    with pytest.raises(ValueError, match=r"features must be one of chemistry, .*; got 'magpie'"):
        evaluation.plot("magpie")
    with pytest.raises(ValueError, match="needs a regression"):
        evaluate(CHEMISTRY, FORMULAS, IONIC, n_random=1).plot()


# Structures. --------------------------------------------------------------------------------------------------


def crystal(cation: str, anion: str, cn: int) -> MotifGraph:
    geometry = {4: "T:4", 6: "O:6", 8: "C:8"}[cn]
    motif = Motif(0, cation, None, geometry, 0.0, tuple((1, (0, 0, n)) for n in range(cn)), (anion,) * cn)
    return MotifGraph(f"{cation}{anion}", (cation, anion), (motif,), (), "chemenv", "simplest", "none")


CRYSTALS = [crystal(c, a, cn) for c, a, cn in itertools.product(CATIONS, ANIONS, (4, 6, 8))]
COORDINATION = np.array([graph.motifs[0].cn for graph in CRYSTALS], dtype=float)
GEOMETRIES = EmbeddingTable(("T:4", "O:6", "C:8"), [[4.0], [6.0], [8.0]], Card("geometries"))


def test_motif_tables_meet_motif_and_element_baselines() -> None:
    evaluation = evaluate({"geometries": GEOMETRIES, "elements": CHEMISTRY}, CRYSTALS, COORDINATION, splits="formula")
    summary = evaluation.summary()
    assert set(summary.index) == {
        "geometries",
        "elements",
        "one_hot_elements",
        "one_hot_geometries",
        "random_elements_3",
        "random_geometries_1",
        "shuffled_geometries",
        "size_only",
        "dummy",
    }
    # All three polymorphs of a formula are in one fold: composition says nothing about the coordination number.
    assert summary.loc["elements", "r2"] < 0.1
    assert summary.loc["one_hot_elements", "r2"] < 0.1
    assert summary.loc["geometries", "r2"] > 0.99


def test_rare_motifs_share_a_one_hot_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_sets, "_MOST_COLUMNS", 4)
    tokens = sorted({graph.motifs[0].token for graph in CRYSTALS})
    extra = [graph for graph in CRYSTALS if graph.motifs[0].token in tokens[5:8]]
    crystals = CRYSTALS + extra
    table = one_hot_table(tokens)
    evaluation = evaluate({"all": table}, crystals, [graph.motifs[0].cn for graph in crystals], n_random=1)
    assert evaluation.scores.set_index("features")["dim"].loc["one_hot_motifs"].unique().tolist() == [5]
    shared = feature_sets._one_hot(tokens, crystals, "motifs")
    assert shared.tokens == (*tokens[5:8], *(token for token in tokens if token not in tokens[5:8]))
    assert shared.vectors[:4].tolist() == np.eye(5)[:4].tolist()
    assert (shared.vectors[4:] == [0, 0, 0, 0, 1]).all()


def test_structures_are_turned_into_graphs_when_a_table_needs_them() -> None:
    structures = [
        Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for cation, a in (("Mg", 4.21), ("Ca", 4.81), ("Sr", 5.16), ("Ba", 5.54))
    ]
    table = EmbeddingTable(
        ("MgO6:O:6", "CaO6:O:6", "SrO6:O:6", "BaO6:O:6"), [[1.0], [2.0], [3.0], [4.0]], Card("motifs")
    )
    lattice_constant = [4.21, 4.81, 5.16, 5.54]
    evaluation = evaluate(
        {"motifs": table, "elements": CHEMISTRY}, structures, lattice_constant, n_splits=2, n_random=1
    )
    assert {"one_hot_motifs", "random_motifs_1", "one_hot_elements"} < set(evaluation.summary().index)


def test_crystals_without_motifs_are_refused() -> None:
    bare = [MotifGraph(f"{c}Ar", (c, "Ar"), (), (), "chemenv", "simplest", "none") for c in CATIONS]
    table = EmbeddingTable(("O:6",), [[1.0]], Card("geometries"))
    with pytest.raises(ValueError, match="none of the structures has a motif"):
        evaluate(table, bare, np.arange(13.0), on_missing="zero")


# Controls of tables of motifs. --------------------------------------------------------------------------------


def perovskite(a: str, b: str) -> MotifGraph:
    motifs = [
        Motif(0, a, 2.0, "C:12", 0.0, tuple((2, (0, 0, n)) for n in range(12)), ("O",) * 12),
        Motif(1, b, 4.0, "O:6", 0.0, tuple((2, (0, 1, n)) for n in range(6)), ("O",) * 6),
    ]
    links = (Connection(0, 1, (0, 0, 0), ((2, (0, 0, 0)),)),)
    return MotifGraph(f"{a}{b}O3", (a, b, "O", "O", "O"), tuple(motifs), links, "chemenv", "simplest", "none")


MIXED = [*CRYSTALS, *(perovskite(a, b) for a, b in itertools.permutations(("Ca", "Sr", "Ba", "Zn"), 2))]


def test_a_shuffle_exchanges_motifs_among_centres_of_one_element() -> None:
    shuffled = shuffled_motifs(MIXED, seed=0)
    before, after = ([motif for graph in graphs for motif in graph.motifs] for graphs in (MIXED, shuffled))
    assert Counter(after) == Counter(before)  # whole records: oxidation states, ligands, geometries
    assert [motif.element for motif in after] == [motif.element for motif in before]
    assert np.mean([a != b for a, b in zip(after, before, strict=True)]) > 0.8
    for mixed, graph in zip(shuffled, MIXED, strict=True):
        assert (mixed.formula, mixed.elements, mixed.connections) == (graph.formula, graph.elements, graph.connections)
        assert len(mixed.motifs) == len(graph.motifs)
    assert shuffled_motifs(MIXED, seed=0) == shuffled
    assert shuffled_motifs(MIXED, seed=1) != shuffled


def sets_of(named: dict, materials: list, target: np.ndarray, **settings) -> dict:
    arguments = {"pooling": "mean", "on_missing": "error", "n_random": 1, "seed": 0, **settings}
    made = feature_sets.make_feature_sets(named, read_labelled(materials, target), **arguments)
    return {features.column: features for features in made}


def test_a_shuffle_keeps_the_mean_of_each_element_over_all_crystals() -> None:
    tokens = sorted({motif.token for graph in MIXED for motif in graph.motifs})
    table = random_table(tokens, 4, seed=7)
    sets = sets_of({"motifs": table}, MIXED, np.arange(float(len(MIXED))), n_random=2)
    n_motifs = np.array([len(graph.motifs) for graph in MIXED])
    for draw in range(2):
        control = sets[f"shuffled_motifs.{draw}"]
        assert (control.name, control.kind, control.dim, control.draw) == ("shuffled_motifs", "baseline", 4, draw)
        # Sums over all motifs, in another order.
        np.testing.assert_allclose(n_motifs @ control.rows, n_motifs @ sets["motifs"].rows, rtol=1e-9)
        for cation in set(CATIONS) - {"Ca", "Sr", "Ba", "Zn"}:  # each the only centre in its crystals
            own = [idx for idx, graph in enumerate(MIXED) if cation in graph.elements]
            means = [rows[own].mean(axis=0) for rows in (control.rows, sets["motifs"].rows)]
            np.testing.assert_allclose(*means, rtol=1e-9, atol=1e-12)
    assert not np.array_equal(sets["shuffled_motifs.0"].rows, sets["shuffled_motifs.1"].rows)


def test_where_the_motif_decides_the_target_its_shuffle_knows_nothing() -> None:
    evaluation = evaluate(GEOMETRIES, CRYSTALS, COORDINATION, splits="formula")
    summary = evaluation.summary(against="shuffled_geometries")
    assert summary.loc["geometries", "norm"] < 0.02
    assert summary.loc["shuffled_geometries", "norm"] > 0.9
    assert summary.loc["geometries", "vs_shuffled_geometries"] < -10 * summary.loc["shuffled_geometries", "mae_se"]
    assert summary.loc["size_only", "norm"] == pytest.approx(1)  # all cells are alike
    assert summary.loc[["shuffled_geometries", "size_only"], "kind"].tolist() == ["baseline"] * 2
    draws = evaluation.scores[evaluation.scores["features"] == "shuffled_geometries"]
    assert draws.groupby("draw").size().tolist() == [5, 5, 5]
    assert {"shuffled_geometries.0", "shuffled_geometries.2", "size_only"} < set(evaluation.predictions)


def test_where_each_element_has_one_motif_a_shuffle_changes_nothing() -> None:
    alike = [crystal(c, a, (4, 6, 8)[CATIONS.index(c) % 3]) for c, a in itertools.product(CATIONS, ANIONS)]
    predictions = evaluate(GEOMETRIES, alike, np.arange(78.0), n_random=1).predictions
    assert predictions["shuffled_geometries"].equals(predictions["geometries"])


def test_size_is_that_of_the_cell_as_it_was_given() -> None:
    structures = [
        Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for cation, a in (("Mg", 4.21), ("Ca", 4.81))
    ]
    structures.append(structures[1].get_primitive_structure())
    table = EmbeddingTable(("O:6",), [[1.0]], Card("octahedra"))
    size = sets_of({"octahedra": table}, structures, np.arange(3.0))["size_only"]
    assert size.rows[:, 0].tolist() == [8, 8, 2]
    np.testing.assert_allclose(size.rows[:, 1], [4.21**3 / 8, 4.81**3 / 8, 4.81**3 / 8])
    np.testing.assert_allclose(size.rows[:, 2], [3.587, 3.347, 3.347], rtol=1e-3)  # g/cm³
    assert size.magnitude.tolist() == size.rows.max(axis=0).tolist()
    assert (size.kind, size.dim, size.n_missing, size.facts()["n_features"]) == ("baseline", 3, 0, 3)
    size = sets_of({"geometries": GEOMETRIES}, MIXED, np.arange(float(len(MIXED))), on_missing="zero")["size_only"]
    assert size.rows[[0, -1]].tolist() == [[1, 0], [2, 1]]


def test_a_target_that_the_cell_gives_away_is_shown_by_size() -> None:
    leaking = [2.5 * len(graph.motifs) for graph in MIXED]
    summary = evaluate(GEOMETRIES, MIXED, leaking, n_random=1, on_missing="mean").summary()
    assert summary.loc["size_only", "norm"] < 0.05


def test_tables_of_elements_have_no_controls_of_motifs() -> None:
    for materials in (CRYSTALS, [graph.formula for graph in CRYSTALS]):
        assert set(sets_of({"chemistry": CHEMISTRY}, materials, COORDINATION)) == {
            "chemistry",
            "one_hot_elements",
            "random_elements_3",
            "dummy",
        }


@pytest.mark.parametrize("name", ["shuffled_geometries", "size_only"])
def test_controls_keep_their_names(name: str) -> None:
    with pytest.raises(ValueError, match=f"no table can go by the name '{name}', which is taken"):
        evaluate({"geometries": GEOMETRIES, name: GEOMETRIES}, CRYSTALS, COORDINATION)


# Baselines. ---------------------------------------------------------------------------------------------------


def test_random_tables_repeat_by_seed() -> None:
    first, again, other = (random_table(["H", "O"], 5, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)
    with pytest.raises(ValueError, match="dim must be 1 or more, got 0"):
        random_table(["H"], 0)
