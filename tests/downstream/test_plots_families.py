"""Families on the periodic table and as a tree, and what large maps and learning curves show beside them."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from matembed.cards import Card
from matembed.cli import main
from matembed.downstream.plots import dendrogram, element_families, embedding_map, learning_curve
from matembed.downstream.plots._families import cut_into_families, grow_tree
from matembed.downstream.plots._periodic_table_layout import PALE, cells
from matembed.embeddings import EmbeddingTable

FAMILIES = (
    ("Li", "Na", "K", "Rb", "Cs"),
    ("F", "Cl", "Br", "I"),
    ("Ti", "V", "Cr", "Mn", "Fe", "Co"),
    ("La", "Ce", "Pr", "Nd"),
)


def made_up(*, noise=0.1, seed=0, backed_off=()):
    """Make a table of four clear clusters of elements, in an order that does not show them."""
    rng = np.random.default_rng(seed)
    tokens = [symbol for family in FAMILIES for symbol in family]
    vectors = np.repeat(3 * np.eye(4, 8), [len(family) for family in FAMILIES], axis=0) + 7
    vectors += noise * rng.normal(size=vectors.shape)
    order = rng.permutation(len(tokens))
    return EmbeddingTable([tokens[row] for row in order], vectors[order], Card("made up"), frozenset(backed_off))


def cell_patch(figure, symbol):
    place = next((cell.column, cell.row) for cell in cells() if cell.symbol == symbol)
    return next(patch for patch in figure.axes[0].patches if patch.get_xy() == place)


def face_of(figure, symbol):
    return to_hex(cell_patch(figure, symbol).get_facecolor())


def neighbour_written_in(figure, symbol):
    place = next((cell.column, cell.row) for cell in cells() if cell.symbol == symbol)
    inside = [
        text.get_text()
        for text in figure.axes[0].texts
        if 0 < text.get_position()[0] - place[0] < 1 and 0 < text.get_position()[1] - place[1] < 1
    ]
    return next(text.removeprefix("→ ") for text in inside if text.startswith("→"))


def png_of(figure, path):
    figure.savefig(path)
    return path.read_bytes()


def words_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("seed", range(3))
def test_clear_clusters_are_the_families(seed):
    table = made_up(seed=seed)
    tree = grow_tree(table)
    numbers = dict(zip(tree.tokens, cut_into_families(tree, 4).tolist(), strict=True))
    assert {tuple(sorted(s for s in numbers if numbers[s] == idx)) for idx in range(4)} == {
        tuple(sorted(family)) for family in FAMILIES
    }
    along = [numbers[tree.tokens[row]] for row in tree.order]
    assert along == sorted(along)


def test_families_share_a_colour_and_neighbours_are_those_of_centred_cosines():
    table = made_up()
    figure = element_families(table, n_families=4)
    colors = [{face_of(figure, symbol) for symbol in family} for family in FAMILIES]
    assert all(len(own) == 1 for own in colors)
    assert len(set.union(*colors)) == 4
    centred = replace(table, vectors=table.vectors - table.vectors.mean(axis=0))
    for symbol in table.tokens:
        assert neighbour_written_in(figure, symbol) == centred.nearest(symbol, 1)[0].token


def test_legend_names_the_families():
    words = words_of(element_families(made_up(), n_families=4))
    assert "F Cl Br I" in words
    assert "Li Na K Rb Cs" in words
    assert any(re.fullmatch(r"\w+ \w+ \w+ \w+ \+ 2", word) for word in words)  # six of them have no room
    assert "F Cl Br I" not in words_of(element_families(made_up(), n_families=4, legend=False))


def test_elements_without_vectors_are_grey_and_backed_off_ones_pale():
    assert "backed off" not in words_of(element_families(made_up()))
    table = made_up(backed_off=["Rb"])
    figure = element_families(table, n_families=4)
    assert face_of(figure, "Og") == PALE
    assert cell_patch(figure, "Og").get_hatch()
    assert cell_patch(figure, "Rb").get_hatch()
    assert not cell_patch(figure, "K").get_hatch()
    assert face_of(figure, "Rb") not in (PALE, face_of(figure, "K"))
    assert neighbour_written_in(figure, "Rb") in FAMILIES[0]
    assert {"backed off", "no vector"} <= set(words_of(figure))
    others = [symbol for symbol in table.tokens if symbol != "Rb"]
    assert all(neighbour_written_in(figure, symbol) != "Rb" for symbol in others)
    without = element_families(table.subset(others), n_families=4)
    assert all(face_of(without, symbol) == face_of(figure, symbol) for symbol in others)


def test_other_tokens_of_a_table_change_nothing(tmp_path):
    table = made_up()
    more = EmbeddingTable((*table.tokens, "TiO6:O:6"), np.vstack([table.vectors, np.ones(8)]), table.card)
    first = png_of(element_families(table), tmp_path / "a.png")
    assert png_of(element_families(more), tmp_path / "b.png") == first
    assert png_of(dendrogram(more), tmp_path / "c.png") == png_of(dendrogram(table), tmp_path / "d.png")


def test_dendrogram_has_a_leaf_per_token_and_a_branch_per_join():
    figure = dendrogram(made_up(), n_families=4)
    axes = figure.axes[0]
    leaves = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(leaves) == sorted(made_up().tokens)
    for family in FAMILIES:
        places = [leaves.index(symbol) for symbol in family]
        assert max(places) - min(places) == len(family) - 1
    branches = [line for line in axes.lines if len(line.get_xdata()) == 4]
    dots = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert (len(branches), len(dots)) == (len(leaves) - 1, len(leaves))
    greys = [line for line in branches if line.get_color() == "#a6a6a6"]
    assert len(greys) == 3  # three joins of four families
    assert min(max(line.get_xdata()) for line in greys) > max(
        max(line.get_xdata()) for line in branches if line not in greys
    )


def test_colours_of_leaves():
    figure = dendrogram(made_up(), color="block")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["s", "p", "d", "f"]
    motifs = [f"{symbol}O{cn}:{geometry}" for symbol in ("Ti", "Fe", "Mg") for cn, geometry in ((4, "T:4"), (6, "O:6"))]
    table = EmbeddingTable(motifs, np.random.default_rng(0).normal(size=(6, 4)), Card("motifs"))
    figure = dendrogram(table, kind="motif", color="geometry")
    assert "O:6 octahedron" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "TiO₆ O:6" in [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("n_tokens", [3, 40, 150])
def test_labels_of_a_dendrogram_do_not_overlap_and_are_within_the_figure(n_tokens):
    tokens = [f"word{n}" for n in range(n_tokens)]
    table = EmbeddingTable(tokens, np.random.default_rng(0).normal(size=(n_tokens, 5)), Card("words"))
    figure = dendrogram(table, kind=None)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(low.y1 <= high.y0 + 0.5 for high, low in pairwise(boxes))  # half a pixel
    bounds = figure.get_tightbbox(canvas.get_renderer())
    assert bounds.x0 > -0.01  # inches: letters are measured to whole pixels
    assert bounds.x1 < figure.get_figwidth() + 0.01


WORDS = EmbeddingTable([f"word{n}" for n in range(151)], np.random.default_rng(0).normal(size=(151, 3)), Card("words"))
ALIKE = EmbeddingTable(("Li", "Na", "K"), np.ones((3, 4)), Card("alike"))


@pytest.mark.parametrize("draw", [element_families, dendrogram])
@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (made_up().subset(["Li", "Na"]), {}, "needs 3 learned tokens or more, got 2"),
        (made_up(backed_off=made_up().tokens[2:]), {}, "needs 3 learned tokens or more, got 2"),
        (ALIKE, {}, "are all the same"),
        (made_up(), {"n_families": 1}, "from 2 to 18 for 19 learned tokens, got 1"),
        (made_up(), {"n_families": 19}, "from 2 to 18 for 19 learned tokens, got 19"),
        (made_up().subset(["Li", "Na", "F"]), {"n_families": 4}, "from 2 to 3 for 3 learned tokens, got 4"),
        (made_up(), {"n_families": 2.5}, "must be an integer"),
    ],
)
def test_both_refuse(draw, table, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        draw(table, **options)
    assert "\n" not in str(caught.value)


def test_what_only_one_refuses():
    with pytest.raises(TypeError, match="must be an EmbeddingTable, got dict"):
        element_families({"Li": 1.0})
    with pytest.raises(TypeError, match="must be an EmbeddingTable, got dict"):
        dendrogram({"Li": 1.0})
    with pytest.raises(ValueError, match="has no element token"):
        element_families(WORDS)
    with pytest.raises(ValueError, match=r"3 to 150 tokens, got 151; pass table\.subset"):
        dendrogram(WORDS, kind=None)
    with pytest.raises(ValueError, match="color must be one of"):
        dendrogram(made_up(), color="mass")
    with pytest.raises(ValueError, match="n_families=3 is for color=\"family\", got color='block'"):
        dendrogram(made_up(), color="block", n_families=3)


# Large maps


def many_motifs():
    elements = [cell.symbol for cell in cells()[:90]]
    geometries = (
        "O:6",
        "T:4",
        "TL:3",
        "S:4",
        "S:5",
        "T:5",
        "C:12",
        "C:8",
        "PB:7",
        "TT_1:9",
        "SBSA:10",
        "DDPN:8",
        "T:6",
    )
    tokens = [
        f"{element}{ligand}{geometry.partition(':')[2]}:{geometry}"
        for geometry in geometries
        for element in elements
        for ligand in ("O", "S")
        if element != ligand
    ]
    return EmbeddingTable(tokens, np.random.default_rng(0).normal(size=(len(tokens), 4)), Card("motifs"))


def test_large_maps_have_small_points_twelve_colours_and_few_labels(tmp_path):
    table = many_motifs()
    assert len(table) > 2000
    figure = embedding_map(table)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(legend) == 13
    assert "O:6 octahedron (178)" in legend
    dots = [points for points in figure.axes[0].collections if points.get_label()[0] != "_"]
    assert all(points.get_rasterized() and points.get_sizes()[0] <= 6 for points in dots)
    assert len({tuple(points.get_facecolor()[0]) for points in dots}) == 13
    assert len(figure.axes[0].texts) <= 36
    assert png_of(embedding_map(table), tmp_path / "a.png") == png_of(figure, tmp_path / "b.png")


# Learning curves


def curve_scores():
    rows = [
        {"features": name, "kind": kind, "n_train": size, "repeat": repeat, "mae": error / size + 0.01 * repeat}
        for name, kind, error in (("one_hot", "baseline", 9.0), ("svd", "table", 4.0), ("mlm", "table", 3.0))
        for size in (10, 100)
        for repeat in range(4)
    ]
    return pd.DataFrame(rows)


def test_baselines_of_a_learning_curve_are_grey_and_dashed():
    axes = learning_curve(curve_scores()).axes[0]
    lines = {box.get_label(): box[0] for box in axes.containers}
    assert {name for name, line in lines.items() if line.get_linestyle() == "--"} == {"one_hot"}
    assert lines["one_hot"].get_color() == "#8c8c8c"
    assert len({line.get_color() for line in lines.values()}) == 3
    without = learning_curve(curve_scores().drop(columns="kind")).axes[0]
    assert all(box[0].get_linestyle() == "-" for box in without.containers)


def test_a_summary_is_drawn_like_the_scores_behind_it(tmp_path):
    scores = curve_scores()
    groups = scores.groupby(["features", "n_train"], sort=False)
    summary = groups[["mae"]].mean().assign(kind=groups["kind"].first(), mae_se=groups["mae"].sem())
    summary.index.names = ["features", "size"]
    first = png_of(learning_curve(scores, unit="eV"), tmp_path / "a.png")
    assert png_of(learning_curve(summary, unit="eV"), tmp_path / "b.png") == first


# Command line


@pytest.mark.parametrize(
    "words",
    [
        ["families"],
        ["families", "--n-families", "4"],
        ["dendrogram", "--color", "block"],
        ["dendrogram", "--tokens", "Li", "Na", "K", "F", "Cl", "--n-families", "2"],
    ],
)
def test_the_command_draws(tmp_path, words):
    made_up().write(tmp_path / "table")
    out = tmp_path / "figure.png"
    assert main(["plot", words[0], str(tmp_path / "table"), *words[1:], "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_the_command_refuses_in_one_line(tmp_path, capsys):
    made_up().write(tmp_path / "table")
    words = ["plot", "families", str(tmp_path / "table"), "--n-families", "40", "--out", str(tmp_path / "a.png")]
    assert main(words) == 2
    assert "from 2 to 18" in capsys.readouterr().err
