"""Models by name: the regressors and classifiers that tables are compared with, all settings fixed.

=============== ===================================================================================================
name            model
=============== ===================================================================================================
"ridge"         ridge regression of features that are clipped to their training range and standardised; the
                penalty, 0.1 to 1e5, has the least mean absolute error of leave-one-out on the training rows
"kernel_ridge"  `ExponentialKernelRidge` of the same features
"extra_trees"   100 extremely randomised trees; about 50 columns are tried at each split
"random_forest" 100 trees of bootstrap samples; about 50 columns are tried at each split
"boosted_trees" LightGBM: 100 trees of up to 15 leaves of 20 rows or more, learning rate 0.1; each tree has about 50
                of the columns. Of fewer than 40 training rows it predicts the mean
=============== ===================================================================================================

In a classification, the two kinds of ridge are regressions on 0 and 1, and the trees give probabilities. The trees
take NaN. They gain from extremes: pool with mean, std, min and max. Each runs in one thread and is repeated by its
seed.
"""

from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from matembed._optional import import_extra
from matembed.downstream.scaling import ClippedScaler
from matembed.downstream.tasks import Task

__all__ = ["MODELS", "ExponentialKernelRidge", "ModelName", "RegressionClassifier", "check_model", "make_model"]

ModelName = Literal["ridge", "kernel_ridge", "extra_trees", "random_forest", "boosted_trees"]
MODELS: tuple[ModelName, ...] = get_args(ModelName)

_PENALTIES = np.logspace(-1, 5, 13)  # smaller ones win leave-one-out by chance where columns outnumber rows
_FORESTS = {
    ("extra_trees", "regression"): ExtraTreesRegressor,
    ("extra_trees", "classification"): ExtraTreesClassifier,
    ("random_forest", "regression"): RandomForestRegressor,
    ("random_forest", "classification"): RandomForestClassifier,
}
_N_TREES = 100
_ROUNDING = 1e-13  # of squared norms: less between two rows is rounding
_COLUMNS_TRIED = 50


class ExponentialKernelRidge(RegressorMixin, BaseEstimator):
    """Kernel ridge regression with the kernel exp(-distance / length), which chooses its own settings.

    The kernel is the Matérn kernel with smoothness 1/2 [1]_. Length and noise are those with the least mean absolute
    error of leave-one-out, which needs no refit: with the targets z less their mean and A = K + noise, the row i that
    is left out is missed by (A^-1 z)_i / (A^-1)_ii.

    Parameters
    ----------
    lengths : sequence of float, default (0.5, 1, 2, 5)
        Lengths to try, in units of the median distance between training rows.
    noises : sequence of float, default 1e-3 to 1, two a decade
        Ridge penalties to try, to be added to the diagonal of the kernel.
    n_select : int, default 500
        The most training rows, drawn at random, on which the choice is made. All rows are then fitted.
    seed : int, default 0
        Of that draw.

    Attributes
    ----------
    length_, noise_ : float
        What was chosen, the length in the unit of the features.
    loo_error_ : float
        Mean absolute error of leave-one-out on the rows of the choice, in the unit of the target.
    mean_ : float
        Mean of the training targets, which is predicted far from all rows.
    rows_ : float array, shape (n_rows, n_columns)
        Training rows.
    weights_ : float array, shape (n_rows,)
        Weight of the kernel at each.

    Notes
    -----
    Time and memory grow with the cube and the square of the training rows: 10,000 of them take 0.8 GB. Scale the
    features first. `matembed.evaluate` has ``max_train``.

    References
    ----------
    .. [1] C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning (MIT Press, 2006), 4.2, 5.4.

    Examples
    --------
    >>> rows = np.linspace(0, 3, 30)[:, None]
    >>> model = ExponentialKernelRidge().fit(rows, np.sin(rows[:, 0]))
    >>> model.predict([[1.5]])
    array([0.99...])
    """

    def __init__(
        self,
        *,
        lengths: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0),
        noises: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0),
        n_select: int = 500,
        seed: int = 0,
    ) -> None:
        self.lengths = lengths
        self.noises = noises
        self.n_select = n_select
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Choose length and noise, and fit all rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Training rows; finite.
        y : array-like of float, shape (n_rows,)
            Their targets.

        Returns
        -------
        ExponentialKernelRidge
            This model.

        Raises
        ------
        ValueError
            If rows and targets do not fit each other, there are fewer than two, or they are not finite.
        """
        rows, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if rows.ndim != 2 or target.shape != rows.shape[:1] or len(rows) < 2:
            msg = f"wanted two or more rows with a target each, got shapes {rows.shape} and {target.shape}"
            raise ValueError(msg)
        if not (np.isfinite(rows).all() and np.isfinite(target).all()):
            msg = "rows and targets must be finite; leave others out, or fill them"
            raise ValueError(msg)
        self.mean_ = float(target.mean())
        chosen = np.random.default_rng(self.seed).permutation(len(rows))[: self.n_select]
        self.loo_error_, self.length_, self.noise_ = self._choice(rows[chosen], target[chosen] - self.mean_)
        kernel = np.exp(-_distances(rows, rows) / self.length_)
        kernel[np.diag_indices_from(kernel)] += self.noise_
        self.rows_ = rows
        self.weights_ = cho_solve(cho_factor(kernel, lower=True, overwrite_a=True), target - self.mean_)
        return self

    def _choice(self, rows: NDArray[np.float64], centred: NDArray[np.float64]) -> tuple[float, float, float]:
        """Return the least error, and the length and the noise that give it."""
        distance = _distances(rows, rows)
        pairs = distance[np.triu_indices_from(distance, k=1)]
        # Where most rows repeat others, the median of all pairs is 0.
        unit = float(np.median(pairs) or np.median(pairs[pairs > 0] if pairs.any() else 1.0))
        tried = []
        for length in self.lengths:
            values, vectors = np.linalg.eigh(np.exp(-distance / (length * unit)))
            projected = vectors.T @ centred
            for noise in self.noises:
                inverse = 1 / (np.maximum(values, 0) + noise)
                missed = vectors @ (inverse * projected) / (vectors**2 @ inverse)
                tried.append((float(np.abs(missed).mean()), length * unit, noise))
        return min(tried)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        float64 array, shape (n_rows,)
            In the unit of the target.
        """
        check_is_fitted(self)
        distance = _distances(np.asarray(X, dtype=np.float64), self.rows_)
        predicted: NDArray[np.float64] = np.exp(-distance / self.length_) @ self.weights_ + self.mean_
        return predicted


def _distances(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances; exactly 0 between equal rows, which rounding would put a little apart."""
    norms = np.einsum("ij,ij->i", some, some)[:, None] + np.einsum("ij,ij->i", others, others)
    squared = euclidean_distances(some, others, squared=True)
    squared[squared <= _ROUNDING * norms] = 0
    return np.asarray(np.sqrt(squared))


class RegressionClassifier(ClassifierMixin, BaseEstimator):
    """Tell two classes apart by a regression on 0 and 1.

    Parameters
    ----------
    regressor : scikit-learn regressor
        Cloned by `fit`.

    Attributes
    ----------
    regressor_ : scikit-learn regressor
        The fitted clone.
    classes_ : array, shape (2,)
        The classes, sorted; the second is 1.

    Examples
    --------
    >>> model = RegressionClassifier(RidgeCV()).fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
    >>> model.predict([[0.5], [2.5]])
    array(['no', 'yes'], dtype='<U3')
    """

    def __init__(self, regressor: BaseEstimator) -> None:
        self.regressor = regressor

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the regressor.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Training rows.
        y : array-like, shape (n_rows,)
            Their classes.

        Returns
        -------
        RegressionClassifier
            This model.

        Raises
        ------
        ValueError
            If there are not two classes.
        """
        self.classes_, numbers = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) != 2:
            msg = f"a classification takes two classes, got {len(self.classes_)}: {self.classes_.tolist()!r:.60}"
            raise ValueError(msg)
        self.regressor_ = clone(self.regressor).fit(X, numbers.astype(np.float64))
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Say how far rows are on the side of the second class.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        float64 array, shape (n_rows,)
            Positive for the second class, about -1/2 to 1/2.
        """
        check_is_fitted(self)
        return np.asarray(self.regressor_.predict(X), dtype=np.float64) - 0.5

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the classes of rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        array, shape (n_rows,)
            One of `classes_` each.
        """
        return self.classes_[(self.decision_function(X) > 0).astype(np.int64)]


def make_model(
    name: ModelName,
    task: Task = "regression",
    *,
    n_columns: int | None = None,
    magnitude: ArrayLike | None = None,
    seed: int = 0,
) -> BaseEstimator:
    """Make a model by its name, with the settings that this module's docstring lists.

    Parameters
    ----------
    name : {"ridge", "kernel_ridge", "extra_trees", "random_forest", "boosted_trees"}
        Which model. "boosted_trees" needs ``pip install "matembed[boost]"``.
    task : {"regression", "classification"}
        What to learn.
    n_columns : int, optional
        Number of columns of the features, of which trees try about 50; by default they try all.
    magnitude : array-like, shape (n_columns,), optional
        Passed to `ClippedScaler` by the two kinds of ridge.
    seed : int, default 0
        Of the trees, and of the rows on which kernel ridge makes its choice.

    Returns
    -------
    scikit-learn estimator
        Not fitted; it can be cloned.

    Raises
    ------
    ValueError
        If `name` or `task` is unknown.
    ImportError
        If LightGBM is asked for and not installed.

    Examples
    --------
    >>> make_model("extra_trees").n_estimators
    100
    """
    if name not in MODELS:
        msg = f"model must be a scikit-learn estimator or one of {', '.join(MODELS)}; got {name!r}"
        raise ValueError(msg)
    if task not in get_args(Task):
        msg = f"task must be one of {', '.join(get_args(Task))}; got {task!r}"
        raise ValueError(msg)
    share = min(1.0, _COLUMNS_TRIED / (n_columns or _COLUMNS_TRIED))
    if name == "boosted_trees":
        lightgbm = import_extra("lightgbm", extra="boost")
        kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
        return kind(
            n_estimators=_N_TREES,
            learning_rate=0.1,
            num_leaves=15,
            colsample_bytree=share,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            random_state=seed,
            verbose=-1,
        )
    if (name, task) in _FORESTS:
        return _FORESTS[name, task](n_estimators=_N_TREES, max_features=share, n_jobs=1, random_state=seed)
    regressor: BaseEstimator = (
        RidgeCV(alphas=_PENALTIES, scoring=_closeness) if name == "ridge" else ExponentialKernelRidge(seed=seed)
    )
    return make_pipeline(
        ClippedScaler(magnitude), regressor if task == "regression" else RegressionClassifier(regressor)
    )


def _closeness(estimator: Any, rows: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Score by the negative mean absolute error, in half the time of scikit-learn's scorer."""
    return -float(np.abs(estimator.predict(rows) - target).mean())


def check_model(model: Any, task: Task) -> None:
    """Refuse what is neither the name of a model nor an estimator for the task.

    Parameters
    ----------
    model : str or scikit-learn estimator
        A name that `make_model` knows, or a model of one's own.
    task : {"regression", "classification"}
        What it is to learn.

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If the name is unknown, or it is an estimator for the other task.
    ImportError
        If the model needs an extra that is not installed.

    Examples
    --------
    >>> check_model("forest", "regression")
    Traceback (most recent call last):
        ...
    ValueError: model must be a scikit-learn estimator or one of ridge, kernel_ridge, ...; got 'forest'
    """
    if isinstance(model, str):
        make_model(model, task)  # type: ignore[arg-type]
        return
    if isinstance(model, type) or not all(hasattr(model, name) for name in ("fit", "predict", "get_params")):
        known = ", ".join(MODELS)
        msg = (
            "model must be a scikit-learn estimator, such as RandomForestRegressor(), "
            f"or one of {known}; got {model!r:.80}"
        )
        raise TypeError(msg)
    if is_classifier(model) != (task == "classification"):
        other = "regressor" if task == "regression" else "classifier"
        msg = f"the task is a {task}: pass a {other} as model, or another task; got {type(model).__name__}"
        raise ValueError(msg)
