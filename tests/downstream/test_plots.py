"""Figures say what they should, and a person can read them."""

import importlib.util
import itertools
import math
import re
import subprocess
import sys
from collections import Counter

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from pymatgen.core.periodic_table import Element
from scipy.spatial.distance import pdist
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from matembed.cards import Card
from matembed.downstream.plots import (
    attention_map,
    embedding_map,
    learning_curve,
    parity,
    periodic_table,
    similarity_heatmap,
)
from matembed.downstream.plots._periodic_table_layout import cells
from matembed.embeddings import EmbeddingTable, UnknownTokenError

SYMBOLS = tuple(Element.from_Z(number).symbol for number in range(1, 119))
GEOMETRIES = ("O:6", "T:4", "TL:3", "S:4", "S:5", "T:5", "C:12", "C:8", "PB:7", "TT_1:9", "SBSA:10", "DDPN:8")
MOTIFS = tuple(
    f"{element}{'O' + geometry.partition(':')[2]}:{geometry}"
    for geometry in GEOMETRIES
    for element in ("Ti", "Fe", "Na", "Zr", "La")
)


def table_of(tokens, *, dim=8, seed=0, name="demo"):
    vectors = np.random.default_rng(seed).normal(size=(len(tokens), dim))
    return EmbeddingTable(tuple(tokens), vectors, Card(name))


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def pixels(figure):
    drawn(figure)
    return np.asarray(figure.canvas.buffer_rgba()).tobytes()


def boxes_of(texts):
    return np.array([text.get_window_extent().extents for text in texts if text.get_visible() and text.get_text()])


def n_overlaps(boxes):
    low, high = boxes[:, :2], boxes[:, 2:]
    meet = ((low[:, None] < high[None]) & (high[:, None] > low[None])).all(axis=2)
    return int(np.triu(meet, k=1).sum())


def curve_rows():
    rows = [
        {"features": features, "n_train": size, "fold": fold, "mae": error * size**-0.3 * (1 + 0.05 * fold)}
        for features, error in (("one-hot", 3.0), ("a name of features so long that it needs two lines", 2.0))
        for size in (100, 200, 400, 3000)
        for fold in range(3)
    ]
    return pd.DataFrame(rows)


NOISE = np.random.default_rng(1).normal(size=(2, 1500))
FIGURES = {
    "periodic_table": lambda: periodic_table(dict.fromkeys(SYMBOLS[:90], 0.5), title="word " * 40, unit="unit " * 20),
    "periodic_table_similar": lambda: periodic_table(table_of(SYMBOLS), similar_to="Fe"),
    "map_elements": lambda: embedding_map(table_of(SYMBOLS), color="group"),
    "map_motifs": lambda: embedding_map(table_of(MOTIFS, name="name " * 40), labels=True),
    "map_three": lambda: embedding_map(table_of(("Li", "Na", "Cl"))),
    "heatmap_two": lambda: similarity_heatmap(table_of(("Li", "Na"))),
    "heatmap_elements": lambda: similarity_heatmap(table_of(SYMBOLS)),
    "heatmap_motifs": lambda: similarity_heatmap(table_of(MOTIFS)),
    "parity": lambda: parity(NOISE[0, :50], NOISE[1, :50], unit="eV", label="band gap", title="title " * 40),
    "parity_dense": lambda: parity(NOISE[0], NOISE[1], unit="a long unit " * 6),
    "learning_curve": lambda: learning_curve(curve_rows(), unit="eV", title="title " * 40),
}


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_clipped_at_the_edge(name):
    figure = FIGURES[name]()
    bounds = figure.get_tightbbox(drawn(figure))
    width, height = figure.get_size_inches()
    slack = 0.01  # inches: lines and letters are measured to whole pixels
    assert bounds.x0 > -slack
    assert bounds.y0 > -slack
    assert bounds.x1 < width + slack
    assert bounds.y1 < height + slack


@pytest.mark.parametrize("draw", [FIGURES["map_motifs"], FIGURES["heatmap_motifs"], FIGURES["periodic_table"]])
def test_same_input_same_picture_whatever_the_settings_of_the_user(draw):
    first = pixels(draw())
    with matplotlib.style.context("dark_background"):
        before = dict(mpl.rcParams)
        assert pixels(draw()) == first
        assert dict(mpl.rcParams) == before


def test_saved_picture_keeps_its_background(tmp_path):
    figure = parity([0.0, 1.0], [0.0, 1.0])
    figure.savefig(tmp_path / "light.png")
    with matplotlib.style.context("dark_background"):
        figure.savefig(tmp_path / "dark.png")
    assert (tmp_path / "light.png").read_bytes() == (tmp_path / "dark.png").read_bytes()


def test_notebooks_show_figures_without_pyplot():
    code = (
        "import sys; from matembed.downstream.plots import parity; figure = parity([1.0, 2.0], [1.0, 2.5]);"
        "assert figure._repr_png_()[1:4] == b'PNG'; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("draw", [embedding_map, similarity_heatmap])
@pytest.mark.parametrize(
    ("other", "got"),
    [("folder", "str"), (np.eye(3), "ndarray"), (pd.DataFrame(np.eye(3)), "DataFrame"), ({"Li": 1.0}, "dict")],
)
def test_what_is_no_table_is_refused(draw, other, got):
    with pytest.raises(TypeError, match=rf"^table must be an EmbeddingTable, got {got}; .*read\(path\)$"):
        draw(other)


# Periodic table


def test_layout_of_the_periodic_table():
    place = {cell.symbol: (cell.column, cell.row) for cell in cells()}
    assert [cell.number for cell in cells()] == list(range(1, 119))
    assert len(set(place.values())) == 118
    for family in (("H", "Li", "Na", "K", "Rb", "Cs", "Fr"), ("F", "Cl", "Br", "I", "At", "Ts"), ("La", "Ac")):
        assert len({place[symbol][0] for symbol in family}) == 1
        assert [place[symbol][1] for symbol in family] == sorted(place[symbol][1] for symbol in family)
    for period in (("Li", "Be", "B", "Ne"), ("K", "Sc", "Fe", "Zn", "Kr"), ("La", "Ce", "Lu"), ("Ac", "U", "Lr")):
        assert len({place[symbol][1] for symbol in period}) == 1
        assert [place[symbol][0] for symbol in period] == sorted(place[symbol][0] for symbol in period)
    assert place["La"][1] > place["Fr"][1] + 1


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("cmap", [None, "RdBu_r", "jet"])
def test_every_cell_is_labelled_once_and_readable(cmap):
    figure = periodic_table({symbol: number for number, symbol in enumerate(SYMBOLS[:100])}, cmap=cmap)
    axes = figure.axes[0]
    drawn(figure)
    written = Counter(text.get_text() for text in axes.texts)
    assert all(written[symbol] == 1 for symbol in SYMBOLS)
    assert n_overlaps(boxes_of(axes.texts)) == 0
    faces = {patch.get_xy(): patch.get_facecolor() for patch in axes.patches}
    for cell in cells():
        face = luminance(faces[cell.column, cell.row])
        inside = [
            t
            for t in axes.texts
            if 0 <= t.get_position()[0] - cell.column < 1 and 0 <= t.get_position()[1] - cell.row < 1
        ]
        assert len(inside) == (3 if cell.number <= 100 else 2)
        for text in inside:
            ink = luminance(text.get_color())
            # WCAG 2 asks for 4.5 : 1 in small text
            assert (max(ink, face) + 0.05) / (min(ink, face) + 0.05) >= 4.5


def face_of(figure, symbol):
    place = next((cell.column, cell.row) for cell in cells() if cell.symbol == symbol)
    return next(patch for patch in figure.axes[0].patches if patch.get_xy() == place)


def test_both_signs_are_centred_on_zero():
    figure = periodic_table({"Li": -1.0, "Na": 0.0, "K": 4.0})
    assert face_of(figure, "Na").get_facecolor() == mpl.colormaps["RdBu_r"](0.5)
    assert face_of(figure, "K").get_facecolor() == mpl.colormaps["RdBu_r"](1.0)
    sequential = periodic_table({"Li": 1.0, "Na": 2.0, "K": 4.0})
    assert face_of(sequential, "Li").get_facecolor() == mpl.colormaps["viridis"](0.0)


def test_elements_without_a_value_are_hatched():
    figure = periodic_table(pd.Series({"Li": 1.0, "Na": np.nan, "K": 2.0}))
    assert face_of(figure, "Na").get_hatch()
    assert face_of(figure, "He").get_hatch()
    assert not face_of(figure, "Li").get_hatch()
    assert "no value" in [text.get_text() for text in figure.axes[0].texts]
    full = periodic_table(dict.fromkeys(SYMBOLS, 1))
    assert "no value" not in [text.get_text() for text in full.axes[0].texts]


def test_component_and_similarity_of_a_table():
    table = EmbeddingTable(("Li", "Na", "F", "TiO6:O:6"), [[1, 0], [1, 1], [-2, 0.5], [9, 9]], Card("demo"))
    component = periodic_table(table, component=1)
    written = [text.get_text() for text in component.axes[0].texts]
    assert {"0.00", "1.00", "0.50"} <= set(written)
    assert "9.00" not in written
    assert component.get_suptitle() == "demo"
    similar = periodic_table(table, similar_to="Li")
    # the cosine of Li with itself does not stretch the colours, that of F does: -2 / sqrt(4.25) = -0.970
    assert face_of(similar, "F").get_facecolor() == mpl.colormaps["RdBu_r"](0.0)
    assert "−0.97" in [text.get_text() for text in similar.axes[0].texts]
    to_motif = periodic_table(table, similar_to="TiO6:O:6")
    assert "1.00" in [text.get_text() for text in to_motif.axes[0].texts]


def test_values_share_their_decimals_and_zero_has_no_sign():
    figure = periodic_table({"Li": -0.0004, "Na": 1.5, "K": 12.25})
    assert {"0.0", "1.5", "12.2"} <= {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ({}, {}, "no element has a value"),
        ({"Fe": None}, {}, "no element has a value"),
        ({"Xx": 1.0}, {}, "'Xx' is not a chemical element"),
        ({"Fe": math.inf}, {}, "value of Fe is infinite"),
        ({"Fe": "much"}, {}, "value of Fe must be a number"),
        (pd.Series([1.0, 2.0], index=["Fe", "Fe"]), {}, "Fe has 2 values"),
        ({"Fe": 1.0}, {"component": 0}, "read from an EmbeddingTable"),
        ({"Fe": 1.0}, {"cmap": "rainbows"}, "no colour map 'rainbows'"),
        (table_of(MOTIFS), {"component": 0}, "has no element token"),
        (table_of(SYMBOLS), {}, "pass component=0"),
        (table_of(SYMBOLS), {"component": 0, "similar_to": "Fe"}, "not both"),
        (table_of(SYMBOLS), {"component": 8}, "from 0 to 7, got 8"),
        (table_of(SYMBOLS), {"component": -1}, "from 0 to 7, got -1"),
        (table_of(SYMBOLS), {"component": 1.5}, "from 0 to 7, got 1.5"),
    ],
)
def test_periodic_table_refuses(values, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        periodic_table(values, **options)


def test_periodic_table_refuses_unknown_tokens_and_lists():
    with pytest.raises(UnknownTokenError):
        periodic_table(table_of(SYMBOLS[:5]), similar_to="Fe")
    with pytest.raises(TypeError, match="got list"):
        periodic_table([1.0, 2.0])


# Maps


def points_of(figure):
    return np.vstack([dots.get_offsets() for dots in figure.axes[0].collections if dots.get_label()[0] != "_"])


@pytest.mark.parametrize(
    ("tokens", "labels", "n_least"),
    [(SYMBOLS, "auto", 100), (MOTIFS, True, 50), (MOTIFS, "auto", 40), (SYMBOLS[:5], True, 5)],
)
def test_labels_of_a_map_do_not_overlap(tokens, labels, n_least):
    figure = embedding_map(table_of(tokens), labels=labels)
    axes = figure.axes[0]
    drawn(figure)
    boxes = boxes_of(axes.texts)
    frame = axes.get_window_extent()
    assert n_overlaps(boxes) == 0
    assert n_overlaps(boxes + np.array([-1.5, 0, 1.5, 0])) == 0  # those side by side do not read as one
    assert len(boxes) >= n_least
    assert max(Counter(text.get_text() for text in axes.texts).values()) == 1
    assert (boxes[:, :2] >= frame.min).all()
    assert (boxes[:, 2:] <= frame.max).all()


def test_labels_stay_beside_their_points():
    table = table_of(MOTIFS)
    figure = embedding_map(table, labels=MOTIFS[:3])
    assert [text.get_text() for text in figure.axes[0].texts] == ["TiO₆ O:6", "FeO₆ O:6", "NaO₆ O:6"]
    for text in figure.axes[0].texts:
        assert np.isclose(points_of(figure), text.xy).all(axis=1).any()


def test_crowded_labels_are_left_out_the_last_first():
    vectors = np.random.default_rng(0).normal(size=(60, 2)) * 1e-3
    vectors[-1] = 1
    figure = embedding_map(EmbeddingTable(SYMBOLS[:60], vectors, Card("demo")))
    written = [text.get_text() for text in figure.axes[0].texts]
    assert "H" in written
    assert SYMBOLS[59] in written
    assert len(written) < 40


def test_pca_keeps_the_distances_of_planar_vectors():
    table = table_of(SYMBOLS[:20], dim=2)
    figure = embedding_map(table, color="element", labels=False)
    rows = [row for dots in figure.axes[0].collections for row in dots.get_offsets().tolist()]
    # float32 vectors carry 7 digits
    assert np.allclose(np.sort(pdist(rows)), np.sort(pdist(table.vectors)), atol=1e-5)
    shares = [
        float(re.search(r"\((\d+) %\)", label)[1])
        for label in (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel())
    ]
    assert sum(shares) == pytest.approx(100, abs=1)  # each is rounded
    assert figure.axes[0].get_aspect() == 1


def test_pca_does_not_depend_on_the_origin():
    table = table_of(SYMBOLS[:20])
    moved = EmbeddingTable(table.tokens, table.vectors + 3, table.card)
    # float32 vectors carry 7 digits
    assert np.allclose(points_of(embedding_map(table)), points_of(embedding_map(moved)), atol=1e-4)


def clusters():
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 6), 6, axis=0)
    return EmbeddingTable(SYMBOLS[:18], centres + 0.02 * rng.normal(size=centres.shape), Card("clusters"))


def assert_neighbours_are_kept_and_seeds_matter(method):
    points = [points_of(embedding_map(clusters(), method=method, color="element", seed=seed)) for seed in (0, 0, 7)]
    assert np.array_equal(points[0], points[1])
    first, other = embedding_map(clusters(), method=method, labels=False).axes[0], clusters()
    offsets = np.vstack([dots.get_offsets() for dots in first.collections])
    blocks = [Element(symbol).block if symbol != "He" else "s" for symbol in other.tokens]
    order = [row for block in "spd" for row, own in enumerate(blocks) if own == block]
    distance = np.linalg.norm(offsets[:, None] - offsets[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    assert all(order[a] // 6 == order[b] // 6 for a, b in enumerate(nearest))
    assert first.get_xticks().size == 0


def test_tsne_keeps_neighbours():
    assert_neighbours_are_kept_and_seeds_matter("tsne")


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
def test_umap_keeps_neighbours():
    assert_neighbours_are_kept_and_seeds_matter("umap")


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_colours_of_elements():
    table = table_of(("He", "Li", "O", "Fe", "La", "U", "Lu"))
    assert legend_of(embedding_map(table)) == ["s", "p", "d", "f"]
    assert legend_of(embedding_map(table, color="group")) == ["1", "8", "16", "18", "La–Lu", "Ac–Lr"]
    sizes = [len(dots.get_offsets()) for dots in embedding_map(table, labels=False).axes[0].collections[:4]]
    assert sizes == [2, 1, 2, 2]  # helium is an s-block element; lutetium a d-block one


def test_colours_of_motifs():
    figure = embedding_map(table_of(MOTIFS))
    assert len(legend_of(figure)) == 8
    assert legend_of(figure)[-1] == "other"
    assert "O:6 octahedron" in legend_of(embedding_map(table_of(MOTIFS[:10])))
    assert legend_of(embedding_map(table_of(MOTIFS), color="cn")) == ["3", "4", "5", "6", "7", "8", "9", "10", "12"]
    assert legend_of(embedding_map(table_of(MOTIFS), color="element")) == ["Fe", "La", "Na", "Ti", "Zr"]
    assert legend_of(embedding_map(table_of(GEOMETRIES)))[0] == "3"


def test_categories_differ_in_colour_and_shape():
    dots = embedding_map(table_of(SYMBOLS), color="group").axes[0].collections[:20]
    assert len({(tuple(d.get_facecolor()[0]), d.get_paths()[0].vertices.tobytes()) for d in dots}) == 20


@pytest.mark.parametrize(("color", "n_categories"), [("block", 4), ("group", 20), ("cn", 18)])
def test_categories_of_a_large_map_differ_in_colour(color, n_categories):
    motifs = [f"{symbol}O{cn}:UNKNOWN:{cn}" for symbol in SYMBOLS for cn in range(2, 20)]
    dots = embedding_map(table_of(motifs), color=color, labels=False).axes[0].collections
    assert len(dots) == n_categories
    assert len({tuple(points.get_facecolor()[0]) for points in dots}) == n_categories


def test_words_outside_the_grammar_are_drawn_in_one_colour():
    figure = embedding_map(table_of(("perovskite", "rutile", "cost$", "a_{b}$^")))
    assert not figure.legends
    assert len(figure.axes[0].texts) == 4
    drawn(figure)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (table_of(("Li", "Na")), {}, "needs 3 tokens"),
        (table_of(()), {}, "needs 3 tokens"),
        (table_of(SYMBOLS[:4]), {"method": "tsne"}, "needs 5 tokens"),
        (table_of(SYMBOLS, dim=1), {}, "dim 2 or more"),
        (EmbeddingTable(("Li", "Na", "K"), np.ones((3, 4)), Card("same")), {}, "all vectors of the table are the same"),
        (table_of(SYMBOLS), {"method": "isomap"}, 'method must be "pca", "tsne" or "umap", got \'isomap\''),
        (table_of(SYMBOLS), {"color": "mass"}, "color must be one of"),
        (table_of(SYMBOLS), {"color": "geometry"}, "color='geometry' fits no token"),
        (table_of(SYMBOLS), {"labels": "all"}, 'labels must be "auto"'),
        (table_of(SYMBOLS[:9]), {"labels": ["Fe"]}, "no vector for 'Fe'"),
    ],
)
def test_embedding_map_refuses(table, options, message):
    with pytest.raises((ValueError, UnknownTokenError), match=re.escape(message)):
        embedding_map(table, **options)


# Similarities


def shown_names(axis):
    labels = axis.get_majorticklabels() + axis.get_minorticklabels()
    places = [*axis.get_majorticklocs(), *axis.get_minorticklocs()]
    return [label.get_text() for _, label in sorted(zip(places, labels, strict=True), key=lambda pair: pair[0])]


@pytest.mark.parametrize("tokens", [SYMBOLS[:12], SYMBOLS, MOTIFS, tuple(f"word{n}" for n in range(150))])
def test_labels_of_a_heatmap_do_not_overlap(tokens):
    figure = similarity_heatmap(table_of(tokens))
    axes = figure.axes[0]
    drawn(figure)
    assert len(shown_names(axes.xaxis)) == len(tokens)
    assert shown_names(axes.xaxis) == shown_names(axes.yaxis)
    for axis in (axes.xaxis, axes.yaxis):
        assert n_overlaps(boxes_of(axis.get_majorticklabels() + axis.get_minorticklabels())) == 0
    width, height = axes.get_window_extent().size
    assert width == pytest.approx(height, rel=0.02)  # squares, to the pixel or two that layout moves by


def test_heatmap_shows_the_cosines_of_the_tokens_it_names():
    table = table_of(SYMBOLS[:12])
    axes = similarity_heatmap(table).axes[0]
    names = shown_names(axes.yaxis)
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            if i == j:
                assert np.isnan(shown[i, j])
            else:
                assert shown[i, j] == pytest.approx(table.similarity(first, second))
    norm = axes.images[0].norm
    assert norm.vmin == -norm.vmax == -np.nanmax(np.abs(shown))


def test_heatmap_puts_like_beside_like():
    names = shown_names(similarity_heatmap(clusters()).axes[0].yaxis)
    groups = [SYMBOLS.index(name) // 6 for name in names]
    assert sum(a != b for a, b in itertools.pairwise(groups)) == 2


def test_heatmap_of_chosen_tokens():
    axes = similarity_heatmap(table_of(MOTIFS), tokens=MOTIFS[:3], title="").axes[0]
    assert sorted(shown_names(axes.yaxis)) == ["FeO₆ O:6", "NaO₆ O:6", "TiO₆ O:6"]


def test_heatmap_of_identical_and_of_zero_vectors():
    table = EmbeddingTable(("Li", "Na", "K"), [[1, 0], [1, 0], [0, 0]], Card("demo"))
    drawn(similarity_heatmap(table))
    drawn(similarity_heatmap(table, tokens=["Li", "Na"]))


@pytest.mark.parametrize("tokens", [("Li",), tuple(f"word{n}" for n in range(151))])
def test_heatmap_refuses_too_few_and_too_many_tokens(tokens):
    with pytest.raises(ValueError, match=r"2 to 150 tokens, got (1|151); pass some as tokens="):
        similarity_heatmap(table_of(tokens))


def test_heatmap_refuses_unknown_tokens():
    with pytest.raises(UnknownTokenError):
        similarity_heatmap(table_of(("Li", "Na")), tokens=["Li", "Fe"])


# Predictions


def test_parity_writes_the_scores_of_scikit_learn():
    target, predicted = NOISE[0, :40], NOISE[0, :40] + 0.3 * NOISE[1, :40]
    axes = parity(target, predicted, unit="eV").axes[0]
    mae, rmse, r2, n = re.findall(r"= (\S+)", axes.texts[0].get_text())
    # written with three significant digits
    assert float(mae) == pytest.approx(mean_absolute_error(target, predicted), rel=5e-3)
    assert float(rmse) == pytest.approx(root_mean_squared_error(target, predicted), rel=5e-3)
    assert float(r2) == pytest.approx(r2_score(target, predicted), rel=5e-3)
    assert n == "40"
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_aspect() == 1
    assert axes.get_xlabel() == "true property (eV)"


def test_parity_shows_every_sample():
    axes = parity(NOISE[0], 2 * NOISE[1]).axes[0]
    assert axes.collections[0].get_array().sum() == NOISE.shape[1]
    few = parity([0.0, 1.0, 9.0], [0.0, 5.0, -3.0]).axes[0]
    assert len(few.collections[0].get_offsets()) == 3
    low, high = few.get_xlim()
    assert low < -3
    assert high > 9


@pytest.mark.parametrize(("target", "predicted"), [(1.0, 2.0), (2.0, 1.0)])
def test_scores_of_parity_do_not_hide_the_sample(target, predicted):
    figure = parity([target], [predicted])
    drawn(figure)
    axes = figure.axes[0]
    assert not axes.texts[0].get_window_extent().contains(*axes.transData.transform((target, predicted)))
    assert "R² = undefined" in axes.texts[0].get_text()


@pytest.mark.parametrize(
    ("target", "predicted", "message"),
    [
        ([1.0, 2.0], [1.0], "got 2 and 1"),
        ([], [], "empty"),
        ([1.0, math.nan], [1.0, 2.0], "target has 1 values that are not finite, the first at 1"),
        ([1.0, 2.0], [math.inf, 2.0], "predicted has 1 values that are not finite, the first at 0"),
        ([[1.0], [2.0]], [1.0, 2.0], "one dimension"),
        (["a"], [1.0], "target must be numbers"),
    ],
)
def test_parity_refuses(target, predicted, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parity(target, predicted)


def test_learning_curve_draws_means_and_standard_errors():
    rows = {"features": ["a"] * 4, "n_train": [10, 10, 100, 100], "mae": [1.0, 3.0, 0.5, 0.5]}
    axes = learning_curve(rows, unit="eV").axes[0]
    line, _, bars = axes.containers[0]
    assert line.get_xydata().tolist() == [[10, 2], [100, 0.5]]
    # the standard error of 1 and 3 is sqrt(2) / sqrt(2) = 1
    assert np.allclose([segment[:, 1] for segment in bars[0].get_segments()], [[1, 3], [0.5, 0.5]])
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_ylabel()) == ("log", "log", "MAE (eV)")


def test_legend_of_a_learning_curve_has_the_order_of_the_lines():
    rows = curve_rows()
    assert legend_of(learning_curve(rows))[0] == "one-hot"
    rows["r2"] = 1 - rows["mae"] / 10
    figure = learning_curve(rows, score="r2")
    assert legend_of(figure)[-1] == "one-hot"
    assert (figure.axes[0].get_yscale(), figure.axes[0].get_ylabel()) == ("linear", "R²")
    rows["roc_auc"] = 1 - rows["mae"] / 10
    assert learning_curve(rows, score="roc_auc").axes[0].get_ylabel() == "ROC AUC"


@pytest.mark.parametrize("sizes", [[100], [100, 101, 102, 10_000], list(range(1, 60))])
def test_sizes_of_a_learning_curve_are_readable(sizes):
    figure = learning_curve({"features": ["a"] * len(sizes), "n_train": sizes, "mae": [0.3] * len(sizes)})
    drawn(figure)
    labels = figure.axes[0].get_xticklabels()
    assert n_overlaps(boxes_of(labels)) == 0
    assert labels[0].get_text().replace(",", "") == str(sizes[-1])
    low, high = figure.axes[0].get_ylim()
    assert low < 0.3 < high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mae": None}, "missing: mae"),
        ({"mae": [1.0, math.nan]}, "mae has 1 values that are not finite"),
        ({"n_train": [0, 10]}, "n_train must be 1 or more, got 0"),
        ({"features": [], "n_train": [], "mae": []}, "no row"),
    ],
)
def test_learning_curve_refuses(change, message):
    rows = {"features": ["a", "a"], "n_train": [10, 100], "mae": [1.0, 0.5]} | change
    with pytest.raises(ValueError, match=message):
        learning_curve({column: values for column, values in rows.items() if values is not None})


def test_attention_is_drawn_row_by_row():
    names = ["[CLS]", "Na ox+1", "Cl ox-1"]
    weights = pd.DataFrame(np.full((3, 3), 1 / 3), index=names, columns=names)
    axes = attention_map(weights, title="salt").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    np.testing.assert_allclose(axes.images[0].get_array(), weights)


def test_what_is_no_attention_is_refused():
    with pytest.raises(TypeError, match="must be a DataFrame, got ndarray"):
        attention_map(np.ones((1, 1)))
    with pytest.raises(ValueError, match="square table"):
        attention_map(pd.DataFrame(np.ones((2, 3)) / 3))
    with pytest.raises(ValueError, match="sum to 1"):
        attention_map(pd.DataFrame(np.ones((2, 2))))
