"""Order the columns of a table by what they tell about a target, those that only repeat others last."""

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from matembed.downstream.tasks import Task
from matembed.encoders._training import check_count

__all__ = ["FEWEST_RANKED", "rank_columns", "spread"]

FEWEST_RANKED = 4  # rows, of which each has the three neighbours that mutual information is found from
_SAME = 0.95  # rank correlation from which on a column repeats another


def rank_columns(
    X: ArrayLike, y: ArrayLike, *, task: Task = "regression", max_rows: int = 1000, seed: int = 0
) -> NDArray[np.int64]:
    """Order columns by their mutual information with a target, those that repeat a better one last.

    A column repeats another where the absolute value of their rank correlation is above 0.95.

    Parameters
    ----------
    X : array-like, shape (n_rows, n_columns)
        Training rows; finite.
    y : array-like, shape (n_rows,)
        Their targets.
    task : {"regression", "classification"}, default "regression"
        What is to be learned.
    max_rows : int, default 1000
        The most rows to look at, drawn at random; 4 or more.
    seed : int, default 0
        Of that draw, and of the noise that breaks ties.

    Returns
    -------
    int array, shape (n_columns,)
        Positions of columns, the best first; fewer than 4 rows make none better than another.

    Raises
    ------
    ValueError
        If `task` is unknown, or `max_rows` or `seed` no such number.

    Examples
    --------
    >>> rows = np.random.default_rng(0).random((200, 2))
    >>> rank_columns(np.column_stack([rows, rows[:, 1] ** 3]), rows[:, 1]).tolist()
    [1, 0, 2]
    """
    if task not in get_args(Task):
        msg = f"task must be one of {', '.join(get_args(Task))}; got {task!r}"
        raise ValueError(msg)
    check_count("max_rows", max_rows, least=FEWEST_RANKED)
    check_count("seed", seed, least=0)
    rows, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64 if task == "regression" else None)
    drawn = np.random.default_rng(seed).permutation(len(rows))[:max_rows]
    rows, target = rows[drawn], target[drawn]
    target = target / spread(target) if task == "regression" else target
    varies = np.ptp(rows, axis=0) > 0
    relevance = np.where(varies, 0.0, -1.0)
    measure = mutual_info_regression if task == "regression" else mutual_info_classif
    if varies.any() and len(rows) >= FEWEST_RANKED:
        relevance[varies] = measure(rows[:, varies], target, random_state=seed)
    ranks = rankdata(rows, axis=0)
    ranks -= ranks.mean(axis=0)
    ranks /= np.maximum(np.linalg.norm(ranks, axis=0), 1e-12)
    alike = np.abs(ranks.T @ ranks) > _SAME
    order = np.argsort(-relevance, kind="stable")
    taken = np.zeros(len(order), dtype=bool)
    for column in order:
        taken[column] = varies[column] and not (alike[column] & taken).any()
    return np.concatenate([order[taken[order]], order[~taken[order]]]).astype(np.int64)


def spread(target: NDArray[np.float64]) -> float:
    """Measure the standard deviation of targets; 1 if they are all the same."""
    if np.ptp(target) == 0:
        return 1.0
    most = np.abs(target).max()  # squares of tiny or huge numbers are 0 or infinite
    return float(most * (target / most).std())
