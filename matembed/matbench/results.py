"""Results of benchmark runs, read back from files: summaries, paired comparisons, learning curves and figures."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from matembed._atomic import whole_file
from matembed.matbench.tasks import MATBENCH_METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BenchmarkResults", "differing", "read_result", "with_error", "without_seeds"]

_RUN = ["task", "model", "size", "seed", "fold"]
_FACTS = ("target", "unit", "n_materials", "folds", "official", "data")
_COLUMNS = ("ids", "truth", "predicted", "probability", "formulas")
_KEYS = {*_RUN, *_FACTS, *_COLUMNS[:-1], "kind", "estimator", "n_train", "scores"}
_SCHEMA = 1
_TYPE = "BenchmarkResult"
_SEED = re.compile(r"\w*(?:random_state|seed)=\d+(?:, )?")


def read_result(path: Path) -> dict[str, Any]:
    """Read one file of a folder of results.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        As `matembed.matbench.runs` wrote it; scores that are null there, as no rows count for them, are NaN, and
        ``formulas`` None if the file has none.

    Raises
    ------
    ValueError
        If it is something else.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        result = None
    if not isinstance(result, dict) or result.get("type") != _TYPE or not result.keys() >= _KEYS:
        msg = f"{path} is no result of matembed benchmark; remove it, or name another folder"
        raise ValueError(msg)
    if result.get("schema") != _SCHEMA:
        msg = f"{path} has format {result.get('schema')}; this matembed reads format {_SCHEMA}: upgrade matembed"
        raise ValueError(msg)
    columns = [result[name] for name in _COLUMNS if result.get(name) is not None]
    if not all(isinstance(one, list) and len(one) == len(result["ids"]) for one in columns):
        msg = f"{path} is damaged: {', '.join(_COLUMNS)} are not of one length; remove it, and run it again"
        raise ValueError(msg)
    scores = {metric: math.nan if score is None else score for metric, score in result["scores"].items()}
    return {"formulas": None} | result | {"scores": scores}


@dataclass(frozen=True, eq=False)
class BenchmarkResults:
    """What models have reached on tasks, one run for each fold.

    Attributes
    ----------
    scores : DataFrame
        One row for each run: ``task``, ``model``, ``kind`` ("model" or "baseline"), ``size`` ("all", or the number of
        training rows as text), ``seed``, ``fold``, ``n_train``, ``n_test``, and the metrics of
        `matembed.matbench.tasks.MATBENCH_METRICS`, NaN where a task has others.
    predictions : DataFrame
        One row for each material tested: ``task``, ``model``, ``size``, ``seed``, ``fold``, ``id``, ``formula`` (its
        proportions as text, None if the file does not tell), ``truth``, ``predicted`` (a number, or a class 0 or 1)
        and ``probability``, NaN in a regression: the probability of class 1 where a model tells one, else its decision
        function, such as of "ridge", which ranks rows likewise but is not confined to 0 to 1.
    tasks : mapping of str to mapping
        What is known of each task: ``target`` ("regression" or "classification"), ``unit``, ``n_materials``,
        ``folds``, ``official``, ``data`` (a digest).
    estimators : mapping of (str, str) to str
        What each model was for each task: the estimator and its settings, of the run that was read first. Runs of one
        size differ in seeds alone.

    See Also
    --------
    matembed.matbench.runs.run_benchmark : Makes them.
    """

    scores: pd.DataFrame
    predictions: pd.DataFrame
    tasks: Mapping[str, Mapping[str, Any]]
    estimators: Mapping[tuple[str, str], str]

    @classmethod
    def read(cls, *folders: str | os.PathLike[str]) -> Self:
        """Read the results in one or more folders, such as those of several people.

        Parameters
        ----------
        *folders : path-like
            What `run_benchmark` or ``matembed benchmark`` made.

        Returns
        -------
        BenchmarkResults
            Of all of them, in order of name.

        Raises
        ------
        FileNotFoundError
            If a folder holds no results.
        ValueError
            If a file is no result, two results are of one run, of one task with other data, or of two models by one
            name.
        """
        results: dict[tuple[Any, ...], dict[str, Any]] = {}
        for folder in map(Path, folders):
            paths = sorted(folder.glob("*/*/*.json"))
            if not paths:
                msg = f"{folder} holds no results; wanted a folder that matembed benchmark made"
                raise FileNotFoundError(msg)
            for path in paths:
                result = read_result(path)
                key = tuple(str(result[name]) for name in _RUN)
                if key in results:
                    msg = f"{path} and another folder hold the same run; name one of the models otherwise: its folder"
                    raise ValueError(msg)
                results[key] = result
        if not results:
            msg = "wanted one or more folders of results, got none"
            raise ValueError(msg)
        return cls(*_frames([results[key] for key in results]))

    def __repr__(self) -> str:
        tasks, models = self.scores["task"].nunique(), self.scores["model"].nunique()
        return f"BenchmarkResults({tasks} tasks, {models} models, {len(self.scores):,} runs)"

    def sizes(self, task: str) -> list[str]:
        """List the sizes of training sets of a task, ascending, "all" last.

        Parameters
        ----------
        task : str
            Its name.

        Returns
        -------
        list of str
            Such as ``["300", "1000", "all"]``.
        """
        found = set(self._of(task)["size"])
        return sorted(found, key=lambda size: float("inf") if size == "all" else int(size))

    def summary(self, *, against: str | None = None, size: str | int = "all") -> pd.DataFrame:
        """Average scores over folds.

        Parameters
        ----------
        against : str, optional
            A model that the others are compared with, fold by fold.
        size : int or "all", default "all"
            Of the training sets.

        Returns
        -------
        DataFrame, index ``task``, ``model``
            Tasks by name, the best model first. ``kind``; ``n_folds``, those that have the leading metric, which a fold
            of one class has not; ``n_seeds``; for each metric its mean over folds, ``*_se``, the standard error, and
            ``*_std``, the standard deviation as Matbench tells it (ddof 0). Seeds are averaged within each fold first.
            With `against`, mean and standard error of the paired difference of the leading metric, mae or roc_auc, as
            ``vs_{against}``, where that model has run. Folds share training rows: standard errors are too small rather
            than too large.

        Raises
        ------
        ValueError
            If there is no such size, or no such model with any size.
        """
        parts = [self._summary_of(task, against, str(size)) for task in self.tasks]
        found = [part for part in parts if part is not None]
        if not found:
            sizes = sorted(set(self.scores["size"]))
            msg = f"no task has runs of size {size!r}; there are {', '.join(sizes)}"
            raise ValueError(msg)
        if against is not None and against not in set(self.scores["model"]):
            msg = f"against must be one of {', '.join(sorted(set(self.scores['model'])))}; got {against!r}"
            raise ValueError(msg)
        return pd.concat(found)

    def _summary_of(self, task: str, against: str | None, size: str) -> pd.DataFrame | None:
        runs = self._of(task, size=size)
        if runs.empty:
            return None
        metrics = list(MATBENCH_METRICS[self.tasks[task]["target"]])
        by_model = runs.groupby("model", sort=False)
        table = by_model[["kind"]].first()
        folds = runs.groupby(["model", "fold"])[metrics].mean()
        table["n_folds"] = folds[metrics[0]].groupby(level="model").count()
        table["n_seeds"] = by_model["seed"].nunique()
        for metric in metrics:
            of_folds = folds[metric].groupby(level="model")
            table[metric], table[f"{metric}_se"] = of_folds.mean(), of_folds.sem()
            table[f"{metric}_std"] = of_folds.std(ddof=0)
        leading = folds.reset_index().pivot_table(index="fold", columns="model", values=metrics[0])
        if against is not None and against in leading:
            differences = leading.sub(leading[against], axis=0)
            table[f"vs_{against}"], table[f"vs_{against}_se"] = differences.mean(), differences.sem()
        table = table.sort_values(metrics[0], ascending=metrics[0] == "mae", kind="stable")
        return pd.concat({task: table}, names=["task"])

    def table(self, *, against: str | None = None, size: str | int = "all") -> pd.DataFrame:
        """Write the leading metric of every model on every task as text, for reading.

        Parameters
        ----------
        against : str, optional
            A model; the paired difference to it is written beside.
        size : int or "all", default "all"
            Of the training sets.

        Returns
        -------
        DataFrame of str, index ``model``, a column for each task
            Mean ± standard error over folds: mae in the unit of the target, or roc_auc. The best of all that have run
            on every fold ends in ``*``; where folds are missing, or of one class, it says how many there are.
        """
        summary = self.summary(against=against, size=size)
        cells: dict[str, dict[str, str]] = {}
        for task, part in summary.groupby(level="task", sort=False):
            best = self.best(str(task), size=size)
            cells[str(task)] = {
                str(model): self.cell(str(task), row, against) + ("*" if model == best else "")
                for model, row in part.droplevel("task").iterrows()
            }
        kinds = self.scores.drop_duplicates("model").set_index("model")["kind"]
        models = [one for kind in ("baseline", "model") for one in kinds.index[kinds == kind]]
        return (
            pd.DataFrame(cells).reindex([one for one in models if any(one in of for of in cells.values())]).fillna("")
        )

    def best(self, task: str, *, size: str | int = "all") -> str | None:
        """Name the best model that has run on every fold of a task.

        Parameters
        ----------
        task : str
            Its name.
        size : int or "all", default "all"
            Of the training sets.

        Returns
        -------
        str or None
            None if no model has.
        """
        part = self._summary_of(task, None, str(size))
        if part is None:
            return None
        whole = part[part["n_folds"] == len(self.tasks[task]["folds"])]
        return str(whole.index[0][1]) if len(whole) else None

    def cell(self, task: str, row: pd.Series, against: str | None = None) -> str:
        """Write the leading metric of one row of a summary.

        Parameters
        ----------
        task : str
            Its name.
        row : Series
            Of `summary`.
        against : str, optional
            The model whose paired difference the row holds.

        Returns
        -------
        str
            Such as ``"0.446 ± 0.012"``.
        """
        metric = MATBENCH_METRICS[self.tasks[task]["target"]][0]
        text = with_error(row[metric], row[f"{metric}_se"])
        n_folds = len(self.tasks[task]["folds"])
        if row["n_folds"] < n_folds:
            text += f" ({row['n_folds']} of {n_folds} folds)"
        difference = None if against is None else row.get(f"vs_{against}")
        if difference is not None and np.isfinite(difference) and row.name not in (against, (task, against)):
            text += f" ({with_error(difference, row[f'vs_{against}_se'], sign=True)})"
        return text

    def compare(
        self, a: str, b: str, *, size: str | int = "all", n_draws: int = 2000, confidence: float = 0.95, seed: int = 0
    ) -> pd.DataFrame:
        """Compare the errors of two models row by row, with an interval of their difference.

        Parameters
        ----------
        a, b : str
            Models.
        size : int or "all", default "all"
            Of the training sets.
        n_draws : int, default 2000
            Of the bootstrap, which draws formulas with replacement, each with all of its test rows.
        confidence : float, default 0.95
            Of the interval.
        seed : int, default 0
            Of the draws.

        Returns
        -------
        DataFrame, index ``task``
            Tasks that both have run on: ``n_rows`` that both have predicted, and their ``n_formulas``, where a row
            whose formula no file tells counts as one; the mean error of ``a`` and of ``b`` over these rows: absolute
            error in the unit of the target, or the share of wrong classes; ``difference``, a - b, and its interval,
            ``low`` to ``high``. Errors of a row are averaged over seeds. The interval is that of the test rows: it does
            not tell what other training rows or seeds would have given.

        Raises
        ------
        ValueError
            If a setting makes no sense, or there is no task with both.
        """
        if n_draws < 1 or not 0 < confidence < 1:
            msg = f"wanted n_draws of 1 or more and a confidence between 0 and 1, got {n_draws} and {confidence}"
            raise ValueError(msg)
        found = {}
        for task in self.tasks:
            errors = self._row_errors(task, str(size))
            if a not in errors or b not in errors:
                continue
            both = errors[[a, b]].dropna() if a != b else errors[[a]].dropna()
            if not len(both):
                continue
            differences = (both[a] - both[b]).to_numpy()
            told = self.formulas(task)[both.index]
            formula, formulas = pd.factorize(told.where(told.notna(), told.index.to_series()))
            low, high = _interval(differences, formula, n_draws, confidence, seed)
            means = (float(both[a].mean()), float(both[b].mean()))
            found[task] = (len(both), len(formulas), *means, float(differences.mean()), low, high)
        if not found:
            models = ", ".join(sorted(set(self.scores["model"])))
            msg = f"no task has rows that {a!r} and {b!r} both predicted with size {size!r}; there are {models}"
            raise ValueError(msg)
        columns = ["n_rows", "n_formulas", "a", "b", "difference", "low", "high"]
        return pd.DataFrame.from_dict(found, orient="index", columns=columns).rename_axis("task")

    def _row_errors(self, task: str, size: str) -> pd.DataFrame:
        """Tabulate errors: a row for each material, a column for each model."""
        rows = self.predictions
        rows = rows[(rows["task"] == task) & (rows["size"] == size)]
        errors = rows[["id", "model"]].assign(error=(rows["predicted"] - rows["truth"]).abs())
        return errors.pivot_table(index="id", columns="model", values="error")

    def formulas(self, task: str) -> pd.Series:
        """List the formulas of a task.

        Parameters
        ----------
        task : str
            Its name.

        Returns
        -------
        Series of str, index ``id``
            Proportions of each material that was tested; None where no file tells them.
        """
        rows = self.predictions[self.predictions["task"] == task]
        return rows.groupby("id")["formula"].first()

    def learning_curve(self, task: str) -> pd.DataFrame:
        """Tabulate the scores of a task for all sizes of training sets.

        Parameters
        ----------
        task : str
            Its name.

        Returns
        -------
        DataFrame
            One row for each model, size and fold, seeds averaged: ``features`` (the model, under the name that
            `matembed.plots.learning_curve` takes), ``kind``, ``size``, ``n_train`` (the mean over folds), ``fold`` and
            the metrics.

        Raises
        ------
        ValueError
            If there is no such task.
        """
        runs = self._of(task)
        metrics = list(MATBENCH_METRICS[self.tasks[task]["target"]])
        runs = runs.assign(n_train=runs.groupby("size")["n_train"].transform("mean").round().astype(int))
        keys = ["model", "kind", "size", "n_train", "fold"]
        rows = runs.groupby(keys, sort=False)[metrics].mean().reset_index()
        return rows.rename(columns={"model": "features"}).sort_values(["n_train", "fold"], kind="stable")

    def plot_learning_curve(self, task: str) -> "Figure":
        """Draw the leading metric of a task against the size of training sets.

        Parameters
        ----------
        task : str
            Its name.

        Returns
        -------
        matplotlib.figure.Figure
            A line for each model; bars are standard errors over folds. Folds of one class have no area and are left
            out.

        Raises
        ------
        ValueError
            If there is no such task, or no fold has the metric.
        """
        from matembed.downstream.plots import learning_curve as draw

        metric = MATBENCH_METRICS[self.tasks[task]["target"]][0]
        unit = self.tasks[task]["unit"] if metric == "mae" else ""
        label = "MAE" if metric == "mae" else "area under the ROC curve"
        return draw(self.learning_curve(task).dropna(subset=metric), score=metric, unit=unit, label=label, title=task)

    def plot_parity(self, task: str, model: str, *, size: str | int = "all") -> "Figure":
        """Draw predicted against true values of all folds of a regression.

        Parameters
        ----------
        task, model : str
            Names.
        size : int or "all", default "all"
            Of the training sets.

        Returns
        -------
        matplotlib.figure.Figure
            The parity plot; seeds are averaged.

        Raises
        ------
        ValueError
            If the task is no regression, or there are no such predictions.
        """
        from matembed.downstream.plots import parity

        rows = self.predictions
        rows = rows[(rows["task"] == task) & (rows["model"] == model) & (rows["size"] == str(size))]
        if rows.empty or self.tasks[task]["target"] != "regression":
            msg = f"there are no predictions of numbers by {model!r} for {task!r} with size {size!r}"
            raise ValueError(msg)
        means = rows.groupby("id", sort=False)[["truth", "predicted"]].mean()
        unit = self.tasks[task]["unit"]
        return parity(means["truth"], means["predicted"], unit=unit, label=task, title=model)

    def report(self, path: str | os.PathLike[str], *, against: str | None = None) -> Path:
        """Write all of it on one page that needs no other file.

        Parameters
        ----------
        path : path-like
            ``.md`` for Markdown, tables alone; ``.html`` for the same with figures. Replaced if it is there.
        against : str, optional
            The model that others are compared with; "random_forest" by default, if it has run, else the first.

        Returns
        -------
        Path
            The page.

        Raises
        ------
        ValueError
            If the suffix is another, or there is no such model.
        """
        from matembed.matbench.page import render

        page = Path(path)
        if page.suffix not in (".md", ".html"):
            msg = f"a report is written as .md or .html, got {page.name!r}"
            raise ValueError(msg)
        text = render(self, html=page.suffix == ".html", against=against)
        with whole_file(page) as partial:
            partial.write_text(text, encoding="utf-8")
        return page

    def write_matbench(self, path: str | os.PathLike[str], model: str, *, seed: int = 0) -> Path:
        """Write the predictions of a model in the form of a submission to Matbench, ``results.json``.

        Parameters
        ----------
        path : path-like
            The file to write; replaced if it is there.
        model : str
            Its official tasks with every fold are written. Classes, not probabilities.
        seed : int, default 0
            Which of its seeds.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the model has no such task.
        """
        from matembed.matbench.submission import write_submission

        return write_submission(self, path, model, seed=seed)

    def _of(self, task: str, *, size: str | None = None) -> pd.DataFrame:
        if task not in self.tasks:
            msg = f"task must be one of {', '.join(self.tasks)}; got {task!r}"
            raise ValueError(msg)
        runs = self.scores[self.scores["task"] == task]
        return runs if size is None else runs[runs["size"] == size]


def with_error(value: float, error: float, *, sign: bool = False) -> str:
    """Write a mean with its standard error, to two digits of the error.

    Parameters
    ----------
    value, error : float
        The error may be NaN: of one value.
    sign : bool, default False
        Write a plus sign.

    Returns
    -------
    str
        Such as ``"103.5 ± 4.2"``.

    Examples
    --------
    >>> with_error(0.44612, 0.0123), with_error(103.51, 4.2), with_error(-1.5, float("nan"), sign=True)
    ('0.446 ± 0.012', '103.5 ± 4.2', '-1.5')
    """
    plus = "+" if sign else ""
    if not np.isfinite(value):
        return "–"
    if not np.isfinite(error):
        return f"{value:{plus}.4g}"
    digits = 1 - int(np.floor(np.log10(error))) if error > 0 else 4
    digits = min(max(digits, 0), 6)
    return f"{value:{plus}.{digits}f} ± {error:.{digits}f}"


def without_seeds(estimator: str) -> str:
    """Leave seeds out of the text of an estimator, which then is that of every fold.

    Parameters
    ----------
    estimator : str
        As a file of results has it, with settings on one line.

    Returns
    -------
    str
        Without ``random_state=3`` and ``seed=3``.

    Examples
    --------
    >>> without_seeds("Pipeline(steps=[('a', Forest(n_estimators=9, random_state=3)), ('b', Net(seed=3, width=8))])")
    "Pipeline(steps=[('a', Forest(n_estimators=9)), ('b', Net(width=8))])"
    """
    return _SEED.sub("", estimator).replace(", )", ")")


def differing(a: str, b: str) -> str:
    """Show two texts from where they differ, shortened.

    Parameters
    ----------
    a, b : str
        The texts.

    Returns
    -------
    str
        Both in quotes.

    Examples
    --------
    >>> differing("Ridge(alpha=1)", "Ridge(alpha=2)")
    "'...alpha=1)' and '...alpha=2)'"
    """
    pairs = enumerate(zip(a, b, strict=False))
    start = max(next((at for at, (one, other) in pairs if one != other), min(len(a), len(b))) - 6, 0)
    dots = "..." if start else ""
    return " and ".join(repr(f"{dots}{text[start : start + 60]}") for text in (a, b))


def _frames(
    results: Sequence[dict[str, Any]],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
    """Put results together, tasks by name."""
    tasks: dict[str, dict[str, Any]] = {}
    estimators: dict[tuple[str, str], str] = {}
    bare: dict[tuple[str, str, str], str] = {}
    for result in sorted(results, key=lambda one: str(one["task"])):
        facts = {name: result[name] for name in _FACTS}
        if tasks.setdefault(result["task"], facts)["data"] != facts["data"]:
            msg = f"results of {result['task']} are of different rows, targets or folds; they cannot stand side by side"
            raise ValueError(msg)
        estimators.setdefault((result["task"], result["model"]), result["estimator"])
        key = (result["task"], result["model"], str(result["size"]))
        text = without_seeds(result["estimator"])
        if bare.setdefault(key, text) != text:
            msg = (
                f"results of {result['model']} on {result['task']} are of two models, {differing(bare[key], text)}; "
                "name one of them otherwise: its folder"
            )
            raise ValueError(msg)
    predictions = []
    for result in results:
        columns = {name: str(result[name]) if name == "size" else result[name] for name in _RUN}
        columns |= {"id": result["ids"], "formula": result["formulas"], "truth": result["truth"]}
        columns |= {name: result[name] for name in ("predicted", "probability")}
        predictions.append(pd.DataFrame(columns).astype({"formula": object, "probability": float}))
    return pd.DataFrame(list(_score_rows(results))), pd.concat(predictions, ignore_index=True), tasks, estimators


def _score_rows(results: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for result in results:
        row = {"task": result["task"], "model": result["model"], "kind": result["kind"], "size": str(result["size"])}
        counts = {"seed": result["seed"], "fold": result["fold"], "n_train": result["n_train"]}
        yield row | counts | {"n_test": len(result["ids"])} | result["scores"]


def _interval(
    differences: NDArray[Any], group: NDArray[np.intp], n_draws: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Bootstrap the mean: percentiles over draws of groups, each with all of its rows."""
    rng = np.random.default_rng(seed)
    sums, counts = np.bincount(group, differences), np.bincount(group)
    drawn = (rng.integers(len(sums), size=len(sums)) for _ in range(n_draws))
    means = [sums[groups].sum() / counts[groups].sum() for groups in drawn]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
