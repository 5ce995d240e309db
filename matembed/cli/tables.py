"""Commands that show and use embedding tables."""

import argparse
import json
from pathlib import Path
from typing import Any

from matembed.cli.options import TABLE, Commands, add_command, add_materials, add_output, pooling, positive_integer
from matembed.cli.printing import print_card, print_frame, print_rows
from matembed.cli.reading import is_pretrained, looks_up, read_table, read_tables

__all__ = ["add_commands"]


def add_commands(commands: Commands) -> None:
    """Add them to the parser."""
    command = add_command(commands, "nearest", _nearest, "Print the tokens most similar to a token.")
    command.add_argument("table", type=Path, help=TABLE)
    command.add_argument("token", nargs="+", help="tokens, such as Ti or TiO6:O:6")
    command.add_argument("-n", type=positive_integer, default=10, help="how many (default: %(default)s)")
    command.add_argument("--kind", choices=("element", "species", "motif", "geometry"), help="only tokens of this kind")

    command = add_command(commands, "featurize", _featurize, "Pool vectors into one row of features a material.")
    add_materials(command)
    command.add_argument("--table", type=Path, required=True, help=TABLE)
    add_output(command, "--out", required=True, help="features as .csv or .parquet")
    command.add_argument("--overwrite", action="store_true", help="replace features that are there")

    command = add_command(
        commands,
        "probe",
        _probe,
        "What tables know of elements, species and motifs, beside one-hot and random vectors.",
    )
    command.add_argument("table", type=Path, nargs="+", help=TABLE)
    command.add_argument(
        "--max-motifs", type=positive_integer, default=2000, help="ask so many motifs at most (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=0, help="of random vectors and folds (default: %(default)s)")
    add_output(command, "--out", help="scores as .csv")
    command.add_argument("--overwrite", action="store_true", help="replace scores that are there")

    command = add_command(commands, "plot", _plot, "Draw a table.")
    command.add_argument("figure", choices=("map", "periodic-table", "families", "dendrogram", "similarity"))
    command.add_argument("table", type=Path, help=TABLE)
    add_output(command, "--out", required=True, help="picture: .png, .svg or .pdf")
    command.add_argument("--method", choices=("pca", "tsne", "umap"), default="pca", help="of the map")
    command.add_argument("--color", help="of the map or dendrogram: group, block, geometry, ...")
    command.add_argument("--n-families", type=positive_integer, help="of the families or dendrogram")
    command.add_argument("--kind", choices=("element", "species", "motif", "geometry"), help="only tokens of this kind")
    command.add_argument("--tokens", nargs="+", help="only these tokens")
    command.add_argument("--component", type=int, default=0, help="of the periodic table (default: %(default)s)")
    command.add_argument("--similar-to", help="periodic table of the similarity to this element")
    command.add_argument("--seed", type=int, default=0, help="of the map (default: %(default)s)")
    command.add_argument("--overwrite", action="store_true", help="replace a picture that is there")

    command = add_command(
        commands, "explore", _explore, "Write a table as an interactive map: one page that needs no network."
    )
    command.add_argument("table", type=Path, help=TABLE)
    add_output(command, "--out", required=True, help="page: .html")
    command.add_argument(
        "--method", choices=("tsne", "pca", "umap"), default="tsne", help="of the map (default: %(default)s)"
    )
    command.add_argument("--kind", choices=("element", "species", "motif", "geometry"), help="only tokens of this kind")
    command.add_argument("--limit", type=positive_integer, default=10_000, help="tokens at most (default: %(default)s)")
    command.add_argument("--corpus", type=Path, help="corpus or motif tables, for counts and example compounds")
    command.add_argument("--seed", type=int, default=0, help="of the map (default: %(default)s)")
    command.add_argument("--overwrite", action="store_true", help="replace a page that is there")

    command = add_command(
        commands, "info", _info, "Show the card of a corpus, of motifs, of graphs, of a table or of a transformer."
    )
    command.add_argument("path", type=Path, help="folder, file of a table, or a name that matembed list shows")


def _nearest(options: argparse.Namespace) -> None:
    table = read_table(options.table)
    if options.kind is not None and options.kind not in table.kinds:
        kinds = sorted({kind for kind in table.kinds if kind is not None})
        msg = f"{options.table} holds no token of kind {options.kind}; leave out --kind, or take {', '.join(kinds)}"
        raise ValueError(msg)
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
    rejected = options.out.with_suffix(".rejected.csv")
    for path in (options.out, rejected):
        if path.exists() and not options.overwrite:
            msg = f"{path} already exists; choose another path or pass --overwrite"
            raise FileExistsError(msg)
    table = read_table(options.table)
    what = looks_up([table])
    inputs = read_inputs(options.input, what=what, column=options.column, id_column=options.id_column)
    featurizer = (
        FormulaFeaturizer(table, pooling=pooling(options), on_missing=options.on_missing)
        if what == "formulas"
        else StructureFeaturizer(table, blocks="vectors", pooling=pooling(options), on_missing=options.on_missing)
    )
    features = featurizer.set_output(transform="pandas").fit_transform(inputs.materials)
    rows = pd.concat([inputs.frame, features.set_axis(inputs.frame.index)], axis=1)
    with whole_file(options.out) as partial:
        rows.to_csv(partial, index=False) if options.out.suffix == ".csv" else rows.to_parquet(partial, index=False)
    print(f"{len(rows):,} materials, {features.shape[1]} features: {options.out}")
    rejected.unlink(missing_ok=True)
    if len(inputs.rejected):
        with whole_file(rejected) as partial:
            inputs.rejected.to_csv(partial, index=False)
        print_rows(f"rejected ({rejected})", inputs.rejected)
    print_rows("rewritten", inputs.rewritten)


def _probe(options: argparse.Namespace) -> None:
    from matembed._atomic import whole_file
    from matembed.downstream.probes import probe

    if options.out is not None and options.out.suffix != ".csv":
        msg = f"scores are written as .csv, got {options.out.name!r}"
        raise ValueError(msg)
    if options.out is not None and options.out.exists() and not options.overwrite:
        msg = f"{options.out} already exists; choose another path or pass --overwrite"
        raise FileExistsError(msg)
    found = probe(read_tables(options.table), max_motifs=options.max_motifs, seed=options.seed)
    print_frame(found.set_index(["table", "probe", "vectors"]))
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
    table = read_table(options.table).subset(options.tokens, kind=options.kind)
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


def _explore(options: argparse.Namespace) -> None:
    from matembed.corpus.corpus import Corpus
    from matembed.corpus.motif_tables import MotifTables
    from matembed.downstream.explorer import explore

    if options.out.suffix != ".html":
        msg = f"the page is written as .html, got {options.out.name!r}"
        raise ValueError(msg)
    if options.out.exists() and not options.overwrite:  # before the map is made, which takes a while
        msg = f"{options.out} already exists; choose another path or pass --overwrite"
        raise FileExistsError(msg)
    corpus: Corpus | MotifTables | None = None
    if options.corpus is not None:
        is_tables = (options.corpus / "motifs.parquet").exists()
        corpus = MotifTables.read(options.corpus) if is_tables else Corpus.read(options.corpus)
    page = explore(
        read_table(options.table),
        method=options.method,
        corpus=corpus,
        kind=options.kind,
        limit=options.limit,
        seed=options.seed,
    )
    print(page.write(options.out, overwrite=options.overwrite))


def _info(options: argparse.Namespace) -> None:
    from matembed.cards import Card
    from matembed.corpus.corpus import Corpus
    from matembed.corpus.motif_tables import MotifTables
    from matembed.graphs.atom_motif import AtomMotifGraphs
    from matembed.pretrained import fetch

    pretrained = is_pretrained(options.path) and not options.path.exists()
    if not pretrained and not options.path.exists():
        wanted = "of a corpus, of motifs, of graphs, of a table or of a transformer"
        msg = f"{options.path} does not exist; wanted the folder {wanted}"
        raise FileNotFoundError(msg)
    folder = fetch(options.path.as_posix()) if pretrained else options.path
    if folder.is_file() or (folder / "vectors.safetensors").exists():
        table = read_table(options.path)
        print(table)
        print_card(table.card)
    elif (folder / "motifs.parquet").exists():
        tables = MotifTables.read(folder)
        print(tables)
        print_card(tables.card)
    elif (folder / "graphs.safetensors").exists():
        graphs = AtomMotifGraphs.read(folder)
        print(graphs)
        print_card(graphs.card)
    elif (folder / "model.safetensors").exists():
        print_card(Card.from_dict(_config(folder).get("card", {})))
    elif (kind := _config(folder).get("type", "Corpus")) != "Corpus":
        msg = f"{folder} holds {kind}, wanted a corpus, motifs, graphs, a table or a transformer"
        raise ValueError(msg)
    else:
        corpus = Corpus.read(folder)
        print_card(corpus.card)
        print(f"views: {', '.join(corpus.views)}")


def _config(folder: Path) -> dict[str, Any]:
    """Read what a folder says of itself; nothing, where it is none of ours."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
