"""How far does it go: corpora on a Dask cluster, training on more sentences than fit in memory, and a plan on paper.

    python benchmarks/scale.py cluster DATA/mp_oxides-00.jsonl.gz --results scale.csv
    python benchmarks/scale.py training --sentences 1e6 5e6 50e6 --results scale.csv
    python benchmarks/scale.py building --sentences 1e6 5e6 --results scale.csv
    python benchmarks/scale.py page --results scale.csv --write benchmarks/scale.md

Each measurement runs in a process of its own and becomes a line of the results; what is there is not measured again.
CPU time is that of all processes; memory is the most that one of them had resident. Training and building may have 4 GB
of data each (RLIMIT_DATA of the system), so that what needs more ends in a MemoryError. Work files go below `--folder`:
16 bytes a sentence to train, some 300 more to build.

Formulas are charge-balanced: three cations in common oxidation states and an anion, one to five of each cation. One
stoichiometry after the other is filled with all of them, as substitution campaigns do, in an order that the seed
decides. All are distinct, and each makes four sentences of the view "environments".
"""

import argparse
import csv
import hashlib
import importlib
import itertools
import json
import math
import os
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import matembed as me
from matembed._atomic import sha256_of, whole_file
from matembed.corpus._motif_recipe import MotifRecipe, merge_motifs
from matembed.corpus._resumable import _shards
from matembed.corpus._sentences import SentenceRecipe, merge_sentences
from matembed.corpus._shards import read_summary, run_shard
from matembed.corpus.contexts import FORMULA_VIEWS
from matembed.corpus.formulas import ELECTRONEGATIVITIES
from matembed.corpus.walks import MOTIF_VIEWS
from matembed.sources import read_rows
from matembed.sources.rows import FormulaRow, Rows

CATIONS = {
    1: "Li Na K Rb Cs Ag Tl",
    2: "Be Mg Ca Sr Ba Mn Fe Co Ni Cu Zn Cd Pb Eu",
    3: "Al Sc V Cr Ga Y Rh In Sb La Ce Pr Nd Sm Gd Tb Dy Ho Er Yb Lu Bi",
    4: "Ti Zr Hf Si Ge Sn Th U",
    5: "Nb Ta P",
    6: "Mo W",
}
ANIONS = {"O": 2, "S": 2, "Se": 2, "Te": 2, "F": 1, "Cl": 1, "Br": 1, "I": 1, "N": 3}
PER_FORMULA = 4  # sentences
MOST_OF_A_CATION, MOST_ATOMS = 5, 40
MEMORY = 4 << 30  # bytes
MIN_COUNT = 10
FIELDS = ("step", "size", "way", "wall_s", "cpu_s", "rss_mb", "found")
KINDS = {"formulas": "corpus of formulas", "sentences": "corpus of crystals", "motifs": "motif tables"}
TRAINING = ("Word2Vec", "ContextSVD", "ContextSVD, every token", "count_formula_contexts")
T = TypeVar("T")
FINDING = {"engine": "numba", "strategy": "simplest", "search": "fast", "valences": None, "time_limit": 300.0}
SENTENCES = {"mixtures": "likeliest", "oxidation": False, "n_walks": 2, "walk_length": 8, "seed": 0, **FINDING}
RECIPES: dict[str, Any] = {  # the defaults of the builds
    "formulas": SentenceRecipe(kind="formulas", motif_views=(), formula_views=FORMULA_VIEWS, **SENTENCES),
    "sentences": SentenceRecipe(kind="structures", motif_views=MOTIF_VIEWS, formula_views=FORMULA_VIEWS, **SENTENCES),
    "motifs": MotifRecipe(symmetrise=False, **FINDING),
}
PLANNED = (5_000_000, 100_000_000)  # crystals
TITLE = """# Scale
`python benchmarks/scale.py cluster DATA/mp_oxides-00.jsonl.gz`, then `training`, `building` and `page`, printed:"""
PROSE = "## What follows from it"
WAYS = ("processes", "dask", "dask, a worker killed")


def compounds(seed: int = 0) -> Iterator[dict[str, int]]:
    """Charge-balanced quaternaries, amounts by symbol, none twice: one stoichiometry after the other is filled."""
    charges = {symbol: charge for charge, symbols in CATIONS.items() for symbol in symbols.split()}
    triples = list(itertools.combinations(charges, 3))
    some = range(1, MOST_OF_A_CATION + 1)
    stoichiometries = list(itertools.product(ANIONS, some, some, some))
    random.Random(seed).shuffle(stoichiometries)
    for anion, *amounts in stoichiometries:
        for cations in triples:
            charge = sum(n * charges[one] for n, one in zip(amounts, cations, strict=True))
            n_anions, left = divmod(charge, ANIONS[anion])
            if not left and sum(amounts) + n_anions <= MOST_ATOMS and math.gcd(*amounts, n_anions) == 1:
                yield dict(zip((*cations, anion), (*amounts, n_anions), strict=True))


def formulas(n: int) -> Iterator[str]:
    """Formulas of the first compounds."""
    for amounts in itertools.islice(compounds(), n):
        yield "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in amounts.items())


def sentence_lines(n: int) -> Iterator[str]:
    """Write what the view "environments" makes of these formulas without reading them; building compares the two."""
    for amounts in itertools.islice(compounds(), n):
        parts = {symbol: f"{symbol}{count if count > 1 else ''}" for symbol, count in amounts.items()}
        names = sorted(parts)
        yield "".join(
            f"{symbol} ({amounts[symbol]}){''.join(parts[other] for other in names if other != symbol)}\n"
            for symbol in sorted(amounts, key=lambda symbol: (ELECTRONEGATIVITIES[symbol], symbol))
        )


class Sentences:
    """Sentences of a file, read again for every pass."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[list[str]]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield line.split()


# Measurements, each in a process of its own --------------------------------------------------------------------------


def build(kind: str, n: int, way: str, structures: Path, folder: Path) -> dict[str, Any]:
    """Build from crystals with two workers; with a kill, one worker gets SIGKILL when half of the shards are there."""
    out = folder / f"{kind}-{n}"
    options: dict[str, Any] = {"limit": n, "workers": 2, "scheduler": way.partition(",")[0], "progress": False}
    options |= {"overwrite": True}
    killed: list[int] = []
    if way.endswith("killed"):
        threading.Thread(target=kill_half_way, args=(out.with_name(f"{out.name}.partial"), n, killed)).start()
    if kind == "motifs":
        card = me.build_motif_tables(structures, out, **options).card
    else:
        rows = "formulas" if kind == "formulas" else "structures"
        card = me.build_corpus(structures, out, kind=rows, **options).card
    files = {path.relative_to(out).as_posix(): path for path in sorted(out.rglob("*")) if path.is_file()}
    digest = hashlib.sha256("".join(f"{name} {sha256_of(path)}\n" for name, path in files.items()).encode())
    found = {name: path.stat().st_size for name, path in files.items()}
    shutil.rmtree(out)
    return {"sha256": digest.hexdigest(), "kept": card.counts["kept"], "killed": len(killed), "bytes": found}


def kill_half_way(work: Path, n: int, killed: list[int]) -> None:
    """Wait for half of the shards, of as many rows as the first build has in each, and kill the busiest process."""
    import psutil

    rows_per_shard = 5000 if work.name.startswith("formulas") else 250
    while len(list(work.glob("shard-*.zip"))) < n / rows_per_shard / 2:
        time.sleep(0.02)
    children = psutil.Process().children(recursive=True)
    busiest = max(children, key=lambda child: child.cpu_times().user)
    os.kill(busiest.pid, signal.SIGKILL)
    killed.append(busiest.pid)


def hand_out(n: int, structures: Path) -> dict[str, Any]:
    """Do what one process does for all workers: read rows, compare ids, hash, pickle; CPU time in µs a row."""
    spent: dict[str, float] = {}
    rows = timed(spent, "read", lambda: list(read_rows(structures, limit=n)))
    shards = timed(spent, "hash", lambda: list(_shards(rows, RECIPES["motifs"])))
    pickled = timed(spent, "pickle", lambda: [len(pickle.dumps(shard)) for shard in shards])
    sizes = {"pickled": sum(pickled) / n, "input": structures.stat().st_size / (read_rows(structures).n_rows or n)}
    return {
        "us": {name: round(1e6 * seconds / n, 1) for name, seconds in spent.items()},
        "bytes": {name: round(size, 1) for name, size in sizes.items()},
    }


def stages(n: int, kind: str, structures: Path, folder: Path) -> dict[str, Any]:
    """Do in one process what workers do, and what is done once they are done; CPU time in µs a row, bytes a row."""
    work, out = folder / f"stages-{kind}", folder / f"stages-{kind}-out"
    for path in (work, out):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    recipe = RECIPES[kind]
    recipe.prepare()
    importlib.import_module("pyarrow.parquet")
    rows = "formulas" if kind == "formulas" else "structures"
    shards = list(_shards(read_rows(structures, kind=rows, limit=n), recipe))
    spent: dict[str, float] = {}
    summaries = timed(spent, "work", lambda: {shard.path(work): run_shard(shard, recipe, work) for shard in shards})
    timed(spent, "check", lambda: [read_summary(path) for path in summaries])
    if isinstance(recipe, MotifRecipe):
        counts = timed(spent, "merge", lambda: merge_motifs(summaries, out, recipe, 1))
    else:
        counts = timed(spent, "merge", lambda: merge_sentences(summaries, out, recipe))
    timed(spent, "sha256", lambda: [sha256_of(path) for path in out.rglob("*") if path.is_file()])
    sizes = {path.relative_to(out).as_posix(): path.stat().st_size / n for path in out.rglob("*") if path.is_file()}
    sizes["shards"] = sum(path.stat().st_size for path in summaries) / n
    for path in (work, out):
        shutil.rmtree(path)
    return {
        "us": {name: round(1e6 * seconds / n, 1) for name, seconds in spent.items()},
        "bytes": {name: round(size, 1) for name, size in sizes.items()},
        "counts": {name: round(count / n, 2) for name, count in counts.items()},
    }


def timed(spent: dict[str, float], name: str, run: Callable[[], T]) -> T:
    """Run, and add the CPU seconds it took."""
    start = time.process_time()
    result = run()
    spent[name] = time.process_time() - start
    return result


def train(n: int, way: str, folder: Path) -> dict[str, Any]:
    """Learn 64 numbers a token from a file of sentences, or count the contexts of formulas."""
    limit_memory()
    if way == "count_formula_contexts":
        (counts,) = me.count_formula_contexts(formulas(n // PER_FORMULA)).values()
        return {"tokens": len(counts.tokens), "contexts": len(counts.contexts), "pairs": counts.counts.nnz}
    path = folder / f"sentences-{n}.txt"
    encoders = {
        "Word2Vec": me.Word2Vec(dim=64, epochs=1, min_count=MIN_COUNT),
        "ContextSVD": me.ContextSVD(dim=64, min_count=MIN_COUNT),
        "ContextSVD, every token": me.ContextSVD(dim=64, min_count=1),
    }
    table = encoders[way].fit(Sentences(path)).embeddings()
    return {**table.card.counts, "bytes": path.stat().st_size, "like Ca": [one.token for one in table.nearest("Ca", 4)]}


def build_formulas(n: int, folder: Path) -> dict[str, Any]:
    """Build a corpus of formulas in this process."""
    limit_memory()
    n_formulas = n // PER_FORMULA
    rows = Rows(
        "formulas",
        "compounds",
        n_formulas,
        lambda: (FormulaRow(row, f"c{row}", text) for row, text in enumerate(formulas(n_formulas), start=1)),
    )
    out = folder / f"corpus-{n}"
    corpus = me.build_corpus(rows, out, views=["environments"], progress=False, overwrite=True)
    wanted = hashlib.sha256()
    for lines in sentence_lines(n_formulas):
        wanted.update(lines.encode())
    found = {"same sentences": corpus.card.sha256["sentences/environments.txt"] == wanted.hexdigest()}
    found |= {path.name: path.stat().st_size for path in sorted(out.rglob("*")) if path.is_file()}
    shutil.rmtree(out)
    return found


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


# Results -------------------------------------------------------------------------------------------------------------


def measured(options: argparse.Namespace, step: str, size: int, way: str) -> None:
    """Run one measurement in a process of its own and write it down, unless that was done."""
    rows = read_results(options.results)
    if any((row["step"], int(row["size"]), row["way"]) == (step, size, way) for row in rows):
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    answer = options.folder / "answer.json"
    answer.unlink(missing_ok=True)
    structures = [str(options.structures)] if options.command == "cluster" else []
    command = [sys.executable, __file__, "one", step, str(size), way, str(options.folder), *structures]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    found = json.loads(answer.read_text()) if answer.is_file() else {"failed": os.waitstatus_to_exitcode(status)}
    row = {
        "step": step,
        "size": size,
        "way": way,
        "wall_s": f"{wall:.1f}",
        "cpu_s": f"{used.ru_utime + used.ru_stime:.1f}",
        "rss_mb": round(used.ru_maxrss / 1024),
        "found": json.dumps(found),
    }
    print(row, flush=True)
    new = not options.results.exists()
    with options.results.open("a", newline="", encoding="utf-8") as file:
        lines = csv.DictWriter(file, FIELDS)
        if new:
            lines.writeheader()
        lines.writerow(row)


def read_results(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row | {"found": json.loads(row["found"])} for row in csv.DictReader(file)]


def one(options: argparse.Namespace) -> None:
    """Take one measurement and leave what was found in a file."""
    step, size, way, folder = options.step, options.size, options.way, options.folder
    if step == "train":
        found = train(size, way, folder)
    elif step == "build":
        found = build_formulas(size, folder)
    elif step == "hand out":
        found = hand_out(size, options.structures)
    elif step == "stages":
        found = stages(size, way, options.structures, folder)
    else:
        found = build(step, size, way, options.structures, folder)
    (folder / "answer.json").write_text(json.dumps(found), encoding="utf-8")


def cluster(options: argparse.Namespace) -> None:
    measured(options, "hand out", options.limit, "")
    for kind in options.kinds:
        measured(options, "stages", max(1000, options.limit // 10), kind)
        for way in WAYS:
            measured(options, kind, options.limit, way)


def training(options: argparse.Namespace) -> None:
    for size in options.sentences:
        path = options.folder / f"sentences-{size}.txt"
        if not path.is_file():
            with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
                file.writelines(sentence_lines(size // PER_FORMULA))
        for way in options.ways:
            measured(options, "train", size, way)


def building(options: argparse.Namespace) -> None:
    for size in options.sentences:
        measured(options, "build", size, "one process")


def page(options: argparse.Namespace) -> None:
    """Print the tables; what follows them in a file that is there is kept."""
    rows = read_results(options.results)
    text = "\n\n".join([*on_a_cluster(rows), *stage_by_stage(rows), *trained(rows), *on_paper(rows)])
    print(text)
    if options.write:
        old = options.write.read_text(encoding="utf-8") if options.write.exists() else ""
        prose = old[old.find(PROSE) :] if PROSE in old else f"{PROSE}\n"
        options.write.write_text(f"{TITLE}\n\n{text}\n\n{prose}", encoding="utf-8")


def table(head: str, lines: list[list[str]]) -> str:
    names = head.split(" | ")
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, ["---"] * len(names), *lines))


def on_a_cluster(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    digests: dict[tuple[str, str], str] = {}
    for row in rows:
        if row["step"] not in KINDS:
            continue
        size, found = int(row["size"]), row["found"]
        digest = digests.setdefault((row["step"], row["size"]), found["sha256"])
        rate = f"{size / float(row['wall_s']) / 2:,.0f}"
        each = f"{1e3 * float(row['cpu_s']) / size:.2f} ms"
        what, same = KINDS[row["step"]], "yes" if found["sha256"] == digest else "NO"
        told = [f"{found['kept']:,} of {size:,}", str(found["killed"]), same]
        lines.append(
            [what, row["way"], f"{float(row['wall_s']):,.0f} s", f"{float(row['cpu_s']):,.0f} s", each, rate, *told]
        )
    head = (
        "what | way | wall time | CPU time | a row | rows/s a worker | kept | workers killed | bytes of the first way"
    )
    return ["## Two workers, two ways", table(head, lines)] if lines else []


def stage_by_stage(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        if row["step"] in ("hand out", "stages"):
            what = KINDS.get(row["way"], "for all workers, by one process")
            lines += [
                [what, f"{int(row['size']):,}", stage, f"{us:,.0f} µs"] for stage, us in row["found"]["us"].items()
            ]
    head = "what | rows | stage | CPU time a row"
    return ["## Where the time goes", table(head, lines)] if lines else []


def trained(rows: list[dict[str, Any]]) -> list[str]:
    lines, built = [], []
    for row in sorted((row for row in rows if row["step"] in ("train", "build")), key=lambda row: int(row["size"])):
        size, cpu, found = int(row["size"]), float(row["cpu_s"]), row["found"]
        each = [f"{cpu:,.0f} s", f"{cpu / size * 1e6:.1f} s", f"{int(row['rss_mb']):,} MB"]
        if row["step"] == "build":
            n_formulas = size // PER_FORMULA
            stored = sum(value for name, value in found.items() if name != "same sentences") / n_formulas
            same = "yes" if found["same sentences"] else "NO"
            built.append(
                [f"{n_formulas:,}", f"{size:,}", *each, f"{1e6 * cpu / n_formulas:.0f} µs", f"{stored:.0f}", same]
            )
        else:
            vocabulary = found.get("vocabulary") or found.get("tokens", 0) + found.get("contexts", 0)
            vectors = f"{found.get('vectors', '')}" if "failed" not in found else "out of memory"
            lines.append([f"{size:,}", row["way"], f"{vocabulary:,}", vectors, *each])
    head = "sentences | what | tokens it knows | vectors | CPU time | a million sentences | memory"
    parts = ["## Training from disk", table(head, lines)] if lines else []
    head = (
        "formulas | sentences | CPU time | a million sentences | memory | a formula | bytes a formula | same sentences"
    )
    return [*parts, "## Building from formulas", table(head, built)] if built else parts


def on_paper(rows: list[dict[str, Any]]) -> list[str]:
    """Multiply what was measured a row, which is all that this table does."""
    by_kind = {row["way"]: row["found"] for row in rows if row["step"] == "stages"}
    handed = next((row["found"] for row in rows if row["step"] == "hand out"), None)
    passes = [row for row in rows if row["step"] == "train" and row["way"] == "Word2Vec" and "tokens" in row["found"]]
    if handed is None or not {"motifs", "sentences"} <= by_kind.keys() or not passes:
        return []
    motifs, sentences = by_kind["motifs"], by_kind["sentences"]
    largest = max(passes, key=lambda row: int(row["size"]))
    per_token = float(largest["cpu_s"]) / largest["found"]["tokens"]
    views = sum(size for name, size in sentences["bytes"].items() if name.startswith("sentences/"))
    tables = sum(size for name, size in motifs["bytes"].items() if name != "shards")
    parent = sum(handed["us"].values())
    quantities = [
        ("input, JSON lines, gzip", handed["bytes"]["input"], "GB"),
        ("finished shards of motif tables, kept until merged", motifs["bytes"]["shards"], "GB"),
        ("motif tables", tables, "GB"),
        ("finished shards of a corpus, kept until merged", sentences["bytes"]["shards"], "GB"),
        ("sentences, all views", views, "GB"),
        ("motif graphs", sentences["bytes"]["motif_graphs.jsonl.gz"], "GB"),
        ("ids in memory", 16.0, "GB"),
        ("files in the folder of shards", 1 / 250, ""),
        ("motifs, all workers together", motifs["us"]["work"], "CPU h"),
        ("motifs and sentences, all workers together", sentences["us"]["work"], "CPU h"),
        ("handing out, one process", parent + motifs["us"]["check"], "CPU h"),
        ("merging motif tables, one process", motifs["us"]["merge"], "CPU h"),
        ("merging a corpus, one process", sentences["us"]["merge"], "CPU h"),
        ('Word2Vec, view "links", an epoch', 1e6 * per_token * sentences["counts"]["links tokens"], "CPU h"),
    ]
    scale = {"GB": 1e9, "CPU h": 3.6e9, "": 1}
    units = {"GB": "bytes", "CPU h": "µs", "": ""}
    lines = [
        [what, f"{rounded(each)} {units[unit]}", *(f"{rounded(each * n / scale[unit])} {unit}" for n in PLANNED)]
        for what, each, unit in quantities
    ]
    head = " | ".join(["extrapolated", "measured, a crystal", *(f"{n / 1e6:,.0f} million" for n in PLANNED)])
    return ["## On paper", table(head, lines)]


def rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def whole_number(text: str) -> int:
    """Read 1e6 as well as 1000000."""
    return int(float(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name)
        sub.set_defaults(run=run)
        if name != "one":
            sub.add_argument("--results", type=Path, default=Path("scale.csv"), help="a line for each measurement")
            sub.add_argument("--folder", type=Path, default=Path("scale"), help="where to work")
        return sub

    sub = command("cluster", cluster)
    sub.add_argument("structures", type=Path, help="crystals as JSON lines")
    sub.add_argument("--limit", type=whole_number, default=20_000, help="how many")
    sub.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    for name, run in (("training", training), ("building", building)):
        sub = command(name, run)
        sub.add_argument("--sentences", nargs="+", type=whole_number, default=[1_000_000])
    sub = command("page", page)
    sub.add_argument("--write", type=Path, help="Markdown file; what follows the tables in it is kept")
    sub = command("one", one)
    sub.add_argument("step")
    sub.add_argument("size", type=int)
    sub.add_argument("way")
    sub.add_argument("folder", type=Path)
    sub.add_argument("structures", type=Path, nargs="?")
    commands.choices["training"].add_argument("--ways", nargs="+", choices=TRAINING, default=list(TRAINING))
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
