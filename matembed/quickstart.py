"""The main job, end to end, with the vectors and the crystals that come with the packages: `matembed quickstart`."""

import base64
import html
import json
import os
import string
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from matembed._atomic import refuse_occupied, whole_file

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from matembed.corpus.corpus import Corpus
    from matembed.embeddings import EmbeddingTable
    from matembed.encoders import Encoder
    from matembed.tokens import Kind

__all__ = ["quickstart"]

_MINERALS_SHOWN = (
    "Halite, Rock Salt",
    "Fluorite",
    "(Cubic) Perovskite",
    "Rutile",
    "Corundum",
    "Spinel",
    "quartz (alpha)",
    "Molybdenite",
)
_ELEMENTS_SHOWN = ("Li", "Ca", "Ti", "Fe", "Zn", "Al", "Si", "O", "S", "Cl")
_MOTIFS_SHOWN = ("TiO6:O:6", "SiO4:T:4", "FeS6:O:6", "CuO4:S:4", "CsCl8:C:8", "PbO4:S:4")
_SPECIES_SHOWN = ("Fe3+", "Ti4+", "La3+", "O2-")
_N_MOTIFS_MAPPED = 4000
_N_MOTIFS_SHOWN = 8
_N_MOTIFS_COMPARED = 30
_ELEMENT_VECTORS = "element_vectors"
_PRETRAINED = "pretrained_elements"
_KIND = "Quickstart"
_SCORES_SHOWN = ["kind", "mae", "mae_se", "r2", "vs_one_hot_elements", "vs_one_hot_elements_se"]


def quickstart(
    out: str | os.PathLike[str] = "matembed-quickstart",
    *,
    seed: int = 0,
    workers: int = 1,
    limit: int | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Path:
    """Look at the pretrained vectors, train others on prototypes, predict with both, and report it on one page.

    The pretrained tables come with the package. The crystals are the AFLOW prototypes that pymatgen ships, named after
    minerals: no network, no key. So few crystals teach little chemistry; the page shows the path and says so.

    Parameters
    ----------
    out : path-like
        Folder to make: ``corpus/``, ``element-vectors/``, ``motif-vectors/``, ``figures/``, ``scores.csv``,
        ``report.html``.
    seed : int, default 0
        Of the walks, the training, the folds and the random baseline.
    workers : int, default 1
        Processes that look for motifs. The result does not depend on it.
    limit : int, optional
        Only the first `limit` crystals, for a glance.
    progress : bool, default True
        Show a bar on standard error.
    overwrite : bool, default False
        Replace an earlier report. A corpus that is there is used again if seed and versions are the same.

    Returns
    -------
    Path
        The report, ``out/report.html``.

    Raises
    ------
    FileExistsError
        If `out` holds a report and `overwrite` is false, or holds something other than an earlier run.

    Notes
    -----
    The vectors are learnt from the formulas and crystals that the prediction is then tested on, without their
    volumes. Scores are cross-validated with no formula in both the training and the test part.
    """
    from matembed.downstream.benchmark import evaluate
    from matembed.encoders.context_svd import ContextSVD
    from matembed.pretrained import load

    folder = Path(out)
    report = folder / "report.html"
    started = (folder / "config.json").exists() and not report.exists()
    refuse_occupied(folder, kind=_KIND, overwrite=overwrite or started)
    with whole_file(folder / "config.json") as partial:
        partial.write_text(json.dumps({"schema": 1, "type": _KIND, "seed": seed}) + "\n", encoding="utf-8")
    report.unlink(missing_ok=True)
    _say("1 of 5  pretrained vectors of elements, species and motifs")
    pretrained = {name: load(name) for name in ("elements", "species", "motifs")}
    known_rows = [
        *_neighbours(pretrained["elements"], _ELEMENTS_SHOWN, kind="element"),
        *_neighbours(pretrained["species"], _SPECIES_SHOWN, kind="species"),
        *_neighbours(pretrained["motifs"], _MOTIFS_SHOWN, kind="motif"),
    ]
    _say_rows(known_rows)
    _say("2 of 5  crystals -> formula and motif corpora")
    corpus = _build(folder / "corpus", seed=seed, workers=workers, limit=limit, progress=progress)
    _say("3 of 5  corpora -> element and motif vectors")
    elements = ContextSVD(dim=32, rows="element").fit(corpus.with_view("environments")).embeddings()
    motifs = _motif_encoder(seed).fit(corpus.with_view("walks")).embeddings()
    elements.write(folder / "element-vectors", overwrite=True)
    motifs.write(folder / "motif-vectors", overwrite=True)
    crystals = _minerals(corpus)
    commonest = _commonest_motifs(corpus, motifs)
    element_rows = _neighbours(elements, [token for token in _ELEMENTS_SHOWN if token in elements], kind="element")
    motif_rows = _neighbours(motifs, commonest[:_N_MOTIFS_SHOWN], kind="motif")
    _say_rows([*element_rows, *motif_rows])
    _say("4 of 5  vectors -> volume per atom (Å³) of crystals whose formula was not in the training part")
    materials = corpus.materials()
    evaluation = evaluate(
        {_PRETRAINED: load("elements-from-formulas"), _ELEMENT_VECTORS: elements},  # "elements" was told volumes
        materials["formula"],
        materials["volume_per_atom"],
        pooling=["mean", "std"],
        on_missing="neighbours",
        splits="formula",
        seed=seed,
    )
    summary = evaluation.summary()
    _say(summary.to_string(float_format=lambda value: f"{value:.3g}"))
    _say("5 of 5  pictures and report")
    parity = evaluation.plot(_PRETRAINED, unit="Å³/atom", label="volume per atom")
    figures = _draw_pretrained(pretrained["elements"], pretrained["motifs"]) | _draw(
        elements, motifs, commonest, parity
    )
    with whole_file(folder / "scores.csv") as partial:
        evaluation.scores.to_csv(partial, index=False)
    for name, (figure, _) in figures.items():
        with whole_file(folder / "figures" / f"{name}.png") as partial:
            figure.savefig(partial, format="png", dpi=120)
    tables = {"pretrained": known_rows, "elements": element_rows, "motifs": motif_rows}
    page = _report(corpus, crystals, tables, summary, figures, folder / "figures", motifs.card.name)
    with whole_file(report) as partial:
        partial.write_text(page, encoding="utf-8")
    return report


def _build(path: Path, *, seed: int, workers: int, limit: int | None, progress: bool) -> "Corpus":
    """Build the corpus, or take the one that an interrupted run finished."""
    from matembed.cards import package_versions
    from matembed.corpus.build import build_corpus
    from matembed.corpus.corpus import Corpus
    from matembed.sources.prototypes import PROTOTYPES_CARD, read_prototypes

    if path.exists():
        finished = Corpus.read(path)
        same = (finished.card.seed, finished.card.settings.get("limit"), finished.card.versions)
        if same == (seed, limit, package_versions()):
            return finished
    return build_corpus(
        read_prototypes(),
        path,
        limit=limit,
        card=PROTOTYPES_CARD,
        seed=seed,
        workers=workers,
        progress=progress,
        overwrite=True,
    )


def _motif_encoder(seed: int) -> "Encoder":
    """Word2vec where gensim is installed; it has no release for Python 3.14 yet."""
    from matembed.encoders.context_svd import ContextSVD
    from matembed.encoders.word2vec import Word2Vec

    return Word2Vec(dim=32, epochs=30, seed=seed) if find_spec("gensim") else ContextSVD(dim=32)


def _say(line: str) -> None:
    print(line, flush=True)


def _say_rows(rows: Iterable[tuple[str, str]]) -> None:
    for token, found in rows:
        _say(f"        {token:<14} {found}")


def _minerals(corpus: "Corpus") -> list[tuple[str, str]]:
    named = corpus.materials().set_index("id")["mineral"]
    return [(str(named[name]), str(graph)) for name, graph in corpus.motif_graphs() if named[name] in _MINERALS_SHOWN]


def _commonest_motifs(corpus: "Corpus", table: "EmbeddingTable") -> list[str]:
    """Motifs that occur in the most crystals, of those with a vector: a motif with no connection is in no walk."""
    crystals = Counter(token for _, graph in corpus.motif_graphs() for token in {motif.token for motif in graph.motifs})
    known = [(-n, token) for token, n in crystals.items() if token in table]
    return [token for _, token in sorted(known)[:_N_MOTIFS_COMPARED]]


def _neighbours(table: "EmbeddingTable", tokens: Iterable[str], kind: "Kind") -> list[tuple[str, str]]:
    return [
        (token, ", ".join(f"{found.token} {found.similarity:.2f}" for found in table.nearest(token, 5, kind=kind)))
        for token in tokens
    ]


def _draw_pretrained(elements: "EmbeddingTable", motifs: "EmbeddingTable") -> dict[str, tuple["Figure", str]]:
    """Figures of the tables that come with the package."""
    from matembed.downstream import plots

    return {
        "families": (
            plots.element_families(elements, title="Families of elements"),
            "Families of nearest neighbours among the pretrained element vectors; each element names the one nearest "
            "to it. Hatched elements are in no formula that the vectors were learnt from: theirs are made from "
            "their neighbours'.",
        ),
        "pretrained-motifs": (
            plots.embedding_map(
                motifs.subset(motifs.tokens[:_N_MOTIFS_MAPPED]),
                color="geometry",
                title="Motifs of the Materials Project",
            ),
            f"The {_N_MOTIFS_MAPPED:,} commonest motifs of 138,233 crystals along their two principal components.",
        ),
    }


def _draw(
    elements: "EmbeddingTable", motifs: "EmbeddingTable", commonest: list[str], parity: "Figure"
) -> dict[str, tuple["Figure", str]]:
    """Figures by name, each with its caption."""
    from matembed.downstream import plots

    return {
        "elements-like-oxygen": (
            plots.periodic_table(elements, similar_to="O", title="Similarity to oxygen"),
            "Cosine similarity of each element's vector to that of oxygen.",
        ),
        "element-map": (
            plots.embedding_map(elements, color="block", title="Elements"),
            "The element vectors along their two principal components.",
        ),
        "motif-map": (
            plots.embedding_map(motifs.subset(kind="motif"), color="geometry", labels=commonest, title="Motifs"),
            "The motif vectors along their two principal components, coloured by coordination geometry.",
        ),
        "motif-similarity": (
            plots.similarity_heatmap(motifs.subset(commonest), title="Commonest motifs"),
            f"Cosine similarity of the {len(commonest)} motifs that occur in the most crystals.",
        ),
        "parity": (
            parity,
            "Volume per atom of crystals whose formula was not in the training part, predicted from the pretrained "
            "element vectors. Its figures are over all crystals at once; those of the table are means over folds.",
        ),
    }


def _report(
    corpus: "Corpus",
    crystals: list[tuple[str, str]],
    neighbours: dict[str, list[tuple[str, str]]],
    summary: "pd.DataFrame",
    figures: dict[str, tuple["Figure", str]],
    pictures: Path,
    motif_encoder: str,
) -> str:
    """Fill in the page; it holds its pictures, so that it can be sent as one file."""
    counts = corpus.card.counts
    rejected = corpus.rejected()
    page = files("matembed").joinpath("quickstart.html").read_text(encoding="utf-8")
    return string.Template(page).substitute(
        encoder=html.escape(motif_encoder),
        counts=_table(["", ""], [(name, f"{count:,}") for name, count in counts.items()]),
        rejected=_table(["crystal", "reason"], rejected[["id", "reason"]].itertuples(index=False))
        if len(rejected)
        else "<p>No crystal was rejected.</p>",
        crystals=_table(["mineral", "what it became"], crystals),
        **{name: _table(["token", "nearest, with cosine similarity"], rows) for name, rows in neighbours.items()},
        scores=summary[_SCORES_SHOWN].round(2).to_html(border=0),
        **{
            name.replace("-", "_"): _picture(pictures / f"{name}.png", caption)
            for name, (_, caption) in figures.items()
        },
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    cells = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _picture(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = html.escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure>'
