"""Commands that learn vectors."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from matembed.cli.options import Commands, add_command, add_output, given, positive_integer, whole_number, words

if TYPE_CHECKING:
    from matembed.corpus.motif_tables import MotifTables
    from matembed.embeddings import EmbeddingTable
    from matembed.encoders.context_svd import ContextSVD
    from matembed.encoders.word2vec import Word2Vec

__all__ = ["add_commands"]

_TRAINING = ("algorithm", "epochs", "seed", "workers")
_PRESET_SAYS = ("view", "encoder", "dim", "window", "min_count", "algorithm", "epochs")


def add_commands(commands: Commands) -> None:
    """Add them to the parser."""
    command = add_command(commands, "train", _train, "Learn an embedding table from a corpus.")
    command.add_argument("corpus", type=Path, help="a corpus; motif tables for a preset that learns from bonds")
    add_output(command, "--out", folder=True, required=True, help="folder of the table")
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

    command = add_command(
        commands, "fit", _fit, "Learn vectors of elements, species or motifs by the recipe that has proven best."
    )
    command.add_argument("what", choices=("elements", "formula-elements", "species", "motifs"))
    command.add_argument("input", help="motif tables; for formula-elements also a file or a corpus of formulas")
    add_output(command, "--out", folder=True, required=True, help="folder of the table")
    command.add_argument(
        "--dim", type=positive_integer, help="length of each vector (elements 512, species 128, motifs 64)"
    )
    command.add_argument("--all-sites", type=Path, help="for elements: motif tables made with --valences none")
    command.add_argument("--column", help="column of the formulas, where INPUT is a file of them")
    command.add_argument("--exclude", type=Path, help="file of formulas to leave out, a line each")
    command.add_argument(
        "--n-networks", type=whole_number, default=6, help="of elements: networks of each kind; 0 for counts only (6)"
    )
    command.add_argument("--seed", type=int, default=0, help="of networks, rotation and widening (0); motifs have none")
    command.add_argument("--overwrite", action="store_true", help="replace a table that is there")
    command.add_argument("--quiet", action="store_true", help="no progress bar")


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

    settings = given(options, ("dim", "window", "min_count"))
    training = given(options, _TRAINING)
    if options.encoder != "svd":
        return Word2Vec(**settings, **training, progress=not options.quiet)
    _refuse_training(training)
    return ContextSVD(**settings)


def _train_preset(options: argparse.Namespace) -> "tuple[EmbeddingTable, str]":
    """Train as a preset says, and say what was read."""
    from dataclasses import replace

    from matembed.corpus.corpus import Corpus
    from matembed.corpus.motif_contexts import SITE_CONTEXTS, count_contexts
    from matembed.encoders.context_svd import ContextSVD
    from matembed.encoders.presets import preset
    from matembed.encoders.word2vec import Word2Vec

    said = given(options, _PRESET_SAYS)
    if said:
        msg = f"--preset {options.preset} chooses view, encoder and settings itself; leave out {words(said)}"
        raise ValueError(msg)
    chosen = preset(options.preset)
    encoder = chosen.encoder
    training = given(options, _TRAINING)
    if isinstance(encoder, Word2Vec):
        encoder = replace(encoder, **training, progress=not options.quiet)
    else:
        _refuse_training(training)
    if isinstance(encoder, ContextSVD) and chosen.view in SITE_CONTEXTS:
        tables = _read_motifs(options.corpus, f"--preset {chosen.name}")
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
    holds_motifs = (Path(options.input) / "motifs.parquet").exists()
    if options.column is not None and (options.what != "formula-elements" or holds_motifs):
        msg = f"--column goes with a file of formulas, for formula-elements; leave out --column {options.column}"
        raise ValueError(msg)
    settings = {"exclude": _lines(options.exclude) if options.exclude else []} | given(options, ["dim"])
    trained = settings | {"n_networks": options.n_networks, "seed": options.seed, "progress": not options.quiet}
    if options.what == "formula-elements":
        if holds_motifs:
            tables = MotifTables.read(options.input)
            formulas, card = tables.materials()["formula"].unique().tolist(), tables.card
        else:
            formulas, card = read_inputs(options.input, column=options.column).materials, None
        table = fit_formula_elements(formulas, card=card, **trained)
    else:
        tables = _read_motifs(options.input, f"fit {options.what}")
        if options.what == "elements":
            all_sites = None if options.all_sites is None else _read_motifs(options.all_sites, "--all-sites")
            table = fit_elements(tables, all_sites=all_sites, **trained)
        else:
            table = (
                fit_species(tables, seed=options.seed, **settings)
                if options.what == "species"
                else fit_motifs(tables, **settings)
            )
    table.write(options.out, overwrite=options.overwrite)
    print(table)
    print(f"the card: {options.out / 'README.md'}")


def _read_motifs(path: str | Path, wanting: str) -> "MotifTables":
    from matembed.corpus.motif_tables import MotifTables

    try:
        return MotifTables.read(path)
    except (FileNotFoundError, ValueError) as error:
        msg = f"{wanting} learns from motif tables, which matembed motifs makes: {error}"
        raise ValueError(msg) from error


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _refuse_training(training: Iterable[str]) -> None:
    if training:
        msg = f"{words(training)} go with word2vec; ContextSVD is computed, not trained"
        raise ValueError(msg)
