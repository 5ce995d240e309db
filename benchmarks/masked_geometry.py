"""Which coordination will a cation take? A transformer, asked for hidden geometries of oxides, beside decision trees.

``python benchmarks/masked_geometry.py DATA MOTIFS --pretrained FOLDER --write masked_geometry.md`` evaluates. ``DATA``
holds ``motifs/mp_oxides_chemenv.jsonl.gz``, oxides of the Materials Project with the coordination environments that
ChemEnv finds; ``MOTIFS`` are motif tables of that database, made with ``matembed motifs --strategy multi_weights``,
which finds the same environments. ``FOLDER`` holds a `MaskedLM` for each split, named ``formula``, ``system`` and
``stoichiometry``, that has seen nothing held out there: ``--list-seen SPLIT FILE`` writes the formulas that
`matembed/pretrained/make_transformer.py` has to leave out. Every run is a file in ``--results`` once made, and is not
made again; ``--only``, ``--splits`` and ``--given`` make some, ``--device cuda`` on an accelerator. ``--shipped`` asks
the models of the package, which have seen all of these oxides, and prints what they tell.

An item is an element in one oxidation state in one material; its answer is the shares of its sites among geometries,
by the likeliest environment of each site. Every item weighs the same. Top-1 is the share of its sites that have the
geometry predicted, log-loss the cross-entropy in nats. Formulas, chemical systems or stoichiometries (ABC3) are held
out whole: a fifth, drawn by a seed, three times; of stoichiometries each fifth once.

Given are the formula and the oxidation states ("formula"); also the motifs of all other items of the material, without
any connection of the hidden one ("others"); also these connections, which bound its coordination number ("links").
Learned from are the other reference oxides; by "trees on more oxides" and networks also the materials with oxygen of
the Materials Project that match an experimental entry; by "trees on all oxides" all of its materials with oxygen, of
which 24 % surely match one: with nothing of what is held out. Trees are 150 extra trees on columns: of the formula
atomic fractions, and statistics of the cations; of the others the shares of their geometries, how many of their bonds
and how much bond strength reaches each oxygen, and connections among them; of links the corners, edges and faces that a
hidden motif shares with its like and with others. Networks are told more of this than columns can hold: which element
has which geometry, and csm. 7 % of the frequencies of the element and oxidation state in training are mixed in.

A large network goes on from the pretrained one, for each of the three that may be given by itself. All formulas,
systems or stoichiometries of the reference were left out of pretraining at once, so that one pretrained network serves
all parts of a split; of stoichiometries this leaves 28 % of the crystals. "One small network" has a quarter of the
weights and is one for all three questions: it reads the oxides without those names 10 times, which serves all parts,
and then, 40 times, what the large ones learn from. It takes 40 minutes of one core. All remember what they have learned
from (`MaskedLM.remember`); with "memory of all oxides" the small one remembers all that is not held out, and
"no memory" are their own answers. "N networks" are the mean of networks of other seeds. Of the others, formulas held
out, the small one tells 0.768 and 0.777 (parts 0 and 1), and less, 0.754 and 0.769, if 12 passes over all oxides take
the place of the 40.

Controls: "labels shuffled" permutes the geometries of the hidden and other motifs in training, token by token among the
motifs of each element, from the same pretrained start; what is said of connections and ligands stays. "Random start" is
the same network, trained for as long, without pretraining. "No connections" leaves connections and ligands out of the
question alone: the network was trained with them, which overstates what they are worth. The first two were run for held
out formulas alone, and not for all parts; the tables say for how many.

Settings of the networks and of their memory were tried out on formula seed 0 with its test part in sight; the other
splits and seeds were not looked at before the runs shown here.
"""

import argparse
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from masked_geometry_oxides import GIVEN, N_FOLDS, SPLITS, Floats, Reference, list_seen, split_items
from masked_geometry_page import all_scores, calibration, page, score
from pymatgen.core import Element, Species
from sklearn.tree import ExtraTreeClassifier

import matembed as me
from matembed._atomic import whole_file
from matembed.corpus.ragged import spans
from matembed.corpus.set_words import TOKEN_KINDS, WORDS
from matembed.encoders._masking import Index, has_motifs
from matembed.encoders.masked_lm import Given, Objective

N_TREES, SMOOTHING = 150, 0.07
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
    {"epochs": 10, "learning_rate": 0.0015, "dropout": 0.1, "batch_tokens": 8192},
    {"epochs": 40, "learning_rate": 0.001, "dropout": 0.25, "batch_tokens": 4096},
)
SMALL_SHARES: dict[Objective, float] = {"formula": 0.25, "others": 0.45, "links": 0.3, "element": 0.0}
MODELS = (
    "frequencies",
    "radius ratio",
    "trees",
    "trees on more oxides",
    "trees on all oxides",
    "pretrained",
    "one small network",
    "random start",
    "labels shuffled",
)


# Trees and simpler rules ---------------------------------------------------------------------------------------------


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


def trees(columns: Any, reference: Reference, train: Sequence[int], test: Sequence[int], seed: int) -> Floats:
    """Fit extra trees; an item with several geometries is a row for each, weighed by its share.

    One tree is held at a time: of all oxides, each takes a sixth of a gigabyte.
    """
    rows = [(idx, geometry, share) for idx in train for geometry, share in reference.items[idx].shares.items()]
    which, labels, weights = (np.array(each) for each in zip(*rows, strict=True))
    learned, asked = columns[which], columns[list(test)]
    found = np.zeros((len(test), len(reference.geometries)))
    for number in range(N_TREES):
        tree = ExtraTreeClassifier(max_features=0.3, random_state=1000 * seed + number)
        tree.fit(learned, labels, sample_weight=weights)
        found[:, np.searchsorted(reference.geometries, tree.classes_)] += tree.predict_proba(asked) / N_TREES
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


def measure(reference: Reference, run: "Run", options: argparse.Namespace) -> dict[str, Floats]:
    """Train on what is not held out and predict the items asked for: (n_items, n_geometries) by variant."""
    held_out, train, test = split_items(reference, run.split, run.seed, run.fold)
    limit = {"trees on more oxides": reference.n_matched, "trees on all oxides": len(reference.ids)}
    items = [idx for idx in train if reference.items[idx].material < limit.get(run.model, reference.n_asked)]
    if run.model == "frequencies":
        return {"": frequencies(reference, items, test)}
    if run.model == "radius ratio":
        return {"": radius_ratio(reference, test)}
    if run.model.startswith("trees"):
        return {"": trees(reference.columns[GIVEN.index(run.given)], reference, items, test, run.seed)}
    oxides = reference.sets[np.flatnonzero(~held_out)]
    learned = reference.sets[np.flatnonzero(~held_out[: reference.n_matched])]
    oxides, learned = oxides[has_motifs(oxides)], learned[has_motifs(learned)]
    if run.model == "one small network":
        model = small_network(reference, learned, run, options)
    else:
        start = None if options.pretrained is None else me.MaskedLM.from_pretrained(options.pretrained / run.split)
        sizes = SIZES if start is None else {name: getattr(start, name) for name in SIZES}
        if run.model == "labels shuffled":
            learned = shuffled(learned, run.seed)
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
    memories = {"": learned}
    if run.model == "one small network":
        memories["memory of all oxides"] = oxides
    for variant, remembered in memories.items():
        informed = model.remember(remembered, given=run.given)
        found[variant] = predictions(informed, asked, reference, test, run.given)
    return found


def small_network(
    reference: Reference, learned: me.MaterialSets, run: "Run", options: argparse.Namespace
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
        unnamed = reference.sets[np.flatnonzero(reference.fold_of(run.split, run.seed) < 0)]
        me.MaskedLM(**settings, **SMALL[0]).fit(unnamed[has_motifs(unnamed)]).save_pretrained(first)
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


def shipped(reference: Reference) -> Iterator[str]:
    """Score the models of the package, by themselves: nothing is held out from them."""
    yield "| model | given | top-1 | log-loss |\n|---|---|---|---|"
    items = range(len(reference.items))
    asked = reference.sets[np.unique([item.material for item in reference.items])]
    for name, given in product(("crystals", "crystals-large"), GIVEN):
        model = me.MaskedLM.from_pretrained(name)
        told = score(reference, items, predictions(model, asked, reference, items, given))
        yield f"| {name} | {given} | {told['top-1'].mean():.3f} | {told['log-loss'].mean():.3f} |"


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("motifs", type=Path, help="motif tables of the Materials Project, strategy multi_weights")
    parser.add_argument("--pretrained", type=Path, help="folder of a MaskedLM for each split")
    parser.add_argument("--shipped", action="store_true", help="ask the models of the package alone, and print")
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
    if options.shipped:
        print("\n".join(shipped(Reference.read(options.data))))
        return
    tables = me.MotifTables.read(options.motifs)
    if options.list_seen:
        split, file = options.list_seen
        Path(file).write_text("\n".join(list_seen(Reference.read(options.data), tables, split)) + "\n")
        return
    unstarted = {"pretrained", "labels shuffled"} & set(options.only or MODELS)
    if unstarted and not options.pretrained:
        parser.error(f"{' and '.join(sorted(unstarted))} start from a pretrained network; pass --pretrained FOLDER")
    options.results.mkdir(parents=True, exist_ok=True)
    reference = Reference.read(options.data, tables)
    for run in runs(options.seeds, options.networks):
        file = options.results / run.file
        wanted = run.model in (options.only or MODELS) and run.split in options.splits and run.given in options.given
        if wanted and not file.exists():
            start = time.process_time()
            found = measure(reference, run, options)
            with whole_file(file) as partial, partial.open("wb") as handle:
                np.savez_compressed(handle, **{name: each.astype(np.float32) for name, each in found.items()})
            print(*run, f"{time.process_time() - start:.0f} s", _brief(reference, run, found), flush=True)
    if options.write:
        trained = _training(options.pretrained) if options.pretrained else ""
        scores = all_scores(reference, options.results)
        about = __doc__.split("\n\n", 2)[2].strip()
        figure = f"figures/{options.write.stem.replace('_', '-')}.png"
        with whole_file(options.write) as partial:
            partial.write_text("\n\n".join(page(scores, about, trained, figure)) + "\n")
        calibration(scores, options.write.parent / figure)


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
