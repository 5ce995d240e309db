"""Commands that score vectors and models."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from matembed.cli.options import (
    TABLE,
    Commands,
    add_command,
    add_materials,
    add_output,
    given,
    pooling,
    positive_integer,
    whole_number,
    words,
)
from matembed.cli.printing import print_frame, print_rows
from matembed.cli.reading import looks_up, read_table, read_tables

if TYPE_CHECKING:
    from matembed.matbench.results import BenchmarkResults

__all__ = ["add_commands"]

_RUNNING = ("tasks", "baselines", "table", "column", "target", "splits", "folds", "out")  # options that --report lacks


def add_commands(commands: Commands) -> None:
    """Add them to the parser."""
    command = add_command(
        commands, "evaluate", _evaluate, "Cross-validated scores beside one-hot and random vectors, and controls."
    )
    add_materials(command)
    command.add_argument(
        "--table",
        type=Path,
        action="append",
        required=True,
        help=f"{TABLE}; may be given again",
    )
    command.add_argument("--target", required=True, help="column to predict")
    command.add_argument("--labels", type=Path, help="CSV with the target, where INPUT is a corpus of crystals")
    command.add_argument(
        "--splits", choices=("random", "formula", "chemical_system"), help="what is kept in one fold (formula)"
    )
    command.add_argument("--n-splits", type=positive_integer, help="number of folds (5)")
    command.add_argument(
        "--folds",
        metavar="COLUMN",
        help="column, beside the target, with the fold that tests each row, in place of --splits and --n-splits",
    )
    command.add_argument(
        "--task",
        choices=("auto", "regression", "classification"),
        default="auto",
        help="what is predicted; by default targets of two kinds, such as 0 and 1, are classes",
    )
    command.add_argument(
        "--model",
        choices=("ridge", "kernel_ridge", "extra_trees", "random_forest", "boosted_trees"),
        default="ridge",
        help="regressor or classifier, with fixed settings; pool mean,std,min,max for trees (default: %(default)s)",
    )
    command.add_argument("--max-train", type=positive_integer, help="train on so many rows of a fold at most (all)")
    command.add_argument("--max-test", type=positive_integer, help="test so many rows of a fold at most (all)")
    command.add_argument("--learning-curve", action="store_true", help="score training sets of several sizes as well")
    command.add_argument(
        "--sizes",
        type=positive_integer,
        nargs="+",
        default=[50, 100, 300, 1000],
        help="training rows of the learning curve (50 100 300 1000)",
    )
    command.add_argument(
        "--repeats", type=positive_integer, default=8, help="of the learning curve (default: %(default)s)"
    )
    command.add_argument(
        "--n-test", type=positive_integer, default=400, help="rows that a repeat tests (default: %(default)s)"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of folds, models and random vectors (default: %(default)s)"
    )
    command.add_argument("--unit", default="", help="unit of the target, for the figure")
    add_output(command, "--out", folder=True, help="folder for scores, predictions and figures")
    command.add_argument("--overwrite", action="store_true", help="replace scores that are there")

    command = add_command(
        commands,
        "benchmark",
        _benchmark,
        "Models and baselines on the official folds of Matbench, and a page of their results.",
    )
    command.add_argument(
        "data", type=Path, nargs="*", help="matbench_<task>.json(.gz), tables of formulas, JSON lines of crystals"
    )
    command.add_argument("--tasks", nargs="+", help="only these, such as steels or matbench_steels")
    command.add_argument("--models", nargs="+", default=[], help="such as kernel_ridge; a wrong name lists them all")
    command.add_argument(
        "--baselines",
        nargs="*",
        help="models that stand beside (dummy one_hot_ridge random_forest; of structures also composition_forest)",
    )
    command.add_argument(
        "--table",
        type=Path,
        help=(
            "vectors of elements for the models, never for baselines: ridge, kernel_ridge, extra_trees and "
            "boosted_trees pool them in place of properties of elements, and composition_network and atom_motif read "
            "each element with its vector"
        ),
    )
    command.add_argument("--column", help="column of the formulas, where its name is none that is known")
    command.add_argument("--target", help="column or property to predict, where a file does not tell")
    command.add_argument(
        "--task",
        choices=("auto", "regression", "classification"),
        default="auto",
        help="what is predicted; by default targets of two kinds, such as 0 and 1, are classes",
    )
    command.add_argument("--splits", type=Path, help="matbench_v0.1_validation.json; not needed for whole tasks")
    command.add_argument("--folds", type=whole_number, nargs="+", help="only these (all)")
    command.add_argument("--sizes", nargs="+", type=_size, default=["all"], help="training rows: 300 1000 all (all)")
    command.add_argument("--seeds", nargs="+", type=whole_number, default=[0], help="of draws and models (0)")
    command.add_argument(
        "--device",
        choices=("cpu", "cuda", "auto"),
        default="cpu",
        help="where networks compute; the same bytes again on the CPU alone (default: %(default)s)",
    )
    add_output(command, "--out", folder=True, help="folder of results; what it holds is not done again")
    command.add_argument("--report", type=Path, nargs="+", metavar="RESULTS", help="show folders of results; no run")
    command.add_argument("--against", help="model that the others are compared with (random_forest)")
    add_output(command, "--html", help="page with tables and figures to write")
    add_output(command, "--markdown", help="page with tables to write")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(resumes=True)


def _evaluate(options: argparse.Namespace) -> None:
    from matembed._atomic import refuse_occupied, whole_folder
    from matembed.downstream.benchmark import evaluate
    from matembed.downstream.inputs import read_inputs
    from matembed.downstream.learning_curves import learning_curve, plan_trials

    if options.out is not None:
        refuse_occupied(options.out, kind="Evaluation", overwrite=options.overwrite)
    splitting = given(options, ("splits", "n_splits"))
    if options.folds is not None and splitting:
        msg = f"--folds {options.folds} says which rows are tested together; leave out {words(splitting)}"
        raise ValueError(msg)
    if options.folds == options.target:
        msg = f"--folds and --target both name {options.target}; name the column that says which fold tests a row"
        raise ValueError(msg)
    tables = read_tables(options.table)
    inputs = read_inputs(
        options.input,
        what=looks_up(tables.values()),
        target=options.target,
        folds=options.folds,
        labels=options.labels,
        column=options.column,
        id_column=options.id_column,
    )
    drawn = {
        "sizes": options.sizes,
        "repeats": options.repeats,
        "n_test": options.n_test,
        "model": options.model,
        "task": options.task,
        "seed": options.seed,
    }
    if options.learning_curve:
        plan_trials(inputs.materials, inputs.frame["target"], **drawn)  # raises before the evaluation if it cannot be
    evaluation = evaluate(
        tables,
        inputs.materials,
        inputs.frame["target"],
        pooling=pooling(options),
        on_missing=options.on_missing,
        task=options.task,
        model=options.model,
        folds=None if options.folds is None else inputs.frame["fold"],
        **({"splits": "formula"} | splitting),
        max_train=options.max_train,
        max_test=options.max_test,
        seed=options.seed,
    )
    print_frame(evaluation.summary())
    curve = None
    if options.learning_curve:
        curve = learning_curve(
            tables,
            inputs.materials,
            inputs.frame["target"],
            pooling=pooling(options),
            on_missing=options.on_missing,
            **drawn,
        )
        print_frame(curve.summary())
    print_rows("rejected", inputs.rejected)
    print_rows("rewritten", inputs.rewritten)
    if options.out is None:
        return
    with whole_folder(options.out, kind="Evaluation", overwrite=options.overwrite) as partial:
        config = {"schema": 1, "type": "Evaluation", "target": options.target, "folds": options.folds}
        config["settings"] = dict(evaluation.settings)
        if curve is not None:
            config["learning_curve"] = dict(curve.settings)
        (partial / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        evaluation.scores.to_csv(partial / "scores.csv", index=False)
        evaluation.summary().to_csv(partial / "summary.csv")
        predictions = evaluation.predictions.drop(columns="row").assign(id=inputs.frame["id"])
        predictions.set_index("id").to_csv(partial / "predictions.csv")
        inputs.rejected.to_csv(partial / "rejected.csv", index=False)
        if evaluation.settings["task"] == "regression":
            for name in tables:
                figure = evaluation.plot(name, unit=options.unit, label=options.target)
                figure.savefig(partial / f"parity-{name}.png", dpi=150)
        if curve is not None:
            curve.scores.to_csv(partial / "learning_curve.csv", index=False)
            unit = options.unit if curve.settings["task"] == "regression" else ""
            curve.plot(unit=unit).savefig(partial / "learning_curve.png", dpi=150)
    print(f"scores and predictions: {options.out}")


def _benchmark(options: argparse.Namespace) -> None:
    from matembed.matbench.results import BenchmarkResults

    for page, suffix in ((options.html, ".html"), (options.markdown, ".md")):
        if page is not None and page.suffix != suffix:
            msg = f"--{'html' if suffix == '.html' else 'markdown'} writes a page named *{suffix}, got {page.name!r}"
            raise ValueError(msg)
    running = [*given(options, _RUNNING), *["models"] * bool(options.models)]
    if options.report and running:
        msg = f"--report shows results that are there, and runs nothing; leave out {words(running)}"
        raise ValueError(msg)
    results = BenchmarkResults.read(*options.report) if options.report else None
    if (results is None) == (not options.data):
        msg = "wanted files of tasks to run, or --report with folders of results; see matembed benchmark --help"
        lists = {"models": options.models, "baselines": options.baselines, "tasks": options.tasks}
        for name, listed in lists.items():
            if not options.report and listed and (Path(listed[-1]).suffix or Path(listed[-1]).is_file()):
                msg = f"{listed[-1]!r} was read as one of --{name}; write files before the options, or -- before files"
        raise ValueError(msg)
    if results is not None:
        _check_against(options.against, results.scores["model"])
    else:
        results = _run_benchmark(options)
    for size in dict.fromkeys(size for task in results.tasks for size in results.sizes(task)):
        print(f"training rows: {size}; mean ± standard error over folds, * the best")
        print(results.table(size=size, against=options.against).to_string())
    for page in (options.html, options.markdown):
        if page is not None:
            print(f"report: {results.report(page, against=options.against)}")


def _check_against(against: str | None, models: Iterable[str]) -> None:
    known = list(dict.fromkeys(models))
    if against is not None and against not in known:
        msg = f"--against must be one of {', '.join(known)}; got {against!r}"
        raise ValueError(msg)


def _run_benchmark(options: argparse.Namespace) -> "BenchmarkResults":
    from matembed.matbench.models import baselines_of
    from matembed.matbench.runs import run_benchmark
    from matembed.matbench.task_files import read_matbench
    from matembed.matbench.tasks import MatbenchTask

    if options.out is None:
        msg = "--out names the folder of results"
        raise ValueError(msg)
    tasks: dict[str, MatbenchTask] = {}
    wanted = None if options.tasks is None else [name.removeprefix("matbench_") for name in options.tasks]
    for path in options.data:
        found = read_matbench(
            path, target=options.target, column=options.column, folds=options.splits, task=options.task
        )
        twice = found.keys() & tasks.keys()
        if twice:
            msg = f"{path} and another file hold {', '.join(sorted(twice))}; name one of them"
            raise ValueError(msg)
        tasks |= found
    missing = [] if wanted is None else [name for name in wanted if name not in tasks]
    if missing:
        msg = f"no file holds {', '.join(missing)}; there are {', '.join(tasks)}"
        raise ValueError(msg)
    chosen = list(tasks.values()) if wanted is None else [tasks[name] for name in wanted]
    beside = [
        name for task in chosen for name in (baselines_of(task) if options.baselines is None else options.baselines)
    ]
    there = sorted(folder.name for folder in options.out.glob("*/*") if folder.is_dir())
    _check_against(options.against, [*beside, *options.models, *there])
    results = run_benchmark(
        chosen,
        options.models,
        options.out,
        baselines=options.baselines,
        table=None if options.table is None else read_table(options.table),
        folds=options.folds,
        sizes=options.sizes,
        seeds=options.seeds,
        device=options.device,
        progress=not options.quiet,
    )
    print(f"results: {options.out}")
    return results


def _size(text: str) -> int | Literal["all"]:
    return "all" if text == "all" else positive_integer(text)
