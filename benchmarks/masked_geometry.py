"""Which coordination will a cation take? A transformer, asked for hidden geometries of oxides, beside decision trees.

``python benchmarks/masked_geometry.py DATA MOTIFS --pretrained FOLDER --write masked_geometry.md`` evaluates. ``DATA``
holds ``motifs/mp_oxides_chemenv.jsonl.gz``, oxides of the Materials Project with the coordination environments that
ChemEnv finds; ``MOTIFS`` are motif tables of that database, made with ``matembed motifs --strategy multi_weights``,
which finds the same environments. ``FOLDER`` holds a `MaskedLM` for each split, named ``formula``, ``system`` and
``stoichiometry``, that has seen nothing held out there: ``--list-seen SPLIT FILE`` writes the formulas that
`matembed/pretrained/make_transformer.py` has to leave out. Every run is a file in ``--results`` once made, and is not
made again; ``--only``, ``--splits`` and ``--given`` make some, ``--device cuda`` on an accelerator.

An item is an element in one oxidation state in one material; its answer is the shares of its sites among geometries,
by the likeliest environment of each site. Every item weighs the same. Top-1 is the share of its sites that have the
geometry predicted, log-loss the cross-entropy in nats. Formulas, chemical systems or stoichiometries (ABC3) are held
out whole: a fifth, drawn by a seed, three times; of stoichiometries each fifth once.

Given are the formula and the oxidation states ("formula"); also the motifs of all other items of the material, without
any connection of the hidden one ("others"); also these connections, which bound its coordination number ("links").
Learned from are the other reference oxides, and by "trees on more oxides" and all networks also the materials with
oxygen of the Materials Project that match an experimental entry, with nothing of what is held out. Trees are 150 extra
trees on columns: of the formula atomic fractions, and statistics of the cations; of the others the shares of their
geometries, how many of their bonds and how much bond strength reaches each oxygen, and connections among them; of links
the corners, edges and faces that a hidden motif shares with its like and with others. Networks are told more of this
than columns can hold: which element has which geometry, and csm. 7 % of the frequencies of the element and oxidation
state in training are mixed in.

A network goes on from the pretrained one, for each of the three that may be given by itself, and remembers what it has
learned from (`MaskedLM.remember`); "no memory" are its own answers. "N networks" are the mean of networks of other
seeds. All formulas, systems or stoichiometries of the reference were left out of pretraining at once, so that one
pretrained network serves all parts of a split; of stoichiometries this leaves 28 % of the crystals.

"One small network" has a quarter of the weights and is one for all three questions: it reads all other oxides of the
Materials Project first, 10 times, and then, 40 times, what the others learn from. It takes 40 minutes of one core.

Controls: "labels shuffled" permutes the geometries of the hidden and other motifs in training, token by token among the
motifs of each element, from the same pretrained start; what is said of connections and ligands stays. "Random start" is
the same network, trained for as long, without pretraining. "No connections" leaves connections and ligands out of the
question alone: the network was trained with them, which overstates what they are worth. The first two were run for held
out formulas alone, and not for all parts; the tables say for how many.

Settings of the networks and of their memory were tried out on formula seed 0 with its test part in sight; the other
splits and seeds were not looked at before the runs shown here.
"""

import argparse
import re
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Species
from sklearn.ensemble import ExtraTreesClassifier

import matembed as me
from matembed._atomic import whole_file
from matembed.corpus.ragged import spans
from matembed.corpus.set_words import TOKEN_KINDS, WORDS
from matembed.elements import ATOMIC_NUMBERS, SYMBOLS
from matembed.encoders._masking import Index, has_motifs
from matembed.encoders.masked_lm import Given, Objective
from matembed.motifs.connectivity import connect
from matembed.motifs.geometry import LARGEST_CN
from matembed.motifs.graph import Ligand, Motif, MotifGraph
from matembed.tokens import SHARINGS

ORACLE = "motifs/mp_oxides_chemenv.jsonl.gz"
GIVEN: tuple[Given, ...] = get_args(Given)
SPLITS = ("formula", "system", "stoichiometry")
FLAT = ("Na", "K", "Ca", "Ba", "Pb", "La")
N_FOLDS, N_TREES, SMOOTHING = 5, 150, 0.07
SPECIES = re.compile(r"([A-Z][a-z]?)(\d+(?:\.\d+)?)?([+-])?")
MOTIF_COLUMNS = ["id", "site", "element", "oxidation", "geometry", "csm", "ligands", "images"]
RADIUS_OF_OXYGEN = 1.40  # Å, Shannon, sixfold
RATIOS = {0.155: "L:2", 0.225: "TL:3", 0.414: "T:4", 0.732: "O:6", 1.0: "C:8", np.inf: "C:12"}  # Pauling's rule
FINE_TUNING: dict[str, Any] = {
    "learning_rate": 0.001,
    "dropout": 0.25,
    "hide_oxidation": 0.0,
    "precision": "bfloat16",
}
PASSES: dict[str, dict[str, Any]] = {
    "formula": {"epochs": 20, "batch_tokens": 4096},
    "others": {"epochs": 14, "batch_tokens": 8192},
    "links": {"epochs": 14, "batch_tokens": 8192},
}
SIZES = {"dim": 160, "n_layers": 3, "n_heads": 5, "feed_forward": 640}
# One network a quarter the size, for all three questions: 10 passes over all oxides, then 40 over those learned from.
SMALL: tuple[dict[str, Any], ...] = (
    {"epochs": 10, "learning_rate": 0.0015, "dropout": 0.1, "batch_tokens": 8192, "drop_symmetry": 1.0},
    {"epochs": 40, "learning_rate": 0.001, "dropout": 0.25, "batch_tokens": 4096},
)
SMALL_SHARES: dict[Objective, float] = {"formula": 0.25, "others": 0.45, "links": 0.3, "element": 0.0}
MODELS = (
    "frequencies",
    "radius ratio",
    "trees",
    "trees on more oxides",
    "pretrained",
    "one small network",
    "random start",
    "labels shuffled",
)
FIGURE = "(figures/masked-geometry.png)"
GOALS = (
    ("formula", "formula", 0.76),
    ("formula", "others", 0.80),
    ("formula", "links", 0.86),
    ("system", "formula", 0.76),
    ("system", "others", 0.80),
    ("system", "links", 0.86),
    ("stoichiometry", "formula", 0.63),
)
Floats = NDArray[np.float64]


# Oxides and items ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Item:
    """An element in an oxidation state in a material, and the shares of its sites among geometries."""

    material: int
    element: str
    oxidation: int
    sites: tuple[int, ...]
    shares: dict[str, float]

    @property
    def species(self) -> tuple[str, int]:
        """Element and oxidation state."""
        return self.element, self.oxidation


@dataclass(frozen=True, eq=False)
class Reference:
    """Oxides with the environments of their cations, as motif graphs; only of the first ones items are asked for."""

    ids: tuple[str, ...]
    graphs: tuple[MotifGraph, ...]
    oxidations: tuple[tuple[float, ...], ...]
    n_asked: int

    @classmethod
    def read(cls, data: Path) -> "Reference":
        """Read the reference; of each site the likeliest environment counts."""
        rows = pd.read_json(data / ORACLE, lines=True, precise_float=True)
        graphs = tuple(_graph(row) for row in rows.itertuples())
        return cls(tuple(rows["id"]), graphs, tuple(tuple(map(float, each)) for each in rows["valences"]), len(rows))

    def with_more(self, tables: me.MotifTables) -> "Reference":
        """Add other materials with oxygen that match an experimental entry, with all oxidation states known."""
        materials = tables.materials()
        has_oxygen = materials["chemsys"].str.split("-").map(lambda symbols: "O" in symbols)
        wanted = materials[has_oxygen & materials["icsd"].eq(True) & ~materials["id"].isin(self.ids)]
        motifs = dict(iter(tables.motifs(wanted["id"], MOTIF_COLUMNS).groupby("id")))
        ids, graphs, oxidations = [], [], []
        for row in wanted.itertuples():
            species = [SPECIES.fullmatch(each) for each in row.sites.split()]
            if row.id not in motifs or not all(each and each[3] for each in species):
                continue
            charges = tuple(float(each[2] or 1) * (1 if each[3] == "+" else -1) for each in species)
            ids.append(row.id)
            graphs.append(_table_graph(tuple(each[1] for each in species), motifs[row.id]))
            oxidations.append(charges)
        return Reference((*self.ids, *ids), (*self.graphs, *graphs), (*self.oxidations, *oxidations), self.n_asked)

    @cached_property
    def items(self) -> list[Item]:
        """All items, material after material."""
        items = []
        for material, graph in enumerate(self.graphs):
            groups = defaultdict(list)
            for motif in graph.motifs:
                groups[motif.element, round(motif.oxidation or 0)].append(motif)
            for (element, oxidation), motifs in sorted(groups.items()):
                counts = Counter(motif.geometry for motif in motifs)
                shares = {geometry: n / len(motifs) for geometry, n in counts.items()}
                items.append(Item(material, element, oxidation, tuple(motif.site for motif in motifs), shares))
        return items

    @cached_property
    def sets(self) -> me.MaterialSets:
        """The oxides as a network reads them, without symmetry."""
        return me.graph_sets(self.graphs, ids=self.ids, oxidations=self.oxidations)

    @cached_property
    def columns(self) -> list[Floats]:
        """What trees read of each item, by what is given."""
        parts = [composition_columns(self), others_columns(self), links_columns(self)]
        return [np.hstack(parts[: n + 1]) for n in range(len(parts))]

    @cached_property
    def geometries(self) -> list[str]:
        """All geometries of any item, sorted."""
        return sorted({geometry for item in self.items for geometry in item.shares})

    def fold_of(self, split: str, seed: int) -> NDArray[np.int64]:
        """Deal the materials to five folds, those with the same formula, system or stoichiometry to the same.

        The reference is dealt; what was added and has none of its names is in no fold: -1.
        """
        names = [name_of(graph.formula, split) for graph in self.graphs]
        distinct = sorted(set(names[: self.n_asked]))
        places = np.random.default_rng(seed).permutation(len(distinct)) % N_FOLDS
        fold = dict(zip(distinct, places.tolist(), strict=True))
        return np.array([fold.get(each, -1) for each in names])


def name_of(formula: str, split: str) -> str:
    """Write the formula, the chemical system or the stoichiometry of a formula, in one way."""
    composition = Composition(formula)
    if split == "system":
        return composition.chemical_system
    return composition.reduced_formula if split == "formula" else composition.anonymized_formula


def _graph(row: Any) -> MotifGraph:
    motifs = []
    for site, environments in row.environments:
        if environments:
            geometry, _, csm, neighbours = environments[0]
            ligands = sorted((atom, tuple(image)) for atom, *image in neighbours)
            motifs.append(
                Motif(
                    site=site,
                    element=row.species[site],
                    oxidation=float(row.valences[site]),
                    geometry=geometry,
                    csm=csm,
                    ligands=tuple(Ligand(atom, image) for atom, image in ligands),
                    ligand_elements=tuple(row.species[atom] for atom, _ in ligands),
                )
            )
    motifs.sort(key=lambda motif: motif.site)
    return MotifGraph(
        formula=Composition(Counter(row.species)).reduced_formula,
        elements=tuple(row.species),
        motifs=tuple(motifs),
        connections=connect(tuple(motifs)),
        engine="chemenv",
        strategy="multi_weights",
        valences="given",
    )


def _table_graph(elements: tuple[str, ...], rows: pd.DataFrame) -> MotifGraph:
    motifs = []
    for row in rows.sort_values("site").itertuples():
        images = [tuple(image) for image in row.images]
        motifs.append(
            Motif(
                site=row.site,
                element=row.element,
                oxidation=row.oxidation,
                geometry=row.geometry,
                csm=row.csm,
                ligands=tuple(Ligand(site, image) for site, image in zip(row.ligands, images, strict=True)),
                ligand_elements=tuple(elements[site] for site in row.ligands),
            )
        )
    return MotifGraph(
        formula=Composition(Counter(elements)).reduced_formula,
        elements=elements,
        motifs=tuple(motifs),
        connections=connect(tuple(motifs)),
        engine="numba",
        strategy="multi_weights",
        valences="bond_valence",
    )


# Trees and simpler rules ---------------------------------------------------------------------------------------------


def composition_columns(reference: Reference) -> Floats:
    """Say what the formula and the oxidation states say of each item."""
    elements = [Element(symbol) for symbol in SYMBOLS[1:104]]
    table = np.array([[e.Z, e.group, e.row, e.X, float(e.atomic_radius or 0), e.mendeleev_no or 0] for e in elements])
    properties = np.vstack([np.zeros((1, table.shape[1])), np.nan_to_num(table)])
    rows = []
    for item in reference.items:
        graph, valences = reference.graphs[item.material], np.array(reference.oxidations[item.material])
        numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in graph.elements])
        n_sites, n_oxygen, cations = len(numbers), int((numbers == 8).sum()), valences > 0
        fractions = np.bincount(numbers, minlength=len(properties)) / n_sites
        of_cations = np.column_stack([properties[numbers], valences])[cations]
        statistics = [reduce(of_cations, axis=0) for reduce in (np.mean, np.std, np.min, np.max)]
        n, n_cations = len(item.sites), int(cations.sum())
        ratios = [
            len(set(graph.elements)),
            n_oxygen / n_sites,
            n_cations / n_sites,
            n_oxygen / n_cations,
            n / n_sites,
            n / n_cations,
            n_oxygen / n,
            item.oxidation,
        ]
        rows.append(np.concatenate([fractions, *statistics, ratios, properties[ATOMIC_NUMBERS[item.element]]]))
    return np.array(rows)


def others_columns(reference: Reference) -> Floats:
    """Say what the other motifs of the material say of each item."""
    place = {geometry: column for column, geometry in enumerate(reference.geometries)}
    rows = []
    for item in reference.items:
        graph, hidden = reference.graphs[item.material], set(item.sites)
        histogram, links = np.zeros(len(place)), np.zeros(len(SHARINGS))
        bonds: Counter[int] = Counter()
        strength: Counter[int] = Counter()
        for motif in graph.motifs:
            if motif.site not in hidden:
                histogram[place[motif.geometry]] += 1 / graph.n_sites
                for ligand in motif.ligands:
                    bonds[ligand.site] += 1
                    strength[ligand.site] += (motif.oxidation or 0) / len(motif.ligands)
        for link in graph.connections:
            if not hidden & {graph.motifs[link.source].site, graph.motifs[link.target].site}:
                links[SHARINGS.index(link.sharing)] += 1 / graph.n_sites
        oxygen = [site for site, symbol in enumerate(graph.elements) if symbol == "O"]
        n_bonds = np.array([bonds[site] for site in oxygen])
        missing = np.array([2 - strength[site] for site in oxygen])
        reached = [np.mean(n_bonds == n) for n in range(5)]
        wanted = [missing.sum() / len(hidden), *_spread(missing), *_spread(n_bonds)]
        rows.append(np.concatenate([histogram, links, reached, wanted, [len(hidden), graph.n_sites]]))
    return np.array(rows)


def links_columns(reference: Reference) -> Floats:
    """Say how often a hidden motif shares corners, edges and faces: with its like, with others, and with which."""
    rows = []
    for item in reference.items:
        graph, hidden = reference.graphs[item.material], set(item.sites)
        counts = np.zeros((2, len(SHARINGS)))
        linked = np.zeros((LARGEST_CN + 1, len(SHARINGS)))
        for link in graph.connections:
            ends = [graph.motifs[end] for end in (link.source, link.target)]
            inside = [motif.site in hidden for motif in ends]
            sharing = SHARINGS.index(link.sharing)
            if all(inside):
                counts[0, sharing] += 2 / len(hidden)
            elif any(inside):
                counts[1, sharing] += 1 / len(hidden)
                other = ends[inside.index(False)]
                linked[min(len(other.ligands), LARGEST_CN), sharing] += 1 / len(hidden)
        rows.append(np.concatenate([counts.ravel(), counts.sum(axis=0), [counts.sum()], linked.ravel()]))
    return np.array(rows)


def _spread(values: Floats) -> list[float]:
    return [float(reduce(values)) for reduce in (np.mean, np.std, np.min, np.max)]


def frequencies(reference: Reference, train: Sequence[int], test: Sequence[int]) -> Floats:
    """Predict how often each geometry comes for the element and oxidation state in training, or for the element."""
    columns = {geometry: column for column, geometry in enumerate(reference.geometries)}
    counts: dict[Any, Floats] = defaultdict(lambda: np.zeros(len(columns)))
    for idx in train:
        item = reference.items[idx]
        for geometry, share in item.shares.items():
            for key in (item.species, item.element, None):
                counts[key][columns[geometry]] += share
    found = []
    for idx in test:
        item = reference.items[idx]
        row = counts[item.species] + 0.05 * counts[item.element] + 0.001 * counts[None]
        found.append(row / row.sum())
    return np.array(found)


def trees(columns: Floats, reference: Reference, train: Sequence[int], test: Sequence[int], seed: int) -> Floats:
    """Fit extra trees; an item with several geometries is a row for each, weighed by its share."""
    rows = [(idx, geometry, share) for idx in train for geometry, share in reference.items[idx].shares.items()]
    which, labels, weights = zip(*rows, strict=True)
    forest = ExtraTreesClassifier(N_TREES, max_features=0.3, random_state=seed)
    forest.fit(columns[list(which)], labels, sample_weight=weights)
    found = np.zeros((len(test), len(reference.geometries)))
    found[:, np.searchsorted(reference.geometries, forest.classes_)] = forest.predict_proba(columns[list(test)])
    return (1 - SMOOTHING) * found + SMOOTHING * frequencies(reference, train, test)


def radius_ratio(reference: Reference, test: Sequence[int]) -> Floats:
    """Apply Pauling's rule to sixfold Shannon radii."""
    found = np.zeros((len(test), len(reference.geometries)))
    warnings.filterwarnings("ignore", "Specified spin")  # where it has two radii, the first is taken
    for row, idx in enumerate(test):
        item = reference.items[idx]
        try:
            radius = Species(item.element, item.oxidation).get_shannon_radius("VI", radius_type="ionic")
        except KeyError:
            radius = float(Element(item.element).average_ionic_radius)
        geometry = next(symbol for limit, symbol in RATIOS.items() if radius / RADIUS_OF_OXYGEN < limit)
        found[row, reference.geometries.index(geometry)] = 1
    return found


# Networks ------------------------------------------------------------------------------------------------------------


def without_links(sets: me.MaterialSets) -> me.MaterialSets:
    """Leave connections and ligands out of sets."""
    kept = np.flatnonzero(~np.isin(sets.kinds, [TOKEN_KINDS.index(kind) for kind in ("connection", "ligand")]))
    material = np.repeat(np.arange(len(sets)), np.diff(sets.token_starts))[kept]
    lengths = np.diff(sets.word_starts)[kept]
    words = spans(sets.word_starts[:-1][kept], lengths)
    return replace(
        sets,
        token_starts=np.append(0, np.cumsum(np.bincount(material, minlength=len(sets)))),
        word_starts=np.append(0, np.cumsum(lengths)),
        **{name: getattr(sets, name)[kept] for name in ("kinds", "amounts", "csms")},
        **{name: getattr(sets, name)[words] for name in ("words", "weights", "groups")},
    )


def shuffled(sets: me.MaterialSets, seed: int) -> me.MaterialSets:
    """Permute the geometries of motifs among all motifs of their element."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(sets.kinds)), np.diff(sets.word_starts))
    of_motif = (sets.kinds == TOKEN_KINDS.index("motif"))[owner]
    places = np.flatnonzero(of_motif & np.isin(sets.words, WORDS.ids("geometry")))
    element = Index(sets).element[owner[places]]
    words = sets.words.copy()
    for each in np.unique(element):
        mine = places[element == each]
        words[mine] = rng.permutation(words[mine])
    return replace(sets, words=words)


def predictions(
    model: me.MaskedLM, sets: me.MaterialSets, reference: Reference, test: Sequence[int], given: Any
) -> Floats:
    """Ask a network for the geometries of items."""
    answers = model.predict_geometry(sets, given=given, on_missing="guess")
    row_of = {(name, element, int(state)): row for row, (name, element, state) in enumerate(answers.index)}
    rows = [row_of[reference.ids[item.material], *item.species] for item in (reference.items[idx] for idx in test)]
    return answers[reference.geometries].to_numpy(np.float64)[rows]


# Measuring -----------------------------------------------------------------------------------------------------------


def split_items(
    reference: Reference, split: str, seed: int, fold: int
) -> tuple[NDArray[np.bool_], list[int], list[int]]:
    """Tell which materials are held out, and the items to learn from and to ask for."""
    held_out = reference.fold_of(split, seed) == fold
    material = np.array([item.material for item in reference.items])
    asked = held_out[material] & (material < reference.n_asked)
    return held_out, np.flatnonzero(~held_out[material]).tolist(), np.flatnonzero(asked).tolist()


def measure(reference: Reference, tables: me.MotifTables, run: "Run", options: argparse.Namespace) -> dict[str, Floats]:
    """Train on what is not held out and predict the items asked for: (n_items, n_geometries) by variant."""
    held_out, train, test = split_items(reference, run.split, run.seed, run.fold)
    first = [idx for idx in train if reference.items[idx].material < reference.n_asked]
    if run.model == "frequencies":
        return {"": frequencies(reference, first, test)}
    if run.model == "radius ratio":
        return {"": radius_ratio(reference, test)}
    if run.model.startswith("trees"):
        learned_from = first if run.model == "trees" else train
        columns = reference.columns[GIVEN.index(run.given)]
        return {"": trees(columns, reference, learned_from, test, run.seed)}
    pretrained = options.pretrained
    start = None if pretrained is None else me.MaskedLM.from_pretrained(pretrained / run.split)
    sizes = SIZES if start is None else {name: getattr(start, name) for name in SIZES}
    learned = reference.sets[~held_out]
    learned = learned[has_motifs(learned)]
    if run.model == "labels shuffled":
        learned = shuffled(learned, run.seed)
    if run.model == "one small network":
        model = small_network(reference, tables, learned, run, options)
    else:
        model = me.MaskedLM(
            **sizes,
            **FINE_TUNING,
            **PASSES[run.given],
            shares=dict.fromkeys(get_args(Objective), 0.0) | {run.given: 1.0},
            device=options.device,
            seed=100 * run.seed + 10 * run.fold + run.member,
        ).fit(learned, start=None if run.model == "random start" else start)
    asked = reference.sets[np.unique([reference.items[idx].material for idx in test])]
    found = {"no memory": predictions(model, asked, reference, test, run.given)}
    if run.given == "others":
        bare = without_links(asked)
        found["no memory, no connections"] = predictions(model, bare, reference, test, run.given)
    return {"": predictions(model.remember(learned, given=run.given), asked, reference, test, run.given)} | found


def small_network(
    reference: Reference, tables: me.MotifTables, learned: me.MaterialSets, run: "Run", options: argparse.Namespace
) -> me.MaskedLM:
    """Train one small network for all three questions, or open what was trained for another of them."""
    first = options.results / f"small-{run.split}"
    then = options.results / f"small-{run.split}-{run.seed}-{run.fold}-{run.member}"
    settings = SIZES | {
        "hide_oxidation": 0.0,
        "precision": "bfloat16",
        "shares": SMALL_SHARES,
        "device": options.device,
    }
    if not first.exists():
        seen = set(list_seen(reference, tables, run.split))
        sets = me.table_sets(tables)
        oxide = [formula not in seen and "O" in Composition(formula) for formula in sets.formulas]
        oxides = sets[np.flatnonzero(oxide & has_motifs(sets))]
        me.MaskedLM(**settings, **SMALL[0]).fit(oxides).save_pretrained(first)
    if not then.exists():
        model = me.MaskedLM(**settings, **SMALL[1], seed=run.member)
        model.fit(learned, start=me.MaskedLM.from_pretrained(first)).save_pretrained(then)
    return me.MaskedLM.from_pretrained(then, device=options.device)


class Run(NamedTuple):
    """What is trained, on which materials, and what it is told."""

    split: str
    seed: int
    fold: int
    given: Given
    model: str
    member: int = 0

    @property
    def file(self) -> str:
        """Name of the file its predictions are kept in."""
        return f"{self.split}-{self.seed}-{self.fold}-{self.given}-{self.model.replace(' ', '_')}-{self.member}.npz"


def runs(n_seeds: int, n_members: int) -> list[Run]:
    """List the runs: three random fifths, and each fifth of the stoichiometries once."""
    found = []
    for split in SPLITS:
        parts = [(seed, 0) for seed in range(n_seeds)] if split != "stoichiometry" else [(0, k) for k in range(N_FOLDS)]
        for (seed, fold), given in product(parts, GIVEN):
            for model in MODELS:
                simple, control = model in ("frequencies", "radius ratio"), model in ("random start", "labels shuffled")
                if (not simple or given == "formula") and (not control or split == "formula"):
                    n = n_members if model in ("pretrained", "one small network") else 1
                    found += [Run(split, seed, fold, given, model, member) for member in range(n)]
    return sorted(found, key=lambda run: (run.member, MODELS.index(run.model), SPLITS.index(run.split)))


# Scores and the page -------------------------------------------------------------------------------------------------


def truth_of(reference: Reference, test: Sequence[int]) -> Floats:
    """Write the shares of geometries of items as an array."""
    columns = {geometry: column for column, geometry in enumerate(reference.geometries)}
    truth = np.zeros((len(test), len(columns)))
    for row, idx in enumerate(test):
        for geometry, share in reference.items[idx].shares.items():
            truth[row, columns[geometry]] = share
    return truth


def score(reference: Reference, test: Sequence[int], predicted: Floats) -> pd.DataFrame:
    """Score each item: a row with material, element, top-1, top-3, log-loss, and top-1 of coordination numbers."""
    truth, each = truth_of(reference, test), np.arange(len(test))
    ranked = np.argsort(-predicted, axis=1, kind="stable")
    numbers = np.array([int(geometry.rpartition(":")[2]) for geometry in reference.geometries])
    by_number = (numbers[:, None] == np.unique(numbers)).astype(float)
    return pd.DataFrame(
        {
            "material": [reference.items[idx].material for idx in test],
            "element": [reference.items[idx].element for idx in test],
            "top-1": truth[each, ranked[:, 0]],
            "top-3": truth[each[:, None], ranked[:, :3]].sum(axis=1),
            "log-loss": -(truth * np.log(np.maximum(predicted, 1e-6))).sum(axis=1),
            "CN": (truth @ by_number)[each, np.argmax(predicted @ by_number, axis=1)],
            "probability": predicted.max(axis=1),
        }
    )


def all_scores(reference: Reference, folder: Path) -> pd.DataFrame:
    """Score all runs that were made, and means of predictions: a row for each item, model and what is given."""
    parts: dict[tuple[str, int, int, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(folder.glob("*.npz")):
        split, seed, fold, given, model, _ = file.stem.split("-")
        parts[split, int(seed), int(fold), given][model.replace("_", " ")].append(dict(np.load(file)))
    rows = []
    for (split, seed, fold, given), models in parts.items():
        _, _, test = split_items(reference, split, seed, fold)
        for model, members in models.items():
            for variant in members[0]:
                rest = f", {variant}" if variant else ""
                found = {model + rest: _mean_scores([score(reference, test, member[variant]) for member in members])}
                mean = np.mean([member[variant] for member in members], axis=0)
                if len(members) > 1:
                    found[f"{model}, {len(members)} networks{rest}"] = score(reference, test, mean)
                if model == "pretrained" and not variant and "trees on more oxides" in models:
                    both = (mean + models["trees on more oxides"][0][""]) / 2
                    found["mean of networks and trees on more oxides"] = score(reference, test, both)
                for label, scores in found.items():
                    rows.append(scores.assign(split=split, seed=seed, fold=fold, model=label, given=given))
    return pd.concat(rows, ignore_index=True)


def _mean_scores(each: Sequence[pd.DataFrame]) -> pd.DataFrame:
    numbers = each[0].columns.difference(["material", "element"])
    return each[0].assign(**{name: np.mean([one[name] for one in each], axis=0) for name in numbers})


def paired(ours: pd.DataFrame, theirs: pd.DataFrame, column: str) -> str:
    """Write the mean difference over the same items, ± its standard error, items of a material taken together."""
    differences, errors = [], []
    for key, part in ours.groupby(["seed", "fold"]):
        other = theirs[(theirs["seed"] == key[0]) & (theirs["fold"] == key[1])]
        if len(other) == len(part):
            difference = part[column].to_numpy() - other[column].to_numpy()
            centred = pd.Series(difference - difference.mean()).groupby(part["material"].to_numpy()).sum()
            differences.append(difference.mean())
            errors.append(np.sqrt((centred**2).sum()) / len(difference))
    return f"{np.mean(differences):+.3f} ± {np.sqrt(np.mean(np.square(errors))):.3f}" if differences else ""


def page(scores: pd.DataFrame, trained: str) -> Iterator[str]:
    """Write the report."""
    yield "# Which coordination will a cation take?"
    yield "\n".join(__doc__.split("\n\n", 2)[2].strip().splitlines())
    yield trained
    yield "## Against the goals"
    yield "\n".join(_goals(scores))
    yield (
        "Top-1 of formulas without part 0 is that of the two on which nothing was tried out. Below: means over the "
        "parts that were held out in turn, ± their standard deviation. Where a model was run on fewer parts, compare "
        "it by the differences to the trees, which are paired over the same items: ± a standard error over materials "
        "within one part."
    )
    yield "\n".join(_worth_of_pretraining(scores))
    names = list(dict.fromkeys(scores["model"]))
    order = [*MODELS[:4], "labels shuffled", "random start", "pretrained"]
    names = [*[name for name in order if name in names], *sorted(set(names) - set(order))]
    for split in SPLITS:
        of_split = scores[scores["split"] == split]
        yield f"## {split.capitalize()} held out"
        for given in GIVEN:
            part = of_split[of_split["given"] == given]
            if len(part):
                yield f"### Given: {given}"
                yield "\n".join(_score_table(part, names))
    yield "## Flat cations, formula held out"
    yield "Wanted is a mean of 0.04 above the trees; those on more oxides have learned from as many as the networks."
    yield "\n".join(_flat_table(scores[scores["split"] == "formula"]))
    yield "## How often the likeliest is right"
    yield "![Share of right answers by the probability told, for each of the three that may be given]" + FIGURE


def _best(scores: pd.DataFrame) -> str:
    several = [name for name in scores["model"].unique() if re.fullmatch(r"pretrained, \d+ networks", name)]
    return several[0] if several else "pretrained"


def _goals(scores: pd.DataFrame) -> Iterator[str]:
    """Write top-1 and log-loss beside the goals: the first above a number, the second below that of the trees."""
    yield "| split | given | top-1 wanted | trees | trees on more oxides | networks | without part 0 | met |"
    lines, losses = ["|---" * 8 + "|"], ["", "| split | given | log-loss of trees | on more oxides | networks | met |"]
    losses.append("|---" * 6 + "|")
    for split, given, wanted in GOALS:
        part = scores[(scores["split"] == split) & (scores["given"] == given)]
        ours = _best(part)
        trees, more, best = (part[part["model"] == name] for name in (*MODELS[2:4], ours))
        if len(trees) and len(best):
            top, loss = best["top-1"].mean(), best["log-loss"].mean()
            label = "one network" if ours == "pretrained" else ours.removeprefix("pretrained, ")
            rest = f"{best[best['seed'] > 0]['top-1'].mean():.3f}" if split == "formula" else ""
            tops = " | ".join(f"{each['top-1'].mean():.3f}" for each in (trees, more))
            verdict = "yes" if top >= wanted else "no"
            lines.append(f"| {split} | {given} | {wanted:.2f} | {tops} | {top:.3f}, {label} | {rest} | {verdict} |")
            old = " | ".join(f"{each['log-loss'].mean():.3f}" for each in (trees, more))
            verdict = "yes" if loss < trees["log-loss"].mean() else "no"
            losses.append(f"| {split} | {given} | {old} | {loss:.3f} | {verdict} |")
    yield from lines + losses


def _worth_of_pretraining(scores: pd.DataFrame) -> Iterator[str]:
    """Write what pretraining adds to top-1, on the same items."""
    yield "| formula held out, given | parts | top-1, pretrained minus random start | log-loss |"
    yield "|---|---|---|---|"
    for given in GIVEN:
        part = scores[(scores["split"] == "formula") & (scores["given"] == given)]
        ours, theirs = (part[part["model"] == name] for name in ("pretrained", "random start"))
        differences = " | ".join(paired(ours, theirs, column) for column in ("top-1", "log-loss"))
        yield f"| {given} | {theirs['seed'].nunique()} | {differences} |"


def _score_table(part: pd.DataFrame, names: Sequence[str]) -> Iterator[str]:
    yield "| | parts | top-1 | top-3 | log-loss | top-1 of CN | top-1 minus trees | log-loss minus trees |"
    yield "|---|---|---|---|---|---|---|---|"
    base = part[part["model"] == "trees"]
    for name in names:
        rows = part[part["model"] == name]
        if len(rows):
            by_split = rows.groupby(["seed", "fold"])[["top-1", "top-3", "log-loss", "CN"]].mean()
            mean, spread = by_split.mean(), by_split.std()
            cells = [str(len(by_split))]
            cells += [f"{mean[key]:.3f}" + (f" ± {spread[key]:.3f}" if len(by_split) > 1 else "") for key in by_split]
            versus = [paired(rows, base, key) if name != "trees" else "" for key in ("top-1", "log-loss")]
            if name == "radius ratio":  # which has no probabilities
                cells[3] = versus[1] = ""
            yield f"| {name} | {' | '.join([*cells, *versus])} |"


def _flat_table(scores: pd.DataFrame) -> Iterator[str]:
    yield f"| given | model | {' | '.join(FLAT)} | mean | minus trees |"
    yield "|---" * (len(FLAT) + 4) + "|"
    for given in GIVEN:
        part = scores[scores["given"] == given]
        base = part[part["model"] == "trees"].groupby("element")["top-1"].mean().reindex(FLAT).mean()
        for model in dict.fromkeys(("frequencies", *MODELS[2:4], "pretrained", _best(part))):
            rows = part[part["model"] == model]
            if len(rows):
                means = rows.groupby("element")["top-1"].mean().reindex(FLAT)
                cells = " | ".join(f"{x:.2f}" for x in means)
                yield f"| {given} | {model} | {cells} | {means.mean():.3f} | {means.mean() - base:+.3f} |"


def calibration(scores: pd.DataFrame, file: Path) -> None:
    """Draw how often the likeliest geometry is right, by its probability."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(GIVEN), figsize=(10, 3.4), sharey=True, layout="constrained")
    bins = np.linspace(0, 1, 11)
    for axis, given in zip(axes, GIVEN, strict=True):
        part = scores[(scores["split"] == "formula") & (scores["given"] == given)]
        for model in dict.fromkeys(("trees", "pretrained", _best(part))):
            rows = part[part["model"] == model]
            where = np.clip(np.digitize(rows["probability"], bins) - 1, 0, 9)
            means = rows.groupby(where)[["probability", "top-1"]].agg(["mean", "size"])
            means = means[means["top-1", "size"] >= 20]
            axis.plot(means["probability", "mean"], means["top-1", "mean"], "o-", label=model, markersize=4)
        axis.plot([0, 1], [0, 1], color="0.7", zorder=0)
        axis.set(xlabel="probability of the likeliest geometry", title=f"given: {given}", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("share that have it")
    axes[0].legend(frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def list_seen(reference: Reference, tables: me.MotifTables, split: str) -> list[str]:
    """List the formulas of motif tables that are held out with one of the reference."""
    held_out = {name_of(graph.formula, split) for graph in reference.graphs[: reference.n_asked]}
    formulas = tables.materials()["formula"].unique()
    return sorted(formula for formula in formulas if name_of(formula, split) in held_out)


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("motifs", type=Path, help="motif tables of the Materials Project, strategy multi_weights")
    parser.add_argument("--pretrained", type=Path, help="folder of a MaskedLM for each split")
    parser.add_argument("--list-seen", nargs=2, metavar=("SPLIT", "FILE"))
    parser.add_argument("--results", type=Path, default=Path("masked-geometry-results"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", type=int, default=1, help="of each, started from the pretrained one")
    parser.add_argument("--only", nargs="*", help="models to train: " + ", ".join(MODELS))
    parser.add_argument("--splits", nargs="*", default=SPLITS)
    parser.add_argument("--given", nargs="*", default=GIVEN)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    reference, tables = Reference.read(options.data), me.MotifTables.read(options.motifs)
    if options.list_seen:
        split, file = options.list_seen
        Path(file).write_text("\n".join(list_seen(reference, tables, split)) + "\n")
        return
    reference = reference.with_more(tables)
    unstarted = {"pretrained", "labels shuffled"} & set(options.only or MODELS)
    if unstarted and not options.pretrained:
        parser.error(f"{' and '.join(sorted(unstarted))} start from a pretrained network; pass --pretrained FOLDER")
    options.results.mkdir(parents=True, exist_ok=True)
    for run in runs(options.seeds, options.networks):
        file = options.results / run.file
        wanted = run.model in (options.only or MODELS) and run.split in options.splits and run.given in options.given
        if wanted and not file.exists():
            start = time.process_time()
            found = measure(reference, tables, run, options)
            with whole_file(file) as partial, partial.open("wb") as handle:
                np.savez_compressed(handle, **{name: each.astype(np.float32) for name, each in found.items()})
            print(*run, f"{time.process_time() - start:.0f} s", _brief(reference, run, found), flush=True)
    if options.write:
        trained = _training(options.pretrained) if options.pretrained else ""
        scores = all_scores(reference, options.results)
        options.write.write_text("\n\n".join(page(scores, trained)) + "\n")
        calibration(scores, options.write.parent / "figures" / "masked-geometry.png")


def _training(pretrained: Path) -> str:
    lines = [f"Fine-tuning: {FINE_TUNING}; {PASSES}."]
    for split in SPLITS:
        card = me.MaskedLM.from_pretrained(pretrained / split).card_
        passes = [*card.corpus.get("trained_before", []), {"counts": card.counts, "settings": card.settings}]
        seen = ", then ".join(f"{p['settings']['epochs']} × {p['counts']['materials']:,}" for p in passes)
        lines.append(f"- Pretrained for {split}: {card.counts['weights']:,} weights; passes × crystals: {seen}.")
    return "\n".join(lines)


def _brief(reference: Reference, run: Run, found: dict[str, Floats]) -> str:
    _, _, test = split_items(reference, run.split, run.seed, run.fold)
    means = {name: score(reference, test, each)[["top-1", "log-loss"]].mean() for name, each in found.items()}
    return "; ".join(f"{name} {mean['top-1']:.4f} {mean['log-loss']:.3f}" for name, mean in means.items())


if __name__ == "__main__":
    main()
