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
fresh rows are for: other formation energies, of formulas that the design never saw.

Errors are the mean absolute error, ± the standard error over five folds; changes are in % of the mean error, with t of
the paired differences over folds in brackets (4 degrees of freedom: below 2.8 is a tie, and t is optimistic because
training sets overlap). In the control the site records of the whole data set (oxidation state, geometry, coordination
number, csm, links) are permuted among sites of the same element, then pooled as before: the same columns with the same
values for each element, but of other crystals.
"""

import argparse
import csv
import gzip
import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition
from sklearn.ensemble import ExtraTreesRegressor

import matembed as me
from matembed.downstream.baselines import one_hot_table
from matembed.downstream.motif_batch import MotifBatch
from matembed.downstream.motif_blocks import BLOCKS, block_columns, describe_motifs
from matembed.elements import SYMBOLS
from matembed.motifs import MotifArrays, find_motif_arrays

MAX_SITES, N_ROWS, MAX_TEST = 80, 8000, 1500
BOOSTING = {"learning_rate": 0.05, "num_leaves": 31, "feature_fraction": 0.25}
BINS = {"max_bin": 63, "feature_pre_filter": False}
SIZES, N_DRAWS = (300, 1000), 3
LABELS = ("centres", "geometries", "connections")
LENGTHS = ("size", "all-site bond_lengths", "all-site bond_physics")
OXIDATION_ALONE = "+ oxidation states alone"
DEFAULT = "+ centres, geometries, connections (default)"
ALL_BLOCKS = "+ all blocks"
ALL_SITES = "+ default, of all sites"
BOTH_VIEWS = "+ default, and centres, geometries of all sites"
OF_CATIONS = "+ the same, but bonds of cations alone"
NO_LABELS = "+ size, bond_lengths, bond_physics (no labels)"
NO_OXIDATION = "+ default without oxidation states"
WITH_OXIDATION = "+ oxidation states, default"
SETS: dict[str, tuple[str, ...]] = {
    "C": (),
    OXIDATION_ALONE: ("oxidation",),
    "+ centres": ("centres",),
    DEFAULT: LABELS,
    ALL_SITES: tuple(f"all-site {block}" for block in LABELS),
    BOTH_VIEWS: (*LABELS, "all-site centres", "all-site geometries"),
    WITH_OXIDATION: ("oxidation", *LABELS),
    NO_OXIDATION: tuple(f"{block} without oxidation" for block in LABELS),
    "+ size": LENGTHS[:1],
    "+ bond_lengths": LENGTHS[1:2],
    NO_LABELS: LENGTHS,
    OF_CATIONS: ("size", "bond_lengths", "bond_physics"),
    ALL_BLOCKS: (*LABELS, *LENGTHS),
}
LABELLED = [name for name, blocks in SETS.items() if set(blocks) - {*LENGTHS, "bond_lengths", "bond_physics"}]
WITH_TREES = ("C", DEFAULT, ALL_SITES, BOTH_VIEWS, NO_LABELS, OF_CATIONS, ALL_BLOCKS)
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

    @property
    def formulas(self) -> list[str]:
        """Alphabetical and reduced."""
        return [record["formula"] for record in self.records]


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
    for name, target in (("K", bulk), ("G", shear)):
        folds = _linked(folder, elastic, f"matbench_log_{name.lower()}vrh")
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


def _linked(folder: Path, records: list[dict[str, Any]], task: str) -> NDArray[np.int64]:
    with gzip.open(folder / "matbench_linked.csv.gz", "rt", encoding="utf-8") as lines:
        folds = {row["mp_id"]: int(row["fold"]) for row in csv.DictReader(lines) if row["task"] == task}
    return np.array([folds[record["id"]] for record in records])


# Features ------------------------------------------------------------------------------------------------------------

Features = dict[str, NDArray[np.float64]]


def composition(formulas: list[str]) -> NDArray[np.float64]:
    """Describe formulas: the block C."""
    fractions = me.FormulaFeaturizer(one_hot_table(SYMBOLS[1:104])).fit_transform(formulas)
    properties = me.FormulaFeaturizer(_properties(), pooling=["mean", "std", "min", "max"]).fit_transform(formulas)
    entropy = -(fractions * np.log(np.where(fractions > 0, fractions, 1))).sum(axis=1)
    rows = np.column_stack([fractions, properties, (fractions > 0).sum(axis=1), entropy])
    return rows[:, rows.std(axis=0) > 0]


def _properties() -> me.EmbeddingTable:
    import elementembeddings

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


def describe(found: dict[str, list[MotifArrays]]) -> tuple[Features, Features]:
    """Describe crystals by every block, and again with the site records shuffled."""
    real, control = {}, {}
    featurizer = me.StructureFeaturizer(blocks=BLOCKS).fit()
    names = featurizer.get_feature_names_out()
    for view, arrays in found.items():
        real |= _by_block(featurizer.transform(arrays), names, view)
        batch = MotifBatch.from_found(arrays)
        mixed = shuffled(batch)
        control |= _by_block(describe_motifs(mixed, LABELS), np.array(block_columns(LABELS)), view)
        if not view:
            real["oxidation"], control["oxidation"] = oxidation_states(batch), oxidation_states(mixed)
    return real, {**real, **control}


def _by_block(rows: NDArray[np.float64], names: NDArray[Any], view: str) -> Features:
    blocks = {}
    for block in dict.fromkeys(name.split(": ")[0] for name in names):
        inside = np.array([name.startswith(f"{block}: ") for name in names])
        oxidised = np.array([any(word in name for word in OXIDISED) for name in names])
        blocks[f"{view}{block}"] = rows[:, inside]
        blocks[f"{view}{block} without oxidation"] = rows[:, inside & ~oxidised]
    return blocks


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
    mean = pd.Series(batch.oxidations).fillna(0).groupby(crystal_elements).transform("mean").to_numpy()
    bare = replace(
        batch,
        oxidations=np.where(np.isfinite(batch.oxidations), mean, np.nan),
        cns=np.ones_like(batch.cns),
        geometries=np.zeros_like(batch.geometries),
        csms=np.zeros_like(batch.csms),
    )
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


def errors(task: Task, predicted: NDArray[np.float64]) -> list[float]:
    """Mean absolute error of each fold."""
    wrong = np.abs(predicted - task.target)
    return [float(np.nanmean(wrong[task.folds == fold])) for fold in range(5)]


def order(task: Task, predicted: NDArray[np.float64]) -> list[float]:
    """Share of polymorph pairs in the right order, its standard error, and how many pairs and formulas there are."""
    if task.min_difference is None:
        return [np.nan] * 4
    held = np.isfinite(predicted)
    formulas = [formula for formula, kept in zip(task.formulas, held, strict=True) if kept]
    found = me.polymorph_order(formulas, task.target[held], predicted[held], min_difference=task.min_difference)
    return [found.share, found.standard_error, found.n_pairs, found.n_formulas]


KEYS = ("task", "set", "control", "model", "size")
COLUMNS = (*KEYS, "columns", *(f"fold{n}" for n in range(5)), "order", "order_sem", "n_pairs", "n_formulas")
Wanted = tuple[str, bool, str, int]


def wanted(task: Task) -> list[Wanted]:
    """List (set, control, model, size) of every measurement of a task; `official` ones make several models each."""
    if task.official:
        return [(name, False, "LightGBM", 0) for name in ("C", DEFAULT, NO_LABELS, ALL_BLOCKS)]
    if task.name == "e_form, fresh":
        return [("C", False, "LightGBM", 0), *((DEFAULT, control, "LightGBM", 0) for control in (False, True))]
    listed = [(name, False, "LightGBM", 0) for name in SETS] + [(name, True, "LightGBM", 0) for name in LABELLED]
    listed += [(name, False, "LightGBM", size) for size in SIZES for name in ("C", DEFAULT)]
    if task.name == "phonons":
        listed += [(name, False, "extra trees", 0) for name in WITH_TREES]
    return listed


def measure_one(task: Task, rows: NDArray[Any], model: str, size: int) -> list[tuple[str, list[float], list[float]]]:
    """Make a measurement: (model, errors by fold, polymorph order), several of them on official folds."""
    if size:
        drawn = [errors(task, predict(task, rows, model, seed=seed, size=size)) for seed in range(N_DRAWS)]
        return [(model, np.mean(drawn, axis=0).tolist(), [np.nan] * 4)]
    if not task.official:
        predicted = predict(task, rows, model)
        return [(model, errors(task, predicted), order(task, predicted))]
    seeds = [predict(task, rows, model, seed=seed) for seed in range(3)]
    made = {model: seeds[0], f"{model}, 3 seeds": np.mean(seeds, axis=0)}
    if task.log:
        made["extra trees"] = predict(task, rows, "extra trees")
        made["mean of both"] = (made[f"{model}, 3 seeds"] + made["extra trees"]) / 2
    return [(name, errors(task, predicted), [np.nan] * 4) for name, predicted in made.items()]


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
        base = composition(task.formulas)
        real, control = describe(find(task, options.results.parent))
        for name, is_control, model, size in missing:
            blocks = [(control if is_control else real)[block] for block in SETS[name]]
            rows = np.hstack([base, *blocks]).astype(np.float32)
            for made, wrong, ordered in measure_one(task, rows, model, size):
                line = [task.name, name, is_control, made, size, rows.shape[1], *wrong, *ordered]
                pd.DataFrame([line]).to_csv(options.results, mode="a", header=False, index=False)
            print(task.name, name, is_control, model, size, f"{np.mean(wrong):.4g}", flush=True)
    return pd.read_csv(options.results)


# Report --------------------------------------------------------------------------------------------------------------

TASKS = {"phonons": ("1/cm", 1), "K": ("10⁻³ log10 GPa", 1e3), "oxide gap": ("meV", 1e3), "e_form": ("meV/atom", 1e3)}
CONTRASTS = (
    ("coordination on top of oxidation states", WITH_OXIDATION, OXIDATION_ALONE),
    ("coordination, no oxidation states anywhere", NO_OXIDATION, "C"),
    ("default, against oxidation states alone", DEFAULT, OXIDATION_ALONE),
    ("geometries and connections on top of centres", DEFAULT, "+ centres"),
    ("default on top of size and lengths", ALL_BLOCKS, NO_LABELS),
    ("size and lengths on top of default", ALL_BLOCKS, DEFAULT),
)
ORDER = (
    "Share of pairs of the same formula that are in the right order, ± standard error over formulas; both are held "
    "out. Pairs differ by more than 0.2 eV in gap or 0.01 eV/atom in energy. The composition scores 0.5."
)
OFFICIAL = (
    "MAE ± standard error over whole folds; K and G on the 5,658 linked ids, so not comparable with leaderboards, and "
    "polymorphs may be in training. Phonons are the whole Matbench task: published MODNet 34.3, ALIGNN 29.5, coNGN 28.9."
)
READING: tuple[str, ...] = ()


class Results:
    """Measurements, looked up and written for tables."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows.set_index(list(KEYS)).sort_index()

    def folds(self, task: str, name: str, control: bool = False, model: str = "LightGBM", size: int = 0) -> Any:
        """Error of each fold."""
        key = (task, name, control, model, size)
        return self.rows.loc[[key]].iloc[0][[f"fold{n}" for n in range(5)]].to_numpy(np.float64)

    def score(self, task: str, *key: Any, scale: float, digits: int = 1) -> str:
        """Mean and standard error."""
        wrong = self.folds(task, *key) * scale
        return f"{wrong.mean():.{digits}f} ± {wrong.std(ddof=1) / np.sqrt(5):.{digits}f}"

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


def main_table(results: Results) -> list[str]:
    """Every set of columns on every task, and extra trees on phonons."""
    head = [f"{name}, {unit}" for name, (unit, _) in TASKS.items()]
    lines = [["columns", "n (K)", *head, "phonons, extra trees"]]
    for name in SETS:
        n_columns = results.rows.loc[[("K", name, False, "LightGBM", 0)]].iloc[0]["columns"]
        cells = []
        pairs = [(task, "LightGBM") for task in TASKS] + [("phonons", "extra trees")] * (name in WITH_TREES)
        for task, model in pairs:
            key = (False, model)
            cell = results.score(task, name, *key, scale=TASKS[task][1])
            cells.append(cell if name == "C" else f"{cell}; {results.change(task, (name, *key), ('C', *key))}")
        cells += [""] * (name not in WITH_TREES)
        lines.append([f"**{name}**" if name in ("C", DEFAULT, ALL_BLOCKS) else name, f"{n_columns:.0f}", *cells])
    return table(*lines)


def control_table(results: Results) -> list[str]:
    """Labels against their own shuffle, and the shuffle against the composition."""
    lines = [["columns", *TASKS, *(f"shuffle − C: {task}" for task in TASKS)]]
    for name in LABELLED:
        real = [results.change(task, (name,), (name, True)) for task in TASKS]
        lines.append([name, *real, *(results.change(task, (name, True), ("C",)) for task in TASKS)])
    return table(*lines)


def contrast_table(results: Results) -> list[str]:
    """One set of columns against another."""
    lines = [[label, *(results.change(task, (one,), (other,)) for task in TASKS)] for label, one, other in CONTRASTS]
    return table(["what is added", *TASKS], *lines)


def order_table(results: Results) -> list[str]:
    """Order of polymorphs."""
    tasks = ("oxide gap", "e_form")
    lines = [["columns", *tasks, *(f"{task}, shuffled" for task in tasks)]]
    for name in SETS:
        real = [results.order(task, name) for task in tasks]
        lines.append([name, *real, *(results.order(task, name, True) if name in LABELLED else "" for task in tasks)])
    return table(*lines)


def official_table(results: Results) -> list[str]:
    """Official folds."""
    models = ("LightGBM", "LightGBM, 3 seeds", "extra trees", "mean of both")
    kinds = [("phonons, official", model, 1) for model in models]
    kinds += [(f"{name}, official", "LightGBM, 3 seeds", 4) for name in "KG"]
    lines = [["columns", *(f"{task.split(',')[0]}: {model}" for task, model, _ in kinds)]]
    for name in ("C", DEFAULT, NO_LABELS, ALL_BLOCKS):
        cells = [results.score(task, name, False, model, scale=1, digits=digits) for task, model, digits in kinds]
        lines.append([name, *cells])
    return table(*lines)


def size_table(results: Results) -> list[str]:
    """Few training rows, and all of them."""
    lines = [["training rows", *(f"{task}: C; change by default" for task in TASKS)]]
    for size in (*SIZES, 0):
        cells = []
        for task, (_, scale) in TASKS.items():
            key = (False, "LightGBM", size)
            base = results.score(task, "C", *key, scale=scale)
            cells.append(f"{base}; {results.change(task, (DEFAULT, *key), ('C', *key))}")
        lines.append([f"{size:,}" if size else "all", *cells])
    return table(*lines)


def fresh_lines(results: Results) -> list[str]:
    """Formation energies of formulas that the design of the columns never saw."""
    task, real, control = "e_form, fresh", (DEFAULT,), (DEFAULT, True)
    return [
        f"8,000 other formation energies, meV/atom: C {results.score(task, 'C', scale=1e3)}; default "
        f"{results.score(task, *real, scale=1e3)}, {results.change(task, real, ('C',))} % against C and "
        f"{results.change(task, real, control)} % against its shuffle; polymorphs in order "
        f"{results.order(task, *real)}, shuffled {results.order(task, *control)}.",
        "",
    ]


def report(results: Results) -> str:
    """Write the page."""
    about = [paragraph.replace("\n", " ") for paragraph in __doc__.strip().split("\n\n")[2:]]
    sections = (
        ("Columns by task", "MAE ± standard error; change against C in % (t). One seed.", main_table),
        ("Against the control", "Change against the same columns, shuffled, and of these against C.", control_table),
        ("One set on top of another", "Change in % (t).", contrast_table),
        ("Fresh rows", "", fresh_lines),
        ("Order of polymorphs", ORDER, order_table),
        ("Official folds", OFFICIAL, official_table),
        ("Few training rows", f"LightGBM, mean of {N_DRAWS} draws for each fold.", size_table),
    )
    lines = ["# What the blocks of StructureFeaturizer are worth", "", about[0], "", about[1], ""]
    for title, remark, write in sections:
        lines += [f"## {title}", "", *([remark, ""] if remark else []), *write(results)]
    lines += ["## What helped, what did not", "", *(f"- {sentence}" for sentence in READING)]
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
