"""A motif graph counts, prints, survives being written, and holds nothing that cannot be."""

import json
from dataclasses import replace

import pytest

from matembed.motifs.graph import Connection, Ligand, Motif, MotifGraph


@pytest.mark.parametrize("name", ["SrTiO3", "NiAl"])
def test_written_then_read_is_the_same(name, graph_of):
    graph = graph_of(name)
    text = graph.to_json()
    assert "\n" not in text
    assert MotifGraph.from_dict(json.loads(text)) == graph
    assert MotifGraph.from_dict(json.loads(text)).to_json() == text


def test_neighbours_are_seen_from_both_sides(graph_of):
    graph = graph_of("BaNiO3")
    seen = [(idx, other, sharing) for idx in range(len(graph.motifs)) for sharing, other in graph.neighbours(idx)]
    assert len(seen) == 2 * len(graph.connections)
    assert sorted(seen) == sorted((other, idx, sharing) for idx, other, sharing in seen)


def test_counts_per_formula_unit_are_those_of_the_textbook(graph_of):
    # every connection joins two motifs: half the neighbours of the table
    assert graph_of("TiO2").per_formula_unit() == {
        "TiO6:O:6": 1,
        "TiO6:O:6 -corner- TiO6:O:6": 4,
        "TiO6:O:6 -edge- TiO6:O:6": 1,
    }
    perovskite = graph_of("SrTiO3").per_formula_unit()
    assert perovskite["SrO12:C:12"] == perovskite["TiO6:O:6"] == 1
    assert perovskite["SrO12:C:12 -face- TiO6:O:6"] == 8


def test_summary_names_the_motifs(graph_of):
    assert str(graph_of("TiO2")) == "TiO2: 2 TiO6:O:6; 8 corner, 2 edge connections"
    assert str(MotifGraph("NaCl", ("Na", "Cl"), (), (), "", "", "")) == "NaCl: no motifs; no connections"


def test_prints_as_one_line(graph_of):
    assert repr(graph_of("TiO2")) == "MotifGraph(TiO2: 2 TiO6:O:6; 8 corner, 2 edge connections)"


OXYGEN = (Ligand(1, (0, 0, -1)), Ligand(1, (0, 0, 0)))
COPPER = Motif(0, "Cu", 2.0, "L:2", 0.0, OXYGEN, ("O", "O"))
CORNER = Connection(0, 0, (0, 0, 1), OXYGEN[1:])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"site": -3}, "site must be 0 or more, got -3"),
        ({"site": "0"}, "site must be 0 or more, got '0'"),
        ({"element": "Qq"}, "'Qq' is not a chemical element"),
        ({"element": "Cu2+"}, r"'Cu2\+' is not a chemical element"),
        ({"oxidation": float("nan")}, "oxidation must be a finite number or None"),
        ({"geometry": "nonsense"}, "geometry must be a ChemEnv symbol such as 'O:6', got 'nonsense'"),
        ({"geometry": "Cu"}, "geometry must be"),
        ({"geometry": "O:6"}, "O:6 needs as many ligands as it has vertices"),
        ({"csm": -5}, "csm must be from 0 to 100 or None, got -5"),
        ({"csm": float("nan")}, "csm must be"),
        ({"ligand_elements": ("O",)}, "got 2 ligands and 1 ligand_elements"),
        ({"ligands": OXYGEN[1:]}, "got 1 ligands and 2 ligand_elements"),
    ],
    ids=str,
)
def test_what_is_no_motif_is_refused(wrong, says):
    with pytest.raises(ValueError, match=f"^no motif: .*{says}"):
        replace(COPPER, **wrong)


@pytest.mark.parametrize(
    "right", [{"oxidation": None}, {"csm": None}, {"csm": 100}, {"geometry": "UNKNOWN:2"}], ids=str
)
def test_what_is_not_known_may_be_left_out(right):
    assert replace(COPPER, **right) != COPPER


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"source": 1}, "wanted 0 <= source <= target, got 1, 0"),
        ({"source": -1}, "wanted 0 <= source"),
        ({"image": (0, 1)}, "image must be three integers"),
        ({"image": (0, 0, 0.5)}, "image must be three integers"),
        ({"image": (0, 0, 0)}, "positive direction"),
        ({"image": (0, 0, -1)}, "positive direction"),
        ({"ligands": ()}, "share one ligand or more"),
    ],
    ids=str,
)
def test_what_is_no_connection_is_refused(wrong, says):
    with pytest.raises(ValueError, match=f"^no connection: .*{says}"):
        replace(CORNER, **wrong)
