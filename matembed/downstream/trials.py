"""One trial: a model learns a feature set on some rows and is scored on others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor

from matembed.downstream.feature_sets import FeatureSet
from matembed.downstream.models import make_model
from matembed.downstream.scores import classification_scores, regression_scores
from matembed.downstream.tasks import LabelledMaterials

__all__ = ["refuse_nan", "run_trial"]


def run_trial(
    model: Any,
    features: FeatureSet,
    labelled: LabelledMaterials,
    train_idx: NDArray[np.intp],
    test_idx: NDArray[np.intp],
    *,
    seed: int,
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Fit a model on the training rows, and score it on the test rows.

    Parameters
    ----------
    model : str or scikit-learn estimator
        A name that `make_model` knows, or an estimator, which is cloned. The dummy set is always predicted by the
        training mean, or by the share of the positive class.
    features : FeatureSet
        What is learned from.
    labelled : LabelledMaterials
        What is to be predicted.
    train_idx, test_idx : int array
        Rows to fit and rows to predict.
    seed : int
        Passed to `make_model`.

    Returns
    -------
    predicted : float array, shape (n_test,)
        Predictions; in a classification the probability, or decision function, of the positive class.
    measured : dict of str to float
        Each of the metrics of `matembed.downstream.scores`.
    """
    task, y = labelled.task, labelled.y
    if not features.dim:
        model = DummyRegressor() if task == "regression" else DummyClassifier()
    elif isinstance(model, str):
        n_columns, magnitude = features.rows.shape[1], features.magnitude
        model = make_model(model, task, n_columns=n_columns, magnitude=magnitude, seed=seed)  # type: ignore[arg-type]
    fitted = clone(model).fit(features.rows[train_idx], y[train_idx])
    rows, truth = features.rows[test_idx], y[test_idx]
    predicted = fitted.predict(rows)
    if task == "regression":
        return predicted, regression_scores(truth, predicted, training_mean=float(y[train_idx].mean()))
    score = fitted.predict_proba(rows)[:, 1] if hasattr(fitted, "predict_proba") else fitted.decision_function(rows)
    return score, classification_scores(truth, predicted, score)


def refuse_nan(model: Any, sets: Sequence[FeatureSet]) -> None:
    """Refuse features with NaN for the models that take none.

    Parameters
    ----------
    model : str or scikit-learn estimator
        A name, or a model of one's own, which is trusted.
    sets : sequence of FeatureSet
        The features.

    Raises
    ------
    ValueError
        If the model is a kind of ridge, and there is NaN.
    """
    if model in ("ridge", "kernel_ridge") and any(np.isnan(features.rows).any() for features in sets):
        msg = 'on_missing="nan" leaves NaN among the features: pass a model that takes NaN, or another on_missing'
        raise ValueError(msg)
