"""A submission to Matbench has the form that Matbench reads."""

import hashlib
import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from matembed import FormulaFeaturizer
from matembed.downstream.baselines import one_hot_table
from matembed.elements import SYMBOLS
from matembed.matbench.runs import run_benchmark
from matembed.matbench.submission import write_submission
from matembed.matbench.tasks import MATBENCH, MatbenchFacts, MatbenchTask, official_folds, target_digest

SALTS = tuple(cation + anion for cation in ("Li", "Na", "K", "Rb", "Cs") for anion in ("F", "Cl", "Br", "I"))
TARGET = 4 + 0.15 * np.arange(20) + 0.3 * np.sin(np.arange(20))
LONG = (TARGET > 5.4).astype(int)


def ids(name):
    return tuple(f"mb-{name}-{idx:02d}" for idx in range(1, 21))


LENGTHS = MatbenchTask("lengths", SALTS, ids("lengths"), TARGET, official_folds(20), unit="Å")
CLASSES = MatbenchTask("long", SALTS, ids("long"), LONG, official_folds(20, LONG), "classification")


def linear(task, seed):
    last = Ridge(0.01) if task.task == "regression" else LogisticRegression()
    return make_pipeline(FormulaFeaturizer(one_hot_table(SYMBOLS[1:60])), last)


@pytest.fixture
def results(monkeypatch, tmp_path):
    """Results of two made-up tasks that are taken for official ones."""
    spread = float(np.abs(TARGET - TARGET.mean()).mean())
    for name, facts in (
        ("lengths", MatbenchFacts(20, "regression", "length", "Å", spread, "composition", target_digest(TARGET))),
        ("long", MatbenchFacts(20, "classification", "long", "", float(LONG.mean()), "composition")),
    ):
        monkeypatch.setitem(MATBENCH, name, facts)
    tasks = [MatbenchTask(one.name, one.inputs, one.ids, one.target, one.folds, one.task) for one in (LENGTHS, CLASSES)]
    return run_benchmark(tasks, {"strong": linear}, tmp_path / "out", baselines=[])


def test_a_submission_has_the_form_of_matbench(results, tmp_path):
    file = json.loads(results.write_matbench(tmp_path / "results.json", "strong").read_text())
    assert set(file) == {
        "@module", "@class", "version", "tasks", "user_metadata", "benchmark_name", "datestamp", "hash",
    }  # fmt: skip
    task = file["tasks"]["matbench_lengths"]
    assert set(task["results"]) == {f"fold_{fold}" for fold in range(5)}
    fold = task["results"]["fold_2"]
    assert set(fold) == {"data", "parameters", "scores"}
    assert set(fold["data"]) == {LENGTHS.ids[idx] for idx in LENGTHS.split(2)[1]}
    assert set(fold["scores"]) == {"mae", "rmse", "mape", "max_error"}
    classes = file["tasks"]["matbench_long"]["results"]["fold_0"]
    assert {type(value) for value in classes["data"].values()} == {bool}
    assert set(classes["scores"]) == {"accuracy", "balanced_accuracy", "f1", "rocauc"}

    def ordered(values):  # Matbench refuses a file whose digest is another
        return {key: ordered(value) if isinstance(value, dict) else value for key, value in sorted(values.items())}

    digest = file.pop("hash")
    assert digest == hashlib.sha256(json.dumps(ordered(file)).encode()).hexdigest()
    with pytest.raises(ValueError, match="no official task with all of its folds and seed 5"):
        results.write_matbench(tmp_path / "results.json", "strong", seed=5)


def test_results_write_the_same_file(results, tmp_path):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    write_submission(results, a, "strong")
    results.write_matbench(b, "strong")
    assert json.loads(a.read_text())["tasks"] == json.loads(b.read_text())["tasks"]
