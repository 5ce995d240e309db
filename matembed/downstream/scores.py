"""Scores: how good predictions are, in numbers, and how feature sets compare over many trials.

===================== =========================================================================================
score                 definition
===================== =========================================================================================
mae, rmse             mean absolute error, root of the mean squared error; in the unit of the target
r2                    1 - sum of squared errors / sum of squared distances from the mean of the test targets
roc_auc               probability that a positive row is scored above a negative one, ties counted half
accuracy,             share of rows, or mean over both classes of the share, whose class is predicted
balanced_accuracy
norm                  error as a share of that of knowing nothing: mae / mae of predicting the training mean, or
                      (1 - roc_auc) / 0.5; 1 for the dummy, 0 for knowing all
===================== =========================================================================================
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from matembed.downstream.tasks import Task

__all__ = ["LOWER_IS_BETTER", "METRICS", "average_scores", "classification_scores", "regression_scores"]

# The first leads: tables are ranked and compared by it.
METRICS: dict[Task, tuple[str, ...]] = {
    "regression": ("mae", "rmse", "r2", "norm"),
    "classification": ("roc_auc", "accuracy", "balanced_accuracy", "norm"),
}
LOWER_IS_BETTER = ("mae", "rmse", "norm")


def regression_scores(
    truth: NDArray[np.float64], predicted: NDArray[np.float64], *, training_mean: float
) -> dict[str, float]:
    """Score the predictions of numbers.

    Parameters
    ----------
    truth, predicted : float array, shape (n_rows,)
        Of the test rows.
    training_mean : float
        Mean target of the training rows.

    Returns
    -------
    dict of str to float
        mae, rmse, r2 and norm; r2 and norm are NaN where the targets do not differ.

    Examples
    --------
    >>> regression_scores(np.array([1.0, 3.0]), np.array([1.0, 2.0]), training_mean=2.0)
    {'mae': 0.5, 'rmse': 0.707..., 'r2': 0.5, 'norm': 0.5}
    """
    error = predicted - truth
    spread = float(np.sum((truth - truth.mean()) ** 2))
    mae, uninformed = float(np.abs(error).mean()), float(np.abs(truth - training_mean).mean())
    return {
        "mae": mae,
        "rmse": float(np.sqrt(np.mean(error**2))),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else float("nan"),
        "norm": mae / uninformed if uninformed > 0 else float("nan"),
    }


def classification_scores(truth: NDArray[Any], predicted: NDArray[Any], score: NDArray[Any]) -> dict[str, float]:
    """Score the predictions of two classes.

    Parameters
    ----------
    truth, predicted : int array, shape (n_rows,)
        0 or 1, of the test rows; both classes are among the true ones.
    score : float array, shape (n_rows,)
        Probability or decision function of class 1.

    Returns
    -------
    dict of str to float
        roc_auc, accuracy, balanced_accuracy and norm.

    Examples
    --------
    >>> classification_scores(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), np.array([0.1, 0.4, 0.3, 0.8]))
    {'roc_auc': 0.75, 'accuracy': 0.75, 'balanced_accuracy': 0.75, 'norm': 0.5}
    """
    area = float(roc_auc_score(truth, score))
    return {
        "roc_auc": area,
        "accuracy": float(accuracy_score(truth, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(truth, predicted)),
        "norm": (1 - area) / 0.5,
    }


def average_scores(
    scores: pd.DataFrame, task: Task, *, over: str, against: str, within: Sequence[str] = ()
) -> pd.DataFrame:
    """Average scores over folds or repeats, and compare each feature set with another, one by one.

    Parameters
    ----------
    scores : DataFrame
        One row a trial: the facts of a feature set, the columns `over` and `within`, and the metrics of the task.
    task : {"regression", "classification"}
        Which metrics there are.
    over : str
        Column of what is averaged over, such as "fold". Random draws are averaged within each first.
    against : str
        The feature set that the others are compared with.
    within : sequence of str
        Further columns that are kept apart, such as "size".

    Returns
    -------
    DataFrame, index ``features`` and `within`
        ``kind``, ``n_features``, ``n_missing``; mean and standard error ``*_se`` of each metric; mean and standard
        error of the paired difference of the first metric, as ``vs_{against}``.

    Raises
    ------
    ValueError
        If there are no such features.
    """
    names = scores["features"].drop_duplicates()
    if against not in set(names):
        msg = f"against must be one of {', '.join(names)}; got {against!r}"
        raise ValueError(msg)
    metrics, keys, difference = list(METRICS[task]), ["features", *within], f"vs_{against}"
    averages = scores.groupby(keys, sort=False)[["kind", "n_features", "n_missing"]].first()
    trials = scores.groupby([*keys, over], sort=False)[metrics].mean()
    leading = trials[metrics[0]]
    reference = leading.xs(against, level="features").reindex(trials.reset_index("features").index)
    trials[difference] = leading - reference.to_numpy()
    for column in (*metrics, difference):
        by_features = trials[column].groupby(level=keys, sort=False)
        averages[column], averages[f"{column}_se"] = by_features.mean(), by_features.sem()
    return averages
