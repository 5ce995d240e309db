"""The command line: each command parses, calls one function, and writes.

Exit status 0 is success; 1, the work was done but its result was refused (too many rejected rows);
2, the input or an option was wrong; 130, interrupted (the same command resumes a build).
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from matembed.cards import Card
    from matembed.downstream.pooling import Statistic
    from matembed.embeddings import EmbeddingTable
    from matembed.encoders.context_svd import ContextSVD
    from matembed.encoders.word2vec import Word2Vec
    from matembed.matbench.results import BenchmarkResults

__all__ = ["main"]

_ROWS_SHOWN = 10
_TRAINING = ("algorithm", "epochs", "seed", "workers")
_PRESET_SAYS = ("view", "encoder", "dim", "window", "min_count", "algorithm", "epochs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``matembed``; those of the process by default.

    Returns
    -------
    int
        Exit status.

    Examples
    --------
    >>> main(["info", "no/such/folder"])
    2
    """
    options = _parser().parse_args(arguments)
    if "command" not in options:
        _parser().print_help()
        return 2
    command: Callable[[argparse.Namespace], int | None] = options.command
    try:
        return command(options) or 0
    except KeyboardInterrupt:
        print("matembed: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, LookupError, OSError, ImportError, RuntimeError) as error:
        if options.traceback:
            raise
        text = str(error) or type(error).__name__
        print(f"matembed {options.name}: {text}", file=sys.stderr)
        return getattr(error, "exit_status", 2)


def _parser() -> argparse.ArgumentParser:
    from matembed import __version__

    parser = argparse.ArgumentParser(
        prog="matembed", description="Formulas and crystals in; embeddings, predictions and pictures out."
    )
    parser.add_argument("--version", action="version", version=f"matembed {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="name")

    def add(name: str, run: Callable[[argparse.Namespace], int | None], summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(command=run)
        return command

    command = add("quickstart", _quickstart, "The whole path on 288 prototype crystals, offline, with a report.")
    command.add_argument("--out", type=Path, default=Path("matembed-quickstart"), help="folder (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--workers", type=positive_integer, default=os.cpu_count() or 1)
    command.add_argument("--overwrite", action="store_true", help="replace an earlier run")

    command = add("build", _build, "Turn formulas or crystals into a corpus.")
    command.add_argument(
        "input",
        help="CSV, TSV, Parquet or JSON lines of formulas; or a folder of CIF/POSCAR/... or JSON lines of crystals",
    )
    command.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    command.add_argument("--kind", choices=("formulas", "structures"), help="guessed by default")
    command.add_argument("--column", help="column of the formulas")
    command.add_argument("--id-column", help="column of the ids")
    command.add_argument("--limit", type=positive_integer, help="read the first LIMIT rows only")
    command.add_argument("--views", nargs="+", help="which sentences: elements amounts environments links walks (all)")
    _add_motif_options(command)
    command.add_argument(
        "--mixtures",
        choices=("likeliest", "drawn"),
        default="likeliest",
        help="how sites of multi_weights are written: as the likeliest environment, or drawn by fraction",
    )
    command.add_argument("--oxidation", action="store_true", help="motif tokens with oxidation states: Ti4+O6:O:6")
    command.add_argument(
        "--walk-length", type=positive_integer, default=8, help="motifs in a walk (default: %(default)s)"
    )
    command.add_argument("--n-walks", type=positive_integer, default=2, help="random walks from each motif")
    command.add_argument("--seed", type=int, default=0, help="of the walks (default: %(default)s)")
    _add_build_options(command)

    command = add("motifs", _motifs, "Find the motifs of crystals and their connections, as Parquet.")
    command.add_argument("input", help="a folder of CIF/POSCAR/..., a structure file, or JSON lines of crystals")
    command.add_argument("--out", type=Path, required=True, help="folder of the tables")
    command.add_argument("--limit", type=positive_integer, help="read the first LIMIT rows only")
    _add_motif_options(command)
    command.add_argument("--symmetrise", action="store_true", help="make every connection mutual")
    _add_build_options(command)

    command = add("train", _train, "Learn an embedding table from a corpus.")
    command.add_argument("corpus", type=Path, help="a corpus; motif tables for a preset that learns from bonds")
    command.add_argument("--out", type=Path, required=True, help="folder of the table")
    command.add_argument(
        "--preset",
        choices=("atom2vec-2018", "mat2vec-2019", "skipatom-2022"),
        help="view, encoder and settings of a paper, instead of the options below",
    )
    command.add_argument("--view", help="which sentences of the corpus; see matembed info CORPUS")
    command.add_argument("--encoder", choices=("word2vec", "svd"), help="word2vec by default")
    command.add_argument("--dim", type=positive_integer, help="length of each vector")
    command.add_argument("--window", type=positive_integer, help="context on each side; the whole sentence by default")
    command.add_argument("--min-count", type=positive_integer, help="leave out tokens seen fewer times (1)")
    command.add_argument("--algorithm", choices=("skip-gram", "cbow"), help="of word2vec (skip-gram)")
    command.add_argument("--epochs", type=positive_integer, help="passes of word2vec over the corpus")
    command.add_argument("--seed", type=int, help="of word2vec (0)")
    command.add_argument(
        "--workers", type=positive_integer, help="of word2vec (1); with more the vectors vary from run to run"
    )
    command.add_argument("--overwrite", action="store_true", help="replace a table that is there")
    command.add_argument("--quiet", action="store_true", help="no progress bar")

    command = add("fit", _fit, "Learn vectors of elements, species or motifs by the recipe that has proven best.")
    command.add_argument("what", choices=("elements", "formula-elements", "species", "motifs"))
    command.add_argument("input", help="motif tables; for formula-elements also a file or a corpus of formulas")
    command.add_argument("--out", type=Path, required=True, help="folder of the table")
    command.add_argument(
        "--dim", type=positive_integer, help="length of each vector (elements 512, species 128, motifs 64)"
    )
    command.add_argument("--all-sites", type=Path, help="for elements: motif tables made with --valences none")
    command.add_argument("--exclude", type=Path, help="file of formulas to leave out, a line each")
    command.add_argument(
        "--n-networks", type=whole_number, default=6, help="of elements: networks of each kind; 0 for counts only (6)"
    )
    command.add_argument("--seed", type=int, default=0, help="of networks, rotation and widening (0); motifs have none")
    command.add_argument("--overwrite", action="store_true", help="replace a table that is there")
    command.add_argument("--quiet", action="store_true", help="no progress bar")

    command = add("list", _list, "List what comes with the package; names of tables go where a table is asked.")

    command = add("nearest", _nearest, "Print the tokens most similar to a token.")
    command.add_argument("table", type=Path)
    command.add_argument("token", nargs="+", help="tokens, such as Ti or TiO6:O:6")
    command.add_argument("-n", type=positive_integer, default=10)
    command.add_argument("--kind", choices=("element", "species", "motif", "geometry"), help="only tokens of this kind")

    command = add("featurize", _featurize, "Pool vectors into one row of features a material.")
    _add_materials(command)
    command.add_argument("--table", type=Path, required=True)
    command.add_argument("--out", type=Path, required=True, help="features as .csv or .parquet")
    command.add_argument("--overwrite", action="store_true")

    command = add("evaluate", _evaluate, "Cross-validated scores beside one-hot and random vectors, and controls.")
    _add_materials(command)
    command.add_argument("--table", type=Path, action="append", required=True, help="may be given again")
    command.add_argument("--target", required=True, help="column to predict")
    command.add_argument("--labels", type=Path, help="CSV with the target, where INPUT is a corpus of crystals")
    command.add_argument(
        "--splits", choices=("random", "formula", "chemical_system"), help="what is kept in one fold (formula)"
    )
    command.add_argument("--n-splits", type=positive_integer, help="number of folds (5)")
    command.add_argument(
        "--folds",
        metavar="COLUMN",
        help="column, beside the target, with the fold that tests each row, in place of --splits and --n-splits",
    )
    command.add_argument("--task", choices=("auto", "regression", "classification"), default="auto")
    command.add_argument(
        "--model",
        choices=("ridge", "kernel_ridge", "extra_trees", "random_forest", "boosted_trees"),
        default="ridge",
        help="regressor or classifier, with fixed settings; pool mean,std,min,max for trees (default: %(default)s)",
    )
    command.add_argument("--max-train", type=positive_integer, help="train on so many rows of a fold at most (all)")
    command.add_argument("--max-test", type=positive_integer, help="test so many rows of a fold at most (all)")
    command.add_argument("--learning-curve", action="store_true", help="score training sets of several sizes as well")
    command.add_argument(
        "--sizes",
        type=positive_integer,
        nargs="+",
        default=[50, 100, 300, 1000],
        help="training rows of the learning curve (50 100 300 1000)",
    )
    command.add_argument(
        "--repeats", type=positive_integer, default=8, help="of the learning curve (default: %(default)s)"
    )
    command.add_argument(
        "--n-test", type=positive_integer, default=400, help="rows that a repeat tests (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--unit", default="", help="unit of the target, for the figure")
    command.add_argument("--out", type=Path, help="folder for scores, predictions and figures")
    command.add_argument("--overwrite", action="store_true")

    command = add(
        "benchmark", _benchmark, "Models and baselines on the official folds of Matbench, and a page of their results."
    )
    command.add_argument(
        "data", type=Path, nargs="*", help="matbench_<task>.json(.gz), tables of formulas, JSON lines of crystals"
    )
    command.add_argument("--tasks", nargs="+", help="only these, such as steels or matbench_steels")
    command.add_argument("--models", nargs="+", default=[], help="such as kernel_ridge; a wrong name lists them all")
    command.add_argument(
        "--baselines",
        nargs="*",
        help="models that stand beside (dummy one_hot_ridge random_forest; of structures also composition_forest)",
    )
    command.add_argument("--table", type=Path, help="vectors of elements for the models, never for baselines")
    command.add_argument("--target", help="column or property to predict, where a file does not tell")
    command.add_argument(
        "--task",
        choices=("auto", "regression", "classification"),
        default="auto",
        help="what is predicted; by default targets of two kinds, such as 0 and 1, are classes",
    )
    command.add_argument("--splits", type=Path, help="matbench_v0.1_validation.json; not needed for whole tasks")
    command.add_argument("--folds", type=whole_number, nargs="+", help="only these (all)")
    command.add_argument("--sizes", nargs="+", type=_size, default=["all"], help="training rows: 300 1000 all (all)")
    command.add_argument("--seeds", nargs="+", type=whole_number, default=[0], help="of draws and models (0)")
    command.add_argument("--out", type=Path, help="folder of results; what it holds is not done again")
    command.add_argument("--report", type=Path, nargs="+", metavar="RESULTS", help="show folders of results; no run")
    command.add_argument("--against", help="model that the others are compared with (random_forest)")
    command.add_argument("--html", type=Path, help="page with tables and figures to write")
    command.add_argument("--markdown", type=Path, help="page with tables to write")
    command.add_argument("--quiet", action="store_true", help="no progress bar")

    command = add(
        "probe", _probe, "What tables know of elements, species and motifs, beside one-hot and random vectors."
    )
    command.add_argument("table", type=Path, nargs="+")
    command.add_argument(
        "--max-motifs", type=positive_integer, default=2000, help="ask so many motifs at most (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--out", type=Path, help="scores as .csv")
    command.add_argument("--overwrite", action="store_true")

    command = add("plot", _plot, "Draw a table.")
    command.add_argument("figure", choices=("map", "periodic-table", "families", "dendrogram", "similarity"))
    command.add_argument("table", type=Path)
    command.add_argument("--out", type=Path, required=True, help="picture: .png, .svg or .pdf")
    command.add_argument("--method", choices=("pca", "tsne", "umap"), default="pca", help="of the map")
    command.add_argument("--color", help="of the map or dendrogram: group, block, geometry, ...")
    command.add_argument("--n-families", type=positive_integer, help="of the families or dendrogram")
    command.add_argument("--kind", choices=("element", "species", "motif", "geometry"), help="only tokens of this kind")
    command.add_argument("--tokens", nargs="+", help="only these tokens")
    command.add_argument("--component", type=int, default=0, help="of the periodic table (default: %(default)s)")
    command.add_argument("--similar-to", help="periodic table of the similarity to this element")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--overwrite", action="store_true", help="replace a picture that is there")

    density = commands.add_parser("density", help="Density functionals: exact conditions, and learned exchange.")
    of_density = density.add_subparsers(title="commands", metavar="COMMAND", dest="density", required=True)
    summary = "Which exact conditions functionals meet."
    command = of_density.add_parser("scorecard", help=summary, description=summary)
    command.set_defaults(command=_scorecard)
    command.add_argument("functional", nargs="+", help="names of libxc (PBE, B88,), or files that density fit wrote")
    command.add_argument("--correlation", help="of functionals that are exchange alone, such as PBE")
    command.add_argument("--json", type=Path, help="file to write; one functional")
    command.add_argument("--figure", type=Path, help="picture to write: .png, .svg or .pdf")
    summary = "Learn exchange from exact exchange, and say how far held-out molecules are missed."
    command = of_density.add_parser("fit", help=summary, description=summary)
    command.set_defaults(command=_density_fit)
    command.add_argument("--records", type=Path, help="folder of density records (those of the package)")
    command.add_argument("--bound", type=float, help="keep 0 < F_x < BOUND; 1.804 implies the Lieb-Oxford bound")
    command.add_argument("--averaged", action="store_true", help="see the averaged density too, which is not local")
    command.add_argument("--noise", type=float, default=0.01, help="hartree a root electron (default: %(default)s)")
    command.add_argument("--folds", type=positive_integer, default=5, help="by molecule (default: %(default)s)")
    command.add_argument("--seed", type=whole_number, default=0, help="of the folds (default: %(default)s)")
    command.add_argument("--out", type=Path, required=True, help="file of the model: .safetensors")
    command.add_argument("--overwrite", action="store_true", help="replace a model that is there")

    command = add("info", _info, "Show the card of a corpus, of motifs or of a table.")
    command.add_argument("path", type=Path)
    return parser


def positive_integer(text: str) -> int:
    value = int(text)
    if value < 1:
        msg = f"must be 1 or more, got {text}"
        raise argparse.ArgumentTypeError(msg)
    return value


def whole_number(text: str) -> int:
    value = int(text)
    if value < 0:
        msg = f"must be 0 or more, got {text}"
        raise argparse.ArgumentTypeError(msg)
    return value


def _size(text: str) -> int | Literal["all"]:
    return "all" if text == "all" else positive_integer(text)


def _add_motif_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine",
        choices=("numba", "numpy", "chemenv"),
        default="numba",
        help="what finds motifs: compiled, readable, or pymatgen's ChemEnv (default: %(default)s)",
    )
    command.add_argument(
        "--strategy",
        choices=("simplest", "multi_weights"),
        default="simplest",
        help="one environment a site, or several with fractions (default: %(default)s)",
    )
    command.add_argument(
        "--search",
        choices=("fast", "certified"),
        default="fast",
        help="of the best fit; certified is proven, and far slower (default: %(default)s)",
    )
    command.add_argument(
        "--valences",
        choices=("structure", "bond_valence", "composition", "signs", "bv_analyzer", "none"),
        help="where oxidation states are from; the first with an answer by default",
    )


def _add_build_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--workers", type=positive_integer, default=1, help="processes (default: %(default)s)")
    command.add_argument(
        "--scheduler",
        default="processes",
        help='"processes", "dask", or the address of a Dask scheduler: tcp://... (default: %(default)s)',
    )
    command.add_argument("--time-limit", type=float, default=300.0, help="CPU seconds a crystal (default: %(default)s)")
    command.add_argument(
        "--max-rejected", type=float, default=0.5, help="share of rejected rows that is too much (default: %(default)s)"
    )
    command.add_argument("--card", type=Path, help="YAML with name, what, source, licence, citation of the data")
    command.add_argument("--overwrite", action="store_true", help="replace what an earlier run made")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_materials(command: argparse.ArgumentParser) -> None:
    command.add_argument("input", type=Path, help="file of formulas, or a corpus")
    command.add_argument("--column", help="column of the formulas")
    command.add_argument("--id-column", help="column of the ids")
    command.add_argument(
        "--pooling", default="mean,std", help="comma-separated: mean,std,min,max,... (default: %(default)s)"
    )
    command.add_argument(
        "--on-missing",
        choices=("error", "nan", "mean", "neighbours", "back_off", "zero"),
        default="error",
        help="tokens with no vector",
    )


def _quickstart(options: argparse.Namespace) -> None:
    from matembed.quickstart import quickstart

    report = quickstart(options.out, seed=options.seed, workers=options.workers, overwrite=options.overwrite)
    print(f"report: {report}")


def _build(options: argparse.Namespace) -> None:
    from matembed.corpus.build import build_corpus

    corpus = build_corpus(
        Path(options.input),
        options.out,
        kind=options.kind,
        column=options.column,
        id_column=options.id_column,
        limit=options.limit,
        views=options.views,
        engine=options.engine,
        strategy=options.strategy,
        search=options.search,
        valences=options.valences,
        mixtures=options.mixtures,
        oxidation=options.oxidation,
        n_walks=options.n_walks,
        walk_length=options.walk_length,
        seed=options.seed,
        workers=options.workers,
        scheduler=options.scheduler,
        time_limit=options.time_limit,
        max_rejected=options.max_rejected,
        card=None if options.card is None else _read_card(options.card),
        progress=not options.quiet,
        overwrite=options.overwrite,
    )
    print(f"{corpus.card.name}: {', '.join(f'{n:,} {what}' for what, n in corpus.card.counts.items())}")
    print(f"views: {', '.join(corpus.views)}; the card: {options.out / 'README.md'}")
    _print_rows(f"rejected ({options.out / 'rejected.parquet'})", corpus.rejected())
    _print_rows(f"rewritten ({options.out / 'rewritten.parquet'})", corpus.rewritten())


def _motifs(options: argparse.Namespace) -> None:
    from matembed.corpus.motif_tables import build_motif_tables

    tables = build_motif_tables(
        Path(options.input),
        options.out,
        engine=options.engine,
        strategy=options.strategy,
        search=options.search,
        valences=options.valences,
        symmetrise=options.symmetrise,
        limit=options.limit,
        workers=options.workers,
        scheduler=options.scheduler,
        time_limit=options.time_limit,
        max_rejected=options.max_rejected,
        card=None if options.card is None else _read_card(options.card),
        progress=not options.quiet,
        overwrite=options.overwrite,
    )
    print(f"{tables.card.name}: {', '.join(f'{n:,} {what}' for what, n in tables.card.counts.items())}")
    print(f"the card: {options.out / 'README.md'}")
    _print_counts("valences", tables.materials()["valences"])
    _print_counts("geometries", tables.motifs(columns=["geometry"])["geometry"])
    _print_rows(f"rejected ({options.out / 'rejected.parquet'})", tables.rejected())
    _print_rows(f"rewritten ({options.out / 'rewritten.parquet'})", tables.rewritten())


def _read_card(path: Path) -> "Card":
    import yaml

    from matembed.cards import Card

    try:
        return Card.from_dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError) as error:
        msg = f"{path} is no card in YAML: {' '.join(str(error).split())}"
        raise ValueError(msg) from error


def _train(options: argparse.Namespace) -> None:
    from matembed._atomic import refuse_occupied
    from matembed.corpus.corpus import Corpus

    refuse_occupied(options.out, kind="EmbeddingTable", overwrite=options.overwrite)
    if options.preset is not None:
        table, read = _train_preset(options)
    else:
        corpus = Corpus.read(options.corpus, view=options.view)
        table = _encoder(options).fit(corpus).embeddings()
        read = f"{len(corpus):,} sentences ({corpus.view})"
    table.write(options.out, overwrite=options.overwrite)
    print(f"{len(table):,} tokens, dim {table.dim}, from {read}: {options.out}")


def _encoder(options: argparse.Namespace) -> "ContextSVD | Word2Vec":
    from matembed.encoders.context_svd import ContextSVD
    from matembed.encoders.word2vec import Word2Vec

    given = _given(options, ("dim", "window", "min_count"))
    training = _given(options, _TRAINING)
    if options.encoder != "svd":
        return Word2Vec(**given, **training, progress=not options.quiet)
    _refuse_training(training)
    return ContextSVD(**given)


def _train_preset(options: argparse.Namespace) -> "tuple[EmbeddingTable, str]":
    """Train as a preset says, and say what was read."""
    from dataclasses import replace

    from matembed.corpus.corpus import Corpus
    from matembed.corpus.motif_contexts import SITE_CONTEXTS, count_contexts
    from matembed.corpus.motif_tables import MotifTables
    from matembed.encoders.context_svd import ContextSVD
    from matembed.encoders.presets import preset
    from matembed.encoders.word2vec import Word2Vec

    said = _given(options, _PRESET_SAYS)
    if said:
        msg = f"--preset {options.preset} chooses view, encoder and settings itself; leave out {_words(said)}"
        raise ValueError(msg)
    chosen = preset(options.preset)
    encoder = chosen.encoder
    training = _given(options, _TRAINING)
    if isinstance(encoder, Word2Vec):
        encoder = replace(encoder, **training, progress=not options.quiet)
    else:
        _refuse_training(training)
    if isinstance(encoder, ContextSVD) and chosen.view in SITE_CONTEXTS:
        try:
            tables = MotifTables.read(options.corpus)
        except (FileNotFoundError, ValueError) as error:
            msg = f"--preset {chosen.name} learns from bonds in motif tables, which matembed motifs makes: {error}"
            raise ValueError(msg) from error
        counts = count_contexts(tables, chosen.view)[chosen.view]
        table, read = encoder.fit(counts).embeddings(), f"{counts.card.counts['materials']:,} materials ({chosen.view})"
    else:
        corpus = Corpus.read(options.corpus, view=chosen.view)
        table, read = encoder.fit(corpus).embeddings(), f"{len(corpus):,} sentences ({corpus.view})"
    print(f"{chosen.name}: {chosen.citation}\nnot as in the paper: {chosen.differences}")
    return table, read


def _fit(options: argparse.Namespace) -> None:
    from matembed._atomic import refuse_occupied
    from matembed.corpus.motif_tables import MotifTables
    from matembed.downstream.inputs import read_inputs
    from matembed.recipes import fit_elements, fit_formula_elements, fit_motifs, fit_species

    refuse_occupied(options.out, kind="EmbeddingTable", overwrite=options.overwrite)
    given = {"exclude": _lines(options.exclude) if options.exclude else []} | _given(options, ["dim"])
    trained = given | {"n_networks": options.n_networks, "seed": options.seed, "progress": not options.quiet}
    if options.what == "formula-elements":
        holds_motifs = (Path(options.input) / "motifs.parquet").exists()
        if holds_motifs:
            tables = MotifTables.read(options.input)
            formulas, card = tables.materials()["formula"].unique().tolist(), tables.card
        else:
            formulas, card = read_inputs(options.input).materials, None
        table = fit_formula_elements(formulas, card=card, **trained)
    else:
        tables = MotifTables.read(options.input)
        if options.what == "elements":
            all_sites = None if options.all_sites is None else MotifTables.read(options.all_sites)
            table = fit_elements(tables, all_sites=all_sites, **trained)
        else:
            table = (
                fit_species(tables, seed=options.seed, **given)
                if options.what == "species"
                else fit_motifs(tables, **given)
            )
    table.write(options.out, overwrite=options.overwrite)
    print(table)
    print(f"the card: {options.out / 'README.md'}")


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _list(_: argparse.Namespace) -> None:
    from matembed.pretrained import MODELS, available

    for name, what in (available() | MODELS).items():
        print(f"{name:<24} {what}")


def _given(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _words(names: Iterable[str]) -> str:
    return " ".join(f"--{name.replace('_', '-')}" for name in names)


def _refuse_training(training: Iterable[str]) -> None:
    if training:
        msg = f"{_words(training)} go with word2vec; ContextSVD is computed, not trained"
        raise ValueError(msg)


def _nearest(options: argparse.Namespace) -> None:
    table = _read_table(options.table)
    for token in options.token:
        print(token + "  (backed off)" * (token in table.backed_off))
        for neighbour in table.nearest(token, options.n, kind=options.kind):
            made = "  (backed off)" if neighbour.backed_off else ""
            print(f"  {neighbour.token:<24} {neighbour.similarity:6.3f}{made}")


def _featurize(options: argparse.Namespace) -> None:
    import pandas as pd

    from matembed._atomic import whole_file
    from matembed.downstream.features import FormulaFeaturizer, StructureFeaturizer
    from matembed.downstream.inputs import read_inputs

    if options.out.suffix not in (".csv", ".parquet"):
        msg = f"features are written as .csv or .parquet, got {options.out.name!r}"
        raise ValueError(msg)
    if options.out.exists() and not options.overwrite:
        msg = f"{options.out} already exists; choose another path or pass --overwrite"
        raise FileExistsError(msg)
    table = _read_table(options.table)
    what = _looks_up([table])
    inputs = read_inputs(options.input, what=what, column=options.column, id_column=options.id_column)
    featurizer = (
        FormulaFeaturizer(table, pooling=_pooling(options), on_missing=options.on_missing)
        if what == "formulas"
        else StructureFeaturizer(table, blocks="vectors", pooling=_pooling(options), on_missing=options.on_missing)
    )
    features = featurizer.set_output(transform="pandas").fit_transform(inputs.materials)
    rows = pd.concat([inputs.frame, features.set_axis(inputs.frame.index)], axis=1)
    with whole_file(options.out) as partial:
        rows.to_csv(partial, index=False) if options.out.suffix == ".csv" else rows.to_parquet(partial, index=False)
    print(f"{len(rows):,} materials, {features.shape[1]} features: {options.out}")
    if len(inputs.rejected):
        rejected = options.out.with_suffix(".rejected.csv")
        with whole_file(rejected) as partial:
            inputs.rejected.to_csv(partial, index=False)
        _print_rows(f"rejected ({rejected})", inputs.rejected)
    _print_rows("rewritten", inputs.rewritten)


def _evaluate(options: argparse.Namespace) -> None:
    from matembed._atomic import refuse_occupied, whole_folder
    from matembed.downstream.benchmark import evaluate
    from matembed.downstream.inputs import read_inputs
    from matembed.downstream.learning_curves import learning_curve

    if options.out is not None:
        refuse_occupied(options.out, kind="Evaluation", overwrite=options.overwrite)
    splitting = _given(options, ("splits", "n_splits"))
    if options.folds is not None and splitting:
        msg = f"--folds {options.folds} says which rows are tested together; leave out {_words(splitting)}"
        raise ValueError(msg)
    if options.folds == options.target:
        msg = f"--folds and --target both name {options.target}; name the column that says which fold tests a row"
        raise ValueError(msg)
    tables = _read_tables(options.table)
    inputs = read_inputs(
        options.input,
        what=_looks_up(tables.values()),
        target=options.target,
        folds=options.folds,
        labels=options.labels,
        column=options.column,
        id_column=options.id_column,
    )
    evaluation = evaluate(
        tables,
        inputs.materials,
        inputs.frame["target"],
        pooling=_pooling(options),
        on_missing=options.on_missing,
        task=options.task,
        model=options.model,
        folds=None if options.folds is None else inputs.frame["fold"],
        **({"splits": "formula"} | splitting),
        max_train=options.max_train,
        max_test=options.max_test,
        seed=options.seed,
    )
    _print_frame(evaluation.summary())
    curve = None
    if options.learning_curve:
        curve = learning_curve(
            tables,
            inputs.materials,
            inputs.frame["target"],
            sizes=options.sizes,
            repeats=options.repeats,
            n_test=options.n_test,
            model=options.model,
            pooling=_pooling(options),
            on_missing=options.on_missing,
            task=options.task,
            seed=options.seed,
        )
        _print_frame(curve.summary())
    _print_rows("rejected", inputs.rejected)
    _print_rows("rewritten", inputs.rewritten)
    if options.out is None:
        return
    with whole_folder(options.out, kind="Evaluation", overwrite=options.overwrite) as partial:
        config = {"schema": 1, "type": "Evaluation", "target": options.target, "folds": options.folds}
        config["settings"] = dict(evaluation.settings)
        if curve is not None:
            config["learning_curve"] = dict(curve.settings)
        (partial / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        evaluation.scores.to_csv(partial / "scores.csv", index=False)
        evaluation.summary().to_csv(partial / "summary.csv")
        predictions = evaluation.predictions.drop(columns="row").assign(id=inputs.frame["id"])
        predictions.set_index("id").to_csv(partial / "predictions.csv")
        inputs.rejected.to_csv(partial / "rejected.csv", index=False)
        if evaluation.settings["task"] == "regression":
            for name in tables:
                figure = evaluation.plot(name, unit=options.unit, label=options.target)
                figure.savefig(partial / f"parity-{name}.png", dpi=150)
        if curve is not None:
            curve.scores.to_csv(partial / "learning_curve.csv", index=False)
            unit = options.unit if curve.settings["task"] == "regression" else ""
            curve.plot(unit=unit).savefig(partial / "learning_curve.png", dpi=150)
    print(f"scores and predictions: {options.out}")


def _benchmark(options: argparse.Namespace) -> None:
    from matembed.matbench.results import BenchmarkResults

    for page, suffix in ((options.html, ".html"), (options.markdown, ".md")):
        if page is not None and page.suffix != suffix:
            msg = f"--{'html' if suffix == '.html' else 'markdown'} writes a page named *{suffix}, got {page.name!r}"
            raise ValueError(msg)
    results = BenchmarkResults.read(*options.report) if options.report else None
    if (results is None) == (not options.data):
        msg = "wanted files of tasks to run, or --report with folders of results; see matembed benchmark --help"
        lists = {"models": options.models, "baselines": options.baselines, "tasks": options.tasks}
        for name, words in lists.items():
            if not options.report and words and (Path(words[-1]).suffix or Path(words[-1]).is_file()):
                msg = f"{words[-1]!r} was read as one of --{name}; write files before the options, or -- before files"
        raise ValueError(msg)
    if results is not None:
        _check_against(options.against, results.scores["model"])
    else:
        results = _run_benchmark(options)
    for size in dict.fromkeys(size for task in results.tasks for size in results.sizes(task)):
        print(f"training rows: {size}; mean ± standard error over folds, * the best")
        print(results.table(size=size, against=options.against).to_string())
    for page in (options.html, options.markdown):
        if page is not None:
            print(f"report: {results.report(page, against=options.against)}")


def _check_against(against: str | None, models: Iterable[str]) -> None:
    known = list(dict.fromkeys(models))
    if against is not None and against not in known:
        msg = f"--against must be one of {', '.join(known)}; got {against!r}"
        raise ValueError(msg)


def _run_benchmark(options: argparse.Namespace) -> "BenchmarkResults":
    from matembed.matbench.models import baselines_of
    from matembed.matbench.runs import run_benchmark
    from matembed.matbench.tasks import MatbenchTask, read_matbench

    if options.out is None:
        msg = "--out names the folder of results"
        raise ValueError(msg)
    tasks: dict[str, MatbenchTask] = {}
    wanted = None if options.tasks is None else [name.removeprefix("matbench_") for name in options.tasks]
    for path in options.data:
        found = read_matbench(path, target=options.target, folds=options.splits, task=options.task)
        twice = found.keys() & tasks.keys()
        if twice:
            msg = f"{path} and another file hold {', '.join(sorted(twice))}; name one of them"
            raise ValueError(msg)
        tasks |= found
    missing = [] if wanted is None else [name for name in wanted if name not in tasks]
    if missing:
        msg = f"no file holds {', '.join(missing)}; there are {', '.join(tasks)}"
        raise ValueError(msg)
    chosen = list(tasks.values()) if wanted is None else [tasks[name] for name in wanted]
    beside = [
        name for task in chosen for name in (baselines_of(task) if options.baselines is None else options.baselines)
    ]
    there = sorted(folder.name for folder in options.out.glob("*/*") if folder.is_dir())
    _check_against(options.against, [*beside, *options.models, *there])
    results = run_benchmark(
        chosen,
        options.models,
        options.out,
        baselines=options.baselines,
        table=None if options.table is None else _read_table(options.table),
        folds=options.folds,
        sizes=options.sizes,
        seeds=options.seeds,
        progress=not options.quiet,
    )
    print(f"results: {options.out}")
    return results


def _scorecard(options: argparse.Namespace) -> None:
    from matembed.densities import as_functional, draw, page, scorecard

    if options.json and len(options.functional) > 1:
        msg = f"--json is for one functional, got {len(options.functional)}; leave it out, or name one"
        raise ValueError(msg)
    functionals = [as_functional(_functional(name)) for name in options.functional]
    if options.correlation and all(one.kind != "exchange" for one in functionals):
        msg = f"--correlation completes exchange, but no functional is exchange alone; leave out {options.correlation}"
        raise ValueError(msg)
    cards = [scorecard(one, correlation=options.correlation if one.kind == "exchange" else None) for one in functionals]
    print(page(cards))
    if options.json:
        cards[0].write(options.json)
    if options.figure:
        draw(cards).savefig(options.figure, bbox_inches="tight")


def _functional(name: str) -> Any:
    if not name.endswith(".safetensors"):
        return name
    from matembed.densities import EnhancementFactor

    return EnhancementFactor.read(name).functional(Path(name).stem)


def _density_fit(options: argparse.Namespace) -> None:
    import numpy as np
    from sklearn.model_selection import KFold, cross_val_predict

    from matembed.densities import EnhancementFactor, load_records, read_records

    if options.out.suffix != ".safetensors":
        msg = f"--out must be a .safetensors file, got {options.out}"
        raise ValueError(msg)
    if options.out.exists() and not options.overwrite:
        msg = f"{options.out} already exists; choose another path or pass --overwrite"
        raise ValueError(msg)
    records = list((read_records(options.records) if options.records else load_records()).values())
    exact, pbe = (np.array([one.energies[name] for one in records]) for name in ("exact_exchange", "PBE exchange"))
    model = EnhancementFactor(averaged=options.averaged, bound=options.bound, noise=options.noise)
    if options.folds > 1:
        folds = KFold(options.folds, shuffle=True, random_state=options.seed)
        missed = [
            1e3 * np.abs(told - exact).mean() for told in (cross_val_predict(model, records, exact, cv=folds), pbe)
        ]
        print(f"held-out molecules, {options.folds} folds: {missed[0]:.1f} mHa; PBE {missed[1]:.1f} mHa")
    model.fit(records).write(options.out)
    print(f"{len(records)} densities, {len(model.centres_)} terms: {options.out}")


def _probe(options: argparse.Namespace) -> None:
    from matembed._atomic import whole_file
    from matembed.downstream.probes import probe

    if options.out is not None and options.out.suffix != ".csv":
        msg = f"scores are written as .csv, got {options.out.name!r}"
        raise ValueError(msg)
    if options.out is not None and options.out.exists() and not options.overwrite:
        msg = f"{options.out} already exists; choose another path or pass --overwrite"
        raise FileExistsError(msg)
    found = probe(_read_tables(options.table), max_motifs=options.max_motifs, seed=options.seed)
    _print_frame(found.set_index(["table", "probe", "vectors"]))
    if options.out is not None:
        with whole_file(options.out) as partial:
            found.to_csv(partial, index=False)
        print(f"scores: {options.out}")


def _plot(options: argparse.Namespace) -> None:
    from matembed._atomic import whole_file
    from matembed.downstream import plots

    if options.out.suffix not in (".png", ".svg", ".pdf"):
        msg = f"pictures are written as .png, .svg or .pdf, got {options.out.name!r}"
        raise ValueError(msg)
    if options.out.exists() and not options.overwrite:
        msg = f"{options.out} already exists; choose another path or pass --overwrite"
        raise FileExistsError(msg)
    table = _read_table(options.table).subset(options.tokens, kind=options.kind)
    if options.figure == "map":
        figure = plots.embedding_map(table, method=options.method, color=options.color, seed=options.seed)
    elif options.figure == "families":
        figure = plots.element_families(table, n_families=options.n_families)
    elif options.figure == "dendrogram":
        wanted = {"color": options.color, "n_families": options.n_families}
        shown: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        chosen = options.tokens or options.kind  # above; elements by default
        figure = plots.dendrogram(table, kind=None if chosen else "element", **shown)
    elif options.figure == "similarity":
        figure = plots.similarity_heatmap(table)
    elif options.similar_to:
        figure = plots.periodic_table(table, similar_to=options.similar_to)
    else:
        figure = plots.periodic_table(table, component=options.component)
    with whole_file(options.out) as partial:
        figure.savefig(partial, format=options.out.suffix[1:], dpi=150)
    print(options.out)


def _info(options: argparse.Namespace) -> None:
    from matembed.corpus.corpus import Corpus
    from matembed.corpus.motif_tables import MotifTables

    pretrained = _is_pretrained(options.path) and not options.path.exists()
    if not pretrained and not options.path.exists():
        msg = f"{options.path} does not exist; wanted the folder of a corpus, of motifs or of a table"
        raise FileNotFoundError(msg)
    if pretrained or (options.path / "vectors.safetensors").exists():
        table = _read_table(options.path)
        print(table)
        _print_card(table.card)
    elif (options.path / "motifs.parquet").exists():
        tables = MotifTables.read(options.path)
        print(tables)
        _print_card(tables.card)
    else:
        corpus = Corpus.read(options.path)
        _print_card(corpus.card)
        print(f"views: {', '.join(corpus.views)}")


def _read_table(path: Path) -> "EmbeddingTable":
    """Read a table from disk, or one that comes with the package by its name, unless a table of that name is here."""
    from matembed.interchange import read_table
    from matembed.pretrained import load

    return load(str(path)) if _is_pretrained(path) else read_table(path)


def _is_pretrained(path: Path) -> bool:
    from matembed.pretrained import TABLES

    return str(path) in TABLES and not path.is_file() and not (path / "vectors.safetensors").exists()


def _read_tables(paths: Sequence[Path]) -> "dict[str, EmbeddingTable]":
    tables = {path.name: _read_table(path) for path in paths}
    if len(tables) != len(paths):
        msg = f"tables need different folder names, got {', '.join(map(str, paths))}"
        raise ValueError(msg)
    return tables


def _pooling(options: argparse.Namespace) -> "list[Statistic]":
    from matembed.downstream.pooling import STATISTICS

    names: list[Statistic] = []
    for name in options.pooling.split(","):
        if name.strip() not in STATISTICS:
            msg = f"--pooling takes some of {','.join(STATISTICS)}; got {name.strip()!r}"
            raise ValueError(msg)
        names.append(name.strip())
    return names


def _looks_up(tables: "Iterable[EmbeddingTable]") -> Literal["formulas", "motifs"]:
    kinds = {kind for table in tables for kind in table.kinds}
    return "motifs" if kinds & {"motif", "geometry"} else "formulas"


def _print_card(card: "Card") -> None:
    print(card.to_markdown().split("---", 2)[2].strip())


def _print_frame(frame: "pd.DataFrame") -> None:
    print(frame.to_string(float_format=lambda value: f"{value:.4g}"))


def _print_counts(what: str, values: "pd.Series[str]") -> None:
    """Show the commonest values to a person."""
    counts = sorted(values.value_counts().items(), key=lambda pair: (-pair[1], pair[0]))
    more = f", and {len(counts) - _ROWS_SHOWN:,} others" if len(counts) > _ROWS_SHOWN else ""
    print(f"{what}: {', '.join(f'{n:,} {value}' for value, n in counts[:_ROWS_SHOWN])}{more}")


def _print_rows(what: str, rows: "pd.DataFrame") -> None:
    """Show the first rows to a person; all of them are in a file."""
    if rows.empty:
        return
    print(f"{len(rows):,} {what}:")
    for row in rows.head(_ROWS_SHOWN).to_dict("records"):
        print(f"  row {row['row']} ({row['id']}): {row['input']!r}: {row.get('reason', row.get('rewrites'))}")
    if len(rows) > _ROWS_SHOWN:
        print(f"  ... and {len(rows) - _ROWS_SHOWN:,} more")
