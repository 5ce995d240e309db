"""Sets of tokens: what is in them, the same in every cell and from every source, and saved exactly."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.core.ion import Ion
from pymatgen.core.operations import SymmOp

from matembed import FormulaError, build_motif_tables, find_motifs
from matembed.corpus import _motif_stream, _set_tokens, material_sets
from matembed.corpus.formulas import parse_formula
from matembed.corpus.material_sets import MaterialSets
from matembed.corpus.set_building import formula_sets, graph_sets, structure_sets, table_sets
from matembed.corpus.set_words import TOKEN_KINDS, WORD_PARTS, WORDS, WordVocabulary
from matembed.corpus.symmetry import find_symmetry, symmetry_table
from matembed.motifs import Crystal, Ligand, Motif, MotifGraph, find_motif_arrays
from matembed.motifs.geometry import model_geometries

EXACT = ("token_starts", "kinds", "amounts", "word_starts", "words", "weights", "groups")


def gallia():
    """Monoclinic Ga2O3, half of its gallium in tetrahedra and half in octahedra."""
    sites = {
        "Ga1": [0.0904, 0, 0.7948],
        "Ga2": [0.3414, 0, 0.6857],
        "O1": [0.1674, 0, 0.1101],
        "O2": [0.4957, 0, 0.2553],
        "O3": [0.8258, 0, 0.4365],
    }
    lattice = Lattice.from_parameters(12.23, 3.04, 5.80, 90, 103.7, 90)
    return Structure.from_spacegroup("C2/m", lattice, [name[:-1] for name in sites], list(sites.values()))


def perovskite(anions=("O", "O", "O")):
    faces = [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(3.905), ["Sr", "Ti", *anions], [[0, 0, 0], [0.5] * 3, *faces])


CRYSTALS = {
    "SrTiO3": perovskite(),
    "SrTiO2F": perovskite(("O", "F", "O")),
    "rutile": Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    ),
    "spinel": Structure.from_spacegroup(
        "Fd-3m", Lattice.cubic(8.086), ["Mg", "Al", "O"], [[0] * 3, [0.625] * 3, [0.3874] * 3]
    ),
    "NaCl": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
    "CsCl": Structure(Lattice.cubic(4.12), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]),
    "NiAl": Structure(Lattice.cubic(2.88), ["Ni", "Al"], [[0, 0, 0], [0.5] * 3]),  # oxidation states not known
    "Ga2O3": gallia(),
}


def other_cells(structure):
    """The crystal in other cells, turned, and its sites in another order."""
    rng = np.random.default_rng(0)
    axis = rng.normal(size=3)
    turned = structure.copy()
    turned.apply_operation(SymmOp.from_axis_angle_and_translation(axis / np.linalg.norm(axis), 71.3))
    return {
        "primitive": structure.get_primitive_structure(),
        "2 x 2 x 2": structure.make_supercell([2, 2, 2], in_place=False),
        "turned": turned,
        "shuffled": Structure.from_sites([structure[row] for row in rng.permutation(len(structure))]),
    }


def tables_of(structures, folder):
    return build_motif_tables(structures, folder, strategy="multi_weights", progress=False)


def assert_same(first, second, *, csm=0.0):
    assert first.formulas == second.formulas
    for name in EXACT:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    np.testing.assert_allclose(first.csms, second.csms, rtol=0, atol=csm)


def words_of(sets, token):
    rows = slice(sets.word_starts[token], sets.word_starts[token + 1])
    return [WORDS.words[word] for word in sets.words[rows]], sets.weights[rows].tolist(), sets.groups[rows].tolist()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return tables_of(CRYSTALS, tmp_path_factory.mktemp("tables") / "motifs")


@pytest.fixture(scope="module")
def symmetries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("symmetry") / "table"
    symmetry_table(CRYSTALS, folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def everything():
    return structure_sets(CRYSTALS)


# Words ---------------------------------------------------------------------------------------------------------------


def test_the_words_are_fixed_and_each_comes_once():
    assert len(WORDS) == len(set(WORDS.words)) == len(WORDS.part) == 637
    assert WORDS.words[:5] == ("[PAD]", "[CLS]", "[HIDDEN element]", "[HIDDEN oxidation]", "[HIDDEN geometry]")
    kinds = ("<element>", "<species>", "<motif>", "<connection>", "<ligand>", "<site>", "<space group>")
    assert WORDS.words[5:12] == kinds
    assert (WORDS.words[12], WORDS.words[129], WORDS.words[130], WORDS.words[144]) == ("H", "Og", "ox-4", "ox?")
    assert WORDS.words[-1] == "sym m-3m"
    assert {*model_geometries().symbols, "UNKNOWN:14"} < {WORDS.words[word] for word in WORDS.ids("geometry")}


def test_every_word_tells_one_thing():
    sizes = {part: len(WORDS.ids(part)) for part in WORD_PARTS}
    assert sizes == {
        "special": 5,
        "kind": 7,
        "element": 118,
        "oxidation": 15,
        "geometry": 81,
        "cn": 21,
        "ligand": 118,
        "sharing": 3,
        "symmetry": 230 + 7 + 32,
    }
    assert np.concatenate([WORDS.ids(part) for part in WORD_PARTS]).tolist() == list(range(len(WORDS)))
    assert [WORDS.words[WORDS.id(word)] for word in ("Ti", "ox+4", "O:6", "sg 225")] == ["Ti", "ox+4", "O:6", "sg 225"]


def test_words_that_are_none_are_refused():
    with pytest.raises(KeyError, match="no word 'Tii' among 637"):
        WORDS.id("Tii")
    with pytest.raises(ValueError, match="part must be one of 'special'"):
        WORDS.ids("colour")
    with pytest.raises(ValueError, match="wanted words that differ"):
        WordVocabulary(("a", "a"), np.zeros(2))


# Formulas ------------------------------------------------------------------------------------------------------------


def test_formulas_are_sets_of_elements():
    sets = formula_sets(["SrTiO3", "O2", Composition("Fe2O3")], ids=["a", "b", "c"])
    assert (sets.ids, sets.formulas) == (("a", "b", "c"), ("SrTiO3", "O2", "Fe2O3"))
    assert sets.describe(0)[["kind", "words"]].values.tolist() == [["element", x] for x in ("O", "Ti", "Sr")]
    assert sets.amounts.tolist() == pytest.approx([0.6, 0.2, 0.2, 1, 0.6, 0.4])
    assert np.isnan(sets.csms).all()
    assert (sets.groups == -1).all()
    assert words_of(sets, 1) == (["<element>", "Ti"], [1, 1], [-1, -1])


@given(
    st.dictionaries(st.sampled_from(["H", "O", "Fe", "Ni", "La", "U"]), st.integers(1, 40), min_size=1), st.randoms()
)
@settings(max_examples=50, deadline=None)
def test_no_spelling_of_a_formula_changes_it(amounts, random):
    shuffled = random.sample(sorted(amounts), len(amounts))
    first = formula_sets(["".join(f"{symbol}{n}" for symbol, n in amounts.items())])
    second = formula_sets(["".join(f"{symbol}{3 * amounts[symbol]}" for symbol in shuffled)])
    assert_same(first, second)
    assert first.amounts.sum() == pytest.approx(1, abs=1e-6)


def test_amounts_may_be_fractions():
    sets = formula_sets(["Fe0.3333Ni0.6667", "CuSO4.5H2O"])
    assert sets[0].amounts.tolist() == pytest.approx([0.3333, 0.6667])
    assert sets.describe(1)["words"].to_list() == ["H", "O", "S", "Cu"]


def test_bad_formulas_are_refused():
    with pytest.raises(TypeError, match=r"pass \['NaCl'\] for one"):
        formula_sets("NaCl")
    with pytest.raises(FormulaError, match="variable amount"):
        formula_sets(["NaCl", "YBa2Cu3O7-x"])
    with pytest.raises(ValueError, match="ids must name each of 2 formulas"):
        formula_sets(["NaCl", "MgO"], ids=["a"])


def test_no_formulas_are_no_materials():
    assert len(formula_sets([])) == 0


# Crystals ------------------------------------------------------------------------------------------------------------


def test_the_tokens_of_rutile(everything):
    rutile = everything[list(CRYSTALS).index("rutile")]
    found = rutile.describe(0)
    assert found[["kind", "words"]].values.tolist() == [
        ["element", "O"],
        ["element", "Ti"],
        ["species", "O ox-2"],
        ["species", "Ti ox+4"],
        ["motif", "Ti ox+4 O:6 cn6 ligand O"],
        ["connection", "corner: Ti ox+4 O:6 | Ti ox+4 O:6"],
        ["connection", "edge: Ti ox+4 O:6 | Ti ox+4 O:6"],
        ["ligand", "O ox-2: 3 Ti ox+4 O:6"],
        ["site", "O sym mm2"],
        ["site", "Ti sym mmm"],
        ["space_group", "sg 136 tetragonal"],
    ]
    # Titanium shares 8 corners and 2 edges.
    third, corners, edges = 1 / 3, 8 / (4 + 8), 2 / (4 + 2)
    wanted = [2 / 3, third, 2 / 3, third, third, corners, edges, 2 / 3, 2 / 3, third, 1]
    assert found["amount"].to_list() == pytest.approx(wanted)
    assert found["csm"].notna().to_list() == [kind == "motif" for kind in found["kind"]]
    assert words_of(rutile, 5) == (
        ["<connection>", "corner", "Ti", "ox+4", "O:6", "Ti", "ox+4", "O:6"],
        [1, 1, *[1] * 3, *[0.5] * 3],
        [-1, -1, *[1] * 6],
    )
    assert words_of(rutile, 4)[2] == [-1, *[1] * 5] and words_of(rutile, 2)[2] == [-1, 0, 0]
    share = pytest.approx(3 / (4 + 3))
    assert words_of(rutile, 7) == (
        ["<ligand>", "O", "ox-2", "Ti", "ox+4", "O:6"],
        [1, 1, 1, share, share, share],
        [-1, -1, -1, 1, 1, 1],
    )


def test_ligands_share_a_motif_and_geometries_tell_motifs_apart(everything):
    oxyfluoride = everything[list(CRYSTALS).index("SrTiO2F")].describe(0)
    titanium = oxyfluoride[oxyfluoride["words"].str.startswith("Ti") & (oxyfluoride["kind"] == "motif")]
    assert titanium["words"].to_list() == ["Ti ox+3 O:6 cn6 0.67 ligand O 0.33 ligand F"]
    gallium = everything[list(CRYSTALS).index("Ga2O3")].describe(0)
    motifs = gallium[gallium["kind"] == "motif"]
    assert motifs["words"].str.split().str[2].to_list() == ["T:4", "O:6"]
    assert motifs["amount"].to_list() == pytest.approx([0.2, 0.2])
    assert {"corner: Ga ox+3 T:4 | Ga ox+3 O:6", "corner: Ga ox+3 O:6 | Ga ox+3 T:4"} < {*gallium["words"]}


def test_oxidation_states_that_are_not_known_have_a_word_of_their_own(everything):
    metal = everything[list(CRYSTALS).index("NiAl")]
    found = metal.describe(0)
    assert "species" not in found["kind"].to_list()
    assert found.loc[found["kind"] == "motif", "words"].str.split().str[:2].to_list() == [["Al", "ox?"], ["Ni", "ox?"]]
    motifs = np.flatnonzero(metal.kinds == TOKEN_KINDS.index("motif"))
    assert metal.groups[metal.word_starts[motifs] + 1].tolist() == [0, 1]


@pytest.mark.parametrize("name", CRYSTALS)
def test_no_choice_of_cell_changes_a_set(name, everything):
    wanted = everything[list(CRYSTALS).index(name)]
    found = structure_sets(other_cells(CRYSTALS[name]))
    for row in range(len(found)):
        assert_same(found[row], wanted, csm=1e-3)  # a measure is found to 6 decimals, here for rounded coordinates


def test_tables_graphs_and_structures_give_the_same(everything, tables, symmetries):
    from_tables = table_sets(tables, symmetry=symmetries)
    assert_same(from_tables, everything)
    assert from_tables.ids == everything.ids == tuple(CRYSTALS)
    crystals = [Crystal.from_structure(one) for one in CRYSTALS.values()]
    oxidations = [find_motif_arrays(one).oxidations for one in crystals]
    graphs = [find_motifs(one, strategy="multi_weights") for one in crystals]
    known = {"oxidations": oxidations, "symmetries": [find_symmetry(one) for one in crystals]}
    assert_same(graph_sets(graphs, **known), everything)
    assert_same(table_sets(tables), structure_sets(CRYSTALS, symmetry=False))


def test_tables_give_the_same_however_many_crystals_are_read_at_once(tables, symmetries, monkeypatch):
    whole = table_sets(tables, symmetry=symmetries)
    monkeypatch.setattr(_motif_stream, "_CRYSTALS_AT_ONCE", 3)
    assert_same(table_sets(tables, symmetry=symmetries), whole)


def test_graphs_alone_know_the_species_of_centres():
    found = graph_sets([find_motifs(CRYSTALS["rutile"])]).describe(0)
    assert found.loc[found["kind"] == "species", "words"].to_list() == ["Ti ox+4"]


def test_anions_that_no_motif_holds_are_ligands_of_none():
    """A motif that holds two of five oxygens: the others are one token; a cation that is no centre is in none."""
    shell = tuple(Ligand(site, (0, 0, 0)) for site in (2, 3))
    motif = Motif(0, "Mg", 2.0, "L:2", 0.0, shell, ("O",) * 2)
    graph = MotifGraph("Mg2O5", ("Mg", "Mg", *["O"] * 5), (motif,), (), "", "", "")
    states = [2, 2, -2, -2, -2, -2, -1]
    found = graph_sets([graph], oxidations=[states]).describe(0)
    ligands = found[found["kind"] == "ligand"]
    assert ligands["words"].to_list() == ["O ox-2", "O ox-2: 1 Mg ox+2 L:2", "O ox-1"]
    assert ligands["amount"].to_list() == pytest.approx([2 / 7, 2 / 7, 1 / 7])
    alone = graph_sets([replace(graph, motifs=())], oxidations=[states]).describe(0)
    assert alone["words"].to_list()[-2:] == ["O ox-2", "O ox-1"]
    assert alone["amount"].to_list()[-2:] == pytest.approx([4 / 7, 1 / 7])


def test_every_anion_is_part_of_one_ligand_token(everything):
    for row in range(len(everything)):
        found = everything[row].describe(0)
        anions = found["words"].str.contains("ox-", regex=False)
        species, ligands = (found[(found["kind"] == kind) & anions]["amount"].sum() for kind in ("species", "ligand"))
        assert ligands == pytest.approx(species)


def test_laws_of_amounts_and_weights(everything):
    element, species, motif, connection, ligand, site, space_group = (everything.kinds == code for code in range(7))
    material = np.repeat(np.arange(len(everything)), np.diff(everything.token_starts))
    for kind in (element, site):
        assert np.bincount(material[kind], everything.amounts[kind]) == pytest.approx(np.ones(len(everything)))
    assert np.bincount(material[motif], everything.amounts[motif]).max() <= 1 + 1e-6
    assert everything.amounts[connection].max() < 1
    assert (everything.amounts[space_group] == 1).all()
    token = np.repeat(np.arange(len(everything.kinds)), np.diff(everything.word_starts))
    grouped = np.bincount(token, everything.groups >= 0, len(everything.kinds))
    assert (grouped[species] == 2).all() and (grouped[motif] >= 5).all() and (grouped[connection] == 6).all()
    assert (grouped[ligand] % 3 == 0).all() and (grouped[ligand] > 0).all()
    assert (grouped[element | site | space_group] == 0).all()
    around = WORDS.part[everything.words] == WORD_PARTS.index("ligand")
    shares = np.bincount(token[around], everything.weights[around], len(everything.kinds))
    assert shares == pytest.approx(np.where(motif, 1, 0))
    weights = np.bincount(token, everything.weights * (everything.groups >= 0), len(everything.kinds))
    assert weights[connection] == pytest.approx(3 * (1 + 0.5))


def test_bonds_are_counted_alike_from_motifs_and_from_ligands(everything):
    """The atoms that motifs hold, by their shares of all atoms, are those that are held."""
    for row in range(len(everything)):
        one = everything[row].describe(0)
        motifs, ligands = (one[one["kind"] == kind] for kind in ("motif", "ligand"))
        held = motifs["words"].str.extract(r" cn(\d+)")[0].astype(int) * motifs["amount"]
        counts = ligands["words"].str.split(": ").str[1].str.split(" | ", regex=False)
        holding = counts.map(lambda listed: sum(float(text.split()[0]) for text in listed)) * ligands["amount"]
        assert holding.sum() == pytest.approx(held.sum(), rel=0.01)


def test_connections_are_counted_from_either_end(everything):
    found = everything[list(CRYSTALS).index("spinel")].describe(0)
    amounts = dict(zip(found["words"], found["amount"], strict=True))
    from_octahedra = amounts["corner: Al ox+3 O:6 | Mg ox+2 T:4"]
    from_tetrahedra = amounts["corner: Mg ox+2 T:4 | Al ox+3 O:6"]
    assert from_octahedra == pytest.approx(6 / (4 + 6)) and from_tetrahedra == pytest.approx(12 / (4 + 12))


def test_every_token_of_a_material_differs_from_the_others(everything):
    for row in range(len(everything)):
        texts = everything.describe(row)[["kind", "words"]]
        assert not texts.duplicated().any()


@pytest.mark.parametrize("state, word", [(2.5, "ox+3"), (-2.5, "ox-3"), (8 / 3, "ox+3"), (0.4, "ox+0"), (12, "ox+9")])
def test_oxidation_states_are_rounded_away_from_zero_and_clipped(state, word):
    assert WORDS.words[WORDS.ids("oxidation")[_set_tokens.state_codes(np.array([state]))[0]]] == word


def test_of_many_tokens_the_smallest_connections_are_left_out(everything):
    row = list(CRYSTALS).index("spinel")
    whole = everything[row].describe(0)
    cut = structure_sets([CRYSTALS["spinel"]], max_tokens=13).describe(0)
    assert len(whole) > len(cut) == 13
    is_connection = ~whole["kind"].isin(["element", "species", "motif"])
    others = whole[(whole["kind"] != "element") & ~is_connection].index
    connections = whole[is_connection]["amount"].sort_values(ascending=False, kind="stable").index
    kept = [0, 1, 2, *others, *connections[: 13 - 3 - len(others)]]
    pd.testing.assert_frame_equal(cut, whole.loc[sorted(kept)].reset_index(drop=True))
    assert structure_sets([CRYSTALS["spinel"]], max_tokens=1).describe(0)["kind"].to_list() == ["element"] * 3


def test_sets_are_cut_to_as_many_tokens_whatever_they_are_made_from(tables):
    makers = (graph_sets, structure_sets, table_sets)
    defaults = {inspect.signature(maker).parameters["max_tokens"].default for maker in makers}
    assert defaults == {256} == {table_sets(tables).card.settings["max_tokens"]}


def test_the_card_tells_how_sets_were_made(tables):
    graphs = [find_motifs(CRYSTALS["rutile"], strategy=strategy) for strategy in ("simplest", "multi_weights")]
    assert structure_sets([CRYSTALS["rutile"]], strategy="simplest").card.settings["strategy"] == "simplest"
    assert structure_sets([CRYSTALS["rutile"]]).card.settings == {"max_tokens": 256, "strategy": "multi_weights"}
    assert graph_sets(graphs).card.settings["strategy"] == "multi_weights, simplest"
    assert table_sets(tables).card.settings["strategy"] == tables.card.settings["strategy"]
    assert formula_sets(["NaCl"], oxidation="balanced").card.settings == {"oxidation": "balanced"}


def test_larger_motifs_than_there_are_words_for_count_as_the_largest():
    shell = tuple(Ligand(1, (0, 0, n)) for n in range(24))
    motif = Motif(0, "Cs", 1.0, "UNKNOWN:24", None, shell, ("Cl",) * 24)
    graph = MotifGraph("CsCl", ("Cs", "Cl"), (motif,), (), "", "", "")
    found = graph_sets([graph]).describe(0)
    assert found["words"].to_list()[-2:] == ["Cs ox+1 UNKNOWN:20 cn20 ligand Cl", "Cl ox?: 24 Cs ox+1 UNKNOWN:20"]
    assert np.isnan(found["csm"].iloc[-1])
    odd = Motif(0, "Cs", 1.0, "Q:1", None, shell[:1], ("Cl",))
    with pytest.raises(ValueError, match="no word for the geometry 'Q:1'"):
        graph_sets([MotifGraph("CsCl", ("Cs", "Cl"), (odd,), (), "", "", "")])


def test_excluded_formulas_are_left_out(tables, symmetries):
    found = table_sets(tables, exclude=["Ti2O4", "ClNa"], symmetry=symmetries)
    assert found.ids == ("SrTiO3", "SrTiO2F", "spinel", "CsCl", "NiAl", "Ga2O3")
    assert (found.card.counts["materials"], found.card.counts["excluded"], found.card.counts["symmetries"]) == (6, 2, 6)
    with pytest.raises(ValueError, match="exclude leaves none of 8 materials"):
        table_sets(tables, exclude=tables.materials()["formula"].to_list())


def test_materials_that_a_table_of_symmetry_lacks_have_no_tokens_of_it(tables, symmetries):
    table = pd.read_parquet(symmetries / "symmetry.parquet").iloc[[6, 0]]
    found = table_sets(tables, symmetry=table)
    assert [("site" in found.describe(row)["kind"].to_list()) for row in (0, 1, 6, 7)] == [True, False, True, False]
    with pytest.raises(ValueError, match="symmetry names none of 8 materials"):
        table_sets(tables, symmetry=table.assign(id=["x", "y"]))
    with pytest.raises(ValueError, match="got one with no column 'elements'"):
        table_sets(tables, symmetry=table.drop(columns="elements"))
    with pytest.raises(ValueError, match="got one with an id that comes twice"):
        table_sets(tables, symmetry=table.assign(id="x"))


def test_bad_crystals_are_refused(tables):
    graph = find_motifs(CRYSTALS["CsCl"])
    with pytest.raises(TypeError, match=r"pass \[graph\]"):
        graph_sets(graph)
    with pytest.raises(ValueError, match="oxidations must have an entry for each of 1 graphs"):
        graph_sets([graph], oxidations=[])
    with pytest.raises(ValueError, match="CsCl has 2 sites, got 1 oxidation states"):
        graph_sets([graph], oxidations=[[1]])
    with pytest.raises(ValueError, match="CsCl has 2 sites, got a symmetry of 8"):
        graph_sets([graph], symmetries=[find_symmetry(CRYSTALS["NaCl"])])
    with pytest.raises(ValueError, match="max_tokens must be a whole number"):
        graph_sets([graph], max_tokens=0)
    with pytest.raises(TypeError, match=r"pass \[structure\]"):
        structure_sets(CRYSTALS["NaCl"])
    mixed = Structure(Lattice.cubic(3.6), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(ValueError, match=r"row 2, 'b': .*disordered"):
        structure_sets({"a": CRYSTALS["NaCl"], "b": mixed})
    with pytest.raises(TypeError, match="wanted MotifTables"):
        table_sets(CRYSTALS)
    with pytest.raises(TypeError, match="wanted a list of formulas"):
        table_sets(tables, exclude="NaCl")


# Choosing, putting together, saving ----------------------------------------------------------------------------------


def test_sets_are_chosen_by_position(everything):
    assert len(everything[3]) == len(everything[-1]) == 1
    assert everything[-1].ids == ("Ga2O3",)
    assert everything[2:4].ids == ("rutile", "spinel")
    assert everything[[5, 0, 5]].ids == ("CsCl", "SrTiO3", "CsCl")
    assert everything[[name.endswith("Cl") for name in everything.ids]].ids == ("NaCl", "CsCl")
    assert (len(everything[[]]), len(everything[8:])) == (0, 0)
    assert [one.ids[0] for one in everything] == list(CRYSTALS)
    assert everything[2:4].card.counts["materials"] == 2
    for rows in ([True, False], [[0]], 0.5, "NaCl"):
        with pytest.raises(IndexError, match="sets are chosen by a whole number"):
            everything[rows]
    with pytest.raises(IndexError):
        everything[8]


@given(st.lists(st.integers(-8, 7), max_size=20))
@settings(max_examples=30, deadline=None)
def test_chosen_sets_are_those_chosen_one_by_one(rows):
    sets = formula_sets(["SrTiO3", "O2", "Fe2O3", "NaCl", "H2O", "LiFePO4", "C", "CuSO4.5H2O"])
    chosen = sets[rows]
    assert chosen.ids == tuple(sets.ids[row] for row in rows)
    if rows:
        assert_same(chosen, MaterialSets.concat([sets[row] for row in rows]))


def test_sets_put_together_are_the_sets(everything):
    assert_same(MaterialSets.concat([everything[:3], everything[3:]]), everything)
    with pytest.raises(ValueError, match="wanted one or more MaterialSets"):
        MaterialSets.concat([])


def test_written_sets_are_read_exactly(everything, tmp_path):
    folder = everything.write(tmp_path / "sets")
    again = MaterialSets.read(folder)
    assert_same(again, everything)
    assert (again.ids, again.card.counts) == (everything.ids, everything.card.counts)
    everything.write(tmp_path / "same")
    for name in ("sets.safetensors", "materials.json", "words.json", "config.json"):
        assert (folder / name).read_bytes() == (tmp_path / "same" / name).read_bytes()
    with pytest.raises(FileExistsError, match="already exists"):
        everything.write(folder)
    everything[:1].write(folder, overwrite=True)
    assert len(MaterialSets.read(folder)) == 1


def test_damaged_sets_are_refused(everything, tmp_path):
    folder = everything[:2].write(tmp_path / "sets")
    config = json.loads((folder / "config.json").read_text())
    (folder / "materials.json").write_text("{}")
    with pytest.raises(ValueError, match=r"materials\.json is not the file its"):
        MaterialSets.read(folder)
    config["card"]["sha256"].pop("words.json")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"and no other; see 'words\.json'"):
        MaterialSets.read(folder)
    with pytest.raises(FileNotFoundError, match=r"make one with sets\.write"):
        MaterialSets.read(tmp_path / "nothing")


def test_sets_of_other_words_are_refused(everything, tmp_path, monkeypatch):
    folder = everything[:1].write(tmp_path / "sets")
    monkeypatch.setattr(material_sets, "WORDS", WordVocabulary(("a",), np.zeros(1)))
    with pytest.raises(ValueError, match="with other words than the 1 of this matembed"):
        MaterialSets.read(folder)


@pytest.mark.parametrize(
    "name, wrong, message",
    [
        ("amounts", [0.5], r"amounts must have shape \(2,\)"),
        ("amounts", [0, 1], "amounts must be above 0"),
        ("kinds", [0, 7], "kinds must be from 0 to 6"),
        ("words", [5, 700, 5, 30], "words must be from 0 to 636"),
        ("token_starts", [0, 1], "token_starts must ascend from 0 to 2"),
        ("formulas", [], "a formula for each of 1 ids"),
    ],
)
def test_columns_that_do_not_fit_are_refused(name, wrong, message):
    sets = formula_sets(["NaCl"])
    columns = {field: getattr(sets, field) for field in sets.__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        MaterialSets(**columns | {name: wrong})


def test_columns_are_read_only(everything):
    with pytest.raises(ValueError, match="read-only"):
        everything.amounts[0] = 1


@pytest.mark.parametrize(
    ("formula", "species"),
    [
        ("KMnO4", {"O ox-2": 4 / 6, "K ox+1": 1 / 6, "Mn ox+7": 1 / 6}),
        ("Na2S2O3", {"O ox-2": 3 / 7, "Na ox+1": 2 / 7, "S ox-2": 1 / 7, "S ox+6": 1 / 7}),
        ("Fe3O4", {"O ox-2": 4 / 7, "Fe ox+2": 1 / 7, "Fe ox+3": 2 / 7}),
        ("Li0.5CoO2", {"O ox-2": 4 / 7, "Li ox+1": 1 / 7, "Co ox+3": 1 / 7, "Co ox+4": 1 / 7}),
        ("Zr0.92Y0.08O1.96", {"O ox-2": 49 / 74, "Y ox+3": 2 / 74, "Zr ox+4": 23 / 74}),
        ("Ni3Al", {}),  # no anion
        ("YBa2Cu3O6.93", {}),  # 1,293 atoms
        ("Fe0.333O0.5", {}),  # neither 1/3 nor a state
    ],
)
def test_oxidation_states_of_formulas_are_balanced(formula, species):
    sets = formula_sets([formula, "NaCl"], oxidation="balanced")
    table, last = sets.describe(0), sets.describe(1)
    found = table[table["kind"] == "species"].set_index("words")["amount"].to_dict()
    assert found == pytest.approx(species, abs=1e-6)
    plain = formula_sets([formula]).describe(0)
    pd.testing.assert_frame_equal(table[table["kind"] == "element"], plain)
    assert last["words"].to_list() == ["Na", "Cl", "Na ox+1", "Cl ox-1"]


def test_species_of_a_formula_are_those_of_its_crystal():
    crystal = structure_sets([CRYSTALS["NaCl"]]).describe(0)
    formula = formula_sets(["NaCl"], oxidation="balanced").describe(0)
    pd.testing.assert_frame_equal(formula, crystal[: len(formula)])


def test_another_way_to_oxidation_states_is_refused():
    with pytest.raises(ValueError, match="oxidation must be 'unknown' or 'balanced', got 'guess'"):
        formula_sets(["NaCl"], oxidation="guess")


@pytest.mark.parametrize(
    ("formula", "species"),
    [
        ("MnO4-", {"O ox-2", "Mn ox+7"}),
        ("SO4^2-", {"O ox-2", "S ox+6"}),
        ("NH4+", {"H ox+1", "N ox-3"}),
        ("H3O+", {"H ox+1", "O ox-2"}),
        ("[Fe(CN)6]^3-", {"C ox+2", "N ox-3", "Fe ox+3"}),
        ("[Hg2]^2+", {"Hg ox+1"}),
        ("2 SO4^2-", {"O ox-2", "S ox+6"}),
        ("[SiF6]^2-", {"F ox-1", "Si ox+4"}),
        ("[NF4]+", {"F ox-1", "N ox+5"}),
        ("Fe^3+", {"Fe ox+3"}),
        ("Fe++", {"Fe ox+2"}),
        ("Rb+", {"Rb ox+1"}),
        ("F-", {"F ox-1"}),
        (Ion.from_formula("MnO4[-1]"), {"O ox-2", "Mn ox+7"}),
        ("Na-", set()),  # no such state is known
        ("[Mn2O4]-", {"O ox-2", "Mn ox+3", "Mn ox+4"}),
        ("MnO4", set()),
    ],
)
def test_states_of_an_ion_have_its_charge(formula, species):
    sets = formula_sets([formula], oxidation="balanced")
    table = sets.describe(0)
    assert set(table["words"][table["kind"] == "species"]) == species
    neutral = formula_sets([sets.formulas[0]])
    pd.testing.assert_frame_equal(table[table["kind"] == "element"], neutral.describe(0))  # tells of no charge


@pytest.mark.parametrize("formula", ["MnO4-", "SO4^2-", "NO3-", "NH4+", "UO2^2+", "Cr2O7^2-", "[PF6]-", "VO2^+"])
def test_states_of_an_ion_are_those_that_pymatgen_finds(formula):
    parsed = parse_formula(formula)
    (guess, *_) = parsed.composition.oxi_state_guesses(target_charge=int(parsed.charge))
    table = formula_sets([formula], oxidation="balanced").describe(0)
    found = dict(words.split(" ox") for words in table["words"][table["kind"] == "species"])
    assert {symbol: int(state) for symbol, state in found.items()} == guess
