"""A motif graph counts, prints, and survives being written."""

import json

import pytest

from matembed.motifs import MotifGraph


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
