"""Commands that turn formulas and crystals into corpora, motif tables and graphs."""

import argparse
from pathlib import Path
from typing import Any

from matembed.cli.options import (
    Commands,
    add_build_options,
    add_command,
    add_motif_options,
    add_output,
    add_strategy,
    positive_integer,
)
from matembed.cli.printing import print_counts, print_rows
from matembed.cli.reading import read_card

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add them to the parser."""
    command = add_command(commands, "build", _build, "Turn formulas or crystals into a corpus.")
    command.add_argument(
        "input",
        help="CSV, TSV, Parquet or JSON lines of formulas; or a folder of CIF/POSCAR/... or JSON lines of crystals",
    )
    add_output(command, "--out", folder=True, required=True, help="folder of the corpus")
    command.add_argument("--kind", choices=("formulas", "structures"), help="guessed by default")
    command.add_argument("--column", help="column of the formulas")
    command.add_argument("--id-column", help="column of the ids")
    command.add_argument("--limit", type=positive_integer, help="read the first LIMIT rows only")
    command.add_argument("--views", nargs="+", help="which sentences: elements amounts environments links walks (all)")
    add_motif_options(command)
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
    add_build_options(command)

    command = add_command(commands, "motifs", _motifs, "Find the motifs of crystals and their connections, as Parquet.")
    command.add_argument("input", help="a folder of CIF/POSCAR/..., a structure file, or JSON lines of crystals")
    add_output(command, "--out", folder=True, required=True, help="folder of the tables")
    command.add_argument("--limit", type=positive_integer, help="read the first LIMIT rows only")
    add_motif_options(command)
    command.add_argument("--symmetrise", action="store_true", help="make every connection mutual")
    add_build_options(command)

    command = add_command(commands, "graphs", _graphs, "Make the dual graphs of crystals, for graph networks.")
    command.add_argument("input", help="a folder of CIF/POSCAR/..., a structure file, or JSON lines of crystals")
    add_output(command, "--out", folder=True, required=True, help="folder of the graphs")
    command.add_argument("--limit", type=positive_integer, help="read the first LIMIT rows only")
    command.add_argument(
        "--bonds",
        choices=("shells", "crystalnn"),
        default="shells",
        help="to the coordination shell, or by pymatgen's CrystalNN, far slower (default: %(default)s)",
    )
    command.add_argument(
        "--no-merge",
        dest="merge",
        action="store_false",
        help="a row for each atom and bond, with directions, not one for all that are alike",
    )
    add_strategy(command)
    add_build_options(command)


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
        **_settings(options),
    )
    print(f"{corpus.card.name}: {', '.join(f'{n:,} {what}' for what, n in corpus.card.counts.items())}")
    print(f"views: {', '.join(corpus.views)}; the card: {options.out / 'README.md'}")
    print_rows(f"rejected ({options.out / 'rejected.parquet'})", corpus.rejected())
    print_rows(f"rewritten ({options.out / 'rewritten.parquet'})", corpus.rewritten())


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
        **_settings(options),
    )
    print(f"{tables.card.name}: {', '.join(f'{n:,} {what}' for what, n in tables.card.counts.items())}")
    print(f"the card: {options.out / 'README.md'}")
    print_counts("valences", tables.materials()["valences"])
    print_counts("geometries", tables.motifs(columns=["geometry"])["geometry"])
    print_rows(f"rejected ({options.out / 'rejected.parquet'})", tables.rejected())
    print_rows(f"rewritten ({options.out / 'rewritten.parquet'})", tables.rewritten())


def _graphs(options: argparse.Namespace) -> None:
    import pandas as pd

    from matembed.graphs.building import build_graphs

    graphs, _ = build_graphs(
        Path(options.input),
        options.out,
        bonds=options.bonds,
        merge=options.merge,
        strategy=options.strategy,
        limit=options.limit,
        **_settings(options),
    )
    told = (f"{graphs.card.counts[what]:,} {what}" for what in ("read", "kept", "rejected", "rewritten"))
    print(f"{graphs.card.name}: {', '.join(told)}")
    print(f"{graphs}; the card: {options.out / 'README.md'}")
    for name in ("rejected", "rewritten"):
        path = options.out / f"{name}.parquet"
        print_rows(f"{name} ({path})", pd.read_parquet(path))


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Read what `add_build_options` asked for, as builders take it."""
    return {
        "workers": options.workers,
        "scheduler": options.scheduler,
        "time_limit": options.time_limit,
        "max_rejected": options.max_rejected,
        "card": None if options.card is None else read_card(options.card),
        "progress": not options.quiet,
        "overwrite": options.overwrite,
    }
