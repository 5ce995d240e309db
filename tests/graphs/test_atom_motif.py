"""AtomMotifGraphs: what they count, what merging keeps, files, and what no graph may depend on."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

import matembed as me
from matembed.graphs import AtomMotifGraphs, atom_motif_graphs, build_graphs
from matembed.graphs.atom_motif import TABLES
from matembed.graphs.building import _refined
from matembed.tokens import parse_token

CUBIC = Structure(
    Lattice.cubic(3.905),
    ["Sr", "Ti", "O", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
)
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.3053, 0.3053, 0]]
)
SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
COPPER = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.61), ["Cu"], [[0, 0, 0]])
NEON = Structure(Lattice.cubic(4.43), ["Ne"], [[0, 0, 0]])
CRYSTALS = [CUBIC, RUTILE, SALT, COPPER, NEON]


@pytest.fixture(scope="module")
def whole() -> AtomMotifGraphs:
    return atom_motif_graphs(CRYSTALS, merge=False)


@pytest.fixture(scope="module")
def merged() -> AtomMotifGraphs:
    return atom_motif_graphs(CRYSTALS)


def test_counts_are_those_of_the_cell(whole, merged):
    motifs = [me.find_motifs(crystal) for crystal in CRYSTALS]
    for graphs in (whole, merged):
        assert [graph.n_atoms for graph in graphs] == [len(crystal) for crystal in CRYSTALS]
        assert [graph.n_motifs for graph in graphs] == [len(graph.motifs) for graph in motifs]
        assert [graph.n_connections for graph in graphs] == [len(graph.connections) for graph in motifs]
    assert [graph.n_bonds for graph in whole] == [graph.n_bonds for graph in merged]
    assert merged.counts()["atoms"] == whole.counts()["atoms"] == sum(map(len, CRYSTALS))


def test_textbook_bonds_and_connections(merged):
    salt = merged[2]
    assert (salt.n_bonds, salt.n_connections) == (24, 4 * (6 + 12) // 2)  # 6 to each of 4 Na; corners and edges
    assert sorted(salt.link_shared.tolist()) == [1, 2]
    corner, edge = salt.link_angles[np.argsort(salt.link_shared)]
    assert corner == pytest.approx(180, abs=0.1)
    assert edge == pytest.approx(90, abs=0.1)
    assert salt.bond_lengths == pytest.approx([2.82])
    assert salt.motif_names == ("Na+Cl6:O:6",)
    by_model = dict(zip(salt.measure_geometries.tolist(), salt.measure_csms.tolist(), strict=True))
    assert by_model[int(salt.motif_geometries[0])] == pytest.approx(0, abs=1e-6)
    assert len(by_model) == 3  # octahedron, trigonal prism, pentagonal pyramid


def test_symmetry_equivalent_rows_become_one(merged):
    assert [len(graph.numbers) for graph in merged] == [3, 2, 2, 1, 1]
    assert merged[0].atom_counts.tolist().count(3) == 1


@pytest.mark.parametrize("merge", [True, False])
def test_a_supercell_multiplies_counts_and_changes_nothing_else(merge):
    small, large = atom_motif_graphs([RUTILE, RUTILE * (2, 1, 2)], merge=merge)
    for name in ("n_atoms", "n_bonds", "n_motifs", "n_connections"):
        assert getattr(large, name) == 4 * getattr(small, name)
    if merge:
        assert len(small.numbers) == len(large.numbers)
        for name in ("bond_lengths", "link_lengths", "link_angles", "motif_csms"):
            np.testing.assert_allclose(np.sort(getattr(small, name)), np.sort(getattr(large, name)), atol=1e-4)


def test_merged_rows_have_the_neighbours_of_those_they_stand_for():
    """What an atom of the merged graph hears, by element and length, is what each atom of the whole graph hears."""
    whole, merged = (
        build_graphs(me.read_prototypes(limit=25), merge=merge, progress=False).graphs for merge in (False, True)
    )
    for whole_graph, merged_graph in zip(whole, merged, strict=True):
        assert sorted(_heard(whole_graph)) == sorted(_heard(merged_graph))


def _heard(graph) -> list[tuple]:
    """For each atom of the cell: its element, and how many neighbours of each element at each length."""
    heard = [{} for _ in graph.numbers]
    rows = zip(graph.bond_atoms.tolist(), graph.bond_lengths.tolist(), graph.bond_counts.tolist(), strict=True)
    for (one, other), length, count in rows:
        for atom, neighbour in ((one, other), (other, one)):
            key = int(graph.numbers[neighbour]), round(length, 1)
            heard[atom][key] = heard[atom].get(key, 0) + count / int(graph.atom_counts[atom])
    found = []
    for atom, count in enumerate(graph.atom_counts.tolist()):
        told = tuple(sorted((*key, round(amount, 6)) for key, amount in heard[atom].items()))
        found += [(int(graph.numbers[atom]), told)] * count
    return found


def test_directions_point_from_the_first_atom_to_the_second(whole):
    graph = whole[1]
    np.testing.assert_allclose(np.linalg.norm(graph.bond_vectors, axis=1), graph.bond_lengths, atol=1e-5)
    total = np.zeros((len(graph.numbers), 3))
    np.add.at(total, graph.bond_atoms[:, 0], graph.bond_vectors)
    np.add.at(total, graph.bond_atoms[:, 1], -graph.bond_vectors)
    titanium = graph.numbers == 22
    np.testing.assert_allclose(total[titanium], 0, atol=1e-4)  # on centres of inversion


def test_bonds_can_be_given_and_found_by_crystalnn():
    given = atom_motif_graphs({"salt": SALT}, bonds={"salt": [[0, 4, 0, 0, 0], [0, 0, 1, 0, 0]]}, merge=False)[0]
    assert given.n_bonds == 2
    assert given.bond_lengths == pytest.approx([5.64, np.linalg.norm(SALT[4].coords - SALT[0].coords)])
    assert atom_motif_graphs([SALT], bonds="crystalnn")[0].n_bonds == 24
    with pytest.raises(ValueError, match="bonds has no entry for 'salt'"):
        atom_motif_graphs({"salt": SALT}, bonds={})
    with pytest.raises(ValueError, match="a bond names site 8, but there are 8"):
        atom_motif_graphs({"salt": SALT}, bonds={"salt": [[0, 8, 0, 0, 0]]})


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("bonds", ["shells", "crystalnn"])
def test_atoms_with_nothing_near_have_no_bonds(merge, bonds):
    argon = Structure(Lattice.cubic(20), ["Ar"], [[0, 0, 0]])
    beside = Structure(Lattice.cubic(30), ["Ar", "O", "C"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.538]])
    graphs = atom_motif_graphs([argon, beside], bonds=bonds, merge=merge)
    assert [graph.n_bonds for graph in graphs] == [0, 1]
    assert graphs[1].numbers[graphs[1].bond_atoms[0]].tolist() in ([8, 6], [6, 8])


def test_an_atom_is_bonded_to_its_whole_shell_if_the_nearest_is_within_6_angstrom():
    """Second neighbours in caesium are 6.14 Å away; and a distance of 6 Å is one however a crystal is turned."""
    caesium = Structure.from_spacegroup("Im-3m", Lattice.cubic(6.14), ["Cs"], [[0, 0, 0]])
    near, far = (Structure(Lattice.cubic(a), ["Ar"], [[0, 0, 0]]) for a in (6, 6.1))
    rng = np.random.default_rng(0)
    turns = [np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(5)]
    turned = [Structure(6 * turn, ["Ar"], [[0, 0, 0]]) for turn in turns]
    graphs = atom_motif_graphs([caesium, far, near, *turned])
    assert [graph.n_bonds for graph in graphs] == [14, 0] + [3] * 6
    assert graphs[0].bond_lengths.max() > 6
    given = atom_motif_graphs({"far": far}, bonds={"far": [[0, 0, 1, 0, 0]]})[0]
    assert given.bond_lengths == pytest.approx([6.1])


def test_networks_read_atoms_without_bonds(merged):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch_geometric")
    torch.set_num_threads(1)
    neon = Structure(Lattice.cubic(20), ["Ne"], [[0, 0, 0]])
    beside = Structure(Lattice.cubic(30), ["Ne", "O", "Ti"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.555]])
    lone = atom_motif_graphs([neon, beside])
    assert [graph.n_bonds for graph in lone] == [0, 1]
    both = AtomMotifGraphs.concat([lone, merged])
    for branches in ("both", "atoms"):
        model = me.AtomMotifRegressor(width=8, n_layers=2, max_epochs=2, validation_fraction=0, branches=branches)
        told = model.fit(both, np.arange(len(both))).predict(both)
        assert np.isfinite(told).all()
        alone = np.concatenate([model.predict(both[[row]]) for row in range(len(both))])
        np.testing.assert_allclose(told, alone, atol=2e-5)  # float32, sums in another order


def test_crystals_are_read_as_structures_are(merged):
    read = atom_motif_graphs([me.Crystal.from_structure(one) for one in CRYSTALS])
    assert (read.formulas, read.names) == (merged.formulas, merged.names)
    for name, column in merged.columns.items():
        np.testing.assert_array_equal(read.columns[name], column)
    charged = SALT.copy()
    charged.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    given = {"a": charged, "b": me.Crystal.from_structure(charged), "c": 7}
    graphs, rejected = build_graphs(given, progress=False)
    assert (graphs.ids, [one for one, _ in rejected]) == (("a", "b"), ["c"])
    assert np.array_equal(graphs[0].oxidations, graphs[1].oxidations)


@pytest.mark.parametrize("merge", [True, False])
def test_a_crystal_without_motifs_has_atoms_and_bonds_alone(merge):
    row = next(row for row in me.read_prototypes() if row.id.endswith("UB12"))
    assert len(me.find_motifs(row.to_structure()).motifs) == 0
    graph = atom_motif_graphs([row.to_structure()], merge=merge)[0]
    assert graph.n_atoms == len(row.to_structure())
    assert graph.n_bonds > 0
    assert (graph.n_motifs, graph.n_connections, len(graph.ligand_ends), len(graph.measure_csms)) == (0, 0, 0, 0)


def test_only_what_is_alike_gets_the_same_colour():
    """Colours by hashes are those of a refinement that looks at the neighbours themselves."""
    rng = np.random.default_rng(0)
    tangled = np.array([0, 1, 1, 2] * 2), np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7]), np.array([0, 1, 0, 1])
    graphs = [tangled]
    for _ in range(200):
        n_nodes, n_edges = rng.integers(2, 9, size=2)
        ends, others = rng.integers(n_nodes, size=(2, n_edges))
        graphs.append((rng.integers(3, size=n_nodes), ends, others, rng.integers(3, size=n_edges)))
    for labels, ends, others, told in graphs:
        found = _refined(labels, ends, others, told)
        exact = _refined_exactly(labels.tolist(), ends, others, told)
        same = found[:, None] == found
        assert np.array_equal(same, np.array(exact)[:, None] == np.array(exact))


def _refined_exactly(labels, ends, others, told):
    colours, n_colours = labels, 0
    while len(set(colours)) > n_colours:
        n_colours = len(set(colours))
        heard = [[] for _ in colours]
        for end, other, label in zip(ends.tolist(), others.tolist(), told.tolist(), strict=True):
            heard[end].append((colours[other], label))
            heard[other].append((colours[end], label))
        told_apart = [(colour, tuple(sorted(one))) for colour, one in zip(colours, heard, strict=True)]
        numbers = {one: number for number, one in enumerate(dict.fromkeys(told_apart))}
        colours = [numbers[one] for one in told_apart]
    return colours


def test_single_graphs_are_put_together(whole, merged):
    for graphs in (whole, merged):
        again = type(graphs).of(list(graphs))
        assert again.formulas == graphs.formulas
        for name, column in graphs.columns.items():
            if name != "motif_tokens":
                np.testing.assert_array_equal(again.columns[name], column)
        assert [one.motif_names for one in again] == [one.motif_names for one in graphs]
    with pytest.raises(ValueError, match="some graphs are merged and others not"):
        AtomMotifGraphs.of([whole[0], merged[0]])


def test_columns_are_read_only(merged):
    for graphs in (merged, merged[:2], merged.shuffled(), AtomMotifGraphs.of([merged[1]])):
        with pytest.raises(ValueError, match="read-only"):
            graphs.columns["numbers"][0] = 1


@pytest.mark.parametrize(
    ("bonds", "message"),
    [
        ([[0, 4, 0, 0]], "row 1, 'salt': bonds must be rows of five integers"),
        ([[0, 4, 0.7, 0, 0]], "row 1, 'salt': bonds must be rows of five integers"),
        ([[-1, 4, 0, 0, 0]], "a bond names site -1, but there are 8"),
    ],
)
def test_given_bonds_are_checked(bonds, message):
    with pytest.raises(ValueError, match=message):
        atom_motif_graphs({"salt": SALT}, bonds={"salt": bonds})


def test_rows_are_chosen_like_those_of_an_array(merged):
    assert merged[[2, 0]].ids == (merged.ids[2], merged.ids[0])
    assert merged[1:3].formulas == merged.formulas[1:3]
    assert merged[np.array([True, False, False, False, True])].formulas == ("SrTiO3", "Ne")
    for name in ("numbers", "bond_lengths", "link_angles", "motif_names"):
        assert np.array_equal(getattr(merged[[3, 1]][1], name), getattr(merged[1], name))
    with pytest.raises(IndexError, match="graphs are chosen by"):
        merged["SrTiO3"]


def test_put_together_again(whole, merged):
    again = AtomMotifGraphs.concat([merged[[0]], merged[1:]])
    assert again.formulas == merged.formulas
    for graph, other in zip(again, merged, strict=True):
        assert graph.motif_names == other.motif_names
        assert np.array_equal(graph.link_motifs, other.link_motifs)
    with pytest.raises(ValueError, match="all merged or all not"):
        AtomMotifGraphs.concat([whole, merged])
    with pytest.raises(ValueError, match="made alike, got bonds crystalnn and shells"):
        AtomMotifGraphs.concat([merged, atom_motif_graphs([SALT], bonds="crystalnn")])
    with pytest.raises(ValueError, match="or all shuffled by one seed"):
        AtomMotifGraphs.concat([merged, merged.shuffled(0)])


@pytest.mark.parametrize("which", ["whole", "merged"])
def test_written_and_read_exactly(which, request, tmp_path):
    graphs = request.getfixturevalue(which)
    graphs.write(tmp_path / "graphs")
    read = AtomMotifGraphs.read(tmp_path / "graphs")
    assert (read.ids, read.formulas, read.names) == (graphs.ids, graphs.formulas, graphs.names)
    assert read.columns.keys() == graphs.columns.keys()
    for name, column in graphs.columns.items():
        assert read.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(read.columns[name], column)
    assert all(np.array_equal(read.ends[table], graphs.ends[table]) for table in TABLES)
    with pytest.raises(FileExistsError):
        graphs.write(tmp_path / "graphs")


def test_a_changed_file_is_refused(merged, tmp_path):
    merged.write(tmp_path / "graphs")
    file = tmp_path / "graphs" / "graphs.safetensors"
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"graphs\.safetensors"):
        AtomMotifGraphs.read(tmp_path / "graphs")


def test_labels_are_exchanged_within_an_element_and_nothing_else():
    graphs = build_graphs(me.read_prototypes(limit=60), progress=False).graphs
    mixed = graphs.shuffled(seed=1)
    assert not np.array_equal(mixed.columns["motif_tokens"], graphs.columns["motif_tokens"])
    labels = ("motif_tokens", "motif_geometries", "motif_csms", "measure_motifs", "measure_geometries", "measure_csms")
    for name in graphs.columns.keys() - set(labels):
        assert np.array_equal(mixed.columns[name], graphs.columns[name], equal_nan=name == "oxidations")
    for graph, other in zip(graphs, mixed, strict=True):
        centres = [parse_token(name).element for name in graph.motif_names]
        assert centres == [parse_token(name).element for name in other.motif_names]
        for motif, geometry in enumerate(other.motif_geometries.tolist()):  # a motif keeps its measures
            mine = other.measure_motifs == motif
            if geometry >= 0:
                csm = dict(zip(other.measure_geometries[mine], other.measure_csms[mine], strict=True))[geometry]
                assert csm == pytest.approx(float(other.motif_csms[motif]), abs=0.06)
    again = graphs.shuffled(seed=1)
    assert np.array_equal(again.columns["motif_tokens"], mixed.columns["motif_tokens"])
    assert mixed.card.settings == graphs.card.settings | {"shuffled": 1}  # so that a folder of them says what they are


def test_what_cannot_be_read_is_listed():
    graphs, rejected = build_graphs(
        {"good": SALT, "bad": Structure(Lattice.cubic(3), ["Na", "Cl"], [[0] * 3] * 2)}, progress=False
    )
    assert graphs.ids == ("good",)
    assert [one for one, _ in rejected] == ["bad"]
    with pytest.raises(ValueError, match="row 1"):
        atom_motif_graphs([Structure(Lattice.cubic(3), ["Na", "Cl"], [[0] * 3] * 2)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"merge": "no"}, "merge must be true or false, got 'no'"),
        ({"bonds": "nearest"}, "bonds must be 'shells', 'crystalnn' or a mapping"),
        ({"strategy": "best"}, "strategy must"),
    ],
)
def test_settings_are_checked_at_the_door(settings, message):
    with pytest.raises(ValueError, match=message):
        atom_motif_graphs([SALT], **settings)


def test_graphs_become_those_of_pytorch_geometric(whole, merged):
    pytest.importorskip("torch_geometric")
    data = whole[1].to_hetero_data()
    assert data.num_nodes == whole[1].n_atoms + whole[1].n_motifs
    assert data["atom", "bond", "atom"].edge_index.shape == (2, 2 * whole[1].n_bonds)
    assert data["atom", "ligand", "motif"].edge_index.shape == (2, 12)
    source, target = data["atom", "bond", "atom"].edge_index
    assert np.array_equal(np.bincount(target.numpy()), np.bincount(source.numpy()))
    assert "vector" not in merged[1].to_hetero_data()["atom", "bond", "atom"]
    assert data.validate()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("numbers", 119, "numbers must be atomic numbers, 1 to 118, got 119"),
        ("atom_counts", 0, "atom_counts must be 1 or more, got 0"),
        ("bond_atoms", [1, 6], r"bond_atoms must count rows of its crystal's atoms \(6\) from 0, got \[1, 6\]"),
        ("bond_atoms", [-1, 0], r"bond_atoms must count .* got \[-1, 0\]"),
        ("bond_lengths", np.nan, "bond_lengths must be finite and more than 0 Å, got nan"),
        ("bond_lengths", np.inf, "bond_lengths must be finite and more than 0 Å, got inf"),
        ("bond_lengths", 0, "bond_lengths must be finite and more than 0 Å, got 0.0"),
        ("bond_vectors", [0, np.nan, 0], r"bond_vectors must be finite, got \[0.0, nan, 0.0\]"),
        ("motif_centres", 6, r"motif_centres must count rows of its crystal's atoms \(6\) from 0, got 6"),
        ("motif_geometries", -2, r"motif_geometries must be rows of model_geometries\(\), .* or -1, got -2"),
        ("ligand_ends", [0, 6], r"ligand_ends .* motifs \(2\) and atoms \(6\) from 0, got \[0, 6\]"),
        ("ligand_ends", [2, 0], r"ligand_ends .* motifs \(2\) and atoms \(6\) from 0, got \[2, 0\]"),
        ("link_motifs", [0, 2], r"link_motifs must count rows of its crystal's motifs \(2\) from 0, got \[0, 2\]"),
        ("link_lengths", -3, "link_lengths must be finite and more than 0 Å, got -3.0"),
        ("link_angles", np.nan, "link_angles must be finite, got nan"),
        ("measure_motifs", 2, r"measure_motifs must count rows of its crystal's motifs \(2\) from 0, got 2"),
        ("measure_geometries", -1, r"measure_geometries must be rows of model_geometries\(\), .* got -1"),
    ],
)
def test_numbers_that_no_crystal_has_are_refused(whole, name, value, message):
    """In one graph, and in one of several, where rows of another crystal are out of reach too."""
    damaged = np.array(getattr(whole[1], name))
    damaged[1] = value
    with pytest.raises(ValueError, match=f"{message} in row 1 of crystal 'TiO2'; mend the graphs"):
        replace(whole[1], **{name: damaged})
    column = np.concatenate([damaged if place == 1 else getattr(graph, name) for place, graph in enumerate(whole)])
    with pytest.raises(ValueError, match=f"{message} in row 1 of crystal '2'; mend the graphs"):
        replace(whole, columns={**whole.columns, name: column})


def test_columns_that_do_not_fit_each_other_are_refused(merged):
    graph = merged[1]
    for changed, message in (
        ({"bond_lengths": graph.bond_lengths[:-1]}, r"bond_lengths must be an array of numbers of shape \(2,\), got"),
        ({"bond_atoms": graph.bond_atoms * 1.0}, "bond_atoms must be an array of whole numbers .* got float64"),
        ({"link_angles": graph.link_angles.tolist()}, "link_angles must be an array .* got list"),
        ({"motif_names": ()}, "wanted a name for each motif, got 1 motif_centres and 0 motif_names"),
        ({"bond_vectors": np.ones((2, 2))}, r"bond_vectors must be an array of numbers of shape \(2, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(graph, **changed)
    for changed, message in (
        ({"names": merged.names[:1]}, "motif_tokens must be places in names, 0 to 0, got 1 in row 0 of crystal '1'"),
        ({"ids": merged.ids[:-1]}, "wanted a formula for each crystal, got 4 ids and 5 formulas"),
        ({"ends": {**merged.ends, "links": merged.ends["atoms"]}}, "link_motifs must be an array of whole numbers"),
        (
            {"ends": {**merged.ends, "links": -merged.ends["links"]}},
            r"ends\['links'\] must be 6 whole numbers that rise",
        ),
        ({"columns": {"numbers": merged.columns["numbers"]}}, "got no atom_counts, bond_atoms"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(merged, **changed)


def test_rows_of_graphs_are_not_checked_again(merged, monkeypatch):
    """Training takes rows for every batch."""
    checked = []
    monkeypatch.setattr("matembed.graphs.atom_motif._check", lambda *_: checked.append(1))
    assert [graph.formula for graph in merged[1:][::-1]] == list(merged.formulas[:0:-1])
    assert not checked
    AtomMotifGraphs.of([merged[0]])
    assert checked == [1]


def test_graphs_are_checked_once_when_they_are_made(monkeypatch):
    checked = []
    monkeypatch.setattr("matembed.graphs.atom_motif._check", lambda *_: checked.append(1))
    made = atom_motif_graphs([SALT])
    assert checked == [1]
    assert dict(made.card.counts) == made.counts() | {"rejected": 0}


def test_copies_and_pickles_are_read_only_too(merged):
    for again in (pickle.loads(pickle.dumps(merged)), copy.deepcopy(merged)):
        assert again.counts() == merged.counts()
        with pytest.raises(ValueError, match="read-only"):
            again.columns["numbers"][0] = 1


def test_what_cannot_be_joined_or_shuffled_is_told(merged):
    with pytest.raises(TypeError, match="wanted several AtomMotifGraphs, got AtomMotifGraph; single ones are joined"):
        AtomMotifGraphs.concat(merged)
    with pytest.raises(ValueError, match="seed must be a whole number, 0 or more, got -1"):
        merged.shuffled(-1)


def test_bonds_of_one_crystal_that_make_no_sense_reject_it_alone():
    given = {"good": [[0, 1, 0, 0, 0]], "bad": [[0, 1, 0]]}
    graphs, rejected = build_graphs({"good": SALT, "bad": SALT}, bonds=given, progress=False)
    assert graphs.ids == ("good",)
    assert [one for one, _ in rejected] == ["bad"]
