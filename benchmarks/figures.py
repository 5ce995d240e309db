"""Draw the pictures of the README from the vectors that come with the package.

``python benchmarks/figures.py [--results embeddings-results/results.csv]``; the learning curve is drawn from the
measurements of ``embeddings.py``, where they are.
"""

import argparse
from pathlib import Path

import pandas as pd

import matembed as me

FIGURES = Path(__file__).with_name("figures")
N_MOTIFS = 10_000
CURVE = ("elements", "elements-from-formulas", "oliynyk", "jarvis", "mat2vec", "one-hot", "random")
BASELINES = ("one-hot", "random")


def curve(results: Path) -> pd.DataFrame:
    """Errors of kernel ridge by number of training rows, at each table's best form, averaged over three tasks."""
    rows = pd.read_csv(results)
    rows = rows[(rows["model"] == "kernel_ridge") & (rows["size"] > 0) & rows["table"].isin(CURVE)]
    means = rows.groupby(["table", "form", "size"])["error"].mean()
    best = {table: group.groupby("form").mean().idxmin() for table, group in means.groupby("table")}
    kept = rows[[best[table] == form for table, form in zip(rows["table"], rows["form"], strict=True)]]
    kept = kept.rename(columns={"table": "features", "size": "n_train", "error": "norm"})
    kept["kind"] = ["baseline" if name in BASELINES else "table" for name in kept["features"]]
    # the spread over tasks is no uncertainty: no bars
    return kept.groupby(["features", "kind", "n_train"], sort=False)["norm"].mean().reset_index()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help="measurements of embeddings.py")
    options = parser.parse_args()
    FIGURES.mkdir(exist_ok=True)
    elements, motifs = me.load("elements"), me.load("motifs")
    figures = {
        "element-families": me.plots.element_families(elements, title="Families of elements"),
        "element-dendrogram": me.plots.dendrogram(elements, title="Elements by their vectors"),
        "motif-map": me.plots.embedding_map(
            motifs.subset(motifs.tokens[:N_MOTIFS]), method="umap", color="geometry", title=f"{N_MOTIFS:,} motifs"
        ),
    }
    if options.results:
        figures["learning-curve"] = me.plots.learning_curve(
            curve(options.results), score="norm", label="error / error of the training mean"
        )
    for name, figure in figures.items():
        figure.savefig(FIGURES / f"{name}.png", dpi=110)
        print(FIGURES / f"{name}.png")
