"""What is structure worth? The blocks of StructureFeaturizer on top of the composition, beside shuffled controls.

``python benchmarks/structure_features.py DATA --write benchmarks/structure_features.md`` evaluates; ``DATA`` holds
``matbench_phonons.jsonl.gz``, ``mp2018_pbe.jsonl.gz`` and ``matbench_linked.csv.gz``. Every measurement is a row of
``--results`` as soon as it is made, and rows that are there are not made again; motifs are kept beside it.

Four tasks: the highest phonon frequency (Matbench, 1,265 crystals, as log); log10 of the bulk modulus K (5,658 crystals
of the Materials Project, PBE of 2018); the band gap of oxides (8,000 of 8,208 with at most 80 sites, L1 loss); the
formation energy (8,000 random ones of 33,153, at most 80 sites). Five folds by a hash of the reduced formula, so that
polymorphs are held out together; phonons have the official folds, where 12 % of test rows share a formula with
training. Test folds are cut to 1,500 rows by a seed. C, the composition, is element fractions, mean, std, min and max
of the magpie and oliynyk properties in the ElementEmbeddings package, the number of elements and the entropy of the
fractions. Bond lengths and bond physics are those of all sites (``valences="none"``) unless it says otherwise.
LightGBM has 300 trees of 31 leaves, learning rate 0.05, 25 % of the columns for each tree and 63 bins; extra trees are
300 with 40 % of the columns. Settings are the same everywhere and nothing was chosen on test folds, with one exception:
whoever designed the columns of the blocks looked at these very means, for some 15 sets of columns. That is what the
fresh rows are for: 8,000 other formation energies, of formulas that are not among the first.

Errors are the mean absolute error, ± the standard error over five folds; changes are in % of the mean error, with t of
the paired differences over folds in brackets (4 degrees of freedom: below 2.8 is a tie, and t is optimistic because
training sets overlap). In the control the site records of the whole data set (oxidation state, geometry, coordination
number, csm, links) are permuted among sites of the same element, then pooled as before: the same columns with the same
values for each element, but of other crystals. A second control is the size of the cell as it was given, which is no
property of a crystal: the numbers of its sites, motifs and connections. ``size_only`` of `matembed.evaluate` is, for
structures, the number of sites with the volume per atom and the density, which are properties.
"""

import argparse
import gzip
import hashlib
import itertools
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import elementembeddings
import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition
from sklearn.ensemble import ExtraTreesRegressor

import matembed as me
from matembed.downstream.baselines import one_hot_table
from matembed.downstream.controls import cell_sizes
from matembed.downstream.materials import as_graph
from matembed.downstream.motif_batch import MotifBatch
from matembed.downstream.motif_blocks import BLOCKS, block_columns, describe_motifs
from matembed.elements import SYMBOLS
from matembed.motifs import MotifArrays, find_motif_arrays

MAX_SITES, N_ROWS, MAX_TEST = 80, 8000, 1500
BOOSTING = {"learning_rate": 0.05, "num_leaves": 31, "feature_fraction": 0.25}
BINS = {"max_bin": 63, "feature_pre_filter": False}
SIZES, N_DRAWS = (300, 1000), 3
Blocks = dict[str, NDArray[np.float64]]
LABELS = ("centres", "geometries", "connections")
LENGTHS = ("size", "all-site bond_lengths", "all-site bond_physics")
CELL = "+ numbers of sites, motifs, connections (size of the cell)"
SIZE_ONLY = "+ size_only (number of sites, volume per atom, density)"
OXIDATION_ALONE = "+ oxidation states alone"
DEFAULT = "+ centres, geometries, connections (default)"
ALL_BLOCKS = "+ all blocks"
NO_LABELS = "+ size, bond_lengths, bond_physics (no labels)"
NO_OXIDATION = "+ default without oxidation states"
WITH_OXIDATION = "+ oxidation states, default"
SETS: dict[str, tuple[str, ...]] = {
    "C": (),
    CELL: ("cell",),
    SIZE_ONLY: ("size_only",),
    OXIDATION_ALONE: ("oxidation",),
    "+ centres": ("centres",),
    DEFAULT: LABELS,
    "+ default, of all sites": tuple(f"all-site {block}" for block in LABELS),
    "+ default, and centres, geometries of all sites": (*LABELS, "all-site centres", "all-site geometries"),
    WITH_OXIDATION: ("oxidation", *LABELS),
    NO_OXIDATION: tuple(f"{block} without oxidation" for block in LABELS),
    "+ size": LENGTHS[:1],
    "+ bond_lengths": LENGTHS[1:2],
    NO_LABELS: LENGTHS,
    "+ the same, but bonds of cations alone": ("size", "bond_lengths", "bond_physics"),
    ALL_BLOCKS: (*LABELS, *LENGTHS),
}
UNLABELLED = {*LENGTHS, "bond_lengths", "bond_physics", "cell", "size_only"}
LABELS_ALONE = [name for name, blocks in SETS.items() if blocks and not set(blocks) & UNLABELLED]
LABELLED = [name for name, blocks in SETS.items() if set(blocks) - UNLABELLED]
WITH_TREES = [name for name, blocks in SETS.items() if len(blocks) != 1 and "oxidation" not in name]
# Columns of the block "centres" that still say something once coordination is taken away.
OXIDATION = ("oxidation", "known", "d electrons", "share of lone pairs")
# Columns that oxidation states go into.
OXIDISED = ("oxid", "strength", "d electron", "ligand field", "Jahn", "lone", "preference", "d0 ", "d8 ", "d10 ")


# Tasks ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """Crystals with targets and test folds; polymorphs are compared where targets differ by min_difference."""

    name: str
    records: list[dict[str, Any]]
    target: NDArray[np.float64]
    folds: NDArray[np.int64]
    objective: str = "l2"
    log: bool = False
    min_difference: float | None = None

    @property
    def official(self) -> bool:
        """Whether test folds are whole."""
        return self.name.endswith("official")


def read_tasks(folder: Path) -> list[Task]:
    """Read the tasks."""
    phonons, rows = (_read_lines(folder / name) for name in ("matbench_phonons.jsonl.gz", "mp2018_pbe.jsonl.gz"))
    small = [row for row in rows if len(row["species"]) <= MAX_SITES]
    elastic = [row for row in rows if "mb_log_kvrh" in row["properties"]]
    gaps = [row for row in small if "O" in row["species"] and "mb_gap" in row["properties"]]
    energies = [row for row in small if "e_form_2018" in row["properties"]]
    rng = np.random.default_rng(0)
    gaps = [gaps[row] for row in np.sort(rng.permutation(len(gaps))[:N_ROWS])]
    order = rng.permutation(len(energies))
    seen = [energies[row] for row in np.sort(order[:N_ROWS])]
    known = {row["formula"] for row in seen}
    fresh = [energies[row] for row in order[N_ROWS:] if energies[row]["formula"] not in known][:N_ROWS]
    bulk, shear = (_target(elastic, f"mb_log_{letter}vrh") for letter in "kg")
    tasks = [
        Task("phonons", phonons, _target(phonons, "last_phdos_peak"), _target(phonons, "fold"), log=True),
        Task("K", elastic, bulk, _hashed(elastic)),
        Task("oxide gap", gaps, _target(gaps, "mb_gap"), _hashed(gaps), objective="l1", min_difference=0.2),
        Task("e_form", seen, _target(seen, "e_form_2018"), _hashed(seen), min_difference=0.01),
        Task("e_form, fresh", fresh, _target(fresh, "e_form_2018"), _hashed(fresh), min_difference=0.01),
    ]
    tasks.append(replace(tasks[0], name="phonons, official"))
    linked = pd.read_csv(folder / "matbench_linked.csv.gz").set_index(["task", "mp_id"])["fold"]
    for name, target in (("K", bulk), ("G", shear)):
        folds = linked[f"matbench_log_{name.lower()}vrh"].loc[[record["id"] for record in elastic]].to_numpy()
        tasks.append(Task(f"{name}, official", elastic, target, folds))
    return tasks


def _target(records: list[dict[str, Any]], key: str) -> NDArray[Any]:
    return np.array([record["properties"][key] for record in records])


def _read_lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _hashed(records: list[dict[str, Any]]) -> NDArray[np.int64]:
    reduced = [Composition(record["formula"]).reduced_formula for record in records]
    return np.array([int(hashlib.sha1(f"fold:{one}".encode()).hexdigest()[:8], 16) % 5 for one in reduced])


# Features ------------------------------------------------------------------------------------------------------------


def composition(formulas: list[str]) -> NDArray[np.float64]:
    """Describe formulas: the block C."""
    fractions = me.FormulaFeaturizer(one_hot_table(SYMBOLS[1:104])).fit_transform(formulas)
    properties = me.FormulaFeaturizer(_properties(), pooling=["mean", "std", "min", "max"]).fit_transform(formulas)
    entropy = -(fractions * np.log(np.where(fractions > 0, fractions, 1))).sum(axis=1)
    rows = np.column_stack([fractions, properties, (fractions > 0).sum(axis=1), entropy])
    return rows[:, rows.std(axis=0) > 0]


def _properties() -> me.EmbeddingTable:
    home = Path(elementembeddings.__file__).parent / "data" / "element_representations"
    frames = [pd.read_csv(home / name, index_col=0) for name in ("magpie.csv", "oliynyk_preprocessed.csv")]
    frame = pd.concat([one.reindex(list(SYMBOLS[1:104])) for one in frames], axis=1)
    return me.EmbeddingTable(tuple(frame.index), frame.fillna(frame.mean()).to_numpy(np.float32), me.Card("properties"))


def find(task: Task, folder: Path) -> dict[str, list[MotifArrays]]:
    """Find the motifs of a task's crystals twice, of the cations and of all sites, or read them back."""
    ids = " ".join(record["id"] for record in task.records)
    kept = folder / f"motifs-{hashlib.sha1(ids.encode()).hexdigest()[:8]}.pickle"
    if not kept.exists():
        crystals = [me.Crystal.from_record(record) for record in task.records]
        found = {
            "": [find_motif_arrays(crystal) for crystal in crystals],
            "all-site ": [find_motif_arrays(crystal, valences="none") for crystal in crystals],
        }
        kept.write_bytes(pickle.dumps(found, protocol=5))
    return pickle.loads(kept.read_bytes())


def describe(found: dict[str, list[MotifArrays]]) -> tuple[Blocks, Blocks]:
    """Describe crystals by every block, and again with the site records shuffled."""
    real, control, featurizer = {}, {}, me.StructureFeaturizer(blocks=BLOCKS).fit()
    for view, arrays in found.items():
        real |= _by_block(featurizer.transform(arrays), featurizer.get_feature_names_out(), view)
        batch = MotifBatch.from_found(arrays)
        mixed = shuffled(batch)
        control |= _by_block(describe_motifs(mixed, LABELS), np.array(block_columns(LABELS)), view)
        if not view:
            real["oxidation"], control["oxidation"] = oxidation_states(batch), oxidation_states(mixed)
    return real, {**real, **control}


def _by_block(rows: NDArray[np.float64], names: NDArray[Any], view: str) -> Blocks:
    blocks = {}
    for block in dict.fromkeys(name.split(": ")[0] for name in names):
        inside = np.array([name.startswith(f"{block}: ") for name in names])
        oxidised = np.array([any(word in name for word in OXIDISED) for name in names])
        blocks[f"{view}{block}"] = rows[:, inside]
        blocks[f"{view}{block} without oxidation"] = rows[:, inside & ~oxidised]
    return blocks


def cells(task: Task, arrays: Sequence[MotifArrays]) -> Blocks:
    """Tell the size of each cell, as the controls of `matembed.evaluate` do."""
    graphs = [as_graph(found) for found in arrays]
    sizes = cell_sizes([found.crystal.to_structure() for found in arrays], graphs)
    n_sites = [len(record["species"]) for record in task.records]
    return {"cell": np.column_stack([n_sites, cell_sizes(graphs, graphs)]), "size_only": sizes}


def shuffled(batch: MotifBatch) -> MotifBatch:
    """Give the records of centres, and those of ligands, to random sites of the same element in the data set."""
    rng = np.random.default_rng(0)

    def exchange(crystals: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        moved = crystals.copy()
        for number in np.unique(numbers):
            same = np.flatnonzero(numbers == number)
            moved[same] = crystals[rng.permutation(same)]
        return moved

    sites = batch.site_crystal_idx.copy()
    ligands = np.unique(batch.ligand_sites)
    crystals = exchange(batch.crystal_idx, batch.numbers)
    sites[ligands] = exchange(sites[ligands], batch.site_numbers[ligands])
    return replace(batch, crystal_idx=crystals, site_crystal_idx=sites)


def oxidation_states(batch: MotifBatch) -> NDArray[np.float64]:
    """Describe oxidation states without coordination: averaged over each element of a crystal, and every cn 1."""
    crystal_elements = batch.crystal_idx * len(SYMBOLS) + batch.numbers
    mean = pd.Series(batch.oxidations).fillna(0).groupby(crystal_elements).transform("mean")
    mean = mean.where(np.isfinite(batch.oxidations)).to_numpy()
    flat = {"cns": np.ones_like(batch.cns), "geometries": 0 * batch.geometries, "csms": 0 * batch.csms}
    bare = replace(batch, oxidations=mean, **flat)
    frame = pd.DataFrame(describe_motifs(bare, ["centres"]), columns=block_columns(["centres"]))
    return frame[[name for name in frame if any(word in name for word in OXIDATION)]].to_numpy()


# Measurements --------------------------------------------------------------------------------------------------------


def fit_predict(
    task: Task, model: str, train_rows: NDArray[Any], test_rows: NDArray[Any], target: NDArray[Any], seed: int
) -> NDArray[np.float64]:
    """Fit a model on training rows and predict test rows."""
    wanted = np.log(target) if task.log else target
    if model == "LightGBM":
        settings = {"objective": task.objective, "seed": seed, "num_threads": 1, "verbose": -1, **BINS, **BOOSTING}
        boosted = lightgbm.train(settings, lightgbm.Dataset(train_rows, wanted, params=BINS), 300)
        predicted = boosted.predict(test_rows, num_threads=1)
    else:
        trees = ExtraTreesRegressor(300, max_features=0.4, n_jobs=1, random_state=seed)
        predicted = trees.fit(train_rows, wanted).predict(test_rows)
    return np.exp(predicted) if task.log else predicted


def predict(task: Task, rows: NDArray[Any], model: str, *, seed: int = 0, size: int = 0) -> NDArray[np.float64]:
    """Predict each fold from the others, or from `size` rows of them; NaN where a test fold was cut."""
    predicted = np.full(len(rows), np.nan)
    for fold in range(5):
        train, test = np.flatnonzero(task.folds != fold), np.flatnonzero(task.folds == fold)
        if not task.official and len(test) > MAX_TEST:
            test = np.sort(np.random.default_rng(fold).permutation(test)[:MAX_TEST])
        if size:
            train = np.sort(np.random.default_rng([seed, fold]).permutation(train)[:size])
        predicted[test] = fit_predict(task, model, rows[train], rows[test], task.target[train], seed)
    return predicted


def assess(task: Task, predicted: NDArray[np.float64]) -> list[float]:
    """Errors of the five folds; then polymorph pairs in order, standard error, numbers of pairs and of formulas."""
    wrong = np.abs(predicted - task.target)
    numbers = [float(np.nanmean(wrong[task.folds == fold])) for fold in range(5)]
    if task.min_difference is None:
        return [*numbers, *[np.nan] * 4]
    held = np.flatnonzero(np.isfinite(predicted))
    formulas = [task.records[row]["formula"] for row in held]
    found = me.polymorph_order(formulas, task.target[held], predicted[held], min_difference=task.min_difference)
    return [*numbers, found.share, found.standard_error, found.n_pairs, found.n_formulas]


KEYS = ("task", "set", "control", "model", "size")
COLUMNS = (*KEYS, "columns", *(f"fold{n}" for n in range(5)), "order", "order_sem", "n_pairs", "n_formulas")


def wanted(task: Task) -> list[tuple[str, bool, str, int]]:
    """List (set, control, model, size) of every measurement of a task; `official` ones make several models each."""
    if task.official:
        return [(name, False, "LightGBM", 0) for name in ("C", CELL, DEFAULT, NO_LABELS, ALL_BLOCKS)]
    if task.name == "e_form, fresh":
        return [("C", False, "LightGBM", 0), *((DEFAULT, control, "LightGBM", 0) for control in (False, True))]
    listed = [(name, False, "LightGBM", 0) for name in SETS] + [(name, True, "LightGBM", 0) for name in LABELLED]
    listed += [(name, False, "LightGBM", size) for size in SIZES for name in ("C", DEFAULT)]
    if task.name == "phonons":
        listed += [(name, False, "extra trees", 0) for name in WITH_TREES]
    return listed


def measure_one(task: Task, rows: NDArray[Any], model: str, size: int) -> dict[str, list[float]]:
    """Make a measurement; on official folds also one of several seeds, and for phonons one with extra trees."""
    if size:
        drawn = [assess(task, predict(task, rows, model, seed=seed, size=size)) for seed in range(N_DRAWS)]
        return {model: np.mean(drawn, axis=0).tolist()}
    if not task.official:
        return {model: assess(task, predict(task, rows, model))}
    seeds = [predict(task, rows, model, seed=seed) for seed in range(3)]
    made = {model: seeds[0], f"{model}, 3 seeds": np.mean(seeds, axis=0)}
    if task.log:
        made["extra trees"] = predict(task, rows, "extra trees")
        made["mean of both"] = (made[f"{model}, 3 seeds"] + made["extra trees"]) / 2
    return {name: assess(task, predicted) for name, predicted in made.items()}


def measure(options: argparse.Namespace) -> pd.DataFrame:
    """Make every measurement that is not there yet."""
    options.results.parent.mkdir(parents=True, exist_ok=True)
    if not options.results.exists():
        pd.DataFrame(columns=list(COLUMNS)).to_csv(options.results, index=False)
    known = set(pd.read_csv(options.results)[list(KEYS)].itertuples(index=False, name=None))
    for task in read_tasks(options.data):
        missing = [(name, *rest) for name, *rest in wanted(task) if (task.name, name, *rest) not in known]
        if not missing:
            continue
        base = composition([record["formula"] for record in task.records])
        found = find(task, options.results.parent)
        sizes, (real, control) = cells(task, found[""]), describe(found)
        for name, is_control, model, size in missing:
            described = sizes | (control if is_control else real)
            rows = np.hstack([base, *(described[block] for block in SETS[name])]).astype(np.float32)
            for made, numbers in measure_one(task, rows, model, size).items():
                line = [task.name, name, is_control, made, size, rows.shape[1], *numbers]
                pd.DataFrame([line]).to_csv(options.results, mode="a", header=False, index=False)
            print(task.name, name, is_control, model, size, f"{np.mean(numbers[:5]):.4g}", flush=True)
    return pd.read_csv(options.results)


# Report --------------------------------------------------------------------------------------------------------------

MAIN = {"phonons": "1/cm", "K": "10⁻³ log10 GPa", "oxide gap": "meV", "e_form": "meV/atom"}
CONTRASTS = (
    ("coordination on top of oxidation states", (WITH_OXIDATION,), (OXIDATION_ALONE,)),
    ("geometries and connections on top of centres", (DEFAULT,), ("+ centres",)),
    ("default on top of size and lengths", (ALL_BLOCKS,), (NO_LABELS,)),
    ("size and lengths on top of default", (ALL_BLOCKS,), (DEFAULT,)),
    ("default, shuffled, against C", (DEFAULT, True), ("C",)),
    ("all blocks, labels shuffled, against no labels", (ALL_BLOCKS, True), (NO_LABELS,)),
)
GOALS = """Labels and connections alone, without lengths. Errors: a change of at least so many % against C, and again
against the same columns shuffled; both are given, of LightGBM with one seed. Order of polymorphs: the share of pairs in
order; that of the same columns shuffled is given beside it; the size of the cell alone has {} (oxide gap) and {}
(e_form). On fresh rows only the default was run. No column holds a length, but oxidation states were found by bond
valences, from lengths. With other models the default has {} 1/cm on phonons."""
ALL_GOALS = "With every block, whole official folds; K and G on the linked ids."
PHONONS_GOAL, ORDER_GOAL, ORDERED, FRESH = 39, 0.64, ("oxide gap", "e_form"), "e_form, fresh"
VERDICTS = {True: "met", False: "**missed**"}
ORDER = """Share of pairs of one formula, both held out, in the right order, ± standard error over formulas; targets
differ by more than 0.2 eV (gap) or 0.01 eV/atom (e_form). The composition scores 0.5."""
OFFICIAL = """Whole folds, units as above. K and G are 5,658 linked ids, so no leaderboard numbers; polymorphs can be
in training. Phonons are the whole Matbench task; published are MODNet 34.3, ALIGNN 29.5, coNGN 28.9."""


class Results:
    """Measurements, looked up and written for tables."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows.set_index(list(KEYS)).sort_index()

    def folds(self, task: str, name: str, control: bool = False, model: str = "LightGBM", size: int = 0) -> Any:
        """Error of each fold."""
        key = (task, name, control, model, size)
        return self.rows.loc[[key]].iloc[0][[f"fold{n}" for n in range(5)]].to_numpy(np.float64)

    def score(self, task: str, *key: Any) -> str:
        """Mean and standard error."""
        wrong = self.folds(task, *key) * (1 if task.startswith("phonons") else 1000)
        return f"{wrong.mean():.1f} ± {wrong.std(ddof=1) / np.sqrt(5):.1f}"

    def beside_c(self, task: str, name: str, *key: Any) -> str:
        """Score, and change from that of the composition."""
        score = self.score(task, name, *key)
        return score if name == "C" else f"{score}; {self.change(task, (name, *key), ('C', *key))}"

    def percent(self, task: str, one: tuple[Any, ...], other: tuple[Any, ...]) -> float:
        """Change from the other to the one in %."""
        return float(100 * (self.folds(task, *one).mean() / self.folds(task, *other).mean() - 1))

    def change(self, task: str, one: tuple[Any, ...], other: tuple[Any, ...]) -> str:
        """Change from the other to the one in %, and t."""
        base, difference = self.folds(task, *other), self.folds(task, *one) - self.folds(task, *other)
        t = abs(difference.mean()) / (difference.std(ddof=1) / np.sqrt(5))
        return f"{100 * difference.mean() / base.mean():+.1f} ({t:.0f})".replace("-", "−")

    def order(self, task: str, name: str, control: bool = False) -> str:
        """Share of polymorph pairs in the right order."""
        row = self.rows.loc[[(task, name, control, "LightGBM", 0)]].iloc[0]
        return f"{row['order']:.3f} ± {row['order_sem']:.3f}"


def table(*lines: Sequence[str]) -> list[str]:
    """Write a Markdown table, its header first."""
    written = ["| " + " | ".join(cells) + " |" for cells in lines]
    return [written[0], "|---" * len(lines[0]) + "|", *written[1:], ""]


def goals_table(results: Results) -> list[str]:
    """Judge the default by the goals, and every other set of columns without lengths."""

    def changes(task: str, name: str) -> tuple[float, float]:
        return results.percent(task, (name,), ("C",)), results.percent(task, (name,), (name, True))

    def shares(task: str, name: str) -> tuple[float, float]:
        real, control = (float(results.order(task, name, mixed).split()[0]) for mixed in (False, True))
        return real, control

    def sets(task: str) -> list[str]:
        return [DEFAULT] if task == FRESH else LABELS_ALONE

    limits = {"oxide gap": -9.0, "K": -11.0, "e_form": -10.0, FRESH: -10.0}
    limits["phonons"] = 100 * (PHONONS_GOAL / results.folds("phonons", "C").mean() - 1)
    judged = []
    for task, limit in limits.items():
        goal = f"phonons {PHONONS_GOAL} 1/cm, {limit:+.1f} %" if task == "phonons" else f"{task} {limit:+.0f} %"
        pairs = {name: changes(task, name) for name in sets(task)}
        judged += [(goal, name, max(pair) <= limit, pair, "+.1f") for name, pair in pairs.items()]
    for task in (*ORDERED, FRESH):
        goal = f"order of polymorphs, {task}, {ORDER_GOAL}"
        pairs = {name: shares(task, name) for name in sets(task)}
        judged += [(goal, name, pair[0] >= ORDER_GOAL, pair, ".3f") for name, pair in pairs.items()]
    lines = [["goal", "default", "verdict", "other columns that meet it", "other columns that miss it"]]
    for goal, several in itertools.groupby(judged, key=lambda one: one[0]):
        cells: dict[bool, list[str]] = {True: [], False: []}
        for _, name, met, (one, other), digits in several:
            figures = f"{one:{digits}}, {other:{digits}}"
            if name == DEFAULT:
                default = [figures, VERDICTS[met]]
            else:
                cells[met].append(f"{name} ({figures})")
        empty = "not run" if FRESH in goal else "none"
        line = [goal, *default, *("; ".join(cells[met]) or empty for met in (True, False))]
        lines.append([cell.replace("-", "−") for cell in line])
    return table(*lines)


def all_blocks_table(results: Results) -> list[str]:
    """Every block against the goals on official folds."""
    lines = [["goal", "all blocks", "verdict"]]
    for task, limit in (("phonons", 30.0), ("K", 0.059), ("G", 0.079)):
        for model in ("LightGBM", "LightGBM, 3 seeds", "extra trees", "mean of both")[: 4 if task == "phonons" else 2]:
            error = results.folds(f"{task}, official", ALL_BLOCKS, False, model).mean()
            written = f"{error:.1f}" if task == "phonons" else f"{error:.4f}"
            unit = "1/cm" if task == "phonons" else "log10 GPa"
            lines.append([f"{task} {limit:g} {unit}, {model}", written, VERDICTS[error <= limit]])
    return table(*lines)


def main_table(results: Results) -> list[str]:
    """Every set of columns on every task, and extra trees on phonons."""
    lines = [["columns", "n (K)", *map(", ".join, MAIN.items()), "phonons, extra trees"]]
    for name in SETS:
        n_columns = results.rows.loc[[("K", name, False, "LightGBM", 0)]].iloc[0]["columns"]
        cells = [results.beside_c(task, name) for task in MAIN]
        cells.append(results.beside_c("phonons", name, False, "extra trees") if name in WITH_TREES else "")
        lines.append([f"**{name}**" if name in ("C", DEFAULT, ALL_BLOCKS) else name, f"{n_columns:.0f}", *cells])
    return table(*lines)


def change_table(results: Results, head: str, contrasts: Sequence[tuple[str, Any, Any]]) -> list[str]:
    """One set of columns against another."""
    lines = [[label, *(results.change(task, one, other) for task in MAIN)] for label, one, other in contrasts]
    return table([head, *MAIN], *lines)


def order_table(results: Results) -> list[str]:
    """Order of polymorphs."""
    lines = [["columns", *ORDERED, *(f"{task}, shuffled" for task in ORDERED)]]
    for name in SETS:
        real = [results.order(task, name) for task in ORDERED]
        lines.append([name, *real, *(results.order(task, name, True) if name in LABELLED else "" for task in ORDERED)])
    return table(*lines)


def official_table(results: Results) -> list[str]:
    """Official folds."""
    kinds = [("phonons", model) for model in ("LightGBM", "LightGBM, 3 seeds", "extra trees", "mean of both")]
    kinds += [("K", "LightGBM, 3 seeds"), ("G", "LightGBM, 3 seeds")]
    lines = [
        [name, *(results.score(f"{task}, official", name, False, model) for task, model in kinds)]
        for name in ("C", CELL, DEFAULT, NO_LABELS, ALL_BLOCKS)
    ]
    return table(["columns", *(f"{task}: {model}" for task, model in kinds)], *lines)


def size_table(results: Results) -> list[str]:
    """Few training rows, and all of them."""
    lines = [["training rows", "columns", *MAIN]]
    for size, name in itertools.product((*SIZES, 0), ("C", DEFAULT)):
        cells = [results.beside_c(task, name, False, "LightGBM", size) for task in MAIN]
        lines.append([f"{size:,}" if size else "all", name, *cells])
    return table(*lines)


def reading(results: Results) -> str:
    """Say in words what the tables say."""

    def change(task: str, one: str, other: str = "C", *key: Any) -> str:
        return results.change(task, (one, *key), (other, *key)).split()[0]

    def every(*key: Any) -> str:
        return ", ".join(change(task, *key) for task in MAIN) + " %"

    trees, fresh, gap = (False, "extra trees"), FRESH, "oxide gap"
    return f"""In the order of the tables ({", ".join(MAIN)}):

- The default changes the error by {every(DEFAULT)}. Its columns shuffled never help, so it is not their number; as they
  do harm, a change against the shuffle is larger than what labels add.
- The shuffle also mixes up oxidation states, which mostly follow from the formula and carry most of the gap's gain:
  alone they give {change(gap, OXIDATION_ALONE)} %, and no order of polymorphs. Coordination is worth
  {change(gap, WITH_OXIDATION, OXIDATION_ALONE)} % on top of them, {change(gap, NO_OXIDATION)} % without any. The same
  three for e_form are {change("e_form", OXIDATION_ALONE)}, {change("e_form", WITH_OXIDATION, OXIDATION_ALONE)} and
  {change("e_form", NO_OXIDATION)} %: there both together count, as bond strengths, oxidation / cn.
- Phonons are a matter of lengths, and of all bonds, not only those between cations and anions: size, lengths and bond
  physics give {change("phonons", NO_LABELS)} % ({change("phonons", NO_LABELS, "C", *trees)} % with extra trees), and
  labels add {change("phonons", ALL_BLOCKS, NO_LABELS)} % ({change("phonons", ALL_BLOCKS, NO_LABELS, *trees)} %): ties.
- On top of size and lengths labels give {every(ALL_BLOCKS, NO_LABELS)}; on top of labels, size and lengths give
  {every(ALL_BLOCKS, DEFAULT)}. All sites as centres lose the oxidation states; as a second view they help K a little.
- On fresh rows e_form goes from {results.score(fresh, "C")} to {results.score(fresh, DEFAULT)} meV/atom,
  {change(fresh, DEFAULT)} %, against the shuffle {results.change(fresh, (DEFAULT,), (DEFAULT, True)).split()[0]} %;
  {results.order(fresh, DEFAULT)} of the polymorph pairs are in order, shuffled {results.order(fresh, DEFAULT, True)}.
- A shuffle can score above 0.5: more sites draw more different records, and so min, max and std know the size of the
  cell. The centres alone order e_form no better than that.
- The size of the cell alone changes the error by {every(CELL)} and orders {results.order(gap, CELL)} of the gap's
  polymorphs, which meets the goal without any motif and ties with the default: the order of gaps does not prove that
  motifs are needed. For e_form it orders {results.order("e_form", CELL)}, less than the default.
- With {SIZES[0]} training rows the default gives {every(DEFAULT, "C", False, "LightGBM", SIZES[0])}.
- The default has no lengths in its columns, but oxidation states were found by bond valences, from lengths, and csm is
  measured. Some 15 sets were compared on these means, with one seed each, and rounding alone moves them by up to 1 %.
- Tried and left out: columns that say how unusual a cn or a geometry is for its element.""".replace("\n  ", " ")


def report(results: Results) -> str:
    """Write the page."""
    about = [paragraph.replace("\n", " ") for paragraph in __doc__.strip().split("\n\n")[2:]]
    shuffles = [(name, (name,), (name, True)) for name in LABELLED]
    lines = ["# What the blocks of StructureFeaturizer are worth", "", about[0], "", about[1], ""]
    others = ("LightGBM, 3 seeds", "extra trees", "mean of both")
    means = {model: results.folds("phonons, official", DEFAULT, False, model).mean() for model in others}
    by_size = [results.order(task, CELL) for task in ORDERED]
    goals = GOALS.format(*by_size, ", ".join(f"{mean:.1f} ({model})" for model, mean in means.items()))
    for title, remark, written in (
        ("Against the goals", goals, goals_table(results)),
        ("Against the goals, all blocks", ALL_GOALS, all_blocks_table(results)),
        ("Columns by task", "MAE ± standard error; change against C in % (t). One seed.", main_table(results)),
        ("Against the control", "", change_table(results, "real labels against shuffled ones", shuffles)),
        ("One set on top of another", "", change_table(results, "what is added", CONTRASTS)),
        ("Order of polymorphs", ORDER, order_table(results)),
        ("Official folds", OFFICIAL, official_table(results)),
        ("Few training rows", f"LightGBM, mean of {N_DRAWS} draws for each fold.", size_table(results)),
        ("What helped, what did not", "", [reading(results)]),
    ):
        lines += [f"## {title}", "", *([remark.replace("\n", " "), ""] if remark else []), *written]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the structures")
    parser.add_argument("--results", type=Path, default=Path("structure-features-results/results.csv"))
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    page = report(Results(measure(given)))
    print(page)
    if given.write:
        given.write.write_text(page, encoding="utf-8")
