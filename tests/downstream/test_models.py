import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_score

from matembed import make_model
from matembed.downstream.models import MODELS, ExponentialKernelRidge, RegressionClassifier, check_model

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((60, 4))
TARGET = np.sin(ROWS[:, 0]) + 0.5 * ROWS[:, 1] ** 2 + 3
CLASSES = (np.median(TARGET) < TARGET).astype(int)


def test_leave_one_out_without_refits_is_that_of_refits() -> None:
    rows, target = ROWS[:25], TARGET[:25]
    for length, noise in ((0.5, 1e-3), (2.0, 0.3)):
        model = ExponentialKernelRidge(lengths=(length,), noises=(noise,)).fit(rows, target)
        missed = []
        for left_out in range(len(rows)):
            kept = np.arange(len(rows)) != left_out
            distance = np.linalg.norm(rows[kept][:, None] - rows[None, kept], axis=2)
            kernel = np.exp(-distance / model.length_) + noise * np.eye(kept.sum())
            weights = np.linalg.solve(kernel, target[kept] - model.mean_)
            nearness = np.exp(-np.linalg.norm(rows[kept] - rows[left_out], axis=1) / model.length_)
            missed.append(abs(nearness @ weights + model.mean_ - target[left_out]))
        assert model.loo_error_ == pytest.approx(np.mean(missed), rel=1e-9)  # the same numbers, otherwise rounded


def test_the_choice_is_the_least_leave_one_out_error() -> None:
    model = ExponentialKernelRidge().fit(ROWS, TARGET)
    tried = {
        (length, noise): ExponentialKernelRidge(lengths=(length,), noises=(noise,)).fit(ROWS, TARGET)
        for length in model.lengths
        for noise in model.noises
    }
    best = min(tried.values(), key=lambda fitted: fitted.loo_error_)
    assert (model.loo_error_, model.length_, model.noise_) == (best.loo_error_, best.length_, best.noise_)
    assert np.array_equal(model.predict(ROWS), best.predict(ROWS))


@pytest.mark.parametrize("n_columns", [2, 64, 300])
def test_repeated_rows_are_one_point(n_columns: int) -> None:
    # Two rows, each many times: their distances of about 1e-8 by rounding must not become the unit of length.
    pair = np.random.default_rng(1).standard_normal((2, n_columns)) + np.arange(n_columns)
    which = np.random.default_rng(2).choice(2, size=40, p=[0.8, 0.2])
    model = ExponentialKernelRidge().fit(pair[which], which.astype(float))
    assert model.length_ >= 0.5 * np.linalg.norm(pair[0] - pair[1]) * (1 - 1e-9)
    np.testing.assert_allclose(model.predict(pair), [0, 1], atol=1e-3)  # the least noise, 1e-3, over 8 rows or more


def test_kernel_ridge_interpolates_and_forgets() -> None:
    model = ExponentialKernelRidge(noises=(1e-10,)).fit(ROWS, TARGET)
    np.testing.assert_allclose(model.predict(ROWS), TARGET, atol=1e-6)  # noise 1e-10 times weights of up to 1e3
    np.testing.assert_allclose(model.predict(ROWS + 1e4), TARGET.mean(), rtol=1e-12)


def test_kernel_ridge_does_not_depend_on_units_or_the_order_of_columns() -> None:
    predicted = ExponentialKernelRidge().fit(ROWS[:50], TARGET[:50]).predict(ROWS[50:])
    scaled = ExponentialKernelRidge().fit(ROWS[:50, ::-1] * 1000, TARGET[:50] * 10).predict(ROWS[50:, ::-1] * 1000)
    np.testing.assert_allclose(scaled, predicted * 10, rtol=1e-9)  # sums in another order


def test_the_choice_is_made_on_a_draw_that_its_seed_repeats() -> None:
    first, again, other = (
        ExponentialKernelRidge(n_select=20, seed=seed).fit(ROWS, TARGET).loo_error_ for seed in (1, 1, 2)
    )
    assert first == again != other


def test_rows_that_are_all_alike_are_predicted_by_their_mean() -> None:
    model = ExponentialKernelRidge().fit(np.ones((10, 2)), np.arange(10.0))
    np.testing.assert_allclose(model.predict([[1.0, 1.0]]), 4.5)


def test_kernel_ridge_refuses_what_it_cannot_fit() -> None:
    with pytest.raises(ValueError, match=r"two or more rows with a target each, got shapes \(1, 2\) and \(1,\)"):
        ExponentialKernelRidge().fit([[1.0, 2.0]], [1.0])
    with pytest.raises(ValueError, match="must be finite"):
        ExponentialKernelRidge().fit([[1.0], [np.nan]], [1.0, 2.0])


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_is_cloned_and_repeats(name: str, task: str) -> None:
    model = make_model(name, task, n_columns=4, seed=3)
    y = TARGET if task == "regression" else CLASSES
    assert is_classifier(model) == (task == "classification")
    before = repr(model)
    fitted, again = (clone(model).fit(ROWS, y) for _ in range(2))
    assert np.array_equal(fitted.predict(ROWS), again.predict(ROWS))
    assert repr(model) == before
    if task == "regression":
        assert np.abs(fitted.predict(ROWS) - y).mean() < np.abs(y - y.mean()).mean()
    else:
        assert (fitted.predict(ROWS) == y).mean() > 0.6
        assert hasattr(fitted, "predict_proba") or hasattr(fitted, "decision_function")
    check_model(model, task)


def test_trees_try_fifty_columns() -> None:
    assert make_model("boosted_trees", n_columns=200).colsample_bytree == 0.25
    assert make_model("extra_trees", n_columns=200).max_features == 0.25
    assert make_model("random_forest", n_columns=10).max_features == 1


def test_the_penalty_of_ridge_has_the_least_leave_one_out_error() -> None:
    rows, target = ROWS[:20], TARGET[:20]
    chosen = make_model("ridge").fit(rows, target)
    scaled, ridge = chosen[0].transform(rows), chosen[-1]
    errors = [
        -cross_val_score(Ridge(alpha), scaled, target, cv=LeaveOneOut(), scoring="neg_mean_absolute_error").mean()
        for alpha in ridge.alphas
    ]
    assert ridge.alpha_ == ridge.alphas[np.argmin(errors)]
    assert ridge.best_score_ == pytest.approx(-min(errors))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(ImportError, match=r"matembed\[boost\]"):
        check_model("boosted_trees", "regression")


def test_classes_are_told_apart_by_the_sign_of_a_regression() -> None:
    names = np.where(CLASSES, "insulator", "metal")  # sorted, metal is the second
    model = RegressionClassifier(RidgeCV()).fit(ROWS, names)
    np.testing.assert_allclose(
        model.decision_function(ROWS), RidgeCV().fit(ROWS, 1.0 - CLASSES).predict(ROWS) - 0.5, rtol=1e-12
    )
    assert set(model.predict(ROWS)) == {"insulator", "metal"}
    with pytest.raises(ValueError, match="takes two classes, got 1"):
        RegressionClassifier(RidgeCV()).fit(ROWS, np.ones(60))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one of ridge, kernel_ridge, .*; got 'svm'"):
        make_model("svm")
    with pytest.raises(ValueError, match="task must be one of regression, classification; got 'ranking'"):
        make_model("ridge", "ranking")
    with pytest.raises(TypeError, match="model must be a scikit-learn estimator, such as"):
        check_model(3, "regression")
