"""What is an embedding table worth? Cross-validated scores, always beside one-hot and random vectors."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pymatgen.core.structure import IStructure
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline

from matembed.cards import Card
from matembed.downstream.features import (
    FormulaFeaturizer,
    MotifLevel,
    OnMissing,
    StructureFeaturizer,
    motif_level,
    motif_tokens,
)
from matembed.downstream.materials import Column, as_list, read_amounts, read_graphs
from matembed.downstream.pooling import Statistic
from matembed.downstream.scaling import ClippedScaler
from matembed.embeddings import EmbeddingTable, UnknownTokenError
from matembed.motifs import MotifGraph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Evaluation", "Splits", "Task", "evaluate", "one_hot_table", "random_table"]

Task = Literal["regression", "classification"]
Splits = Literal["random", "formula", "chemical_system"]
Level = Literal["elements"] | MotifLevel

_METRICS: dict[str, tuple[str, ...]] = {
    "regression": ("mae", "rmse", "r2"),
    "classification": ("roc_auc", "accuracy", "balanced_accuracy"),
}
_LOWER_IS_BETTER = ("mae", "rmse")
_ALPHAS = np.logspace(-3, 5, 17)
_KEYS = ("row", "fold", "target")
_ONE_HOT = "one_hot_elements"
_MOST_COLUMNS = 1000  # of one-hot motifs: 138,000 crystals take 2.2 GB with two statistics


class _Features(NamedTuple):
    """One set of features: a row for each material."""

    name: str
    kind: Literal["table", "baseline"]
    dim: int
    rows: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    n_missing: int
    column: str
    draw: int = 0

    def facts(self) -> dict[str, Any]:
        n_features = self.rows.shape[1] if self.dim else 0
        named = {"features": self.name, "kind": self.kind, "draw": self.draw}
        return named | {"dim": self.dim, "n_features": n_features, "n_missing": self.n_missing}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Cross-validated scores of embedding tables and of their baselines, on the same rows and folds.

    Attributes
    ----------
    scores : DataFrame
        One row for each set of features, draw and fold: ``features``, ``kind`` ("table" or "baseline"), ``draw``
        (of random vectors, else 0), ``dim``, ``n_features``, ``n_missing`` (materials, of all folds, with a token
        that the table lacks), ``fold``, ``n_train``, ``n_test``; then ``mae`` and ``rmse`` in the unit of the
        target and ``r2``, or ``roc_auc``, ``accuracy`` and ``balanced_accuracy``.
    predictions : DataFrame
        One row for each material, in the order given: ``row`` (its position), ``fold``, ``target``, and one
        column for each set of features, predicted while the material's fold was held out. Where several random
        tables were drawn, their columns end in ``.0``, ``.1``, ... In a classification the numbers are the
        probability, or the decision function, of the positive class.
    settings : mapping
        All that is needed to repeat the evaluation; plain values.

    See Also
    --------
    evaluate : Makes one.
    """

    scores: pd.DataFrame
    predictions: pd.DataFrame
    settings: Mapping[str, Any]

    def summary(self, *, against: str = _ONE_HOT) -> pd.DataFrame:
        """Average the scores over folds, and compare each set of features with another, fold by fold.

        Parameters
        ----------
        against : str, default "one_hot_elements"
            The set of features that the others are compared with.

        Returns
        -------
        DataFrame, index ``features``
            Best first. ``kind``, ``n_features``, ``n_missing``; mean of each metric over folds, and its standard
            error ``*_se``; mean and standard error of the paired difference of the first metric, mae or roc_auc,
            as ``vs_{against}``. Draws of random vectors are averaged within each fold first. Folds share training
            rows, so the standard errors are too small rather than too large [1]_.

        Raises
        ------
        ValueError
            If there are no such features.

        References
        ----------
        .. [1] C. Nadeau and Y. Bengio, Machine Learning 52, 239 (2003).
        """
        names = self.scores["features"].drop_duplicates()
        if against not in set(names):
            msg = f"against must be one of {', '.join(names)}; got {against!r}"
            raise ValueError(msg)
        metrics = list(_METRICS[self.settings["task"]])
        first = metrics[0]
        summary = self.scores.groupby("features", sort=False)[["kind", "n_features", "n_missing"]].first()
        folds = self.scores.groupby(["features", "fold"], sort=False)[metrics].mean()
        difference = f"vs_{against}"
        folds[difference] = folds[first].sub(folds[first].xs(against, level="features"), level="fold")
        for column in (*metrics, difference):
            by_features = folds[column].groupby("features", sort=False)
            summary[column], summary[f"{column}_se"] = by_features.mean(), by_features.sem()
        return summary.sort_values(first, ascending=first in _LOWER_IS_BETTER, kind="stable")

    def __repr__(self) -> str:
        kept, best = self.settings, self.summary()
        first = _METRICS[kept["task"]][0]
        scored = f"{best.index[0]} {first} {best[first].iloc[0]:.4g}"
        how = f"{kept['n_splits']} folds ({kept['splits']})"
        return f"Evaluation({kept['task']}, {kept['n_materials']:,} materials, {how}; best: {scored})"

    def plot(self, features: str | None = None, *, unit: str = "", label: str = "") -> "Figure":
        """Draw predicted against true values of a regression.

        Parameters
        ----------
        features : str, optional
            A column of `predictions`; the best table by default.
        unit : str
            Unit of the target, for the axes.
        label : str
            Name of the target, for the axes.

        Returns
        -------
        matplotlib.figure.Figure
            The parity plot.

        Raises
        ------
        ValueError
            If the task is no regression, or there are no such features.
        """
        from matembed.downstream.plots import parity

        if self.settings["task"] != "regression":
            msg = "a parity plot needs a regression; this is a classification: see .scores and .predictions"
            raise ValueError(msg)
        if features is None:
            ranked = self.summary()
            features = str(ranked.index[ranked["kind"] == "table"][0])
        known = [column for column in self.predictions.columns if column not in _KEYS]
        if features not in known:
            msg = f"features must be one of {', '.join(known)}; got {features!r}"
            raise ValueError(msg)
        target, predicted = self.predictions["target"], self.predictions[features]
        return parity(target, predicted, unit=unit, label=label or "target", title=features)


def one_hot_table(tokens: Sequence[str], *, rest: Sequence[str] = ()) -> EmbeddingTable:
    """Make a table in which every token has a column of its own.

    Mean-pooled, a formula becomes its atomic fractions: what a table must beat.

    Parameters
    ----------
    tokens : sequence of str, length n_tokens
        Unique.
    rest : sequence of str, optional
        Further tokens, which share one more column, the last.

    Returns
    -------
    EmbeddingTable
        The identity matrix; ``dim`` is n_tokens, and one more if there is a rest.

    Examples
    --------
    >>> one_hot_table(["H", "O"]).vectors.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> one_hot_table(["O"], rest=["Po", "At"]).vectors.tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    what = "A column for every token" + (f", and one for {len(rest):,} more" if rest else "")
    vectors = np.eye(len(tokens) + len(rest), len(tokens) + bool(rest), dtype=np.float32)
    vectors[len(tokens) :, -1:] = 1
    return EmbeddingTable((*tokens, *rest), vectors, Card("one_hot", what=f"{what}: no knowledge of chemistry."))


def random_table(tokens: Sequence[str], dim: int, *, seed: int = 0) -> EmbeddingTable:
    """Make a table of random vectors: no knowledge of chemistry, in any number of columns.

    Parameters
    ----------
    tokens : sequence of str, length n_tokens
        Unique.
    dim : int
        Length of each vector.
    seed : int, default 0
        The same seed, tokens and `dim` give the same vectors.

    Returns
    -------
    EmbeddingTable
        Independent standard normal numbers.

    Raises
    ------
    ValueError
        If `dim` is not positive.

    Examples
    --------
    >>> random_table(["H", "O"], 3, seed=1)
    EmbeddingTable('random_3', 2 tokens, dim 3)
    """
    if dim < 1:
        msg = f"dim must be 1 or more, got {dim}"
        raise ValueError(msg)
    vectors = np.random.default_rng(seed).standard_normal((len(tokens), dim))
    card = Card(f"random_{dim}", what="Random vectors: no knowledge of chemistry.", settings={"dim": dim}, seed=seed)
    return EmbeddingTable(tuple(tokens), vectors.astype(np.float32), card)


def evaluate(
    tables: EmbeddingTable | Mapping[str, EmbeddingTable],
    materials: Column,
    target: Column,
    *,
    pooling: Statistic | Sequence[Statistic] = ("mean", "std"),
    on_missing: OnMissing = "error",
    model: Any = None,
    task: Literal["auto"] | Task = "auto",
    splits: Splits = "random",
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    n_splits: int = 5,
    n_random: int = 3,
    seed: int = 0,
) -> Evaluation:
    """Score embedding tables by cross-validation, beside one-hot and random vectors and the training mean.

    Every set of features meets the same model, rows and folds, so that scores can be compared pair by pair.
    Features of a row depend on its material alone, and everything that is learned, scaling included, is learned
    on the training rows of a fold. The baselines know every token of `materials`:

    - ``one_hot_elements``, always, and ``one_hot_motifs``, ``one_hot_species_motifs`` or ``one_hot_geometries``
      for the motifs that a table of motifs looks up. Beyond 1,000 tokens, the 1,000 that most materials hold have
      a column each and all others share one, which the scores show as a ``dim`` of 1,001;
    - ``random_elements_{dim}``, ``random_motifs_{dim}``, ... of the size of each table;
    - ``dummy``, which predicts the training mean, or the share of the positive class.

    Parameters
    ----------
    tables : EmbeddingTable or mapping of str to EmbeddingTable
        What to evaluate, by name; one table goes by the name on its card.
    materials : sequence, length n_materials
        Formulas, or Structures or MotifGraphs. With structures, tables that hold motifs or geometries are pooled
        over motifs, which are found once, with the default settings of `matembed.find_motifs`; other tables are
        pooled over elements.
    target : sequence of float, bool or str, length n_materials
        What to predict. In a classification there are two classes, and the second in sorted order is positive.
    pooling : str or sequence of str, default ("mean", "std")
        Statistics; see `FormulaFeaturizer`. The same for tables and baselines.
    on_missing : {"error", "nan", "mean", "neighbours", "zero"}, default "error"
        What to do about tokens that have no vector; see `FormulaFeaturizer`. ``n_missing`` counts them.
    model : scikit-learn estimator, optional
        Cloned for every fold. By default ridge regression or classification of features that are clipped to their
        training range and standardised, or zero where they are constant in the training rows but for rounding,
        with the penalty chosen by leave-one-out on the training rows.
    task : {"auto", "regression", "classification"}
        "auto" is a classification if the target is bool or text, or numbers that are 0 and 1 and nothing else;
        any other numbers are a regression, be there only two of them.
    splits : {"random", "formula", "chemical_system"}
        Shuffled folds; or materials of the same proportions (to 1e-6), or of the same set of elements, kept in
        one fold. The folds of a classification are stratified by class.
    groups : array-like, shape (n_materials,), optional
        Labels of your own; materials with the same label are kept in one fold. In place of `splits`.
    folds : array-like, shape (n_materials,), optional
        The number of the fold in which each material is tested, such as the official folds of a benchmark.
        In place of `splits` and `n_splits`.
    n_splits : int, default 5
        Number of folds.
    n_random : int, default 3
        Random tables of each size, drawn with `seed`, `seed` + 1, ...
    seed : int, default 0
        Of the folds and of the random tables.

    Returns
    -------
    Evaluation
        Scores, predictions and a parity plot. The same arguments give the same numbers, if `model` does.

    Raises
    ------
    TypeError
        If `tables`, `materials` or `model` are of the wrong kind.
    ValueError
        If materials and target do not fit each other, a target is missing, or the folds cannot be made.
    FormulaError, MotifError
        If a material cannot be read.
    UnknownTokenError
        If a table lacks a token and `on_missing` is "error".

    See Also
    --------
    FormulaFeaturizer, StructureFeaturizer : Make the features.

    Notes
    -----
    Means alone cannot tell tables apart in a linear model: with independent vectors, as many columns as elements
    or more, and little penalty, the means of any table, random ones included, span the same functions of the
    composition as one-hot does. Pool with "std" too, or pass a model that is not linear.

    Examples
    --------
    >>> formulas = ["LiF", "LiCl", "NaF", "NaCl", "KF", "KCl", "RbF", "RbCl"]
    >>> lattice_constant = [4.03, 5.14, 4.63, 5.64, 5.34, 6.29, 5.65, 6.58]  # Å
    >>> radii = {"Li": 0.76, "Na": 1.02, "K": 1.38, "Rb": 1.52, "F": 1.33, "Cl": 1.81}
    >>> table = EmbeddingTable(tuple(radii), [[radius] for radius in radii.values()], Card("radii"))
    >>> evaluation = evaluate(table, formulas, lattice_constant, pooling="mean", n_splits=4)
    >>> list(evaluation.summary().index)
    ['radii', 'one_hot_elements', 'dummy', 'random_elements_1']
    >>> evaluation
    Evaluation(regression, 8 materials, 4 folds (random); best: radii mae 0.13...)
    """
    if n_random < 1:
        msg = f"n_random must be 1 or more, got {n_random}"
        raise ValueError(msg)
    named = _named_tables(tables)
    listed, values = _paired(materials, target)
    chosen_task, y, classes = _task_of(values, task)
    estimator = _default_model(chosen_task, None) if model is None else _checked_model(model, chosen_task)
    crystals = isinstance(listed[0], IStructure | MotifGraph)
    formulas = [_formula_of(crystal) for crystal in listed] if crystals else listed
    fold_of, how = _folds(y, chosen_task, read_amounts(formulas), splits, groups, folds, n_splits, seed)
    levels = {name: _level(table, crystals) for name, table in named.items()}
    for name, table in named.items():
        _featurizer(levels[name], table, pooling, on_missing).fit()  # refuses settings before motifs are looked for
    graphs = read_graphs(listed) if set(levels.values()) != {"elements"} else []
    sets = _sets(named, levels, formulas, graphs, pooling, on_missing, n_random, seed)
    if model is None and any(np.isnan(features.rows).any() for features in sets):
        msg = 'on_missing="nan" leaves NaN among the features: pass a model that takes NaN, or another on_missing'
        raise ValueError(msg)

    predictions: dict[str, Any] = {"row": np.arange(len(y)), "fold": fold_of, "target": values}
    scores = []
    for features in sets:
        dummy = DummyRegressor() if chosen_task == "regression" else DummyClassifier()
        learner = _default_model(chosen_task, features.magnitude) if model is None else estimator
        predicted = np.empty(len(y))
        for fold in np.unique(fold_of):
            test = fold_of == fold
            fitted = clone(learner if features.dim else dummy).fit(features.rows[~test], y[~test])
            predicted[test], measured = _score(fitted, features.rows[test], y[test], chosen_task)
            counts = {"fold": int(fold), "n_train": int((~test).sum()), "n_test": int(test.sum())}
            scores.append(features.facts() | counts | measured)
        predictions[features.column] = predicted
    settings = {
        "task": chosen_task,
        "classes": classes,
        "n_materials": len(y),
        **how,
        "pooling": [pooling] if isinstance(pooling, str) else list(pooling),
        "on_missing": on_missing,
        "model": " ".join(repr(estimator).split()),
        "n_random": n_random,
        "seed": seed,
        "tables": {name: {"card": t.card.name, "n_tokens": len(t), "dim": t.dim} for name, t in named.items()},
    }
    return Evaluation(pd.DataFrame(scores), pd.DataFrame(predictions), settings)


def _named_tables(tables: EmbeddingTable | Mapping[str, EmbeddingTable]) -> dict[str, EmbeddingTable]:
    named = {tables.card.name: tables} if isinstance(tables, EmbeddingTable) else tables
    if not isinstance(named, Mapping) or not all(isinstance(table, EmbeddingTable) for table in named.values()):
        msg = f"tables must be an EmbeddingTable or a mapping of names to them, got {tables!r:.80}"
        raise TypeError(msg)
    if not named:
        msg = "tables is empty; pass at least one EmbeddingTable"
        raise ValueError(msg)
    return dict(named)


def _paired(materials: Column, target: Column) -> tuple[list[Any], pd.Series]:
    listed, values = as_list(materials, "materials"), pd.Series(as_list(target, "targets"))
    if len(listed) != len(values) or not listed:
        msg = (
            f"wanted a target for each of one or more materials, got {len(listed):,} materials, {len(values):,} targets"
        )
        raise ValueError(msg)
    indexed = [column for column in (materials, target) if isinstance(column, pd.Series | pd.DataFrame)]
    if len(indexed) == 2 and not indexed[0].index.equals(indexed[1].index):
        msg = "materials and target have different indexes; align them, or pass .to_list() if the order is right"
        raise ValueError(msg)
    if values.isna().any():
        rows = np.flatnonzero(values.isna())
        msg = f"no target at {_positions(rows)}, {len(rows):,} of {len(values):,}; leave these materials out"
        raise ValueError(msg)
    return listed, values


def _positions(rows: NDArray[np.intp]) -> str:
    return ("positions " if len(rows) > 1 else "position ") + ", ".join(map(str, rows[:5])) + ", ..." * (len(rows) > 5)


def _task_of(values: pd.Series, task: str) -> tuple[Task, NDArray[Any], list[Any]]:
    """Choose the task; return it, the numbers to learn, and the classes, the positive one last."""
    if task not in ("auto", *get_args(Task)):
        msg = f"task must be one of auto, {', '.join(get_args(Task))}; got {task!r}"
        raise ValueError(msg)
    distinct = values.unique().tolist()
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if task == "classification" or (task == "auto" and (not numeric or set(distinct) == {0, 1})):
        if len(distinct) != 2:
            shown = ", ".join(map(repr, distinct[:3])) + ", ..." * (len(distinct) > 3)
            msg = f"a classification takes two classes, got {len(distinct):,} ({shown}); for a regression pass numbers"
            raise ValueError(msg)
        classes = sorted(distinct)
        return "classification", (values == classes[1]).to_numpy(np.int64), classes
    if not numeric:
        msg = f"a regression takes numbers, got {values.iloc[0]!r}"
        raise ValueError(msg)
    y = values.to_numpy(np.float64)
    if not np.isfinite(y).all():
        msg = f"the target is not finite at {_positions(np.flatnonzero(~np.isfinite(y)))}; leave these materials out"
        raise ValueError(msg)
    if len(distinct) == 1:
        msg = f"all {len(y):,} targets are {y[0]:g}; there is nothing to predict"
        raise ValueError(msg)
    return "regression", y, []


def _default_model(task: Task, magnitude: NDArray[np.float64] | None) -> BaseEstimator:
    ridge = RidgeCV(alphas=_ALPHAS) if task == "regression" else RidgeClassifierCV(alphas=_ALPHAS)
    return make_pipeline(ClippedScaler(magnitude), ridge)


def _checked_model(model: Any, task: Task) -> BaseEstimator:
    if isinstance(model, type) or not all(hasattr(model, name) for name in ("fit", "predict", "get_params")):
        msg = f"model must be a scikit-learn estimator, such as RandomForestRegressor(), got {model!r:.80}"
        raise TypeError(msg)
    if is_classifier(model) != (task == "classification"):
        other = "regressor" if task == "regression" else "classifier"
        msg = f"the task is a {task}: pass a {other} as model, or another task; got {type(model).__name__}"
        raise ValueError(msg)
    return model


def _folds(
    y: NDArray[Any],
    task: Task,
    amounts: list[dict[str, float]],
    splits: str,
    groups: ArrayLike | None,
    folds: ArrayLike | None,
    n_splits: int,
    seed: int,
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """Give each material the number of the fold that tests it; return also how that was done."""
    if splits not in get_args(Splits):
        msg = f"splits must be one of {', '.join(get_args(Splits))}; got {splits!r}"
        raise ValueError(msg)
    if groups is not None and folds is not None:
        msg = "pass groups or folds, not both"
        raise ValueError(msg)
    if folds is not None:
        fold_of, how = _given_folds(folds, len(y)), "folds"
    else:
        labels, how = (None, splits) if groups is None else (_labels(groups, len(y)), "groups")
        if how == "formula":
            labels = np.array([_proportions(formula) for formula in amounts])
        elif how == "chemical_system":
            labels = np.array(["-".join(sorted(formula)) for formula in amounts])
        fold_of = _made_folds(y, task, labels, how, n_splits, seed)
    numbers = np.unique(fold_of)
    for fold in numbers if task == "classification" else ():
        for part, rows in (("test", fold_of == fold), ("train", fold_of != fold)):
            if len(np.unique(y[rows])) < 2:
                msg = f"fold {fold} has one class among its {part} rows; use fewer folds, or other splits"
                raise ValueError(msg)
    return fold_of, {"splits": how, "n_splits": len(numbers)}


def _proportions(amounts: Mapping[str, float]) -> str:
    total = sum(amounts.values())
    return " ".join(f"{symbol}{amounts[symbol] / total:.6f}" for symbol in sorted(amounts))


def _labels(groups: ArrayLike, n_materials: int) -> NDArray[np.int64]:
    labels = pd.Series(as_list(groups, "groups"))  # type: ignore[arg-type]
    if len(labels) != n_materials or labels.isna().any():
        msg = f"groups must hold a label for each of {n_materials:,} materials, got {labels.notna().sum():,}"
        raise ValueError(msg)
    return pd.factorize(labels)[0].astype(np.int64)


def _given_folds(folds: ArrayLike, n_materials: int) -> NDArray[np.int64]:
    numbers = pd.Series(as_list(folds, "fold numbers"))  # type: ignore[arg-type]
    if len(numbers) != n_materials or not pd.api.types.is_integer_dtype(numbers) or numbers.nunique() < 2:
        msg = (
            f"folds must hold an integer for each of {n_materials:,} materials, and two different ones at least; "
            f"got {len(numbers):,} of type {numbers.dtype}, {numbers.nunique()} different"
        )
        raise ValueError(msg)
    return numbers.to_numpy(np.int64)


def _made_folds(
    y: NDArray[Any], task: Task, labels: NDArray[Any] | None, how: str, n_splits: int, seed: int
) -> NDArray[np.int64]:
    n_groups = len(y) if labels is None else len(np.unique(labels))
    if n_splits < 2 or n_groups < n_splits:
        what = {"random": "materials", "formula": "different formulas", "chemical_system": "chemical systems"}
        msg = f"n_splits must be from 2 to the number of {what.get(how, how)}, {n_groups:,}; got {n_splits}"
        raise ValueError(msg)
    settings = {"n_splits": n_splits, "shuffle": True, "random_state": seed}
    if task == "regression":
        splitter = KFold(**settings) if labels is None else GroupKFold(**settings)
    elif np.bincount(y).min() < n_splits:
        msg = f"the smaller class has {np.bincount(y).min()} materials; n_splits must not be more, got {n_splits}"
        raise ValueError(msg)
    else:
        splitter = StratifiedKFold(**settings) if labels is None else StratifiedGroupKFold(**settings)
    fold_of = np.empty(len(y), dtype=np.int64)
    for fold, (_, test_idx) in enumerate(splitter.split(y, y, labels)):
        fold_of[test_idx] = fold
    return fold_of


def _formula_of(crystal: Any) -> Any:
    return crystal.formula if isinstance(crystal, MotifGraph) else getattr(crystal, "composition", crystal)


def _level(table: EmbeddingTable, crystals: bool) -> Level:
    return motif_level(table) if crystals and not {"motif", "geometry"}.isdisjoint(table.kinds) else "elements"


def _featurizer(
    level: Level, table: EmbeddingTable, pooling: Statistic | Sequence[Statistic], on_missing: OnMissing
) -> FormulaFeaturizer | StructureFeaturizer:
    kind = FormulaFeaturizer if level == "elements" else StructureFeaturizer
    return kind(table, pooling=pooling, on_missing=on_missing)


def _sets(
    named: Mapping[str, EmbeddingTable],
    levels: Mapping[str, Level],
    formulas: list[Any],
    graphs: list[MotifGraph],
    pooling: Statistic | Sequence[Statistic],
    on_missing: OnMissing,
    n_random: int,
    seed: int,
) -> list[_Features]:
    """Make the features of the tables, then those of their baselines."""
    pooled = []
    for name, table in named.items():
        column = formulas if levels[name] == "elements" else graphs
        featurizer = _featurizer(levels[name], table, pooling, on_missing)
        try:
            rows = featurizer.fit_transform(column)
        except UnknownTokenError as error:
            msg = f"table {name!r}: {error}"
            raise UnknownTokenError(msg) from error
        n_missing = sum(map(bool, featurizer.missing(column)))
        pooled.append(_Features(name, "table", table.dim, rows, _magnitude(table, rows), n_missing, column=name))
    baselines = []
    for level in dict.fromkeys(["elements", *levels.values()]):
        column = formulas if level == "elements" else graphs
        tokens = _tokens(formulas, graphs, level)
        drawn = [(f"one_hot_{level}", f"one_hot_{level}", _one_hot(tokens, graphs, level), 0)]
        for dim in sorted({table.dim for name, table in named.items() if levels[name] == level}):
            for draw in range(n_random):
                name = f"random_{level}_{dim}"
                label = f"{name}.{draw}" if n_random > 1 else name
                drawn.append((name, label, random_table(tokens, dim, seed=seed + draw), draw))
        for name, label, table, draw in drawn:
            rows = _featurizer(level, table, pooling, "zero").fit_transform(column)
            baselines.append(_Features(name, "baseline", table.dim, rows, _magnitude(table, rows), 0, label, draw))
    baselines.append(_Features("dummy", "baseline", 0, np.zeros((len(formulas), 1)), np.zeros(1), 0, "dummy"))
    taken = {*_KEYS, *(features.name for features in baselines), *(features.column for features in baselines)}
    if not taken.isdisjoint(named):
        msg = f"no table can go by the name {min(taken & set(named))!r}, which is taken; choose another"
        raise ValueError(msg)
    return pooled + baselines


def _tokens(formulas: list[Any], graphs: list[MotifGraph], level: Level) -> list[str]:
    """List every token of the materials, sorted."""
    if level == "elements":
        return sorted(set().union(*read_amounts(formulas)))
    found = {token for graph in graphs for token in motif_tokens(graph, level)}
    if not found:
        msg = "none of the structures has a motif; use a table of elements"
        raise ValueError(msg)
    return sorted(found)


def _one_hot(tokens: list[str], graphs: list[MotifGraph], level: Level) -> EmbeddingTable:
    """Give a column to every token, or to those that most materials hold."""
    if level == "elements" or len(tokens) <= _MOST_COLUMNS:
        return one_hot_table(tokens)
    held = Counter(token for graph in graphs for token in set(motif_tokens(graph, level)))
    ranked = sorted(tokens, key=lambda token: (-held[token], token))
    return one_hot_table(ranked[:_MOST_COLUMNS], rest=ranked[_MOST_COLUMNS:])


def _magnitude(table: EmbeddingTable, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest absolute number of the table behind each pooled column."""
    largest = np.abs(table.vectors).max(axis=0, initial=0).astype(np.float64)
    return np.tile(largest, rows.shape[1] // max(table.dim, 1))


def _score(
    fitted: Any, rows: NDArray[np.float64], y: NDArray[Any], task: Task
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Predict, and measure how well."""
    predicted = fitted.predict(rows)
    if task == "regression":
        error = predicted - y
        spread = float(np.sum((y - y.mean()) ** 2))
        r2 = 1 - float(np.sum(error**2)) / spread if spread > 0 else float("nan")
        return predicted, {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt(np.mean(error**2))), "r2": r2}
    score = fitted.predict_proba(rows)[:, 1] if hasattr(fitted, "predict_proba") else fitted.decision_function(rows)
    measured = {
        "roc_auc": roc_auc_score(y, score),
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
    }
    return score, {metric: float(value) for metric, value in measured.items()}
