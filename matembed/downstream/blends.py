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

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeAlias, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog, nnls
from scipy.sparse import csr_matrix, hstack, identity, vstack
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from matembed._optional import import_extra
from matembed.downstream.models import ModelName, check_model, make_model
from matembed.downstream.tasks import Task, read_groups
from matembed.encoders._training import check_count

if TYPE_CHECKING:
    from sklearn.utils import Tags

__all__ = ["BlendClassifier", "BlendRegressor", "Transform", "rank_columns"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Transform = Literal["none", "log", "ratio", "difference"]
Weighting = Literal["fitted", "equal"]
Tried: TypeAlias = "int | Sequence[int | None] | Mapping[str, int | Sequence[int | None] | None] | None"
Members: TypeAlias = "Sequence[ModelName] | Mapping[str, ModelName | BaseEstimator]"

_MEMBERS: tuple[ModelName, ...] = ("kernel_ridge", "extra_trees", "boosted_trees")
_FEWER: tuple[int | None, ...] = (30, 100, 300, None)  # columns to try for models that cannot choose some themselves
_TREES = ("extra_trees", "random_forest", "boosted_trees")
_SEEDS = ("random_state", "seed")  # names that estimators have for theirs
_N_SEEDS = 2**32  # as many as scikit-learn takes, from 0 on
_GRAIN = 2.0**-40  # of each target: last digits differ between units, and would choose between equal splits
_MOST_WEIGHED = 5000  # rows left out that weights are found from
_LEAST_WEIGHT = 1e-3  # members of less are left out
_SAME = 0.95  # rank correlation from which on a column repeats another
_FEWEST_RANKED = 4  # rows, of which each has the three neighbours that mutual information is found from


def rank_columns(
    X: ArrayLike, y: ArrayLike, *, task: Task = "regression", max_rows: int = 1000, seed: int = 0
) -> Integers:
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
    check_count("max_rows", max_rows, least=_FEWEST_RANKED)
    check_count("seed", seed, least=0)
    rows, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64 if task == "regression" else None)
    drawn = np.random.default_rng(seed).permutation(len(rows))[:max_rows]
    rows, target = rows[drawn], target[drawn]
    target = target / _spread(target) if task == "regression" else target
    varies = np.ptp(rows, axis=0) > 0
    relevance = np.where(varies, 0.0, -1.0)
    measure = mutual_info_regression if task == "regression" else mutual_info_classif
    if varies.any() and len(rows) >= _FEWEST_RANKED:
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
    estimate : int, optional
        Position of a column that estimates the target.
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
        models: Members = _MEMBERS,
        n_columns: Tried = None,
        target_transform: Literal["auto"] | Transform | Sequence[Transform] = "auto",
        estimate: int | None = None,
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
        settings = _Settings.read(self, "regression")
        rows, given = _read(self, X, y)
        target = _numbers(given)
        fitted = _fit(rows, target, groups, settings, self._transforms(rows, target), self.estimate)
        self.members_, self.columns_, self.inner_errors_ = fitted.members, fitted.columns, fitted.errors
        self.range_ = (float(target.min()), float(target.max()))
        self.weights_ = {one.key: one.weight for one in fitted.members}
        self.n_columns_ = {one.key: one.n_columns for one in fitted.members}
        self.target_transforms_ = {one.name: one.transform for one in _best(fitted.members, fitted.errors)}
        return self

    def _transforms(self, rows: Floats, target: Floats) -> tuple[str, ...]:
        """List the transforms to try, all of which the target and its estimate allow."""
        if self.estimate is not None and not (_is_count(self.estimate, 0) and self.estimate < rows.shape[1]):
            msg = f"estimate must be the position of one of {rows.shape[1]} columns, got {self.estimate!r}"
            raise ValueError(msg)
        positive = bool((target > 0).all())
        divides = positive and self.estimate is not None and bool((rows[:, self.estimate] > 0).all())
        if self.target_transform == "auto":
            by_estimate = () if self.estimate is None else ("ratio" if divides else "difference",)
            return ("none", *(("log",) if positive else ()), *by_estimate)
        known, tried = get_args(Transform), _several(self.target_transform)
        if not tried or any(one not in known for one in tried) or len(set(tried)) < len(tried):
            msg = f'target_transform must be "auto" or some of {", ".join(known)}; got {self.target_transform!r}'
            raise ValueError(msg)
        if ("log" in tried and not positive) or ("ratio" in tried and not divides):
            msg = "log takes positive targets, and ratio also an estimate (a column) that is positive; choose another"
            raise ValueError(msg)
        if "difference" in tried and self.estimate is None:
            msg = "difference takes an estimate, the position of a column"
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
        return np.asarray(np.clip(_blended(self.members_, self.columns_, rows), *self.range_))

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
        best = _best(self.members_, self.inner_errors_)
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
        models: Members = _MEMBERS,
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
        settings = _Settings.read(self, "classification")
        rows, named = _read(self, X, y)
        classes, numbers = _classes(named, settings.n_splits)
        fitted = _fit(rows, numbers, groups, settings, ("none",), None)
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
        second = np.clip(_blended(self.members_, self.columns_, rows), 0, 1)
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


@dataclass(frozen=True)
class _Settings:
    """Settings of a blend, checked."""

    models: dict[str, Any]
    task: Task
    n_columns: dict[str, tuple[int | None, ...]]
    equal: bool
    n_splits: int
    n_seeds: int
    max_rank_rows: int
    seed: int

    @classmethod
    def read(cls, blend: BlendRegressor | BlendClassifier, task: Task) -> Self:
        given = blend.models
        listed = given if isinstance(given, Collection) and not isinstance(given, str) else ()
        models = dict(given) if isinstance(given, Mapping) else {str(name): name for name in listed}
        if not models or len(models) < len(listed) or "blend" in models:
            msg = f"models must be a list or mapping of one or more, each once and none 'blend'; got {given!r:.80}"
            raise ValueError(msg)
        for model in models.values():
            check_model(model, task)
        tried = _tried_columns(blend.n_columns, models)
        if not all(several and all(one is None or _is_count(one, 1) for one in several) for several in tried.values()):
            msg = f"n_columns must hold whole numbers from 1 on, or None for all columns; got {blend.n_columns!r}"
            raise ValueError(msg)
        if blend.weighting not in get_args(Weighting):
            msg = f"weighting must be one of {', '.join(get_args(Weighting))}, got {blend.weighting!r}"
            raise ValueError(msg)
        least = {"n_splits": 2, "n_seeds": 1, "max_rank_rows": _FEWEST_RANKED, "seed": 0}
        for name, fewest in least.items():
            check_count(name, getattr(blend, name), least=fewest)
        equal, ranked = blend.weighting == "equal", blend.max_rank_rows
        return cls(models, task, tried, equal, blend.n_splits, blend.n_seeds, ranked, blend.seed)


def _tried_columns(n_columns: Tried, models: Mapping[str, Any]) -> dict[str, tuple[int | None, ...]]:
    by_model = n_columns if isinstance(n_columns, Mapping) else {}
    if not set(by_model) <= set(models):
        msg = f"n_columns is for {', '.join(map(repr, by_model))}, but models are {', '.join(map(repr, models))}"
        raise ValueError(msg)
    default = {name: (None,) if model in _TREES else _FEWER for name, model in models.items()}
    if n_columns is not None and not isinstance(n_columns, Mapping):
        default = dict.fromkeys(models, _several(n_columns))
    return {name: _several(by_model[name]) if name in by_model else default[name] for name in models}


def _several(given: Any) -> tuple[Any, ...]:
    """Make one entry, or several, a tuple."""
    return tuple(given) if isinstance(given, Collection) and not isinstance(given, str) else (given,)


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


@dataclass(frozen=True)
class _Member:
    """A model that is fitted, with the setting that it got."""

    name: str
    transform: str
    n_columns: int
    estimate: int | None
    scale: float
    weight: float
    fitted: list[Any]

    @property
    def key(self) -> str:
        return f"{self.name}: {self.transform}"

    def predict(self, rows: Floats, columns: Integers) -> Floats:
        rows = _scaled(rows, self.estimate, self.scale)
        seen, estimate = rows[:, columns[: self.n_columns]], _estimate(rows, self.estimate)
        told = np.mean([_predicted(one, seen, estimate, self.transform) for one in self.fitted], axis=0)
        return np.asarray(self.scale * told)


class _Fitted(NamedTuple):
    members: list[_Member]
    columns: Integers
    errors: dict[str, float]


def _best(members: Sequence[_Member], errors: Mapping[str, float]) -> list[_Member]:
    """Choose the member of each model that has the least error on rows left out."""
    best: dict[str, _Member] = {}
    for one in sorted(members, key=lambda member: errors.get(member.key, 0.0)):
        best.setdefault(one.name, one)
    return [best[name] for name in dict.fromkeys(one.name for one in members)]


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


def _fit(
    rows: Floats,
    target: Floats,
    groups: ArrayLike | None,
    settings: _Settings,
    transforms: Sequence[str],
    estimate: int | None,
) -> _Fitted:
    """Choose the columns of each member and the weights from rows left out, then fit all rows."""
    scale = _spread(target) if settings.task == "regression" else 1.0  # models and solvers have thresholds near 1
    rows, target = _scaled(rows, estimate, scale), target / scale
    estimates, n_all = _estimate(rows, estimate), rows.shape[1]
    tried = [
        (name, transform, n_columns)
        for name, several in settings.n_columns.items()
        for transform in transforms
        for n_columns in sorted({n_all if one is None else min(int(one), n_all) for one in several})
    ]
    left_out = {setting: np.zeros(len(target)) for setting in tried}
    for train, test in _folds(target, groups, settings):
        if settings.task == "classification" and len(np.unique(target[train])) < 2:
            msg = f"one class is missing where {len(test)} rows are left out; use fewer n_splits, or other groups"
            raise ValueError(msg)
        columns = _ranked(rows[train], target[train], settings)
        for name, transform, n_columns in tried:
            seen, model = columns[:n_columns], _made(settings, name, settings.seed)
            learned = _learned(target[train], estimates[train], transform)
            _fit_one(model, rows[np.ix_(train, seen)], learned, settings.task)
            predicted = _predicted(model, rows[np.ix_(test, seen)], estimates[test], transform)
            left_out[name, transform, n_columns][test] = np.clip(predicted, target[train].min(), target[train].max())
    errors = {setting: _error(predicted, target, settings.task) for setting, predicted in left_out.items()}
    chosen = [
        min((one for one in tried if one[:2] == member), key=errors.__getitem__)
        for member in dict.fromkeys(one[:2] for one in tried)
    ]
    table = np.column_stack([left_out[setting] for setting in chosen])
    weights = np.full(len(chosen), 1 / len(chosen)) if settings.equal else _weights(table, target, settings.task)
    told = {f"{setting[0]}: {setting[1]}": scale * errors[setting] for setting in chosen}
    told["blend"] = scale * _error(table @ weights, target, settings.task)
    least = {name: min(errors[one] for one in chosen if one[0] == name) for name in settings.models}
    columns = _ranked(rows, target, settings)
    members = []
    for setting, weight in zip(chosen, weights.tolist(), strict=True):
        name, transform, n_columns = setting
        if weight < _LEAST_WEIGHT and errors[setting] > least[name]:
            continue  # neither in the blend nor the best of its model
        seeds = [(settings.seed + draw) % _N_SEEDS for draw in range(_n_draws(settings, name))]
        fitted = [_made(settings, name, seed) for seed in seeds]
        for model in fitted:
            _fit_one(model, rows[:, columns[:n_columns]], _learned(target, estimates, transform), settings.task)
        members.append(_Member(name, transform, n_columns, estimate, scale, weight, fitted))
    total = sum(one.weight for one in members)
    return _Fitted([replace(one, weight=one.weight / total) for one in members], columns, told)


def _spread(target: Floats) -> float:
    """Measure the standard deviation of targets; 1 if they are all the same."""
    if np.ptp(target) == 0:
        return 1.0
    most = np.abs(target).max()  # squares of tiny or huge numbers are 0 or infinite
    return float(most * (target / most).std())


def _scaled(rows: Floats, estimate: int | None, scale: float) -> Floats:
    """Divide the column that estimates the target, if there is one, by what targets are divided by."""
    if estimate is None:
        return rows
    divided = rows.copy()
    divided[:, estimate] /= scale
    return divided


def _estimate(rows: Floats, estimate: int | None) -> Floats:
    return np.ones(len(rows)) if estimate is None else rows[:, estimate]


def _learned(target: Floats, estimate: Floats, transform: str) -> Floats:
    match transform:
        case "log":
            learned = np.log(target)
        case "ratio":
            learned = np.log(target / estimate)
        case "difference":
            learned = target - estimate
        case _:
            learned = target
    mantissa, exponent = np.frexp(learned)
    return np.ldexp(np.rint(mantissa / _GRAIN) * _GRAIN, exponent)


def _folds(target: Floats, groups: ArrayLike | None, settings: _Settings) -> Iterator[tuple[Integers, Integers]]:
    labels = None if groups is None else read_groups(groups, len(target))
    n_kinds = len(target) if labels is None else len(np.unique(labels))
    if n_kinds < settings.n_splits:
        msg = f"{settings.n_splits} folds (n_splits) need as many rows or groups, got {n_kinds}"
        raise ValueError(msg)
    several = {
        ("regression", False): KFold,
        ("regression", True): GroupKFold,
        ("classification", False): StratifiedKFold,
        ("classification", True): StratifiedGroupKFold,
    }
    splitter = several[settings.task, labels is not None](settings.n_splits, shuffle=True, random_state=settings.seed)
    return iter(splitter.split(target, target, labels))


def _ranked(rows: Floats, target: Floats, settings: _Settings) -> Integers:
    numbers = [one for several in settings.n_columns.values() for one in several]
    if all(one is None or one >= rows.shape[1] for one in numbers):
        return np.arange(rows.shape[1])
    return rank_columns(rows, target, task=settings.task, max_rows=settings.max_rank_rows, seed=settings.seed)


def _made(settings: _Settings, name: str, seed: int) -> Any:
    """Make a member; one of the user's own gets the seed, by the name it has for it."""
    model, regression = settings.models[name], settings.task == "regression"
    if not isinstance(model, str):
        made = clone(model)
        return made.set_params(**{name: seed for name in _SEEDS if name in made.get_params()})
    if model == "extra_trees":
        kind = ExtraTreesRegressor if regression else ExtraTreesClassifier
        return kind(n_estimators=200, max_features=0.3, n_jobs=1, random_state=seed)
    if model == "boosted_trees":
        lightgbm = import_extra("lightgbm", extra="boost")
        kind = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
        return kind(
            n_estimators=500,
            learning_rate=0.04,
            num_leaves=31,
            colsample_bytree=0.25,
            subsample=0.8,
            subsample_freq=1,
            max_bin=63,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            random_state=seed,
            verbose=-1,
        )
    return make_model(model, settings.task, seed=seed)  # type: ignore[arg-type]


def _n_draws(settings: _Settings, name: str) -> int:
    """Count how often a member is fitted in the end: once where no seed changes much."""
    model = settings.models[name]
    if isinstance(model, str):
        return 1 if model in ("ridge", "kernel_ridge") else settings.n_seeds
    return settings.n_seeds if any(name in model.get_params() for name in _SEEDS) else 1


def _fit_one(model: Any, rows: Floats, learned: Floats, task: Task) -> None:
    model.fit(rows, learned if task == "regression" else learned.astype(np.int64))


def _predicted(model: Any, rows: Floats, estimate: Floats, transform: str) -> Floats:
    """Predict numbers, or the probability of class 1."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows)[:, 1], dtype=np.float64)
    if hasattr(model, "decision_function"):
        return np.clip(np.asarray(model.decision_function(rows), dtype=np.float64) + 0.5, 0, 1)
    predicted = np.asarray(model.predict(rows), dtype=np.float64)
    match transform:
        case "log":
            return np.exp(np.clip(predicted, -700, 700))
        case "ratio":
            return np.exp(np.clip(predicted, -700, 700)) * estimate
        case "difference":
            return predicted + estimate
        case _:
            return predicted


def _error(predicted: Floats, target: Floats, task: Task) -> float:
    missed = predicted - target
    return float(np.abs(missed).mean() if task == "regression" else (missed**2).mean())


def _weights(table: Floats, target: Floats, task: Task) -> Floats:
    """Find weights from 0 on that add to 1: least mean absolute error of numbers, least squares of probabilities."""
    if len(table) > _MOST_WEIGHED:  # which takes seconds; twice as many rows take four times as long
        some = np.random.default_rng(0).permutation(len(table))[:_MOST_WEIGHED]
        table, target = table[some], target[some]
    n_rows, n_members = table.shape
    if n_members == 1:
        return np.ones(1)
    if task == "classification":
        sure = 1e3 * np.sqrt(n_rows)  # as good as a constraint
        found = nnls(np.vstack([table, np.full(n_members, sure)]), np.append(target, sure))[0]
        return np.asarray(found / found.sum())
    table, target = table - target.mean(), target - target.mean()  # as weights add to 1, errors stay what they are
    cost = np.concatenate([np.zeros(n_members), np.ones(n_rows)])
    one = identity(n_rows, format="csr")  # each row's error bounds its own miss from both sides
    solved = linprog(
        cost,
        A_ub=vstack([hstack([csr_matrix(sign * table), -one]) for sign in (1, -1)]),  # type: ignore[call-overload]
        b_ub=np.concatenate([target, -target]),
        A_eq=np.concatenate([np.ones(n_members), np.zeros(n_rows)])[None],
        b_eq=[1],
        method="highs",
    )
    if not solved.success:
        msg = f'no weights were found: {solved.message} Pass weighting="equal", or other models'
        raise ValueError(msg)
    return np.asarray(solved.x[:n_members] / solved.x[:n_members].sum())


def _blended(members: Sequence[_Member], columns: Integers, rows: Floats) -> Floats:
    return np.asarray(sum(one.weight * one.predict(rows, columns) for one in members if one.weight > 0))
