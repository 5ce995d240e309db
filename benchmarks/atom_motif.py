"""Do motifs help a graph network? Band gaps of oxides from atoms alone, and from the dual graph of atoms and motifs.

``python benchmarks/atom_motif.py DATA --graphs FOLDER --write benchmarks/atom_motif.md`` evaluates. ``DATA`` holds
``mp_oxides-00.jsonl.gz``, ``mp_nonoxides-00.jsonl.gz``, ``mp_crystalnn_bonds-00.jsonl.gz`` and
``matbench_linked.csv.gz``; graphs are made once and kept in ``FOLDER``. Every network that is trained is a file of
``--results``, and is not trained again; those of the page are in ``results/atom_motif``.

Data: the 26,553 oxides of matbench_mp_gap (PBE gaps in eV, 22 % are 0) whose structure is known here, with bonds of
CrystalNN. Structures are newer than the labels. "Official": the five folds of Matbench; polymorphs may sit in training.
"Formula": five folds by a hash of the reduced formula. Published models on the very same rows were trained on all of
matbench_mp_gap, oxides or not. Predictions below 0 are set to 0.

Networks: all have 3 layers, start from the package's vectors of elements, and have the settings of
`AtomMotifRegressor` but for what is written; early stopping looks at a tenth of the training formulas. Atoms know
their elements and oxidation states, bonds their lengths. Settings were chosen with atoms alone and with both, on
formulas of the training folds of official fold 0, so that only fold 0 was never looked at; those of the trees were set
beforehand.

- "atoms": the atom graph alone, width {width};
- "wide atoms": the same with as many weights as "atoms and motifs";
- "atoms and motifs": the dual graph, width {width};
- "no labels": the dual graph, but motifs know neither geometry nor csm: the primary control;
- "shuffled labels": geometry and csm of each motif exchanged among those of the same element, of all crystals;
- "no connections": motifs do not hear each other, and the network has a sixth fewer weights;
- "motif vectors": the dual graph that also reads the package's vectors of motifs;
- "no oxidation states": atoms alone, which do not know theirs, as in published networks;
- "narrow atoms": the atom graph alone, width 32;
- "equivariant": the same with vectors and tensors, on graphs that are not merged;
- "readout": branches meet in the head alone, as in the released code of AMDNet;
- "trees": no network, but 1,000 boosted trees (LightGBM, L1 loss, 63 leaves, learning rate 0.05, a quarter of the
  columns for each) on the composition and all blocks of `StructureFeaturizer`: what every network has to beat.

Differences are paired, row by row, over the folds and seeds that both have. The first interval is 95 % of 2,000
bootstrap samples of formulas: how sure the difference is for other formulas. The second is that of Student's t over the
folds, each trained anew, seeds averaged within a fold; it is wider by 1.5 than that of five independent runs, since
folds share training rows [1]_: how sure the difference is for other training sets. The vectors of elements were learned
without the formulas of ten tasks of Matbench, of which mp_gap is none; they know bond lengths and volumes, no gaps.

Networks on formula folds are of earlier code, as those of [earlier runs on official folds](atom_motif_earlier.md), with
more of the models and training sizes: bonds beyond 4.2 Å told them nothing of their length. 26 of the 26,553 crystals
have such bonds, but the weights that came with longer ones made all others start from other random numbers.

.. [1] C. Nadeau and Y. Bengio, Mach. Learn. 52, 239 (2003).
"""

import argparse
import gzip
import hashlib
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

import matembed as me
from matembed.downstream.composition_blocks import CompositionFeaturizer
from matembed.downstream.motif_blocks import BLOCKS
from matembed.graphs import AtomMotifGraphs, AtomMotifRegressor, build_graphs
from matembed.motifs import find_motif_arrays
from matembed.motifs.geometry import model_geometries

WIDTH, WIDE = 48, 76
EPOCHS, BATCH = 40, 64
MODELS: dict[str, dict[str, Any]] = {
    "atoms": {"branches": "atoms"},
    "wide atoms": {"branches": "atoms", "width": WIDE},
    "atoms and motifs": {},
    "no labels": {"motif_labels": False},
    "shuffled labels": {},
    "no connections": {"connections": False},
    "motif vectors": {},
    "no oxidation states": {"branches": "atoms"},
    "narrow atoms": {"branches": "atoms", "width": 32},
    "equivariant": {"branches": "atoms", "atom_layers": "equivariant", "width": 32},
    "readout": {"coupling": "readout"},
    "trees": {},
}
BOOSTING = {"n_estimators": 1000, "learning_rate": 0.05, "num_leaves": 63, "colsample_bytree": 0.25, "max_bin": 63}
SIZES = (300, 1000, 3000, 10000)
PUBLISHED = {
    "random forest": 0.629,
    "CrabNet": 0.457,
    "CGCNN": 0.433,
    "Finder-composition": 0.370,
    "Finder-structure": 0.355,
    "ALIGNN": 0.299,
    "coNGN": 0.268,
}
DUAL = "atoms and motifs"
CONTRASTS = [(DUAL, other) for other in MODELS if other != DUAL] + [
    ("wide atoms", "atoms"),
    ("no labels", "atoms"),
    ("equivariant", "narrow atoms"),
]
COMMON = ("T:4", "S:4", "S:5", "O:6", "T:6", "C:8", "C:12")  # geometries, in ChemEnv's symbols
HEAVY_P = ("Sn", "Sb", "Te", "Tl", "Pb", "Bi")
N_FOLDS, N_BOOTSTRAP = 5, 2000


@dataclass(frozen=True, eq=False)
class Gaps:
    """Graphs with their gaps, official folds and formula folds; which are oxides."""

    graphs: AtomMotifGraphs
    structures: Path
    gap: NDArray[np.float64]
    folds: dict[str, NDArray[np.int64]]
    oxide: NDArray[np.bool_]  # which come first
    folder: Path

    def whole(self) -> AtomMotifGraphs:
        """Read the same graphs with the directions of bonds, or make them."""
        parts = [make_graphs(self.structures, self.folder / f"whole-{kind}", kind, merge=False) for kind in self.kinds]
        return AtomMotifGraphs.concat(parts) if len(parts) > 1 else parts[0]

    @property
    def kinds(self) -> list[str]:
        """Which files the crystals are from."""
        return ["oxides"] if self.oxide.all() else ["oxides", "nonoxides"]


@dataclass(frozen=True)
class Run:
    """What is trained and on what: rows of oxides alone or of everything linked, all of them or some."""

    model: str
    split: str
    fold: int
    seed: int
    size: int = 0
    rows: str = "oxides"

    @property
    def name(self) -> str:
        """Name of its file."""
        return "-".join(
            map(str, (self.model.replace(" ", "_"), self.split, self.fold, self.seed, self.size, self.rows))
        )


# Data ----------------------------------------------------------------------------------------------------------------


def make_graphs(structures: Path, folder: Path, kind: str, *, merge: bool = True) -> AtomMotifGraphs:
    """Read the graphs of all linked oxides, or of all others, or make them."""
    if folder.exists():
        return AtomMotifGraphs.read(folder)
    linked = _linked(structures)
    wanted = set(linked.index[linked["oxide"] == (kind == "oxides")])
    bonds = {}
    with gzip.open(structures / "mp_crystalnn_bonds-00.jsonl.gz", "rt") as lines:
        for line in lines:
            if line.split('"', 4)[3] in wanted:
                record = json.loads(line)
                bonds[record["id"]] = record["bonds"]
    with (
        gzip.open(structures / f"mp_{kind}-00.jsonl.gz", "rt") as lines,
        tempfile.TemporaryDirectory() as temporary,
    ):
        chosen = Path(temporary) / f"{kind}.jsonl"
        with chosen.open("w") as file:
            file.writelines(line for line in lines if line.split('"', 4)[3] in wanted)
        graphs, rejected = build_graphs(chosen, bonds=bonds, merge=merge)
    print(graphs, "rejected:", rejected)
    graphs.write(folder)
    return graphs


def _linked(structures: Path) -> pd.DataFrame:
    rows = pd.read_csv(structures / "matbench_linked.csv.gz")
    return rows[rows["task"] == "matbench_mp_gap"].set_index("mp_id")


def columns(gaps: Gaps, file: Path) -> NDArray[np.float32]:
    """Describe all oxides for trees, or read what was made."""
    if not file.exists():
        place = {one: row for row, one in enumerate(gaps.graphs.ids)}
        found: list[Any] = [None] * int(gaps.oxide.sum())
        with gzip.open(gaps.structures / "mp_oxides-00.jsonl.gz", "rt") as lines:
            for line in lines:
                if line.split('"', 4)[3] in place:
                    record = json.loads(line)
                    found[place[record["id"]]] = find_motif_arrays(me.Crystal.from_record(record))
        composition = CompositionFeaturizer().fit_transform(list(gaps.graphs.formulas[: len(found)]))
        blocks = [
            me.StructureFeaturizer(blocks=BLOCKS).fit_transform(found[start : start + 1000])
            for start in range(0, len(found), 1000)
        ]
        partial = file.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.save(stream, np.hstack([composition, np.vstack(blocks)]).astype(np.float32))
        partial.rename(file)
    return np.load(file)


def read_gaps(structures: Path, folder: Path, *, everything: bool) -> Gaps:
    """Read oxides first, then others if wanted."""
    kinds = ["oxides", "nonoxides"] if everything else ["oxides"]
    parts = [make_graphs(structures, folder / kind, kind) for kind in kinds]
    graphs = AtomMotifGraphs.concat(parts) if everything else parts[0]
    rows = _linked(structures).loc[list(graphs.ids)]
    by_formula = [int(hashlib.sha1(one.encode()).hexdigest()[:8], 16) % N_FOLDS for one in graphs.formulas]
    folds = {"official": rows["fold"].to_numpy(np.int64), "formula": np.array(by_formula)}
    return Gaps(graphs, structures, rows["target"].to_numpy(np.float64), folds, rows["oxide"].to_numpy() == 1, folder)


# Measuring -----------------------------------------------------------------------------------------------------------


def measure(run: Run, gaps: Gaps, results: Path, device: str) -> None:
    """Train a model and keep what it predicts of the test rows, with what was spent: whole or not at all."""
    file = results / f"{run.name}.npz"
    settings = json.dumps([WIDTH, EPOCHS, BATCH, MODELS[run.model], BOOSTING if run.model == "trees" else {}])
    if file.exists():
        with np.load(file) as kept:
            if "settings" in kept and str(kept["settings"]) != settings:
                msg = f"{file} was made with {kept['settings']}, wanted now {settings}; name other --results"
                raise ValueError(msg)
        return
    fold = gaps.folds[run.split]
    test = np.flatnonzero((fold == run.fold) & gaps.oxide)
    train = np.flatnonzero((fold != run.fold) & (gaps.oxide if run.rows == "oxides" else True))
    if run.size:
        train = np.sort(np.random.default_rng(run.seed).permutation(train)[: run.size])
    described = columns(gaps, results / "columns.npy") if run.model == "trees" else None
    start = time.process_time()
    if described is not None:
        predicted, told = _trees(described, gaps.gap, train, test, run.seed)
    else:
        predicted, told = _network(run, gaps, train, test, device)
    told |= {"seconds": time.process_time() - start, "n_train": len(train)}
    predicted = np.maximum(predicted, 0)
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, test=test, predicted=predicted, settings=settings, **told)
    partial.rename(file)
    error = np.abs(predicted - gaps.gap[test]).mean()
    print(run.name, f"MAE {error:.4f}", *(f"{key} {value:.4g}" for key, value in told.items()), flush=True)


def _network(
    run: Run, gaps: Gaps, train: NDArray[np.int64], test: NDArray[np.int64], device: str
) -> tuple[NDArray[np.float64], dict[str, float]]:
    graphs = gaps.graphs
    if run.model == "shuffled labels":
        graphs = graphs[gaps.oxide].shuffled(run.seed) if run.rows == "oxides" else graphs.shuffled(run.seed)
    if run.model == "no oxidation states":
        unknown = np.full_like(graphs.columns["oxidations"], np.nan)
        graphs = replace(graphs, columns=dict(graphs.columns) | {"oxidations": unknown})
    if run.model == "equivariant":
        graphs = gaps.whole()
    epochs = EPOCHS if not run.size else min(200, EPOCHS * max(1, round(8000 / run.size)))
    settings = {"width": WIDTH, "max_epochs": epochs, "batch_size": BATCH} | MODELS[run.model]
    tables = {"elements": me.load("elements")} | ({"motifs": me.load("motifs")} if run.model == "motif vectors" else {})
    model = AtomMotifRegressor(**settings, **tables, seed=run.seed, device=device)
    predicted = model.fit(graphs[train], gaps.gap[train]).predict(graphs[test])
    history = model.history_[0]
    n_weights = sum(weight.numel() for weight in model.members_[0].parameters())
    validation = min(one["validation_error"] for one in history)
    return predicted, {"n_weights": n_weights, "epochs": len(history), "validation": validation}


def _trees(
    rows: NDArray[np.float32], gap: NDArray[np.float64], train: NDArray[np.int64], test: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.float64], dict[str, float]]:
    trees = lightgbm.LGBMRegressor(**BOOSTING, objective="l1", n_jobs=1, random_state=seed, verbose=-1)
    return trees.fit(rows[train], gap[train]).predict(rows[test]), {"n_weights": 0}


def plan(options: argparse.Namespace) -> Iterator[Run]:
    """List what to train, by fold, so that any time there are pairs to compare."""
    for rows in options.rows:
        for split in options.splits:
            for size in options.sizes:
                for seed in options.seeds:
                    for fold in options.folds:
                        for model in options.models:
                            yield Run(model, split, fold, seed, size, rows)


# The page ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Results:
    """Predictions of all test rows that were made, by run."""

    gaps: Gaps
    found: dict[Run, dict[str, Any]]

    @classmethod
    def read(cls, gaps: Gaps, folder: Path) -> "Results":
        """Read every file of a folder."""
        found = {}
        for file in sorted(folder.glob("*.npz")):
            model, split, fold, seed, size, rows = file.stem.split("-")
            run = Run(model.replace("_", " "), split, int(fold), int(seed), int(size), rows)
            with np.load(file) as arrays:
                found[run] = {name: arrays[name] for name in arrays.files}
        return cls(gaps, found)

    def errors(self, model: str, split: str, size: int = 0, rows: str = "oxides") -> pd.Series:
        """Tell the absolute error of each test row of each run, by fold, seed and row."""
        parts = [
            pd.DataFrame(
                {
                    "fold": run.fold,
                    "seed": run.seed,
                    "row": one["test"],
                    "error": np.abs(one["predicted"] - self.gaps.gap[one["test"]]),
                }
            )
            for run, one in self.found.items()
            if (run.model, run.split, run.size, run.rows) == (model, split, size, rows)
        ]
        if not parts:
            return pd.Series(dtype=float, index=pd.MultiIndex.from_arrays([[], [], []], names=["fold", "seed", "row"]))
        return pd.concat(parts).set_index(["fold", "seed", "row"])["error"].sort_index()

    def together(self, model: str, split: str, size: int = 0, rows: str = "oxides") -> pd.Series:
        """Tell the error of the mean over the seeds' predictions, by fold and row, of folds with all seeds."""
        runs = [run for run in self.found if (run.model, run.split, run.size, run.rows) == (model, split, size, rows)]
        n_seeds = len({run.seed for run in runs})
        parts = []
        for fold in sorted({run.fold for run in runs}):
            mine = [self.found[run] for run in runs if run.fold == fold]
            if len(mine) == n_seeds:
                test, told = mine[0]["test"], np.mean([one["predicted"] for one in mine], axis=0)
                parts.append(pd.DataFrame({"fold": fold, "row": test, "error": np.abs(told - self.gaps.gap[test])}))
        return pd.concat(parts).set_index(["fold", "row"])["error"]

    def told(self, name: str, model: str, split: str, size: int = 0, rows: str = "oxides") -> float:
        """Average what was noted of the runs."""
        wanted = (model, split, size, rows)
        values = [one[name] for run, one in self.found.items() if (run.model, run.split, run.size, run.rows) == wanted]
        if name == "n_weights" and len(set(map(int, values))) > 1:
            msg = f"runs of {model} on {split} folds are of networks of {sorted(set(map(int, values)))} weights"
            raise ValueError(f"{msg}; keep those of earlier code in another folder")
        return float(np.mean(values))


@dataclass(frozen=True)
class Difference:
    """Of two models: mean, its intervals over formulas and over training sets, and how many folds there are."""

    mean: float
    over_formulas: tuple[float, float]
    over_folds: tuple[float, float]
    n_folds: int

    def __str__(self) -> str:
        low, high = self.over_formulas
        return f"{self.mean:+.4f} ({low:+.4f} to {high:+.4f})"


def difference(one: pd.Series, other: pd.Series, gaps: Gaps) -> Difference | None:
    """Compare errors row by row, over the runs that both have; None if there are none."""
    both = (one - other).dropna()
    if not len(both):
        return None
    formulas = np.array(gaps.graphs.formulas)[both.index.get_level_values("row")]
    _, group = np.unique(formulas, return_inverse=True)
    sums, counts = np.bincount(group, both.to_numpy()), np.bincount(group)
    rng = np.random.default_rng(0)
    drawn = (rng.integers(len(sums), size=len(sums)) for _ in range(N_BOOTSTRAP))
    means = [sums[rows].sum() / counts[rows].sum() for rows in drawn]
    by_fold = both.groupby(["fold", "seed"]).mean().groupby("fold").mean()
    n_folds, reach = len(by_fold), np.nan
    if n_folds > 1:
        shared = 1 / (N_FOLDS - 1)  # test rows over training rows
        reach = stats.t.ppf(0.975, n_folds - 1) * by_fold.std() * np.sqrt(1 / n_folds + shared)
    middle = by_fold.mean()
    return Difference(both.mean(), tuple(np.quantile(means, [0.025, 0.975])), (middle - reach, middle + reach), n_folds)


def page(results: Results) -> Iterator[str]:
    """Write the report."""
    yield "# Do motifs help a graph network?"
    yield __doc__.format(width=WIDTH).split("\n\n", 2)[2].strip()
    for split in ("official", "formula"):
        for rows in ("oxides", "linked"):
            models = [model for model in MODELS if len(results.errors(model, split, rows=rows))]
            if not models:
                continue
            told = "oxides alone" if rows == "oxides" else "all linked materials, scored on oxides"
            yield f"## {split.capitalize()} folds, trained on {told}"
            yield "\n".join(_scores(results, split, rows, models))
            contrasts = list(_contrasts(results, split, rows=rows))
            if len(contrasts) > 2:
                yield "\n".join(contrasts)
    sizes = sorted({run.size for run in results.found} - {0})
    if sizes:
        yield "## By training size"
        yield "\n".join(_sizes(results, sizes))
        for size in sizes:
            contrasts = list(_contrasts(results, "official", size=size))
            if len(contrasts) > 2:
                yield f"With {size:,} training rows:"
                yield "\n".join(contrasts)
    if all(len(results.errors(model, "official")) for model in (DUAL, "no labels")):
        yield "## Where motifs help"
        yield "Official folds, oxides alone; differences of the dual graph, with intervals over formulas."
        yield "\n".join(_where(results))


def _score(errors: pd.Series) -> str:
    by_fold = errors.groupby("fold").mean()
    return f"{by_fold.mean():.4f} ± {by_fold.sem():.4f}" if len(by_fold) > 1 else f"{by_fold.mean():.4f}"


def _scores(results: Results, split: str, rows: str, models: list[str]) -> Iterator[str]:
    yield "| model | folds | seeds | weights | MAE, eV | in fold 0 | seeds' mean prediction | CPU minutes a fold |"
    yield "|---|---|---|---|---|---|---|---|"
    for model in models:
        errors = results.errors(model, split, rows=rows)
        n_folds, n_seeds = (errors.index.get_level_values(level).nunique() for level in ("fold", "seed"))
        n_runs = len(errors.index.droplevel("row").unique())
        seeds = str(n_seeds) if n_runs == n_folds * n_seeds else f"{n_seeds} ({n_runs} runs)"
        mean = results.together(model, split, rows=rows) if n_seeds > 1 else None
        together = "" if mean is None else _score(mean) + _few_folds(mean)
        weights, seconds = (results.told(name, model, split, rows=rows) for name in ("n_weights", "seconds"))
        first = f"{errors.loc[0].mean():.4f}" if 0 in errors.index.get_level_values("fold") else ""
        yield (
            f"| {model} | {n_folds} | {seeds} | {weights:,.0f} | {_score(errors)} | {first} | {together} | "
            f"{seconds / 60:.0f} |"
        )
    if split == "official":
        yield (
            "\nPublished, trained on all of matbench_mp_gap, scored on these rows: "
            + ", ".join(f"{name} {error:.3f}" for name, error in PUBLISHED.items())
            + "."
        )


def _contrasts(results: Results, split: str, size: int = 0, rows: str = "oxides") -> Iterator[str]:
    yield "| difference | eV | 95 % over formulas | 95 % over training sets | folds |"
    yield "|---|---|---|---|---|"
    pairs = [
        (f"{one} − {other}", results.errors(one, split, size, rows), results.errors(other, split, size, rows))
        for one, other in CONTRASTS
    ]
    if rows == "linked":
        name = f"{DUAL}: trained on all − on oxides alone"
        pairs.append((name, *(results.errors(DUAL, split, size, one) for one in ("linked", "oxides"))))
    for name, one, other in pairs:
        found = difference(one, other, results.gaps)
        if found is not None:
            intervals = found.over_formulas, found.over_folds
            spans = [f"{low:+.4f} to {high:+.4f}" if np.isfinite(low) else "" for low, high in intervals]
            yield f"| {name} | {found.mean:+.4f} | {spans[0]} | {spans[1]} | {found.n_folds} |"


def _sizes(results: Results, sizes: list[int]) -> Iterator[str]:
    models = [model for model in MODELS if any(len(results.errors(model, "official", size)) for size in sizes)]
    yield "| training rows | " + " | ".join(models) + f" | {DUAL} − atoms | {DUAL} − no labels |"
    yield "|---" * (len(models) + 3) + "|"
    for size in [*sizes, 0]:
        scores = [results.errors(model, "official", size) for model in models]
        cells = [f"{_score(errors)}{_few_folds(errors)}" if len(errors) else "" for errors in scores]
        for other in ("atoms", "no labels"):
            found = difference(*(results.errors(model, "official", size) for model in (DUAL, other)), results.gaps)
            cells.append("" if found is None else str(found))
        yield f"| {size or 'all'} | " + " | ".join(cells) + " |"


def _few_folds(errors: pd.Series) -> str:
    """Say how many folds there are, if not all."""
    n_folds = errors.index.get_level_values("fold").nunique()
    return "" if n_folds == N_FOLDS else f" ({n_folds} of {N_FOLDS} folds)"


def _where(results: Results) -> Iterator[str]:
    from pymatgen.core import Composition, Element

    found = {model: results.errors(model, "official") for model in (DUAL, "atoms", "wide atoms", "no labels")}
    others = [model for model, one in found.items() if len(one) and model != DUAL]
    errors = pd.concat({model: found[model] for model in (DUAL, *others)}, axis=1)
    errors = errors[errors[DUAL].notna()]
    rows = errors.index.get_level_values("row").to_numpy()
    formulas = np.array(results.gaps.graphs.formulas)[rows]
    compositions = {formula: Composition(formula) for formula in set(formulas)}
    elements = {formula: [Element(str(one)) for one in found.elements] for formula, found in compositions.items()}
    tests = {
        "with a transition metal": lambda one: any(element.is_transition_metal for element in one),
        "with a lanthanide or actinide": lambda one: any(
            element.is_lanthanoid or element.is_actinoid for element in one
        ),
        "with Sn, Sb, Te, Tl, Pb or Bi": lambda one: any(element.symbol in HEAVY_P for element in one),
        "with none of these": lambda one: (
            not any(
                element.is_transition_metal or element.is_lanthanoid or element.is_actinoid or element.symbol in HEAVY_P
                for element in one
            )
        ),
    }
    groups = {name: np.array([test(elements[formula]) for formula in formulas]) for name, test in tests.items()}
    held = _geometries(results.gaps.graphs)
    for geometry in COMMON:
        groups[f"with a cation in {geometry}"] = np.array([geometry in held[row] for row in rows])
    gap = results.gaps.gap[rows]
    groups |= {"gap 0": gap == 0, "gap above 0": gap > 0}
    anonymous = pd.Series([compositions[formula].anonymized_formula for formula in formulas])
    for name in anonymous.value_counts().index[:6]:
        groups[f"anonymous formula {name}"] = (anonymous == name).to_numpy()
    yield f"| test rows | number | {DUAL} | " + " | ".join(f"− {model}" for model in others) + " |"
    yield "|---" * (3 + len(others)) + "|"
    for name, chosen in groups.items():
        part = errors[chosen]
        cells = [str(difference(part[DUAL], part[other], results.gaps) or "") for other in others]
        n_rows = part.index.get_level_values("row").nunique()
        yield f"| {name} | {n_rows:,} | {part[DUAL].mean():.3f} | " + " | ".join(cells) + " |"


def _geometries(graphs: AtomMotifGraphs) -> list[set[str]]:
    """Name the geometries of each crystal."""
    names = model_geometries().symbols
    ends, codes = graphs.ends["motifs"], graphs.columns["motif_geometries"]
    spans = itertools.pairwise(ends.tolist())
    return [{names[code] for code in codes[first:last].tolist() if code >= 0} for first, last in spans]


def main() -> None:
    """Train what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--graphs", type=Path, default=Path("atom-motif-graphs"))
    parser.add_argument("--results", type=Path, default=Path("atom-motif-results"))
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--splits", nargs="*", default=["official"])
    parser.add_argument("--rows", nargs="*", default=["oxides"])
    parser.add_argument("--folds", nargs="*", type=int, default=list(range(N_FOLDS)))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--sizes", nargs="*", type=int, default=[0], help="training rows; 0 for all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    gaps = read_gaps(options.data / "structures", options.graphs, everything="linked" in options.rows)
    for run in plan(options):
        measure(run, gaps, options.results, options.device)
    if options.write:
        options.write.write_text("\n\n".join(page(Results.read(gaps, options.results))) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
