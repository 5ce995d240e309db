"""A benchmark run: every model and every baseline on every fold, each result a file as soon as it is there.

A folder of results holds ``{task}/{model}/{size}-fold{fold}-seed{seed}.json``, size "all" or the number of training
rows drawn. A file holds ids, formulas, targets and predictions of the test rows, their scores and what the model was,
so that tables and figures can be made again without data or models, and folders of several people can be put side by
side. Graphs that "atom_motif" has read are kept beside, in ``_graphs``, for later runs; without it they are made again.
"""

import hashlib
import json
import math
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import sklearn
from numpy.typing import NDArray
from tqdm import tqdm

from matembed._atomic import refuse_occupied, whole_file
from matembed.cards import package_versions
from matembed.downstream._network_estimators import Device
from matembed.embeddings import EmbeddingTable
from matembed.matbench.models import (
    COMPOSITION_MODELS,
    Looked,
    ModelFactory,
    baselines_of,
    find_unreadable,
    looks_at,
    named_models,
)
from matembed.matbench.results import BenchmarkResults, differing, read_result, without_seeds
from matembed.matbench.tasks import MatbenchTask, matbench_scores

__all__ = ["Size", "run_benchmark"]

Size: TypeAlias = int | Literal["all"]

_KIND = "BenchmarkResults"
_GRAPHS = "_graphs"  # no name of a task
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_MOST_NAMED = 20  # ids of materials in an error
_PRINTED: Any = {
    "precision": 8,
    "threshold": sys.maxsize,
    "suppress": False,
    "floatmode": "maxprec",
    "sign": "-",
    "nanstr": "nan",
    "infstr": "inf",
    "legacy": False,
}
_N_SEEDS = 1 << 16  # so that 2¹⁶ · seed + fold stays below 2³²


class _Run(NamedTuple):
    task: MatbenchTask
    size: Size
    seed: int
    fold: int
    model: str


def run_benchmark(
    tasks: Sequence[MatbenchTask] | Mapping[str, MatbenchTask],
    models: Sequence[str] | Mapping[str, str | ModelFactory],
    out: str | os.PathLike[str],
    *,
    baselines: Sequence[str] | None = None,
    table: EmbeddingTable | None = None,
    folds: Sequence[int] | None = None,
    sizes: Sequence[Size] = ("all",),
    seeds: Sequence[int] = (0,),
    device: Device = "cpu",
    progress: bool = False,
) -> BenchmarkResults:
    """Train and test models and baselines on the folds of tasks; what a folder holds already is not done again.

    A model is given the materials and targets of the training rows, and the materials of the test rows. The targets
    of the test rows are compared with its predictions, and go nowhere else.

    Parameters
    ----------
    tasks : sequence of MatbenchTask, or mapping of str to it
        What to predict, such as `read_matbench` returns.
    models : sequence of str, or mapping of str to str or callable
        Names that `matembed.matbench.models` lists; or by a name of your own one of these or a function of
        a task, of which it is given the training rows, and a seed. It returns a scikit-learn estimator of formulas or
        structures, which is fitted once. Its settings, other than seeds, are the same for every fold; one that is to
        choose some does so when it is fitted, as `GridSearchCV` does. If the function has a method ``read``, the
        estimator is given what that returns for a list of materials, in their place.
    out : path-like
        Folder of results, made if need be.
    baselines : sequence of str, optional
        Names of models that stand beside in tables; by default "dummy", "one_hot_ridge", "random_forest" and, of
        structures, "composition_forest".
    table : EmbeddingTable, optional
        Vectors of elements for models by name; see `matembed.matbench.models.named_models`. Baselines never
        see it.
    folds : sequence of int, optional
        Only these. Scores of a part of the folds are marked.
    sizes : sequence of int or "all", default ("all",)
        Training rows; fewer than all are drawn by fold and seed, the same for every model, and fewer are part of more.
        Sizes that a task does not have are passed over.
    seeds : sequence of int, default (0,)
        Of draws and models, 0 to 65,535; each is another run of every fold.
    device : {"cpu", "cuda", "auto"}
        Where networks by name compute; all other models compute on the CPU. A network on an accelerator is another
        model than the same on the CPU, and its results say so.
    progress : bool, default False
        Show a bar.

    Returns
    -------
    BenchmarkResults
        All that `out` holds.

    Raises
    ------
    FileExistsError
        If `out` holds something other than results.
    TypeError
        If one name, task or number stands where a list of them is wanted.
    ValueError
        If a name is unknown, unfit for a file or that of two tasks, a fold or seed is no whole number, there is nothing
        to do, training rows are of one class, a model cannot learn a task, a model by name cannot read a material, such
        as a disordered structure, `out` holds a result of other data or of another model by the same name or with
        another table or device, there is no accelerator though one was asked for, or a model predicts what is no
        number, or no probabilities of classes. All but the last two are found before anything is fitted.
    ImportError
        If an accelerator is looked for, and PyTorch is not installed.

    Notes
    -----
    Every model gets the seed 2¹⁶ · seed + fold. Results of the same data, models, seeds and versions of packages,
    which each file of results names, are the same bytes, if the models are repeated by their seed. On an accelerator
    those of networks need not be: sums there come in any order.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> salts = [c + a for c in ("Li", "Na", "K", "Rb") for a in ("F", "Cl", "Br")]
    >>> distance = [2.01, 2.57, 2.75, 2.32, 2.82, 2.99, 2.67, 3.15, 3.30, 2.82, 3.29, 3.43]  # Å
    >>> task = MatbenchTask("salts", tuple(salts), tuple(salts), distance, [0, 1, 2, 2, 0, 1] * 2, unit="Å")
    >>> with TemporaryDirectory() as out:
    ...     results = run_benchmark([task], ["ridge"], out, baselines=["dummy"])
    >>> results.summary()["mae"].round(1).to_dict()
    {('salts', 'ridge'): 0.1, ('salts', 'dummy'): 0.4}
    """
    folder = Path(out)
    several = _listed("tasks", tasks.values() if isinstance(tasks, Mapping) else tasks)
    competing = dict(models) if isinstance(models, Mapping) else {name: name for name in _listed("models", models)}
    chosen = None if baselines is None else _listed("baselines", baselines)
    beside = {task.name: baselines_of(task) if chosen is None else chosen for task in several}
    known = named_models(table, device=device, graphs=folder / _GRAPHS)
    factories = _factories(competing, list(dict.fromkeys(chain.from_iterable(beside.values()))), known)
    names = {task: list(dict.fromkeys([*of_task, *competing])) for task, of_task in beside.items()}
    if not factories:
        msg = "there is nothing to run: no models and no baselines; name one"
        raise ValueError(msg)
    runs = list(_runs(several, names, folds, sizes, seeds))
    if not runs:
        listed = f"tasks: {len(several)}, models: {len(factories)}, sizes: {list(sizes)}"
        msg = f"there is nothing to run ({listed}); a size must be at most the rows that every fold of a task trains on"
        raise ValueError(msg)
    refuse_occupied(folder, kind=_KIND, overwrite=True)
    asked = {name: name for name in factories} | competing
    _refuse_unreadable(runs, {name: model for name, model in asked.items() if isinstance(model, str)})
    texts = _check_models(runs, factories, folder)
    with whole_file(folder / "config.json") as partial:
        partial.write_text(json.dumps({"schema": 1, "type": _KIND}) + "\n", encoding="utf-8")
    versions = package_versions()
    for run in tqdm(runs, unit=" folds", disable=not progress):
        kind = "baseline" if run.model in beside[run.task.name] else "model"
        _measure(run, factories[run.model], folder, texts[_group(run)], {"kind": kind, "versions": versions})
    return BenchmarkResults.read(folder)


def _listed(name: str, values: Any) -> list[Any]:
    """Refuse one of something where several are wanted."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        shown = f"the text {values!r}" if isinstance(values, str) else repr(values)
        inside = values.name if isinstance(values, MatbenchTask) else repr(values)
        msg = f"{name} must be a sequence, got {shown}; pass [{inside}]"
        raise TypeError(msg)
    return list(values)


def _factories(
    asked: Mapping[str, str | ModelFactory], baselines: Sequence[str], known: Mapping[str, ModelFactory]
) -> dict[str, ModelFactory]:
    """Look up models, baselines first; both are known by a name that can be that of a folder."""
    twice = sorted({name for name, model in asked.items() if name in baselines and model != name})
    if twice:
        msg = f"{', '.join(twice)} is the name of a baseline; give your model another"
        raise ValueError(msg)
    found = {}
    for name, model in {**{one: one for one in baselines}, **asked}.items():
        if not _FILE_NAME.fullmatch(name):
            msg = f"the name of a model is that of a folder: letters, digits, '_', '.', '+' and '-'; got {name!r}"
            raise ValueError(msg)
        if isinstance(model, str) and model not in known:
            msg = f"model must be one of {', '.join(known)}, or a function of task and seed; got {model!r}"
            raise ValueError(msg)
        found[name] = known[model] if isinstance(model, str) else model
    return found


def _runs(
    tasks: Sequence[MatbenchTask],
    models: Mapping[str, Sequence[str]],
    folds: Sequence[int] | None,
    sizes: Sequence[Size],
    seeds: Sequence[int],
) -> Iterator[_Run]:
    """List what is to be measured; models are those of each task."""
    checked = [_size(size) for size in _listed("sizes", sizes)]
    numbers = _whole_numbers("seeds", seeds)
    if not all(0 <= seed < _N_SEEDS for seed in numbers):
        msg = f"seeds must be 0 or more and below {_N_SEEDS:,}, got {numbers}"
        raise ValueError(msg)
    wanted = None if folds is None else _whole_numbers("folds", folds)
    if wanted == []:
        msg = "folds must name one fold or more, got []; leave folds out for all of them"
        raise ValueError(msg)
    twice = [name for name, n_tasks in Counter(task.name for task in tasks).items() if n_tasks > 1]
    if twice:
        msg = f"several tasks go by the name {', '.join(twice)}, that of one folder of results; name them otherwise"
        raise ValueError(msg)
    for task in tasks:
        if not _FILE_NAME.fullmatch(task.name):
            msg = f"the name of a task is that of a folder: letters, digits, '_', '.', '+' and '-'; got {task.name!r}"
            msg += "; rename the task, or the file that it is named after"
            raise ValueError(msg)
        chosen = task.fold_numbers if wanted is None else wanted
        fewest = min(len(task.split(fold)[0]) for fold in chosen)
        for size in checked:
            if size == "all" or size <= fewest:
                for seed in numbers:
                    for fold in chosen:
                        yield from (_Run(task, size, seed, fold, model) for model in models[task.name])


def _whole_numbers(name: str, values: Any) -> list[int]:
    listed = _listed(name, values)
    if not all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in listed):
        msg = f"{name} must be whole numbers, got {listed}"
        raise ValueError(msg)
    return [int(value) for value in listed]


def _size(size: Any) -> Size:
    if isinstance(size, str) and size == "all":
        return "all"
    if isinstance(size, int | np.integer) and not isinstance(size, bool) and size >= 1:
        return int(size)
    msg = f'sizes are "all" or 1 or more, got {size!r}'
    raise ValueError(msg)


def _group(run: _Run) -> tuple[str, str, Size]:
    """Name what is one model, whatever the fold and seed."""
    return run.task.name, run.model, run.size


def _split(run: _Run) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """List the rows that a run learns from, and those that it tests."""
    train_idx, test_idx = run.task.split(run.fold)
    if run.size != "all":
        return run.task.draw(run.fold, run.size, seed=run.seed), test_idx
    if run.task.task == "classification" and len(np.unique(run.task.target[train_idx])) < 2:
        rows = f"{run.task.name}, fold {run.fold}: all {len(train_idx):,} training rows"
        msg = f"{rows} are of one class; leave that fold out"
        raise ValueError(msg)
    return train_idx, test_idx


def _estimator(run: _Run, factory: ModelFactory) -> tuple[Any, MatbenchTask]:
    """Make the model of a run, and list the rows that it is to learn from."""
    training = run.task.rows(_split(run)[0])
    return factory(training, (run.seed << 16) + run.fold), training


def _refuse_unreadable(runs: Sequence[_Run], known: Mapping[str, str]) -> None:
    """Refuse materials that a model cannot read; of a function of the user's, which is not known, nobody can tell."""
    found: dict[tuple[str, Looked], dict[int, str]] = {}
    for run in runs:
        if run.model not in known:
            continue
        looked = looks_at(known[run.model], run.task)
        key = run.task.name, looked
        if key not in found:
            found[key] = find_unreadable(run.task, looked)
        if found[key] and any(row in found[key] for row in np.concatenate(_split(run)).tolist()):
            readers = [
                one.model
                for one in runs
                if one.task is run.task and one.model in known and looks_at(known[one.model], one.task) == looked
            ]
            raise ValueError(_unreadable(run.task, looked, found[key], list(dict.fromkeys(readers))))


def _unreadable(task: MatbenchTask, looked: Looked, reasons: Mapping[int, str], readers: Sequence[str]) -> str:
    ids = [f"{task.ids[row]} (row {row + 1})" for row in reasons]  # Matbench's own files hold no ids
    more = f" and {len(ids) - _MOST_NAMED:,} more" if len(ids) > _MOST_NAMED else ""
    kind = looked if task.crystals else "formulas"
    why = f"{'' if len(ids) == 1 else '; the first'}: {next(iter(reasons.values()))}"
    remedy = f", or choose models and baselines that read compositions: {', '.join(('dummy', *COMPOSITION_MODELS))}"
    return (
        f"{task.name}: {', '.join(readers)} cannot read {len(ids):,} of {len(task):,} {kind}: "
        f"{', '.join(ids[:_MOST_NAMED])}{more}{why}; leave {'it' if len(ids) == 1 else 'them'} out of the file"
        f"{remedy if looked == 'structures' else ''}"
    )


def _check_models(
    runs: Sequence[_Run], factories: Mapping[str, ModelFactory], folder: Path
) -> dict[tuple[str, str, Size], str]:
    """Write each model without its seeds, before it is fitted; refuse results of other data or of another model.

    Rows that would be of one class are found too: every draw is made once.
    """
    for run in {(run.task.name, run.size, run.seed, run.fold): run for run in runs}.values():
        _split(run)
    held: dict[tuple[str, str, Size], list[tuple[Path, str]]] = {}
    for task in {run.task.name: run.task for run in runs}.values():
        for path in sorted((folder / task.name).glob("*/*.json")):
            found = read_result(path)
            if found["data"] != task.sha256:
                raise ValueError(_another(path, "data", found["data"], task.sha256))
            held.setdefault((task.name, found["model"], found["size"]), []).append((path, found["estimator"]))
    texts: dict[tuple[str, str, Size], str] = {}
    for run in runs:
        if _group(run) not in texts:
            text = without_seeds(_description(_estimator(run, factories[run.model])[0]))
            texts[_group(run)] = text
            for path, estimator in held.get(_group(run), []):
                if without_seeds(estimator) != text:
                    raise ValueError(_another(path, "estimator", without_seeds(estimator), text))
    return texts


def _another(path: Path, key: str, found: object, now: object) -> str:
    if key == "data":
        return (
            f"{path} is of another run, data with other materials, targets or folds; "
            "choose another folder, or remove the results of that task"
        )
    shown = differing(str(found), str(now))
    return (
        f"{path} is of another run, {key} {shown}; name the model otherwise, choose another folder, or remove the file"
    )


def _measure(run: _Run, factory: ModelFactory, folder: Path, text: str, more: dict[str, Any]) -> None:
    """Make one result, unless it is there."""
    task = run.task
    _, test_idx = task.split(run.fold)
    estimator, training = _estimator(run, factory)
    description = _description(estimator)
    facts: dict[str, Any] = {
        "schema": 1,
        "type": "BenchmarkResult",
        "task": task.name,
        "target": task.task,
        "unit": task.unit,
        "n_materials": len(task),
        "folds": task.fold_numbers,
        "official": task.official,
        "data": task.sha256,
        "model": run.model,
        "estimator": description,
        "size": run.size,
        "fold": run.fold,
        "seed": run.seed,
        "n_train": len(training),
    }
    if without_seeds(description) != text:
        msg = (
            f"{run.model} is not one model in all folds of {task.name}, {differing(text, without_seeds(description))}; "
            "make one that chooses its settings when it is fitted"
        )
        raise ValueError(msg)
    path = folder / task.name / run.model / f"{run.size}-fold{run.fold}-seed{run.seed}.json"
    if path.exists():
        _refuse_another(path, facts)
        return
    read = getattr(factory, "read", list)
    fitted = estimator.fit(read(list(training.inputs)), training.target)
    inputs = read([task.inputs[idx] for idx in test_idx])
    predicted = np.asarray(fitted.predict(inputs)).ravel()
    probability = _probability(run.model, fitted, inputs) if task.task == "classification" else None
    for values in (predicted, probability):
        if values is not None and (values.shape != (len(inputs),) or not np.isfinite(values.astype(np.float64)).all()):
            msg = f"{run.model} must predict one finite number for each of {len(inputs):,} rows of {task.name}"
            raise ValueError(msg)
    truth = task.target[test_idx]
    scores = matbench_scores(task.task, truth, predicted, probability)
    result = (
        facts
        | more
        | {
            "scores": {metric: score if math.isfinite(score) else None for metric, score in scores.items()},
            "ids": [task.ids[idx] for idx in test_idx],
            "formulas": [task.formulas[idx] for idx in test_idx],
            "truth": truth.tolist(),
            "predicted": predicted.astype(truth.dtype).tolist(),
            "probability": None if probability is None else probability.tolist(),
        }
    )
    with whole_file(path) as partial:
        partial.write_text(json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _probability(model: str, fitted: Any, inputs: list[Any]) -> NDArray[np.float64]:
    """Ask a classifier how likely the positive class is, or how far a row is on its side."""
    if hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict_proba(inputs), dtype=np.float64)[:, -1]
    if hasattr(fitted, "decision_function"):
        return np.asarray(fitted.decision_function(inputs), dtype=np.float64)
    msg = f"{model} is no classifier: it has neither predict_proba nor decision_function; leave it out of this task"
    raise ValueError(msg)


def _refuse_another(path: Path, facts: Mapping[str, Any]) -> None:
    """Refuse to take a result for that of other data or of another model."""
    found = read_result(path)
    for key, value in facts.items():
        if found[key] != value:
            raise ValueError(_another(path, key, found[key], value))


def _description(estimator: Any) -> str:
    """Write an estimator with its settings on one line, without addresses, and digests of the tables that it has.

    How the user prints numbers and estimators makes no difference.
    """
    with sklearn.config_context(print_changed_only=True), np.printoptions(**_PRINTED):
        try:
            text = estimator.__repr__(N_CHAR_MAX=100_000)
        except TypeError:
            text = repr(estimator)
    settings = estimator.get_params() if hasattr(estimator, "get_params") else {}
    tables = {name: table for name, table in settings.items() if isinstance(table, EmbeddingTable)}
    digests = "".join(f"; {name} sha256 {_digest(tables[name])}" for name in sorted(tables))
    return _ADDRESS.sub("", " ".join(text.split())) + digests


def _digest(table: EmbeddingTable) -> str:
    """Digest tokens and vectors: tables of one name and shape may hold other numbers."""
    return hashlib.sha256("\n".join(table.tokens).encode() + table.vectors.tobytes()).hexdigest()[:12]
