"""The page of a leaderboard: one list of headings, tables and figures, written as Markdown or as HTML."""

import base64
import html as markup
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from matembed.matbench.published import PUBLISHED, PUBLISHED_SOURCE
from matembed.matbench.results import BenchmarkResults, with_error
from matembed.matbench.tasks import MATBENCH, MATBENCH_METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; padding-bottom: .2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #e4e4e4; vertical-align: top; }
td:first-child { white-space: nowrap; }
figure { margin: 1.5rem 0; }
img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; }
"""
_NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "mape": "MAPE",
    "max_error": "largest error",
    "roc_auc": "ROC AUC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
}


@dataclass(frozen=True)
class _Heading:
    text: str
    level: int


@dataclass(frozen=True)
class _Paragraph:
    text: str


@dataclass(frozen=True)
class _Table:
    """Cells that begin and end with ``**`` are bold."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class _Picture:
    figure: "Figure"
    caption: str


_Block: TypeAlias = _Heading | _Paragraph | _Table | _Picture


def render(results: BenchmarkResults, *, html: bool, against: str | None = None) -> str:
    """Write the page.

    Parameters
    ----------
    results : BenchmarkResults
        What to tell.
    html : bool
        HTML with figures inside; else Markdown, which has none.
    against : str, optional
        The model that others are compared with; "random_forest" by default, if it has run, else the first.

    Returns
    -------
    str
        All of the page.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    models = results.scores["model"].drop_duplicates().tolist()
    chosen = against or ("random_forest" if "random_forest" in models else models[0])
    if chosen not in models:
        msg = f"against must be one of {', '.join(models)}; got {chosen!r}"
        raise ValueError(msg)
    blocks = _page(results, chosen, figures=html)
    if not html:
        return "\n\n".join(_markdown(block) for block in blocks) + "\n"
    body = "\n".join(_html(block) for block in blocks)
    head = f'<meta charset="utf-8">\n<title>matembed benchmark</title>\n<style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


# What the page says --------------------------------------------------------------------------------------------------


def _page(results: BenchmarkResults, against: str, *, figures: bool) -> Iterator[_Block]:
    yield _Heading("Benchmark", 1)
    yield _Paragraph(
        "Mean ± standard error over folds (folds share training rows, so these errors are too small rather than too "
        "large); where models have run with several seeds, these are averaged in each fold first. Bold is the best "
        "that has run on every fold. MAE is in the unit of the target; ROC AUC is the area under the curve of "
        "probabilities, or of decision functions where a model tells no probability. A model has seen the training "
        "rows of its fold alone."
    )
    whole = [task for task in results.tasks if "all" in results.sizes(task)]
    if whole:
        yield _Heading("All models, whole training folds", 2)
        yield _overview(results, whole)
        official = [task for task in whole if results.tasks[task]["official"]]
        if official:
            yield _Paragraph(_about_published(results, official))
        missing = _about_missing(results, whole)
        if missing:
            yield _Paragraph(missing)
        others = [task for task in results.tasks if not results.tasks[task]["official"]]
        if others:
            yield _Paragraph(
                f"Not the official rows, targets and folds of a Matbench task: {', '.join(others)}. No published "
                "figure can stand beside them."
            )
    for task in results.tasks:
        yield from _about_task(results, task, against, figures=figures)
    yield _Heading("What the models are", 2)
    yield _Paragraph("Estimators with their settings; seeds are those of the first run.")
    told: dict[tuple[str, str], list[str]] = {}
    for (task, model), text in results.estimators.items():
        told.setdefault((model, text), []).append(task)
    yield _Table(["model", "tasks", "estimator"], [[model, ", ".join(of), text] for (model, text), of in told.items()])


def _overview(results: BenchmarkResults, tasks: Sequence[str]) -> _Table:
    """Make the one table: a row for each model, a column for each task; published models below."""
    cells = results.table()
    kinds = results.scores.drop_duplicates("model").set_index("model")["kind"]
    rows = []
    for model in cells.index:
        name = f"{model} (baseline)" if kinds[model] == "baseline" else str(model)
        rows.append([name, *(_starred(cells.loc[model, task]) for task in tasks)])
    official = [task for task in tasks if results.tasks[task]["official"]]
    published = dict.fromkeys(name for task in official for name in PUBLISHED.get(task, {}))
    for name in published:
        values = (PUBLISHED.get(task, {}).get(name) if task in official else None for task in tasks)
        rows.append([f"published: {name}", *("" if value is None else f"{value:g}" for value in values)])
    return _Table(["model", *(_task_header(results, task) for task in tasks)], rows)


def _starred(text: str) -> str:
    return f"**{text.removesuffix('*')}**" if text.endswith("*") else text


def _task_header(results: BenchmarkResults, task: str) -> str:
    facts = results.tasks[task]
    metric = _NAMES[MATBENCH_METRICS[facts["target"]][0]]
    unit = f", {facts['unit']}" if facts["unit"] else ""
    return f"{task}: {metric}{unit} (n = {facts['n_materials']:,})"


def _about_published(results: BenchmarkResults, official: Sequence[str]) -> str:
    text = f"Published figures are those of {PUBLISHED_SOURCE}."
    if any(results.tasks[task]["target"] == "classification" for task in official):
        text += (
            " A submission may record classes in place of probabilities, and most of these figures look like that: the "
            "area is then the balanced accuracy, to be compared with ours of that name, below."
        )
    if any(MATBENCH[task].inputs == "structure" for task in official):
        text += " On tasks of structures they read structures, but for CrabNet and those marked (composition)."
    return text


def _about_missing(results: BenchmarkResults, tasks: Sequence[str]) -> str:
    """Say which models lack folds; nothing if none does."""
    n_folds = results.summary()["n_folds"]
    told = []
    for task in tasks:
        found = n_folds.loc[task]
        lacking = found.index[found < len(results.tasks[task]["folds"])]
        if len(lacking):
            told.append(f"{task} ({', '.join(lacking)})")
    if not told:
        return ""
    return (
        f"Folds are missing of {'; '.join(told)}: a mean over some of the folds cannot be compared with one over all "
        "of them, as every published figure is."
    )


def _about_task(results: BenchmarkResults, task: str, against: str, *, figures: bool) -> Iterator[_Block]:
    facts = results.tasks[task]
    kind = "official Matbench task" if facts["official"] else "not an official Matbench task"
    yield _Heading(task, 2)
    yield _Paragraph(f"{facts['n_materials']:,} materials, {len(facts['folds'])} folds, {facts['target']}; {kind}.")
    sizes = results.sizes(task)
    if "all" in sizes:
        yield _metrics(results, task, against)
        where = "" if results.formulas(task).notna().all() else ", where files of results tell it"
        error = "absolute error of a row" if facts["target"] == "regression" else "share of rows with a wrong class"
        yield _Paragraph(
            f"Spread after ± is the standard deviation over folds, as Matbench tells it. The last column is the mean "
            f"{error}, less that of {against}, with a 95 % interval: a bootstrap of the test rows that both predicted, "
            f"in which rows of one formula are drawn together{where}."
        )
    if len(sizes) > 1:
        yield _Paragraph(f"Training rows drawn from each fold, the same for all models: {_leading(results, task)}.")
        yield _curve(results, task, sizes)
        metric = MATBENCH_METRICS[facts["target"]][0]
        if figures and results.learning_curve(task)[metric].notna().any():
            yield _Picture(results.plot_learning_curve(task), "Scores against training rows; baselines are grey.")
    best = results.best(task) if "all" in sizes else None
    if figures and best is not None and facts["target"] == "regression":
        yield _Picture(results.plot_parity(task, best), f"Predictions of {best}, all test folds together.")


def _leading(results: BenchmarkResults, task: str) -> str:
    return _task_header(results, task).removeprefix(f"{task}: ").split(" (")[0]


def _metrics(results: BenchmarkResults, task: str, against: str) -> _Table:
    """Tabulate all metrics of a task, and the paired differences."""
    metrics = MATBENCH_METRICS[results.tasks[task]["target"]]
    summary = results.summary().loc[[task]].droplevel("task")
    rows = []
    for model, row in summary.iterrows():
        values = [with_error(row[metric], row[f"{metric}_std"]) for metric in metrics]
        rows.append(
            [str(model), f"{row['n_folds']}", f"{row['n_seeds']}", *values, _difference(results, task, model, against)]
        )
    header = ["model", "folds", "seeds", *(_NAMES[metric] for metric in metrics), f"difference to {against}"]
    return _Table(header, rows)


def _difference(results: BenchmarkResults, task: str, model: object, against: str) -> str:
    if model == against:
        return ""
    try:
        row = results.compare(str(model), against).loc[task]
    except (ValueError, KeyError):
        return "–"
    digits = max(0, 2 - int(np.floor(np.log10(max(row["high"] - row["low"], 1e-6)))))
    return f"{row['difference']:+.{digits}f} [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"


def _curve(results: BenchmarkResults, task: str, sizes: Sequence[str]) -> _Table:
    models = results.learning_curve(task)["features"].drop_duplicates().tolist()
    cells: dict[str, list[str]] = {model: [] for model in models}
    for size in sizes:
        rows = dict(results.summary(size=size).loc[[task]].droplevel("task").iterrows())
        for model, written in cells.items():
            written.append(results.cell(task, rows[model]) if model in rows else "")
    return _Table(["model", *sizes], [[model, *written] for model, written in cells.items()])


# How it is written ---------------------------------------------------------------------------------------------------


def _markdown(block: _Block) -> str:
    match block:
        case _Heading(text, level):
            return f"{'#' * level} {text}"
        case _Paragraph(text):
            return text
        case _Table(header, rows):
            lines = [header, ["---"] * len(header), *rows]
            return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        case _Picture(_, caption):
            return caption


def _html(block: _Block) -> str:
    match block:
        case _Heading(text, level):
            return f"<h{level}>{markup.escape(text)}</h{level}>"
        case _Paragraph(text):
            return f"<p>{markup.escape(text)}</p>"
        case _Table(header, rows):
            head = "".join(f"<th>{markup.escape(cell)}</th>" for cell in header)
            body = "".join("<tr>" + "".join(f"<td>{_bold(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        case _Picture(figure, caption):
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=130, metadata={"Software": None})
            data = base64.b64encode(file.getvalue()).decode("ascii")
            text = markup.escape(caption)
            source = f"data:image/png;base64,{data}"
            return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _bold(cell: str) -> str:
    text = markup.escape(cell)
    return f"<b>{text[2:-2]}</b>" if text.startswith("**") and text.endswith("**") else text
