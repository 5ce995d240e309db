"""Contexts in crystals: what is counted, and that no choice of cell, listing or neighbour changes it."""

import itertools
import re

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed import build_motif_tables, count_contexts, read_prototypes
from matembed.corpus import _motif_stream
from matembed.corpus.motif_contexts import MOTIF_CONTEXTS, SITE_CONTEXTS

ALL = (*SITE_CONTEXTS, *MOTIF_CONTEXTS)


def perovskite(a="Sr", b="Ti", length=3.905):
    return Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(length), [a, b, "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
    )


def rutile():
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )


def salt(a="Na", b="Cl", length=5.64):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(length), [a, b], [[0, 0, 0], [0.5, 0.5, 0.5]])


def intermetallic():
    return Structure(Lattice.cubic(2.88), ["Ni", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    def make(structures):
        return build_motif_tables(structures, tmp_path_factory.mktemp("tables") / "motifs", progress=False)

    return make


@pytest.fixture(scope="module")
def textbook(build):
    return build([perovskite(), rutile(), salt(), intermetallic()])


def rows(counts):
    """Counts as a mapping, to compare two sets whatever else they hold."""
    pairs = counts.counts.tocoo()
    return {
        (counts.tokens[row], counts.contexts[column]): float(weight)
        for row, column, weight in zip(pairs.row, pairs.col, pairs.data, strict=True)
    }


def same(first, second):
    assert first.keys() == second.keys()
    for view in first:
        a, b = rows(first[view]), rows(second[view])
        assert a.keys() == b.keys(), view
        assert np.allclose([a[pair] for pair in a], [b[pair] for pair in a], rtol=1e-9), view


def test_partners_of_textbook_crystals(textbook):
    counts = count_contexts(textbook, "partners")["partners"]
    assert dict(counts.commonest("Na")) == {"6 Cl": 1.0}
    assert dict(counts.commonest("Cl")) == {"6 Na": 1.0}  # an anion is bonded to what it is a ligand of
    assert dict(counts.commonest("Sr")) == {"12 O": 1.0}
    assert dict(counts.commonest("Ti")) == {"6 O": 2.0}  # in rutile and in perovskite
    # O of perovskite has 4 Sr and 2 Ti, weighted by bonds; O of rutile 3 Ti
    assert dict(counts.commonest("O")) == pytest.approx({"3 Ti": 1.0, "4 Sr": 4 / 6, "2 Ti": 2 / 6})


def test_pairs_share_the_weight_of_an_element(textbook):
    counts = count_contexts(textbook, "pairs")["pairs"]
    assert dict(counts.commonest("O")) == pytest.approx({"Ti": 1 + 2 / 6, "Sr": 4 / 6})


def test_roles_and_states(textbook):
    counts = count_contexts(textbook, ["roles", "states"])
    assert dict(counts["roles"].commonest("Ti")) == {"cation, cn 6": 2.0}
    assert dict(counts["roles"].commonest("Cl")) == {"anion, cn 6": 1.0}
    assert all(context.startswith("site") for context, _ in counts["roles"].commonest("Ni"))
    assert dict(counts["states"].commonest("Ti")) == {"4+, cn 6": 2.0}
    assert dict(count_contexts(textbook, "contacts")["contacts"].commonest("Na")) == {"cation, 2.85 Å": 1.0}
    assert "Ni" not in counts["states"].tokens


def test_lengths_are_smoothed_about_the_bond(textbook):
    counts = count_contexts(textbook, "lengths")["lengths"]
    found = dict(counts.commonest("Na"))
    assert sum(found.values()) == pytest.approx(1)
    middle = [float(re.search(r"at ([\d.]+)", context)[1]) for context in found]
    mean = np.average(middle, weights=list(found.values()))
    assert mean == pytest.approx(2.82, abs=0.03)  # half the bin, from cutting the Gaussian
    assert max(found, key=found.get) == "Cl at 2.85 Å"


def test_shapes_and_forms_name_geometry_fit_and_size(textbook):
    counts = count_contexts(textbook, ["shapes", "forms"])
    assert dict(counts["shapes"].commonest("Na")) == {"O:6, csm 0 to 0.1": 1.0}
    assert dict(counts["forms"].commonest("NaCl6:O:6")) == {"O:6, csm 0 to 0.1": 0.5, "O:6, 2.85 Å": 0.5}


def test_volumes(textbook):
    counts = count_contexts(textbook, "volumes")["volumes"]
    ((context, weight),) = counts.commonest("Na")
    volume = float(context.split()[0])
    assert weight == 1
    assert context.endswith("2 elements")
    assert abs(np.log(volume / (5.64**3 / 8))) <= np.log(1.1) / 2 + 1e-9


def test_links_walks_and_ligands(textbook):
    counts = count_contexts(textbook, MOTIF_CONTEXTS)
    ti = dict(counts["links"].commonest("TiO6:O:6"))
    # rutile: 8 corners and 2 edges of 10; perovskite: 6 corners to Ti and 8 faces to Sr of 14
    assert ti == pytest.approx({"corner TiO6:O:6": 0.8 + 6 / 14, "edge TiO6:O:6": 0.2, "face SrO12:C:12": 8 / 14})
    parts = dict(counts["link_parts"].commonest("TiO6:O:6"))
    assert parts["corner Ti"] == pytest.approx((0.8 + 6 / 14) / 2)
    assert parts["corner O:6"] == pytest.approx((0.8 + 6 / 14) / 2)
    assert dict(counts["walks"].commonest("NaCl6:O:6")) == pytest.approx({"NaCl6:O:6": 1.0})
    assert dict(counts["ligands"].commonest("NaCl6:O:6")) == {"6 Cl": 0.5, "Na": 0.5}
    assert dict(counts["membership"].commonest("TiO6:O:6")) == {"SrTiO3": 1.0, "TiO2": 1.0}


def test_walks_are_the_chances_of_steps(build):
    """Against walks by hand: up to three steps, every neighbour with the same chance."""
    tables = build([perovskite()])
    sr, ti = "SrO12:C:12", "TiO6:O:6"
    links = tables.connections()
    motifs = tables.motifs()["token"].tolist()
    adjacent = np.zeros((2, 2))
    for source, target in zip(links["source"], links["target"], strict=True):
        adjacent[source, target] += 1
        adjacent[target, source] += 1
    chance = adjacent / adjacent.sum(axis=1, keepdims=True)
    expected = sum(np.linalg.matrix_power(chance, n) for n in (1, 2, 3)) / 3
    found = rows(count_contexts(tables, "walks")["walks"])
    for a, b in itertools.product((sr, ti), repeat=2):
        assert found[a, b] == pytest.approx(expected[motifs.index(a), motifs.index(b)])


@pytest.mark.parametrize("species", [False, True])
def test_no_choice_of_cell_changes_counts(build, species):
    cells = [perovskite(), rutile(), salt(), intermetallic()]
    larger = [
        cell.copy().make_supercell(scale, in_place=False)
        for cell, scale in zip(cells, (2, [1, 2, 1], [[0, 1, 1], [1, 0, 1], [1, 1, 0]], [2, 1, 1]), strict=True)
    ]
    same(count_contexts(build(cells), ALL, species=species), count_contexts(build(larger), ALL, species=species))


def test_order_of_sites_and_of_crystals_does_not_matter(build):
    cells = [perovskite(), rutile(), salt()]
    turned = [Structure.from_sites(sorted(cell, key=lambda site: site.species_string)[::-1]) for cell in cells[::-1]]
    same(count_contexts(build(cells), ALL), count_contexts(build(turned), ALL))


def test_a_formula_counts_once_however_often_it_is_listed(build):
    once, twice = build([perovskite(), salt()]), build([perovskite(), salt(), salt(), salt(length=5.6400001)])
    same(count_contexts(once, ALL), count_contexts(twice, ALL))


def test_every_site_view_gives_an_element_weight_one_in_each_formula(build):
    counts = count_contexts(
        build([perovskite(), rutile(), salt()]), ("partners", "pairs", "roles", "lengths", "volumes")
    )
    n_formulas = {"Sr": 1, "Ti": 2, "O": 2, "Na": 1, "Cl": 1}
    for view, found in counts.items():
        totals = dict(zip(found.tokens, found.counts.sum(axis=1), strict=True))
        assert totals == pytest.approx(n_formulas), view


def test_species_are_told_apart_and_unknown_ones_left_out(textbook):
    counts = count_contexts(textbook, ["partners", "links"], species=True)
    assert counts["partners"].tokens == ("Cl-", "Na+", "O2-", "Sr2+", "Ti4+")
    assert "Ti4+O6:O:6" in counts["links"].tokens
    assert (
        "AlAl6Ni8:UNKNOWN:14" in counts["links"].tokens
    )  # a motif without a known oxidation state keeps its plain token


def test_excluded_formulas_are_not_counted(textbook):
    counts = count_contexts(textbook, "partners", exclude=["SrTiO3", "NaCl"])["partners"]
    assert {"Sr", "Na"}.isdisjoint(counts.tokens)
    assert counts.card.counts == {"materials": 2, "formulas": 2, "excluded": 2}
    with pytest.raises(ValueError, match="exclude leaves none of 4 materials"):
        count_contexts(textbook, "partners", exclude=["SrTiO3", "NaCl", "TiO2", "AlNi", "NiAl"])


def test_reading_in_small_pieces_changes_nothing(build, monkeypatch):
    tables = build(read_prototypes(limit=25))
    whole = count_contexts(tables, ALL)
    monkeypatch.setattr(_motif_stream, "_CRYSTALS_AT_ONCE", 3)
    same(whole, count_contexts(tables, ALL))


def test_card_says_where_counts_come_from(textbook):
    card = count_contexts(textbook, "roles")["roles"].card
    assert card.settings["view"] == "roles"
    assert "once" in card.settings["weights"]
    assert card.counts["formulas"] == 4


def test_unknown_views_are_refused(textbook):
    with pytest.raises(ValueError, match=r"views must be one or more of partners.*got 'neighbours'"):
        count_contexts(textbook, ["partners", "neighbours"])
    with pytest.raises(ValueError, match="views must be one or more"):
        count_contexts(textbook, [])


def test_tables_of_early_versions_are_refused_in_a_line(textbook, monkeypatch):
    materials = textbook.materials().drop(columns="sites")
    monkeypatch.setattr(type(textbook), "materials", lambda self: materials)
    with pytest.raises(ValueError, match=r"no column 'sites'.*build the tables again"):
        count_contexts(textbook, "partners")
