"""Are the widths that networks predict true? How often errors are within them, and whether the unsure rows are worse.

``python benchmarks/uncertainty.py DATA --write benchmarks/uncertainty.md`` evaluates; ``DATA`` holds
``structures/matbench_composition_tasks.csv.gz`` and ``structures/matbench_phonons.jsonl.gz``. Every fold of every
network is some rows of ``--results`` once measured, and is not measured again; those of the page are in
results/uncertainty.csv.

Official Matbench folds; networks have their defaults, those of graphs the settings of graph_phonons.py, and learn the
logarithm of phonon peaks. Of three networks the mean is told, and a width of what each says and what they disagree
about. A width is a standard deviation; errors of networks have long tails, as of a Laplace distribution, of which 0.757
are within one and 0.941 within two. "Surer half" is the mean absolute error of the half of the rows with the smallest
widths, beside that of all; the correlation is Spearman's, of widths and absolute errors. The control exchanges the
widths among the rows of a fold: the same widths, which know nothing of the row. ± is a standard error over folds.
Nothing was settled by these numbers. What is not there was not run. Of the gaps 53 % are zero, those of metals: by
hand, 0.95 to 0.98 of these are within one width, whose median is 0.06 to 0.08 eV, and 0.87 to 0.93 of the others, whose
median is 0.9 to 1.2 eV.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import matembed as me
from matembed.graphs import build_graphs

RUNS = {
    "steels, MPa": ("CompositionRegressor", "TransformerRegressor"),
    "expt_gap, eV": ("CompositionRegressor", "TransformerRegressor"),
    "phonons, ln(1/cm)": ("AtomMotifRegressor",),
}
N_NETWORKS = 3
COLUMNS = ["task", "network", "fold", "n_networks", "error", "width"]


def read_task(data: Path, task: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Read materials, targets and test folds."""
    if task.startswith("phonons"):
        path = data / "structures" / "matbench_phonons.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            properties = [json.loads(line)["properties"] for line in lines]
        peaks = np.log([one["last_phdos_peak"] for one in properties])
        return build_graphs(path).graphs, peaks, np.array([int(one["fold"]) for one in properties])
    rows = pd.read_csv(
        data / "structures" / "matbench_composition_tasks.csv.gz", dtype=str, keep_default_na=False
    ).query(f"task == 'matbench_{task.split(',')[0]}'")
    return rows["formula"].to_numpy(object), rows["target"].to_numpy(float), rows["fold"].to_numpy(np.int64)


def regressor(name: str) -> Any:
    """Make the networks."""
    if name == "TransformerRegressor":
        return me.TransformerRegressor(n_members=N_NETWORKS)
    if name == "CompositionRegressor":
        return me.CompositionRegressor(me.load("elements"), n_members=N_NETWORKS)
    settings = {"width": 48, "max_epochs": 120, "patience": 40, "batch_size": 32}
    return me.AtomMotifRegressor(**settings, elements=me.load("elements"), n_members=N_NETWORKS)


def measure(options: argparse.Namespace) -> pd.DataFrame:
    """Measure every fold that is not there yet: errors and widths of one network, and of all."""
    file = options.results
    done = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=COLUMNS)
    known = set(done[COLUMNS[:3]].itertuples(index=False, name=None))
    for task in options.tasks:
        names = RUNS[task]
        materials, target, folds = read_task(options.data, task)
        for name in sorted({*names} & {*options.networks}):
            for fold in options.folds:
                if (task, name, fold) in known:
                    continue
                train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
                model = regressor(name).fit(materials[train], target[train])
                members, rows = model.members_, []
                for n in (1, N_NETWORKS):
                    model.members_ = members[:n]
                    told, width = model.predict(materials[test], return_std=True)
                    rows.append(pd.DataFrame({"error": told - target[test], "width": width}).assign(n_networks=n))
                found = pd.concat(rows).assign(task=task, network=name, fold=fold)[COLUMNS]
                found.to_csv(file, mode="a", header=not file.exists(), index=False, float_format="%.5g")
                print(found.groupby(COLUMNS[:4]).apply(scores, include_groups=False).to_string(), flush=True)
    return pd.read_csv(file)


def scores(rows: pd.DataFrame) -> pd.Series:
    """Score the widths of a fold."""
    error, width = rows["error"].abs().to_numpy(), rows["width"].to_numpy()
    other = np.random.default_rng(0).permutation(width)
    return pd.Series(
        {
            "MAE": error.mean(),
            "surer half": error[width <= np.median(width)].mean(),
            "within one width": (error <= width).mean(),
            "within two": (error <= 2 * width).mean(),
            "correlation": stats.spearmanr(error, width).statistic,
            "within one width, exchanged": (error <= other).mean(),
            "within two, exchanged": (error <= 2 * other).mean(),
            "surer half, exchanged": error[other <= np.median(other)].mean(),
        }
    )


def page(rows: pd.DataFrame) -> Iterator[str]:
    """Write the report."""
    yield "# Widths that networks predict"
    yield __doc__.split("\n\n", 2)[2].strip()
    by_fold = rows.groupby(COLUMNS[:4]).apply(scores, include_groups=False)
    runs = by_fold.groupby(["task", "network", "n_networks"])
    means, errors, n_folds = runs.mean(), runs.sem(), runs.size()
    for task in RUNS:
        if task not in means.index:
            continue
        yield f"## {task}"
        lines = [f"| network | networks | folds | {' | '.join(means)} |", "|---" * (3 + len(means.columns)) + "|"]
        for (name, n), row in means.loc[task].iterrows():
            cells = [
                f"{value:.3g}" + (f" ± {error:.2g}" if np.isfinite(error) else "")
                for value, error in zip(row, errors.loc[task, name, n], strict=True)
            ]
            lines.append(f"| {name} | {n} | {n_folds.loc[task, name, n]} | {' | '.join(cells)} |")
        yield "\n".join(lines)


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--results", type=Path, default=Path("uncertainty-results.csv"))
    parser.add_argument("--tasks", nargs="*", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--networks", nargs="*", default=sorted({name for names in RUNS.values() for name in names}))
    parser.add_argument("--folds", nargs="*", type=int, default=list(range(5)))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = measure(options)
    if options.write:
        options.write.write_text("\n\n".join(page(rows)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
