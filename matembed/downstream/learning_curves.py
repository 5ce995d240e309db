"""How does an error fall as training sets grow? The same rows for every table, beside its baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from matembed.downstream.feature_sets import make_feature_sets, named_tables
from matembed.downstream.features import OnMissing
from matembed.downstream.materials import Column
from matembed.downstream.models import ModelName, check_model
from matembed.downstream.polymorphs import proportion_labels
from matembed.downstream.pooling import Statistic
from matembed.downstream.scores import LOWER_IS_BETTER, METRICS, average_scores
from matembed.downstream.tasks import LabelledMaterials, Task, read_groups, read_labelled
from matembed.downstream.trials import refuse_nan, run_trial
from matembed.embeddings import EmbeddingTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LearningCurve", "learning_curve", "plan_trials"]

Trial = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Scores of embedding tables and of their baselines, trained on more and more of the same rows.

    Attributes
    ----------
    scores : DataFrame
        One row for each set of features, draw, size and repeat: ``features``, ``kind`` ("table" or "baseline"),
        ``draw`` (of random vectors or shuffled motifs, else 0), ``dim``, ``n_features``, ``n_missing``, ``size``,
        ``repeat``, ``n_train``, ``n_test``, and the metrics of `matembed.downstream.scores`, ``norm`` among them.
    settings : mapping
        All that is needed to repeat it; plain values.

    See Also
    --------
    learning_curve : Makes one.
    """

    scores: pd.DataFrame
    settings: Mapping[str, Any]

    def summary(self, *, against: str = "one_hot_elements") -> pd.DataFrame:
        """Average the scores over repeats, and compare each set of features with another, repeat by repeat.

        Parameters
        ----------
        against : str, default "one_hot_elements"
            The set of features that the others are compared with.

        Returns
        -------
        DataFrame, index ``features``, ``size``
            By size, best first. ``kind``, ``n_features``, ``n_missing``; mean of each metric over repeats and its
            standard error ``*_se``; mean and standard error of the paired difference of the first metric, mae or
            roc_auc, as ``vs_{against}``. Repeats share materials, so the standard errors are too small rather than
            too large.

        Raises
        ------
        ValueError
            If there are no such features.
        """
        task = self.settings["task"]
        averages = average_scores(self.scores, task, over="repeat", against=against, within=["size"])
        first = METRICS[task][0]
        return averages.sort_values(["size", first], ascending=[True, first in LOWER_IS_BETTER], kind="stable")

    def __repr__(self) -> str:
        kept = self.settings
        sizes = ", ".join(f"{size:,}" for size in kept["sizes"])
        return f"LearningCurve({kept['task']}, {sizes} of {kept['n_materials']:,} materials, {kept['repeats']} repeats)"

    def plot(self, *, score: str | None = None, unit: str = "", label: str | None = None) -> "Figure":
        """Draw a score against the number of training rows.

        Parameters
        ----------
        score : str, optional
            A metric, such as "norm"; by default the first, mae or roc_auc.
        unit : str
            Unit of the score, for the axis.
        label : str, optional
            Name of the score, for the axis.

        Returns
        -------
        matplotlib.figure.Figure
            What `matembed.plots.learning_curve` draws; draws of random vectors, and of shuffled motifs, are averaged
            first.

        Raises
        ------
        ValueError
            If there is no such score.
        """
        from matembed.downstream.plots import learning_curve as draw

        metrics = METRICS[self.settings["task"]]
        chosen = metrics[0] if score is None else score
        if chosen not in metrics:
            msg = f"score must be one of {', '.join(metrics)}; got {chosen!r}"
            raise ValueError(msg)
        rows = self.scores.groupby(["features", "kind", "n_train", "repeat"], sort=False)[chosen].mean().reset_index()
        return draw(rows, score=chosen, unit=unit, label=label)


def learning_curve(
    tables: EmbeddingTable | Mapping[str, EmbeddingTable],
    materials: Column,
    target: Column,
    *,
    sizes: Sequence[int] = (50, 100, 300, 1000),
    repeats: int = 8,
    n_test: int = 400,
    model: ModelName | BaseEstimator = "kernel_ridge",
    pooling: Statistic | Sequence[Statistic] = ("mean", "std"),
    on_missing: OnMissing = "error",
    task: Literal["auto"] | Task = "auto",
    groups: ArrayLike | None = None,
    n_random: int = 1,
    seed: int = 0,
) -> LearningCurve:
    """Score embedding tables that are trained on few rows and on many, beside their baselines.

    In each repeat, `n_test` rows are drawn to be tested. Rows of the same proportions as any of these are left out;
    the model is trained on the first 50, 100, ... of the others in random order. All sets of features meet the same
    rows, so that scores can be compared pair by pair. `matembed.evaluate` lists the baselines: one-hot, random
    vectors, the dummy, and the controls of tables of motifs, ``shuffled_{table}`` and ``size_only``.

    Parameters
    ----------
    tables : EmbeddingTable or mapping of str to EmbeddingTable
        What to evaluate, by name; one table goes by the name on its card.
    materials : sequence, length n_materials
        Formulas, or Structures or MotifGraphs; as for `matembed.evaluate`.
    target : sequence of float, bool or str, length n_materials
        What to predict.
    sizes : sequence of int, default (50, 100, 300, 1000)
        Numbers of training rows.
    repeats : int, default 8
        How often rows are drawn.
    n_test : int, default 400
        Rows that are tested in each repeat, the same for all sizes.
    model : {"kernel_ridge", "ridge", "extra_trees", "random_forest", "boosted_trees"} or scikit-learn estimator
        As for `matembed.evaluate`. Ridge is unsteady where there are about as many rows as columns.
    pooling : str or sequence of str, default ("mean", "std")
        Statistics; see `FormulaFeaturizer`. The same for tables and baselines.
    on_missing : {"error", "nan", "mean", "neighbours", "back_off", "zero"}, default "error"
        What to do about tokens that have no vector; see `FormulaFeaturizer`.
    task : {"auto", "regression", "classification"}
        As for `matembed.evaluate`.
    groups : array-like, shape (n_materials,), optional
        Labels of your own: no label is both trained on and tested. In place of proportions.
    n_random : int, default 1
        Random tables of each size, and shuffles of each table of motifs, drawn with `seed`, `seed` + 1, ...
    seed : int, default 0
        Of the rows, the random tables, the shuffles, and models by name.

    Returns
    -------
    LearningCurve
        Scores and a figure, of tables and of their baselines, the controls of motifs among them. The same arguments
        give the same numbers, if `model` does.

    Raises
    ------
    TypeError
        If `tables`, `materials` or `model` are of the wrong kind.
    ValueError
        If a setting is refused, materials and target do not fit each other, or there are too few rows.
    FormulaError, MotifError
        If a material cannot be read.
    UnknownTokenError
        If a table lacks a token and `on_missing` is "error".
    ImportError
        If `model` is "boosted_trees" and LightGBM is not installed.

    See Also
    --------
    matembed.evaluate : The same for all rows, by cross-validation.

    Examples
    --------
    >>> from matembed import Card
    >>> formulas = [f"{cation}{anion}" for cation in ("Li", "Na", "K", "Rb", "Cs") for anion in ("F", "Cl", "Br", "I")]
    >>> radii = {"Li": 76, "Na": 102, "K": 138, "Rb": 152, "Cs": 167, "F": 133, "Cl": 181, "Br": 196, "I": 220}  # pm
    >>> distance = [cation + anion for cation in list(radii.values())[:5] for anion in list(radii.values())[5:]]
    >>> table = EmbeddingTable(tuple(radii), [[radius] for radius in radii.values()], Card("radii"))
    >>> curve = learning_curve(table, formulas, distance, sizes=[5, 15], n_test=5, pooling="mean", repeats=4)
    >>> curve
    LearningCurve(regression, 5, 15 of 20 materials, 4 repeats)
    >>> curve.summary()["mae"].xs("radii").round()
    size
    5     7.0
    15     3.0
    Name: mae, dtype: float64
    """
    named = named_tables(tables)
    labelled, wanted, trials = plan_trials(
        materials, target, sizes=sizes, repeats=repeats, n_test=n_test, model=model, task=task, groups=groups, seed=seed
    )
    sets = make_feature_sets(named, labelled, pooling=pooling, on_missing=on_missing, n_random=n_random, seed=seed)
    refuse_nan(model, sets)
    scores = []
    for features in sets:
        for repeat, (pool_idx, test_idx) in enumerate(trials):
            for size in wanted:
                _, measured = run_trial(model, features, labelled, pool_idx[:size], test_idx, seed=seed)
                counts = {"size": size, "repeat": repeat, "n_train": size, "n_test": len(test_idx)}
                scores.append(features.facts() | counts | measured)
    settings = {
        "task": labelled.task,
        "classes": labelled.classes,
        "n_materials": len(labelled),
        "sizes": list(wanted),
        "repeats": repeats,
        "n_test": n_test,
        "groups": "formula" if groups is None else "groups",
        "pooling": [pooling] if isinstance(pooling, str) else list(pooling),
        "on_missing": on_missing,
        "model": model if isinstance(model, str) else " ".join(repr(model).split()),
        "n_random": n_random,
        "seed": seed,
        "tables": {name: {"card": t.card.name, "n_tokens": len(t), "dim": t.dim} for name, t in named.items()},
    }
    return LearningCurve(pd.DataFrame(scores), settings)


def plan_trials(
    materials: Column,
    target: Column,
    *,
    sizes: Sequence[int],
    repeats: int,
    n_test: int,
    model: ModelName | BaseEstimator,
    task: Literal["auto"] | Task,
    groups: ArrayLike | None = None,
    seed: int,
) -> tuple[LabelledMaterials, tuple[int, ...], list[Trial]]:
    """Check what a learning curve is asked for, and draw its rows, before anything is fitted.

    Parameters
    ----------
    materials, target, sizes, repeats, n_test, model, task, groups, seed
        Of `learning_curve`, and so are the errors.

    Returns
    -------
    LabelledMaterials, tuple of int, list of tuple of int array
        What was read, the sizes in order, and for each repeat the rows to train on, in the order in which they are
        added, and the rows to test.
    """
    wanted = tuple(sorted({int(size) for size in sizes}))
    if not wanted or wanted[0] < 2 or n_test < 1 or repeats < 1:
        msg = (
            "wanted one or more sizes of 2 or more, and n_test and repeats of 1 or more; "
            f"got sizes {tuple(sizes)}, n_test {n_test}, repeats {repeats}"
        )
        raise ValueError(msg)
    labelled = read_labelled(materials, target, task=task)
    check_model(model, labelled.task)
    labels = proportion_labels(labelled.formulas) if groups is None else groups
    trials = _trials(labelled, read_groups(labels, len(labelled)), wanted, repeats, n_test, seed)
    return labelled, wanted, trials


def _trials(
    labelled: LabelledMaterials, groups: NDArray[np.int64], sizes: tuple[int, ...], repeats: int, n_test: int, seed: int
) -> list[Trial]:
    """Draw for each repeat the rows to train on, in the order in which they are added, and the rows to test."""
    trials = []
    for repeat in range(repeats):
        shuffled = np.random.default_rng([seed, repeat]).permutation(len(labelled))
        test_idx, others = np.sort(shuffled[:n_test]), shuffled[n_test:]
        pool_idx = others[~np.isin(groups[others], groups[test_idx])]
        if len(pool_idx) < sizes[-1]:
            msg = (
                f"{len(labelled):,} materials, {n_test:,} of them tested, leave {len(pool_idx):,} to train on that "
                f"share no formula or group with these; lower sizes, now up to {sizes[-1]:,}, or n_test"
            )
            raise ValueError(msg)
        parts = [(f"{size:,} training", pool_idx[:size]) for size in sizes] + [("test", test_idx)]
        for part, rows in parts if labelled.task == "classification" else ():
            if len(np.unique(labelled.y[rows])) < 2:
                msg = f"repeat {repeat} has one class among its {part} rows; raise sizes and n_test, or change seed"
                raise ValueError(msg)
        trials.append((pool_idx, test_idx))
    return trials
