"""Does learning by contrast teach a functional how exchange scales? Six strategies, beside LDA, PBE, B88 and SCAN.

``python benchmarks/density_strategies.py --write benchmarks/density_strategies.md`` measures and writes. Every fit is a
row of ``--results`` as soon as it is made, and rows that are there are not made again; half an hour of one core.

Exact exchange of the records that come with the package (`load_records`; ``--records`` names another folder). Each seed
splits them by molecule, 70 % to learn from and 30 % to test, the same for all strategies; a tenth, three tenths or all
of the learning densities have labels, the smaller set within the larger. *Contrastive* and *consistency* also see the
others, without labels. All but *architecture* are one network (`matembed.densities.whole_density`) with one set of
settings, the defaults, which were chosen within the learning densities of seed 0, most of which are tested for other
seeds. *Contrastive* learns by contrast for 300 steps first, and so has more computing than *augment*; *contrastive,
plain* is then tuned by energies at g = 1 alone.

Intervals are 95 % by Student's t over the seeds; test sets of different seeds overlap, so that they are rather too
narrow. Differences are paired: within each seed. Each is judged by itself: of many that are none, one in twenty is told
apart by chance.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from matembed.densities.records import DensityRecord, load_records, read_records
from matembed.densities.strategies import fit

Floats = NDArray[np.float64]
SCALING, INEQUALITY = "exact_exchange", "exchange-correlation"
FRACTIONS = (0.1, 0.3, 1.0)
IN_RANGE, OUT_OF_RANGE = (1 / 3, 1 / 2, 2.0, 3.0), (0.1, 0.2, 5.0, 10.0)
TICKS = ("0.1", "0.2", "1/3  ", "  1/2", "2", "3", "5", "10")
REFERENCES = ("LDA", "PBE", "B88", "SCAN")
STRATEGIES: dict[str, dict[str, Any]] = {
    "none": {"strategy": "none"},
    "augment": {"strategy": "augment"},
    "contrastive": {"strategy": "contrastive"},
    "consistency": {"strategy": "consistency"},
    "canonical": {"strategy": "canonical"},
    "architecture": {"strategy": "architecture"},
    "contrastive, plain": {"strategy": "contrastive", "fine_tuning": "plain"},
}
CASES = ((INEQUALITY, 0.1), (INEQUALITY, 1.0), ("correlation", 0.1))
OF_INEQUALITY = ("none", "contrastive, plain", "consistency")
FEW_LABELS = 4  # times as many seeds for the inequality from few labels, which differ much
KEYS = ["target", "strategy", "labels", "seed"]


class Run(NamedTuple):
    """One fit."""

    target: str
    strategy: str
    labels: float
    seed: int


def runs(n_seeds: int) -> Iterator[Run]:
    """List all fits, seed by seed."""
    for seed in range(n_seeds):
        for labels in FRACTIONS:
            for strategy in STRATEGIES:
                yield Run(SCALING, strategy, labels, seed)
        for strategy in OF_INEQUALITY:
            yield Run(INEQUALITY, strategy, 1.0, seed)
    for seed in range(FEW_LABELS * n_seeds):
        for target in (INEQUALITY, "correlation"):
            for strategy in OF_INEQUALITY:
                yield Run(target, strategy, 0.1, seed)


# Measurements --------------------------------------------------------------------------------------------------------


def energy(record: DensityRecord, target: str) -> float:
    parts = ("exact_exchange", "correlation") if target == INEQUALITY else (target,)
    return sum(record.energies[part] for part in parts)


def usable(records: Sequence[DensityRecord], target: str) -> list[DensityRecord]:
    """Leave out what has no correlation energy, and hydrogen where that is 0."""
    known = [one for one in records if target == SCALING or "correlation" in one.energies]
    return [one for one in known if energy(one, target) < 0]


def split(records: Sequence[DensityRecord], seed: int) -> tuple[list[DensityRecord], list[DensityRecord]]:
    """Split by molecule: to learn from, in the order that labels are given, and to test."""
    order = [records[one] for one in np.random.default_rng(seed).permutation(len(records))]
    n_training = round(0.7 * len(order))
    return order[:n_training], order[n_training:]


def measure(records: Sequence[DensityRecord], run: Run) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Fit, and return errors in mHa, violations by g, and training curves."""
    training, test = split(usable(records, run.target), run.seed)
    n_labelled = max(2, round(run.labels * len(training)))
    options = STRATEGIES[run.strategy]
    unlabelled = training[n_labelled:] if options["strategy"] in ("contrastive", "consistency") else []
    start = time.process_time()
    model = fit(training[:n_labelled], target=run.target, unlabelled=unlabelled, seed=run.seed, **options)
    seconds = time.process_time() - start
    errors = [
        1000 * np.abs(model.predict(some) - [energy(one, run.target) for one in some]).mean()
        for some in (test, training[:n_labelled])
    ]
    row = {"n_labelled": n_labelled, "n_test": len(test), "error": errors[0], "training_error": errors[1]}
    factors = sorted((*IN_RANGE, *OUT_OF_RANGE))
    violations = model.violations(test, factors)
    row |= {f"by {g:.3g}": value for g, value in zip(factors, violations.mean(axis=0), strict=True)}
    row |= {f"share {g:.3g}": value for g, value in zip(factors, (violations > 0).mean(axis=0), strict=True)}
    return row | {"seconds": seconds}, {name: curve.tolist() for name, curve in model.history_.items()}


def all_rows(records: Sequence[DensityRecord], folder: Path, n_seeds: int) -> pd.DataFrame:
    """Make the measurements that are lacking."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.csv"
    known = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=KEYS)
    done = set(known[KEYS].itertuples(index=False, name=None))
    for run in runs(n_seeds):
        if tuple(run) not in done:
            row, curves = measure(records, run)
            known = pd.concat([known, pd.DataFrame([run._asdict() | row])], ignore_index=True)
            known.to_csv(path, index=False)
            if run.seed == 0:
                (folder / f"{run.target} {run.strategy} {run.labels}.json").write_text(json.dumps(curves))
            print(*run, f"{row['error']:.1f} mHa, {row['seconds']:.1f} s", flush=True)
    return known


# The page ------------------------------------------------------------------------------------------------------------


def summaries(rows: pd.DataFrame) -> pd.DataFrame:
    """Average violations over factors in and out of range."""
    found = rows.copy()
    for kind in ("by", "share"):
        for place, factors in (("in", IN_RANGE), ("out", OUT_OF_RANGE)):
            found[f"{kind}_{place}"] = 100 * rows[[f"{kind} {g:.3g}" for g in factors]].mean(axis=1)
    return found


def interval(values: Sequence[float] | Floats) -> tuple[float, float]:
    """Tell mean and half width of the 95 % interval."""
    given = np.asarray(values, dtype=np.float64)
    return float(given.mean()), float(stats.t.ppf(0.975, len(given) - 1) * stats.sem(given)) if len(given) > 1 else 0.0


def _cell(values: Sequence[float] | Floats, digits: int = 1) -> str:
    mean, half = interval(values)
    if 0 < abs(mean) < 1e-6:
        return f"{mean:.0e}"
    return f"{mean:.{digits}f} ± {half:.{digits}f}".replace("-", "−")


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _by_labels(rows: pd.DataFrame, column: str, names: Sequence[str], digits: int = 1) -> list[list[str]]:
    found = {key: one[column].to_numpy() for key, one in rows.groupby(["strategy", "labels"])}
    fractions = sorted(rows["labels"].unique())
    return [[name, *(_cell(found[name, labels], digits) for labels in fractions)] for name in names]


def differences(rows: pd.DataFrame, column: str, one: str, other: str, labels: float) -> Floats:
    """Subtract, seed by seed."""
    table = rows[rows["labels"] == labels].pivot_table(index="seed", columns="strategy", values=column)
    return (table[one] - table[other]).to_numpy()


def _verdict(values: Floats) -> str:
    mean, half = interval(values)
    return "not told apart" if abs(mean) <= half else "lower" if mean < 0 else "higher"


def _references(records: Sequence[DensityRecord], n_seeds: int) -> str:
    tests = [split(usable(records, SCALING), seed)[1] for seed in range(n_seeds)]
    found = []
    for name in REFERENCES:
        missed = [[one.energies[f"{name} exchange"] - one.energies[SCALING] for one in test] for test in tests]
        found.append(f"{name} {_cell([1000 * np.abs(one).mean() for one in missed])}")
    return f"Functionals that were not fitted to these energies, on the same molecules, mHa: {', '.join(found)}."


READING = """
- Contrastive learning wins over a network that never met scaled densities, and over nothing else here. It brings the
  violation of scaling from 6 to 11 % down to 0.2 to 0.4 %, but so do the energies of scaled copies alone (*augment*):
  with any number of labels neither its errors nor its violations in range are told apart from theirs, and out of range
  it is no better (with all labels 1.8 against 1.2 %). Tuned by energies at g = 1 alone, as *contrastive, plain*, it
  violates scaling by 10 to 17 %, not less than *none*. So it is the labels of scaled copies that teach.
- Where labels are few, which is what pretraining is for, it does not help: 118 mHa with 12 labels, *augment* 88 and
  *none* 75. Pretraining of 1,000 steps in place of 300 had a lower contrastive loss and larger errors (on learning
  densities of seed 0).
- *Consistency* is the best of what is only learned: the least violation, 0.13 % in range and 0.8 % out of it, at the
  errors of *none*, and no label of a scaled density. Its weight matters: with 10 in place of 1 violations were a
  quarter to a third less and errors twice as large (measured first; 1 was then chosen on learning densities of seed 0).
- Nothing that is only learned holds far out of the range: violations are six to ten times as large there.
- *Canonical* makes any network exact, at no loss of accuracy that can be told. *Architecture* is exact too and has by
  far the smallest errors: with 12 labels 20 mHa, where the best network has 35 with 116.
- The inequality: with few labels the penalty does what it is for. Pairs that violate fall from 11.7 to 0.1 % for E_xc
  and from 3.1 to 0.1 % for E_c, out of range from 16.2 to 0.0 % and from 10.7 to 0.2 %, with no change of the error
  that can be told. With 72 labels no network violates in range, and there is nothing to help. Contrast does the same
  for E_c; for E_xc its violations are not told apart from those of *none*, and its errors are twice as large.
- Limits: a network of 20,629 weights that sees points, 166 light molecules and atoms, and few seeds. It is the method
  of the paper (Gong et al., Digital Discovery 2, 1404 (2023)), not its convolutions on 10,000 molecules.
""".strip()


def page(rows: pd.DataFrame, records: Sequence[DensityRecord]) -> str:
    """Write the page."""
    rows = summaries(rows)
    scaling, inequality = rows[rows["target"] == SCALING], rows[rows["target"] != SCALING]
    n_seeds = scaling["seed"].nunique()
    labelled = [int(n) for n in sorted(scaling["n_labelled"].unique())]
    shares = [f"{n} labels" for n in labelled]
    compared = [
        (one, other)
        for one, other in (
            ("contrastive", "none"),
            ("contrastive", "augment"),
            ("contrastive", "consistency"),
            ("consistency", "none"),
            ("consistency", "augment"),
            ("canonical", "none"),
            ("architecture", "canonical"),
        )
    ]
    paired = [
        [
            f"{one} − {other}",
            *(
                f"{_cell(values)}, {_verdict(values)}"
                for labels in FRACTIONS
                for values in [differences(scaling, "error", one, other, labels)]
            ),
        ]
        for one, other in compared
    ]
    paired_scaling = [
        [
            f"{one} − {other}",
            *(
                f"{_cell(values, 2)}, {_verdict(values)}"
                for column in ("by_in", "by_out")
                for labels in FRACTIONS
                for values in [differences(scaling, column, one, other, labels)]
            ),
        ]
        for one, other in compared[:5]
    ]
    seconds = scaling.groupby("strategy")["seconds"].mean()
    doc = str(__doc__).split("\n\n")
    parts = [
        "# How may a functional learn that exchange scales?",
        *(" ".join(one.split()).replace("``", "`") for one in doc[1:]),
        f"{n_seeds} seeds, {len(usable(records, SCALING))} molecules and atoms.",
        "## Errors of exact exchange at g = 1",
        "Mean absolute error of molecules that were not learned from, mHa.",
        _table(["strategy", *shares], _by_labels(scaling, "error", list(STRATEGIES))),
        _references(records, n_seeds),
        "Paired differences, mHa.",
        _table(["what less what", *shares], paired),
        "## Violation of scaling",
        "Mean of |E[n_g] − g E[n]| / |g E[n]| over the same molecules, %; in the range of the factors that were "
        "learned from (g = 1/3, 1/2, 2, 3), and out of it (0.1, 0.2, 5, 10).",
        _table(
            ["strategy", *(f"in, {one}" for one in shares), *(f"out, {one}" for one in shares)],
            [
                inside + outside[1:]
                for inside, outside in zip(
                    _by_labels(scaling, "by_in", list(STRATEGIES), 2),
                    _by_labels(scaling, "by_out", list(STRATEGIES), 2),
                    strict=True,
                )
            ],
        ),
        "Paired differences, percentage points.",
        _table(
            ["what less what", *(f"in, {one}" for one in shares), *(f"out, {one}" for one in shares)], paired_scaling
        ),
        "![Training curves, errors and violations](figures/density-strategies.png)",
        "Seconds of one core for a fit: "
        + ", ".join(f"{name} {seconds[name]:.1f}" for name in STRATEGIES)
        + "; means over labels and seeds.",
        *_inequality_parts(inequality),
        "## Reading",
        READING,
    ]
    return "\n\n".join(parts) + "\n"


def _inequality_parts(rows: pd.DataFrame) -> list[str]:
    cases = [(case, rows[(rows["target"] == case[0]) & (rows["labels"] == case[1])]) for case in CASES]
    header = [
        f"{'E_xc' if target == INEQUALITY else 'E_c'}, {int(case['n_labelled'].min())} labels, "
        f"{case['seed'].nunique()} seeds"
        for (target, _), case in cases
    ]
    columns = {
        "error": ("mean absolute error at g = 1, mHa", 1),
        "share_in": ("pairs that violate, in range, %", 1),
        "share_out": ("pairs that violate, out of range, %", 1),
        "by_in": ("mean violation, in range, %", 3),
        "by_out": ("mean violation, out of range, %", 3),
    }
    lines = [
        [title, name, *(_cell(case.loc[case["strategy"] == name, column], digits) for _, case in cases)]
        for column, (title, digits) in columns.items()
        for name in OF_INEQUALITY
    ]
    paired = [
        [
            title,
            f"{name} − none",
            *(
                f"{_cell(values, digits)}, {_verdict(values)}"
                for (_, labels), case in cases
                for values in [differences(case, column, name, "none", labels)]
            ),
        ]
        for column, (title, digits) in columns.items()
        for name in OF_INEQUALITY[1:]
    ]
    return [
        "## A law without a form: the inequality of correlation",
        "E_c[n_g] ≥ g E_c[n] for g > 1, and ≤ for g < 1; E_xc obeys the same, as E_x is g times as large. For a "
        "network that sees the whole density no form is known which gives this. Learned from are exact exchange "
        "and correlation of CCSD(T), at g = 1 alone; *consistency* adds a penalty where the inequality is "
        "violated, for g in (1/3, 3), on learning densities without labels. CCSD(T) correlation in this basis is "
        "less than all, and not quite the E_c of density functional theory, which the inequality is of. A pair is "
        "one of a new molecule and a factor; violations are relative to |g E[n]|, and 0 where there is none.",
        _table(["what", "strategy", *header], lines),
        "Paired differences.",
        _table(["what", "what less what", *header], paired),
        "![Share of violations by factor](figures/density-inequality.png)",
    ]


def scaling_figure(rows: pd.DataFrame, folder: Path, path: Path) -> None:
    """Draw training curves, errors by the number of labels, and violations by the factor."""
    from matplotlib.figure import Figure

    rows = rows[rows["target"] == SCALING]
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    curves, errors, violations = figure.subplots(1, 3)
    factors = sorted((*IN_RANGE, *OUT_OF_RANGE))
    for place, name in enumerate(STRATEGIES):
        color, own = f"C{place}", rows[rows["strategy"] == name]
        history = json.loads((folder / f"{SCALING} {name} 1.0.json").read_text())
        if "error" in history:
            smooth = np.convolve(np.square(history["error"]), np.ones(15) / 15, mode="valid") ** 0.5
            curves.plot(np.arange(len(smooth)) + 8, 100 * smooth, color=color, lw=1.2)
        found = [interval(one["error"]) for _, one in own.groupby("n_labelled")]
        shift = 1.03 ** (place - 3)
        x = shift * np.array(sorted(own["n_labelled"].unique()))
        errors.errorbar(x, *np.array(found).T, color=color, marker="o", ms=4, lw=1.2, capsize=2, label=name)
        if name not in ("canonical", "architecture"):
            least = own[own["labels"] == FRACTIONS[0]]
            violations.plot(
                factors, [100 * least[f"by {g:.3g}"].mean() for g in factors], color=color, marker="o", ms=4, lw=1.2
            )
    curves.set(
        xlabel="step", ylabel="relative error of the batch, %", yscale="log", title="learning, all labels, one seed"
    )
    errors.set(
        xscale="log", yscale="log", xlabel="labelled molecules", ylabel="error at g = 1, mHa", title="new molecules"
    )
    counts = sorted(rows["n_labelled"].unique())
    errors.set_yticks([10, 20, 50, 100, 200], ["10", "20", "50", "100", "200"])
    errors.set_xticks(counts, [f"{int(one)}" for one in counts])
    errors.minorticks_off()
    violations.axvspan(min(IN_RANGE), max(IN_RANGE), color="0.92", lw=0)
    violations.set(
        xscale="log",
        yscale="log",
        xlabel="scaled by g",
        ylabel="violation, %",
        title=f"scaling, {int(counts[0])} labels; gray: learned from",
    )
    violations.set_xticks(factors, TICKS)
    violations.minorticks_off()
    figure.legend(*errors.get_legend_handles_labels(), loc="outside lower center", ncols=len(STRATEGIES), frameon=False)
    figure.savefig(path, dpi=110)


def inequality_figure(rows: pd.DataFrame, path: Path) -> None:
    """Draw how many pairs of molecule and factor violate the inequality."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    factors = sorted((*IN_RANGE, *OUT_OF_RANGE))
    for axis, (target, labels) in zip(axes, CASES, strict=True):
        part = rows[(rows["target"] == target) & (rows["labels"] == labels)]
        for place, name in enumerate(OF_INEQUALITY):
            own = part[part["strategy"] == name]
            found = np.array([interval(100 * own[f"share {g:.3g}"]) for g in factors]).T
            x = np.array(factors) * 1.04 ** (place - 1)
            axis.errorbar(x, *found, marker="o", ms=4, lw=1.2, capsize=2, label=name)
        axis.axvspan(min(IN_RANGE), max(IN_RANGE), color="0.92", lw=0)
        axis.set(xscale="log", xlabel="scaled by g", title=f"{target}, {int(part['n_labelled'].min())} labels")
        axis.set_xticks(factors, TICKS)
        axis.minorticks_off()
    axes[0].set(ylabel="molecules that violate, %", ylim=(-3, 103))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure what is lacking, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="a folder of write_records; by default those of the package")
    parser.add_argument("--results", type=Path, default=Path("density-strategies-results"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    records = list((read_records(options.records) if options.records else load_records()).values())
    rows = all_rows(records, options.results, options.seeds)
    if options.write:
        figures = options.write.parent / "figures"
        scaling_figure(rows, options.results, figures / "density-strategies.png")
        inequality_figure(rows, figures / "density-inequality.png")
        options.write.write_text(page(rows, records))


if __name__ == "__main__":
    main()
