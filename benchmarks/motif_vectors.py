"""What are vectors of motifs worth? Pooled over the sites of a crystal, in property models and in retrieval.

``python benchmarks/motif_vectors.py DATA MOTIFS --write benchmarks/motif_vectors.md`` evaluates; ``DATA`` is the folder
of benchmarks/structure_features.py, ``MOTIFS`` one of motif tables made by ``build_motif_tables`` from the Materials
Project. Every measurement is a row of ``--results`` as soon as it is made, and rows that are there are not made again;
vectors and motifs are kept beside it. A measurement that is lacking is an empty cell of the page.

Vectors are those of `fit_motifs` (dim 64), trained without any formula of the rows used here; motifs that were not
seen are made by `back_off`. Rows, folds by formula, composition (C) and LightGBM are those of structure_features.md:
the band gap of 8,000 oxides and log10 of the bulk modulus K of 5,658 crystals, one seed. S, the full statistics, is C
and the blocks centres, geometries and connections of StructureFeaturizer. The second folds are another hash of the
formulas, over the same rows. Pooled means become 24 principal components, fitted on training rows.

Three controls have as many columns. In *element* each motif has the mean vector of all sites that share its centre
element, so that coordination is gone; the mean is over the sites of the task, without targets. In *random* each motif
has a vector of normal numbers, which still says which motifs are the same. In *shuffled* the motifs are permuted among
all sites of the same element. Errors are the mean absolute error ± the standard error over five folds; changes are in %
of the mean error, with t of the paired differences over folds in brackets (4 degrees of freedom: below 2.8 is a tie, and
t is optimistic because training sets overlap).
"""

import argparse
import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import spglib
from numpy.typing import NDArray
from pymatgen.core import Composition
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from structure_features import LABELS, MAX_TEST, Task, composition, fit_predict, read_tasks, table

import matembed as me
from matembed.downstream.features import motif_tokens
from matembed.downstream.materials import as_graph
from matembed.downstream.motif_batch import MotifBatch, element_properties
from matembed.motifs import find_motif_arrays

TASKS = {"oxide gap": "meV", "K": "10⁻³ log10 GPa"}
RETRIEVED, N_RETRIEVED = "e_form", 3500
COMPONENTS, N_COMPONENTS = "mean, 24 components", 24
N_PROTOTYPES, N_COMMON, TEMPERATURE = 128, 15_000, 0.1
RANDOM = ("random 0", "random 1", "random 2")
ALONE = "nothing"
Floats = NDArray[np.floating]


# Sites and their vectors ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sites:
    """The motif sites of a task's crystals, and the columns that need no vectors."""

    batch: MotifBatch
    tokens: NDArray[np.str_]
    structure_types: list[str]
    composition: Floats
    statistics: Floats

    @cached_property
    def mean(self) -> sparse.csr_array:
        """Matrix that averages over the sites of each crystal."""
        return self.mean_of(np.ones(len(self.tokens)))

    def mean_of(self, weights: Floats) -> sparse.csr_array:
        """Matrix that averages over the sites of each crystal, by weight; zeros where there are none."""
        crystals, n_crystals = self.batch.crystal_idx, self.batch.n_crystals
        share = weights / np.maximum(np.bincount(crystals, weights, minlength=n_crystals), 1e-12)[crystals]
        return sparse.csr_array((share, (crystals, np.arange(len(share)))), shape=(n_crystals, len(share)))


def find_sites(task: Task, folder: Path) -> Sites:
    """Find the motifs of a task's crystals, or read them back."""
    ids = " ".join(record["id"] for record in task.records)
    kept = folder / f"sites-{hashlib.sha1(ids.encode()).hexdigest()[:8]}.pickle"
    if not kept.exists():
        arrays = [find_motif_arrays(me.Crystal.from_record(record)) for record in task.records]
        tokens = [token for found in arrays for token in motif_tokens(as_graph(found), "motifs")]
        base = composition([record["formula"] for record in task.records])
        blocks = me.StructureFeaturizer(blocks=LABELS).fit().transform(arrays)
        types = [_structure_type(found.crystal) for found in arrays] if task.name == RETRIEVED else []
        sites = Sites(MotifBatch.from_found(arrays), np.array(tokens), types, base, np.hstack([base, blocks]))
        kept.write_bytes(pickle.dumps(sites, protocol=5))
    return pickle.loads(kept.read_bytes())


def _structure_type(crystal: me.Crystal) -> str:
    cell = (crystal.lattice, crystal.frac_coords, crystal.numbers)
    return f"{Composition(crystal.reduced_formula).anonymized_formula} {spglib.get_spacegroup(cell, symprec=0.1)}"


def learn(options: argparse.Namespace, tasks: list[Task]) -> me.EmbeddingTable:
    """Train vectors without the formulas of the tasks, or read them back."""
    kept = options.results.parent / "motif-vectors"
    if not kept.exists():
        formulas = {Composition(record["formula"]).reduced_formula for task in tasks for record in task.records}
        me.fit_motifs(me.MotifTables.read(options.motifs), exclude=formulas).write(kept)
    return me.EmbeddingTable.read(kept)


@dataclass(frozen=True)
class Labelled:
    """Sites with a vector for each of them: row `token_idx` of `vectors`, the commonest motifs of training first."""

    sites: Sites
    vectors: Floats
    token_idx: NDArray[np.int64]

    @property
    def rows(self) -> Floats:
        """Vector of each site."""
        return self.vectors[self.token_idx]


def label(sites: Sites, learned: me.EmbeddingTable, kind: str) -> Labelled:
    """Give sites their motif vectors, or those of a control."""
    full = me.back_off(learned, np.unique(sites.tokens).tolist())
    row_of = {token: row for row, token in enumerate(full.tokens)}
    real = Labelled(sites, full.vectors, np.array([row_of[token] for token in sites.tokens]))
    numbers = sites.batch.numbers
    if kind.startswith("random"):
        return replace(real, vectors=np.random.default_rng(int(kind[-1])).standard_normal(full.vectors.shape))
    if kind == "shuffled":
        rng, moved = np.random.default_rng(0), real.token_idx.copy()
        for number in np.unique(numbers):
            same = np.flatnonzero(numbers == number)
            moved[same] = real.token_idx[rng.permutation(same)]
        return replace(real, token_idx=moved)
    if kind in ("element", "motif minus element"):
        share = np.asarray(sites.mean.sum(axis=0)).ravel()
        vectors = np.zeros_like(full.vectors)
        for number in np.unique(numbers):
            same = np.flatnonzero(numbers == number)
            vectors[real.token_idx[same]] = np.average(real.rows[same], axis=0, weights=share[same])
        return replace(real, vectors=vectors if kind == "element" else full.vectors - vectors)
    return real


def _unit(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


# Pooling -------------------------------------------------------------------------------------------------------------


def mean(labelled: Labelled) -> Floats:
    """Average over sites."""
    return labelled.sites.mean @ labelled.rows


def mean_and_std(labelled: Labelled) -> Floats:
    """Average over sites, and their spread, of vectors of length 1."""
    rows, averaging = _unit(labelled.rows), labelled.sites.mean
    average = averaging @ rows
    return np.hstack([average, np.sqrt(np.maximum(averaging @ rows**2 - average**2, 0))])


def prototypes(labelled: Labelled) -> Floats:
    """Average the likeness to each of 128 clusters of the commonest motifs: a soft histogram."""
    unit = _unit(labelled.vectors)
    clusters = KMeans(N_PROTOTYPES, n_init=1, max_iter=30, random_state=0).fit(unit[:N_COMMON]).cluster_centers_
    used, inverse = np.unique(labelled.token_idx, return_inverse=True)
    likeness = np.exp((unit[used] @ _unit(clusters).T - 1) / TEMPERATURE)
    return labelled.sites.mean @ (likeness / likeness.sum(axis=1, keepdims=True))[inverse]


def covariance(labelled: Labelled) -> Floats:
    """Covariances of the first 10 dimensions over sites."""
    rows, averaging = labelled.rows[:, :10], labelled.sites.mean
    one, other = np.triu_indices(10)
    average = averaging @ rows
    return averaging @ (rows[:, one] * rows[:, other]) - average[:, one] * average[:, other]


def linked_pairs(labelled: Labelled) -> Floats:
    """Products of the first 16 dimensions over motifs that share corners, edges or faces."""
    rows, batch = labelled.rows[:, :16], labelled.sites.batch
    n_sites, pooled = len(rows), []
    ends = np.vstack([batch.links, batch.links[:, ::-1]])
    sharings = np.minimum(np.tile(batch.n_shared, 2), 3)
    degree = np.maximum(np.bincount(ends[:, 0], minlength=n_sites), 1)
    for sharing in (1, 2, 3):
        source, target = ends[sharings == sharing].T
        linked = sparse.csr_array((1 / degree[source], (source, target)), shape=(n_sites, n_sites))
        pooled.append(labelled.sites.mean @ (rows * (linked @ rows)))
    return np.hstack(pooled)


def centre_classes(labelled: Labelled) -> Floats:
    """Average the first 16 dimensions over six classes of centres, by electronegativity, oxidation state and block."""
    batch, elements = labelled.sites.batch, element_properties()
    negativity, block = (values[batch.numbers] for values in (elements.electronegativity, elements.block))
    oxidation = np.nan_to_num(batch.oxidations)
    by_crystal = pd.DataFrame({"x": negativity, "q": oxidation}).groupby(batch.crystal_idx)
    least, most = by_crystal["x"].transform("min").to_numpy(), by_crystal["x"].transform("max").to_numpy()
    classes = [negativity == least, negativity == most, oxidation == by_crystal["q"].transform("max").to_numpy()]
    classes += [block == letter for letter in "dps"]
    return np.hstack([labelled.sites.mean_of(one.astype(float)) @ labelled.rows[:, :16] for one in classes])


POOLINGS: dict[str, Callable[[Labelled], Floats]] = {
    COMPONENTS: mean,
    "prototypes": prototypes,
    "covariance": covariance,
    "linked pairs": linked_pairs,
    "centre classes": centre_classes,
}
RETRIEVAL = {
    "pooled motif vectors": "motif",
    "motif vectors, less the mean of the centre element": "motif minus element",
    "element vectors": "element",
    "random vectors": "random 0",
    "motif vectors, shuffled": "shuffled",
    "composition": "",
    "geometry fractions": "",
    "geometries and connections": "",
}


# Measurements --------------------------------------------------------------------------------------------------------


KEYS = ("base", "task", "folds", "pooling", "vectors")
SCORES = ("precision@1", "precision@1 sem", "map", "map sem", "n_queries", "chance")
COLUMNS = (*KEYS, *(f"fold{n}" for n in range(5)), *SCORES)
Key = tuple[str, str, int, str, str]


def wanted() -> list[Key]:
    """List every measurement."""
    made: list[Key] = [("retrieval", RETRIEVED, 0, name, kind or ALONE) for name, kind in RETRIEVAL.items()]
    for task in TASKS:
        made.append(("S", task, 0, ALONE, ALONE))
        made += [("S", task, 0, pooling, kind) for pooling in POOLINGS for kind in ("motif", "shuffled", RANDOM[0])]
        for folds in (0, 1):
            made.append(("C", task, folds, ALONE, ALONE))
            made += [("C", task, folds, COMPONENTS, kind) for kind in ("motif", "element", *RANDOM)]
    return sorted(made, key=lambda key: (key[0] != "retrieval", key[2], key[0], key[4] not in (ALONE, "motif")))


def model_errors(task: Task, base: Floats, pooled: Floats | None, components: bool) -> list[float]:
    """Errors of the five folds."""
    errors = []
    for fold in range(5):
        train, test = np.flatnonzero(task.folds != fold), np.flatnonzero(task.folds == fold)
        test = np.sort(np.random.default_rng(fold).permutation(test)[:MAX_TEST]) if len(test) > MAX_TEST else test
        rows = base
        if pooled is not None:
            pca = PCA(N_COMPONENTS, svd_solver="full").fit(pooled[train]) if components else None
            rows = np.hstack([base, pca.transform(pooled) if pca else pooled])
        rows = rows.astype(np.float32)
        predicted = fit_predict(task, "LightGBM", rows[train], rows[test], task.target[train], 0)
        errors.append(float(np.abs(predicted - task.target[test]).mean()))
    return errors


def retrieve(task: Task, sites: Sites, name: str, labelled: Labelled | None) -> list[float]:
    """Precision of the nearest crystal and mean average precision, with standard errors; queries; chance."""
    blocks = sites.statistics[:, sites.composition.shape[1] :]
    names = np.array(me.StructureFeaturizer(blocks=LABELS).fit().get_feature_names_out())
    if labelled is not None:
        rows = mean_and_std(labelled)
    elif name == "composition":
        rows = _standardised(sites.composition)
    elif name == "geometry fractions":
        rows = sites.mean @ pd.get_dummies(sites.batch.geometries).to_numpy(np.float64)
    else:
        rows = _standardised(blocks[:, [not one.startswith("centres: ") for one in names]])
    formulas = [Composition(record["formula"]).reduced_formula for record in task.records]
    found = me.retrieval(rows, sites.structure_types, groups=formulas).set_index("probe")
    first, ranked = found.loc["precision@1"], found.loc["mean_average_precision"]
    return [first["score"], first["standard_error"], ranked["score"], ranked["standard_error"], *first[["n", "chance"]]]


def _standardised(rows: Floats) -> Floats:
    return (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-9)


def _other_folds(task: Task) -> NDArray[np.int64]:
    reduced = [Composition(record["formula"]).reduced_formula for record in task.records]
    return np.array([int(hashlib.sha1(f"fold1:{one}".encode()).hexdigest()[:8], 16) % 5 for one in reduced])


def measure(options: argparse.Namespace) -> pd.DataFrame:
    """Make every measurement that is not there yet."""
    options.results.parent.mkdir(parents=True, exist_ok=True)
    if not options.results.exists():
        pd.DataFrame(columns=list(COLUMNS)).to_csv(options.results, index=False)
    known = set(pd.read_csv(options.results)[list(KEYS)].itertuples(index=False, name=None))
    missing = [key for key in wanted() if key not in known]
    if missing:
        tasks = {task.name: task for task in read_tasks(options.data) if task.name in (*TASKS, RETRIEVED)}
        some = np.sort(np.random.default_rng(1).permutation(len(tasks[RETRIEVED].records))[:N_RETRIEVED])
        tasks[RETRIEVED] = replace(tasks[RETRIEVED], records=[tasks[RETRIEVED].records[row] for row in some])
        learned = learn(options, list(tasks.values()))
        sites = {}
    for base, name, folds, pooling, kind in missing:
        task = replace(tasks[name], folds=_other_folds(tasks[name])) if folds else tasks[name]
        if name not in sites:
            sites[name] = find_sites(task, options.results.parent)
        labelled = None if kind == ALONE else label(sites[name], learned, kind)
        if base == "retrieval":
            numbers = [*[np.nan] * 5, *retrieve(task, sites[name], pooling, labelled)]
        else:
            columns = sites[name].composition if base == "C" else sites[name].statistics
            pooled = POOLINGS[pooling](labelled) if labelled else None
            numbers = [*model_errors(task, columns, pooled, pooling == COMPONENTS), *[np.nan] * len(SCORES)]
        line = pd.DataFrame([[base, name, folds, pooling, kind, *numbers]])
        line.to_csv(options.results, mode="a", header=False, index=False)
        print(base, name, folds, pooling, kind, f"{np.nanmean(numbers[:6]):.4g}", flush=True)
    return pd.read_csv(options.results)


# Report --------------------------------------------------------------------------------------------------------------
