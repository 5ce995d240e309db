"""Sentences speak of the crystal: no choice of cell, origin, site order or orientation changes a byte of them."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed.corpus.walks import motif_classes, motif_sentences
from matembed.motifs import Environment, Ligand, Motif, MotifGraph, connect, find_motifs
from matembed.tokens import kind_of

CRYSTALS = {
    "rutile": ("P4_2/mnm", Lattice.tetragonal(4.5937, 2.9587), {"Ti": [0, 0, 0], "O": [0.3048, 0.3048, 0]}),
    "perovskite": ("Pm-3m", Lattice.cubic(3.905), {"Sr": [0, 0, 0], "Ti": [0.5, 0.5, 0.5], "O": [0.5, 0.5, 0]}),
    "zinc blende": ("F-43m", Lattice.cubic(5.4093), {"Zn": [0, 0, 0], "S": [0.25, 0.25, 0.25]}),
}
VIEWS = [("links", {}), ("walks", {"seed": 7, "n_walks": 3, "walk_length": 6})]


@pytest.fixture(scope="module")
def graphs():
    found = {}
    rng = np.random.default_rng(0)
    for name, (spacegroup, lattice, sites) in CRYSTALS.items():
        conventional = Structure.from_spacegroup(spacegroup, lattice, list(sites), list(sites.values()))
        primitive = conventional.get_primitive_structure()
        order = rng.permutation(len(conventional))
        rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        moved = Structure(
            Lattice(conventional.lattice.matrix @ rotation),
            [conventional[i].specie for i in order],
            conventional.frac_coords[order] + rng.random(3) + rng.integers(-1, 2, size=(len(order), 3)),
        )
        cells = (
            primitive,
            conventional,
            conventional * (2, 2, 2),
            primitive * [[1, 1, 0], [0, 2, 1], [1, 0, 1]],
            moved,
        )
        found[name] = [find_motifs(cell) for cell in cells]
    return found


def chain(oxidations):
    """Metal atoms in a ring of corners, one ligand between each and the next."""
    n = len(oxidations)
    motifs = [
        Motif(
            2 * i,
            "Fe",
            charge,
            "L:2",
            0.0,
            tuple(sorted([Ligand(2 * i + 1, (0, 0, 0)), Ligand((2 * i - 1) % (2 * n), (-1 if i == 0 else 0, 0, 0))])),
            ("O", "O"),
        )
        for i, charge in enumerate(oxidations)
    ]
    return MotifGraph("FeO", ("Fe", "O") * n, tuple(motifs), connect(motifs), "chemenv", "simplest", "given")


@pytest.mark.parametrize(("view", "settings"), VIEWS)
@pytest.mark.parametrize("oxidation", [False, True])
@pytest.mark.parametrize("name", CRYSTALS)
def test_every_cell_of_a_crystal_gives_the_same_sentences(name, oxidation, view, settings, graphs):
    first, *others = (motif_sentences(graph, view, oxidation=oxidation, **settings) for graph in graphs[name])
    assert first
    assert all(sentences == first for sentences in others)


def test_links_of_rutile_are_those_of_the_textbook(graphs):
    (sentence,) = motif_sentences(graphs["rutile"][0], "links")
    assert sentence == ["TiO6:O:6", *["-corner-", "TiO6:O:6"] * 8, *["-edge-", "TiO6:O:6"] * 2]


def test_classes_tell_apart_what_tokens_do_not():
    # Fe2+ Fe2+ Fe3+ Fe3+: with states there are four motifs by their neighbours in two classes, without there is one
    graph = chain([2, 2, 3, 3])
    assert [(c.token, c.amount, len(c.links)) for c in motif_classes(graph)] == [("FeO2:L:2", 1, 2)]
    assert [(c.token, c.amount) for c in motif_classes(graph, oxidation=True)] == [("Fe2+O2:L:2", 1), ("Fe3+O2:L:2", 1)]
    # Fe2+ Fe2+ Fe2+ Fe3+: the second Fe2+ sees no Fe3+
    classes = motif_classes(chain([2, 2, 2, 3]), oxidation=True)
    assert Counter({(c.token, c.amount) for c in classes}) == Counter(
        {("Fe2+O2:L:2", 1): 1, ("Fe2+O2:L:2", 2): 1, ("Fe3+O2:L:2", 1): 1}
    )


def test_the_partition_is_equitable(graphs):
    for graph in (*graphs["perovskite"], chain([2, 2, 2, 3, 2, 3])):
        classes = motif_classes(graph, oxidation=True)
        # as many links from class i to class j as back, motif for motif
        for i, one in enumerate(classes):
            for j, other in enumerate(classes):
                for sharing in ("corner", "edge", "face"):
                    there = one.amount * one.links.count((sharing, j))
                    assert there == other.amount * other.links.count((sharing, i))


def test_amounts_are_the_smallest_whole_numbers():
    assert [c.amount for c in motif_classes(chain([2, 3, 2, 3]), oxidation=True)] == [1, 1]
    assert len(motif_sentences(chain([2, 2, 2, 3] * 3), "links", oxidation=True)) == 4


def test_walks_follow_connections_with_the_right_odds(graphs):
    graph = graphs["perovskite"][1]
    walks = motif_sentences(graph, "walks", n_walks=400, walk_length=20)
    links = {c.token: c for c in motif_classes(graph)}
    tokens = [c.token for c in motif_classes(graph)]
    seen = {token: Counter() for token in tokens}
    for walk in walks:
        assert len(walk) == 39
        assert all(kind_of(token) == ("connection" if i % 2 else "motif") for i, token in enumerate(walk))
        for start, sharing, end in zip(walk[::2], walk[1::2], walk[2::2], strict=False):
            seen[start][sharing, end] += 1
    for token, counts in seen.items():
        expected = Counter((f"-{sharing}-", tokens[idx]) for sharing, idx in links[token].links)
        assert set(counts) == set(expected)
        for step, times in expected.items():
            # 7,600 steps from each kind: three standard errors are below 0.02
            assert counts[step] / counts.total() == pytest.approx(times / expected.total(), abs=0.02)


def test_seed_and_settings_change_walks(graphs):
    graph = graphs["perovskite"][0]
    assert motif_sentences(graph, "walks", seed=1) == motif_sentences(graph, "walks", seed=1)
    assert motif_sentences(graph, "walks", seed=1) != motif_sentences(graph, "walks", seed=2)
    assert motif_sentences(graph, "walks", seed=np.int64(1)) == motif_sentences(graph, "walks", seed=1)
    assert {len(walk) for walk in motif_sentences(graph, "walks", walk_length=3)} == {5}
    assert len(motif_sentences(graph, "walks", n_walks=5)) == 10


def test_the_same_walks_in_another_process():
    graph = chain([2, 2, 3])
    script = (
        "import json, sys; from matembed.motifs import MotifGraph; from matembed.corpus.walks import motif_sentences;"
        "print(motif_sentences(MotifGraph.from_dict(json.load(sys.stdin)), 'walks', oxidation=True, seed=3))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input=graph.to_json(),
        env=os.environ | {"PYTHONHASHSEED": "54321"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str(motif_sentences(graph, "walks", oxidation=True, seed=3))


def test_a_lonely_motif_is_a_sentence_of_one_token():
    motif = Motif(0, "Si", 4.0, "T:4", 0.0, tuple(Ligand(s, (0, 0, 0)) for s in (1, 2, 3, 4)), ("O",) * 4)
    graph = MotifGraph("SiO4", ("Si", *"OOOO"), (motif,), (), "chemenv", "simplest", "given")
    assert motif_sentences(graph, "links") == [["SiO4:T:4"]]
    assert motif_sentences(graph, "walks", n_walks=2, oxidation=True) == [["Si4+O4:T:4"]] * 2


def test_no_motifs_no_sentences():
    graph = MotifGraph("NaCl", ("Na", "Cl"), (), (), "chemenv", "simplest", "given")
    assert motif_sentences(graph, "links") == motif_sentences(graph, "walks") == []


def mixed(n=1, order=None):
    """Lead between two environments and zinc in one, in a ring of corners of n of each; sites in another order."""
    metals, states = ("Pb", "Zn") * n, (0.7, None) * n
    sites = list(range(4 * n)) if order is None else list(order)
    elements = [""] * (4 * n)
    motifs = []
    for i, (metal, fraction) in enumerate(zip(metals, states, strict=True)):
        elements[sites[2 * i]], elements[sites[2 * i + 1]] = metal, "O"
        last = Ligand(sites[(2 * i - 1) % (4 * n)], (-1 if i == 0 else 0, 0, 0))
        shell = tuple(sorted([Ligand(sites[2 * i + 1], (0, 0, 0)), last]))
        mixture = ()
        if fraction is not None:
            mixture = (Environment("L:2", 0.1, fraction, shell), Environment("S:1", 0.0, 0.3, (last,)))
        motifs.append(Motif(sites[2 * i], metal, 2.0, "L:2", 0.1, shell, ("O", "O"), mixture))
    motifs.sort(key=lambda motif: motif.site)
    connections = connect(motifs)
    return MotifGraph("ZnPbO2", tuple(elements), tuple(motifs), connections, "numba", "multi_weights", "given")


def test_mixtures_are_met_as_often_as_their_fractions():
    for view, settings in (("walks", {"n_walks": 2000, "walk_length": 6}), ("links", {})):
        lead = Counter()
        for seed in range(1 if view == "walks" else 2000):
            sentences = motif_sentences(mixed(), view, mixtures="drawn", seed=seed, **settings)
            lead.update(token for sentence in sentences for token in sentence if token.startswith("Pb"))
        assert set(lead) == {"PbO2:L:2", "PbO:S:1"}
        # 6,000 mentions and more: three standard errors are below 0.02
        assert lead["PbO2:L:2"] / lead.total() == pytest.approx(0.7, abs=0.02)


def test_mentions_in_one_walk_are_drawn_apart():
    walks = motif_sentences(mixed(), "walks", mixtures="drawn", n_walks=50, walk_length=12, oxidation=True)
    assert any({"Pb2+O2:L:2", "Pb2+O:S:1"} <= set(walk) for walk in walks)


def test_likeliest_is_the_default_and_writes_no_other():
    for view in ("links", "walks"):
        sentences = motif_sentences(mixed(), view)
        assert {token for sentence in sentences for token in sentence} == {"PbO2:L:2", "ZnO2:L:2", "-corner-"}
        assert motif_sentences(chain([2, 3]), view, mixtures="drawn") == motif_sentences(chain([2, 3]), view)


@pytest.mark.parametrize(("view", "settings"), VIEWS)
def test_draws_do_not_depend_on_cells_and_site_order(view, settings):
    wanted = motif_sentences(mixed(), view, mixtures="drawn", **settings)
    shuffled = np.random.default_rng(1).permutation(12).tolist()
    for graph in (mixed(3), mixed(3, shuffled), mixed(1, [2, 0, 3, 1])):
        assert motif_sentences(graph, view, mixtures="drawn", **settings) == wanted


@pytest.mark.parametrize(("view", "settings"), VIEWS)
@pytest.mark.parametrize("name", CRYSTALS)
def test_draws_from_every_cell_of_a_crystal_are_the_same(name, view, settings):
    spacegroup, lattice, sites = CRYSTALS[name]
    conventional = Structure.from_spacegroup(spacegroup, lattice, list(sites), list(sites.values()))
    cells = (conventional, conventional.get_primitive_structure(), conventional * (2, 1, 1))
    graphs = [find_motifs(cell, strategy="multi_weights", valences="none") for cell in cells]
    first, *others = [motif_sentences(graph, view, mixtures="drawn", **settings) for graph in graphs]
    assert all(sentences == first for sentences in others)


@pytest.mark.parametrize(
    "settings",
    [
        {"view": "paths"},
        {"view": "links", "mixtures": "all"},
        {"view": "walks", "n_walks": 0},
        {"view": "walks", "walk_length": 0},
    ],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match="must be"):
        motif_sentences(chain([2, 2]), **settings)
