"""What is an embedding table worth? Cross-validated scores, always beside those of vectors that know no chemistry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from matembed.downstream.baselines import one_hot_table, random_table
from matembed.downstream.feature_sets import KEYS, make_feature_sets, named_tables
from matembed.downstream.features import OnMissing
from matembed.downstream.materials import Column, as_list, read_amounts
from matembed.downstream.models import ModelName, check_model
from matembed.downstream.polymorphs import proportion_labels
from matembed.downstream.pooling import Statistic
from matembed.downstream.scores import LOWER_IS_BETTER, METRICS, average_scores
from matembed.downstream.tasks import LabelledMaterials, Task, read_groups, read_labelled
from matembed.downstream.trials import refuse_nan, run_trial
from matembed.embeddings import EmbeddingTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Evaluation", "Splits", "Task", "evaluate", "one_hot_table", "random_table"]

Splits = Literal["random", "formula", "chemical_system"]

_ONE_HOT = "one_hot_elements"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Cross-validated scores of embedding tables and of their baselines, on the same rows and folds.

    Attributes
    ----------
    scores : DataFrame
        One row for each set of features, draw and fold: ``features``, ``kind`` ("table" or "baseline"), ``draw``
        (of random vectors or shuffled motifs, else 0), ``dim``, ``n_features``, ``n_missing`` (materials, of all
        folds, with a token that the table lacks), ``fold``, ``n_train``, ``n_test``; then ``mae`` and ``rmse`` in the
        unit of the target and ``r2``, or ``roc_auc``, ``accuracy`` and ``balanced_accuracy``; and ``norm``, the error
        as a share of that of knowing nothing: mae over the mae of predicting the training mean, or
        (1 - roc_auc) / 0.5.
    predictions : DataFrame
        One row for each material, in the order given: ``row`` (its position), ``fold``, ``target``, and one
        column for each set of features, predicted while the material's fold was held out. Where several random
        tables or shuffles were drawn, their columns end in ``.0``, ``.1``, ... In a classification the numbers are the
        probability, or the decision function, of the positive class. NaN where ``max_test`` left a row out.
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
            as ``vs_{against}``. Draws of random vectors, and of shuffled motifs, are averaged within each fold first.
            Folds share training rows, so the standard errors are too small rather than too large [1]_. What a table
            of motifs gains from structure is its difference from ``against="shuffled_{table}"``.

        Raises
        ------
        ValueError
            If there are no such features.

        References
        ----------
        .. [1] C. Nadeau and Y. Bengio, Machine Learning 52, 239 (2003).
        """
        task = self.settings["task"]
        averages = average_scores(self.scores, task, over="fold", against=against)
        first = METRICS[task][0]
        return averages.sort_values(first, ascending=first in LOWER_IS_BETTER, kind="stable")

    def __repr__(self) -> str:
        kept, best = self.settings, self.summary()
        first = METRICS[kept["task"]][0]
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
        known = [column for column in self.predictions.columns if column not in KEYS]
        if features not in known:
            msg = f"features must be one of {', '.join(known)}; got {features!r}"
            raise ValueError(msg)
        target, predicted = self.predictions.loc[self.predictions[features].notna(), ["target", features]].to_numpy().T
        return parity(target, predicted, unit=unit, label=label or "target", title=features)


def evaluate(
    tables: EmbeddingTable | Mapping[str, EmbeddingTable],
    materials: Column,
    target: Column,
    *,
    pooling: Statistic | Sequence[Statistic] = ("mean", "std"),
    on_missing: OnMissing = "error",
    model: ModelName | BaseEstimator = "ridge",
    task: Literal["auto"] | Task = "auto",
    splits: Splits = "random",
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    n_splits: int = 5,
    max_train: int | None = None,
    max_test: int | None = None,
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
    - ``shuffled_{table}``, for each table that is pooled over motifs: the same vectors, but every motif is exchanged
      at random with those of the other centres of the same element in all crystals;
    - ``size_only``, beside tables that are pooled over motifs: how large the cell of a crystal is, a control of
      leaks and never a feature to use. Of Structures, number of sites, volume per atom (Å³) and density (g/cm³); of
      MotifGraphs, numbers of motifs and of connections;
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
    on_missing : {"error", "nan", "mean", "neighbours", "back_off", "zero"}, default "error"
        What to do about tokens that have no vector; see `FormulaFeaturizer`. ``n_missing`` counts them.
    model : {"ridge", "kernel_ridge", "extra_trees", "random_forest", "boosted_trees"} or scikit-learn estimator
        A name, whose settings `matembed.downstream.models` lists, or a model of your own; cloned for every fold.
        "ridge" is quick and linear; "kernel_ridge" tells most about a table; trees, pooled with mean, std, min and
        max, are what many would use.
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
    max_train, max_test : int, optional
        The most rows to train on and to test in a fold, for models whose time grows with a power of the rows. Where
        a fold has more, as many are drawn with `seed`, the same for every set of features.
    n_random : int, default 3
        Random tables of each size, and shuffles of each table of motifs, drawn with `seed`, `seed` + 1, ...
    seed : int, default 0
        Of the folds, the random tables, the shuffles, the draws of rows, and models by name.

    Returns
    -------
    Evaluation
        Scores, predictions and a parity plot, of tables, of their baselines and of the controls of motifs,
        ``shuffled_{table}`` and ``size_only``, whose kind is "baseline". The same arguments give the same numbers, if
        `model` does.

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
    ImportError
        If `model` is "boosted_trees" and LightGBM is not installed.

    See Also
    --------
    matembed.learning_curve : The same for training sets of several sizes.
    matembed.polymorph_order : Whether predictions tell structures of one formula apart.
    FormulaFeaturizer, StructureFeaturizer : Make the features.

    Notes
    -----
    Means alone cannot tell tables apart in a linear model: with independent vectors, as many columns as elements
    or more, and little penalty, the means of any table, random ones included, span the same functions of the
    composition as one-hot does. Pool with "std" too, or pass a model that is not linear.

    A table of motifs also says which elements a crystal holds. Its shuffled control keeps the composition, the number
    of motifs of each element in a crystal and how often each motif occurs in all crystals; only which crystal has
    which motif is lost. A table that is no better than its control has gained nothing from the structures.

    ``size_only`` says what the cell as it was given tells of the target. Numbers of sites, motifs and connections are
    no property of a crystal: where they predict, as they may if the kinds of crystals come from several sources, a
    feature that depends on the cell scores for that alone. Volume and density are properties, which motifs lack.

    Examples
    --------
    >>> from matembed import Card
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
    for what, cap in (("max_train", max_train), ("max_test", max_test)):
        if cap is not None and cap < 1:
            msg = f"{what} must be 1 or more, or None for all rows; got {cap}"
            raise ValueError(msg)
    named = named_tables(tables)
    labelled = read_labelled(materials, target, task=task)
    check_model(model, labelled.task)
    fold_of, how = _folds(labelled, splits, groups, folds, n_splits, seed)
    parts = {
        fold: (_drawn(fold_of != fold, max_train, [seed, 0, idx]), _drawn(fold_of == fold, max_test, [seed, 1, idx]))
        for idx, fold in enumerate(np.unique(fold_of).tolist())
    }
    _refuse_single_class(labelled, parts)
    sets = make_feature_sets(named, labelled, pooling=pooling, on_missing=on_missing, n_random=n_random, seed=seed)
    refuse_nan(model, sets)

    predictions: dict[str, Any] = {"row": np.arange(len(labelled)), "fold": fold_of, "target": labelled.values}
    scores = []
    for features in sets:
        predictions[features.column] = np.full(len(labelled), np.nan)
        for fold, (train_idx, test_idx) in parts.items():
            predicted, measured = run_trial(model, features, labelled, train_idx, test_idx, seed=seed)
            predictions[features.column][test_idx] = predicted
            counts = {"fold": fold, "n_train": len(train_idx), "n_test": len(test_idx)}
            scores.append(features.facts() | counts | measured)
    settings = {
        "task": labelled.task,
        "classes": labelled.classes,
        "n_materials": len(labelled),
        **how,
        "max_train": max_train,
        "max_test": max_test,
        "pooling": [pooling] if isinstance(pooling, str) else list(pooling),
        "on_missing": on_missing,
        "model": model if isinstance(model, str) else " ".join(repr(model).split()),
        "n_random": n_random,
        "seed": seed,
        "tables": {name: {"card": t.card.name, "n_tokens": len(t), "dim": t.dim} for name, t in named.items()},
    }
    return Evaluation(pd.DataFrame(scores), pd.DataFrame(predictions), settings)


def _drawn(mask: NDArray[np.bool_], most: int | None, seed: list[int]) -> NDArray[np.intp]:
    """List the rows of a part, or as many as there may be, drawn at random."""
    rows = np.flatnonzero(mask)
    if most is None or len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _refuse_single_class(
    labelled: LabelledMaterials, parts: Mapping[int, tuple[NDArray[np.intp], NDArray[np.intp]]]
) -> None:
    if labelled.task == "regression":
        return
    for fold, (train_idx, test_idx) in parts.items():
        for part, rows in (("test", test_idx), ("train", train_idx)):
            if len(np.unique(labelled.y[rows])) < 2:
                msg = f"fold {fold} has one class among its {part} rows; use fewer folds, other splits, or more rows"
                raise ValueError(msg)


def _folds(
    labelled: LabelledMaterials,
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
    amounts = read_amounts(labelled.formulas)  # an unreadable formula is told before a wrong number of folds
    if folds is not None:
        fold_of, how = _given_folds(folds, len(labelled)), "folds"
    else:
        labels, how = (None, splits) if groups is None else (read_groups(groups, len(labelled)), "groups")
        if how == "formula":
            labels = np.array(proportion_labels(amounts))
        elif how == "chemical_system":
            labels = np.array(["-".join(sorted(formula)) for formula in amounts])
        fold_of = _made_folds(labelled.y, labelled.task, labels, how, n_splits, seed)
    return fold_of, {"splits": how, "n_splits": len(np.unique(fold_of))}


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
