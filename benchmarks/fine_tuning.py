"""What is a transformer worth that is trained further on a property? Pretrained, from scratch, and beside tables.

``python benchmarks/fine_tuning.py DATA --pretrained FOLDER --write benchmarks/fine_tuning.md`` evaluates; ``DATA`` is
that of structure_features.py, and ``FOLDER`` a `MaskedLM` made by `matembed/pretrained/make_transformer.py` that has
seen no formula of these tasks: ``--list-seen FILE`` writes those it has to leave out. Every fold of every model is a
row of ``--results`` once measured, and is not measured again; ``--tasks``, ``--models`` and ``--sizes`` measure some.

Composition tasks have the official Matbench folds; so do phonons, and K and G on those ids of Matbench whose structure
is known here (5,658, linked folds, so no leaderboard numbers). Areas under the curve are of probabilities; those
published are taken to be of predicted classes, which are lower, and are no measure for ours. Of formulas charges are
balanced. Structures are read as words: elements, species, motifs, connections, site symmetries and the space group,
with their amounts; no lengths, no volume, and no csm either. Early stopping looks at a tenth of the training formulas.
The settings are the defaults of `TransformerRegressor`, for all tasks alike, pretrained or not: how long to train was
tried out with both on 300 band gaps, drawn from training folds and scored on other rows of these.

"Random start" is the same network from scratch. "Table" is, of formulas, kernel ridge on mean and standard deviation of
the package's element vectors; of structures, 300 extra trees on the composition of structure_features.py (fractions,
magpie and oliynyk properties) and the default blocks of `StructureFeaturizer`. With 300 rows, these are drawn from the
training folds by a seed, the same for every model; each of the five runs has its own fold, rows and seed.

What has no number was not run: random starts on whole folds but for steels, K and G on whole folds, G with 300 rows,
phonons on whole folds with the small network.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import structure_features
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.metrics import roc_auc_score

import matembed as me
from matembed.downstream.models import make_model

COMPOSITION = {"expt_gap": "eV", "steels": "MPa", "expt_is_metal": "AUC", "glass": "AUC"}
STRUCTURE = {"phonons": "1/cm", "K": "log10 GPa", "G": "log10 GPa"}
PUBLISHED = {
    "expt_gap": "CrabNet 0.346, MODNet 0.333",
    "steels": "MODNet 87.8, CrabNet 107.3",
    "expt_is_metal": "of classes: MODNet 0.916, AMMExpress 0.921",
    "glass": "of classes: MODNet 0.960, AMMExpress 0.861",
    "phonons": "CrabNet 55.1, Finder (composition) 46.6, random forest 67.6; with lengths MODNet 34.3, ALIGNN 29.5",
}
FEW, CURVES, N_DRAWS = 300, ("expt_gap", "phonons", "K"), 1
NETWORKS = ("random start", "pretrained")
MODELS = ("table", *NETWORKS)
COLUMNS = ["task", "model", "size", "run", "error", "seconds", "n_networks"]
SIZES = ("dim", "n_layers", "n_heads", "feed_forward")


@dataclass(frozen=True, eq=False)
class Task:
    """Materials as sets of words, targets, and official folds."""

    name: str
    formulas: list[str]
    target: NDArray[np.float64]
    folds: NDArray[np.int64]
    records: list[dict[str, Any]] | None = None

    @property
    def classifies(self) -> bool:
        """Whether the target is a class."""
        return COMPOSITION.get(self.name) == "AUC"

    @cached_property
    def sets(self) -> me.MaterialSets:
        """What a transformer reads."""
        if self.records is None:
            return me.formula_sets(self.formulas, oxidation="balanced")
        sets = me.structure_sets([me.Crystal.from_record(record).to_structure() for record in self.records])
        return replace(sets, csms=np.full_like(sets.csms, np.nan))

    @cached_property
    def rows(self) -> NDArray[np.float64]:
        """What a model of tables reads."""
        if self.records is None:
            return me.FormulaFeaturizer(me.load("elements"), pooling=["mean", "std"]).fit_transform(self.formulas)
        crystals = [me.Crystal.from_record(record).to_structure() for record in self.records]
        composition = structure_features.composition(self.formulas)
        return np.hstack([composition, me.StructureFeaturizer().fit_transform(crystals)])

    def error(self, predicted: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
        """Score predictions: the mean absolute error, or the area under the curve."""
        if self.classifies:
            return float(roc_auc_score(self.target[rows], predicted))
        return float(np.abs(predicted - self.target[rows]).mean())


def read_tasks(data: Path) -> dict[str, Task]:
    """Read all tasks."""
    table = pd.read_csv(data / "structures" / "matbench_composition_tasks.csv.gz", keep_default_na=False, dtype=str)
    tasks = {}
    for name in COMPOSITION:
        rows = table[table["task"] == f"matbench_{name}"]
        is_true = {"True": 1.0, "False": 0.0}
        target = np.array([is_true[text] if text in is_true else float(text) for text in rows["target"]])
        tasks[name] = Task(name, rows["formula"].tolist(), target, rows["fold"].to_numpy(np.int64))
    for task in structure_features.read_tasks(data / "structures"):
        if not task.official:
            continue
        name = task.name.removesuffix(", official")
        formulas = [record["formula"] for record in task.records]
        tasks[name] = Task(name, formulas, task.target, task.folds, task.records)
    return tasks


# Measuring -----------------------------------------------------------------------------------------------------------


def predict(
    task: Task, model: str, train: NDArray[np.int64], test: NDArray[np.int64], run: int, options: argparse.Namespace
) -> dict[int, NDArray[np.float64]]:
    """Train on some rows and predict others: by how many networks vote, one and all."""
    log = task.name == "phonons"  # frequencies span two orders of magnitude
    target = np.log(task.target[train]) if log else task.target[train]
    if model == "table":
        trees = ExtraTreesRegressor(300, max_features=0.4, random_state=run)
        estimator: Any = make_model("kernel_ridge") if task.records is None else trees
        found = {1: estimator.fit(task.rows[train], target).predict(task.rows[test])}
    else:
        start = me.MaskedLM.from_pretrained(options.pretrained)
        settings: dict[str, Any] = {name: getattr(start, name) for name in SIZES}
        settings["model"] = start if model == "pretrained" else None
        kind = me.TransformerClassifier if task.classifies else me.TransformerRegressor
        estimator = kind(**settings, n_members=options.networks, seed=10 * run).fit(task.sets[train], target)
        found, members = {}, estimator.members_
        for n in sorted({1, options.networks}):
            estimator.members_ = members[:n]
            asked = task.sets[test]
            found[n] = estimator.predict_proba(asked)[:, 1] if task.classifies else estimator.predict(asked)
    return {n: np.exp(predicted) if log else predicted for n, predicted in found.items()}


def runs(names: list[str], models: list[str], sizes: list[str]) -> Iterator[tuple[str, str, str, int]]:
    """List what to measure: task, model, size and number of the run."""
    for size in sizes:
        for name in names:
            for run in range(5 if size == "all" else 5 * N_DRAWS):
                for model in models:
                    if size == "all" or name in CURVES:
                        yield name, model, size, run


def measure(options: argparse.Namespace) -> pd.DataFrame:
    """Make every measurement that is not there yet."""
    tasks = read_tasks(options.data)
    file = options.results
    done = pd.read_csv(file, dtype={"size": str}) if file.exists() else pd.DataFrame(columns=COLUMNS)
    known = set(zip(*(done[column] for column in COLUMNS[:4]), done["n_networks"], strict=True))
    for name, model, size, run in runs(options.tasks, options.models, options.sizes):
        n_networks = 1 if model == "table" else options.networks
        if (name, model, size, run, n_networks) in known:
            continue
        task, fold = tasks[name], run % 5
        train, test = np.flatnonzero(task.folds != fold), np.flatnonzero(task.folds == fold)
        if size != "all":
            train = np.sort(np.random.default_rng(run).permutation(train)[: int(size)])
        start = time.process_time()
        for n, predicted in predict(task, model, train, test, run, options).items():
            row = [name, model, size, run, task.error(predicted, test), time.process_time() - start, n]
            pd.DataFrame([row], columns=COLUMNS).to_csv(file, mode="a", header=not file.exists(), index=False)
            print(*row, flush=True)
    return pd.read_csv(file, dtype={"size": str})


# The page ------------------------------------------------------------------------------------------------------------


def page(rows: pd.DataFrame, trained: str) -> Iterator[str]:
    """Write the report."""
    yield "# A transformer that is trained further"
    yield __doc__.split("\n\n", 2)[2].strip()
    yield trained
    for size in sorted(rows["size"].unique()):
        yield "## Whole training folds" if size == "all" else f"## {size} training rows"
        yield "\n".join(_table(rows[rows["size"] == size]))


def _table(rows: pd.DataFrame) -> Iterator[str]:
    """Write means over the runs, ± standard errors; the change is of one network to one network on the same rows."""
    several = sorted({*rows["n_networks"]} - {1})
    labels = [*MODELS, *(f"{model}, {n} networks" for n in several for model in NETWORKS)]
    many = rows["n_networks"].map(lambda n: f", {n} networks" if n > 1 else "")
    by_label = rows.assign(label=rows["model"] + many).drop_duplicates(["task", "label", "run"])
    labels = [label for label in labels if label in set(by_label["label"])]
    published = PUBLISHED if set(rows["size"]) == {"all"} else {}
    yield f"| task | {' | '.join(labels)} | pretraining changes the error of a network by | published |"
    yield "|---" * (len(labels) + 3) + "|"
    for name, unit in (COMPOSITION | STRUCTURE).items():
        part = by_label[by_label["task"] == name].pivot_table(index="run", columns="label", values="error")
        if not len(part):
            continue
        cells = [f"{part[one].mean():.4g} ± {part[one].sem():.2g}" if one in part else "" for one in labels]
        change = ""
        if set(NETWORKS) <= {*part} and unit != "AUC":
            ratio = 100 * (part["pretrained"] - part["random start"]) / part["random start"].mean()
            change = f"{ratio.mean():+.1f} ± {ratio.sem():.1f} %"
        yield f"| {name}, {unit} | {' | '.join(cells)} | {change} | {published.get(name, '')} |"


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pretrained", type=Path, help="folder of a MaskedLM")
    parser.add_argument("--results", type=Path, default=Path("fine-tuning-results.csv"))
    parser.add_argument("--networks", type=int, default=1, help="whose mean is predicted too")
    parser.add_argument("--list-seen", type=Path, help="file to write the formulas of the tasks to, and nothing else")
    parser.add_argument("--tasks", nargs="*", default=[*COMPOSITION, *STRUCTURE])
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--sizes", nargs="*", default=["all", str(FEW)])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    if options.list_seen:
        tasks = read_tasks(options.data).values()
        options.list_seen.write_text("\n".join(sorted({formula for task in tasks for formula in task.formulas})) + "\n")
        return
    if not options.pretrained:
        parser.error("networks take their size or their start from a pretrained one; pass --pretrained FOLDER")
    rows = measure(options)
    if options.write:
        card = me.MaskedLM.from_pretrained(options.pretrained).card_
        passes = [*card.corpus.get("trained_before", []), {"counts": card.counts, "settings": card.settings}]
        seen = ", then ".join(f"{one['settings']['epochs']} × {one['counts']['materials']:,}" for one in passes)
        trained = f"The network has {card.counts['weights']:,} weights; passes × crystals in pretraining: {seen}."
        options.write.write_text("\n\n".join(page(rows, trained)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
