"""How fast: corpora, training and pooling, with ElementEmbeddings beside the pooling in the same run.

    pip install . ElementEmbeddings
    python benchmarks/speed.py --write benchmarks/speed.md

Without ElementEmbeddings its row is left out. `--structures FILE.jsonl.gz` takes crystals of your own in place of the prototypes.
Figures are CPU time of one process, the median of several repeats, so that they hold on a shared machine.
"""

import argparse
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import matembed as me
from matembed.cards import package_versions
from matembed.downstream.benchmark import random_table
from matembed.sources import read_structures

N_FORMULAS = 2_000
DIM = 200


def cpu_seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median CPU time of `run`, after one run to warm up."""
    run()
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def distinct_formulas(n: int, seed: int = 0) -> list[str]:
    """Formulas like those of a database: two to five elements, small whole numbers."""
    symbols = "Li Na K Mg Ca Sr Ba Al Ga In Si Ge Sn Pb Ti Zr V Nb Cr Mn Fe Co Ni Cu Zn Ag La Ce N P As O S Se F Cl Br I".split()
    rng = random.Random(seed)
    formulas: dict[str, None] = {}
    while len(formulas) < n:
        chosen = rng.sample(symbols, rng.randint(2, 5))
        formulas["".join(f"{symbol}{rng.choice(['', '2', '3', '4', '5', '6', '8', '12'])}" for symbol in chosen)] = None
    return list(formulas)


def corpus_of_formulas(formulas: list[str], folder: Path) -> list[str]:
    seconds = cpu_seconds(
        lambda: me.build_corpus(formulas, folder / "formulas", progress=False, overwrite=True), repeats=3
    )
    each = seconds / len(formulas)
    return [
        f"corpus of {len(formulas):,} formulas, all views",
        f"{1e6 * each:,.0f} µs a formula",
        f"{1 / each:,.0f} formulas/s",
    ]


def corpus_of_crystals(source: Any, folder: Path, limit: int) -> list[str]:
    start = time.process_time()
    corpus = me.build_corpus(source, folder / "crystals", limit=limit, progress=False)
    each = (time.process_time() - start) / limit
    n_sites = corpus.materials()["n_sites"].mean()
    return [
        f"corpus of {limit:,} crystals (mean {n_sites:.0f} sites), ChemEnv, all views",
        f"{1e3 * each:,.0f} ms a crystal",
        f"{1 / each:.1f} crystals/s",
    ]


def training(folder: Path) -> list[list[str]]:
    corpus = me.Corpus.read(folder / "formulas", view="amounts")
    n_words = sum(len(sentence) for sentence in corpus)
    rows = []
    for name, fit, epochs in (
        (f"Word2Vec(dim={DIM}, window=5)", lambda: me.Word2Vec(dim=DIM, window=5, epochs=5).fit(corpus), 5),
        ("PPMI(dim=64)", lambda: me.PPMI(dim=64).fit(corpus), 1),
    ):
        seconds = cpu_seconds(fit, repeats=3)
        rate = n_words * epochs / seconds
        rows.append([f"{name}, {n_words:,} words x {epochs}", f"{seconds:.2f} s", f"{rate:,.0f} words/s"])
    return rows


def pooling(formulas: list[str]) -> list[list[str]]:
    symbols = sorted({symbol for formula in formulas for symbol in me.parse_formula(formula).composition.as_dict()})
    table = random_table(symbols, DIM, seed=0)
    ours = me.FormulaFeaturizer(table)
    seconds = cpu_seconds(lambda: ours.fit_transform(formulas), repeats=9)
    name = f"mean pooling of {len(formulas):,} formulas, dim {DIM}"
    rows = [[f"{name}: matembed", f"{1e3 * seconds:.1f} ms", f"{len(formulas) / seconds:,.0f} formulas/s"]]
    try:
        from elementembeddings.composition import composition_featuriser
        from elementembeddings.core import Embedding
    except ImportError:
        return rows
    theirs = Embedding(dict(zip(table.tokens, np.asarray(table.vectors, dtype=float), strict=True)), "random")

    def run() -> Any:
        return composition_featuriser(formulas, embedding=theirs, stats="mean")

    if not np.allclose(np.array(run()), ours.fit_transform(formulas), atol=1e-5):  # float32 against float64
        sys.exit("ElementEmbeddings pools to other numbers; the times cannot be compared")
    other = cpu_seconds(run, repeats=5)
    ratio = f"{len(formulas) / other:,.0f} formulas/s; matembed is {other / seconds:.0f} times faster"
    return [*rows, [f"{name}: ElementEmbeddings", f"{1e3 * other:.0f} ms", ratio]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=Path, help="crystals as JSON lines; the prototypes by default")
    parser.add_argument("--limit", type=int, default=100, help="how many crystals")
    parser.add_argument("--write", type=Path, help="where to write the table as Markdown")
    options = parser.parse_args()
    source = read_structures(options.structures) if options.structures else me.read_prototypes()
    formulas = distinct_formulas(N_FORMULAS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            corpus_of_formulas(formulas, folder),
            corpus_of_crystals(source, folder, options.limit),
            *training(folder),
            *pooling(formulas),
        ]
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    lines = ["| what | CPU time | rate |", "|---|---|---|", *("| " + " | ".join(row) + " |" for row in rows)]
    table = "\n".join([*lines, "", f"{platform.machine()}, {versions}"])
    print(table)
    if options.write:
        command = f"python {' '.join(sys.argv)}"
        options.write.write_text(f"# Speed\n`{command}` printed:\n\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
