"""What is the graph between materials and motifs worth? In regression and in retrieval, beside the composition alone.

``python benchmarks/motif_network.py TABLES CATIONS SYMMETRY --write benchmarks/motif_network.md`` evaluates. ``TABLES``
is a folder made by ``build_motif_tables`` from the Materials Project with ``valences="none"``, ``CATIONS`` one made
without, ``SYMMETRY`` one of the same crystals made by ``symmetry_table``. Every measurement is a row of ``--results``
and of ``--retrieved`` as soon as it is made, and rows that are there are not made again.

138,233 crystals of the Materials Project (release 2025.02.12), of which 77,819 have a formation energy (of the Matbench
task mp_e_form, joined by `mp-id`), 64,171 a band gap (mp_gap, metals are 0) and 33,513 are non-metals with a gap of the
data set of Roost. Every site is the centre of a motif but for lookups, where cations alone are. Folds are five, by a
hash of the reduced formula, so that polymorphs are tested together. The network of a fold holds the crystals of the
other four, labelled or not; those of the test fold are folded in, and change nothing of it. Kinds of nodes and the
number of columns were chosen among some 15 sets on a tenth of the formulas, by another hash: these are trained on in
each fold and never tested.

*Network* is `MotifNetwork.embedding` with 256 columns: motifs of five materials or more and their parts, which are
geometries, elements of centres and elements of ligands. *Motifs alone* has no parts. *Composition* is element
fractions, mean, std, min and max of the magpie and oliynyk properties in the ElementEmbeddings package, the number of
elements and the entropy of the fractions. In *shuffled* the motifs of all sites are permuted among sites of the same
element with ligands of the same elements: the network of other coordination around the same elements. The perceptron
(PyTorch) has 256, 256 and 128 units and is trained on the L1 loss for 12 passes with AdamW, one cycle of the learning
rate to 0.002, batches of 256; composition is scaled column by column, the network as a whole. The forest has 40 trees
and 0.15 of the columns at each split. One seed.
"""

import argparse
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition
from scipy import sparse
from sklearn.ensemble import RandomForestRegressor
from structure_features import composition, table

import matembed as me
from matembed.corpus.symmetry import read_symmetry
from matembed.downstream.motif_network import MotifNetwork, motif_network
from matembed.downstream.retrieval import retrieval

Floats = NDArray[np.floating]
TASKS = {"formation energy": "mb_e_form", "gap": "mb_gap", "gap of non-metals": "band_gap"}
UNITS = {"formation energy": "eV/atom", "gap": "eV", "gap of non-metals": "eV"}
PUBLISHED = {"formation energy": 0.157, "gap": 0.601, "gap of non-metals": 0.601}
APART = {"formation energy": 0.01, "gap": 0.2, "gap of non-metals": 0.2}
C, N, CN, CS, M, FOREST = (
    "composition",
    "network",
    "composition + network",
    "composition + shuffled",
    "motifs alone",
    "composition, random forest",
)
SETS = {
    "formation energy": (C, N, CN, CS, M, FOREST),
    "gap": (C, N, CN, CS, M, FOREST),
    "gap of non-metals": (C, N, CN),
}
DIM, MIN_MATERIALS, N_FOLDS = 256, 5, 5
KEYS = ["task", "columns", "fold"]
N_QUERIES = 4000
EXAMPLES = {
    "LiFePO4, olivine, a cathode": "mp-19017",
    "BaTiO3, tetragonal, a ferroelectric": "mp-5986",
    "KTiOPO4, a nonlinear optical crystal": "mp-6268",
    "Li10GeP2S12, a solid electrolyte": "mp-696128",
    "Li7La3Zr2O12, a garnet, a solid electrolyte": "mp-942733",
    "Bi2Te3, a thermoelectric": "mp-34202",
    "LaFeAsO, parent of superconductors": "mp-20287",
}


# Data ----------------------------------------------------------------------------------------------------------------


def _hashed(formulas: Sequence[str], salt: str, n: int) -> NDArray[np.int64]:
    return np.array([int(hashlib.sha1(f"{salt}:{one}".encode()).hexdigest()[:8], 16) % n for one in formulas])


@dataclass(eq=False)
class Data:
    """Materials with labels and folds, their compositions and networks."""

    tables: me.MotifTables
    cations: me.MotifTables

    def __post_init__(self) -> None:
        self.materials = self.tables.materials()
        formulas = self.materials["formula"].tolist()
        self.folds = _hashed(formulas, "fold", N_FOLDS)
        self.testable = _hashed(formulas, "dev", 10) != 0

    @cached_property
    def composition(self) -> Floats:
        """Columns of the composition, scaled one by one."""
        rows = composition(self.materials["formula"].tolist())
        return ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32)

    @cached_property
    def network(self) -> MotifNetwork:
        """Materials and their motifs."""
        return motif_network(self.tables)

    @cached_property
    def shuffled(self) -> MotifNetwork:
        """Join materials to the motifs of other sites with the same centre and the same elements around."""
        motifs = self.tables.motifs(columns=["id", "token", "csm"])
        tokens = motifs["token"].unique()
        parsed = [me.parse_token(token) for token in tokens]
        kinds = dict(
            zip(tokens, [f"{one.element} {' '.join(s for s, _ in one.ligands)}" for one in parsed], strict=True)
        )
        kind = pd.factorize(motifs["token"].map(kinds))[0]
        rng, moved = np.random.default_rng(0), np.empty(len(kind), dtype=np.int64)
        moved[np.argsort(kind, kind="stable")] = np.lexsort((rng.random(len(kind)), kind))
        row = motifs["id"].map({name: row for row, name in enumerate(self.network.ids)}).to_numpy()
        place = {motif: column for column, motif in enumerate(self.network.motifs)}
        column = motifs["token"].map(place).to_numpy()[moved]
        frame = pd.DataFrame({"row": row, "column": column, "csm": motifs["csm"].to_numpy()[moved]})
        edges = frame.groupby(["row", "column"])["csm"].agg(["size", "mean"]).reset_index()
        return MotifNetwork(
            ids=self.network.ids,
            formulas=self.network.formulas,
            motifs=self.network.motifs,
            starts=np.searchsorted(edges["row"], np.arange(len(self.network) + 1)),
            motif_idx=edges["column"],
            shares=edges["size"] / np.bincount(row)[edges["row"]],
            csms=edges["mean"],
            level="motif",
            half_csm=self.network.half_csm,
            card=self.network.card,
        )

    @lru_cache(maxsize=3)  # noqa: B019
    def embedded(self, kind: str, fold: int) -> Floats:
        """Embed the crystals of the other folds, and fold in all."""
        network = self.shuffled if kind == CS else self.network
        others = network.subset([name for name, one in zip(network.ids, self.folds, strict=True) if one != fold])
        return others.embedding(DIM, parts=kind != M, min_materials=MIN_MATERIALS).transform(network)

    def columns(self, name: str, fold: int) -> Floats:
        """Columns of a set, for all materials."""
        kind = {CN: N}.get(name, name)
        parts = [self.composition] if name in (C, CN, CS, FOREST) else []
        if kind in (N, CS, M):
            vectors, known = self.embedded(kind, fold), self.folds != fold
            parts.append((vectors - vectors[known].mean(axis=0)) / vectors[known].std())
        return np.hstack(parts)


# Models --------------------------------------------------------------------------------------------------------------


def perceptron(rows: Floats, target: Floats, unseen: Floats) -> Floats:
    """Train a perceptron, and predict."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    centre, spread = target.mean(), target.std()
    inputs = torch.as_tensor(rows)
    targets = torch.as_tensor((target - centre) / spread, dtype=torch.float32)
    widths, batch, passes, rate = (rows.shape[1], 256, 256, 128), 256, 12, 2e-3
    layers: list[Any] = []
    for width, following in itertools.pairwise(widths):
        layers += [torch.nn.Linear(width, following), torch.nn.SiLU()]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 1))
    steps = passes * -(-len(rows) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(passes):
        for some in torch.randperm(len(rows)).split(batch):
            loss = torch.nn.functional.l1_loss(net(inputs[some]).ravel(), targets[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return net(torch.as_tensor(unseen)).ravel().numpy() * spread + centre


def forest(rows: Floats, target: Floats, unseen: Floats) -> Floats:
    """Fit a random forest, and predict."""
    model = RandomForestRegressor(40, max_features=0.15, random_state=0, n_jobs=1)
    return model.fit(rows, target).predict(unseen)


def measure(data: Data, path: Path) -> pd.DataFrame:
    """Make the measurements of regression that are lacking."""
    columns = [*KEYS, "n_training", "n_test", "error", "order", "deviation"]
    known = _resumed(path, columns, KEYS)
    for task, name, fold in wanted():
        if (task, name, fold) in known:
            continue
        target = data.materials[TASKS[task]].to_numpy(np.float64)
        labelled = np.isfinite(target)
        training = np.flatnonzero(labelled & ((data.folds != fold) | ~data.testable))
        test = np.flatnonzero(labelled & (data.folds == fold) & data.testable)
        rows = data.columns(name, fold)
        model = forest if name == FOREST else perceptron
        predicted = model(rows[training], target[training], rows[test])
        if "gap" in task:
            predicted = np.maximum(predicted, 0)
        formulas = data.materials["formula"].iloc[test].tolist()
        ordered = task != "gap of non-metals"  # which has one crystal of each formula
        order = (
            me.polymorph_order(formulas, target[test], predicted, min_difference=APART[task]).share if ordered else ""
        )
        error = np.abs(predicted - target[test]).mean()
        deviation = np.abs(target[test] - target[test].mean()).mean()
        line = [task, name, fold, len(training), len(test), error, order, deviation]
        pd.DataFrame([line]).to_csv(path, mode="a", header=False, index=False)
        print(*line, flush=True)
    return pd.read_csv(path)


def wanted() -> Iterator[tuple[str, str, int]]:
    """Name the measurements of regression, what matters most first."""
    for names in ((C, N, CN, CS), (M, FOREST)):
        for fold, name, task in itertools.product(range(N_FOLDS), names, TASKS):
            if name in SETS[task]:
                yield task, name, fold


def _resumed(path: Path, columns: list[str], keys: list[str]) -> set[tuple[Any, ...]]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(columns=columns).to_csv(path, index=False)
    return set(pd.read_csv(path)[keys].itertuples(index=False, name=None))


# Retrieval -----------------------------------------------------------------------------------------------------------


def retrieve(data: Data, symmetry: Path, path: Path) -> pd.DataFrame:
    """Make the measurements of retrieval that are lacking."""
    columns = ["vectors", "label", "probe", "score", "standard_error", "n", "chance"]
    known = _resumed(path, columns, ["vectors", "label"])
    names = ("motif rows, cations", "motif rows", "geometry rows", "network", "composition", "random")
    labels = ("structure type", "space group", "anonymous formula")
    if all((name, label) in known for name in names for label in labels):
        return pd.read_csv(path)
    groups = read_symmetry(symmetry).set_index("id")["space_group"]
    usable = data.materials["icsd"].eq(True) & data.materials["id"].isin(groups.index)
    some = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(usable))[:N_QUERIES])
    listed = data.materials.iloc[some]
    anonymous = [Composition(formula).anonymized_formula for formula in listed["formula"]]
    spaces = groups.loc[listed["id"]].to_numpy()
    kinds = [f"{one} {space}" for one, space in zip(anonymous, spaces, strict=True)]
    rest = np.setdiff1d(np.arange(len(data.materials)), some)
    every = data.network
    learned = every.subset([every.ids[row] for row in rest]).embedding(DIM, min_materials=MIN_MATERIALS)
    geometries = motif_network(data.tables, level="geometry")
    if data.cations.materials()["id"].tolist() != list(every.ids):
        raise SystemExit("TABLES and CATIONS are of other crystals; build both from the same files")
    vectors = {
        "motif rows, cations": _dense_rows(motif_network(data.cations), some),
        "motif rows": _dense_rows(every, some),
        "network": learned.transform(every)[some],
        "geometry rows": _dense_rows(geometries, some),
        "composition": data.composition[some],
        "random": np.random.default_rng(0).normal(size=(len(some), 64)),
    }
    for name in names:
        for label, values in zip(labels, (kinds, spaces, anonymous), strict=True):
            if (name, label) not in known:
                found = retrieval(vectors[name], values, groups=listed["formula"].tolist())
                found.insert(0, "label", label)
                found.insert(0, "vectors", name)
                found[columns].to_csv(path, mode="a", header=False, index=False)
                print(found.to_string(), flush=True)
    return pd.read_csv(path)


def _dense_rows(network: MotifNetwork, some: NDArray[np.int64]) -> Floats:
    """Rows that `MotifNetwork.similar` compares, of motifs that two or more of them have."""
    rows = sparse.csr_array(network.weights()[some] * network.rarities)
    rows = rows[:, np.flatnonzero(np.bincount(rows.indices, minlength=rows.shape[1]) > 1)].toarray()
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


# Report --------------------------------------------------------------------------------------------------------------


class Results:
    """Errors of the folds, looked up and written for tables."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows.set_index(KEYS).sort_index()

    def folds(self, task: str, name: str, column: str = "error") -> Floats:
        """Value of each fold; NaN where it was not measured."""
        return self.rows.loc[(task, name)][column].reindex(range(N_FOLDS)).to_numpy(np.float64)

    def measured(self) -> str:
        """Say how many folds there are."""
        n_folds = self.rows.groupby(level=["task", "columns"]).size()
        least = f" ({n_folds.min()} where there are fewest)" if n_folds.min() < n_folds.max() else ""
        if n_folds.max() == 1:
            return f"Mean absolute error of fold 0 alone, of {N_FOLDS}: no standard errors yet."
        return f"Mean absolute error ± standard error over {n_folds.max()} of {N_FOLDS} folds{least}."

    def score(self, task: str, name: str, column: str = "error") -> str:
        """Mean and standard error over folds."""
        return _written(self.folds(task, name, column))

    def change(self, task: str, one: str, other: str) -> str:
        """Mean of the paired differences and its standard error, and the change in %."""
        base, difference = self.folds(task, other), self.folds(task, one) - self.folds(task, other)
        percent = 100 * np.nanmean(difference) / np.mean(base[~np.isnan(difference)])
        return f"{_written(difference, '+')} ({percent:+.1f} %)".replace("-", "−")


def _written(values: Floats, sign: str = "") -> str:
    known = values[~np.isnan(values)]
    error = f" ± {known.std(ddof=1) / np.sqrt(len(known)):.4f}" if len(known) > 1 else ""
    return f"{known.mean():{sign}.4f}{error}".replace("-", "−")


def regression_table(results: Results) -> list[str]:
    """Every set of columns on every task."""
    lines = [["columns", *(f"{task}, {UNITS[task]}" for task in TASKS)]]
    for name in (FOREST, C, M, N, CN, CS):
        lines += [[name, *(results.score(task, name) if name in SETS[task] else "" for task in TASKS)]]
    lines.append(["mean of the test fold", *(_written(results.folds(task, C, "deviation")) for task in TASKS)])
    lines.append(["arXiv 2601.17170, its own split", *(f"{PUBLISHED[task]:.3f}" for task in TASKS)])
    return table(*lines)


def change_table(results: Results) -> list[str]:
    """One set of columns against another, fold by fold."""
    pairs = [(CN, C), (CS, C), (CN, CS), (N, C), (N, FOREST), (CN, FOREST)]
    lines = [["what against what", *TASKS]]
    for one, other in pairs:
        cells = [results.change(task, one, other) if {one, other} <= set(SETS[task]) else "" for task in TASKS]
        lines.append([f"{one} − {other}", *cells])
    return table(*lines)


def order_table(results: Results) -> list[str]:
    """Share of the polymorphs in the right order."""
    tasks = ("formation energy", "gap")
    names = (C, M, N, CN, CS)
    return table(
        ["columns", *tasks], *([name, *(results.score(task, name, "order") for task in tasks)] for name in names)
    )


def retrieval_table(rows: pd.DataFrame) -> list[str]:
    """Precision of the nearest, by label."""
    indexed = rows.set_index(["vectors", "label", "probe"])
    labels, probes = rows["label"].unique(), ("precision@1", "precision@10")
    lines = [["vectors", *(f"{label}, {probe}" for label in labels for probe in probes)]]
    for name in rows["vectors"].unique():
        cells = [indexed.loc[(name, label, probe)] for label in labels for probe in probes]
        lines.append([name, *(f"{one['score']:.3f} ± {one['standard_error']:.3f}" for one in cells)])
    return table(*lines)


def hub_table(network: MotifNetwork) -> list[str]:
    """Motifs that most materials have."""
    found = network.hubs(15)
    rows = found.itertuples(index=False)
    lines = [[one.motif, f"{one.n_materials:,}", f"{one.rarity:.2f}", f"{one.csm:.2f}"] for one in rows]
    return table(["motif", "materials", "rarity", "mean csm"], *lines)


def example_tables(network: MotifNetwork) -> list[str]:
    """Nearest materials that have another set of elements, one of each formula."""
    lines = []
    for title, name in EXAMPLES.items():
        if name not in network.ids:
            continue
        own = set(Composition(network.formulas[network.ids.index(name)]).chemical_system.split("-"))
        found = network.similar(name, 300).drop_duplicates("formula")
        others = [set(Composition(formula).chemical_system.split("-")) != own for formula in found["formula"]]
        rows = [["id", "formula", "similarity", "shared motifs (materials that have each)"]]
        for one in found[others].head(6).itertuples(index=False):
            shared = ", ".join(f"{motif} ({n:,})" for motif, n in zip(one.shared, one.n_materials, strict=True))
            rows.append([one.id, one.formula, f"{one.similarity:.2f}", shared])
        lines += [f"### {title} ({name})", "", *table(*rows)]
    return lines


def reading(results: Results, retrieved: pd.DataFrame) -> str:
    """Say in words what the tables say."""
    energy, gap = "formation energy", "gap"

    def mean(task: str, name: str) -> str:
        return f"{np.nanmean(results.folds(task, name)):.3f}"

    first = retrieved[(retrieved["label"] == "structure type") & (retrieved["probe"] == "precision@1")]
    nearest = {name: f"{score:.2f}" for name, score in zip(first["vectors"], first["score"], strict=True)}
    beaten = {
        (task, name): np.nanmean(results.folds(task, name)) < PUBLISHED[task] for task in TASKS for name in (N, CN)
    }
    verdicts = "; ".join(
        f"{name}, {task}: {mean(task, name)} against {PUBLISHED[task]}, {'below' if below else 'NOT below'}"
        for (task, name), below in beaten.items()
    )
    text = f"""- Against the published errors: {verdicts}. Here formulas are held out
  whole, and the crystals and the model are other ones; which motifs the paper took, and how it split, is not known.
- Gain over the composition alone, in the same model: {results.change(energy, CN, C)} eV/atom and
  {results.change(gap, CN, C)} eV. Of this the shuffled network gives {results.change(energy, CS, C)} and
  {results.change(gap, CS, C)}: which elements stand around which, in columns that suit a perceptron. Coordination is
  what is left, {results.change(energy, CN, CS)} and {results.change(gap, CN, CS)}, at most: the shuffle also mixes up
  the shares of ligands, and gives equal sites of a crystal different motifs.
- The composition alone in this perceptron is no match for networks made for formulas: CrabNet has 0.0794 eV/atom and
  0.265 eV on these very crystals, on the official folds of Matbench, where polymorphs of a formula are in training and
  test, trained on all 132,752 and 106,113 rows of these tasks. A part of the gain is what a better model of the
  composition has by itself.
- Motifs alone, without what they are made of, reach {mean(energy, M)} eV/atom and {mean(gap, M)} eV: most motifs of a
  large database are met once, and a crystal all of whose motifs are new has no vector but zero. The way to the parts
  is what makes the network a regressor, and the parts hold the composition, so that *network* is no test of motifs.
- Structure types are found by shapes, not by motifs: the nearest crystal of another formula has the same type for
  {nearest["geometry rows"]} of the geometry rows, {nearest["network"]} of the network, {nearest["composition"]} of the
  composition and {nearest["motif rows, cations"]} of the motif rows, which name the elements and find what shares
  these very polyhedra: relatives by chemistry, as below, of any structure.
- BaTiO3 shows a limit: no motif tells the ferroelectric from the cubic phase, as csm is in the weights alone."""
    return text.replace("\n  ", " ")


def report(results: Results, retrieved: pd.DataFrame, network: MotifNetwork) -> str:
    """Write the page."""
    about = [paragraph.replace("\n", " ") for paragraph in __doc__.strip().split("\n\n")[2:]]
    lines = ["# What the network of materials and motifs is worth", ""]
    lines += [line for paragraph in about for line in (paragraph, "")]
    for title, remark, written in (
        ("Errors", results.measured(), regression_table(results)),
        (
            "Paired differences",
            "Of the errors, fold by fold, ± standard error where there are several.",
            change_table(results),
        ),
        ("Order of polymorphs", ORDER, order_table(results)),
        ("Reading", "", [reading(results, retrieved), ""]),
        ("Retrieval", RETRIEVAL, retrieval_table(retrieved)),
        ("Hubs", HUBS, hub_table(network)),
        ("What shares rare motifs with", EXAMPLE, example_tables(network)),
    ):
        lines += [f"## {title}", "", *([remark.replace("\n", " "), ""] if remark else []), *written]
    return "\n".join(lines).rstrip() + "\n"


ORDER = """Share of pairs of polymorphs in the right order, 0.5 by chance and for the composition; pairs whose targets
differ by 0.01 eV/atom or 0.2 eV."""
RETRIEVAL = f"""{N_QUERIES:,} crystals that MP matched to experimental ones, ranked by cosine for each; those of the
same formula are left out, and so are the few whose type no other has. A structure type is an anonymous formula with a
space group. *Motif rows* are those of `MotifNetwork.similar`, *geometry rows* the same of level "geometry", both
without the motifs that one query alone has, and with rarities over all materials; the network is that of all other
materials, the queries folded in. Random vectors show chance."""
HUBS = "The motifs of cations that most materials have."
EXAMPLE = """The six nearest by `MotifNetwork.similar` in the network of cations; crystals of the same elements, and
repeated formulas, are left out here."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, help="folder of motif tables of all sites")
    parser.add_argument("cations", type=Path, help="folder of motif tables of cations")
    parser.add_argument("symmetry", type=Path, help="folder of the symmetry table")
    parser.add_argument("--results", type=Path, default=Path("motif-network-results/results.csv"))
    parser.add_argument("--retrieved", type=Path, default=Path("motif-network-results/retrieved.csv"))
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    given = parser.parse_args()
    given_data = Data(me.MotifTables.read(given.tables), me.MotifTables.read(given.cations))
    retrieved = retrieve(given_data, given.symmetry, given.retrieved)
    measured = Results(measure(given_data, given.results))
    page = report(measured, retrieved, motif_network(given_data.cations))
    print(page)
    if given.write:
        given.write.write_text(page, encoding="utf-8")
