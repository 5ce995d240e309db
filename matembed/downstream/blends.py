"""Blends: several models of one table of columns, averaged with weights that training rows choose.

On small tables of well-made columns no single kind of model wins: trees, boosting and kernels are wrong about different
materials, and their mean is better than each. A member is a model with a transform of the target that it learns, where
y, and e, are divided by the standard deviation of y in training, so that no unit is too large or too small:

============ ===================================================================================================
transform    what is learned
============ ===================================================================================================
"none"       y
"log"        log y
"ratio"      log (y / e), where e is a column that is an estimate of the target already, if a rough one
"difference" y - e
============ ===================================================================================================

A blend learns everything it chooses from predictions of training rows that were left out: how many columns each member
sees, then the weights of all members, many of which are 0. Columns come in the order of their mutual information with
the target, those that repeat one before put behind, which is MODNet's idea [1]_ with rank correlations in place of its
normalised mutual information. Weights from predictions of rows left out are stacking [2]_.

=============== ===================================================================================================
model           settings
=============== ===================================================================================================
"ridge"         that of `matembed.make_model`
"kernel_ridge"  that of `matembed.make_model`
"extra_trees"   200 extremely randomised trees; 30 % of the columns are tried at each split
"boosted_trees" LightGBM: 500 trees of up to 31 leaves, learning rate 0.04; each tree has 25 % of the columns and 80 %
                of the rows
=============== ===================================================================================================

References
----------
.. [1] P.-P. De Breuck, G. Hautier, G.-M. Rignanese, npj Comput. Mater. 7, 83 (2021).
.. [2] D. H. Wolpert, Neural Networks 5, 241 (1992).
"""

from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from matembed.downstream._blending import (
    MEMBERS,
    Members,
    Settings,
    Transform,
    Tried,
    Weighting,
    as_several,
    best_members,
    blended,
    fit_members,
    is_count,
)

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["BlendClassifier", "BlendRegressor", "Transform"]

Floats = NDArray[np.float64]


class BlendRegressor(RegressorMixin, BaseEstimator):
    """Average several regressors, with settings and weights that rows left out in training choose.

    Parameters
    ----------
    models : sequence of str, or mapping of str to str or regressor
        Members: names of `make_model`, or regressors by a name of one's own. By default kernel ridge, extra trees and
        boosted trees; the last need ``pip install "matembed[boost]"``.
    n_columns : int, sequence of int or None, or mapping of str to such, optional
        Numbers of columns to try, of those ranked best; None in a sequence or mapping is all of them. By default trees
        by name get all, and all others 30, 100, 300 and all to choose from; a mapping says it for some models.
    target_transform : "auto", or one or more of {"none", "log", "ratio", "difference"}, default "auto"
        What members learn, each model by each transform. "auto" is "none", "log" if all targets are positive, and with
        an `estimate` also "ratio", or "difference" where one of both is not positive.
    estimate : int or str, optional
        A column that estimates the target: its position, or its name in a DataFrame.
    weighting : {"fitted", "equal"}, default "fitted"
        Weights with the least mean absolute error on rows left out, or the same for all.
    n_splits : int, default 5
        Folds of the training rows.
    n_seeds : int, default 3
        How many of each member that depends on a seed are averaged in the end; kernels count as one that does not.
    max_rank_rows : int, default 1000
        The most rows from which columns are ranked; 4 or more.
    seed : int, default 0
        Of the folds, the ranks and the first of each member; the next ones have the seeds that follow, 0 after
        4,294,967,295, the last.

    Attributes
    ----------
    weights_ : dict of str to float
        Of each member, ``"{model}: {transform}"``, such as "kernel_ridge: log"; they add to 1.
    n_columns_ : dict of str to int
        How many columns each member sees.
    target_transforms_ : dict of str to str
        The best transform of each model.
    inner_errors_ : dict of str to float
        Mean absolute error of each member, and of the "blend", on rows left out in training, in the unit of the
        target. The settings were chosen on these very rows, so that they are slightly too small.
    columns_ : int array, shape (n_columns,)
        Columns by rank, from all training rows; in their order, if every member sees all.
    range_ : tuple of float
        Smallest and largest target in training, to which predictions are clipped.
    n_features_in_ : int
        Columns of the training rows.
    feature_names_in_ : object array of str, shape (n_columns,)
        Their names, if they came as a DataFrame; rows to predict then have the same, in the same order.

    See Also
    --------
    BlendClassifier : The same for two classes.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((80, 3))
    >>> blend = BlendRegressor(models=["ridge", "kernel_ridge"], n_columns=[1, None]).fit(rows, rows[:, 1])
    >>> blend.n_columns_
    {'ridge: none': 1, 'kernel_ridge: none': 1}
    >>> round(sum(blend.weights_.values()), 3), int(blend.columns_[0])
    (1.0, 1)
    """

    def __init__(
        self,
        *,
        models: Members = MEMBERS,
        n_columns: Tried = None,
        target_transform: Literal["auto"] | Transform | Sequence[Transform] = "auto",
        estimate: int | str | None = None,
        weighting: Weighting = "fitted",
        n_splits: int = 5,
        n_seeds: int = 3,
        max_rank_rows: int = 1000,
        seed: int = 0,
    ) -> None:
        self.models = models
        self.n_columns = n_columns
        self.target_transform = target_transform
        self.estimate = estimate
        self.weighting = weighting
        self.n_splits = n_splits
        self.n_seeds = n_seeds
        self.max_rank_rows = max_rank_rows
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Choose settings and weights, and fit every member to all rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Training rows; finite.
        y : array-like of float, shape (n_rows,)
            Their targets.
        groups : array-like, shape (n_rows,), optional
            Labels of rows that are left out together, such as reduced formulas.

        Returns
        -------
        BlendRegressor
            This model.

        Raises
        ------
        TypeError
            If a member is neither a name nor a regressor.
        ValueError
            If a setting is refused, rows and targets do not fit each other or are not finite, there are too few for
            the folds, "log" is wanted and a target is not positive, or no weights are found.
        ImportError
            If a member needs an extra that is not installed.
        """
        settings = Settings.read(self, "regression")
        rows, given = _read(self, X, y)
        target = _numbers(given)
        estimate = self._estimate(rows.shape[1])
        fitted = fit_members(rows, target, groups, settings, self._transforms(rows, target, estimate), estimate)
        self.members_, self.columns_, self.inner_errors_ = fitted.members, fitted.columns, fitted.errors
        self.range_ = (float(target.min()), float(target.max()))
        self.weights_ = {one.key: one.weight for one in fitted.members}
        self.n_columns_ = {one.key: one.n_columns for one in fitted.members}
        self.target_transforms_ = {one.name: one.transform for one in best_members(fitted.members, fitted.errors)}
        return self

    def _estimate(self, n_columns: int) -> int | None:
        """Find the position of the estimate, if there is one."""
        if self.estimate is None:
            return None
        names = list(getattr(self, "feature_names_in_", ()))
        place = names.index(self.estimate) if self.estimate in names else self.estimate
        if not (is_count(place, 0) and int(place) < n_columns):
            wanted = f"the position, or the name in a DataFrame, of one of {n_columns} columns"
            msg = f"estimate must be {wanted}, got {self.estimate!r}"
            raise ValueError(msg)
        return int(place)

    def _transforms(self, rows: Floats, target: Floats, estimate: int | None) -> tuple[str, ...]:
        """List the transforms to try, all of which the target and its estimate allow."""
        positive = bool((target > 0).all())
        divides = positive and estimate is not None and bool((rows[:, estimate] > 0).all())
        if self.target_transform == "auto":
            by_estimate = () if estimate is None else ("ratio" if divides else "difference",)
            return ("none", *(("log",) if positive else ()), *by_estimate)
        known, tried = get_args(Transform), as_several(self.target_transform)
        if not tried or any(one not in known for one in tried) or len(set(tried)) < len(tried):
            msg = f'target_transform must be "auto" or some of {", ".join(known)}; got {self.target_transform!r}'
            raise ValueError(msg)
        if ("log" in tried and not positive) or ("ratio" in tried and not divides):
            msg = "log takes positive targets, and ratio also an estimate (a column) that is positive; choose another"
            raise ValueError(msg)
        if "difference" in tried and estimate is None:
            msg = "difference takes an estimate, a column; name one"
            raise ValueError(msg)
        return tried

    def predict(self, X: ArrayLike) -> Floats:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        float64 array, shape (n_rows,)
            In the unit of the target.

        Raises
        ------
        ValueError
            If rows are not finite, or not of the columns that were learned from.
        """
        rows = _asked(self, X)
        return np.asarray(np.clip(blended(self.members_, self.columns_, rows), *self.range_))

    def predict_members(self, X: ArrayLike) -> dict[str, Floats]:
        """Predict by each model alone, with its best transform and whatever its weight.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        dict of str to float64 array, shape (n_rows,)
            Means over seeds, clipped as those of the blend are.

        Raises
        ------
        ValueError
            If rows are not finite, or not of the columns that were learned from.
        """
        rows = _asked(self, X)
        best = best_members(self.members_, self.inner_errors_)
        return {one.name: np.clip(one.predict(rows, self.columns_), *self.range_) for one in best}


class BlendClassifier(ClassifierMixin, BaseEstimator):
    """Average the probabilities of several classifiers of two classes, as `BlendRegressor` averages predictions.

    Parameters
    ----------
    models : sequence of str, or mapping of str to str or classifier
        Members; of "ridge" and "kernel_ridge", regressions on 0 and 1 cut to that range stand for probabilities.
    n_columns, weighting, n_splits, n_seeds, max_rank_rows, seed
        As for `BlendRegressor`; errors are mean squared errors of the probabilities (Brier scores).

    Attributes
    ----------
    classes_ : array, shape (2,)
        The classes, sorted.
    weights_, n_columns_, inner_errors_ : dict
        As for `BlendRegressor`, by model.
    columns_ : int array, shape (n_columns,)
        Columns by rank, from all training rows; in their order, if every member sees all.
    n_features_in_, feature_names_in_
        As for `BlendRegressor`.

    See Also
    --------
    BlendRegressor : The same for numbers.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((80, 3))
    >>> named = np.where(rows[:, 1] > 0, "glass", "crystal")
    >>> blend = BlendClassifier(models=["ridge", "extra_trees"], n_columns=[1], n_seeds=1).fit(rows, named)
    >>> blend.predict([[0, 2, 0], [0, -2, 0]])
    array(['glass', 'crystal'], dtype='<U7')
    """

    def __init__(
        self,
        *,
        models: Members = MEMBERS,
        n_columns: Tried = None,
        weighting: Weighting = "fitted",
        n_splits: int = 5,
        n_seeds: int = 3,
        max_rank_rows: int = 1000,
        seed: int = 0,
    ) -> None:
        self.models = models
        self.n_columns = n_columns
        self.weighting = weighting
        self.n_splits = n_splits
        self.n_seeds = n_seeds
        self.max_rank_rows = max_rank_rows
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Choose settings and weights, and fit every member to all rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Training rows; finite.
        y : array-like, shape (n_rows,)
            Their classes, two of them.
        groups : array-like, shape (n_rows,), optional
            Labels of rows that are left out together, such as reduced formulas.

        Returns
        -------
        BlendClassifier
            This model.

        Raises
        ------
        TypeError
            If a member is neither a name nor a classifier.
        ValueError
            If a setting is refused, rows and classes do not fit each other, rows are not finite, a class is missing,
            there are not two classes of one kind, or one has fewer rows than there are folds.
        ImportError
            If a member needs an extra that is not installed.
        """
        settings = Settings.read(self, "classification")
        rows, named = _read(self, X, y)
        classes, numbers = _classes(named, settings.n_splits)
        fitted = fit_members(rows, numbers, groups, settings, ("none",), None)
        self.classes_, self.members_, self.columns_ = classes, fitted.members, fitted.columns
        self.weights_ = {one.name: one.weight for one in fitted.members}
        self.n_columns_ = {one.name: one.n_columns for one in fitted.members}
        self.inner_errors_ = {key.removesuffix(": none"): error for key, error in fitted.errors.items()}
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Say how probable each class is.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        float64 array, shape (n_rows, 2)
            In the order of `classes_`; rows add to 1.

        Raises
        ------
        ValueError
            If rows are not finite, or not of the columns that were learned from.
        """
        rows = _asked(self, X)
        second = np.clip(blended(self.members_, self.columns_, rows), 0, 1)
        return np.column_stack([1 - second, second])

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

        Raises
        ------
        ValueError
            If rows are not finite, or not of the columns that were learned from.
        """
        second = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[second.astype(np.int64)])

    def predict_members(self, X: ArrayLike) -> dict[str, Floats]:
        """Say how probable the second class is by each model alone, whatever its weight.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_columns)
            Any rows.

        Returns
        -------
        dict of str to float64 array, shape (n_rows,)
            Means over seeds.

        Raises
        ------
        ValueError
            If rows are not finite, or not of the columns that were learned from.
        """
        rows = _asked(self, X)
        return {one.name: one.predict(rows, self.columns_) for one in self.members_}

    def __sklearn_tags__(self) -> "Tags":
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _read(blend: BlendRegressor | BlendClassifier, X: ArrayLike, y: ArrayLike) -> tuple[Floats, NDArray[Any]]:
    """Check training rows and their targets, and keep the number and the names of columns."""
    given, listed = None if y is None else np.asarray(y), np.asarray(y, dtype=object)
    missing = np.atleast_1d(pd.isna(listed))  # in a list, before None or NaN turn into text
    if given is not None and missing.any():
        first = np.flatnonzero(missing)[0]
        msg = f"no target for {missing.sum():,} of {missing.size:,} rows, the first at position {first}; leave them out"
        raise ValueError(msg)
    if given is not None and given.dtype.kind in "SU" and not all(isinstance(one, str | bytes) for one in listed.flat):
        given = listed  # as it was, before numbers turned into text
    rows, target = validate_data(blend, X, given, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=2)
    return _finite(rows), target


def _asked(blend: BlendRegressor | BlendClassifier, X: ArrayLike) -> Floats:
    """Check that the blend has learned, and that rows have the columns of those that it learned from."""
    check_is_fitted(blend, "members_")
    return _finite(validate_data(blend, X, reset=False, dtype=np.float64, ensure_all_finite=False))


def _finite(rows: Floats) -> Floats:
    if not np.isfinite(rows).all():
        msg = "rows must be finite, without NaN or inf; fill what is missing, or leave it out"
        raise ValueError(msg)
    return rows


def _numbers(target: NDArray[Any]) -> Floats:
    numeric = np.issubdtype(target.dtype, np.number)
    if target.dtype == object:  # as of a column from which missing entries were dropped
        numeric = all(isinstance(one, Real | Decimal) and not isinstance(one, bool) for one in target)
    if not numeric or not np.isfinite(numbers := target.astype(np.float64)).all():
        msg = "targets must be finite numbers; leave others out"
        raise ValueError(msg)
    return numbers


def _classes(named: NDArray[Any], least: int) -> tuple[NDArray[Any], Floats]:
    """Return the two classes, sorted, and the number of each row's, 0 or 1."""
    try:
        classes, numbers = np.unique(named, return_inverse=True)
    except TypeError:
        msg = "classes must be of one kind, such as all text or all numbers"
        raise ValueError(msg) from None
    if len(classes) > 2:  # in the words of scikit-learn, which its checks look for
        shown = f"{len(classes):,}: {classes.tolist()!r:.60}"
        msg = f"Only binary classification is supported, got {shown}; a continuous target is for BlendRegressor"
        raise ValueError(msg)
    if len(classes) < 2 or np.bincount(numbers).min() < least:
        counts = dict(zip(classes.tolist(), np.bincount(numbers).tolist(), strict=True))
        msg = f"wanted two classes of {least} or more rows each (n_splits), got {counts!r:.80}"
        raise ValueError(msg)
    return classes, numbers.astype(np.float64)
