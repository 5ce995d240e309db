"""The page of `masked_geometry`: scores of every run that was made, tables beside the goals, and calibration."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from masked_geometry_oxides import GIVEN, SPLITS, Floats, Reference, split_items
from numpy.typing import NDArray

FLAT = ("Na", "K", "Ca", "Ba", "Pb", "La")
TREES = ("trees", "trees on more oxides", "trees on all oxides")
ORDER = (
    "frequencies",
    "radius ratio",
    *TREES,
    "labels shuffled",
    "random start",
    "one small network",
    "pretrained",
)  # of rows; others follow
# Means with the trees that learned from as much are shown, too; beside the goals stands the first that was run.
WITH_TREES = {
    "pretrained": ("trees on more oxides", "mean of networks and trees on more oxides"),
    "one small network": ("trees on all oxides", "mean of small networks and trees on all oxides"),
}
GOALS = (
    ("formula", "formula", 0.76),
    ("formula", "others", 0.80),
    ("formula", "links", 0.86),
    ("system", "formula", 0.76),
    ("system", "others", 0.80),
    ("system", "links", 0.86),
    ("stoichiometry", "formula", 0.63),
)


# Scores --------------------------------------------------------------------------------------------------------------


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
                beside, name = WITH_TREES.get(model, ("", ""))
                if not variant and beside in models:
                    found[name] = score(reference, test, (mean + models[beside][0][""]) / 2)
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


# Page ----------------------------------------------------------------------------------------------------------------


def page(scores: pd.DataFrame, about: str, trained: str, figure: str) -> Iterator[str]:
    """Write the report, with what is said about the task and the training, and the address of its figure."""
    yield "# Which coordination will a cation take?"
    yield about
    if trained:
        yield trained
    yield "## Against the goals"
    yield "\n".join(_goals(scores))
    yield (
        "Top-1 of formulas without part 0 is that of the two on which nothing was tried out. Below: means over the "
        "parts that were held out in turn, ± their standard deviation. Where a model was run on fewer parts, compare "
        "it by the differences to the trees, which are paired over the same items: ± a standard error over materials "
        "within one part."
    )
    if "random start" in set(scores["model"]):
        yield "\n".join(_worth_of_pretraining(scores))
    names = list(dict.fromkeys(scores["model"]))
    names = [*[name for name in ORDER if name in names], *sorted(set(names) - set(ORDER))]
    for split in SPLITS:
        of_split = scores[scores["split"] == split]
        if of_split.empty:
            continue
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
    yield f"![Share of right answers by the probability told, for each of the three that may be given]({figure})"


def _networks(scores: pd.DataFrame) -> list[str]:
    """Name the network beside the goals, the mean of several where there is one, and that with trees, run or not."""
    names = list(scores["model"].unique())
    kind = next((name for name in WITH_TREES if name in names), "pretrained")
    several = [name for name in names if re.fullmatch(rf"{kind}, \d+ networks", name)]
    return [kind, *several, WITH_TREES[kind][1]]


def _goals(scores: pd.DataFrame) -> Iterator[str]:
    """Write top-1 and log-loss beside the goals: the first above a number, the second below that of any trees."""
    trees = " | ".join(TREES)
    yield f"| split | given | top-1 wanted | {trees} | networks | without part 0 | with trees | met |"
    lines, losses = ["|---" * 10 + "|"], ["", f"| split | given | log-loss of {trees} | networks | with trees | met |"]
    losses.append("|---" * 8 + "|")
    for split, given, wanted in GOALS:
        part = scores[(scores["split"] == split) & (scores["given"] == given)]
        *_, ours, mean = _networks(part)
        if "trees on all oxides" not in set(part["model"]) and not {"trees", ours} <= set(part["model"]):
            continue
        n_parts = part.groupby("model").apply(_n_parts, include_groups=False)
        means = part.groupby("model")[["top-1", "log-loss"]].mean().reindex([*TREES, ours, mean])
        counts = n_parts.reindex(means.index, fill_value=0).to_numpy()
        whole = counts == n_parts.max()
        notes = ["" if n in (0, n_parts.max()) else f" ({n} of {n_parts.max()} parts)" for n in counts]
        top, loss = means.to_numpy().T
        told, losses_told = ([_number(x) + note for x, note in zip(xs, notes, strict=True)] for xs in (top, loss))
        if told[-2]:
            told[-2] += f", {ours.rpartition(', ')[2] if ours.endswith('networks') else 'one network'}"
        later = part[(part["model"] == ours) & (part["seed"] > 0)]["top-1"].mean()
        told.insert(-1, _number(later) if split == "formula" else "")
        reached = (top >= wanted) & whole
        lines.append(f"| {split} | {given} | {wanted:.2f} | {' | '.join(told)} | {_met(reached)} |")
        below = (loss < np.nanmin(loss[:-2])) & whole
        verdict = _met(below) if ours in n_parts.index else ""
        losses.append(f"| {split} | {given} | {' | '.join(losses_told)} | {verdict} |")
    yield from lines + losses


def _n_parts(rows: pd.DataFrame) -> int:
    return len(rows[["seed", "fold"]].drop_duplicates())


def _met(reached: NDArray[np.bool_]) -> str:
    """Say who reached a goal: any trees, the networks alone, or their mean with trees."""
    *trees, alone, mean = reached.tolist()
    names = {"trees": any(trees), "networks": alone, "networks with trees": mean}
    return ", ".join(name for name, each in names.items() if each) or "no"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


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
        for model in ("frequencies", *TREES, *_networks(part)):
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
        for model in ("trees", *_networks(part)[:-1]):
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
