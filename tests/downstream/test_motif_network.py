"""The graph between materials and motifs: cells and order of sites do not matter; what is written is read again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matembed import Card, Crystal, build_corpus, build_motif_tables, find_motifs
from matembed.downstream.motif_network import MotifNetwork, motif_network

CUBIC = Lattice.cubic(3.905)
PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def perovskite(a, b, edge=3.905):
    return Structure(Lattice.cubic(edge), [a, b, "O", "O", "O"], PEROVSKITE)


def rock_salt(metal, anion="O", edge=4.2):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride(metal, edge=4.1):
    return Structure(Lattice.cubic(edge), [metal, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


STRUCTURES = {
    "SrTiO3": perovskite("Sr", "Ti"),
    "BaTiO3": perovskite("Ba", "Ti", 4.0),
    "SrZrO3": perovskite("Sr", "Zr", 4.1),
    "BaZrO3": perovskite("Ba", "Zr", 4.2),
    "MgO": rock_salt("Mg"),
    "CaO": rock_salt("Ca", edge=4.8),
    "MgS": rock_salt("Mg", "S", 5.2),
    "CsCl": caesium_chloride("Cs"),
    "TlCl": caesium_chloride("Tl", 3.9),
}
LEVELS = ("motif", "species_motif", "geometry")


def record(name, structure):
    return {
        "id": name,
        "lattice": structure.lattice.matrix.tolist(),
        "species": [site.specie.symbol for site in structure],
        "frac_coords": structure.frac_coords.tolist(),
    }


def without_motifs():
    """A graph of a crystal in which no motif was found."""
    graph = find_motifs(STRUCTURES["MgO"])
    return type(graph)(graph.formula, graph.elements, (), (), graph.engine, graph.strategy, graph.valences)


@pytest.fixture(scope="module")
def network():
    return motif_network(list(STRUCTURES.values()), ids=list(STRUCTURES))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    rows = [record(name, structure) for name, structure in STRUCTURES.items()]
    return build_motif_tables(rows, tmp_path_factory.mktemp("tables") / "motifs", progress=False)


def row_of(network, name):
    return network.weights()[[network.ids.index(name)]].toarray().ravel()


# Edges ---------------------------------------------------------------------------------------------------------------


def test_shares_of_a_perovskite(network):
    own = network.materials_with("TiO6:O:6").set_index("id")
    assert set(own.index) == {"SrTiO3", "BaTiO3"}
    assert own.loc["SrTiO3", ["share", "csm"]].tolist() == [0.5, 0]  # of one SrO12 and one TiO6, both perfect
    assert own.loc["SrTiO3", "weight"] == pytest.approx(np.sqrt(0.5))


def test_half_of_a_share_counts_at_half_csm_and_where_no_csm_is_known():
    edges = {"ids": "abc", "formulas": "ABC", "motifs": ("MgO6:O:6",), "starts": [0, 1, 2, 3]}
    own = motif_network([STRUCTURES["MgO"]])
    found = MotifNetwork(
        **edges, motif_idx=[0, 0, 0], shares=[1, 1, 1], csms=[0, 4, np.nan], level="motif", half_csm=4.0, card=own.card
    )
    np.testing.assert_allclose(found.weights().toarray().ravel() ** 2, [1, 0.5, 0.5])


@pytest.mark.parametrize("level", LEVELS)
def test_tables_corpus_and_structures_make_the_same_network(tables, tmp_path, level):
    one = motif_network(tables, level=level)
    rows = [record(name, structure) for name, structure in STRUCTURES.items()]
    corpus = build_corpus(rows, tmp_path / "corpus", views=["links"], progress=False)
    structures = motif_network(list(STRUCTURES.values()), level=level, ids=list(STRUCTURES))
    for other in (structures, motif_network(corpus, level=level)):
        assert (one.ids, one.formulas, one.motifs) == (other.ids, other.formulas, other.motifs)
        for name in ("starts", "motif_idx", "shares", "csms"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_species_motifs_name_the_oxidation_state(tables):
    assert "Ti4+O6:O:6" in motif_network(tables, level="species_motif").motifs
    assert motif_network(tables, level="geometry").motifs == ("C:12", "C:8", "O:6")


@pytest.mark.parametrize("level", LEVELS)
def test_supercell_and_order_of_sites_change_no_row(level):
    single = Structure(
        CUBIC, ["Sr", "Ti", "O", "O", "O"], np.add(PEROVSKITE, [[0, 0, 0], [0.02, 0, 0], *[[0, 0, 0]] * 3])
    )
    turned = Structure.from_sites([single[site] for site in (4, 1, 3, 0, 2)])
    several = motif_network([single, single * (2, 1, 3), turned], level=level)
    rows = several.weights().toarray()
    assert (rows > 0).sum() == 3 * (rows[0] > 0).sum()
    np.testing.assert_allclose(rows[1:], [rows[0]] * 2, atol=1e-6)  # csm is kept to 6 decimals


# Looking things up ---------------------------------------------------------------------------------------------------


def test_similar_prefers_the_rare_motif(network):
    found = network.similar("SrTiO3")
    assert "SrTiO3" not in found["id"].tolist()
    assert set(found["id"]) == {"BaTiO3", "SrZrO3"}  # TiO6 and SrO12 are in two materials each
    assert found["shared"].tolist() == [("TiO6:O:6",), ("SrO12:C:12",)]
    assert found["n_materials"].tolist() == [(2,), (2,)]
    assert found["similarity"].between(0.45, 0.55).all()
    more = motif_network([*STRUCTURES.values(), perovskite("Ca", "Ti", 3.8)], ids=[*STRUCTURES, "CaTiO3"])
    assert more.similar("SrTiO3")["id"].tolist()[0] == "SrZrO3"  # TiO6 is in three now, SrO12 still in two


def test_similar_to_a_structure_a_crystal_or_a_graph(network):
    structure = STRUCTURES["SrTiO3"] * (2, 1, 1)
    by_structure = network.similar(structure)
    assert by_structure.iloc[0][["id", "similarity"]].tolist() == ["SrTiO3", 1.0]
    for other in (find_motifs(structure), Crystal.from_structure(structure)):
        assert network.similar(other).equals(by_structure)
    assert len(network.similar(structure, n=1)) == 1


def test_motifs_that_no_material_has_are_not_forgotten(network):
    """A crystal that shares one motif of two is half alike, whether the network holds its other motif or not."""
    others = {name: one for name, one in STRUCTURES.items() if name != "SrTiO3"}
    fewer = {name: one for name, one in others.items() if name != "SrZrO3"}
    for known in (others, fewer):
        found = motif_network(list(known.values()), ids=list(known)).similar(STRUCTURES["SrTiO3"])
        assert 0.25 < found["similarity"].max() < 0.75
    lacking = motif_network(list(fewer.values()), ids=list(fewer))
    assert "SrO12:C:12" not in lacking.motifs
    assert lacking.similar(STRUCTURES["SrTiO3"])["id"].tolist() == ["BaTiO3"]


def test_new_materials_are_looked_up_with_the_valences_of_the_network(tmp_path):
    rows = [record(name, STRUCTURES[name]) for name in ("SrTiO3", "BaTiO3", "MgO")]
    tables = build_motif_tables(rows, tmp_path / "all-sites", valences="none", progress=False)
    every = motif_network(tables)
    assert any(motif.startswith("O") for motif in every.motifs)
    found = every.similar(STRUCTURES["SrTiO3"])
    assert found["similarity"][0] == 1
    assert any(motif.startswith("O") for motif in found["shared"][0])


def test_hubs_are_sorted_by_degree(network):
    hubs = network.hubs()
    assert hubs["n_materials"].is_monotonic_decreasing
    assert hubs["n_materials"].sum() == len(network.motif_idx)
    assert hubs.iloc[0][["n_materials", "rarity"]].tolist() == [2, np.log(9 / 2)]
    assert len(network.hubs(3)) == 3


def test_subset_forgets_the_other_materials(network):
    some = network.subset(["MgO", "SrTiO3"])
    assert some.motifs == ("MgO6:O:6", "SrO12:C:12", "TiO6:O:6")
    assert row_of(some, "SrTiO3").tolist()[1:] == row_of(network, "SrTiO3")[row_of(network, "SrTiO3") > 0].tolist()
    assert some.degrees.tolist() == [1, 1, 1]
    alone = motif_network([STRUCTURES["MgO"], STRUCTURES["SrTiO3"]], ids=["MgO", "SrTiO3"])
    assert some.motifs == alone.motifs
    np.testing.assert_array_equal(some.shares, alone.shares)


def test_to_a_crystal_without_motifs_nothing_is_similar():
    graphs = [find_motifs(STRUCTURES[name]) for name in ("SrTiO3", "BaTiO3", "MgO")]
    network = motif_network([*graphs, without_motifs()], ids=["SrTiO3", "BaTiO3", "MgO", "none"])
    assert network.similar("none").empty
    assert network.similar(without_motifs()).empty
    assert list(network.similar("none").columns) == list(network.similar("SrTiO3").columns)
    for nothing in (network.similar("none"), network.similar("MgO")):
        assert nothing.empty and nothing["similarity"].dtype == np.float64
    assert network.subset(["none"]).motifs == ()


# On disk -------------------------------------------------------------------------------------------------------------


def test_written_and_read_is_the_same(tables, tmp_path):
    network = motif_network(tables, level="species_motif", half_csm=2)
    again = MotifNetwork.read(network.write(tmp_path / "network"))
    assert repr(again) == repr(network)
    assert (again.ids, again.formulas, again.motifs) == (network.ids, network.formulas, network.motifs)
    assert (again.level, again.half_csm, again.card) == ("species_motif", 2.0, network.card)
    for name in ("starts", "motif_idx", "shares", "csms"):
        assert getattr(again, name).tobytes() == getattr(network, name).tobytes()
    assert again.embedding(3).vectors.tobytes() == network.embedding(3).vectors.tobytes()
    with pytest.raises(FileExistsError, match="already exists"):
        network.write(tmp_path / "network")
    smaller = network.subset(network.ids[:3])
    assert len(MotifNetwork.read(smaller.write(tmp_path / "network", overwrite=True))) == 3


def test_a_changed_file_is_refused(network, tmp_path):
    folder = network.write(tmp_path / "network")
    nodes = json.loads((folder / "nodes.json").read_text(encoding="utf-8"))
    nodes["ids"][0] = "another"
    (folder / "nodes.json").write_text(json.dumps(nodes), encoding="utf-8")
    with pytest.raises(ValueError, match="SHA-256"):
        MotifNetwork.read(folder)
    with pytest.raises(FileNotFoundError, match="no folder of a motif network"):
        MotifNetwork.read(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "Corpus"}, "holds a Corpus, not a MotifNetwork"),
        ({"schema": 2}, "has format 2; this matembed reads format 1"),
        ({"level": "site"}, "not the config of a motif network: level must be"),
        ({"half_csm": -1}, "not the config of a motif network: half_csm must be"),
    ],
)
def test_another_folder_is_refused(network, tmp_path, change, message):
    config = network.write(tmp_path / "network") / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        MotifNetwork.read(config.parent)


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda network: network.similar("mp-0"), "no material 'mp-0' among 9, such as 'SrTiO3'"),
        (lambda network: network.subset(["mp-0"]), "no material 'mp-0'"),
        (lambda network: network.subset(["MgO", "MgO"]), "'MgO' twice"),
        (lambda network: network.similar("MgO", n=0), "n must be a whole number"),
        (lambda network: network.hubs(2.5), "n must be a whole number"),
        (lambda network: network.materials_with("FeO6:O:6"), "no material has 'FeO6:O:6'"),
        (lambda network: network.materials_with("octahedron"), "is no token"),
        (lambda network: motif_network([STRUCTURES["MgO"]], level="site"), "level must be 'motif' or"),
        (
            lambda network: motif_network([STRUCTURES["MgO"]], half_csm=0),
            "half_csm must be a finite number, more than 0",
        ),
        (lambda network: motif_network([STRUCTURES["MgO"]], ids=["a", "b"]), "an id for each of 1 materials, got 2"),
        (lambda network: replace(network, ids=network.ids[:1] * 9), "ids must be unique, got 'SrTiO3' twice"),
        (lambda network: replace(network, level="site"), "level must be 'motif' or"),
        (lambda network: replace(network, csms=network.csms[1:]), "a share and a csm for each of"),
        (lambda network: replace(network, shares=network.shares * 2), "above 0 and up to 1"),
        (lambda network: replace(network, shares=network.shares / 2), "must add up to 1, got 0.5 for 'SrTiO3'"),
    ],
)
def test_bad_input_is_said_in_one_line(network, call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call(network)
    assert "\n" not in str(raised.value)


def test_shares_add_up_to_one_within_rounding():
    """Thirds of float32 do, and so do those that were given to four decimals."""
    three = {"ids": ["one"], "formulas": ["ABC"], "motifs": ["AO6:O:6", "BO6:O:6", "CO6:O:6"], "starts": [0, 3]}
    edges = {"motif_idx": [0, 1, 2], "csms": [0, 0, 0], "level": "motif", "half_csm": 4.0}
    for third in (1 / 3, 0.3333):
        MotifNetwork(**three, **edges, shares=[third] * 3, card=Card("thirds"))
    with pytest.raises(ValueError, match=r"shares of each material must add up to 1, got 0\.9 for 'one'"):
        MotifNetwork(**three, **edges, shares=[0.3] * 3, card=Card("thirds"))
    MotifNetwork(**{**three, "starts": [0, 0]}, **{**edges, "motif_idx": [], "csms": []}, shares=[], card=Card("none"))


def test_one_structure_is_no_list(tables):
    with pytest.raises(TypeError, match="wanted a list"):
        motif_network(find_motifs(STRUCTURES["MgO"]))
    with pytest.raises(ValueError, match="holds motifs that were found, got 'valences'"):
        motif_network(tables, valences="none")


def test_settings_are_checked_before_structures():
    with pytest.raises(TypeError, match="'engines' is no setting of find_motifs; pass one of engine, strategy,"):
        motif_network(["no structure"], engines="numba")


def test_one_id_is_no_list_of_ids():
    numbered = motif_network([STRUCTURES["MgO"], STRUCTURES["SrTiO3"], STRUCTURES["BaTiO3"]], ids=["1", "2", "12"])
    assert numbered.subset(["12"]).formulas == ("BaTiO3",)
    with pytest.raises(TypeError, match=r"ids must be a list of them, got the text '12'; pass \['12'\]"):
        numbered.subset("12")
