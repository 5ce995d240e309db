from decimal import Decimal
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import OptimizeResult
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from matembed.downstream.blends import BlendClassifier, BlendRegressor
from matembed.downstream.column_ranks import rank_columns

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((90, 6))
TARGET = np.exp(ROWS[:, 0] + 0.5 * np.sin(3 * ROWS[:, 1]) + 0.05 * RNG.standard_normal(90))
CLASSES = np.where(ROWS[:, 0] + ROWS[:, 2] > 0, "glass", "crystal")
TREES = ExtraTreesRegressor(20)
FRAME = pd.DataFrame(ROWS, columns=list("abcdef"))
QUICK: dict[str, Any] = {"models": {"ridge": "ridge", "trees": TREES}, "n_columns": [2, None], "n_splits": 3}


def test_the_best_columns_come_first_and_repeats_of_them_last() -> None:
    rows = np.column_stack([ROWS, ROWS[:, 0] * 2 + 1, np.ones(90), ROWS[:, 1] ** 3])
    ranked = rank_columns(rows, ROWS[:, 0] + 0.3 * ROWS[:, 1])
    assert sorted(ranked) == list(range(9))
    assert ranked[0] in (0, 6)
    assert {0, 6} & set(ranked[-3:].tolist()), "two columns with the same order say the same"
    assert 7 in ranked[-3:], "a constant says nothing"


def test_ranks_depend_on_the_order_of_values_alone_where_columns_repeat() -> None:
    rows = np.column_stack([np.exp(ROWS[:, 1]), ROWS[:, 1], ROWS[:, 2]])
    assert set(rank_columns(rows, ROWS[:, 1])[:2]) - {2} != {0, 1}


def test_weights_are_a_mean_and_no_worse_than_the_best_member_where_they_were_found() -> None:
    blend = BlendRegressor(**QUICK).fit(ROWS, TARGET)
    assert sum(blend.weights_.values()) == pytest.approx(1)
    assert min(blend.weights_.values()) >= 0
    members = [error for key, error in blend.inner_errors_.items() if key != "blend"]
    assert blend.inner_errors_["blend"] <= min(members) + 1e-9
    assert set(blend.weights_) <= set(blend.inner_errors_)
    assert blend.n_columns_.keys() == blend.weights_.keys()


def test_a_model_that_is_right_gets_all_the_weight() -> None:
    target = ROWS @ np.arange(6)
    models = {"line": LinearRegression(), "trees": TREES}
    blend = BlendRegressor(models=models, n_columns=[None], n_splits=3).fit(ROWS, target)
    assert blend.weights_["line: none"] == pytest.approx(1)
    inside = np.abs(ROWS).max(axis=1) < 1.5
    assert blend.predict(ROWS[inside]) == pytest.approx(target[inside])


def test_the_logarithm_is_chosen_where_it_helps() -> None:
    blend = BlendRegressor(models={"line": LinearRegression()}, n_splits=3).fit(ROWS, np.exp(2 * ROWS[:, 0]))
    assert blend.target_transforms_ == {"line": "log"}
    assert blend.inner_errors_["line: log"] < blend.inner_errors_["line: none"]


@pytest.mark.parametrize(("transform", "made"), [("ratio", 3 * ROWS[:, 5] ** 2), ("difference", ROWS[:, 5] ** 2 + 3)])
def test_an_estimate_that_needs_a_factor_or_a_shift_is_enough(transform: Any, made: np.ndarray) -> None:
    rows = np.column_stack([ROWS[:, :2], ROWS[:, 5] ** 2])
    blend = BlendRegressor(models=["ridge"], target_transform=transform, estimate=2, n_splits=3).fit(rows, made)
    assert blend.predict(rows) == pytest.approx(made, rel=1e-6)


def test_members_alone_are_those_of_the_blend() -> None:
    blend = BlendRegressor(**QUICK, target_transform="log", weighting="equal").fit(ROWS, TARGET)
    alone = blend.predict_members(ROWS)
    assert set(alone) == {"ridge", "trees"}
    assert blend.predict(ROWS) == pytest.approx((alone["ridge"] + alone["trees"]) / 2)


@pytest.mark.parametrize("transform", ["none", "log", "difference", "ratio"])
@pytest.mark.parametrize("factor", [1e-19, 1e-3, 3.0, 1e20])
def test_the_unit_of_the_target_changes_nothing_else(transform: Any, factor: float) -> None:
    """Many columns split the last rows of a tree alike: rounding, which units change, must not choose between them."""
    noise, estimate = np.random.default_rng(1).standard_normal((90, 40)), np.exp(ROWS[:, 5])
    target = TARGET + 2 * estimate

    def fitted(unit: float) -> tuple[BlendRegressor, np.ndarray]:
        rows = np.column_stack([ROWS[:, :5], noise, unit * estimate])
        settings: dict[str, Any] = {"models": ["ridge", "kernel_ridge", "extra_trees"], "n_columns": [20, None]}
        blend = BlendRegressor(**settings, target_transform=transform, estimate=45, n_splits=2, n_seeds=1)
        return blend.fit(rows, unit * target), rows

    plain, rows = fitted(1.0)
    other, other_rows = fitted(factor)
    # What the last digits of targets change in kernels; other splits would change 1e-2.
    assert other.predict(other_rows) / factor == pytest.approx(plain.predict(rows), rel=1e-9)
    alone = other.predict_members(other_rows)
    for name, predicted in plain.predict_members(rows).items():
        assert alone[name] / factor == pytest.approx(predicted, rel=1e-9)
    assert other.n_columns_ == plain.n_columns_
    for key, error in plain.inner_errors_.items():
        assert other.inner_errors_[key] / factor == pytest.approx(error, rel=1e-9)


def test_weights_are_found_where_targets_hardly_differ() -> None:
    blend = BlendRegressor(models=["ridge", "kernel_ridge", "extra_trees"], target_transform="none", n_splits=3)
    assert blend.fit(ROWS, 1e9 + ROWS[:, 0]).weights_["ridge: none"] > 0.9


def test_targets_that_are_all_the_same_are_predicted() -> None:
    blend = BlendRegressor(models=["ridge", "extra_trees"], target_transform="none", n_splits=3)
    assert blend.fit(ROWS, np.full(90, 0.1)).predict(ROWS) == pytest.approx(0.1)


def test_weights_that_are_not_found_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = OptimizeResult(success=False, message="Time limit reached.", x=None)
    monkeypatch.setattr("matembed.downstream._blending.linprog", lambda *_, **__: failed)
    with pytest.raises(ValueError, match="no weights were found: Time limit reached"):
        BlendRegressor(**QUICK).fit(ROWS, TARGET)


def test_the_last_seed_is_followed_by_the_first() -> None:
    settings: dict[str, Any] = {"models": ["extra_trees"], "target_transform": "none", "n_splits": 2, "n_seeds": 2}
    blend = BlendRegressor(**settings, seed=2**32 - 1).fit(ROWS, TARGET)
    assert [one.random_state for one in blend.members_[0].fitted] == [2**32 - 1, 0]


def test_predictions_stay_in_the_range_of_training() -> None:
    blend = BlendRegressor(models=["ridge"], n_splits=3).fit(ROWS, ROWS[:, 0])
    assert blend.predict(ROWS + 100).max() <= ROWS[:, 0].max()


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = (BlendRegressor(**QUICK, seed=3).fit(ROWS, TARGET) for _ in range(2))
    assert np.array_equal(one.predict(ROWS), other.predict(ROWS))
    assert one.inner_errors_ == other.inner_errors_


class Recorder(LinearRegression):
    """A line that keeps what it was fitted to."""

    seen: ClassVar[list[np.ndarray]] = []

    def fit(self, X, y):
        Recorder.seen.append(np.asarray(y))
        return super().fit(X, y)


def test_no_member_sees_the_target_of_a_row_that_is_left_out() -> None:
    """Targets are their own names: each inner fit sees those of its training rows, and rows left out come back once."""
    Recorder.seen.clear()
    target = np.arange(90.0)
    BlendRegressor(models={"line": Recorder()}, target_transform="none", n_splits=3).fit(ROWS, target)
    *inner, last = [set(np.rint(seen * target.std()).tolist()) for seen in Recorder.seen]
    assert len(inner) == 3
    assert last == set(target.tolist())
    left_out = [last - seen for seen in inner]
    assert [len(one) for one in left_out] == [30, 30, 30]
    assert set().union(*left_out) == last


def test_a_row_is_predicted_by_itself_as_among_others() -> None:
    blend = BlendRegressor(**QUICK).fit(ROWS[:60], TARGET[:60])
    together = blend.predict(ROWS[60:])
    for row in range(3):
        assert blend.predict(ROWS[60 + row : 61 + row]) == pytest.approx(together[row : row + 1])


def test_rows_of_other_columns_are_refused() -> None:
    blend = BlendRegressor(**QUICK).fit(ROWS, TARGET)
    classes = BlendClassifier(models=["ridge"]).fit(ROWS, CLASSES)
    for predict in (blend.predict, blend.predict_members, classes.predict_proba, classes.predict_members):
        for rows in (ROWS[:, :-1], np.hstack([ROWS, ROWS])):
            with pytest.raises(ValueError, match=f"expecting {ROWS.shape[1]} features"):
                predict(rows)
        with pytest.raises(ValueError, match="Expected 2D array"):
            predict(ROWS[0])
        with pytest.raises(ValueError, match="0 sample"):
            predict(ROWS[:0])
        with pytest.raises(ValueError, match="rows must be finite, without NaN"):
            predict(np.where(ROWS > 2, np.nan, ROWS))


def test_columns_are_known_by_name_where_they_have_names() -> None:
    blend = BlendRegressor(**QUICK).fit(FRAME, TARGET)
    assert (blend.n_features_in_, blend.feature_names_in_.tolist()) == (6, list("abcdef"))
    for other in (FRAME[list("fedcba")], FRAME.rename(columns={"a": "z"})):
        with pytest.raises(ValueError, match="feature names should match"):
            blend.predict(other)


def test_an_estimate_is_a_column_by_name_or_by_position() -> None:
    settings = {**QUICK, "target_transform": "difference"}
    by_name, by_place = (BlendRegressor(**settings, estimate=one).fit(FRAME, TARGET) for one in ("c", 2))
    assert by_name.estimate == "c"
    assert np.array_equal(by_name.predict(FRAME), by_place.predict(FRAME))
    for one, rows in (("z", FRAME), ("c", ROWS)):
        with pytest.raises(ValueError, match=f"the name in a DataFrame, of one of 6 columns, got '{one}'"):
            BlendRegressor(**settings, estimate=one).fit(rows, TARGET)


def test_a_failed_fit_leaves_nothing_to_predict_with() -> None:
    blend = BlendRegressor(models=["ridge"], estimate=6)
    with pytest.raises(ValueError, match="one of 6 columns"):
        blend.fit(ROWS, TARGET)
    with pytest.raises(NotFittedError):
        blend.predict(ROWS)


def test_a_class_that_one_group_holds_is_told() -> None:
    with pytest.raises(ValueError, match="one class is missing where"):
        BlendClassifier(models=["ridge"], n_splits=2).fit(ROWS[:20], [0] * 10 + [1] * 10, groups=[0] * 10 + [1] * 10)


def test_inner_errors_of_noise_are_those_of_noise() -> None:
    """Columns are ranked inside the folds: of 400 that are random, the best 5 would otherwise seem to help."""
    rng = np.random.default_rng(1)
    rows, target = rng.standard_normal((60, 400)), rng.standard_normal(60)
    blend = BlendRegressor(models={"line": LinearRegression()}, n_columns=[5], n_splits=5).fit(rows, target)
    assert blend.inner_errors_["line: none"] > np.abs(target - target.mean()).mean()


def test_groups_are_left_out_together() -> None:
    labels = np.repeat(np.arange(15), 6)
    rows, target = np.random.default_rng(2).standard_normal((15, 4))[labels], np.sin(labels * 7.0)
    models = {"trees": TREES}
    free = BlendRegressor(models=models, n_splits=3).fit(rows, target)
    grouped = BlendRegressor(models=models, n_splits=3).fit(rows, target, groups=[f"group {one}" for one in labels])
    assert free.inner_errors_["blend"] < 0.05 < grouped.inner_errors_["blend"]


def test_it_works_within_scikit_learn() -> None:
    blend = BlendRegressor(**QUICK, n_seeds=1)
    assert clone(blend).get_params()["n_columns"] == [2, None]
    assert cross_val_score(blend, ROWS, TARGET, cv=2, scoring="r2").mean() > 0.3


@parametrize_with_checks([kind(models=["ridge"], n_splits=2) for kind in (BlendRegressor, BlendClassifier)])
def test_scikit_learn_finds_nothing_to_object_to(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_blend_is_no_transformer_so_that_a_pipeline_may_hand_it_frames() -> None:
    plain, framed = (make_pipeline(StandardScaler(), BlendRegressor(models=["ridge"])) for _ in range(2))
    framed.set_output(transform="pandas").fit(FRAME, TARGET)
    assert not hasattr(framed, "transform")
    assert framed[-1].feature_names_in_.tolist() == list("abcdef")
    # A frame lies in memory by columns, an array by rows: sums are rounded in another order.
    assert framed.predict(FRAME) == pytest.approx(plain.fit(ROWS, TARGET).predict(ROWS), rel=1e-9)


def test_one_number_of_columns_needs_no_list() -> None:
    one, listed, mapped = (
        BlendRegressor(models=["ridge"], n_columns=given).fit(ROWS, TARGET) for given in (2, [2], {"ridge": 2})
    )
    assert set(one.n_columns_.values()) == {2}
    assert np.array_equal(one.predict(ROWS), listed.predict(ROWS))
    assert np.array_equal(one.predict(ROWS), mapped.predict(ROWS))


@pytest.mark.parametrize(
    "target", [TARGET.astype(object), [Decimal(one) for one in TARGET], pd.Series(TARGET, dtype="Float64")]
)
def test_numbers_are_numbers_in_any_column(target: Any) -> None:
    plain, other = (BlendRegressor(models=["ridge"]).fit(ROWS, one) for one in (TARGET, target))
    assert np.array_equal(plain.predict(ROWS), other.predict(ROWS))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_class_that_is_missing_is_told_and_none_of_its_own(missing: Any) -> None:
    named = [*CLASSES[:-2].tolist(), missing, missing]
    for given in (named, pd.Series(named)):
        with pytest.raises(ValueError, match=r"^no target for 2 of 90 rows, the first at position 88; leave them out$"):
            BlendClassifier(models=["ridge"]).fit(ROWS, given)
    kept = pd.Series([True, missing, False] * 30).dropna()  # its dtype is object
    blend = BlendClassifier(models=["ridge"]).fit(ROWS[kept.index], kept)
    assert blend.classes_.tolist() == [False, True]


def test_few_rows_rank_no_column_before_another() -> None:
    ranked = rank_columns(ROWS[:3], TARGET[:3])
    assert ranked[0] == 0
    assert sorted(ranked) == list(range(6))
    for settings, message in (({"max_rows": 0}, "max_rows must be"), ({"task": "ranking"}, "task must be one of")):
        with pytest.raises(ValueError, match=message):
            rank_columns(ROWS, TARGET, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": []}, "one or more"),
        ({"models": ["forest"]}, "one of ridge"),
        ({"models": None}, "list or mapping"),
        ({"models": LinearRegression()}, "list or mapping"),
        ({"n_columns": [0]}, "from 1 on"),
        ({"n_columns": [2.5]}, "from 1 on"),
        ({"n_columns": "5"}, "from 1 on"),
        ({"n_columns": []}, "from 1 on"),
        ({"n_columns": {"forest": [3]}}, "n_columns is for 'forest'"),
        ({"target_transform": "sqrt"}, "none, log"),
        ({"target_transform": None}, "none, log"),
        ({"target_transform": ["log", "log"]}, "none, log"),
        ({"target_transform": "ratio"}, "an estimate"),
        ({"target_transform": "difference"}, "an estimate"),
        ({"estimate": 6}, "one of 6 columns"),
        ({"estimate": "a"}, "one of 6 columns, got 'a'"),
        ({"estimate": 1.0}, "one of 6 columns, got 1.0"),
        ({"weighting": "best"}, "fitted, equal"),
        ({"n_splits": 1}, "2 or more"),
        ({"n_splits": 100}, "need as many rows"),
        ({"n_splits": "5"}, "n_splits must be a whole number, 2 or more, got '5'"),
        ({"n_seeds": 2.0}, "n_seeds must be a whole number, 1 or more, got 2.0"),
        ({"max_rank_rows": 0}, "max_rank_rows must be a whole number, 4 or more, got 0"),
        ({"seed": None}, "seed must be a whole number, 0 or more, got None"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlendRegressor(**{"models": ["ridge"], **settings}).fit(ROWS, TARGET)


def test_bad_tables_are_named() -> None:
    blend = BlendRegressor(models=["ridge"])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[90, 5\]"):
        blend.fit(ROWS, TARGET[:5])
    with pytest.raises(ValueError, match="0 sample"):
        blend.fit(ROWS[:0], TARGET[:0])
    with pytest.raises(ValueError, match="rows must be finite"):
        blend.fit(np.where(ROWS > 2, np.nan, ROWS), TARGET)
    with pytest.raises(ValueError, match="no target for 1 of 90 rows, the first at position 3"):
        blend.fit(ROWS, np.where(np.arange(90) == 3, np.nan, TARGET))
    for target in (TARGET.astype(str), TARGET > 1, [*TARGET[1:].tolist(), "a"]):
        with pytest.raises(ValueError, match="targets must be finite numbers"):
            blend.fit(ROWS, target)
    with pytest.raises(ValueError, match="log takes positive targets"):
        BlendRegressor(models=["ridge"], target_transform="log").fit(ROWS, TARGET - 2)
    with pytest.raises(ValueError, match="two classes of 5 or more"):
        BlendClassifier(models=["ridge"]).fit(ROWS, np.where(np.arange(90) < 3, "glass", "crystal"))
    with pytest.raises(ValueError, match=r"classification is supported, got 90: .*for BlendRegressor"):
        BlendClassifier(models=["ridge"]).fit(ROWS, TARGET)
    for named in (["glass", 1] * 45, pd.Series(["glass", 1] * 45)):
        with pytest.raises(ValueError, match="classes must be of one kind"):
            BlendClassifier(models=["ridge"]).fit(ROWS, named)
    with pytest.raises(ValueError, match="pass a regressor"):
        BlendRegressor(models={"line": LogisticRegression()}).fit(ROWS, TARGET)


def test_classes_are_told_apart() -> None:
    models = {"ridge": "ridge", "line": LogisticRegression(), "trees": ExtraTreesClassifier(30)}
    train, test = np.arange(60), np.arange(60, 90)
    blend = BlendClassifier(models=models, n_columns=[3, None], n_splits=3).fit(ROWS[train], CLASSES[train])
    probable = blend.predict_proba(ROWS[test])
    assert probable.sum(axis=1) == pytest.approx(1)
    assert roc_auc_score(CLASSES[test] == "glass", probable[:, 1]) > 0.9
    assert (blend.predict(ROWS[test]) == CLASSES[test]).mean() > 0.8
    assert sum(blend.weights_.values()) == pytest.approx(1)
    assert set(blend.predict_members(ROWS)) == set(models)
    assert blend.inner_errors_["blend"] <= min(blend.inner_errors_.values()) + 1e-6


def test_boosted_trees_and_kernels_blend_by_default() -> None:
    pytest.importorskip("lightgbm")
    blend = BlendRegressor(n_splits=2, n_seeds=1).fit(ROWS[:60], TARGET[:60])
    assert set(blend.target_transforms_) == {"kernel_ridge", "extra_trees", "boosted_trees"}
    assert np.abs(blend.predict(ROWS[60:]) - TARGET[60:]).mean() < np.abs(TARGET[60:] - np.median(TARGET[:60])).mean()
