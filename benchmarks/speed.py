"""How fast: corpora, training and pooling, with ElementEmbeddings beside the pooling in the same run.

    pip install . ElementEmbeddings
    python benchmarks/speed.py --write benchmarks/speed.md

Without ElementEmbeddings its rows are left out. `--structures FILE.jsonl.gz` takes crystals of your own in place of the
prototypes. Figures are CPU time of one process, the median of several repeats, so that they hold on a shared machine.

Pooling takes formulas that no call has seen before, in every repeat. "First call" makes a featurizer and pools them,
"again" does both once more. ElementEmbeddings gets the same vectors, as an Embedding object made beforehand, and its
progress bars are not shown. Given the name of an embedding instead, it reads the file anew for every formula.
"""

import argparse
import contextlib
import io
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import matembed as me
from matembed.cards import package_versions
from matembed.corpus.plain_formulas import SYMBOLS
from matembed.downstream.benchmark import random_table
from matembed.downstream.materials import read_bags
from matembed.downstream.pooling import Statistic
from matembed.sources import read_structures

N_FORMULAS = 2_000
DIM = 200
N_EPOCHS = 5  # of the transformer
N_BATCHES = 10  # of formulas to pool; the first warms up
POOLINGS: dict[str, tuple[Statistic, ...]] = {
    "mean": ("mean",),
    "six statistics": ("mean", "std", "min", "max", "range", "sum"),
}
OURS, AGAIN, THEIRS = "matembed, first call", "matembed, again", "ElementEmbeddings"
THEIR_NAMES = {"std": "variance", "min": "minpool", "max": "maxpool"}  # the others are the same


def timed(run: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """CPU time of a call, and what it returned."""
    start = time.process_time()
    result = run(*args)
    return time.process_time() - start, result


def cpu_seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median CPU time of `run`, after one run to warm up."""
    run()
    return statistics.median(timed(run)[0] for _ in range(repeats))


def distinct_formulas(n: int, seed: int = 0) -> list[str]:
    """Formulas like those of a database: two to five elements, small whole numbers."""
    metals = "Li Na K Mg Ca Sr Ba Al Ga In Si Ge Sn Pb Ti Zr V Nb Cr Mn Fe Co Ni Cu Zn Ag La Ce"
    symbols = f"{metals} N P As O S Se F Cl Br I".split()
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


def corpus_of_crystals(source: Any, folder: Path, limit: int) -> list[list[str]]:
    spent = {}
    for engine in ("chemenv", "numba"):
        warm_up = {"compiles": next(iter(source)).to_structure()}
        me.build_corpus(warm_up, folder / f"{engine}-warm", engine=engine, progress=False)
        start = time.process_time()
        corpus = me.build_corpus(source, folder / engine, engine=engine, limit=limit, progress=False)
        spent[engine] = (time.process_time() - start) / limit
    name = f"corpus of {limit:,} crystals (mean {corpus.materials()['n_sites'].mean():.0f} sites), all views"
    return [
        [f"{name}: {engine}", f"{1e3 * each:,.0f} ms a crystal", f"{1 / each:.1f} crystals/s"]
        for engine, each in spent.items()
    ]


def training(folder: Path) -> list[list[str]]:
    corpus = me.Corpus.read(folder / "formulas", view="amounts")
    n_words = sum(len(sentence) for sentence in corpus)
    rows = []
    for name, fit, epochs in (
        (f"Word2Vec(dim={DIM}, window=5)", lambda: me.Word2Vec(dim=DIM, window=5, epochs=5).fit(corpus), 5),
        ("ContextSVD(dim=64)", lambda: me.ContextSVD(dim=64).fit(corpus), 1),
    ):
        seconds = cpu_seconds(fit, repeats=3)
        rate = n_words * epochs / seconds
        rows.append([f"{name}, {n_words:,} words x {epochs}", f"{seconds:.2f} s", f"{rate:,.0f} words/s"])
    return rows


def pooling() -> list[list[str]]:
    """Mean and six statistics, of a list and of a DataFrame."""
    table = random_table(SYMBOLS, DIM, seed=0)
    theirs = their_embedding(table)
    unseen = iter(distinct_formulas(2 * len(POOLINGS) * N_BATCHES * N_FORMULAS))
    rows = []
    for what, pooled in POOLINGS.items():
        for kind in ("list", "DataFrame"):
            batches = [list(islice(unseen, N_FORMULAS)) for _ in range(N_BATCHES)]
            columns = [pd.DataFrame({"formula": batch}) if kind == "DataFrame" else batch for batch in batches]
            spent = pooling_seconds(batches, columns, table, theirs, pooled)
            name = f"{what} of a {kind} of {N_FORMULAS:,} formulas, dim {DIM}"
            rows += [pooling_row(f"{name}: {who}", seconds, spent[OURS]) for who, seconds in spent.items()]
            if theirs is not None and (what, kind) == ("mean", "list"):
                few = batches[0][:50]
                seconds = timed(pool_with_theirs, few, "mat2vec", pooled)[0] * N_FORMULAS / len(few)
                how = f'{THEIRS}, embedding="mat2vec" ({len(few)} formulas, scaled up)'
                rows.append(pooling_row(f"{name}: {how}", seconds, spent[OURS]))
    return rows


def pooling_seconds(
    batches: list[list[str]], columns: list[Any], table: me.EmbeddingTable, theirs: Any, pooled: tuple[Statistic, ...]
) -> dict[str, float]:
    """Median CPU time of a call of each kind, the first batch left out; exits if the numbers differ."""
    spent: dict[str, list[float]] = {OURS: [], AGAIN: [], THEIRS: []}
    for formulas, column in zip(batches, columns, strict=True):
        for who in (OURS, AGAIN):
            seconds, features = timed(pool_with_ours, column, table, pooled)
            spent[who].append(seconds)
        if theirs is not None:
            seconds, other = timed(pool_with_theirs, column, theirs, pooled)
            spent[THEIRS].append(seconds)
            check_equal(formulas, features, other, pooled)
    return {who: statistics.median(seconds[1:]) for who, seconds in spent.items() if seconds}


def pool_with_ours(column: Any, table: me.EmbeddingTable, pooled: tuple[Statistic, ...]) -> NDArray[np.float64]:
    return me.FormulaFeaturizer(table, pooling=pooled).fit_transform(column)


def pool_with_theirs(column: Any, embedding: Any, pooled: tuple[Statistic, ...]) -> Any:
    from elementembeddings.composition import composition_featuriser

    names = [THEIR_NAMES.get(name, name) for name in pooled]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return composition_featuriser(column, embedding=embedding, stats=names)


def their_embedding(table: me.EmbeddingTable) -> Any:
    """Make an object of ElementEmbeddings with the same vectors; None without that package."""
    try:
        from elementembeddings.core import Embedding
    except ImportError:
        return None
    vectors = np.asarray(table.vectors, dtype=float)
    return Embedding(dict(zip(table.tokens, vectors, strict=True)), "random")


def check_equal(formulas: list[str], ours: NDArray[np.float64], theirs: Any, pooled: tuple[Statistic, ...]) -> None:
    """Exit if the features differ. Sums are compared where formula and reduced formula are the same."""
    values = theirs.drop(columns="formula").to_numpy() if isinstance(theirs, pd.DataFrame) else np.array(theirs)
    reduced = read_bags(formulas).n_units == 1
    for column, name in enumerate(pooled):
        one, other = (features[:, column * DIM : (column + 1) * DIM] for features in (ours, values))
        rows = reduced if name == "sum" else slice(None)
        # Both add up the same float64 numbers, in different orders.
        if not np.allclose(one[rows] ** 2 if name == "std" else one[rows], other[rows], rtol=1e-9, atol=1e-9):
            sys.exit(f"ElementEmbeddings pools to another {name}; the times cannot be compared")


def pooling_row(name: str, seconds: float, first_call: float) -> list[str]:
    ratio = f"; {seconds / first_call:,.0f} times as long as matembed's first call" if THEIRS in name else ""
    return [name, f"{1e3 * seconds:,.1f} ms", f"{N_FORMULAS / seconds:,.0f} formulas/s{ratio}"]


def transformer(source: Iterable[Any]) -> list[list[str]]:
    """Train MaskedLM for some epochs, and a BERT of the same size on as many tokens, in batches of the same lengths."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    from matembed.corpus.set_words import WORDS
    from matembed.encoders._masking import Index, batches_of, draw, hide

    torch.set_num_threads(1)
    sets = me.structure_sets([row.to_structure() for row in source])
    model = me.MaskedLM(epochs=N_EPOCHS, batch_tokens=2048)
    index, batches = Index(sets), []
    for epoch in range(N_EPOCHS):
        rng = np.random.default_rng([model.seed, epoch])
        wanted = draw(index, model, rng)
        drawn = batches_of(index.lengths(wanted), model.batch_tokens, rng)
        batches += [1 + np.diff(hide(index, wanted.take(batch)).token_starts) for batch in drawn]
    n_tokens = sum(int(lengths.sum()) for lengths in batches)
    ours, _ = timed(model.fit, sets)

    config = BertConfig(
        vocab_size=len(WORDS.words),
        hidden_size=model.dim,
        num_hidden_layers=model.n_layers,
        num_attention_heads=model.n_heads,
        intermediate_size=model.feed_forward,
    )
    bert = BertForMaskedLM(config).train()
    stepper = torch.optim.AdamW(bert.parameters(), fused=True)

    def train() -> None:
        generator = torch.Generator().manual_seed(0)
        for lengths in batches:
            mask = torch.arange(int(lengths.max())) < torch.from_numpy(lengths)[:, None]
            words = torch.randint(5, len(WORDS.words), mask.shape, generator=generator)
            asked = mask & (torch.rand(mask.shape, generator=generator) < 0.15)
            asked[:, 0] = True
            labels = torch.where(asked, words, -100)
            stepper.zero_grad()
            bert(words, attention_mask=mask.long(), labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(bert.parameters(), 1.0)
            stepper.step()

    theirs, _ = timed(train)
    size = f"dim={model.dim}, n_layers={model.n_layers}"
    what = f"{len(sets)} crystals x {N_EPOCHS}, {n_tokens:,} tokens"
    rate = n_tokens / ours
    return [
        [f"MaskedLM({size}), {what}", f"{ours:.1f} s", f"{rate:,.0f} tokens/s, making and hiding them included"],
        [f"BERT of that size, {what}", f"{theirs:.1f} s", f"{n_tokens / theirs:,.0f} tokens/s; {theirs / ours:.2f} x"],
    ]


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
            *corpus_of_crystals(source, folder, options.limit),
            *training(folder),
            *transformer(me.read_prototypes()),
            *pooling(),
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
