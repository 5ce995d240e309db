"""A submission to Matbench: predictions of a model on official tasks, in the form of ``results.json``."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from matembed._atomic import whole_file
from matembed.matbench.results import BenchmarkResults
from matembed.matbench.tasks import MATBENCH, matbench_scores

__all__ = ["write_submission"]


def write_submission(results: BenchmarkResults, path: str | os.PathLike[str], model: str, *, seed: int = 0) -> Path:
    """Write the predictions of a model in the form of a submission.

    Parameters
    ----------
    results : BenchmarkResults
        Where the predictions are.
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
    whole = {}
    for task in MATBENCH:
        if task in results.tasks and results.tasks[task]["official"]:
            rows = results.predictions
            rows = rows[
                (rows["task"] == task) & (rows["model"] == model) & (rows["size"] == "all") & (rows["seed"] == seed)
            ]
            if rows["fold"].nunique() == len(results.tasks[task]["folds"]):
                whole[f"matbench_{task}"] = _submission(task, results.tasks[task]["target"], rows)
    if not whole:
        msg = f"{model!r} has no official task with all of its folds and seed {seed}"
        raise ValueError(msg)
    file = {
        "@module": "matbench.bench",
        "@class": "MatbenchBenchmark",
        "version": "0.6",
        "tasks": whole,
        "user_metadata": {"algorithm": model},
        "benchmark_name": "matbench_v0.1",
        "datestamp": datetime.now(UTC).strftime("%Y.%m.%d %H:%M.%S"),
    }
    file["hash"] = hashlib.sha256(json.dumps(_sorted(file)).encode()).hexdigest()
    with whole_file(Path(path)) as partial:
        partial.write_text(json.dumps(file) + "\n", encoding="utf-8")
    return Path(path)


def _submission(task: str, target: Any, rows: pd.DataFrame) -> dict[str, Any]:
    folds = {}
    for fold, part in rows.groupby("fold"):
        kind = float if target == "regression" else bool
        scores = matbench_scores(target, part["truth"], part["predicted"])
        if target == "classification":
            scores["rocauc"] = scores.pop("roc_auc")
        data = {one: kind(value) for one, value in zip(part["id"], part["predicted"], strict=True)}
        folds[f"fold_{fold}"] = {"data": data, "parameters": {}, "scores": scores}
    return {
        "@module": "matbench.task",
        "@class": "MatbenchTask",
        "benchmark_name": "matbench_v0.1",
        "dataset_name": f"matbench_{task}",
        "results": folds,
    }


def _sorted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Sort keys at all depths, as Matbench does before it takes the digest."""
    return {key: _sorted(value) if isinstance(value, dict) else value for key, value in sorted(values.items())}
